//! Readers under constant updates, more of them than cores: every snapshot is whole, and none is
//! older than the one before.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::backends::{Upstream, all_of, spec, worker};
use router_snapshot::RouterClass::{HttpPd, HttpRegular};
use router_snapshot::{RouterManager, RouterMap, RouterMode, SelectError, Selected, Selection};
use worker_id::WorkerWithDpRank;

crate::backends::on_every_backend! {
    readers_see_whole_snapshots_and_none_goes_back, no_registration_is_lost
}

type Manager<M> = RouterManager<Upstream, (), M>;

/// Changes the only router and the only worker together: regular in even rounds, PD in odd ones.
fn round<M: RouterMap>(manager: &Manager<M>, number: u64) {
    let class = if number.is_multiple_of(2) {
        HttpRegular
    } else {
        HttpPd
    };
    manager
        .update(|batch| {
            batch
                .deregister("a")
                .register("a", Upstream::new(class, number));
            // Of another class there is one rank more, or less.
            batch
                .remove_worker(WorkerWithDpRank::new(1, 1))
                .set_default("a");
            for spec in all_of(1, class, &["m"]) {
                batch.upsert_worker(spec);
            }
        })
        .unwrap();
}

fn readers_see_whole_snapshots_and_none_goes_back<M: RouterMap + Default>() {
    const READERS: usize = 4;
    const ROUNDS: u64 = 4_000;
    let manager = Manager::<M>::with_map(RouterMode::MultiOrDefault, M::default());
    round(&manager, 1);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut last = 0;
                    let mut seen = 0_u64;
                    // More than arc-swap has slots for on a thread, so that both ways of reading
                    // are taken.
                    let mut held = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        for model in [None, Some("m"), Some("unknown")] {
                            let prefer_pd = seen.is_multiple_of(2);
                            let selection = Selection {
                                model,
                                prefer_pd,
                                ..Selection::default()
                            };
                            let selected = manager.select(&selection).unwrap();
                            selected.check();
                            let generation = Selected::generation(&selected);
                            // The round and the generation are one number, so a router of another
                            // snapshot shows.
                            assert_eq!(selected.number, generation, "a mixture of snapshots");
                            assert!(generation >= last, "time ran backwards");
                            seen += u64::from(generation > last);
                            last = generation;
                            held.push(selected);
                        }
                        let found = manager.router("a").expect("it is replaced, never removed");
                        found.check();
                        assert!(
                            found.number >= last,
                            "an older router than the one selected"
                        );
                        let spec = manager
                            .worker(worker(1))
                            .expect("it is replaced, never removed");
                        assert!(matches!(spec.class(), HttpPd | HttpRegular));
                        if held.len() > 12 {
                            held.drain(..).for_each(|selected| selected.check());
                        }
                    }
                    seen
                })
            })
            .collect();
        for number in 2..=ROUNDS {
            round(&manager, number);
            if number % 16 == 0 {
                thread::yield_now();
            }
            if number % 64 == 0 {
                let planted = catch_unwind(AssertUnwindSafe(|| {
                    manager.update(|batch| {
                        batch.deregister("a");
                        resume_unwind(Box::new("planted"));
                    })
                }));
                assert!(planted.is_err());
            }
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            assert!(
                reader.join().unwrap() > 1,
                "nothing changed under the reader"
            );
        }
    });
    assert_eq!(manager.generation(), ROUNDS);
    assert_eq!(manager.snapshot().router_count(), 1);
}

fn no_registration_is_lost<M: RouterMap + Default>() {
    const THREADS: u64 = 4;
    const EACH: u64 = 300;
    let manager = Manager::<M>::with_map(RouterMode::Multi, M::default());
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let manager = &manager;
            scope.spawn(move || {
                for number in (thread * EACH)..(thread * EACH + EACH) {
                    let id = number.to_string();
                    let model = format!("model-{number}");
                    let register =
                        || manager.register(id.as_str(), Upstream::new(HttpRegular, number));
                    register().unwrap();
                    if number % 16 == 0 {
                        thread::yield_now();
                    }
                    manager
                        .upsert_worker(spec(number, HttpRegular, &[&model]))
                        .unwrap();
                    // What has returned is seen, whatever the others publish.
                    let named = Selection {
                        model: Some(&model),
                        ..Selection::default()
                    };
                    assert!(manager.select(&named).is_ok());
                    assert_eq!(manager.router(&id).unwrap().number, number);
                    assert_eq!(register().unwrap_err().rejected.number, number);
                    if number % 3 == 0 {
                        drop(manager.deregister(id.as_str()).unwrap());
                        assert!(manager.remove_worker(worker(number)).is_changed());
                        let gone = manager.select(&named).map(|router| router.number);
                        assert!(matches!(
                            gone,
                            Err(SelectError::UnknownModel { .. } | SelectError::NoWorkers)
                        ));
                    }
                }
            });
        }
    });
    let left = THREADS * EACH * 2 / 3;
    assert_eq!(manager.snapshot().router_count() as u64, left);
    assert_eq!(manager.snapshot().model_count() as u64, left);
    assert_eq!(
        manager.generation(),
        THREADS * EACH * 2 + THREADS * EACH / 3 * 2
    );
    // One by one, so that each is the first of its class once.
    let mut selected = Vec::new();
    while let Ok(router) = manager.select_owned(&Selection::default()) {
        selected.push(router.number);
        assert!(manager.deregister(router.number.to_string()).is_some());
    }
    selected.sort_unstable();
    assert!(
        selected
            .into_iter()
            .eq((0..THREADS * EACH).filter(|number| number % 3 != 0))
    );
}
