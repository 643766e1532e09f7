//! A manager against the naive gateway: random changes, alone and in batches, on every map, compared after each.

use crate::backends::{Upstream, worker};
use crate::naive::{Naive, Step};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};
use router_snapshot::{
    Batch, ChangeError, Connection, Rejected, Role, RouterClass, RouterManager, RouterMap,
    RouterMode, Runtime, SelectError, Selected, Selection, WorkerSpec,
};

crate::backends::on_every_backend! { matches_the_naive_gateway }

const IDS: [&str; 4] = ["a", "b", "c", "d"];
const MODELS: [&str; 4] = ["m", "n", "o", ""];
const WORKERS: u64 = 5;

fn any_spec() -> impl Strategy<Value = WorkerSpec> {
    let role = prop_oneof![Just(Role::Regular), Just(Role::Prefill), Just(Role::Decode)];
    let connection = prop_oneof![Just(Connection::Http), Just(Connection::Grpc)];
    let runtime = prop_oneof![3 => Just(Runtime::Local), 1 => Just(Runtime::External)];
    let models = vec(prop_oneof![9 => 0..3_usize, 1 => Just(3)], 0..3);
    let identity = (0..WORKERS, proptest::option::of(0..2_u64));
    (identity, models, role, connection, runtime, any::<bool>()).prop_map(
        |((number, incarnation), models, role, connection, runtime, healthy)| WorkerSpec {
            id: incarnation.map_or(worker(number), |life| worker(number).with_incarnation(life)),
            models: models.into_iter().map(|at| MODELS[at].into()).collect(),
            role,
            connection,
            runtime,
            healthy,
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    let id = || prop::sample::select(&IDS[..]);
    let class = prop::sample::select(&RouterClass::ALL[..]);
    let any_worker = || (0..WORKERS).prop_map(worker);
    prop_oneof![
        4 => (id(), class, any::<u64>()).prop_map(|(id, class, number)| Step::Register(id, class, number)),
        2 => id().prop_map(Step::Deregister),
        1 => id().prop_map(Step::SetDefault),
        5 => any_spec().prop_map(Step::Upsert),
        1 => any_worker().prop_map(Step::Remove),
        2 => (any_worker(), any::<bool>()).prop_map(|(id, healthy)| Step::SetHealth(id, healthy)),
    ]
}

/// One change by its own method, or several in one update.
#[derive(Clone, Debug)]
enum Call {
    One(Step),
    Many(Vec<Step>),
}

fn any_call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => any_step().prop_map(Call::One),
        1 => vec(any_step(), 0..6).prop_map(Call::Many),
    ]
}

type Manager<M> = RouterManager<Upstream, M>;

fn put(batch: &mut Batch<Upstream>, step: &Step) {
    match step.clone() {
        Step::Register(id, class, number) => batch.register(id, Upstream::new(class, number)),
        Step::Deregister(id) => batch.deregister(id),
        Step::SetDefault(id) => batch.set_default(id),
        Step::Upsert(spec) => batch.upsert_worker(spec),
        Step::Remove(id) => batch.remove_worker(id),
        Step::SetHealth(id, healthy) => batch.set_health(id, healthy),
    };
}

/// What the call answers says what there was before it.
fn call<M: RouterMap<Upstream>>(
    manager: &Manager<M>,
    step: &Step,
    before: &Naive,
) -> Result<(), ChangeError> {
    fn reason<T>(rejected: Rejected<T>) -> ChangeError {
        rejected.reason
    }
    let known = |id| before.workers.iter().find(|worker| worker.id == id);
    match step.clone() {
        Step::Register(id, class, number) => manager
            .register(id, Upstream::new(class, number))
            .map_err(reason)?,
        Step::Deregister(id) => {
            let known = before.routers.iter().find(|(known, ..)| known == id);
            let gone = manager.deregister(id).map(|router| router.number);
            assert_eq!(gone, known.map(|(_, _, number)| *number));
        }
        Step::SetDefault(id) => manager.set_default(id).map_err(reason)?,
        Step::Upsert(spec) => manager.upsert_worker(spec).map_err(reason)?,
        Step::Remove(id) => assert_eq!(manager.remove_worker(id).as_deref(), known(id)),
        Step::SetHealth(id, healthy) => {
            let news = known(id).is_some_and(|worker| worker.healthy != healthy);
            assert_eq!(manager.set_health(id, healthy), news);
        }
    }
    Ok(())
}

