//! The suite has teeth: each flaw that can be planted in a naive store fails the tests that are about it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use affinity::conformance::{Subject, bindings, expiry, keys};
use affinity::{
    AffinityStore, Binding, BindingKind, ExpireCause, Expired, SessionKey, SessionRef, StoreError,
    Written,
};
use pollster::block_on;
use worker_id::WorkerWithDpRank;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    ForgetsIncarnations,
    ForgetsTheKind,
    GenerationsPerEntry,
    BindKeepsTheGeneration,
    ClaimReplaces,
    ClaimTellsNothing,
    RefreshIgnoresTheWorker,
    RefreshIgnoresTheIncarnation,
    RebindIgnoresTheGeneration,
    RebindBindsWhatIsAbsent,
    RemoveIfRemoves,
    RemoveKeeps,
    ScopesAreJoined,
    IdsAreTrimmed,
    TakesAnyKey,
    NeverRunsOut,
    RunsOutWhenSwept,
    GetDoesNotRefresh,
    PeekRefreshes,
    LostClaimRefreshes,
    TellsTwice,
    TellsOfRouters,
    TellsOfRemovals,
    ForgetsWhatWasReplaced,
}

#[derive(Debug)]
struct Pinned {
    binding: Binding,
    deadline: Duration,
}

/// A naive store, with or without a flaw.
#[derive(Debug)]
struct Naive {
    flaw: Flaw,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    generation: u64,
    pins: BTreeMap<String, (SessionKey, Pinned)>,
    told: Vec<Expired>,
}

const TTL: Duration = Duration::from_secs(8);

impl Naive {
    fn new(flaw: Flaw) -> Self {
        Self {
            flaw,
            state: Mutex::default(),
        }
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn name(&self, key: SessionRef<'_>) -> Result<String, StoreError> {
        if !self.has(Flaw::TakesAnyKey) {
            key.check(256)?;
        }
        if self.has(Flaw::ScopesAreJoined) {
            return Ok(format!("{}{}", key.tenant.unwrap_or_default(), key.session));
        }
        if self.has(Flaw::IdsAreTrimmed) {
            return Ok(
                key.session.trim().to_owned() + &format!("{:?}", (key.tenant, key.model, key.leg))
            );
        }
        Ok(format!("{key:?}"))
    }

    /// The store's state, with what has run out of this key ended.
    fn at(&self, name: &str, swept: bool) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = state.now;
        let over = state
            .pins
            .get(name)
            .is_some_and(|(_, pin)| pin.deadline <= now);
        if over && !self.has(Flaw::NeverRunsOut) && (swept || !self.has(Flaw::RunsOutWhenSwept)) {
            self.end(
                &mut state,
                name,
                swept || !self.has(Flaw::ForgetsWhatWasReplaced),
            );
        }
        state
    }

    fn end(&self, state: &mut State, name: &str, tell: bool) {
        let Some((key, pin)) = state.pins.remove(name) else {
            return;
        };
        let engine =
            pin.binding.kind == BindingKind::EngineBacked || self.has(Flaw::TellsOfRouters);
        let expired = Expired {
            key,
            binding: pin.binding,
            cause: ExpireCause::Idle,
        };
        let times = usize::from(tell && engine) * if self.has(Flaw::TellsTwice) { 2 } else { 1 };
        state.told.extend(vec![expired; times]);
    }

    fn put(
        &self,
        state: &mut State,
        name: &str,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Written {
        let old = state.pins.get(name).map(|(_, pin)| pin.binding.generation);
        state.generation += 1;
        let generation = match old {
            Some(old) if self.has(Flaw::BindKeepsTheGeneration) => old,
            old if self.has(Flaw::GenerationsPerEntry) => old.unwrap_or_default() + 1,
            _ => state.generation,
        };
        let worker = if self.has(Flaw::ForgetsIncarnations) {
            WorkerWithDpRank::new(worker.worker_id, worker.dp_rank)
        } else {
            worker
        };
        let kind = if self.has(Flaw::ForgetsTheKind) {
            BindingKind::RouterOnly
        } else {
            kind
        };
        let binding = Binding {
            worker,
            kind,
            generation,
        };
        let deadline = state.now + TTL;
        let short = SessionRef {
            session: &key.session[..key.session.len().min(256)],
            ..SessionRef::new("s")
        };
        let key = SessionKey::new(key)
            .or_else(|_| SessionKey::new(short))
            .unwrap_or_else(|_| SessionKey::new("s").unwrap());
        state
            .pins
            .insert(name.to_owned(), (key, Pinned { binding, deadline }));
        Written::applied(Some(binding))
    }

    fn find(&self, key: SessionRef<'_>, refresh: bool) -> Result<Option<Binding>, StoreError> {
        let name = self.name(key)?;
        let mut state = self.at(&name, false);
        let deadline = state.now + TTL;
        Ok(state.pins.get_mut(&name).map(|(_, pin)| {
            if refresh {
                pin.deadline = deadline;
            }
            pin.binding
        }))
    }
}

fn holder(state: &State, name: &str) -> Option<Binding> {
    state.pins.get(name).map(|(_, pin)| pin.binding)
}

impl AffinityStore for Naive {
    async fn get(&self, key: SessionRef<'_>) -> Result<Option<Binding>, StoreError> {
        self.find(key, !self.has(Flaw::GetDoesNotRefresh))
    }

