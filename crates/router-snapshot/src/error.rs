//! What can go wrong: each error names what it is about, the rule, and the way out, and gives back what was rejected.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use worker_id::WorkerWithDpRank;

use crate::RouterId;

/// Why a change was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The id is taken.
    #[error(
        "router `{id}` is registered already; an id has one router: deregister it first, in the same update if nobody is to miss it"
    )]
    DuplicateRouter {
        /// The id.
        id: RouterId,
    },
    /// Only a registered router can be the default.
    #[error("router `{id}` is not registered; the default must be: register it first")]
    UnknownRouter {
        /// The id.
        id: RouterId,
    },
    /// No request can name it.
    #[error(
        "worker {id} serves a model whose name is empty; leave that one out, or all of them for a worker that serves no model by name"
    )]
    EmptyModel {
        /// The worker.
        id: WorkerWithDpRank,
    },
}

/// A change, or a batch of them, that was refused: nothing of it was done.
#[derive(Clone, Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct Rejected<T> {
    /// Why.
    pub reason: ChangeError,
    /// What was passed in.
    pub rejected: T,
}

impl<T> Rejected<T> {
    pub(crate) fn new(reason: ChangeError, rejected: T) -> Self {
        Self { reason, rejected }
    }
}

impl<T> fmt::Debug for Rejected<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// Why no router, or no model, was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SelectError {
    /// No registered router has a healthy worker of its kind; or, for a model, no worker is known at all.
    #[error(
        "no router that could serve the request has a healthy worker: register a router and a worker of the same class, or wait until one is healthy"
    )]
    NoWorkers,
    /// Single-router mode has nothing else to answer with.
    #[error("no router is the default, and in single-router mode no other is chosen: set one")]
    NoDefault,
    /// No worker can serve a model without a name.
    #[error("the request names a model, and the name is empty: name one, or leave it out")]
    EmptyModel,
    /// Several models are served, and the request names none.
    #[error(
        "the request names no model, and {} are served: name one of {}",
        available.len(),
        List(available)
    )]
    ModelRequired {
        /// All of them, in the order of their names.
        available: Vec<Arc<str>>,
    },
}

/// The first of many names: an error is a line of a log, and a fleet may serve thousands.
struct List<'a>(&'a [Arc<str>]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        for (at, name) in self.0.iter().take(SHOWN).enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}`{name}`")?;
        }
        if self.0.len() > SHOWN {
            write!(f, ", and {} more", self.0.len() - SHOWN)?;
        }
        Ok(())
    }
}
