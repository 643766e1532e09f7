//! The whole state at one instant, and the steps by which a writer changes it.
//!
//! A step is a write to a known place. It is taken twice: once on each of the two snapshots that
//! the writer uses in turn. So it must not look at anything that may differ between the two.

use std::sync::Arc;

use worker_id::WorkerWithDpRank;

use crate::adapters::{Adapters, At, Name};
use crate::lora::WorkerLora;
use crate::table::{Row, Table};

#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// How many changes there were that a reader can tell.
    pub(crate) generation: u64,
    /// How many snapshots were published before this one.
    pub(crate) publication: u64,
    pub(crate) table: Table,
    pub(crate) adapters: Adapters,
}

/// Where among those of an adapter a worker is, or is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    pub(crate) adapter: At,
    pub(crate) loading: bool,
    pub(crate) at: usize,
}

#[derive(Debug)]
pub(crate) enum Step {
    /// A worker takes a place.
    Enter(u32, WorkerWithDpRank),
    /// A place is vacant, and all that its worker held is gone from it.
    Leave(u32),
    Capacity(u32, Option<u32>),
    Register(u32),
    /// There is a name that nobody has.
    Name(Name),
    /// An adapter is among those of a row; is not; is another.
    Hold(u32, Arc<WorkerLora>),
    LetGo(u32, usize),
    SetHeld(u32, usize, Arc<WorkerLora>),
    /// A row is among the workers of an adapter; is not; has another.
    Show(Spot, u32, Arc<WorkerLora>),
    Hide(Spot),
    SetShown(Spot, Arc<WorkerLora>),
    /// Rows at the end are given back.
    Trim,
}

impl Step {
    /// The place whose row it changes.
    pub(crate) fn place(&self) -> Option<u32> {
        match self {
            Self::Enter(place, _)
            | Self::Leave(place)
            | Self::Capacity(place, _)
            | Self::Register(place)
            | Self::Hold(place, _)
            | Self::LetGo(place, _)
            | Self::SetHeld(place, ..) => Some(*place),
            // Each comes with a step of the row.
            Self::Name(_) | Self::Show(..) | Self::Hide(_) | Self::SetShown(..) | Self::Trim => {
                None
            }
        }
    }
}

impl Snapshot {
    #[inline]
    pub(crate) fn row(&self, place: u32) -> Option<&Row> {
        self.table.row(place)
    }

    pub(crate) fn step(&mut self, step: &Step) {
        match step {
            Step::Enter(place, worker) => self.table.enter(*place, *worker),
            Step::Leave(place) => self.table.leave(*place),
            Step::Capacity(place, capacity) => self.table.set_capacity(*place, *capacity),
            Step::Register(place) => self.table.register(*place),
            Step::Name(name) => {
                self.adapters.add(name);
            }
            Step::Hold(place, lora) => self.table.hold(*place, lora),
            Step::LetGo(place, at) => self.table.let_go(*place, *at),
            Step::SetHeld(place, at, lora) => self.table.set_held(*place, *at, lora),
            Step::Show(spot, place, lora) => {
                if let Some(row) = self.table.row(*place) {
                    let worker = row.shown.worker;
                    let adapter = self.adapters.at_mut(spot.adapter);
                    let members = adapter.members_mut(spot.loading);
                    members.insert(spot.at, worker, *place, Arc::clone(lora));
                }
            }
            Step::Hide(spot) => {
                let adapter = self.adapters.at_mut(spot.adapter);
                adapter.members_mut(spot.loading).remove(spot.at);
                self.adapters.remove_if_empty(spot.adapter);
            }
            Step::SetShown(spot, lora) => {
                let adapter = self.adapters.at_mut(spot.adapter);
                adapter
                    .members_mut(spot.loading)
                    .set(spot.at, Arc::clone(lora));
            }
            Step::Trim => self.table.trim(),
        }
    }
}

/// Gives memory back once three quarters of it are unused.
pub(crate) fn shrink(len: usize, capacity: usize, to: impl FnOnce(usize)) {
    if capacity > 64 && len < capacity / 4 {
        to(capacity / 2);
    }
}