    async fn peek(&self, key: SessionRef<'_>) -> Result<Option<Binding>, StoreError> {
        self.find(key, self.has(Flaw::PeekRefreshes))
    }

    async fn bind(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        let name = self.name(key)?;
        let mut state = self.at(&name, false);
        Ok(self.put(&mut state, &name, key, worker, kind))
    }

    async fn claim(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        let name = self.name(key)?;
        let mut state = self.at(&name, false);
        if let Some(holder) = holder(&state, &name).filter(|_| !self.has(Flaw::ClaimReplaces)) {
            if self.has(Flaw::LostClaimRefreshes) {
                drop(state);
                let _ = self.find(key, true);
            }
            return Ok(Written::declined(
                (!self.has(Flaw::ClaimTellsNothing)).then_some(holder),
            ));
        }
        Ok(self.put(&mut state, &name, key, worker, kind))
    }

    async fn refresh_if(
        &self,
        key: SessionRef<'_>,
        worker: WorkerWithDpRank,
    ) -> Result<Written, StoreError> {
        let found = self.find(key, false)?;
        let same = |binding: &Binding| {
            self.has(Flaw::RefreshIgnoresTheWorker)
                || binding.worker.same_incarnation(&worker)
                || self.has(Flaw::RefreshIgnoresTheIncarnation) && binding.worker == worker
        };
        if found.as_ref().is_some_and(same) {
            return Ok(Written::applied(self.find(key, true)?));
        }
        Ok(Written::declined(found))
    }

    async fn rebind_if(
        &self,
        key: SessionRef<'_>,
        observed: u64,
        worker: WorkerWithDpRank,
        kind: BindingKind,
    ) -> Result<Written, StoreError> {
        let name = self.name(key)?;
        let mut state = self.at(&name, false);
        let now = holder(&state, &name);
        let applies = now.map_or(self.has(Flaw::RebindBindsWhatIsAbsent), |binding| {
            binding.generation == observed || self.has(Flaw::RebindIgnoresTheGeneration)
        });
        if applies {
            return Ok(self.put(&mut state, &name, key, worker, kind));
        }
        Ok(Written::declined(now))
    }

    async fn remove(&self, key: SessionRef<'_>) -> Result<Written, StoreError> {
        let found = self
            .find(key, false)?
            .map_or(0, |binding| binding.generation);
        self.remove_if(key, found).await
    }

    async fn remove_if(&self, key: SessionRef<'_>, observed: u64) -> Result<Written, StoreError> {
        let name = self.name(key)?;
        let mut state = self.at(&name, false);
        let now = holder(&state, &name);
        let applies = now.is_some_and(|binding| {
            binding.generation == observed || self.has(Flaw::RemoveIfRemoves)
        });
        if applies && !self.has(Flaw::RemoveKeeps) {
            self.end(&mut state, &name, self.has(Flaw::TellsOfRemovals));
        }
        Ok(if applies {
            Written::applied(None)
        } else {
            Written::declined(now)
        })
    }
}

impl Subject for Naive {
    type Store = Self;
    const TTL: Duration = TTL;

    fn store(&self) -> &Self {
        self
    }

    async fn elapse(&self, time: Duration) {
        let names: Vec<String> = {
            let mut state = self.at("", false);
            state.now += time;
            // Sweeps come late, so that what is come upon first is tested, too.
            let slow = state.now < TTL * 3 || self.has(Flaw::RunsOutWhenSwept);
            if slow {
                vec![]
            } else {
                state.pins.keys().cloned().collect()
            }
        };
        for name in names {
            drop(self.at(&name, true));
        }
    }

