//! The naive gateway: lists, and every answer worked out by looking through all of them.
//!
//! Which news of workers is believed it asks `worker_id::Lives`, which has a model of its own.

#![allow(dead_code)]

use std::collections::BTreeMap;

use router_snapshot::{
    ChangeError, Role, RouterClass, RouterMode, SelectError, Selection, WorkerSpec,
};
use worker_id::{
    Effect, Ignored, Incarnation, Known, Lives, News, Ranks, Ruling, Says, WorkerRanks,
    WorkerState, WorkerWithDpRank,
};

/// A router is its name, its class and a number of its own.
pub(crate) type Registered = (String, RouterClass, u64);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NaiveWorker {
    pub(crate) life: Option<Incarnation>,
    pub(crate) models: Vec<String>,
    pub(crate) role: Role,
    pub(crate) class: RouterClass,
    pub(crate) connection: router_snapshot::Connection,
    pub(crate) state: WorkerState,
}

/// As of when what is known.
pub(crate) type Secret = (Option<u64>, Option<u64>, Option<u64>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Naive {
    pub(crate) mode: RouterMode,
    /// In the order of registration.
    pub(crate) routers: Vec<Registered>,
    pub(crate) workers: BTreeMap<WorkerWithDpRank, NaiveWorker>,
    pub(crate) secrets: BTreeMap<WorkerWithDpRank, Secret>,
    pub(crate) lives: Lives,
    pub(crate) default: Option<String>,
    pub(crate) generation: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Register(&'static str, RouterClass, u64),
    Deregister(&'static str),
    SetDefault(&'static str),
    Upsert(WorkerSpec, Option<u64>),
    Remove(WorkerRanks, Option<u64>),
    SetState(WorkerRanks, WorkerState, Option<u64>),
}

impl Naive {
    /// All of the steps, as one change; or why none is done.
    pub(crate) fn update(&mut self, steps: &[Step]) -> Result<Effect, ChangeError> {
        let before = self.clone();
        let mut heard = Vec::new();
        for step in steps {
            match self.step(step) {
                Ok(news) => heard.extend(news),
                Err(why) => {
                    *self = before;
                    return Err(why);
                }
            }
        }
        Ok(self.effect(&before, &heard))
    }

    fn effect(&mut self, before: &Self, heard: &[Result<(), Ignored>]) -> Effect {
        let visible = |naive: &Self| {
            (
                naive.routers.clone(),
                naive.workers.clone(),
                naive.default.clone(),
            )
        };
        if visible(self) != visible(before) {
            self.generation += 1;
            return Effect::Changed;
        }
        match heard.first() {
            Some(Err(why)) if heard.iter().all(Result::is_err) => Effect::Ignored(*why),
            _ => Effect::Unchanged,
        }
    }

    pub(crate) fn replace_all(
        &mut self,
        fleet: &[WorkerSpec],
        as_of: Option<u64>,
    ) -> Result<Effect, ChangeError> {
        let before = self.clone();
        if let Some(spec) = fleet
            .iter()
            .find(|spec| spec.models.iter().any(|name| name.is_empty()))
        {
            return Err(ChangeError::EmptyModel { id: spec.id });
        }
        if let Err(why) = self.lives.begin_list(as_of) {
            return Ok(Effect::Ignored(why));
        }
        let there: Vec<_> = self.workers.keys().copied().collect();
        for worker in there {
            if !fleet.iter().any(|spec| spec.id == worker) {
                let bare = WorkerWithDpRank::new(worker.worker_id, worker.dp_rank);
                let _ = self.hear(News::new(bare, Says::Unlisted).as_of(as_of), None);
            }
        }
        for spec in fleet {
            let _ = self.upsert(spec, Says::Listed, as_of);
        }
        Ok(self.effect(&before, &[Ok(())]))
    }

    fn step(&mut self, step: &Step) -> Result<Option<Result<(), Ignored>>, ChangeError> {
        let known = |id: &str| self.routers.iter().any(|(known, ..)| known == id);
        match step {
            Step::Register(id, class, number) => {
                if known(id) {
                    return Err(ChangeError::DuplicateRouter { id: (*id).into() });
                }
                self.routers.push((id.to_string(), *class, *number));
            }
            Step::Deregister(id) => {
                self.routers.retain(|(known, ..)| known != id);
                self.default.take_if(|default| default == id);
            }
            Step::SetDefault(id) => {
                if !known(id) {
                    return Err(ChangeError::UnknownRouter { id: (*id).into() });
                }
                self.default = Some(id.to_string());
            }
            Step::Upsert(spec, as_of) => {
                if spec.models.iter().any(|model| model.is_empty()) {
                    return Err(ChangeError::EmptyModel { id: spec.id });
                }
                return Ok(Some(self.upsert(spec, Says::Here, *as_of)));
            }
            Step::Remove(ranks, as_of) => {
                let heard = self.each(ranks, |this, rank| {
                    this.hear(News::new(rank, Says::Gone).as_of(*as_of), None)
                        .map(|_| ())
                });
                if ranks.ranks == Ranks::All {
                    self.lives.all_gone(ranks, *as_of);
                }
                return Ok(Some(heard));
            }
            Step::SetState(ranks, state, as_of) => {
                return Ok(Some(self.each(ranks, |this, rank| {
                    this.hear(News::new(rank, Says::Detail).as_of(*as_of), None)?;
                    let secret = this.secrets.get_mut(&rank).unwrap();
                    if as_of.is_some() && *as_of < secret.2 {
                        return Err(Ignored::Older);
                    }
                    secret.2 = *as_of;
                    this.workers.get_mut(&rank).unwrap().state = *state;
                    Ok(())
                })));
            }
        }
        Ok(None)
    }

    fn each(
        &mut self,
        ranks: &WorkerRanks,
        mut act: impl FnMut(&mut Self, WorkerWithDpRank) -> Result<(), Ignored>,
    ) -> Result<(), Ignored> {
        if let Ranks::One(rank) = ranks.ranks {
            return act(self, ranks.rank(rank));
        }
        let there: Vec<_> = self.workers.keys().copied().collect();
        let there = there.into_iter().filter(|there| ranks.contains(there));
        let heard: Vec<_> = there
            .map(|there| act(self, ranks.rank(there.dp_rank)))
            .collect();
        match heard.first() {
            None => Err(Ignored::Absent),
            Some(_) if heard.contains(&Ok(())) => Ok(()),
            Some(first) => *first,
        }
    }

    /// Whether the worker was there and stays.
    fn hear(&mut self, news: News, spec: Option<&WorkerSpec>) -> Result<bool, Ignored> {
        let worker = news.worker;
        let bare = WorkerWithDpRank::new(worker.worker_id, worker.dp_rank);
        let there = self.workers.get(&worker).map(|there| there.life);
        let mut known = there.map(|life| Known {
            worker: life.map_or(bare, |life| bare.in_incarnation(life)),
            as_of: self.secrets[&worker].0,
        });
        let ruling = self.lives.hear(&mut known, &news);
        if let Ruling::Ignored(why) = ruling {
            return Err(why);
        }
        let stays = there.is_some() && known.is_some() && ruling == Ruling::Apply;
        if stays {
            self.secrets.get_mut(&bare).unwrap().0 = known.unwrap().as_of;
            return Ok(true);
        }
        self.workers.remove(&bare);
        self.secrets.remove(&bare);
        if let (Some(known), Some(spec)) = (known, spec) {
            let state = spec.state.unwrap_or_default();
            let new = NaiveWorker {
                life: known.worker.incarnation(),
                state,
                ..Self::said(spec, state)
            };
            self.workers.insert(bare, new);
            let state = news.as_of.filter(|_| spec.state.is_some());
            self.secrets.insert(bare, (known.as_of, news.as_of, state));
        }
        Ok(false)
    }

    fn said(spec: &WorkerSpec, state: WorkerState) -> NaiveWorker {
        NaiveWorker {
            life: None,
            models: spec.models.iter().map(ToString::to_string).collect(),
            role: spec.role,
            class: spec.class(),
            connection: spec.connection,
            state,
        }
    }

    fn upsert(&mut self, spec: &WorkerSpec, says: Says, as_of: Option<u64>) -> Result<(), Ignored> {
        if !self.hear(News::new(spec.id, says).as_of(as_of), Some(spec))? {
            return Ok(());
        }
        let there = self.workers.get_mut(&spec.id).unwrap();
        let secret = self.secrets.get_mut(&spec.id).unwrap();
        let later = |then: Option<u64>| as_of.is_some() && as_of < then;
        let (old_spec, old_state) = (later(secret.1), later(secret.2));
        if let (Some(state), false) = (spec.state, old_state) {
            there.state = state;
            secret.2 = as_of;
        }
        if !old_spec {
            let life = there.life;
            *there = Self::said(spec, there.state);
            there.life = life;
            secret.1 = as_of;
        } else if spec.state.is_none() || old_state {
            return Err(Ignored::Older);
        }
        Ok(())
    }

    fn default_router(&self) -> Option<&Registered> {
        let default = self.default.as_ref()?;
        self.routers.iter().find(|(id, ..)| id == default)
    }

    /// The workers of a class and role that may have a request of a model, or that of none.
    pub(crate) fn open(
        &self,
        model: Option<&str>,
        class: RouterClass,
        role: Option<Role>,
        draining: bool,
    ) -> Vec<WorkerWithDpRank> {
        let open = self.workers.iter().filter(|(_, worker)| {
            let names = model.is_none_or(|model| worker.models.iter().any(|name| name == model));
            let state = worker.state == WorkerState::Healthy
                || (draining && worker.state == WorkerState::Draining);
            names && state && worker.class == class && role.is_none_or(|role| worker.role == role)
        });
        open.map(|(id, _)| *id).collect()
    }

    /// Whether a class can serve a model: of a pair, both halves are there.
    pub(crate) fn serves(&self, class: RouterClass, model: &str, draining: bool) -> bool {
        let has = |role| {
            let open = self.open(None, class, role, draining);
            open.iter().any(|id| {
                let names = &self.workers[id].models;
                names.iter().any(|name| name == model) || (model.is_empty() && names.is_empty())
            })
        };
        if class.is_pd() {
            has(Some(Role::Prefill)) && has(Some(Role::Decode))
        } else {
            has(None)
        }
    }

    pub(crate) fn serves_any(&self, class: RouterClass, draining: bool) -> bool {
        // Under the empty name are those that name none.
        let names = self.models().into_iter().chain([String::new()]);
        names
            .into_iter()
            .any(|model| self.serves(class, &model, draining))
    }

    /// The number of the router that a request gets, and its class.
    pub(crate) fn select(
        &self,
        selection: &Selection<'_>,
    ) -> Result<(u64, RouterClass), SelectError> {
        let Selection {
            model,
            prefer_pd,
            draining,
        } = *selection;
        let default = self.default_router();
        if self.mode == RouterMode::Single {
            let default = default.ok_or(SelectError::NoDefault)?;
            return Ok((default.2, default.1));
        }
        if model == Some("") {
            return Err(SelectError::EmptyModel);
        }
        let first = |class| self.routers.iter().find(|(_, of, _)| *of == class);
        let found = match model {
            Some(model) => {
                let classes = RouterClass::ALL.into_iter();
                let mut can = classes.filter(|class| self.serves(*class, model, draining));
                can.find_map(first)
            }
            None => [prefer_pd, !prefer_pd].into_iter().find_map(|pd| {
                self.routers
                    .iter()
                    .find(|(_, class, _)| class.is_pd() == pd && self.serves_any(*class, draining))
            }),
        };
        if let Some((_, class, number)) = found {
            return Ok((*number, *class));
        }
        if let (RouterMode::MultiOrDefault, Some((_, class, number))) = (self.mode, default)
            && self.serves_any(*class, draining)
        {
            return Ok((*number, *class));
        }
        if self.workers.is_empty() {
            return Err(SelectError::NoWorkers);
        }
        let names = |worker: &&NaiveWorker| {
            model.is_none_or(|model| worker.models.iter().any(|name| name == model))
        };
        let naming: Vec<_> = self.workers.values().filter(names).collect();
        if naming.is_empty() {
            let model = model.unwrap_or_default().into();
            return Err(SelectError::UnknownModel { model });
        }
        let count = |state| naming.iter().filter(|worker| worker.state == state).count();
        Err(SelectError::NobodyServes {
            ill: count(WorkerState::Ill),
            draining: count(WorkerState::Draining),
            unmatched: count(WorkerState::Healthy),
        })
    }

    pub(crate) fn models(&self) -> Vec<String> {
        let names = self.workers.values().flat_map(|worker| &worker.models);
        let mut names: Vec<_> = names.cloned().collect();
        names.sort();
        names.dedup();
        names
    }
}
