//! A manager against the naive gateway: random changes, alone and in batches, on every map,
//! compared after each.

use std::collections::BTreeSet;

use crate::backends::Upstream;
use crate::naive::{Naive, Step};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use router_snapshot::{
    Batch, ChangeError, Connection, Rejected, Role, RouterClass, RouterManager, RouterMap,
    RouterMode, RouterSnapshot, Runtime, SelectError, Selected, Selection, WorkerSpec, Workers,
};
use worker_id::{Effect, Ranks, WorkerRanks, WorkerState, WorkerWithDpRank};

crate::backends::on_every_backend! { matches_the_naive_gateway }

const IDS: [&str; 4] = ["a", "b", "c", "d"];
const MODELS: [&str; 4] = ["m", "n", "o", ""];

fn any_id() -> impl Strategy<Value = WorkerWithDpRank> {
    let life = prop_oneof![3 => Just((0, 0)), 2 => (Just(1), 0..3_u64), 2 => (Just(2), 0..3_u64)];
    (0..4_u64, 0..2_u32, life).prop_map(|(id, rank, (kind, number))| {
        let worker = WorkerWithDpRank::new(id, rank);
        match kind {
            0 => worker,
            1 => worker.with_incarnation(number),
            _ => worker.with_ordered_incarnation(number),
        }
    })
}

fn any_ranks() -> impl Strategy<Value = WorkerRanks> {
    (any_id(), any::<bool>()).prop_map(|(id, all)| {
        let one = WorkerRanks::from(id);
        let ranks = if all { Ranks::All } else { one.ranks };
        WorkerRanks { ranks, ..one }
    })
}

fn any_state() -> impl Strategy<Value = WorkerState> {
    select(&WorkerState::ALL[..])
}

fn any_spec() -> impl Strategy<Value = WorkerSpec> {
    let role = prop_oneof![Just(Role::Regular), Just(Role::Prefill), Just(Role::Decode)];
    let connection = prop_oneof![Just(Connection::Http), Just(Connection::Grpc)];
    let runtime = prop_oneof![4 => Just(Runtime::Local), 1 => Just(Runtime::External)];
    let models = vec(prop_oneof![12 => 0..3_usize, 1 => Just(3)], 0..3);
    let state = prop_oneof![3 => Just(None), 1 => any_state().prop_map(Some)];
    (any_id(), models, role, connection, runtime, state).prop_map(
        |(id, models, role, connection, runtime, state)| {
            let spec = WorkerSpec::new(id, models.into_iter().map(|at| MODELS[at]))
                .with_role(role)
                .with_connection(connection)
                .with_runtime(runtime);
            WorkerSpec { state, ..spec }
        },
    )
}

fn as_of() -> impl Strategy<Value = Option<u64>> {
    option::weighted(0.4, 0..12_u64)
}

fn any_step() -> impl Strategy<Value = Step> {
    let id = || select(&IDS[..]);
    let class = select(&RouterClass::ALL[..]);
    prop_oneof![
        4 => (id(), class, any::<u64>())
            .prop_map(|(id, class, number)| Step::Register(id, class, number)),
        2 => id().prop_map(Step::Deregister),
        1 => id().prop_map(Step::SetDefault),
        8 => (any_spec(), as_of()).prop_map(|(spec, as_of)| Step::Upsert(spec, as_of)),
        1 => (any_ranks(), as_of()).prop_map(|(ranks, as_of)| Step::Remove(ranks, as_of)),
        2 => (any_ranks(), any_state(), as_of())
            .prop_map(|(ranks, state, as_of)| Step::SetState(ranks, state, as_of)),
    ]
}

/// One change by its own method where it has one, several in one update, or a list.
#[derive(Clone, Debug)]
enum Call {
    One(Step),
    Many(Vec<Step>),
    List(Vec<WorkerSpec>, Option<u64>),
}

fn any_call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => any_step().prop_map(Call::One),
        2 => vec(any_step(), 0..6).prop_map(Call::Many),
        1 => (vec(any_spec(), 0..5), as_of()).prop_map(|(fleet, as_of)| Call::List(fleet, as_of)),
    ]
}

type Manager<M> = RouterManager<Upstream, (), M>;

