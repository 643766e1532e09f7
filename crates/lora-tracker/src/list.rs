//! Full lists, of the fleet or of one worker: the difference to what is known.

use std::collections::HashMap;
use std::sync::Arc;

use worker_id::{News, Says, WorkerWithDpRank};

use crate::change::{Change, Heard};
use crate::lora::WorkerLora;
use crate::map::LoraSession;
use crate::writer::Notice;
use crate::{ListedWorker, LoraInfo};

impl<S: LoraSession> Change<'_, S> {
    /// Lets the fleet be this list, but for what is known of later revisions.
    pub(crate) fn replace_all(&mut self, as_of: Option<u64>, fleet: &[ListedWorker]) -> Heard {
        self.state.lives.begin_list(as_of)?;
        let mut listed: Vec<_> = fleet.iter().map(|entry| entry.worker).collect();
        listed.sort_unstable();
        let rows = self.snapshot.table.rows().map(|row| row.shown.worker);
        let gone: Vec<_> = rows
            .filter(|worker| listed.binary_search(worker).is_err())
            .map(|worker| WorkerWithDpRank::new(worker.worker_id, worker.dp_rank))
            .collect();
        for worker in gone {
            // What was seen after the list stays.
            let _ = self.hear(&News::new(worker, Says::Unlisted).as_of(as_of));
        }
        for entry in fleet {
            if let Err(why) = self.list(entry, as_of) {
                self.notices.push(Notice::Ignored(entry.worker, why));
            }
        }
        Ok(())
    }

    /// Lets a worker have these adapters and no others, but for what is known of later revisions.
    pub(crate) fn replace(&mut self, entry: &ListedWorker, as_of: Option<u64>) -> Heard {
        self.list(entry, as_of)?;
        if let Some(place) = self.place(&entry.worker) {
            let record = self.record(place);
            record.listed = record.listed.max(as_of);
        }
        Ok(())
    }

    fn list(&mut self, entry: &ListedWorker, as_of: Option<u64>) -> Heard {
        let news = News::new(entry.worker, Says::Listed).as_of(as_of);
        let Some(place) = self.hear(&news)? else {
            return Ok(());
        };
        self.register(place);
        self.list_capacity(place, entry, as_of);
        let Some(row) = self.snapshot.row(place) else {
            return Ok(());
        };
        let held = Arc::clone(&row.held);
        // A list often comes in the order in which it came before.
        let as_before = held.len() == entry.loras.len()
            && held
                .iter()
                .zip(&entry.loras)
                .all(|(held, lora)| held.is_as_listed(lora));
        let unloaded = &mut self.state.records[place as usize].unloaded;
        if let Some(now) = as_of {
            unloaded.retain(|(_, then)| now < *then);
        } else {
            unloaded.clear();
        }
        if as_before {
            return Ok(());
        }
        // Of several of one name the last counts.
        let names = entry.loras.iter().map(|lora| (&*lora.name, lora));
        let stay: HashMap<&str, &LoraInfo> = names.collect();
        let is_later = |lora: &WorkerLora| as_of.is_some() && as_of < lora.as_of();
        for lora in &*held {
            let stays = stay.contains_key(&*lora.name) || lora.is_ticketed();
            if !stays && !is_later(lora) {
                self.remove(place, &lora.name);
            }
        }
        drop(held);
        for lora in &entry.loras {
            let is_last = stay
                .get(&*lora.name)
                .is_some_and(|last| std::ptr::eq(*last, lora));
            let mut unloaded = self.state.records[place as usize].unloaded.iter();
            let unloaded_later = unloaded.any(|(gone, _)| *gone == lora.name);
            let held = self.held(place, &lora.name);
            let said_later = held.is_some_and(|(_, held)| is_later(held));
            if is_last && !unloaded_later && !said_later {
                self.put(place, lora, as_of, false, true);
            }
        }
        Ok(())
    }

    /// The capacity that a list says: that of the worker, or the last that an adapter says, or
    /// none.
    fn list_capacity(&mut self, place: u32, entry: &ListedWorker, as_of: Option<u64>) {
        let record = &mut self.state.records[place as usize];
        if as_of.is_some() && as_of < record.reported_as_of {
            return;
        }
        let mut said = entry
            .loras
            .iter()
            .filter_map(|lora| lora.max_gpu_lora_count);
        record.reported = said.next_back().or(entry.capacity);
        record.reported_as_of = as_of;
        let capacity = record.reported.or(self.context.config.default_capacity);
        self.set_capacity(place, capacity);
    }
}
