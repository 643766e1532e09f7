//! The naive model: maps of maps, changed one event after the other, and compared as a whole.
//!
//! Which news is believed it asks `worker_id::Lives`, which has a model of its own in its crate.

use std::collections::{BTreeMap, BTreeSet};

use lora_tracker::{ListedWorker, LoraEvent, LoraInfo, LoraNews, Slots, Tier, TrackerConfig};
use worker_id::{Effect, Ignored, Incarnation, Known, Lives, News, Ranks, Says, WorkerWithDpRank};

/// An adapter on a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct NaiveLora {
    pub(crate) version: Option<String>,
    pub(crate) rank: Option<u32>,
    pub(crate) bytes: Option<u64>,
    pub(crate) pinned: bool,
    pub(crate) loading: bool,
}

/// A worker as the model has it. The incarnation beside it, since the key compares without.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct NaiveWorker {
    pub(crate) life: Option<Incarnation>,
    pub(crate) capacity: Option<u32>,
    pub(crate) registered: bool,
    pub(crate) loras: BTreeMap<String, NaiveLora>,
}

/// What nobody reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Secret {
    seen: Option<u64>,
    reported: Option<u64>,
    listed: Option<u64>,
    said: BTreeMap<String, u64>,
    unloaded: BTreeMap<String, u64>,
}

pub(crate) type Fleet = BTreeMap<WorkerWithDpRank, NaiveWorker>;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Naive {
    pub(crate) fleet: Fleet,
    secrets: BTreeMap<WorkerWithDpRank, Secret>,
    lives: Lives,
    pub(crate) generation: u64,
    pub(crate) default_capacity: Option<u32>,
    pub(crate) registration_required: bool,
}

impl Naive {
    pub(crate) fn new(config: &TrackerConfig) -> Self {
        Self {
            default_capacity: config.default_capacity,
            registration_required: config.registration_required,
            ..Self::default()
        }
    }

    pub(crate) fn apply(&mut self, news: &LoraNews) -> Effect {
        self.apply_batch(std::slice::from_ref(news))
    }

    pub(crate) fn apply_batch(&mut self, news: &[LoraNews]) -> Effect {
        self.counted(|naive| news.iter().map(|news| naive.step(news)).collect())
    }

    pub(crate) fn replace(&mut self, as_of: Option<u64>, entry: &ListedWorker) -> Effect {
        self.counted(|naive| {
            let heard = naive.list(as_of, entry);
            if heard.is_ok() {
                let secret = naive.secrets.entry(entry.worker).or_default();
                secret.listed = secret.listed.max(as_of);
            }
            vec![heard]
        })
    }

    pub(crate) fn replace_all(&mut self, as_of: Option<u64>, fleet: &[ListedWorker]) -> Effect {
        self.counted(|naive| {
            if let Err(why) = naive.lives.begin_list(as_of) {
                return vec![Err(why)];
            }
            let there: Vec<_> = naive.fleet.keys().copied().collect();
            for worker in there {
                if !fleet.iter().any(|entry| entry.worker == worker) {
                    let bare = WorkerWithDpRank::new(worker.worker_id, worker.dp_rank);
                    let _ = naive.hear(News::new(bare, Says::Unlisted).as_of(as_of));
                }
            }
            for entry in fleet {
                let _ = naive.list(as_of, entry);
            }
            vec![Ok(())]
        })
    }

    fn counted(&mut self, act: impl FnOnce(&mut Self) -> Vec<Result<(), Ignored>>) -> Effect {
        let before = self.fleet.clone();
        let heard = act(self);
        if self.fleet != before || self.lives_changed(&before) {
            self.generation += 1;
            return Effect::Changed;
        }
        match heard.first() {
            Some(Err(why)) if heard.iter().all(Result::is_err) => Effect::Ignored(*why),
            _ => Effect::Unchanged,
        }
    }

    /// The keys of a map compare without incarnations; the values have them.
    fn lives_changed(&self, before: &Fleet) -> bool {
        self.fleet.keys().ne(before.keys())
    }

