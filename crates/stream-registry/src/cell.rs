//! One stream: everything there is to know of it, under one small lock.
//!
//! 1. `State::end` succeeds once. Its caller gets the `Ending`, which leaves the index and wakes
//!    both sides as it is dropped.
//! 2. No code of the user's runs under `StreamCell::state`: wakers and values are moved out, and
//!    cloned, woken or dropped after it is unlocked.
//! 3. `state` is locked inside a map's operation, never the other way round.
//! 4. `State::index` is there exactly while the stream has not ended.
//!
//! Proof: `tests/loom.rs`. Why a lock and no channel: `adr/0004-stream-registry.md`.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use std_or_loom::{Mutex, lock};
use worker_id::EndpointInstanceId;

use crate::life::{Input, Stage};
use crate::{ClaimError, StreamError, StreamId, StreamKind};

/// Where a stream is registered.
pub(crate) trait StreamIndex: Send + Sync {
    /// Takes a stream that has ended out of the index.
    fn forget(&self, id: &StreamId);
}

pub(crate) struct StreamCell<T> {
    /// Its key in the index.
    pub(crate) id: StreamId,
    /// Which half of a session it is; a claim has to name it.
    pub(crate) kind: StreamKind,
    /// Locked for a few moves at a time.
    state: Mutex<State<T>>,
}

struct State<T> {
    /// How far it has come.
    stage: Stage,
    /// What the registrant gets, or has got.
    answer: Answer<T>,
    /// The instance it is tied to, if to any, while it has not ended.
    association: Option<Association>,
    /// Who waits for the answer.
    registrant: Option<Waker>,
    /// Who waits to hear of the stream's end, while it is claimed and while it is established.
    claimant: Option<Waker>,
    /// Where it is registered, until it has ended.
    index: Option<Arc<dyn StreamIndex>>,
}

enum Answer<T> {
    /// Nobody has established the stream, nor ended it.
    Awaited,
    /// Decided, and not yet fetched.
    Ready(Result<T, StreamError>),
    /// The registrant has it, or has gone.
    Received,
}

/// An instance, and how many instances of its group had been cancelled when the stream was
/// associated with it.
struct Association {
    /// The instance that is to call home for it.
    instance: EndpointInstanceId,
    /// A cancellation of a later epoch ends it.
    epoch: u64,
}

/// What is still to be done for a stream that has ended, in the order in which it is dealt with
/// when this is dropped: the stream leaves the index, then both sides hear of it. Never dropped
/// under a lock.
pub(crate) struct Ending {
    _unlink: Unlink,
    _registrant: Wake,
    _claimant: Wake,
}

struct Unlink {
    id: StreamId,
    index: Option<Arc<dyn StreamIndex>>,
}

impl Drop for Unlink {
    fn drop(&mut self) {
        if let Some(index) = self.index.take() {
            index.forget(&self.id);
        }
    }
}

/// Wakes when it is dropped, so that neither an early return nor a panic of another waker leaves
/// anybody asleep.
struct Wake(Option<Waker>);

