//! Asking for a compaction, and the wait for it.

use crate::error::{Error, Failure};
use crate::pending::{Slot, block_on};
use crate::store::Lsn;
use crate::sync::Mutex;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// How much of the machine a compaction takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// A part of it, so that commits hardly notice.
    Gentle,
    /// All that it can use, to be done soon.
    Full,
}

/// What a compaction did; from [`Store::compact`](crate::Store::compact).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compacted {
    /// The transaction that the snapshots show.
    pub lsn: Lsn,
    /// Bytes written: snapshots of the key spaces that changed, and the manifest.
    pub written_bytes: u64,
    /// Bytes of files that were removed.
    pub freed_bytes: u64,
}

impl Compacted {
    /// There was nothing to do.
    pub(crate) fn nothing(lsn: Lsn) -> Compacted {
        Compacted {
            lsn,
            written_bytes: 0,
            freed_bytes: 0,
        }
    }
}

/// A compaction that someone waits for.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) pace: Pace,
    slot: Slot,
    outcome: Mutex<Option<Compacted>>,
}

impl Request {
    pub(crate) fn new(pace: Pace) -> Request {
        Request {
            pace,
            slot: Slot::default(),
            outcome: Mutex::default(),
        }
    }

    pub(crate) fn answer(&self, outcome: Result<Compacted, Failure>) {
        let said = outcome.map(|compacted| *self.outcome.lock() = Some(compacted));
        self.slot.say(said);
    }
}

/// A compaction on its way. A future that needs no runtime; dropping it cancels nothing.
#[must_use = "its outcome is known only by waiting for it"]
pub struct Compacting(pub(crate) Arc<Request>);

impl Compacting {
    /// Blocks until it is done.
    ///
    /// # Errors
    ///
    /// Why it could not be done: the state is as before then, and it is tried again if it was due anyway. Or the store was
    /// closed meanwhile.
    pub fn wait(self) -> Result<Compacted, Error> {
        block_on(self)
    }
}

impl Future for Compacting {
    type Output = Result<Compacted, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let said = std::task::ready!(self.0.slot.poll(context.waker()));
        let outcome = said.map(|()| *self.0.outcome.lock());
        Poll::Ready(match outcome {
            Ok(outcome) => Ok(outcome.expect("it was put there before it was said")),
            Err(failure) => Err(failure.into()),
        })
    }
}

impl fmt::Debug for Compacting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compacting")
    }
}
