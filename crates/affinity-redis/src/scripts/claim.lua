-- Claims what has ended among members of one bucket's index: nobody else gets them until the claim runs out. What is
-- still bound was refreshed, and is put off to its deadline. Answers which members are claimed, counted from 0.
--
-- KEYS: the index, then the pin of each member.
-- ARGV: how long the claim holds in ms, then the members, each the pin's record, a space and the session's name.
local index = KEYS[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local claimed = {}
for i = 2, #KEYS do
  local member = ARGV[i]
  local due = redis.call('ZSCORE', index, member)
  -- Another sweeper may have been here since the caller looked.
  if due and tonumber(due) <= now then
    local held = redis.call('GET', KEYS[i])
    local wait = ARGV[1]
    if held and string.sub(member, 1, #held + 1) == held .. ' ' then
      wait = math.max(redis.call('PTTL', KEYS[i]), 1)
    else
      claimed[#claimed + 1] = i - 2
    end
    redis.call('ZADD', index, string.format('%.0f', now + wait), member)
  end
end
return claimed
