//! The wait between a commit and its publication. Plain `std::task`: it needs no runtime.

use crate::error::{Error, Failure};
use crate::sequencer::Shared;
use crate::store::Lsn;
use crate::sync::Mutex;
use crate::sync::thread::{self, Thread};
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Where the log leaves word for one waiter.
#[derive(Debug, Default)]
pub(crate) struct Slot(Mutex<Word>);

#[derive(Debug, Default)]
enum Word {
    #[default]
    Waiting,
    /// Someone is to be woken.
    Polled(Waker),
    Said(Result<(), Failure>),
}

impl Slot {
    pub(crate) fn say(&self, outcome: Result<(), Failure>) {
        let before = mem::replace(&mut *self.0.lock(), Word::Said(outcome));
        if let Word::Polled(waker) = before {
            waker.wake();
        }
    }

    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Result<(), Failure>> {
        let mut word = self.0.lock();
        match &mut *word {
            Word::Said(outcome) => return Poll::Ready(outcome.clone()),
            Word::Polled(known) => known.clone_from(waker),
            Word::Waiting => *word = Word::Polled(waker.clone()),
        }
        Poll::Pending
    }
}

/// A result that is released once everything its closure could have read is published.
///
/// A future that needs no runtime. Dropping it cancels nothing: the transaction is queued already.
#[must_use = "a commit is acknowledged only by waiting for it"]
pub struct Pending<T> {
    /// `None` once it was released.
    result: Option<Result<T, Failure>>,
    /// `None`: nothing to wait for.
    slot: Option<Arc<Slot>>,
    lsn: Option<Lsn>,
}

impl<T> Pending<T> {
    pub(crate) fn ready(result: Result<T, Failure>, lsn: Option<Lsn>) -> Pending<T> {
        Pending {
            result: Some(result),
            slot: None,
            lsn,
        }
    }

    pub(crate) fn queued(result: T, slot: Arc<Slot>, lsn: Option<Lsn>) -> Pending<T> {
        Pending {
            result: Some(Ok(result)),
            slot: Some(slot),
            lsn,
        }
    }

    /// Does it wait for the log?
    pub(crate) fn is_queued(&self) -> bool {
        self.slot.is_some()
    }

    /// Blocks until the result is released.
    ///
    /// # Errors
    ///
    /// What kept the log from taking the transaction, or the state it read from being published.
    pub fn wait(self) -> Result<T, Error> {
        block_on(self)
    }

    /// The transaction's place in the log; `None` if nothing of it is logged.
    pub fn lsn(&self) -> Option<Lsn> {
        self.lsn
    }

    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Pending<U> {
        Pending {
            result: self.result.map(|result| result.map(f)),
            slot: self.slot,
            lsn: self.lsn,
        }
    }
}

impl<T> Unpin for Pending<T> {}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(slot) = &self.slot {
            match slot.poll(context.waker()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure.into())),
            }
        }
        let result = self
            .result
            .take()
            .expect("a future is not polled after it was ready");
        Poll::Ready(result.map_err(Error::from))
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("lsn", &self.lsn)
            .field("slot", &self.slot)
            .finish_non_exhaustive()
    }
}

/// Waits until the queue has room; from [`Store::admission`](crate::Store::admission).
#[must_use = "futures do nothing unless awaited"]
pub struct Admission {
    shared: Arc<Shared>,
    /// Its number among those who wait; 0: it never had to.
    wait: u64,
}

impl Admission {
    pub(crate) fn new(shared: Arc<Shared>) -> Admission {
        Admission { shared, wait: 0 }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if self.wait != 0 {
            self.shared.forget_wait(self.wait);
        }
    }
}

impl Future for Admission {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.shared.poll_room(&mut this.wait, context.waker())
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admission")
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}
