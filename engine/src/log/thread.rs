//! The log's thread, and the committers that do its work when they can.
//!
//! The thread does everything: it sleeps until something is queued, and [`Driver::step`]s. But handing a batch to another
//! thread and being woken by it costs several times the `write(2)` itself. So where a commit is acknowledged after that
//! write, the committer takes the driver if nobody has it, and writes what is queued, its own batch first of all, if it
//! fits the segment. Whoever finds the driver taken leaves: the holder looks again after it has let go. Batches form while
//! the driver is held, as before.
//!
//! Where each batch is synced, those who are told of one commit again while the next is synced already, without them: half
//! of the clients would always wait for the other half. So the thread gives them a moment, an eighth of the time that the
//! sync took, and goes on as soon as all are back.
//!
//! Nothing that can take long is done so: all syncs, and with them everything at [`Durability::Power`], new segments,
//! marks and closing stay with the thread; a committer may well be a worker of an async runtime.
//!
//! [`Durability::Power`]: crate::Durability::Power

use super::driver::{Driver, Next, Queued};
use crate::sequencer::Shared;
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{self, Mutex};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

/// After a sync, the thread waits for this part of the time that it took.
const PATIENCE: u32 = 8;
const PATIENCE_MAX: Duration = Duration::from_millis(2);

/// The driver, shared by the thread and the committers.
#[derive(Clone, Debug)]
pub(crate) struct SharedDriver {
    driver: Arc<Mutex<Driver>>,
    shared: Arc<Shared>,
}

impl SharedDriver {
    /// Starts the thread.
    pub(crate) fn spawn(
        mut driver: Driver,
        shared: Arc<Shared>,
    ) -> io::Result<(SharedDriver, JoinHandle<()>)> {
        driver.go_to_background()?;
        let driver = SharedDriver {
            driver: Arc::new(Mutex::new(driver)),
            shared,
        };
        let own = driver.clone();
        let thread = thread::Builder::new()
            .name("cumulog-log".into())
            .spawn(move || own.run())?;
        Ok((driver, thread))
    }

    fn run(&self) {
        loop {
            let start = sync::now();
            // On a line of its own: the driver must be free while the thread sleeps.
            let next = self.guarded(&mut self.driver.lock(), |driver| driver.step(start));
            match next {
                Some(Next::Again) if self.shared.committers_help => {}
                Some(Next::Again) => {
                    let end = sync::now();
                    let patience =
                        (end.saturating_duration_since(start) / PATIENCE).min(PATIENCE_MAX);
                    self.shared.wait_for_clients(end + patience);
                }
                Some(Next::Wait(deadline)) => self.shared.wait_for_work(deadline),
                Some(Next::Closed) | None => return,
            }
        }
    }

    /// Writes what is queued, unless someone is at it already.
    pub(crate) fn help(&self) {
        loop {
            let Some(mut driver) = self.driver.try_lock() else {
                return;
            };
            let queued = self.guarded(&mut driver, Driver::write_queued);
            drop(driver);
            match queued {
                // Someone may have queued more, and left because we had the driver.
                Some(Queued::Written) if self.shared.has_work() => {}
                Some(Queued::Written) | None => return,
                Some(Queued::Left) => return self.shared.nudge(),
            }
        }
    }

    /// After a bug that panics, nobody may wait for ever, nor believe that writes still arrive.
    fn guarded<T>(&self, driver: &mut Driver, work: impl FnOnce(&mut Driver) -> T) -> Option<T> {
        let done = panic::catch_unwind(AssertUnwindSafe(|| work(driver)));
        if done.is_err() {
            driver.give_up();
        }
        done.ok()
    }
}
