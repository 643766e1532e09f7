//! What can be wrong with an identity: the value, the rule it breaks, and what is accepted.
//!
//! Every `text` and `value` is what was rejected, cut to 64 bytes on a character boundary and then
//! marked with `…`. Messages print it escaped, so that text from outside cannot forge a line of a
//! log.

use std::fmt;

use thiserror::Error;

use crate::EndpointInstanceId;

/// A text that is not what [`WorkerWithDpRank`](crate::WorkerWithDpRank) displays as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} names no worker: its {part} {rule}; write `worker_id:dp_rank` or \
     `worker_id:dp_rank@incarnation` in plain decimal, such as `7:0`, `7:0@42` or, where \
     incarnations are ordered, `7:0@r42`"
)]
#[non_exhaustive]
pub struct ParseWorkerError {
    /// The rejected text, all of it or its beginning.
    pub text: Box<str>,
    /// The first part that is wrong.
    pub part: WorkerPart,
    /// The rule it breaks.
    pub rule: NumberRule,
}

/// A part of the text of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerPart {
    /// What stands before the first `:`.
    WorkerId,
    /// What stands between `:` and `@`, or the end.
    DpRank,
    /// What follows the first `@`.
    Incarnation,
}

impl fmt::Display for WorkerPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WorkerId => "worker_id",
            Self::DpRank => "dp_rank",
            Self::Incarnation => "incarnation",
        })
    }
}

/// A rule for numbers in text. Each number has one spelling: ASCII digits, no sign, no leading
/// zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NumberRule {
    /// The text ends before it.
    #[error("is missing")]
    Missing,
    /// There is nothing between its separators.
    #[error("is empty")]
    Empty,
    /// A sign, a space, a separator too many, a letter, a digit of another script.
    #[error("holds something other than the digits 0 to 9")]
    NotDigits,
    /// `007`, or `00`; zero itself is `0`.
    #[error("has a leading zero")]
    LeadingZero,
    /// It does not fit its type.
    #[error("is larger than {max}")]
    TooLarge {
        /// The largest that does.
        max: u64,
    },
}

/// A text that no [`WorkerState`](crate::WorkerState) displays as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is no state of a worker: write `healthy`, `ill` or `draining`")]
#[non_exhaustive]
pub struct ParseWorkerStateError {
    /// The rejected text, all of it or its beginning.
    pub text: Box<str>,
}

/// A name that cannot be part of an [`EndpointInstanceId`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the {field} {value:?} {rule}; a name has 1 to {max} bytes, without `/`, whitespace and \
     control characters",
    max = EndpointInstanceId::MAX_NAME_LEN
)]
#[non_exhaustive]
pub struct NameError {
    /// Which name it is.
    pub field: NameField,
    /// The rejected name, all of it or its beginning.
    pub value: Box<str>,
    /// The rule it breaks.
    pub rule: NameRule,
}

/// A named field of an [`EndpointInstanceId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameField {
    /// The first.
    Namespace,
    /// The second.
    Component,
    /// The third.
    Endpoint,
}

impl fmt::Display for NameField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "namespace",
            Self::Component => "component",
            Self::Endpoint => "endpoint",
        })
    }
}

/// A rule for names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameRule {
    /// A name has at least one byte.
    #[error("is empty")]
    Empty,
    /// A name has at most [`EndpointInstanceId::MAX_NAME_LEN`] bytes.
    #[error("is {len} bytes long")]
    TooLong {
        /// How many this one has.
        len: usize,
    },
    /// A name has no `/`, no whitespace and no control character (as Unicode defines the two).
    #[error("holds {0:?}")]
    Forbidden(char),
}

/// A text that is not what [`EndpointInstanceId`] displays as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseEndpointInstanceError {
    /// It does not have four parts.
    #[error(
        "{text:?} names no instance: it has {found} of the 4 parts; write \
         `namespace/component/endpoint/instance_id`"
    )]
    Parts {
        /// The rejected text, all of it or its beginning.
        text: Box<str>,
        /// How many parts it has.
        found: usize,
    },
    /// One of the first three parts is not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The last part is not a number.
    #[error("the instance_id {value:?} {rule}; write it in plain decimal, such as `42`")]
    InstanceId {
        /// The rejected part, all of it or its beginning.
        value: Box<str>,
        /// The rule it breaks.
        rule: NumberRule,
    },
}