fn put(batch: &mut Batch<Upstream>, step: &Step) {
    match step.clone() {
        Step::Register(id, class, number) => batch.register(id, Upstream::new(class, number)),
        Step::Deregister(id) => batch.deregister(id),
        Step::SetDefault(id) => batch.set_default(id),
        Step::Upsert(spec, as_of) => batch.as_of(as_of).upsert_worker(spec),
        Step::Remove(ranks, as_of) => batch.as_of(as_of).remove_worker(ranks),
        Step::SetState(ranks, state, as_of) => batch.as_of(as_of).set_state(ranks, state),
    };
}

fn reason<T>(rejected: Rejected<T>) -> ChangeError {
    rejected.reason
}

/// By its own method, whose answer is compared.
fn call<M: RouterMap>(manager: &Manager<M>, naive: &mut Naive, step: &Step) {
    let before = naive.clone();
    let expected = naive.update(std::slice::from_ref(step));
    let effect = match step.clone() {
        Step::Register(id, class, number) => manager
            .register(id, Upstream::new(class, number))
            .map(|()| Effect::Changed)
            .map_err(reason),
        Step::Deregister(id) => {
            let known = before.routers.iter().find(|(known, ..)| known == id);
            let gone = manager.deregister(id).map(|router| router.number);
            assert_eq!(gone, known.map(|(_, _, number)| *number));
            expected.clone()
        }
        Step::SetDefault(id) => manager.set_default(id).map_err(reason),
        Step::Upsert(spec, None) => manager.upsert_worker(spec).map_err(reason),
        Step::Remove(ranks, None) => Ok(manager.remove_worker(ranks)),
        Step::SetState(ranks, state, None) => Ok(manager.set_state(ranks, state)),
        _ => manager.update(|batch| put(batch, step)).map_err(reason),
    };
    assert_eq!(effect, expected, "{step:?}");
}

fn ids(workers: Workers<'_, ()>) -> Vec<WorkerWithDpRank> {
    let mut ids: Vec<_> = workers.iter().map(|worker| worker.id).collect();
    ids.sort_unstable();
    ids
}

fn agrees<M: RouterMap>(manager: &Manager<M>, naive: &Naive) {
    let snapshot = manager.snapshot();
    assert_eq!(snapshot.generation(), naive.generation);
    for (prefer_pd, draining) in [(false, false), (true, false), (false, true), (true, true)] {
        for model in [
            None,
            Some("m"),
            Some("n"),
            Some("o"),
            Some("unknown"),
            Some(""),
        ] {
            let selection = Selection {
                model,
                prefer_pd,
                draining,
            };
            let expected = naive.select(&selection);
            let selected = manager.select(&selection);
            if let Ok(selected) = &selected {
                selected.check();
                let known = naive
                    .routers
                    .iter()
                    .find(|(.., number)| *number == selected.number);
                let (id, class, _) = known.unwrap();
                assert_eq!(Selected::id(selected).as_str(), id);
                assert_eq!(Selected::class(selected), *class);
                assert_eq!(Selected::generation(selected), naive.generation);
            }
            let number = selected.map(|router| (router.number, Selected::class(&router)));
            assert_eq!(number, expected, "{selection:?}");
            let eligible = snapshot.select(&selection);
            match (&eligible, &expected) {
                (Ok(eligible), Ok((number, class))) => {
                    assert_eq!(
                        (eligible.router().number, eligible.class()),
                        (*number, *class)
                    );
                    let named = model.filter(|name| !name.is_empty());
                    let named = named.filter(|model| naive.serves(*class, model, draining));
                    let open = |role| naive.open(named, *class, role, draining);
                    if class.is_pd() {
                        assert_eq!(ids(eligible.prefill()), open(Some(Role::Prefill)));
                        assert_eq!(ids(eligible.decode()), open(Some(Role::Decode)));
                        assert!(eligible.regular().is_empty());
                    } else {
                        assert_eq!(ids(eligible.regular()), open(None));
                        assert!(eligible.prefill().is_empty() && eligible.decode().is_empty());
                    }
                }
                (Err(error), Err(expected)) => assert_eq!(error, expected),
                (one, other) => panic!("{one:?}, {other:?}"),
            }
        }
    }
    let routers = snapshot
        .routers()
        .map(|(id, class, router)| (id.to_string(), class, router.number));
    assert_eq!(
        routers.collect::<BTreeSet<_>>(),
        naive.routers.iter().cloned().collect()
    );
    assert_eq!(snapshot.router_count(), naive.routers.len());
    for id in IDS {
        let known = naive.routers.iter().find(|(known, ..)| known == id);
        let found = manager.router(id).map(|router| router.number);
        assert_eq!(found, known.map(|(_, _, number)| *number));
    }
    for (id, rank) in (0..4).flat_map(|id| [(id, 0), (id, 1)]) {
        let id = WorkerWithDpRank::new(id, rank);
        let known = naive.workers.get(&id);
        let found = manager.worker(id);
        assert_eq!(found.is_some(), known.is_some());
        if let (Some(found), Some(known)) = (found, known) {
            assert_eq!(found.id.incarnation(), known.life);
            assert_eq!((found.role, found.class()), (known.role, known.class));
            assert_eq!(
                (found.state(), found.connection),
                (known.state, known.connection)
            );
            let models: Vec<_> = found.models.iter().map(ToString::to_string).collect();
            assert_eq!(models, known.models);
        }
    }
    assert_eq!(snapshot.workers().count(), naive.workers.len());
    assert_eq!(snapshot.worker_count(), naive.workers.len());
    for state in WorkerState::ALL {
        let known = naive
            .workers
            .values()
            .filter(|worker| worker.state == state);
        assert_eq!(snapshot.workers_in(state), known.count());
    }
    let models = naive.models();
    let mut names: Vec<_> = snapshot.models().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(names, models);
    for model in MODELS {
        let mut naming: Vec<_> = snapshot.workers_of(model).map(|worker| worker.id).collect();
        naming.sort_unstable();
        let known = naive
            .workers
            .iter()
            .filter(|(_, worker)| worker.models.iter().any(|name| name == model));
        assert_eq!(naming, known.map(|(id, _)| *id).collect::<Vec<_>>());
    }
    match (&models[..], snapshot.resolve_model(None)) {
        ([], resolved) => assert_eq!(resolved, Err(SelectError::NoWorkers)),
        ([only], resolved) => assert_eq!(resolved.unwrap(), only.as_str()),
        (all, Err(SelectError::ModelRequired { count, some })) => {
            assert_eq!((count, some.len()), (all.len(), all.len().min(8)));
        }
        (_, resolved) => panic!("{resolved:?}"),
    }
}

