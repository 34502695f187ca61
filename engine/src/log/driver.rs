//! The log at work: takes batches from the sequencer, writes, syncs and publishes them, and keeps the house in between.
//!
//! [`Driver::step`] does everything there is to do at one moment and says when it wants to be called again; so tests can
//! drive it by hand, at times they make up. [`super::thread`] puts a thread around it.

mod compacting;

use super::writer::{SyncJob, Writer};
use crate::compaction::runner::Compactor;
use crate::disk::Lock;
use crate::error::Failure;
use crate::sequencer::{LogStatus, Shared, SmallTask, Task, Work};
use crate::store::{Durability, Lsn, Options};
use crate::sync;
use crate::sync::mpsc::{self, Receiver};
use crate::sync::thread::{self, JoinHandle};
use compacting::Size;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::Instant;

/// When a [`Driver`] wants to be called again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At once.
    Again,
    /// When something is committed or the store closed; at the latest then.
    Wait(Option<Instant>),
    /// Never: the store is closed.
    Closed,
}

/// What became of the queue.
pub(crate) enum Queued {
    /// All of it is written.
    Written,
    /// Some is left to the thread.
    Left,
}

/// How many batches a committer writes for others before it goes on with its own work.
const HELP_BATCHES_MAX: usize = 16;

/// The log of an open store, to be driven by hand; from [`Store::open_stepped`](crate::Store::open_stepped).
pub struct Driver {
    shared: Arc<Shared>,
    writer: Writer,
    options: Options,
    directory: PathBuf,
    lock: Option<Box<dyn Lock>>,
    /// When the oldest write that isn't synced was made.
    unsynced_since: Option<Instant>,
    last_write: Option<Instant>,
    /// Does the log say that all of it is synced?
    marked: bool,
    /// Is there a thread that sleeps? Then slow work goes to others, which wake it.
    threaded: bool,
    /// Gets the end of the sync that another thread makes.
    syncing: Option<Receiver<Result<Lsn, Failure>>>,
    compactor: Compactor,
    /// At the cut of the last compaction, and at that of the one that runs.
    at_cut: Size,
    at_next_cut: Size,
    /// Removes the bodies of blobs that are gone.
    gravedigger: Option<JoinHandle<()>>,
    poisoned: bool,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        writer: Writer,
        compactor: Compactor,
        options: &Options,
        directory: PathBuf,
        lock: Box<dyn Lock>,
    ) -> Driver {
        Driver {
            shared,
            writer,
            options: options.clone(),
            directory,
            lock: Some(lock),
            unsynced_since: None,
            last_write: None,
            marked: true,
            threaded: false,
            syncing: None,
            compactor,
            at_cut: Size::default(),
            at_next_cut: Size::default(),
            gravedigger: None,
            poisoned: false,
        }
    }

    /// Does what there is to do. `now` must not go backwards.
    pub fn step(&mut self, now: Instant) -> Next {
        self.collect_sync(now);
        self.collect_blobs();
        if !self.poisoned {
            self.writer.spares.tend(now);
            self.sync_if_due(now);
        }
        self.compact(now);
        match self.shared.next_task() {
            Task::Write(work) => self.write(work, now),
            Task::Compact(requests) => {
                self.compactor.request(requests);
                if self.poisoned {
                    self.stop_compacting(&self.poisoned_here());
                }
                Next::Again
            }
            Task::Close => self.close(),
            Task::Closed => Next::Closed,
            Task::Nothing if self.compactor.has_step() => Next::Again,
            Task::Nothing => {
                self.mark_if_idle(now);
                self.shared.set_log(self.status());
                Next::Wait(self.deadline())
            }
        }
    }

    fn write(&mut self, mut work: Work, now: Instant) -> Next {
        match self.append(&mut work) {
            Ok(()) => {
                if !work.bytes.is_empty() {
                    self.last_write = Some(now);
                    self.marked = false;
                }
                if self.writer.needs_sync() {
                    self.unsynced_since.get_or_insert(now);
                }
                self.shared.publish(work, self.status());
            }
            Err(failure) => {
                if matches!(failure, Failure::Poisoned { .. }) {
                    self.poison(&failure);
                } else {
                    self.shared.fail(&failure, self.status());
                }
            }
        }
        Next::Again
    }

    fn append(&mut self, work: &mut Work) -> Result<(), Failure> {
        if work.bytes.is_empty() {
            return Ok(());
        }
        self.writer.append(&mut work.bytes, work.grows)?;
        if self.options.durability == Durability::Power {
            self.writer.sync_appended()?;
        }
        Ok(())
    }

    fn sync_if_due(&mut self, now: Instant) {
        let due = self.sync_due().is_some_and(|due| now >= due);
        if !due {
            return;
        }
        self.unsynced_since = None;
        // A failed write may have had it synced already.
        let Some(job) = self.writer.sync_job() else {
            return;
        };
        if !(self.threaded && self.sync_in_background(job.clone())) {
            self.synced(job.run());
        }
    }

    /// Says whether there is a thread for it.
    fn sync_in_background(&mut self, job: SyncJob) -> bool {
        let shared = self.shared.clone();
        let (done, syncing) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("cumulog-sync".into())
            .spawn(move || {
                // Said before the nudge: the log may look at once. Nobody listens any more after a bug.
                match panic::catch_unwind(AssertUnwindSafe(|| job.run())) {
                    Ok(result) => drop(done.send(result)),
                    // Hanging up says it.
                    Err(_) => drop(done),
                }
                shared.nudge();
            });
        let is_running = thread.is_ok();
        self.syncing = is_running.then_some(syncing);
        is_running
    }

    /// What is synced decides which bodies can go.
    fn collect_blobs(&mut self) {
        self.shared.blobs.synced(self.writer.synced());
        if self.gravedigger.is_none() {
            self.shared.blobs.collect();
        }
    }

    pub(crate) fn collect_sync(&mut self, now: Instant) {
        let Some(syncing) = &self.syncing else {
            return;
        };
        let done = match syncing.try_recv() {
            Ok(done) => done,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Err(self.poisoned_here()),
        };
        self.syncing = None;
        self.synced(done);
        if self.writer.needs_sync() {
            self.unsynced_since.get_or_insert(now);
        }
    }

    /// Crash argument 5: one failed sync, and nothing is written any more.
    fn synced(&mut self, done: Result<Lsn, Failure>) {
        match done {
            Ok(lsn) => self.writer.sync_done(lsn),
            Err(failure) => self.poison(&failure),
        }
    }

    fn poison(&mut self, failure: &Failure) {
        self.poisoned = true;
        self.shared.fail(failure, self.status());
        self.stop_compacting(failure);
    }

    fn poisoned_here(&self) -> Failure {
        let path = self.directory.clone();
        Failure::Poisoned { path }
    }

    fn mark_if_idle(&mut self, now: Instant) {
        if self.mark_due().is_some_and(|due| now >= due) {
            self.writer.mark();
            self.marked = true;
        }
    }

    fn sync_due(&self) -> Option<Instant> {
        let wanted = self.options.durability == Durability::Process
            && self.syncing.is_none()
            && !self.poisoned;
        self.unsynced_since
            .filter(|_| wanted)
            .and_then(|since| since.checked_add(self.options.sync_delay))
    }

    fn mark_due(&self) -> Option<Instant> {
        let wanted = !self.marked && !self.poisoned && !self.writer.needs_sync();
        self.last_write
            .filter(|_| wanted)
            .and_then(|last| last.checked_add(self.options.mark_delay))
    }

    fn deadline(&self) -> Option<Instant> {
        let retry_at = if self.poisoned {
            None
        } else {
            self.writer.spares.retry_at()
        };
        let due = [
            self.sync_due(),
            self.mark_due(),
            self.compact_at(),
            retry_at,
        ];
        due.into_iter().flatten().min()
    }

    pub(crate) fn status(&self) -> LogStatus {
        LogStatus {
            synced: self.writer.synced(),
            segments: self.writer.segments,
            log_bytes: self.writer.log_bytes,
            lacks_space: self.writer.spares.lacks_space(),
        }
    }

    fn close(&mut self) -> Next {
        if let Some(syncing) = self.syncing.take() {
            let done = syncing.recv();
            self.synced(done.unwrap_or_else(|_| Err(self.poisoned_here())));
        }
        self.stop_compacting(&Failure::Closed);
        self.writer.spares.finish();
        let result = if self.poisoned {
            Err(self.poisoned_here())
        } else {
            self.writer.close()
        };
        self.shared.set_log(self.status());
        self.shared.blobs.synced(self.writer.synced());
        self.stop_blobs();
        // Whoever waits for the end may open the directory again at once.
        self.lock = None;
        self.shared.closed(result);
        Next::Closed
    }

    fn stop_blobs(&mut self) {
        self.shared.blobs.stop();
        if let Some(thread) = self.gravedigger.take() {
            // If it panicked, files are left that the next opening sweeps.
            let _ = thread.join();
        }
    }

    /// From now on a thread drives it, so slow work can go to others, which wake it.
    pub(crate) fn go_to_background(&mut self) -> io::Result<()> {
        // A run that is to repeat does one thing after the other.
        if self.options.seed.is_none() {
            self.threaded = true;
            let shared = self.shared.clone();
            self.writer
                .spares
                .in_background(Arc::new(move || shared.nudge()));
            let shared = self.shared.clone();
            self.compactor
                .in_background(Arc::new(move || shared.nudge()));
            self.gravedigger = Some(self.shared.blobs.in_background()?);
        }
        Ok(())
    }

    /// Writes what is queued, as far as that takes no more than a write each: for committers that help.
    pub(crate) fn write_queued(&mut self) -> Queued {
        let was_synced = self.unsynced_since.is_none();
        let mut queued = Queued::Left;
        for _ in 0..HELP_BATCHES_MAX {
            let fits =
                |bytes: usize, grows| !self.poisoned && bytes as u64 <= self.writer.room(grows);
            match self.shared.next_small_task(fits) {
                SmallTask::Write(work) => self.write(work, sync::now()),
                SmallTask::Nothing => {
                    queued = Queued::Written;
                    break;
                }
                SmallTask::NotForYou => break,
            };
        }
        if was_synced && self.unsynced_since.is_some() {
            // The thread sleeps, and knows of no deadline yet.
            self.shared.nudge();
        }
        queued
    }

    /// After a bug: as after a failed sync, and there is nobody left to close it.
    pub(crate) fn give_up(&mut self) {
        let failure = self.poisoned_here();
        self.poison(&failure);
        self.stop_blobs();
        // Whoever opens the directory next must not meet a spare of ours that is still on its way.
        let finished = panic::catch_unwind(AssertUnwindSafe(|| self.writer.spares.finish()));
        if finished.is_ok() {
            self.lock = None;
        }
        self.shared.closed(Err(failure));
    }
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}
