//! What a request costs, what a worker can carry, and how a request is asked for.

use std::num::NonZeroU32;

use crate::Budget;
use crate::word::{Charge, MOST_TOKENS};

/// What a request costs the worker that it goes to, beside being one request.
///
/// All of it is estimated by the caller. What is not known is 0, costs nothing, and is not checked
/// against a cap.
///
/// ```
/// use worker_load::Cost;
///
/// let cost = Cost::tokens(2_048, 256);
/// assert_eq!((cost.prefill, cost.decode, cost.kv_bytes), (2_048, 256, 0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use]
pub struct Cost {
    /// Prompt tokens to be computed: without those that the worker has cached.
    pub prefill: u32,
    /// Tokens that are going to be generated, as estimated: see
    /// [`Reservation::add`](crate::Reservation::add).
    pub decode: u32,
    /// Bytes of KV cache.
    pub kv_bytes: u64,
}

impl Cost {
    /// The most tokens that one request counts as, prefill and decode together: 33,554,431. What is
    /// more counts as that.
    pub const MOST_TOKENS: u64 = MOST_TOKENS;

    /// A request of which nothing is known.
    pub const fn request() -> Self {
        Self {
            prefill: 0,
            decode: 0,
            kv_bytes: 0,
        }
    }

    /// A request with so many tokens to prefill, and so many to decode.
    pub const fn tokens(prefill: u32, decode: u32) -> Self {
        Self {
            prefill,
            decode,
            kv_bytes: 0,
        }
    }

    pub(crate) fn charge(self) -> Charge {
        let prefill = u64::from(self.prefill).min(MOST_TOKENS);
        Charge {
            tokens: (prefill + u64::from(self.decode)).min(MOST_TOKENS),
            prefill,
            bytes: self.kv_bytes,
        }
    }
}

/// What a worker, or whoever has a [`Budget`], may have in flight. `None` is no cap.
///
/// ```
/// use worker_load::Capacity;
///
/// let capacity = Capacity { tokens: Some(400_000), ..Capacity::requests(256) };
/// assert_eq!(capacity.requests, Some(256));
/// assert_eq!(capacity.kv_bytes, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[must_use]
pub struct Capacity {
    /// Requests. 262,143 is as many as can be counted, and the cap where there is none or a higher
    /// one.
    pub requests: Option<u32>,
    /// Tokens, prefill and decode together. Running requests may pass this cap; then nothing with
    /// tokens is admitted.
    pub tokens: Option<u64>,
    /// Bytes of KV cache.
    pub kv_bytes: Option<u64>,
    /// How much of the load a worker is to have beside others, 1 by default: what policies divide
    /// its load by. Means nothing in a budget.
    pub weight: NonZeroU32,
}

impl Capacity {
    /// Without caps.
    pub const fn unlimited() -> Self {
        Self {
            requests: None,
            tokens: None,
            kv_bytes: None,
            weight: NonZeroU32::MIN,
        }
    }

    /// So many requests.
    pub const fn requests(most: u32) -> Self {
        Self {
            requests: Some(most),
            ..Self::unlimited()
        }
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self::unlimited()
    }
}

/// Which of its caps a worker or a budget has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`Capacity::requests`].
    Requests,
    /// [`Capacity::tokens`].
    Tokens,
    /// [`Capacity::kv_bytes`].
    KvBytes,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::KvBytes => "bytes of KV",
        })
    }
}

/// Whether a request could go to another worker as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Admission {
    /// It could. A worker that drains refuses it.
    #[default]
    New,
    /// It belongs to this worker, which has its session. A worker that drains takes it where
    /// [`drain`](crate::WorkerLoads::drain) was told so.
    Pinned,
}

/// What is asked for: a cost, whether it is new, and the budgets that it counts for as well.
///
/// A [`Cost`] alone is one: new, and of no budget.
///
/// ```
/// use worker_load::{Ask, Budget, Capacity, Cost};
///
/// let tenant = Budget::new("tenant acme", Capacity::requests(8));
/// let model = Budget::new("model llama-3", Capacity::unlimited());
/// let budgets = [&tenant, &model];
/// let ask = Ask::new(Cost::tokens(2_048, 256)).within(&budgets).pinned();
/// # let _ = ask;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Ask<'a> {
    /// What the request costs.
    pub cost: Cost,
    /// Whether it could go to another worker.
    pub admission: Admission,
    /// What else has to have room for it: its tenant's budget, its key's, its adapter's, its
    /// model's.
    pub budgets: &'a [&'a Budget],
}

impl<'a> Ask<'a> {
    /// A new request.
    pub const fn new(cost: Cost) -> Self {
        Self {
            cost,
            admission: Admission::New,
            budgets: &[],
        }
    }

    /// The same request, pinned to the worker that is asked.
    pub const fn pinned(self) -> Self {
        Self {
            admission: Admission::Pinned,
            ..self
        }
    }

    /// The same request, counted in these budgets and no others.
    pub const fn within(self, budgets: &'a [&'a Budget]) -> Self {
        Self { budgets, ..self }
    }
}

impl From<Cost> for Ask<'_> {
    fn from(cost: Cost) -> Self {
        Self::new(cost)
    }
}
