//! What can go wrong: each error names what it is about, the rule, and the way out, and gives back
//! what was rejected.

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
        "router `{id}` is registered already; an id has one router: deregister it first, in the \
         same update if nobody is to miss it"
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
        "worker {id} serves a model whose name is empty; leave that one out, or all of them for a \
         worker that serves no model by name"
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
    /// No worker is known at all: nothing has been told yet, or everybody has left.
    #[error("no worker is known: register some, or wait until they have been discovered")]
    NoWorkers,
    /// No worker names the model: it is not found (404).
    #[error("no worker serves the model {model:?}: name one that is served")]
    UnknownModel {
        /// The model, all of it or its first 64 characters.
        model: Box<str>,
    },
    /// The model is known, or none was asked for, and nobody can serve the request now: try again
    /// later (503).
    #[error(
        "no worker can serve the request now: {ill} are ill, {draining} are draining, and \
         {unmatched} are healthy but lack a router of their class or the other half of their pair"
    )]
    NobodyServes {
        /// How many of its workers are ill.
        ill: usize,
        /// How many are draining.
        draining: usize,
        /// How many are healthy, and of no use: no router of their class is registered, or of a
        /// prefill/decode pair one half is missing.
        unmatched: usize,
    },
    /// Single-router mode has nothing else to answer with.
    #[error("no router is the default, and in single-router mode no other is chosen: set one")]
    NoDefault,
    /// No worker can serve a model without a name.
    #[error("the request names a model, and the name is empty: name one, or leave it out")]
    EmptyModel,
    /// Several models are served, and the request names none.
    #[error(
        "the request names no model, and {count} are served: name one of {}",
        List { some, count: *count }
    )]
    ModelRequired {
        /// How many there are.
        count: usize,
        /// Some of them, at most 8.
        some: Vec<Arc<str>>,
    },
}

/// Some of many names: an error is a line of a log, and a fleet may serve thousands.
struct List<'a> {
    some: &'a [Arc<str>],
    count: usize,
}

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.some.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}`{name}`")?;
        }
        if self.count > self.some.len() {
            write!(f, ", and {} more", self.count - self.some.len())?;
        }
        Ok(())
    }
}