/// What a snapshot answers, as a text.
fn everything<M: RouterMap>(snapshot: &RouterSnapshot<'_, Upstream, (), M>) -> String {
    let selections =
        MODELS.map(|model| format!("{:?}", snapshot.select(&Selection::of_model(model))));
    let workers: Vec<_> = (0..4)
        .map(|id| {
            snapshot
                .worker(&id.into())
                .map(|worker| format!("{worker:?}"))
        })
        .collect();
    let routers = IDS.map(|id| snapshot.router(id).map(|router| router.number));
    format!("{snapshot:?} {selections:?} {workers:?} {routers:?}")
}

fn matches_the_naive_gateway<M: RouterMap + Default>() {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mode = prop_oneof![
        1 => Just(RouterMode::Single),
        6 => Just(RouterMode::Multi),
        2 => Just(RouterMode::MultiOrDefault),
    ];
    proptest!(config, |(mode in mode, calls in vec(any_call(), 0..40))| {
        let manager = Manager::with_map(mode, M::default());
        let mut naive = Naive { mode, ..Naive::default() };
        // What was answered before stays as it was.
        let mut held = Vec::new();
        let mut kept = Vec::new();
        for each in calls {
            match &each {
                Call::One(step) => call(&manager, &mut naive, step),
                Call::Many(steps) => {
                    let expected = naive.update(steps);
                    let updated =
                        manager.update(|batch| steps.iter().for_each(|step| put(batch, step)));
                    assert_eq!(updated.map_err(reason), expected);
                }
                Call::List(fleet, as_of) => {
                    let expected = naive.replace_all(fleet, *as_of);
                    let replaced = manager.replace_all(*as_of, fleet.clone());
                    assert_eq!(replaced.map_err(reason), expected);
                }
            }
            agrees(&manager, &naive);
            if let Ok(selected) = manager.select(&Selection::default()) {
                held.push((selected.number, Selected::generation(&selected), selected));
            }
            if kept.len() < 8 {
                let snapshot = manager.snapshot();
                let shown = everything(&snapshot);
                kept.push((snapshot, shown));
            }
            for (snapshot, shown) in &kept {
                assert_eq!(&everything(snapshot), shown, "what is kept does not change");
            }
        }
        for (number, generation, selected) in &held {
            selected.check();
            assert_eq!((selected.number, Selected::generation(selected)), (*number, *generation));
        }
    });
}
