//! What a check found, and how it is shown to a human.

use std::collections::BTreeSet;
use std::fmt;

use crate::history::Call;

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a verdict that nobody reads is a test that cannot fail"]
pub enum Verdict<Op, Ret> {
    /// Some order of the calls explains the history.
    Linearizable,
    /// All orders were searched, and none explains the history.
    NotLinearizable(Counterexample<Op, Ret>),
    /// The search did not come to an end.
    Unknown(Unknown),
}

impl<Op: fmt::Debug, Ret: fmt::Debug> Verdict<Op, Ret> {
    /// Insists on [`Verdict::Linearizable`].
    ///
    /// # Panics
    ///
    /// With the rendered verdict if it is any other.
    #[track_caller]
    pub fn assert_linearizable(&self) {
        assert!(matches!(self, Self::Linearizable), "{self}");
    }
}

impl<Op: fmt::Debug, Ret: fmt::Debug> fmt::Display for Verdict<Op, Ret> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linearizable => f.write_str("linearizable"),
            Self::NotLinearizable(counterexample) => counterexample.fmt(f),
            Self::Unknown(reason) => reason.fmt(f),
        }
    }
}

/// Why a check has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unknown {
    /// The search explored as many states as its budget allows.
    OutOfBudget {
        /// The calls to be ordered.
        calls: usize,
        /// The budget.
        states: usize,
    },
    /// There are more calls than the search takes on.
    TooLong {
        /// The calls to be ordered.
        calls: usize,
        /// The most that are taken on.
        limit: usize,
    },
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfBudget { calls, states } => {
                write!(
                    f,
                    "unknown: gave up on {calls} calls after {states} explored states"
                )
            }
            Self::TooLong { calls, limit } => {
                write!(
                    f,
                    "unknown: {calls} calls, and the search takes at most {limit}"
                )
            }
        }
    }
}

/// A history that no order of its calls explains; of a partitioned one, the calls on the first such key.
///
/// Its `Display` draws the calls on a timeline, a column for each distinct stamp, with a number for the place in the
/// longest prefix and a `!` for what contradicts the specification after it:
///
/// ```text
/// not linearizable: 3 calls
///   #1  thread 0  |--|    Write(1) -> None  [0..70 ns]
///   #2  thread 1   |---|  Write(2) -> Some(1)  [20..120 ns]
///    !  thread 0     |-|  Read -> None, specified: Some(2)  [95..120 ns]
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counterexample<Op, Ret> {
    /// The calls in order of invocation.
    pub calls: Vec<Call<Op, Ret>>,
    /// The longest beginning of an order that the specification allows, as indices into `calls`.
    pub prefix: Vec<usize>,
    /// The calls that time allows to come next after `prefix`, each with what the specification would have answered.
    pub stuck: Vec<(usize, Ret)>,
}

impl<Op: fmt::Debug, Ret: fmt::Debug> fmt::Display for Counterexample<Op, Ret> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamps = self
            .calls
            .iter()
            .flat_map(|call| [call.invoked, call.returned]);
        let stamps: Vec<u64> = stamps.collect::<BTreeSet<_>>().into_iter().collect();
        let start = stamps.first().copied().unwrap_or_default();

        write!(f, "not linearizable: {} calls", self.calls.len())?;
        for (index, call) in self.calls.iter().enumerate() {
            let place = self.prefix.iter().position(|&placed| placed == index);
            let specified = self.stuck.iter().find(|(stuck, _)| *stuck == index);
            let mark = match (place, specified) {
                (Some(place), _) => format!("#{}", place + 1),
                (None, Some(_)) => "!".to_owned(),
                (None, None) => String::new(),
            };
            let bar = bar(&stamps, call.invoked, call.returned);
            let Call {
                thread, op, ret, ..
            } = call;
            write!(f, "\n {mark:>4}  thread {thread}  {bar}  {op:?} -> {ret:?}")?;
            if let Some((_, answer)) = specified {
                write!(f, ", specified: {answer:?}")?;
            }
            write!(
                f,
                "  [{}..{} ns]",
                call.invoked - start,
                call.returned - start
            )?;
        }
        Ok(())
    }
}

/// One column a stamp, not a nanosecond: what overlaps and what does not stays exact at any scale.
fn bar(stamps: &[u64], invoked: u64, returned: u64) -> String {
    let column = |&stamp: &u64| {
        if stamp == invoked || stamp == returned {
            '|'
        } else if invoked < stamp && stamp < returned {
            '-'
        } else {
            ' '
        }
    };
    stamps.iter().map(column).collect()
}