    fn step(&mut self, news: &LoraNews) -> Result<(), Ignored> {
        let as_of = news.as_of;
        match &news.event {
            LoraEvent::Loaded { worker, lora } | LoraEvent::Loading { worker, lora } => {
                let loading = matches!(news.event, LoraEvent::Loading { .. });
                self.hear(News::new(*worker, Says::Here).as_of(as_of))?;
                self.report(*worker, lora.max_gpu_lora_count, as_of);
                self.fresh(*worker, &lora.name, as_of)?;
                self.put(*worker, lora, as_of, loading, false);
            }
            LoraEvent::LoadFailed { worker, name, .. } => {
                self.hear(News::new(*worker, Says::Detail).as_of(as_of))?;
                self.fresh(*worker, name, as_of)?;
                let loras = &mut self.fleet.get_mut(worker).unwrap().loras;
                if loras.get(&**name).is_some_and(|lora| lora.loading) {
                    self.remove(*worker, name);
                }
            }
            LoraEvent::Unloaded { worker, name } => {
                self.hear(News::new(*worker, Says::Detail).as_of(as_of))?;
                self.fresh(*worker, name, as_of)?;
                self.remove(*worker, name);
                if let Some(now) = as_of {
                    let secret = self.secrets.get_mut(worker).unwrap();
                    secret.unloaded.insert(name.to_string(), now);
                }
            }
            LoraEvent::WorkerJoined { worker, capacity } => {
                self.hear(News::new(*worker, Says::Here).as_of(as_of))?;
                self.fleet.get_mut(worker).unwrap().registered = true;
                self.report(*worker, *capacity, as_of);
            }
            LoraEvent::WorkerLeft { worker } => match worker.ranks {
                Ranks::One(rank) => {
                    return self.hear(News::new(worker.rank(rank), Says::Gone).as_of(as_of));
                }
                _ => {
                    let there: Vec<_> = self.fleet.keys().copied().collect();
                    let there = there.into_iter().filter(|rank| worker.contains(rank));
                    let heard: Vec<_> = there
                        .map(|there| {
                            let rank = worker.rank(there.dp_rank);
                            self.hear(News::new(rank, Says::Gone).as_of(as_of))
                        })
                        .collect();
                    self.lives.all_gone(worker, as_of);
                    if !heard.contains(&Ok(())) {
                        return Err(heard.first().map_or(Ignored::Absent, |heard| {
                            heard.expect_err("none was believed")
                        }));
                    }
                }
            },
            other => panic!("an event the model does not know: {other:?}"),
        }
        Ok(())
    }

    fn hear(&mut self, news: News) -> Result<(), Ignored> {
        let worker = news.worker;
        let there = self.fleet.get(&worker).map(|there| there.life);
        let bare = WorkerWithDpRank::new(worker.worker_id, worker.dp_rank);
        let named = |life: Option<Incarnation>| life.map_or(bare, |life| bare.in_incarnation(life));
        let mut known = there.map(|life| Known {
            worker: named(life),
            as_of: self.secrets[&worker].seen,
        });
        let ruling = self.lives.hear(&mut known, &news);
        if let worker_id::Ruling::Ignored(why) = ruling {
            return Err(why);
        }
        let stays = there.is_some() && known.is_some() && ruling == worker_id::Ruling::Apply;
        if !stays {
            self.fleet.remove(&worker);
            self.secrets.remove(&worker);
        }
        if let Some(known) = known {
            let there = self.fleet.entry(bare).or_insert_with(|| NaiveWorker {
                life: known.worker.incarnation(),
                capacity: self.default_capacity,
                registered: !self.registration_required,
                loras: BTreeMap::new(),
            });
            assert_eq!(there.life, known.worker.incarnation());
            self.secrets.entry(bare).or_default().seen = known.as_of;
        }
        Ok(())
    }

    /// Whether news of an adapter is not older than what is known of it.
    fn fresh(
        &self,
        worker: WorkerWithDpRank,
        name: &str,
        as_of: Option<u64>,
    ) -> Result<(), Ignored> {
        let secret = &self.secrets[&worker];
        let Some(now) = as_of else { return Ok(()) };
        let unloaded = secret.unloaded.get(name).is_some_and(|then| now < *then);
        let said = secret.said.get(name).is_some_and(|then| now < *then);
        let listed = secret.listed.is_some_and(|listed| now <= listed);
        if unloaded || said || listed {
            return Err(Ignored::Older);
        }
        Ok(())
    }

    fn remove(&mut self, worker: WorkerWithDpRank, name: &str) {
        self.fleet.get_mut(&worker).unwrap().loras.remove(name);
        self.secrets.get_mut(&worker).unwrap().said.remove(name);
    }

