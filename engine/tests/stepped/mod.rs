//! A store whose log does nothing by itself: for the tests that decide what happens when.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use cumulog_engine::disk::Simulated;
use cumulog_engine::{Driver, Error, Next, Options, Pending, Recovery, Store};

/// An open store and its log, which is stepped by hand, at times made up.
pub(crate) struct Stepped {
    pub(crate) store: Store,
    driver: Driver,
    now: Instant,
}

impl Stepped {
    pub(crate) fn open(
        disk: &Simulated,
        directory: &str,
        options: Options,
    ) -> Result<(Stepped, Recovery), Error> {
        let (store, driver, recovery) =
            Store::open_stepped(Arc::new(disk.clone()), Path::new(directory), options)?;
        let now = Instant::now();
        Ok((Stepped { store, driver, now }, recovery))
    }

    /// Lets the log do one thing.
    #[allow(dead_code, reason = "some tests need only the rest")]
    pub(crate) fn step(&mut self) -> Next {
        self.driver.step(self.now)
    }

    /// Lets the log do what there is to do now.
    pub(crate) fn settle(&mut self) {
        self.settle_by_steps(|_| {});
    }

    /// The same, and looks at the store after each step.
    pub(crate) fn settle_by_steps(&mut self, mut look: impl FnMut(&Store)) {
        loop {
            let next = self.driver.step(self.now);
            look(&self.store);
            if next != Next::Again {
                return;
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn pause(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    pub(crate) fn close(&mut self) -> Result<(), Error> {
        let store = self.store.clone();
        // It returns once the log has seen to it.
        let closing = thread::spawn(move || store.close());
        while self.driver.step(self.now) != Next::Closed {
            thread::yield_now();
        }
        closing.join().expect("closing does not panic")
    }
}

/// What came of a commit or a compaction; `None`: it still waits.
pub(crate) fn answer<F: Future + Unpin>(pending: &mut F) -> Option<F::Output> {
    match Pin::new(pending).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

/// What came of a commit, now that the log has done all that there is to do.
pub(crate) fn released<T>(mut pending: Pending<T>) -> Result<T, Error> {
    answer(&mut pending)
        .expect("a commit is still not answered, though the log has nothing more to do")
}
