//! Which news of a worker is believed: a bounded memory of the lives that have departed.
//!
//! Proof: `tests/lives.rs` steps a model that remembers everything beside it.

use crate::marks::{Mark, Marked, Marks};
use crate::{Ignored, Incarnation, News, Ruling, Says, Standing, WorkerRanks, WorkerWithDpRank};

/// What is known of a rank that is there: kept by the caller, changed by [`Lives::hear`].
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// The rank, and its life where that is known.
    pub worker: WorkerWithDpRank,
    /// The latest revision in which it was seen, where the feed has revisions.
    pub as_of: Option<u64>,
}

/// Decides which news of workers is believed, and remembers which lives have departed.
///
/// The caller keeps what is known of each worker and gives it to [`hear`](Self::hear) with the
/// news. There is no clock in here: what ends a memory is that later departures need its room.
///
/// # Rules
///
/// | news | nobody is there | the same life is there | a later life is news | an earlier one | another |
/// |---|---|---|---|---|---|
/// | [`Here`](Says::Here) | applies¹ | applies | replaces¹ | late | replaces¹ |
/// | [`Listed`](Says::Listed) | applies² | applies | replaces² | late | replaces² |
/// | [`Detail`](Says::Detail) | absent | applies | other life | late | other life |
/// | [`Gone`](Says::Gone) | absent, remembered | applies | applies | late | other life, remembered |
/// | [`Unlisted`](Says::Unlisted) | absent | applies | | | |
///
/// ¹ Unless this life has departed, as far as that is remembered. An event of a later revision than
/// the departure's brings an opaque life back, and an ordered one if no later life was seen.
/// ² A full list brings back whoever departed before it. Of ordered lives, none before the latest.
///
/// # Revisions
///
/// News may carry the feed's revision: a number that grows with each change of what is fed, as an
/// etcd or Kubernetes revision does; one numbering for all news that one `Lives` hears. Where news
/// has none, the order of calls counts. News with a revision is ignored as
/// [`Older`](Ignored::Older)
/// - where the last full list, or the rank's last departure, has that revision or a later one (for
///   a list: a later one),
/// - where it would end or displace a life that was seen in a later revision.
///
/// # Bounds
///
/// At most `room` marks: one for each departed life and, with revisions, one for each rank that
/// departed. The oldest give way. What is forgotten can no longer be told from what was never seen:
/// an event of an opaque life that departed so long ago joins it. An ordered life that is *there*
/// needs no memory: no earlier one displaces it. Nor does anything before the last full list, where
/// both have revisions.
///
/// # Cost
///
/// News of the life that is there, in the order of revisions, looks nothing up. A departure is one
/// or two insertions into an ordered map, and allocates as the memory grows: about 120 bytes a
/// mark.
///
/// ```
/// use worker_id::{Ignored, Lives, News, Ruling, Says, WorkerWithDpRank};
///
/// let mut lives = Lives::default();
/// let mut there = None;
/// let first = WorkerWithDpRank::new(7, 0).with_ordered_incarnation(41);
/// let second = first.with_ordered_incarnation(42);
///
/// assert_eq!(lives.hear(&mut there, &News::new(first, Says::Here)), Ruling::Apply);
/// assert_eq!(lives.hear(&mut there, &News::new(second, Says::Here)), Ruling::Replaces);
/// // The news that the first life has gone comes late, and ends nothing.
/// let late = lives.hear(&mut there, &News::new(first, Says::Gone));
/// assert_eq!(late, Ruling::Ignored(Ignored::Late));
/// assert!(there.is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lives {
    /// The revision of the last full list.
    listed: Option<u64>,
    /// Who has departed.
    marks: Marks,
}

impl Default for Lives {
    /// With room for [`DEFAULT_ROOM`](Self::DEFAULT_ROOM) marks.
    fn default() -> Self {
        Self::with_room(Self::DEFAULT_ROOM)
    }
}

impl Lives {
    /// How many marks are kept unless another number is given: about 2 MB where all are in use.
    pub const DEFAULT_ROOM: usize = 16_384;

