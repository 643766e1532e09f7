//! Who has departed of late: marks, of which the oldest give way.
//!
//! # Invariants
//!
//! `marks` has at most `room` entries. `order` has each of them once with the `turn` that the mark
//! has, and at most twice as many entries in all.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use crate::{Ranks, WorkerRanks};

/// What a mark is of: a worker, all of its ranks or one, and what it marks.
pub(crate) type MarkOf = (u64, Option<u32>, Marked);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Marked {
    /// The last departure of the rank, whichever life it was.
    Departure,
    /// The latest ordered life that has departed.
    Ordered,
    /// An opaque life that has departed.
    Opaque(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mark {
    /// The number of the life; of a `Departure` nothing.
    pub(crate) number: u64,
    /// The revision of the departure, where it had one.
    pub(crate) as_of: Option<u64>,
    /// When it was set, counted in marks.
    turn: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Marks {
    /// The most marks that are kept.
    room: usize,
    marks: BTreeMap<MarkOf, Mark>,
    /// The marks from the one that was set first; those that were set again or removed, too.
    order: VecDeque<(MarkOf, u64)>,
    /// How often a mark was set.
    turns: u64,
}

impl Marks {
    pub(crate) fn with_room(room: usize) -> Self {
        Self {
            room,
            marks: BTreeMap::new(),
            order: VecDeque::new(),
            turns: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn get(&self, of: &MarkOf) -> Option<&Mark> {
        self.marks.get(of)
    }

    pub(crate) fn remove(&mut self, of: &MarkOf) {
        self.marks.remove(of);
    }

    pub(crate) fn set(
        &mut self,
        worker: &WorkerRanks,
        marked: Marked,
        number: u64,
        as_of: Option<u64>,
    ) {
        let rank = match worker.ranks {
            Ranks::All => None,
            Ranks::One(rank) => Some(rank),
        };
        let of = (worker.worker_id, rank, marked);
        let turn = self.turns;
        self.turns += 1;
        let mark = self.marks.entry(of).or_insert(Mark {
            number,
            as_of,
            turn,
        });
        mark.turn = turn;
        match number.cmp(&mark.number) {
            Ordering::Greater => (mark.number, mark.as_of) = (number, as_of),
            // A departure without a revision comes after whatever has one.
            Ordering::Equal => mark.as_of = as_of.and(mark.as_of.max(as_of)),
            Ordering::Less => {}
        }
        self.order.push_back((of, turn));
        self.make_room();
    }

    /// Forgets the oldest marks that there is no room for.
    fn make_room(&mut self) {
        let marks = &mut self.marks;
        let is_current = |marks: &BTreeMap<MarkOf, Mark>, (of, turn): &(MarkOf, u64)| {
            marks.get(of).is_some_and(|mark| mark.turn == *turn)
        };
        while marks.len() > self.room
            && let Some(oldest) = self.order.pop_front()
        {
            if is_current(marks, &oldest) {
                marks.remove(&oldest.0);
            }
        }
        // Half of it or more is out of date.
        if self.order.len() > 2 * self.room.max(8) {
            self.order.retain(|entry| is_current(marks, entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_bounded_however_often_one_life_departs() {
        let mut marks = Marks::with_room(32);
        for _ in 0..1_000 {
            marks.set(&WorkerRanks::all(7), Marked::Opaque(1), 1, None);
            assert!(marks.order.len() <= 64);
            assert_eq!(marks.len(), 1);
        }
    }
}