impl Drop for Wake {
    fn drop(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

impl<T> State<T> {
    /// Ends the stream, and answers with `why` unless there has been an answer.
    fn end(&mut self, id: StreamId, why: impl FnOnce() -> StreamError) -> Option<Ending> {
        self.stage = self.stage.step(Input::End)?;
        self.association = None;
        let mut registrant = None;
        if let Answer::Awaited = self.answer {
            self.answer = Answer::Ready(Err(why()));
            registrant = self.registrant.take();
        }
        Some(Ending {
            _unlink: Unlink {
                id,
                index: self.index.take(),
            },
            _registrant: Wake(registrant),
            _claimant: Wake(self.claimant.take()),
        })
    }
}

impl<T> StreamCell<T> {
    pub(crate) fn new(id: StreamId, kind: StreamKind, index: Option<Arc<dyn StreamIndex>>) -> Self {
        let state = State {
            stage: Stage::Pending,
            answer: Answer::Awaited,
            association: None,
            registrant: None,
            claimant: None,
            index,
        };
        Self {
            id,
            kind,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        lock(&self.state).stage
    }

    /// What the stream counts as, and with which instance; `None` if it has ended.
    pub(crate) fn census<R>(
        &self,
        count: impl FnOnce(Stage, Option<&EndpointInstanceId>) -> R,
    ) -> Option<R> {
        let state = lock(&self.state);
        let instance = state.association.as_ref().map(|a| &a.instance);
        (state.stage != Stage::Ended).then(|| count(state.stage, instance))
    }

    pub(crate) fn claim(&self, kind: StreamKind) -> Result<(), ClaimError> {
        let id = self.id;
        if kind != self.kind {
            let registered = self.kind;
            return Err(ClaimError::WrongKind { id, registered });
        }
        let mut state = lock(&self.state);
        match state.stage.step(Input::Claim) {
            Some(claimed) => {
                state.stage = claimed;
                Ok(())
            }
            None if state.stage == Stage::Ended => Err(ClaimError::Cancelled { id }),
            None => Err(ClaimError::AlreadyClaimed { id }),
        }
    }

    /// Answers the registrant with `value`, or gives it back where the stream has ended.
    pub(crate) fn establish(&self, value: T) -> Result<(), T> {
        let mut state = lock(&self.state);
        let Some(established) = state.stage.step(Input::Establish) else {
            // Another thread ended it after it was claimed.
            return Err(value);
        };
        state.stage = established;
        state.answer = Answer::Ready(Ok(value));
        let registrant = Wake(state.registrant.take());
        drop(state);
        drop(registrant);
        Ok(())
    }

    /// Ties the stream to an instance, and unties it from any other, unless it has ended.
    pub(crate) fn associate(&self, instance: &EndpointInstanceId, epoch: u64) {
        let mut state = lock(&self.state);
        if state.stage != Stage::Ended {
            let instance = instance.clone();
            state.association = Some(Association { instance, epoch });
        }
    }

    /// Ends the stream; `None` if somebody else has.
    pub(crate) fn end(&self, why: StreamError) -> Option<Ending> {
        lock(&self.state).end(self.id, || why)
    }

    /// Ends the stream if it was associated with `instance` in an earlier epoch than `epoch`.
    pub(crate) fn end_of(&self, instance: &EndpointInstanceId, epoch: u64) -> Option<Ending> {
        let mut state = lock(&self.state);
        // None where another thread ended it first: ending unties it.
        let tied = state.association.as_ref()?;
        // Tied after this cancellation raised the epoch: the instance has come back meanwhile.
        if tied.epoch >= epoch || tied.instance != *instance {
            return None;
        }
        let instance = instance.clone();
        state.end(self.id, || StreamError::InstanceGone { instance })
    }

    /// The registrant goes without having received an answer.
    pub(crate) fn abandon(&self) {
        let mut state = lock(&self.state);
        let own = state.registrant.take();
        let ending = state.end(self.id, || StreamError::Cancelled);
        let unreceived = mem::replace(&mut state.answer, Answer::Received);
        drop(state);
        drop((ending, own, unreceived));
    }

    /// The claimant goes, which ends the stream if nobody else has.
    pub(crate) fn let_go(&self, why: StreamError) {
        let mut state = lock(&self.state);
        let own = state.claimant.take();
        let ending = state.end(self.id, || why);
        drop(state);
        drop((ending, own));
    }

    pub(crate) fn poll_answer(&self, cx: &Context<'_>) -> Poll<Result<T, StreamError>> {
        self.poll(
            cx,
            |state| match mem::replace(&mut state.answer, Answer::Received) {
                Answer::Ready(answer) => Some(answer),
                Answer::Received => Some(Err(StreamError::Received)),
                Answer::Awaited => {
                    state.answer = Answer::Awaited;
                    None
                }
            },
            |state| &mut state.registrant,
        )
    }

    pub(crate) fn poll_ended(&self, cx: &Context<'_>) -> Poll<()> {
        self.poll(
            cx,
            |state| (state.stage == Stage::Ended).then_some(()),
            |state| &mut state.claimant,
        )
    }

    /// Answers what `ready` does, or leaves the waker in its slot. Wakers are cloned and dropped
    /// outside the lock.
    fn poll<R>(
        &self,
        cx: &Context<'_>,
        ready: impl Fn(&mut State<T>) -> Option<R>,
        slot: impl Fn(&mut State<T>) -> &mut Option<Waker>,
    ) -> Poll<R> {
        let mut clone = None;
        loop {
            let mut state = lock(&self.state);
            if let Some(answer) = ready(&mut state) {
                return Poll::Ready(answer);
            }
            let slot = slot(&mut state);
            if slot
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                return Poll::Pending;
            }
            if clone.is_some() {
                // What was in the slot is dropped with `clone`, after `state` is.
                mem::swap(slot, &mut clone);
                return Poll::Pending;
            }
            // Cloned unlocked. The stream may be answered meanwhile: look again.
            drop(state);
            clone = Some(cx.waker().clone());
        }
    }
}

impl<T> fmt::Debug for StreamCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("stage", &self.stage())
            .finish()
    }
}
