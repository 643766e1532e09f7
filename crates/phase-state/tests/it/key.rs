//! Keys: their text, their order, and the one word that they hash.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use phase_state::RequestKey;
use proptest::prelude::*;
use static_assertions::{assert_impl_all, const_assert_eq};

assert_impl_all!(RequestKey: Copy, Send, Sync, Unpin);
const_assert_eq!(size_of::<RequestKey>(), 16);

/// Takes one `write_u64`, and refuses all else.
#[derive(Default)]
struct OneWord(Option<u64>);

impl Hasher for OneWord {
    fn write(&mut self, bytes: &[u8]) {
        panic!("{bytes:?}");
    }

    fn write_u64(&mut self, word: u64) {
        assert_eq!(self.0.replace(word), None, "a second word");
    }

    fn finish(&self) -> u64 {
        self.0.expect("no word")
    }
}

fn word(key: RequestKey) -> u64 {
    let mut hasher = OneWord::default();
    key.hash(&mut hasher);
    hasher.finish()
}

/// Keys collide if the words of their choices, XORed, are their requests, XORed. The upper halves of
/// requests within 2^32 of each other are the same or neighbours, so that, XORed, they are
/// a run of ones from the lowest bit, or nothing. No two choices give that.
#[test]
fn no_two_keys_that_live_together_hash_the_same_word() {
    let words: Vec<u64> = (0..1024)
        .map(|choice| word(RequestKey::new(0, choice)))
        .collect();
    for (at, a) in words.iter().enumerate() {
        for b in &words[..at] {
            let upper = (a ^ b) >> 32;
            assert_ne!(upper & (upper + 1), 0, "choice {at}");
        }
    }
}

proptest! {
    #[test]
    fn the_word_is_the_request_and_the_choice_xored(request: u64, choice: u32) {
        let key = RequestKey::new(request, choice);
        let apart = word(RequestKey::from(request)) ^ word(RequestKey::new(0, choice));
        prop_assert_eq!(word(key), apart);
        prop_assert_eq!(word(RequestKey::from(request)), request);
    }

    #[test]
    fn equal_keys_hash_alike_and_order_goes_by_request(
        a in (0..3u64, 0..3u32),
        b in (0..3u64, 0..3u32),
    ) {
        let hasher = RandomState::new();
        let keys = (RequestKey::from(a), RequestKey::from(b));
        prop_assert_eq!(keys.0 == keys.1, a == b);
        prop_assert_eq!(keys.0.cmp(&keys.1), a.cmp(&b));
        prop_assert_eq!(hasher.hash_one(keys.0) == hasher.hash_one(keys.1), a == b);
    }
}

#[test]
fn text_names_the_choice_unless_it_is_the_first() {
    assert_eq!(RequestKey::from(42).to_string(), "42");
    assert_eq!(RequestKey::from((42, 0)).to_string(), "42");
    assert_eq!(RequestKey::from((42, 7)).to_string(), "42#7");
    let largest = RequestKey::new(u64::MAX, u32::MAX);
    assert_eq!(largest.to_string(), "18446744073709551615#4294967295");
}
