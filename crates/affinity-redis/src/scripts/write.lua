-- One write to one session: if the condition holds, the deed is done. Answers whether it was, and what holds now.
--
-- KEYS: the pin, its bucket's index of deadlines, its bucket's newest generation.
-- ARGV: the condition, what it compares with, the deed, the session's name, the time to live in ms, and, to bind, kind
-- and worker.
local pin, index, newest = KEYS[1], KEYS[2], KEYS[3]
local condition, expected, deed, name, ttl, target = unpack(ARGV)

local held = redis.call('GET', pin)
local generation, kind, worker
if held then
  generation, kind, worker = string.match(held, '^(%d+) (%a) (%S+)$')
end

local holds = condition == 'always'
  or condition == 'absent' and not held
  or condition == 'present' and held
  or condition == 'generation' and generation == expected
  or condition == 'worker' and worker == expected
if not holds then
  return {0, held}
end

if deed == 'refresh' then
  redis.call('PEXPIRE', pin, ttl)
  return {1, held}
end

-- It ends by this write: no sweeper is to tell of it.
if kind == 'e' then
  redis.call('ZREM', index, held .. ' ' .. name)
end
if deed == 'remove' then
  redis.call('DEL', pin)
  return {1, false}
end

-- Microseconds, or one more than the last: greater than any before, also if the counter is lost with the server's
-- memory, and also if the server's clock is set back. Written out, since a number turned to text here keeps 14 digits.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local last = tonumber(redis.call('GET', newest) or 0)
generation = string.format('%.0f', math.max(now, last + 1))
local record = generation .. ' ' .. target
redis.call('SET', newest, generation)
redis.call('SET', pin, record, 'PX', ttl)
if string.sub(target, 1, 1) == 'e' then
  redis.call('ZADD', index, string.format('%.0f', math.floor(now / 1000) + ttl), record .. ' ' .. name)
end
return {1, record}
