//! Threads that race on the same keys.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Backend, Ledger, Probe, insert_new, race};
use crate::{MapSession, StateMap};

const THREADS: usize = 4;
const ROUNDS: u64 = 300;

/// Updates through [`MapSession::read`] all arrive, while the map grows and shrinks around the entries.
pub fn no_update_is_lost<B: Backend>() {
    const KEYS: u64 = 4;
    const UPDATES: u64 = 5_000;
    let ledger = Ledger::default();
    let map = B::Map::<u64, Probe>::default();
    for key in 0..KEYS {
        insert_new(&map.session(), key, Probe::new(key, &ledger));
    }
    let missed: u64 = race(THREADS, |thread| {
        let mut missed = 0;
        for update in 0..UPDATES {
            let hit = map.session().read(&(update % KEYS), |value| {
                value.hits.fetch_add(1, Ordering::Relaxed)
            });
            missed += u64::from(hit.is_none());
            // Entries of this thread's own that come and go, so that the map is resized meanwhile.
            let own = KEYS + thread as u64 + THREADS as u64 * (update % 2_000);
            let _ = map
                .session()
                .insert_if_absent(own, Probe::new(own, &ledger), |_| ());
            if update % 2_000 > 1_000 {
                let _ = map.session().remove(&(own - 500 * THREADS as u64));
            }
        }
        missed
    })
    .into_iter()
    .sum();
    assert_eq!(missed, 0, "a read missed an entry that nobody removed");
    let hits: u64 = (0..KEYS)
        .filter_map(|key| {
            map.session()
                .read(&key, |value| value.hits.load(Ordering::Relaxed))
        })
        .sum();
    assert_eq!(hits, UPDATES * THREADS as u64, "updates were lost");
}

/// Of several insertions of one absent key exactly one succeeds; the others get their value back and are
/// shown the winner's.
pub fn an_absent_key_is_won_once<B: Backend>() {
    let ledger = Ledger::default();
    let map = B::Map::<u64, Probe>::default();
    for key in 0..ROUNDS {
        let answers = race(THREADS, |thread| {
            let stamp = thread as u64;
            match map
                .session()
                .insert_if_absent(key, Probe::new(stamp, &ledger), |occupant| occupant.stamp)
            {
                Ok(()) => None,
                Err(taken) => {
                    assert_eq!(
                        taken.rejected.stamp, stamp,
                        "a loser gets its own value back"
                    );
                    Some(taken.occupant)
                }
            }
        });
        let winners: Vec<_> = (0..)
            .zip(&answers)
            .filter(|(_, answer)| answer.is_none())
            .collect();
        assert_eq!(
            winners.len(),
            1,
            "one of {THREADS} insertions of an absent key succeeds: {answers:?}"
        );
        let winner: u64 = winners[0].0;
        assert!(
            answers.iter().flatten().all(|seen| *seen == winner),
            "losers see the winner: {answers:?}"
        );
        assert_eq!(map.session().read(&key, |value| value.stamp), Some(winner));
    }
}

/// Of several removals of one entry exactly one is handed the payload, and the value is retired once.
pub fn a_removal_hands_over_once<B: Backend>() {
    let ledger = Ledger::default();
    let map = B::Map::<u64, Probe>::default();
    for key in 0..ROUNDS {
        let value = Probe::new(key, &ledger);
        let retired = std::sync::Arc::clone(&value.retired);
        insert_new(&map.session(), key, value);
        let payloads = race(THREADS, |thread| {
            if thread % 2 == 0 {
                map.session().remove(&key)
            } else {
                map.session().remove_if(&key, |_| true)
            }
        });
        let handed_over: Vec<_> = payloads.into_iter().flatten().collect();
        assert_eq!(
            handed_over.len(),
            1,
            "one of {THREADS} removals of an entry succeeds"
        );
        assert_eq!(
            handed_over[0].as_ref().map(|payload| payload.stamp),
            Some(key)
        );
        assert_eq!(
            retired.load(Ordering::Relaxed),
            1,
            "a removed value is retired once"
        );
        assert_eq!(map.session().read(&key, |_| ()), None);
    }
}

/// While threads insert and remove the same few keys, every insertion that succeeded is answered by one
/// removal, or is still there at the end.
pub fn insertions_and_removals_balance<B: Backend>() {
    const KEYS: u64 = 3;
    let ledger = Ledger::default();
    let map = B::Map::<u64, Probe>::default();
    let tallies = race(THREADS, |thread| {
        let (mut inserted, mut removed) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS * 10 {
            let key = round % KEYS;
            let stamp = thread as u64 * 1_000_000 + round;
            if map
                .session()
                .insert_if_absent(key, Probe::new(stamp, &ledger), |_| ())
                .is_ok()
            {
                inserted.push(stamp);
            }
            if round % 3 != thread as u64 % 3 {
                removed.extend(
                    map.session()
                        .remove(&key)
                        .flatten()
                        .map(|payload| payload.stamp),
                );
            }
        }
        (inserted, removed)
    });
    let (inserted, removed): (Vec<_>, Vec<_>) = tallies.into_iter().unzip();
    let inserted: HashSet<u64> = inserted.into_iter().flatten().collect();
    let mut accounted: Vec<u64> = removed.into_iter().flatten().collect();
    map.session()
        .for_each(|_, value| accounted.push(value.stamp));
    assert_eq!(
        accounted.len(),
        inserted.len(),
        "entries were lost, or handed over twice"
    );
    assert_eq!(accounted.into_iter().collect::<HashSet<_>>(), inserted);
}

