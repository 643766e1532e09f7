//! Keys: their text, their order, what they hash, and the names of requests without a number.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use phase_state::{PhaseRouter, PhaseRouterConfig, RequestKey};
use proptest::prelude::*;
use state_map::model::ReferenceMap;
use static_assertions::{assert_impl_all, const_assert_eq};

assert_impl_all!(RequestKey: Copy, Send, Sync, Unpin);
const_assert_eq!(size_of::<RequestKey>(), 16);

/// Takes two `write_u64`, and refuses all else.
#[derive(Default)]
struct TwoWords(Vec<u64>);

impl Hasher for TwoWords {
    fn write(&mut self, bytes: &[u8]) {
        panic!("{bytes:?}");
    }

    fn write_u64(&mut self, word: u64) {
        self.0.push(word);
    }

    fn finish(&self) -> u64 {
        panic!("not a hash")
    }
}

fn words(key: RequestKey) -> Vec<u64> {
    let mut hasher = TwoWords::default();
    key.hash(&mut hasher);
    assert_eq!(hasher.0.len(), 2);
    hasher.0
}

/// What a client made of 6,000 keys that were one word once, under every seed.
#[test]
fn keys_that_were_chosen_to_meet_do_not() {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let chosen = (0..6_000_u32)
        .map(|choice| RequestKey::new(u64::from(choice).wrapping_mul(SPREAD), choice));
    let hasher = RandomState::new();
    let hashes: HashSet<u64> = chosen.clone().map(|key| hasher.hash_one(key)).collect();
    assert_eq!(hashes.len(), 6_000);
    let hasher = state_map::DefaultHashBuilder::default();
    let hashes: HashSet<u64> = chosen.map(|key| hasher.hash_one(key)).collect();
    assert_eq!(hashes.len(), 6_000);
}

proptest! {
    #[test]
    fn equal_keys_hash_alike_and_order_goes_by_request(
        a in (0..3u64, 0..3u32),
        b in (0..3u64, 0..3u32),
    ) {
        let hasher = RandomState::new();
        let keys = (RequestKey::from(a), RequestKey::from(b));
        prop_assert_eq!(keys.0 == keys.1, a == b);
        prop_assert_eq!(keys.0.cmp(&keys.1), a.cmp(&b));
        prop_assert_eq!(words(keys.0) == words(keys.1), a == b);
        prop_assert_eq!(hasher.hash_one(keys.0) == hasher.hash_one(keys.1), a == b);
    }
}

fn router() -> PhaseRouter<ReferenceMap<RequestKey, phase_state::PhaseEntry>> {
    PhaseRouter::with_map(PhaseRouterConfig::default(), ReferenceMap::default()).unwrap()
}

#[test]
fn a_name_is_a_key_of_its_router() {
    let (one, other) = (router(), router());
    let id = "chatcmpl-4f1c";
    assert_eq!(one.named(id), one.named(id.as_bytes()));
    assert_ne!(one.named(id), other.named(id), "secrets of their own");
    assert_ne!(one.named(id).with_choice(1), one.named(id));
    let uuid = [7_u8; 16];
    assert!(one.register(one.named(uuid)) && !one.register(one.named(uuid)));

    let names: HashSet<RequestKey> = (0..10_000).map(|n| one.named(n.to_string())).collect();
    assert_eq!(names.len(), 10_000);
    for number in 0..10_000_u64 {
        assert!(!names.contains(&RequestKey::from(number)));
    }
}

#[test]
fn text_names_the_choice_unless_it_is_the_first() {
    assert_eq!(RequestKey::from(42).to_string(), "42");
    assert_eq!(RequestKey::from((42, 0)).to_string(), "42");
    assert_eq!(RequestKey::from((42, 7)).to_string(), "42#7");
    let largest = RequestKey::new(u64::MAX, u32::MAX);
    assert_eq!(largest.to_string(), "18446744073709551615#4294967295");
    let named = router().named("chatcmpl-4f1c").with_choice(1).to_string();
    assert_eq!(named.len(), "n".len() + 24 + "#1".len(), "{named}");
    assert!(named.starts_with('n') && named.ends_with("#1"), "{named}");
}
