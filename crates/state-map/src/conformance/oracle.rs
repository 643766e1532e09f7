//! One thread, a naive model stepped beside the map, and a comparison after every step.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::{Backend, Ledger, Probe, insert_new};
use crate::{MapSession, StateMap};

/// Few enough that steps meet each other's entries.
const KEYS: u64 = 12;

#[derive(Clone, Debug)]
enum Step {
    Insert(u64),
    Read(u64),
    Remove(u64),
    RemoveIf(u64, bool),
    Retain(u64),
    Shrink,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..KEYS).prop_map(Step::Insert),
        1 => (0..KEYS).prop_map(Step::Read),
        2 => (0..KEYS).prop_map(Step::Remove),
        2 => (0..KEYS, any::<bool>()).prop_map(|(key, accept)| Step::RemoveIf(key, accept)),
        1 => (1..4_u64).prop_map(Step::Retain),
        1 => Just(Step::Shrink),
    ]
}

/// Random steps, each answered as a `HashMap` would, whether in a session of their own or all in one.
pub fn matches_the_oracle<B: Backend>() {
    let config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(
        &(vec(step(), 0..60), any::<bool>()),
        |(steps, one_session)| {
            let map = B::Map::<u64, Probe>::default();
            let ledger = Ledger::default();
            let mut model = HashMap::new();
            let held = one_session.then(|| map.session());
            for (number, step) in (0..).zip(steps) {
                let own;
                let session = match &held {
                    Some(session) => session,
                    None => {
                        own = map.session();
                        &own
                    }
                };
                apply(&map, session, &mut model, &step, number, &ledger)?;
                compare(&map, session, &model)?;
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

fn apply<M: StateMap<Key = u64, Value = Probe>>(
    map: &M,
    session: &M::Session<'_>,
    model: &mut HashMap<u64, u64>,
    step: &Step,
    stamp: u64,
    ledger: &Ledger,
) -> Result<(), TestCaseError> {
    match *step {
        Step::Insert(key) => {
            match session
                .insert_if_absent(key, Probe::new(stamp, ledger), |occupant| occupant.stamp)
            {
                Ok(()) => check(
                    model.insert(key, stamp).is_none(),
                    "an insertion succeeds on an absent key only",
                ),
                Err(taken) => {
                    check(
                        taken.rejected.stamp == stamp,
                        "an insertion gives back the value it was given",
                    )?;
                    check(
                        model.get(&key) == Some(&taken.occupant),
                        "an insertion shows the occupant",
                    )
                }
            }
        }
        Step::Read(key) => {
            let hits = session.read(&key, |value| value.stamp);
            check(
                hits == model.get(&key).copied(),
                "a read answers what was inserted last",
            )
        }
        Step::Remove(key) => {
            let payload = session
                .remove(&key)
                .map(|payload| payload.map(|payload| payload.stamp));
            check(
                payload == model.remove(&key).map(Some),
                "a removal hands over the entry's own payload",
            )
        }
        Step::RemoveIf(key, accept) => {
            let mut met = None;
            let payload = session.remove_if(&key, |value| {
                met = Some(value.stamp);
                accept
            });
            check(
                met == model.get(&key).copied(),
                "a condition is asked of the entry, where there is one",
            )?;
            let expected = if accept {
                model.remove(&key).map(Some)
            } else {
                None
            };
            check(
                payload.map(|payload| payload.map(|payload| payload.stamp)) == expected,
                "a conditional removal removes what its condition accepts, and nothing else",
            )
        }
        Step::Retain(modulus) => {
            let mut removed = HashMap::new();
            session.retain(
                |key, _| key % modulus == 0,
                |key, payload| {
                    removed.insert(key, payload.map(|payload| payload.stamp));
                },
            );
            let declined: HashMap<_, _> = model
                .extract_if(|key, _| key % modulus != 0)
                .map(|(key, stamp)| (key, Some(stamp)))
                .collect();
            check(
                removed == declined,
                "a retain removes what its predicate declines, and hands each over once",
            )
        }
        Step::Shrink => {
            let _ = map.shrink();
            Ok(())
        }
    }
}

fn compare<M: StateMap<Key = u64, Value = Probe>>(
    map: &M,
    session: &M::Session<'_>,
    model: &HashMap<u64, u64>,
) -> Result<(), TestCaseError> {
    for key in 0..KEYS {
        let stamp = session.read(&key, |value| value.stamp);
        check(
            stamp == model.get(&key).copied(),
            "after a step, every key reads as in the model",
        )?;
    }
    let mut met = Vec::new();
    session.for_each(|key, value| met.push((*key, value.stamp)));
    check(
        met.len() == model.len(),
        "while nobody writes, an iteration meets every entry once",
    )?;
    check(
        met.iter().all(|(key, stamp)| model.get(key) == Some(stamp)),
        "while nobody writes, an iteration meets the entries that are there",
    )?;
    check(
        map.len() == model.len(),
        "while nobody writes, the length is exact",
    )?;
    check(
        map.is_empty() == model.is_empty(),
        "while nobody writes, emptiness is exact",
    )
}

/// Enough entries that every map has grown and moved them several times, half of them removed again.
pub fn a_large_map_keeps_every_entry<B: Backend>() {
    const ENTRIES: u64 = 10_000;
    let map = B::Map::<u64, Probe>::default();
    let ledger = Ledger::default();
    for key in 0..ENTRIES {
        insert_new(&map.session(), key, Probe::new(key, &ledger));
    }
    for key in (1..ENTRIES).step_by(2) {
        let payload = map.session().remove(&key).flatten();
        assert_eq!(
            payload.map(|payload| payload.stamp),
            Some(key),
            "each entry is there to be removed"
        );
    }
    for key in 0..ENTRIES {
        let expected = (key % 2 == 0).then_some(key);
        assert_eq!(
            map.session().read(&key, |value| value.stamp),
            expected,
            "what stays is unchanged"
        );
    }
    assert_eq!(map.len() as u64, ENTRIES / 2);
}