    /// With room for so many marks. With none, nothing that has departed is remembered.
    #[must_use]
    pub fn with_room(room: usize) -> Self {
        Self {
            listed: None,
            marks: Marks::with_room(room),
        }
    }

    /// How many marks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.marks.len() == 0
    }

    /// Decides what is to be done about news of a rank, `there` being what is known of it. Then
    /// brings `there` up to date, and remembers who has departed. The caller does what the
    /// [`Ruling`] says with all else that it keeps of the worker.
    ///
    /// `there` is to be of the worker that the news is about.
    pub fn hear(&mut self, there: &mut Option<Known>, news: &News) -> Ruling {
        let ruling = self.rule(there.as_ref(), news);
        let brings = matches!(news.says, Says::Here | Says::Listed);
        match (ruling, &mut *there) {
            (Ruling::Apply, Some(known)) if brings || news.says == Says::Detail => {
                known.as_of = known.as_of.max(news.as_of);
            }
            (Ruling::Apply, Some(known)) => {
                let known = known.worker;
                *there = None;
                self.depart(&known, news);
                if Standing::of(news.worker.incarnation(), known.incarnation()) == Standing::Newer {
                    self.depart(&news.worker, news);
                }
            }
            (Ruling::Apply, None) => {
                self.unmark(&news.worker);
                *there = Some(Known {
                    worker: news.worker,
                    as_of: news.as_of,
                });
            }
            (Ruling::Replaces, known) => {
                if let Some(known) = known.take() {
                    self.depart(&known.worker, news);
                }
                self.unmark(&news.worker);
                *there = Some(Known {
                    worker: news.worker,
                    as_of: news.as_of,
                });
            }
            (Ruling::Ignored(Ignored::Absent), _) if news.says == Says::Gone => {
                self.depart(&news.worker, news);
            }
            (Ruling::Ignored(Ignored::OtherLife), _) if news.says == Says::Gone => {
                // Of this life only: a mark of the rank would be of the life that is there.
                self.mark_life(&WorkerRanks::from(news.worker), news.as_of);
            }
            (Ruling::Ignored(_), _) => {}
        }
        ruling
    }

    /// Remembers that all ranks of a worker have gone, those included that nobody has heard of.
    /// [`hear`](Self::hear) first of each rank that is there.
    pub fn all_gone(&mut self, worker: &WorkerRanks, as_of: Option<u64>) {
        self.mark_life(worker, as_of);
        // With an incarnation, some ranks may be there in another one.
        if worker.incarnation.is_none() {
            self.mark_departure(worker, as_of);
        }
    }

    /// Begins a full list: of each worker that it has [`Says::Listed`] is to be heard, and
    /// [`Says::Unlisted`] of each other that is there.
    ///
    /// # Errors
    ///
    /// [`Ignored::Older`], if a list of a later revision was heard. Then nothing of it is to be
    /// heard.
    pub fn begin_list(&mut self, as_of: Option<u64>) -> Result<(), Ignored> {
        match (as_of, self.listed) {
            (Some(this), Some(last)) if this < last => Err(Ignored::Older),
            _ => {
                self.listed = self.listed.max(as_of);
                Ok(())
            }
        }
    }

    fn rule(&self, there: Option<&Known>, news: &News) -> Ruling {
        if self.is_older(there, news) {
            return Ruling::Ignored(Ignored::Older);
        }
        let brings = matches!(news.says, Says::Here | Says::Listed);
        let Some(known) = there else {
            return match (brings, self.departed(news)) {
                (true, None) => Ruling::Apply,
                (true, Some(why)) => Ruling::Ignored(why),
                (false, _) => Ruling::Ignored(Ignored::Absent),
            };
        };
        match Standing::of(news.worker.incarnation(), known.worker.incarnation()) {
            Standing::Same => Ruling::Apply,
            Standing::Late => Ruling::Ignored(Ignored::Late),
            // A later life has been and has gone: so the one that is there has gone, too.
            Standing::Newer if news.says == Says::Gone => Ruling::Apply,
            Standing::Newer | Standing::Other if brings => self
                .departed(news)
                .map_or(Ruling::Replaces, Ruling::Ignored),
            Standing::Newer | Standing::Other => Ruling::Ignored(Ignored::OtherLife),
        }
    }

    /// Whether something of a later revision is known than this news has.
    fn is_older(&self, there: Option<&Known>, news: &News) -> bool {
        let Some(as_of) = news.as_of else {
            return false;
        };
        // An event of the revision of a list is in the list. A list has what happened before it,
        // at its own revision included.
        let past = |known: u64| known > as_of || (known == as_of && !news.says.is_of_a_list());
        if self.listed.is_some_and(past) {
            return true;
        }
        if let Some(known) = there
            && let Some(seen) = known.as_of
        {
            if seen <= as_of {
                return false;
            }
            let ends = matches!(news.says, Says::Gone | Says::Unlisted);
            let standing = Standing::of(news.worker.incarnation(), known.worker.incarnation());
            if ends || standing == Standing::Other {
                return true;
            }
        }
        let departure = self.newest(&news.worker, Marked::Departure, |mark| mark.as_of);
        departure.is_some_and(past)
    }

    /// Why the life that news is about is not there any more, if it is known to have departed.
    fn departed(&self, news: &News) -> Option<Ignored> {
        let revives = |mark: &Mark| match (news.as_of, mark.as_of) {
            _ if news.says == Says::Listed => true,
            (Some(now), Some(then)) => now > then,
            _ => false,
        };
        let life = news.worker.incarnation()?;
        let worker = news.worker;
        let marks = |marked| {
            let ranks = [Some(worker.dp_rank), None].into_iter();
            ranks.filter_map(move |rank| self.marks.get(&(worker.worker_id, rank, marked)))
        };
        let (number, marked) = match life {
            Incarnation::Ordered(number) => (number, Marked::Ordered),
            Incarnation::Opaque(number) => (number, Marked::Opaque(number)),
        };
        if marks(marked).any(|mark| number < mark.number) {
            return Some(Ignored::Late);
        }
        let mut same = marks(marked).filter(|mark| mark.number == number);
        same.any(|mark| !revives(mark)).then_some(Ignored::Departed)
    }

    /// The greatest that is said of a rank by its own mark and by that of all ranks.
    fn newest<T: Ord>(
        &self,
        worker: &WorkerWithDpRank,
        marked: Marked,
        of: impl Fn(&Mark) -> Option<T>,
    ) -> Option<T> {
        let ranks = [Some(worker.dp_rank), None].into_iter();
        let marks = ranks.filter_map(|rank| self.marks.get(&(worker.worker_id, rank, marked)));
        marks.filter_map(of).max()
    }

    /// A rank has gone, by this news.
    fn depart(&mut self, worker: &WorkerWithDpRank, news: &News) {
        let worker = WorkerRanks::from(*worker);
        self.mark_life(&worker, news.as_of);
        self.mark_departure(&worker, news.as_of);
    }

    fn mark_life(&mut self, worker: &WorkerRanks, as_of: Option<u64>) {
        match worker.incarnation {
            Some(Incarnation::Ordered(number)) => {
                self.marks.set(worker, Marked::Ordered, number, as_of)
            }
            Some(Incarnation::Opaque(number)) => {
                self.marks
                    .set(worker, Marked::Opaque(number), number, as_of);
            }
            None => {}
        }
    }

    fn mark_departure(&mut self, worker: &WorkerRanks, as_of: Option<u64>) {
        if as_of.is_some() {
            self.marks.set(worker, Marked::Departure, 0, as_of);
        }
    }

    /// A life is there again: forgets that it had departed.
    fn unmark(&mut self, worker: &WorkerWithDpRank) {
        if self.marks.len() == 0 {
            return;
        }
        let marked = match worker.incarnation() {
            Some(Incarnation::Ordered(_)) => Marked::Ordered,
            Some(Incarnation::Opaque(number)) => Marked::Opaque(number),
            None => return,
        };
        self.marks
            .remove(&(worker.worker_id, Some(worker.dp_rank), marked));
    }
}
