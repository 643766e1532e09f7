//! Threads that race on the same keys.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Backend, MapOf, Probe, Sample, insert_new, race, stamp_of, take};
use crate::StateMap;

const THREADS: usize = 4;
const ROUNDS: u64 = 300;

/// Updates through [`read`](crate::Access::read) all arrive, while the map grows and shrinks around
/// the entries.
pub fn no_update_is_lost<B: Backend>() {
    const KEYS: u64 = 4;
    const UPDATES: u64 = 5_000;
    let map = B::Map::<u64, Probe>::default();
    for key in 0..KEYS {
        insert_new(&map.access(), key, key);
    }
    let missed: u64 = race(THREADS, |thread| {
        let mut missed = 0;
        for update in 0..UPDATES {
            let hit = map.access().read(&(update % KEYS), |value| {
                value.hits.fetch_add(1, Ordering::Relaxed)
            });
            missed += u64::from(hit.is_none());
            // Entries of this thread's own that come and go, so that the map is resized meanwhile.
            let own = KEYS + thread as u64 + THREADS as u64 * (update % 2_000);
            let _ = map.access().insert_if_absent(own, Probe::sample(own));
            if update % 2_000 > 1_000 {
                map.access().remove(&(own - 500 * THREADS as u64));
            }
        }
        missed
    })
    .into_iter()
    .sum();
    assert_eq!(missed, 0, "a read missed an entry that nobody removed");
    let hits = |key| {
        map.access()
            .read(&key, |value| value.hits.load(Ordering::Relaxed))
    };
    let hits: u64 = (0..KEYS).filter_map(hits).sum();
    assert_eq!(hits, UPDATES * THREADS as u64, "updates were lost");
}

/// Of several insertions of one absent key exactly one succeeds; the others get their value back,
/// and read the winner's.
pub fn an_absent_key_is_won_once<M: MapOf<V>, V: Sample>() {
    let map = M::default();
    for key in 0..ROUNDS {
        let answers = race(THREADS, |thread| {
            let (access, stamp) = (map.access(), thread as u64);
            match access.insert_if_absent(V::key(key), V::sample(stamp)) {
                Ok(()) => None,
                Err(rejected) => {
                    assert_eq!(rejected.stamp(), stamp, "a loser gets its own value back");
                    Some(stamp_of(&access, key))
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
            answers.iter().flatten().all(|read| *read == Some(winner)),
            "losers read the winner: {answers:?}"
        );
        assert_eq!(stamp_of(&map.access(), key), Some(winner));
    }
}

/// Of several removals of one entry exactly one succeeds.
pub fn a_removal_succeeds_once<M: MapOf<V>, V: Sample>() {
    let map = M::default();
    for key in 0..ROUNDS {
        insert_new(&map.access(), key, key);
        let answers = race(THREADS, |thread| {
            let access = map.access();
            if thread % 2 == 0 {
                access.remove(&V::key(key))
            } else {
                take(&access, key, |_| true) == Some(key)
            }
        });
        let removals = answers.iter().filter(|removed| **removed).count();
        assert_eq!(
            removals, 1,
            "one of {THREADS} removals of an entry succeeds: {answers:?}"
        );
        assert_eq!(stamp_of(&map.access(), key), None);
    }
}

/// While threads insert and remove the same few keys, every insertion that succeeded is answered by
/// one removal, or is still there at the end.
pub fn insertions_and_removals_balance<M: MapOf<V>, V: Sample>() {
    const KEYS: u64 = 3;
    let map = M::default();
    let tallies = race(THREADS, |thread| {
        let (mut inserted, mut removed) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS * 10 {
            let key = round % KEYS;
            let stamp = thread as u64 * 1_000_000 + round;
            if map
                .access()
                .insert_if_absent(V::key(key), V::sample(stamp))
                .is_ok()
            {
                inserted.push(stamp);
            }
            if round % 3 != thread as u64 % 3 {
                removed.extend(take(&map.access(), key, |_| true));
            }
        }
        (inserted, removed)
    });
    let (inserted, removed): (Vec<_>, Vec<_>) = tallies.into_iter().unzip();
    let inserted: HashSet<u64> = inserted.into_iter().flatten().collect();
    let mut accounted: Vec<u64> = removed.into_iter().flatten().collect();
    map.access()
        .for_each(|_, value| accounted.push(value.stamp()));
    assert_eq!(
        accounted.len(),
        inserted.len(),
        "entries were lost, or removed twice"
    );
    assert_eq!(accounted.into_iter().collect::<HashSet<_>>(), inserted);
}

/// A conditional removal removes the value that its condition accepted, not one that took its
/// place.
pub fn a_removal_takes_what_its_condition_accepted<M: MapOf<V>, V: Sample>() {
    let map = M::default();
    for round in 0..ROUNDS {
        insert_new(&map.access(), 0, 0);
        let answers = race(2, |thread| {
            let access = map.access();
            if thread == 0 {
                let old = take(&access, 0, |_| true);
                insert_new(&access, 0, 1);
                old
            } else {
                take(&access, 0, |stamp| stamp == 0)
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
        assert_eq!(
            take(&map.access(), 0, |_| true),
            Some(1),
            "the second value stays"
        );
    }
}

/// An iteration meets every entry that is there throughout, though others come and go and the map
/// grows.
pub fn an_iteration_meets_what_stays<M: MapOf<V>, V: Sample>() {
    const STAY: u64 = 500;
    let map = M::default();
    for key in 0..STAY {
        insert_new(&map.access(), key, key);
    }
    let iterating = AtomicBool::new(true);
    let answers = race(3, |thread| {
        if thread > 0 {
            let mut round = 0;
            while iterating.load(Ordering::Relaxed) {
                let base = STAY + thread as u64 * 1_000_000 + round % 4 * 1_000;
                for key in base..base + 1_000 {
                    let _ = map.access().insert_if_absent(V::key(key), V::sample(key));
                }
                for key in base..base + 1_000 {
                    map.access().remove(&V::key(key));
                }
                round += 1;
            }
            return None;
        }
        let mut complaint = None;
        for _ in 0..50 {
            let mut met = HashSet::new();
            let mut strangers = 0;
            map.access().for_each(|key, value| {
                strangers += usize::from(*key != V::key(value.stamp()));
                met.insert(value.stamp());
            });
            let missed = (0..STAY).filter(|stamp| !met.contains(stamp)).count();
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