    fn put(
        &mut self,
        worker: WorkerWithDpRank,
        said: &LoraInfo,
        as_of: Option<u64>,
        loading: bool,
        whole: bool,
    ) {
        let there = self.fleet.get_mut(&worker).unwrap();
        let secret = self.secrets.get_mut(&worker).unwrap();
        let known = there.loras.get(&*said.name);
        if loading && known.is_some() {
            return;
        }
        let version = said.version.as_deref().map(str::to_owned);
        let other = |lora: &NaiveLora| version.is_some() && version != lora.version;
        let known = known.cloned().filter(|_| !whole).unwrap_or_default();
        let kept = if other(&known) {
            NaiveLora::default()
        } else {
            known.clone()
        };
        let lora = NaiveLora {
            version: version.or(kept.version),
            rank: said.rank.or(kept.rank),
            bytes: said.bytes.or(kept.bytes),
            pinned: said.pinned.unwrap_or(known.pinned),
            loading,
        };
        let name = said.name.to_string();
        match as_of {
            Some(as_of) => secret.said.insert(name.clone(), as_of),
            None => secret.said.remove(&name),
        };
        there.loras.insert(name, lora);
    }

    fn report(&mut self, worker: WorkerWithDpRank, said: Option<u32>, as_of: Option<u64>) {
        let secret = self.secrets.get_mut(&worker).unwrap();
        if said.is_some() && !(as_of.is_some() && as_of < secret.reported) {
            secret.reported = as_of;
            self.fleet.get_mut(&worker).unwrap().capacity = said;
        }
    }

    fn list(&mut self, as_of: Option<u64>, entry: &ListedWorker) -> Result<(), Ignored> {
        let worker = entry.worker;
        self.hear(News::new(worker, Says::Listed).as_of(as_of))?;
        let default = self.default_capacity;
        let there = self.fleet.get_mut(&worker).unwrap();
        let secret = self.secrets.get_mut(&worker).unwrap();
        there.registered = true;
        if !(as_of.is_some() && as_of < secret.reported) {
            let said = entry.loras.iter().map(|lora| lora.max_gpu_lora_count);
            let said = said.rev().chain([entry.capacity]).flatten().next();
            there.capacity = said.or(default);
            secret.reported = as_of;
        }
        let later = |then: Option<&u64>| as_of.is_some() && as_of < then.copied();
        secret.unloaded.retain(|_, then| later(Some(then)));
        let names: BTreeSet<_> = entry.loras.iter().map(|lora| &*lora.name).collect();
        let loras = std::mem::take(&mut there.loras);
        there.loras = loras
            .into_iter()
            .filter(|(name, _)| names.contains(&**name) || later(secret.said.get(name)))
            .collect();
        let there = &there.loras;
        secret.said.retain(|name, _| there.contains_key(name));
        let secret = secret.clone();
        for name in names {
            if !secret.unloaded.contains_key(name) && !later(secret.said.get(name)) {
                let last = entry.loras.iter().rfind(|lora| &*lora.name == name);
                self.put(worker, last.unwrap(), as_of, false, true);
            }
        }
        Ok(())
    }

    pub(crate) fn slots(&self, worker: &WorkerWithDpRank) -> Option<Slots> {
        let there = self.fleet.get(worker)?;
        there.registered.then(|| there.slots())
    }

    pub(crate) fn having(&self, name: &str, loading: bool) -> Vec<String> {
        let has_it = |there: &NaiveWorker| {
            let lora = there.loras.get(name);
            there.registered && lora.is_some_and(|lora| lora.loading == loading)
        };
        let having = self.fleet.iter().filter(|(_, there)| has_it(there));
        having.map(|(worker, there)| there.shown(worker)).collect()
    }

    /// The workers of a tier, with their slots.
    pub(crate) fn tier(&self, tier: Tier, name: &str, unknown: bool) -> BTreeSet<(String, Slots)> {
        let registered = self.fleet.iter().filter(|(_, there)| there.registered);
        let chosen = registered.filter(|(_, there)| {
            let lora = there.loras.get(name);
            let slots = there.slots();
            let mut loras = there.loras.values();
            match tier {
                Tier::Resident => lora.is_some_and(|lora| !lora.loading),
                Tier::Loading => lora.is_some_and(|lora| lora.loading),
                Tier::Room => slots.free().is_some_and(|free| free > 0),
                Tier::UnknownCapacity => unknown && slots.capacity.is_none(),
                Tier::CouldEvict => {
                    slots.free() == Some(0) && loras.any(|lora| !lora.loading && !lora.pinned)
                }
            }
        });
        chosen
            .map(|(worker, there)| (there.shown(worker), there.slots()))
            .collect()
    }
}

impl NaiveWorker {
    pub(crate) fn slots(&self) -> Slots {
        let loading = self.loras.values().filter(|lora| lora.loading).count();
        Slots {
            loaded: self.loras.len() - loading,
            loading,
            capacity: self.capacity,
        }
    }

    pub(crate) fn shown(&self, worker: &WorkerWithDpRank) -> String {
        let bare = WorkerWithDpRank::new(worker.worker_id, worker.dp_rank);
        self.life
            .map_or(bare, |life| bare.in_incarnation(life))
            .to_string()
    }
}
