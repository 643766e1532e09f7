//! A feed of 100,000 events, doubled, out of order and with lost stretches, and then a full list:
//! what is known then is the list. Three seeds, or as many as `INFLIGHT_SEEDS` says.

use std::collections::BTreeMap;

use crate::backends::Upstream;
use linearize::Rng;
use router_snapshot::{Role, RouterManager, RouterMap, RouterMode, WorkerSpec};
use worker_id::{Effect, WorkerState, WorkerWithDpRank};

crate::backends::on_every_backend! { after_a_full_list_the_fleet_is_the_list }

const EVENTS: u64 = 100_000;
const WORKERS: u64 = 60;

type Manager<M> = RouterManager<Upstream, (), M>;

#[derive(Clone, Debug)]
enum Event {
    Upsert(WorkerSpec),
    State(WorkerWithDpRank, WorkerState),
    Left(WorkerWithDpRank),
}

/// The fleet as it is, which changes an event at a time.
struct Truth {
    rng: Rng,
    revision: u64,
    lives: BTreeMap<u64, u64>,
    there: BTreeMap<u64, WorkerSpec>,
    ordered: bool,
}

impl Truth {
    fn next(&mut self) -> Event {
        self.revision += 1;
        let id = self.rng.below(WORKERS);
        let model = format!("model-{}", self.rng.below(6));
        let role = *self.rng.pick(&[Role::Regular, Role::Prefill, Role::Decode]);
        let Some(spec) = self.there.get_mut(&id) else {
            let life = self.lives.entry(id).or_default();
            *life += 1;
            let worker = WorkerWithDpRank::new(id / 2, u32::from(id % 2 == 1));
            let worker = if self.ordered {
                worker.with_ordered_incarnation(*life)
            } else {
                // As random as a lease: nothing says which came first.
                worker.with_incarnation(life.wrapping_mul(0x9E37_79B9_7F4A_7C15))
            };
            let spec = WorkerSpec::new(worker, [model]).with_role(role);
            let spec = spec.with_state(WorkerState::Healthy);
            self.there.insert(id, spec.clone());
            return Event::Upsert(spec);
        };
        let worker = spec.id;
        match self.rng.below(12) {
            0 => {
                self.there.remove(&id);
                Event::Left(worker)
            }
            1..=6 => {
                let state = *self.rng.pick(&WorkerState::ALL);
                spec.state = Some(state);
                Event::State(worker, state)
            }
            _ => {
                *spec = WorkerSpec {
                    models: vec![model.into()],
                    role,
                    ..spec.clone()
                };
                // A refresh says nothing of the state.
                let said = WorkerSpec {
                    state: None,
                    ..spec.clone()
                };
                Event::Upsert(said)
            }
        }
    }

    fn list(&self) -> Vec<WorkerSpec> {
        self.there.values().cloned().collect()
    }
}

fn apply<M: RouterMap>(manager: &Manager<M>, event: &Event, as_of: Option<u64>) -> Effect {
    let done = manager.update(|batch| {
        match event.clone() {
            Event::Upsert(spec) => batch.as_of(as_of).upsert_worker(spec),
            Event::State(worker, state) => batch.as_of(as_of).set_state(worker, state),
            Event::Left(worker) => batch.as_of(as_of).remove_worker(worker),
        };
    });
    done.unwrap()
}

/// All that a list says, as texts.
fn shown(spec: &WorkerSpec, state: Option<WorkerState>) -> String {
    format!("{} {:?} {} {state:?}", spec.id, spec.models, spec.role)
}

fn known<M: RouterMap>(manager: &Manager<M>) -> Vec<String> {
    let snapshot = manager.snapshot();
    let mut all: Vec<_> = snapshot
        .workers()
        .map(|worker| shown(worker, Some(worker.state())))
        .collect();
    all.sort_unstable();
    all
}

fn run<M: RouterMap + Default>(seed: u64) {
    let manager = Manager::<M>::with_map(RouterMode::Multi, M::default());
    let (ordered, revisions) = (!seed.is_multiple_of(3), seed % 3 != 1);
    let mut truth = Truth {
        rng: Rng::new(seed),
        revision: 0,
        lives: BTreeMap::new(),
        there: BTreeMap::new(),
        ordered,
    };
    let mut rng = Rng::new(seed + 1_000);
    let as_of = |revision: u64| revisions.then_some(revision);
    // What is on its way, and may overtake.
    let mut coming: Vec<(Event, Option<u64>)> = Vec::new();
    let mut lost = 0;
    let mut effects = [0_u64; 3];
    for _ in 0..EVENTS {
        let news = (truth.next(), as_of(truth.revision));
        if rng.below(2_000) == 0 {
            lost = 500;
        }
        if lost > 0 {
            lost -= 1;
            // A list in the middle, taken before what is on its way has arrived.
            if lost == 0 {
                manager
                    .replace_all(as_of(truth.revision), truth.list())
                    .unwrap();
            }
            continue;
        }
        if rng.below(10) == 0 {
            coming.push(news.clone());
        }
        coming.push(news);
        while coming.len() > 8 {
            let next = rng.below(coming.len() as u64);
            let (event, as_of) = coming.swap_remove(usize::try_from(next).unwrap());
            effects[match apply(&manager, &event, as_of) {
                Effect::Changed => 0,
                Effect::Unchanged => 1,
                Effect::Ignored(_) => 2,
            }] += 1;
        }
    }
    assert!(effects.iter().all(|count| *count > 1_000), "{effects:?}");
    let fleet = truth.list();
    let mut listed: Vec<_> = fleet.iter().map(|spec| shown(spec, spec.state)).collect();
    listed.sort_unstable();
    manager
        .replace_all(as_of(truth.revision), fleet.clone())
        .unwrap();
    assert_eq!(known(&manager), listed, "seed {seed}");

    // Where there are revisions, what still comes is known to be older.
    if revisions {
        for (event, as_of) in coming {
            let late = apply(&manager, &event, as_of);
            assert!(late.ignored().is_some(), "{late:?}");
        }
    }
    let generation = manager.generation();
    let again = manager.replace_all(as_of(truth.revision), fleet);
    assert_eq!(again.unwrap(), Effect::Unchanged);
    assert_eq!(
        (manager.generation(), known(&manager)),
        (generation, listed)
    );
}

fn after_a_full_list_the_fleet_is_the_list<M: RouterMap + Default>() {
    let seeds = std::env::var("INFLIGHT_SEEDS").ok();
    let seeds = seeds.map_or(3, |seeds| seeds.parse().expect("a number of seeds"));
    (0..seeds).for_each(run::<M>);
}
