//! Which compaction runs, who waits for it, and what became of the last one.

use super::pace::Worker;
use super::request::{Compacted, Pace, Request};
use super::trigger::{Balance, Growth};
use super::{Aborted, Compaction, Done, Input, Progress};
use crate::disk::Disk;
use crate::error::{Error, Failure};
use crate::log::segment::Cut;
use crate::log::spare::Notify;
use crate::log::writer::Identity;
use crate::manifest::Manifest;
use crate::root::Root;
use crate::sequencer::Shared;
use crate::store::Lsn;
use crate::sync;
use std::fmt;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long after a failure it is tried again; after each more, twice as long, as each try begins a new segment.
const RETRY: Duration = Duration::from_secs(5);
const RETRY_DOUBLINGS_MAX: u32 = 7;

/// How often to look whether one is due.
const LOOK: Duration = Duration::from_millis(50);

/// How compactions of a store are doing; from [`Store::status`](crate::Store::status).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compactions {
    /// The transaction that the snapshots on disk show; 0: there are none yet.
    pub snapshot: Lsn,
    /// The bytes of the snapshots on disk.
    pub snapshot_bytes: u64,
    /// How many succeeded since the store was opened.
    pub completed: u64,
    /// Is one at work?
    pub running: bool,
    /// Why the last one failed; `None` once one succeeded.
    pub error: Option<String>,
}

/// The compactions of an open store.
pub(crate) struct Compactor {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    identity: Identity,
    /// Key spaces that are not logged, sorted.
    ephemeral: Arc<[u32]>,
    bytes_min: u64,
    /// The one that counts.
    manifest: Option<Manifest>,
    /// Did a later one get its name, and may a crash find it? Nothing is removed then.
    uncertain: bool,
    /// Garbage in packs that the last one could not move, or that waits for views to end.
    left_in_packs: u64,
    running: Running,
    /// Who waits for the one that runs.
    told: Vec<Arc<Request>>,
    /// What those are to be told who waited for one that ended.
    answers: Vec<(Arc<Request>, Result<Compacted, Failure>)>,
    /// Who waits for the next one.
    waiting: Vec<Arc<Request>>,
    retry_at: Option<Instant>,
    /// When it was looked last, and at what.
    looked: Option<(Instant, Growth)>,
    opened_at: Instant,
    completed: u64,
    error: Option<String>,
    /// In a row.
    failures: u32,
    /// If there is someone to notify, it runs on a thread of its own.
    notify: Option<Notify>,
}

enum Running {
    No,
    /// A step at a time, as the log is driven.
    Here(Box<Compaction>),
    There(Worker),
}

