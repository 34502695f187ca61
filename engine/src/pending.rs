//! The wait between a commit and its publication.

use crate::error::Error;
use crate::store::Lsn;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A result that is released once everything its closure could have read is published.
///
/// A future that needs no runtime. Dropping it cancels nothing: the transaction is queued already.
#[must_use = "a commit is acknowledged only by waiting for it"]
#[derive(Debug)]
pub struct Pending<T> {
    result: Option<Result<T, Error>>,
    lsn: Option<Lsn>,
}

impl<T> Pending<T> {
    pub(crate) fn ready(result: Result<T, Error>, lsn: Option<Lsn>) -> Pending<T> {
        Pending {
            result: Some(result),
            lsn,
        }
    }

    /// Blocks until the result is released.
    ///
    /// # Errors
    ///
    /// What kept the log from taking the transaction.
    pub fn wait(mut self) -> Result<T, Error> {
        self.take()
    }

    /// The transaction's place in the log; `None` if it changed nothing.
    pub fn lsn(&self) -> Option<Lsn> {
        self.lsn
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Pending<U> {
        Pending {
            result: self.result.map(|result| result.map(f)),
            lsn: self.lsn,
        }
    }

    fn take(&mut self) -> Result<T, Error> {
        self.result
            .take()
            .expect("a future is not polled after it was ready")
    }
}

impl<T> Unpin for Pending<T> {}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(self.take())
    }
}

/// Waits until the queue has room; from [`Store::admission`](crate::Store::admission).
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Admission(());

impl Admission {
    pub(crate) fn granted() -> Admission {
        Admission(())
    }
}

impl Future for Admission {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}
