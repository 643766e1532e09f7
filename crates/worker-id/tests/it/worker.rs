//! Workers: what compares, what the incarnation says, and the one text form.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use proptest::{option, prelude::*};
use static_assertions::{assert_impl_all, const_assert_eq};
use worker_id::{
    EndpointInstanceId, Incarnation, NumberRule, ParseWorkerError, WorkerPart, WorkerWithDpRank,
};

assert_impl_all!(WorkerWithDpRank: Copy, Send, Sync, Unpin);
assert_impl_all!(ParseWorkerError: std::error::Error, Send, Sync);
const_assert_eq!(size_of::<WorkerWithDpRank>(), 24);
// The flag leaves room for the `None`, so that an optional worker costs nothing more.
const_assert_eq!(size_of::<Option<WorkerWithDpRank>>(), 24);

/// What a worker is made of.
type Parts = (u64, u32, Option<Incarnation>);

fn build((worker_id, dp_rank, incarnation): Parts) -> WorkerWithDpRank {
    let worker = WorkerWithDpRank::new(worker_id, dp_rank);
    incarnation.map_or(worker, |incarnation| worker.in_incarnation(incarnation))
}

fn any_life(numbers: impl Strategy<Value = u64>) -> impl Strategy<Value = Option<Incarnation>> {
    option::of((any::<bool>(), numbers)).prop_map(|life| {
        life.map(|(ordered, number)| match ordered {
            true => Incarnation::Ordered(number),
            false => Incarnation::Opaque(number),
        })
    })
}

fn any_worker() -> impl Strategy<Value = WorkerWithDpRank> {
    (any::<(u64, u32)>(), any_life(any::<u64>()))
        .prop_map(|((id, rank), life)| build((id, rank, life)))
}

/// So few workers that pairs often agree in some fields, and in all.
fn crowded() -> impl Strategy<Value = Parts> {
    (0..2u64, 0..2u32, any_life(0..2u64))
}

/// Texts that are workers, or nearly.
fn nearly_a_worker() -> impl Strategy<Value = String> {
    let number = "0|7|007|18446744073709551616|4294967296|\\+1|-1|| 1|٣|x|[0-9]{1,21}";
    (number, "[:@/]?", number, "[:@]?r?", number)
        .prop_map(|(a, s, b, t, c)| [a, s, b, t, c].concat())
}

proptest! {
    #[test]
    fn text_round_trips(worker in any_worker()) {
        let back: WorkerWithDpRank = worker.to_string().parse().unwrap();
        prop_assert_eq!(back, worker);
        prop_assert_eq!(back.incarnation(), worker.incarnation());
    }

    #[test]
    fn only_canonical_text_is_accepted(text in prop_oneof![any::<String>(), nearly_a_worker()]) {
        if let Ok(worker) = text.parse::<WorkerWithDpRank>() {
            prop_assert_eq!(worker.to_string(), text);
        }
    }

    #[test]
    fn comparing_and_hashing_see_worker_and_rank_alone(a in crowded(), b in crowded()) {
        let keys = ((a.0, a.1), (b.0, b.1));
        let (a, b) = (build(a), build(b));
        prop_assert_eq!(a == b, keys.0 == keys.1);
        prop_assert_eq!(a.cmp(&b), keys.0.cmp(&keys.1));
        prop_assert_eq!(a.partial_cmp(&b), Some(a.cmp(&b)));
        let hasher = RandomState::new();
        prop_assert_eq!(hasher.hash_one(a) == hasher.hash_one(b), a == b);
    }

    #[test]
    fn same_incarnation_compares_everything(a in crowded(), b in crowded()) {
        // Equality of the triples: so it is an equivalence relation, and finer than `==`.
        prop_assert_eq!(build(a).same_incarnation(&build(b)), a == b);
    }
}

#[test]
fn an_unknown_incarnation_is_not_a_known_one() {
    let unknown = WorkerWithDpRank::new(7, 1);
    assert!(unknown.same_incarnation(&unknown));
    // Zero is a known one, though it lies where an unknown one has a zero as well.
    for number in [0, 1, u64::MAX] {
        let (opaque, ordered) = (
            unknown.with_incarnation(number),
            unknown.with_ordered_incarnation(number),
        );
        assert!(!opaque.same_incarnation(&ordered));
        for known in [opaque, ordered] {
            assert!(known.same_incarnation(&known));
            assert!(!known.same_incarnation(&unknown));
            assert!(!unknown.same_incarnation(&known));
        }
    }
}

#[test]
fn a_worker_and_its_endpoint_instance_are_made_of_each_other() {
    let instance: EndpointInstanceId = "prod/decode/generate/7".parse().unwrap();
    let worker = WorkerWithDpRank::from(&instance);
    assert!(worker.same_incarnation(&WorkerWithDpRank::new(7, 0)));
    let endpoint = instance.with_instance_id(1);
    assert_eq!(endpoint.instance_of(&worker), instance);
}