impl Compactor {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        directory: &Path,
        identity: Identity,
        ephemeral: Arc<[u32]>,
        bytes_min: u64,
        manifest: Option<Manifest>,
    ) -> Compactor {
        Compactor {
            disk,
            directory: directory.to_path_buf(),
            identity,
            ephemeral,
            bytes_min,
            manifest,
            uncertain: false,
            left_in_packs: 0,
            running: Running::No,
            told: Vec::new(),
            answers: Vec::new(),
            waiting: Vec::new(),
            retry_at: None,
            looked: None,
            opened_at: sync::now(),
            completed: 0,
            error: None,
            failures: 0,
            notify: None,
        }
    }

    /// From now on compactions run on a thread of their own.
    pub(crate) fn in_background(&mut self, notify: Notify) {
        self.notify = Some(notify);
    }

    pub(crate) fn status(&self) -> Compactions {
        Compactions {
            snapshot: self.manifest.as_ref().map_or(Lsn(0), Manifest::lsn),
            snapshot_bytes: self.manifest.as_ref().map_or(0, Manifest::snapshot_bytes),
            completed: self.completed,
            running: self.is_running(),
            error: self.error.clone(),
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.running, Running::No)
    }

    /// Does a step wait to be done?
    pub(crate) fn has_step(&self) -> bool {
        matches!(self.running, Running::Here(_))
    }

    /// Someone waits for a compaction that begins from now on.
    pub(crate) fn request(&mut self, requests: Vec<Arc<Request>>) {
        let in_a_hurry = requests.iter().any(|request| request.pace == Pace::Full);
        if let Running::There(worker) = &self.running
            && in_a_hurry
        {
            worker.hurry();
        }
        self.waiting.extend(requests);
    }

    /// Shall one begin now? `log` is what it has grown by since the cut.
    pub(crate) fn is_wanted(&mut self, now: Instant, log: Growth, shared: &Shared) -> bool {
        if self.is_running() {
            return false;
        }
        if !self.waiting.is_empty() {
            return true;
        }
        if self.look_at(log).is_none_or(|look_at| now < look_at) {
            return false;
        }
        (self.looked, self.retry_at) = (Some((now, log)), None);
        let root = shared.view().root;
        let balance = Balance::of(log, self.manifest.as_ref(), &root, &self.ephemeral);
        let sparse = shared.blobs.sparse_bytes();
        // What was left is less once it went after all, or new garbage would be taken for it.
        self.left_in_packs = self.left_in_packs.min(sparse);
        balance.is_due(self.bytes_min) || sparse - self.left_in_packs >= self.bytes_min
    }

    /// When to look whether one is due; `None`: nothing has changed since the last look.
    pub(crate) fn look_at(&self, log: Growth) -> Option<Instant> {
        if self.is_running() || self.bytes_min == u64::MAX {
            return None;
        }
        match (self.retry_at, self.looked) {
            (Some(retry_at), _) => Some(retry_at),
            (None, Some((_, before))) if before == log => None,
            (None, Some((looked_at, _))) => looked_at.checked_add(LOOK),
            (None, None) => Some(self.opened_at),
        }
    }

    /// Begins one with the state at `cut`; or tells those who wait that there is nothing to do.
    pub(crate) fn begin(&mut self, shared: &Arc<Shared>, cut: Cut, root: &Root) {
        self.told = mem::take(&mut self.waiting);
        self.retry_at = None;
        let last = self.manifest.as_ref();
        if cut.sequence == 0 || last.is_some_and(|last| last.cut == cut) {
            return self.answer(Ok(Compacted::nothing(cut.link.lsn)));
        }
        let input = Input {
            store: self.identity.store,
            branch: self.identity.branch,
            epoch: self.identity.epoch,
            cut,
            root,
            ephemeral: &self.ephemeral,
            last,
        };
        let compaction =
            Compaction::new(self.disk.clone(), shared.clone(), &self.directory, &input);
        let Some(notify) = self.notify.clone() else {
            self.running = Running::Here(Box::new(compaction));
            return;
        };
        let pace = self.told.iter().map(|request| request.pace).max();
        let pace = pace.unwrap_or(Pace::Gentle);
        match Worker::spawn(compaction, self.uncertain, pace, notify) {
            Ok(worker) => self.running = Running::There(worker),
            Err(error) => {
                let failure = Failure::io("start a thread for", &self.directory)(error);
                self.failed(&failure, Some(sync::now()));
            }
        }
    }

    /// Does the next step, or looks whether the thread is done. Returns how it ended, if it did.
    pub(crate) fn step(&mut self, now: Instant) -> Option<Result<Done, Failure>> {
        let ended = match mem::replace(&mut self.running, Running::No) {
            Running::No => return None,
            Running::There(worker) => match worker.ended() {
                Some(ended) => ended,
                None => return self.go_on(Running::There(worker)),
            },
            Running::Here(mut compaction) => match compaction.step() {
                Ok(Progress::More) => return self.go_on(Running::Here(compaction)),
                Ok(Progress::Done(done)) => Ok(done),
                Err(aborted) => Err(compaction.fail(aborted, self.uncertain)),
            },
        };
        Some(self.settle(ended, Some(now)))
    }

    fn go_on<T>(&mut self, running: Running) -> Option<T> {
        self.running = running;
        None
    }

    fn settle(
        &mut self,
        ended: Result<Done, Aborted>,
        now: Option<Instant>,
    ) -> Result<Done, Failure> {
        match ended {
            Ok(done) => {
                self.uncertain = false;
                self.completed += 1;
                self.error = None;
                self.failures = 0;
                self.retry_at = None;
                self.looked = None;
                self.manifest = Some(done.manifest.clone());
                self.left_in_packs = done.left_in_packs;
                self.answer(Ok(Compacted {
                    lsn: done.manifest.lsn(),
                    written_bytes: done.written_bytes,
                    freed_bytes: done.sweep.freed_bytes,
                }));
                Ok(done)
            }
            Err(aborted) => {
                self.uncertain |= aborted.uncertain;
                self.failed(&aborted.failure, now);
                Err(aborted.failure)
            }
        }
    }

    /// It could not be begun, or not be finished.
    pub(crate) fn failed(&mut self, failure: &Failure, now: Option<Instant>) {
        self.told.append(&mut self.waiting);
        self.error = Some(describe(failure));
        let pause = RETRY * (1 << self.failures.min(RETRY_DOUBLINGS_MAX));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = now.and_then(|now| now.checked_add(pause));
        self.answer(Err(failure.clone()));
    }

    fn answer(&mut self, outcome: Result<Compacted, Failure>) {
        let told = mem::take(&mut self.told).into_iter();
        self.answers
            .extend(told.map(|request| (request, outcome.clone())));
    }

    /// Tells those who wait, once the status says it too.
    pub(crate) fn tell(&mut self) {
        for (request, outcome) in mem::take(&mut self.answers) {
            request.answer(outcome);
        }
    }

    /// The log ends: so does what runs, and those who wait are told why. Says how what ran failed, if it did.
    pub(crate) fn stop(&mut self, why: &Failure) -> Option<Failure> {
        let ended = match mem::replace(&mut self.running, Running::No) {
            Running::No => None,
            Running::Here(compaction) => Some(compaction.end(self.uncertain)),
            Running::There(worker) => Some(worker.stop()),
        };
        // If it was quick enough, all the better for the next opening.
        let settled =
            ended.map(|ended| self.settle(ended.map_err(|aborted| aborted.because(why)), None));
        self.told.append(&mut self.waiting);
        self.answer(Err(why.clone()));
        settled.and_then(Result::err)
    }
}

/// With its cause.
fn describe(failure: &Failure) -> String {
    let error = Error::from(failure.clone());
    match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl fmt::Debug for Compactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compactor")
            .field("manifest", &self.manifest)
            .field("running", &self.is_running())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