    fn expired(&self) -> Vec<Expired> {
        self.at("", false).told.clone()
    }
}

/// The tests of the suite that this store fails.
fn failed(flaw: Flaw) -> Vec<&'static str> {
    let mut failed = Vec::new();
    macro_rules! run {
        ($($module:ident: $($test:ident),+;)+) => {
            $($(
                let test = || block_on($module::$test(&Naive::new(flaw)));
                if catch_unwind(AssertUnwindSafe(test)).is_err() {
                    failed.push(stringify!($test));
                }
            )+)+
        };
    }
    run! {
        bindings: an_unbound_session_has_nothing, a_binding_comes_back_whole, a_bind_replaces, a_claim_loses_to_who_is_there,
            racing_claims_have_one_winner, a_refresh_is_the_workers_own, a_rebind_goes_by_generation,
            racing_rebinds_have_one_winner, a_removal_ends_what_it_observed, a_generation_is_never_given_twice;
        keys: scopes_are_strangers, odd_ids_are_ids, empty_and_oversized_keys_are_refused;
        expiry: an_idle_binding_is_absent_to_every_operation, uses_let_the_time_begin_anew, looks_do_not,
            an_idle_engine_session_is_told_once, what_was_removed_or_replaced_is_not_told,
            what_ran_out_before_it_was_replaced_is_told;
    }
    failed
}

#[test]
fn a_store_without_a_flaw_passes() {
    assert_eq!(failed(Flaw::None), [""; 0]);
}

#[test]
fn each_flaw_fails_what_is_about_it() {
    for (flaw, test) in [
        (Flaw::ForgetsIncarnations, "a_binding_comes_back_whole"),
        (Flaw::ForgetsTheKind, "a_binding_comes_back_whole"),
        (
            Flaw::GenerationsPerEntry,
            "a_generation_is_never_given_twice",
        ),
        (Flaw::BindKeepsTheGeneration, "a_bind_replaces"),
        (Flaw::ClaimReplaces, "a_claim_loses_to_who_is_there"),
        (Flaw::ClaimReplaces, "racing_claims_have_one_winner"),
        (Flaw::ClaimTellsNothing, "racing_claims_have_one_winner"),
        (
            Flaw::RefreshIgnoresTheWorker,
            "a_refresh_is_the_workers_own",
        ),
        (
            Flaw::RefreshIgnoresTheIncarnation,
            "a_refresh_is_the_workers_own",
        ),
        (
            Flaw::RebindIgnoresTheGeneration,
            "a_rebind_goes_by_generation",
        ),
        (
            Flaw::RebindIgnoresTheGeneration,
            "racing_rebinds_have_one_winner",
        ),
        (
            Flaw::RebindBindsWhatIsAbsent,
            "an_unbound_session_has_nothing",
        ),
        (Flaw::RemoveIfRemoves, "a_removal_ends_what_it_observed"),
        (Flaw::RemoveKeeps, "a_removal_ends_what_it_observed"),
        (Flaw::ScopesAreJoined, "scopes_are_strangers"),
        (Flaw::IdsAreTrimmed, "odd_ids_are_ids"),
        (Flaw::TakesAnyKey, "empty_and_oversized_keys_are_refused"),
        (
            Flaw::NeverRunsOut,
            "an_idle_binding_is_absent_to_every_operation",
        ),
        (
            Flaw::RunsOutWhenSwept,
            "an_idle_binding_is_absent_to_every_operation",
        ),
        (Flaw::GetDoesNotRefresh, "uses_let_the_time_begin_anew"),
        (Flaw::PeekRefreshes, "looks_do_not"),
        (Flaw::LostClaimRefreshes, "looks_do_not"),
        (Flaw::TellsTwice, "an_idle_engine_session_is_told_once"),
        (Flaw::TellsOfRouters, "an_idle_engine_session_is_told_once"),
        (
            Flaw::TellsOfRemovals,
            "what_was_removed_or_replaced_is_not_told",
        ),
        (
            Flaw::ForgetsWhatWasReplaced,
            "what_ran_out_before_it_was_replaced_is_told",
        ),
    ] {
        let failed = failed(flaw);
        assert!(
            failed.contains(&test),
            "{flaw:?} passes {test}, and fails {failed:?}"
        );
    }
}
