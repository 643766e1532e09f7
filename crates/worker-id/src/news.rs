//! What is said of a worker, and what came of it.

use thiserror::Error;

use crate::WorkerWithDpRank;

/// Something that is said of one rank of one worker.
///
/// ```
/// use worker_id::{News, Says, WorkerWithDpRank};
///
/// let worker = WorkerWithDpRank::new(7, 0).with_ordered_incarnation(41);
/// let news = News::new(worker, Says::Gone).as_of(1_204);
/// assert_eq!(news.as_of, Some(1_204));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct News {
    /// Of which rank, and of which life of it, where that is said.
    pub worker: WorkerWithDpRank,
    /// What is said.
    pub says: Says,
    /// The revision of the feed that it is from, where the feed has any. See
    /// [`Lives`](crate::Lives).
    pub as_of: Option<u64>,
}

impl News {
    /// News without a revision: the order of calls counts.
    pub const fn new(worker: WorkerWithDpRank, says: Says) -> Self {
        Self {
            worker,
            says,
            as_of: None,
        }
    }

    /// The same news, of this revision, or of none.
    pub fn as_of(self, as_of: impl Into<Option<u64>>) -> Self {
        Self {
            as_of: as_of.into(),
            ..self
        }
    }
}

/// What news says of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Says {
    /// An event: it is there.
    Here,
    /// An event: something of it has changed. This brings nobody who is not there.
    Detail,
    /// An event: it has gone.
    Gone,
    /// A full list has it.
    Listed,
    /// A full list does not have it.
    Unlisted,
}

impl Says {
    /// Whether a full list says it.
    #[must_use]
    pub const fn is_of_a_list(self) -> bool {
        matches!(self, Self::Listed | Self::Unlisted)
    }
}

/// What is to be done about news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ruling {
    /// What it says is to be done.
    Apply,
    /// What it says is to be done, and first the life that was there goes, with all that it had.
    Replaces,
    /// Nothing.
    Ignored(Ignored),
}

/// Why news changed nothing though it said something else than what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[cfg_attr(feature = "serde", derive(::serde::Serialize, ::serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Ignored {
    /// There is no such worker, and this brings none.
    #[error("there is no such worker")]
    Absent,
    /// This life of the worker has departed. A full list brings it back, or an event of a later
    /// revision.
    #[error("this life of the worker has departed")]
    Departed,
    /// A later life of the worker is known, or remembered.
    #[error("a later life of the worker is known")]
    Late,
    /// It is about another life of the worker than the one that is there.
    #[error("another life of the worker is there")]
    OtherLife,
    /// Something of a later revision is known.
    #[error("something of a later revision is known")]
    Older,
}

impl Ignored {
    /// A label for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Departed => "departed",
            Self::Late => "late",
            Self::OtherLife => "other_life",
            Self::Older => "older",
        }
    }
}

/// What a call has done that brought news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Something is different.
    Changed,
    /// It was known already.
    Unchanged,
    /// It was not believed.
    Ignored(Ignored),
}

impl Effect {
    /// What a call has done that brought several pieces of news: whether anything is different, and
    /// what was thought of each. It was ignored if all of them were, for the reason of the first.
    ///
    /// ```
    /// use worker_id::{Effect, Ignored};
    ///
    /// let heard = [Err(Ignored::Late), Ok(())];
    /// assert_eq!(Effect::of(false, heard), Effect::Unchanged);
    /// assert_eq!(Effect::of(false, [Err(Ignored::Late)]), Effect::Ignored(Ignored::Late));
    /// ```
    #[must_use]
    pub fn of(changed: bool, heard: impl IntoIterator<Item = Result<(), Ignored>>) -> Self {
        if changed {
            return Self::Changed;
        }
        let mut first = None;
        for heard in heard {
            match heard {
                Ok(()) => return Self::Unchanged,
                Err(why) => first = first.or(Some(why)),
            }
        }
        first.map_or(Self::Unchanged, Self::Ignored)
    }

    /// Whether anything is different.
    #[must_use]
    pub const fn is_changed(self) -> bool {
        matches!(self, Self::Changed)
    }

    /// Why it was not believed, if it was not.
    #[must_use]
    pub const fn ignored(self) -> Option<Ignored> {
        match self {
            Self::Ignored(why) => Some(why),
            Self::Changed | Self::Unchanged => None,
        }
    }
}