/// A conditional removal removes the value that its condition accepted, not one that took its place.
pub fn a_removal_takes_what_its_condition_accepted<B: Backend>() {
    let ledger = Ledger::default();
    let map = B::Map::<u64, Probe>::default();
    for round in 0..ROUNDS {
        insert_new(&map.session(), 0, Probe::new(0, &ledger));
        let answers = race(2, |thread| {
            if thread == 0 {
                let old = map
                    .session()
                    .remove(&0)
                    .flatten()
                    .map(|payload| payload.stamp);
                insert_new(&map.session(), 0, Probe::new(1, &ledger));
                old
            } else {
                map.session()
                    .remove_if(&0, |value| value.stamp == 0)
                    .flatten()
                    .map(|payload| payload.stamp)
            }
        });
        let takers = answers.iter().filter(|answer| **answer == Some(0)).count();
        assert_eq!(
            takers, 1,
            "round {round}: the first value goes to one of the two: {answers:?}"
        );
        assert!(
            !answers.contains(&Some(1)),
            "the condition declined the second value: {answers:?}"
        );
        let second = map.session().remove(&0).flatten();
        assert_eq!(
            second.map(|payload| payload.stamp),
            Some(1),
            "the second value stays"
        );
    }
}

/// An iteration meets every entry that is there throughout, though others come and go and the map grows.
pub fn an_iteration_meets_what_stays<B: Backend>() {
    const STAY: u64 = 500;
    let ledger = Ledger::default();
    let map = B::Map::<u64, Probe>::default();
    for key in 0..STAY {
        insert_new(&map.session(), key, Probe::new(key, &ledger));
    }
    let iterating = AtomicBool::new(true);
    let answers = race(3, |thread| {
        if thread > 0 {
            let mut round = 0;
            while iterating.load(Ordering::Relaxed) {
                let base = STAY + thread as u64 * 1_000_000 + round % 4 * 1_000;
                for key in base..base + 1_000 {
                    let _ = map
                        .session()
                        .insert_if_absent(key, Probe::new(key, &ledger), |_| ());
                }
                for key in base..base + 1_000 {
                    let _ = map.session().remove(&key);
                }
                round += 1;
            }
            return None;
        }
        let mut complaint = None;
        for _ in 0..50 {
            let mut met = HashMap::new();
            let mut strangers = 0;
            map.session().for_each(|key, value| {
                strangers += usize::from(*key != value.stamp);
                *met.entry(*key).or_insert(0) += 1;
            });
            let missed = (0..STAY).filter(|key| !met.contains_key(key)).count();
            if missed > 0 || strangers > 0 {
                complaint = Some(format!(
                    "missed {missed} entries, met {strangers} under a wrong key"
                ));
            }
        }
        iterating.store(false, Ordering::Relaxed);
        complaint
    });
    assert_eq!(answers[0], None);
}

/// Several [`MapSession::retain`] at once, while others remove: each entry is handed over once.
pub fn racing_retains_hand_over_once<B: Backend>() {
    const ENTRIES: u64 = 40;
    let ledger = Ledger::default();
    for _ in 0..ROUNDS / 4 {
        let map = B::Map::<u64, Probe>::default();
        for key in 0..ENTRIES {
            insert_new(&map.session(), key, Probe::new(key, &ledger));
        }
        let handed_over: Vec<_> = (0..ENTRIES).map(|_| AtomicUsize::new(0)).collect();
        let hand_over = |payload: Option<super::Payload>| {
            let stamp = payload.expect("a payload is handed over whole").stamp;
            handed_over[usize::try_from(stamp).expect("a small stamp")]
                .fetch_add(1, Ordering::Relaxed);
        };
        race(3, |thread| {
            if thread == 2 {
                for key in 0..ENTRIES / 2 {
                    map.session().remove(&key).into_iter().for_each(hand_over);
                }
            } else {
                map.session().retain(
                    |key, _| *key >= ENTRIES - 2,
                    |_, payload| hand_over(payload),
                );
            }
        });
        let counts: Vec<_> = handed_over
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        assert!(
            counts[..38].iter().all(|count| *count == 1),
            "each declined entry goes once: {counts:?}"
        );
        assert_eq!(counts[38..], [0, 0], "what the predicate keeps stays");
        assert_eq!(map.len(), 2);
    }
}
