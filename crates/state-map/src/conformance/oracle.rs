//! One thread, a naive model stepped beside the map, and a comparison after every step.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::{MapOf, Sample, insert_new, stamp_of, take};
use crate::Access;

/// Few enough that steps meet each other's entries.
const KEYS: u64 = 12;

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Read(u64),
    Remove(u64),
    RemoveIf(u64, bool),
    Shrink,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..KEYS).prop_map(Step::Insert),
        1 => (0..KEYS).prop_map(Step::Read),
        2 => (0..KEYS).prop_map(Step::Remove),
        2 => (0..KEYS, any::<bool>()).prop_map(|(key, accept)| Step::RemoveIf(key, accept)),
        1 => Just(Step::Shrink),
    ]
}

/// Random steps, each answered as a std map would, whether in an access of their own or all in one.
pub fn matches_the_oracle<M: MapOf<V>, V: Sample>() {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(
        &(vec(step(), 0..60), any::<bool>()),
        |(steps, one_access)| {
            let map = M::default();
            let mut model = BTreeMap::new();
            let held = one_access.then(|| map.access());
            for (number, step) in (0..).zip(steps) {
                let own;
                let access = match &held {
                    Some(access) => access,
                    None => {
                        own = map.access();
                        &own
                    }
                };
                apply(access, &mut model, &step, number)?;
                compare(access, &model)?;
            }
            Ok(())
        },
    );
    if let Err(failure) = outcome {
        panic!("the map and the model disagree: {failure}");
    }
}

fn check(holds: bool, rule: &str) -> Result<(), TestCaseError> {
    if holds {
        Ok(())
    } else {
        Err(TestCaseError::fail(rule.to_owned()))
    }
}

fn apply<M: MapOf<V>, V: Sample>(
    access: &Access<'_, M>,
    model: &mut BTreeMap<u64, u64>,
    step: &Step,
    stamp: u64,
) -> Result<(), TestCaseError> {
    match *step {
        Step::Insert(key) => match access.insert_if_absent(V::key(key), V::sample(stamp)) {
            Ok(()) => check(
                model.insert(key, stamp).is_none(),
                "an insertion succeeds on an absent key only",
            ),
            Err(rejected) => {
                check(
                    rejected.stamp() == stamp,
                    "an insertion gives back the value it was given",
                )?;
                check(
                    model.contains_key(&key),
                    "an insertion fails on a taken key only",
                )
            }
        },
        Step::Read(key) => check(
            stamp_of(access, key) == model.get(&key).copied(),
            "a read answers what was inserted last",
        ),
        Step::Remove(key) => check(
            access.remove(&V::key(key)) == model.remove(&key).is_some(),
            "a removal says whether there was an entry",
        ),
        Step::RemoveIf(key, accept) => {
            let mut met = None;
            let removed = take(access, key, |stamp| {
                met = Some(stamp);
                accept
            });
            check(
                met == model.get(&key).copied(),
                "a condition is asked of the entry, where there is one",
            )?;
            let expected = if accept { model.remove(&key) } else { None };
            check(
                removed == expected,
                "a conditional removal removes what its condition accepts, and nothing else",
            )
        }
        Step::Shrink => {
            let _ = access.map().shrink();
            Ok(())
        }
    }
}

fn compare<M: MapOf<V>, V: Sample>(
    access: &Access<'_, M>,
    model: &BTreeMap<u64, u64>,
) -> Result<(), TestCaseError> {
    for key in 0..KEYS {
        check(
            stamp_of(access, key) == model.get(&key).copied(),
            "after a step, every key reads as in the model",
        )?;
    }
    let mut met = Vec::new();
    let mut right_keys = true;
    access.for_each(|key, value| {
        let of_it =
            |(number, stamp): (&u64, &u64)| *stamp == value.stamp() && V::key(*number) == *key;
        right_keys &= model.iter().any(of_it);
        met.push(value.stamp());
    });
    met.sort_unstable();
    let mut stamps: Vec<u64> = model.values().copied().collect();
    stamps.sort_unstable();
    check(
        met == stamps,
        "while nobody writes, an iteration meets every entry once",
    )?;
    check(
        right_keys,
        "while nobody writes, an iteration meets entries under their keys",
    )?;
    let map = access.map();
    check(
        map.len() == model.len(),
        "while nobody writes, the length is exact",
    )?;
    check(
        map.is_empty() == model.is_empty(),
        "while nobody writes, emptiness is exact",
    )
}

/// Enough entries that every map has grown and moved them several times, half of them removed
/// again.
pub fn a_large_map_keeps_every_entry<M: MapOf<V>, V: Sample>() {
    const ENTRIES: u64 = 10_000;
    let map = M::default();
    for key in 0..ENTRIES {
        insert_new(&map.access(), key, key);
    }
    for key in (1..ENTRIES).step_by(2) {
        let removed = take(&map.access(), key, |_| true);
        assert_eq!(removed, Some(key), "each entry is there to be removed");
    }
    for key in 0..ENTRIES {
        let expected = (key % 2 == 0).then_some(key);
        assert_eq!(
            stamp_of(&map.access(), key),
            expected,
            "what stays is unchanged"
        );
    }
    assert_eq!(map.len() as u64, ENTRIES / 2);
}