#[test]
fn a_map_finds_either_incarnation_and_keeps_the_key_it_has() {
    let old = WorkerWithDpRank::new(7, 0).with_incarnation(41);
    let new = old.with_incarnation(42);
    let mut map = HashMap::from([(old, "old")]);
    assert_eq!(map.insert(new, "new"), Some("old"));
    assert_eq!(map.get(&old), Some(&"new"));
    assert!(map.keys().all(|key| key.same_incarnation(&old)));
}

#[test]
fn the_ranks_of_a_worker_are_neighbours() {
    let sorted = ["1:4294967295", "2:0", "2:1@9", "2:4294967295@0", "10:0"].map(build_text);
    assert!(sorted.is_sorted());
}

fn build_text(text: &str) -> WorkerWithDpRank {
    text.parse().unwrap()
}

#[test]
fn every_constructor_gives_the_same_worker() {
    let worker = WorkerWithDpRank::new(7, 0);
    for same in [
        WorkerWithDpRank::from_worker_id(7),
        7.into(),
        (7, 0).into(),
        build_text("7:0"),
    ] {
        assert!(same.same_incarnation(&worker), "{same:?}");
    }
    let WorkerWithDpRank {
        worker_id, dp_rank, ..
    } = (7, 3).into();
    assert_eq!((worker_id, dp_rank), (7, 3));
}

#[test]
fn debug_shows_the_incarnation() {
    let worker = WorkerWithDpRank::new(7, 1).with_incarnation(42);
    assert_eq!(
        format!("{worker:?}"),
        "WorkerWithDpRank { worker_id: 7, dp_rank: 1, incarnation: Some(Opaque(42)) }"
    );
}

#[test]
fn bad_text_names_the_part_and_the_rule() {
    use NumberRule::{Empty, LeadingZero, Missing, NotDigits};
    use WorkerPart::{DpRank, Incarnation, WorkerId};
    let (max64, max32) = (
        NumberRule::TooLarge { max: u64::MAX },
        NumberRule::TooLarge {
            max: u32::MAX.into(),
        },
    );
    for (text, part, rule) in [
        ("", WorkerId, Empty),
        (":0", WorkerId, Empty),
        ("+7:0", WorkerId, NotDigits),
        ("-7:0", WorkerId, NotDigits),
        (" 7:0", WorkerId, NotDigits),
        ("٣:0", WorkerId, NotDigits),
        ("7@42", WorkerId, NotDigits),
        ("007:0", WorkerId, LeadingZero),
        ("00:0", WorkerId, LeadingZero),
        ("18446744073709551616:0", WorkerId, max64),
        ("7", DpRank, Missing),
        ("7:", DpRank, Empty),
        ("7:@42", DpRank, Empty),
        ("7:+1", DpRank, NotDigits),
        ("7:0:0", DpRank, NotDigits),
        ("7:0 ", DpRank, NotDigits),
        ("7:01", DpRank, LeadingZero),
        ("7:4294967296", DpRank, max32),
        ("7:0@", Incarnation, Empty),
        ("7:0@42\n", Incarnation, NotDigits),
        ("7:0@42@43", Incarnation, NotDigits),
        ("7:0@042", Incarnation, LeadingZero),
        ("7:0@r", Incarnation, Empty),
        ("7:0@R42", Incarnation, NotDigits),
        ("7:0@rr42", Incarnation, NotDigits),
        ("7:0@r042", Incarnation, LeadingZero),
        ("7:0@42r", Incarnation, NotDigits),
        ("7:0@18446744073709551616", Incarnation, max64),
    ] {
        let error = text.parse::<WorkerWithDpRank>().unwrap_err();
        assert_eq!((&*error.text, error.part, error.rule), (text, part, rule));
    }
    for largest in [
        "18446744073709551615:4294967295@18446744073709551615",
        "18446744073709551615:4294967295@r18446744073709551615",
    ] {
        assert_eq!(build_text(largest).to_string(), largest);
    }
}

#[test]
fn the_message_says_what_is_wrong_and_what_to_write() {
    let error = "7:0\n@1".parse::<WorkerWithDpRank>().unwrap_err();
    assert_eq!(
        error.to_string(),
        r#""7:0\n@1" names no worker: its dp_rank holds something other than the digits 0 to 9; write `worker_id:dp_rank` or `worker_id:dp_rank@incarnation` in plain decimal, such as `7:0`, `7:0@42` or, where incarnations are ordered, `7:0@r42`"#
    );
}

#[test]
fn an_error_keeps_64_bytes_at_most_and_whole_characters() {
    let kept = |text: String| text.parse::<WorkerWithDpRank>().unwrap_err().text;
    assert_eq!(*kept("x".repeat(64)), *"x".repeat(64));
    assert_eq!(*kept("x".repeat(65)), *format!("{}…", "x".repeat(64)));
    // 21 characters of 3 bytes are 63: the one across the border is left out.
    assert_eq!(
        *kept("世".repeat(1_000_000)),
        *format!("{}…", "世".repeat(21))
    );
}
