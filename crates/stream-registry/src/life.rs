//! The life of a stream, as a pure state machine.

use std::fmt;

/// Which half of a session a stream is, seen from the frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum StreamKind {
    /// The frontend sends and the worker receives.
    Request,
    /// The worker sends and the frontend receives.
    Response,
}

impl fmt::Display for StreamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Response => "response",
        })
    }
}

/// Where a stream is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Registered; nobody has called home for it.
    Pending,
    /// Somebody has, and has not established it.
    Claimed,
    /// The registrant has its answer, and the stream is in use.
    Established,
    /// Over, for whatever reason.
    Ended,
}

/// What happens to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    Claim,
    Establish,
    End,
}

impl Stage {
    /// The next stage, or `None` where the input comes too late or out of turn, and changes
    /// nothing.
    pub(crate) fn step(self, input: Input) -> Option<Self> {
        match (self, input) {
            (Self::Pending, Input::Claim) => Some(Self::Claimed),
            (Self::Claimed, Input::Establish) => Some(Self::Established),
            (Self::Pending | Self::Claimed | Self::Established, Input::End) => Some(Self::Ended),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Input::{Claim, End, Establish},
        Stage::{Claimed, Ended, Established, Pending},
    };

    #[test]
    fn a_life() {
        let table = [
            (Pending, [Some(Claimed), None, Some(Ended)]),
            (Claimed, [None, Some(Established), Some(Ended)]),
            (Established, [None, None, Some(Ended)]),
            (Ended, [None, None, None]),
        ];
        for (stage, after) in table {
            assert_eq!(
                [Claim, Establish, End].map(|input| stage.step(input)),
                after
            );
        }
    }
}
