//! An event that cannot be applied: which name is wrong, the rule it breaks, and the way out.

use thiserror::Error;

use crate::event::MAX_NAME_LEN;

/// A call that was refused whole, since the name of an adapter in it is none. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the adapter name {name:?} at index {index} {rule}; a name has 1 to {MAX_NAME_LEN} bytes: \
     leave it out, or name the adapter by less"
)]
#[non_exhaustive]
pub struct Rejected<T> {
    /// What was passed: the event, or all that the iterator had.
    pub given: Box<T>,
    /// Which one of them it is, from 0.
    pub index: usize,
    /// The name, all of it or its first 64 characters.
    pub name: Box<str>,
    /// The rule it breaks.
    pub rule: NameRule,
}

/// A rule for the names of adapters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameRule {
    /// A name has at least one byte.
    #[error("is empty")]
    Empty,
    /// A name has at most [`MAX_NAME_LEN`] bytes.
    #[error("is {len} bytes long")]
    TooLong {
        /// How many this one has.
        len: usize,
    },
}

/// A name that is none: its index, its beginning, and what is wrong with it.
type Bad = (usize, Box<str>, NameRule);

/// The first bad one of `names`.
pub(crate) fn first_bad<'a>(names: impl Iterator<Item = Option<&'a str>>) -> Option<Bad> {
    names.enumerate().find_map(|(index, name)| {
        let name = name?;
        let rule = match name.len() {
            0 => NameRule::Empty,
            len if len > MAX_NAME_LEN => NameRule::TooLong { len },
            _ => return None,
        };
        // An error must not carry (or log) a megabyte that somebody sent.
        Some((index, name.chars().take(64).collect(), rule))
    })
}

/// Gives back what was passed, if there is a bad name in it.
pub(crate) fn refuse<T>(given: T, bad: Option<Bad>) -> Result<T, Rejected<T>> {
    match bad {
        None => Ok(given),
        Some((index, name, rule)) => Err(Rejected {
            given: Box::new(given),
            index,
            name,
            rule,
        }),
    }
}
