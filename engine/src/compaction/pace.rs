//! A compaction on a thread of its own, that gives way to commits.

use super::request::Pace;
use super::{Aborted, Compaction, Done, Progress};
use crate::error::Failure;
use crate::log::spare::Notify;
use crate::sync::mpsc::{self, Receiver};
use crate::sync::{self, Condvar, Mutex, thread};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

/// Of a gentle compaction's time, this many parts are rest for each that is work.
const REST: u32 = 3;

/// Work is done in turns of about this length.
const TURN: Duration = Duration::from_millis(1);

/// A rest is never longer, however long a sync took.
const REST_MAX: Duration = Duration::from_millis(50);

/// What the thread is told while it works.
#[derive(Debug, Default)]
struct Orders {
    told: Mutex<Told>,
    /// The thread rests here.
    rest: Condvar,
    /// The manifest of an earlier one may be the one that counts.
    uncertain: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    stop: bool,
    hurry: bool,
}

/// The thread, from outside.
#[derive(Debug)]
pub(crate) struct Worker {
    orders: Arc<Orders>,
    ended: Receiver<Result<Done, Aborted>>,
}

impl Worker {
    /// Starts the thread, which calls `notify` at its end.
    pub(crate) fn spawn(
        compaction: Compaction,
        uncertain: bool,
        pace: Pace,
        notify: Notify,
    ) -> io::Result<Worker> {
        let orders = Arc::new(Orders {
            told: Mutex::new(Told {
                hurry: pace == Pace::Full,
                ..Told::default()
            }),
            uncertain,
            ..Orders::default()
        });
        let own = orders.clone();
        let (say, ended) = mpsc::channel();
        thread::Builder::new()
            .name("cumulog-compact".into())
            .spawn(move || {
                // Said before the nudge: the log may look at once.
                match panic::catch_unwind(AssertUnwindSafe(|| own.work(compaction))) {
                    Ok(result) => drop(say.send(result)),
                    // Hanging up says it.
                    Err(_) => drop(say),
                }
                notify();
            })?;
        Ok(Worker { orders, ended })
    }

    /// Someone waits for it.
    pub(crate) fn hurry(&self) {
        self.orders.tell(|told| told.hurry = true);
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&self) -> Option<Result<Done, Aborted>> {
        match self.ended.try_recv() {
            Ok(ended) => Some(ended),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(panicked())),
        }
    }

    /// Ends it soon, with nothing done if that can still be, and waits for that.
    pub(crate) fn stop(self) -> Result<Done, Aborted> {
        self.orders.tell(|told| told.stop = true);
        self.ended.recv().unwrap_or_else(|_| Err(panicked()))
    }
}

/// After a bug, all that is known is that the files are there.
fn panicked() -> Aborted {
    let bug = io::Error::other("the thread panicked");
    Aborted {
        failure: Failure::io("compact", Path::new("the log"))(bug),
        uncertain: true,
    }
}

impl Orders {
    fn tell(&self, order: impl FnOnce(&mut Told)) {
        order(&mut self.told.lock());
        self.rest.notify_one();
    }

    fn work(&self, mut compaction: Compaction) -> Result<Done, Aborted> {
        let mut turn = sync::now();
        loop {
            if self.told.lock().stop {
                return compaction.end(self.uncertain);
            }
            match compaction.step() {
                Ok(Progress::More) => {}
                Ok(Progress::Done(done)) => return Ok(done),
                Err(aborted) => return Err(compaction.fail(aborted, self.uncertain)),
            }
            let worked = sync::now().saturating_duration_since(turn);
            if worked >= TURN {
                self.rest(worked);
                turn = sync::now();
            }
        }
    }

    fn rest(&self, worked: Duration) {
        let until = sync::now() + (worked * REST).min(REST_MAX);
        let is_calm = |told: &mut Told| !told.stop && !told.hurry;
        let _ = self
            .rest
            .wait_while_until(&mut self.told.lock(), is_calm, until);
    }
}