fn agrees<M: RouterMap<Upstream>>(manager: &Manager<M>, naive: &Naive) -> TestCaseResult {
    for prefer_pd in [false, true] {
        for model in [
            None,
            Some("m"),
            Some("n"),
            Some("o"),
            Some("unknown"),
            Some(""),
        ] {
            let selected = manager.select(&Selection { model, prefer_pd });
            if let Ok(selected) = &selected {
                selected.check();
                let known = naive
                    .routers
                    .iter()
                    .find(|(.., number)| *number == selected.number);
                let (id, class, _) = known.unwrap();
                prop_assert_eq!(Selected::id(selected).as_str(), id);
                prop_assert_eq!(Selected::class(selected), *class);
                prop_assert_eq!(Selected::generation(selected), manager.generation());
            }
            prop_assert_eq!(
                selected.map(|router| router.number),
                naive.select(model, prefer_pd),
                "{:?} {}",
                model,
                prefer_pd
            );
        }
    }
    prop_assert_eq!(manager.router_count(), naive.routers.len());
    for id in IDS {
        let known = naive.routers.iter().find(|(known, ..)| known == id);
        let found = manager.router(id).map(|router| router.number);
        prop_assert_eq!(found, known.map(|(_, _, number)| *number));
    }
    for number in 0..WORKERS {
        let known = naive.workers.iter().find(|spec| spec.id == worker(number));
        let found = manager.worker(worker(number));
        prop_assert_eq!(found.as_deref(), known);
        if let (Some(found), Some(known)) = (found, known) {
            prop_assert!(found.id.same_incarnation(&known.id));
        }
    }
    let models = naive.models();
    prop_assert!(
        manager
            .models()
            .iter()
            .map(AsRef::as_ref)
            .eq(models.iter().map(String::as_str))
    );
    match (&models[..], manager.resolve_model(None)) {
        ([], resolved) => prop_assert_eq!(resolved, Err(SelectError::NoWorkers)),
        ([only], resolved) => prop_assert_eq!(resolved.unwrap(), only.as_str()),
        (all, Err(SelectError::ModelRequired { available })) => {
            prop_assert_eq!(available.len(), all.len());
        }
        (_, resolved) => prop_assert!(false, "{:?}", resolved),
    }
    Ok(())
}

fn matches_the_naive_gateway<M: RouterMap<Upstream> + Default>() {
    let runner = Config {
        failure_persistence: None,
        ..Config::default()
    };
    let single = prop::bool::weighted(0.1);
    let outcome =
        TestRunner::new(runner).run(&(single, vec(any_call(), 0..40)), |(single, calls)| {
            let mode = if single {
                RouterMode::Single
            } else {
                RouterMode::Multi
            };
            let manager = Manager::with_map(mode, M::default());
            let mut naive = Naive {
                mode,
                ..Naive::default()
            };
            // Selections that were made before stay as they were.
            let mut held = Vec::new();
            for each in calls {
                let generation = manager.generation();
                let before = naive.clone();
                let accepted = match &each {
                    Call::One(step) => {
                        let accepted = naive.step(step);
                        prop_assert_eq!(call(&manager, step, &before).is_ok(), accepted);
                        accepted
                    }
                    Call::Many(steps) => {
                        let accepted = steps.iter().all(|step| naive.step(step));
                        if !accepted {
                            naive = before.clone();
                        }
                        let updated =
                            manager.update(|batch| steps.iter().for_each(|step| put(batch, step)));
                        prop_assert_eq!(updated.is_ok(), accepted);
                        accepted
                    }
                };
                let published = manager.generation() - generation;
                prop_assert!(published <= 1);
                prop_assert!(accepted || published == 0, "a refused change was published");
                prop_assert!(
                    naive == before || published == 1,
                    "a change was not published"
                );
                agrees(&manager, &naive)?;
                if let Ok(selected) = manager.select(&Selection::default()) {
                    held.push((selected.number, Selected::generation(&selected), selected));
                }
            }
            for (number, generation, selected) in &held {
                selected.check();
                prop_assert_eq!(
                    (selected.number, Selected::generation(selected)),
                    (*number, *generation)
                );
            }
            Ok(())
        });
    if let Err(failure) = outcome {
        panic!("the manager and the naive gateway disagree: {failure}");
    }
}
