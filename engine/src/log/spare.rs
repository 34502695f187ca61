//! The next segment, prepared before it is needed.
//!
//! A spare is zero-filled and synced under a temporary name, renamed, and its directory synced. So a file with a segment's
//! name holds zeros where nothing was written: a header that is neither zero nor valid was torn, never garbage that the
//! file system left. On a full disk the spare is what deletes and compaction go on in.

use super::segment::{BLOCK_BYTES, file_name};
use crate::disk::{Access, Disk, File, Site};
use crate::error::Failure;
use crate::sync;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, JoinHandle};
use std::fmt;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The first segment's length; each next one is twice as long, up to [`Options::segment_bytes`](crate::Options).
const BYTES_FIRST: u64 = 1 << 20;

/// The least that is worth a file: on a disk that is almost full, smaller spares are tried down to this.
const BYTES_MIN: u64 = 64 << 10;

/// How long after a failure the next try comes.
const RETRY: Duration = Duration::from_millis(200);

/// Called on a background thread when its work is done.
pub(crate) type Notify = Arc<dyn Fn() + Send + Sync>;

/// A segment without a header.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) sequence: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
    pub(crate) bytes: u64,
}

/// Prepares spares, in the background if there is someone to notify.
pub(crate) struct Spares {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// Directories whose names must be synced before the first segment counts, children first.
    unsynced: Vec<PathBuf>,
    /// A spare that an earlier run left.
    left: Option<u64>,
    next_sequence: u64,
    next_bytes: u64,
    bytes_max: u64,
    notify: Option<Notify>,
    state: State,
    failed: Option<(Instant, Failure)>,
}

impl fmt::Debug for Spares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spares")
            .field("directory", &self.directory)
            .field("next_sequence", &self.next_sequence)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

enum State {
    None,
    /// With whether it is done: said before the notification, when the thread itself still has to end.
    Running(JoinHandle<Result<Prepared, Failure>>, Arc<AtomicBool>),
    Ready(Prepared),
}

/// Says that the preparation is over, also if it panicked.
struct AtEnd {
    is_done: Arc<AtomicBool>,
    notify: Notify,
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        // In this order: who is notified looks only once.
        self.is_done.store(true, Ordering::SeqCst);
        (self.notify)();
    }
}

impl Spares {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        next_sequence: u64,
        bytes_max: u64,
    ) -> Spares {
        let bytes_max = bytes_max.max(2 * BLOCK_BYTES as u64);
        Spares {
            disk,
            directory,
            unsynced: Vec::new(),
            left: None,
            next_sequence,
            next_bytes: BYTES_FIRST.min(bytes_max),
            bytes_max,
            notify: None,
            state: State::None,
            failed: None,
        }
    }

    /// Uses a spare that an earlier run left.
    pub(crate) fn adopt(&mut self, left: Option<u64>) {
        self.left = left;
    }

    /// Syncs these directories too before a segment counts.
    pub(crate) fn sync_first(&mut self, directories: Vec<PathBuf>) {
        self.unsynced = directories;
    }

    /// From now on prepares in the background.
    pub(crate) fn in_background(&mut self, notify: Notify) {
        self.notify = Some(notify);
    }

    /// Did the disk lack the space for the last spare?
    pub(crate) fn lacks_space(&self) -> bool {
        matches!(&self.failed, Some((_, Failure::NoSpace { .. })))
    }

    /// Did a sync of the directory fail? Then no segment follows the present one.
    fn is_poisoned(&self) -> bool {
        matches!(&self.failed, Some((_, Failure::Poisoned { .. })))
    }

    /// When to call [`tend`](Self::tend) again, if nothing else happens.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        let is_idle = matches!(self.state, State::None) && !self.is_poisoned();
        let failed = self.failed.as_ref().filter(|_| is_idle);
        failed.map(|(tried, _)| *tried + RETRY)
    }

    /// Is there a spare? An error says why there won't be one soon.
    pub(crate) fn is_ready(&self) -> Result<bool, Failure> {
        match (&self.state, &self.failed) {
            (State::Ready(_), _) => Ok(true),
            (State::None, Some((_, failure))) => Err(failure.clone()),
            (State::None | State::Running(..), _) => Ok(false),
        }
    }

    /// Sees to it that there is a spare.
    pub(crate) fn tend(&mut self, now: Instant) {
        if matches!(&self.state, State::Running(_, done) if done.load(Ordering::SeqCst)) {
            self.collect(now);
        }
        let due = self.failed.is_none() || self.retry_at().is_some_and(|retry_at| now >= retry_at);
        if !matches!(self.state, State::None) || !due {
            return;
        }
        let request = self.request(0);
        let Some(notify) = self.notify.clone() else {
            let done = request.prepare();
            return self.settle(done, now);
        };
        let is_done = Arc::new(AtomicBool::new(false));
        let at_end = AtEnd {
            is_done: is_done.clone(),
            notify,
        };
        let task = thread::Builder::new()
            .name("cumulog-spare".into())
            .spawn(move || {
                let _at_end = at_end;
                request.prepare()
            });
        match task {
            Ok(task) => self.state = State::Running(task, is_done),
            Err(error) => {
                self.failed = Some((
                    now,
                    Failure::io("start a thread for", &self.directory)(error),
                ))
            }
        }
    }

    /// The spare, with at least `needed` bytes: waits for it, or prepares it now.
    pub(crate) fn take(&mut self, needed: u64) -> Result<Prepared, Failure> {
        let now = sync::now();
        self.collect(now);
        if matches!(self.state, State::None) && !self.is_poisoned() {
            let done = self.request(needed).prepare();
            self.settle(done, now);
        }
        match mem::replace(&mut self.state, State::None) {
            State::Ready(spare) if spare.bytes >= needed => Ok(spare),
            State::Ready(spare) => self.grow(spare, needed),
            _ => Err(self
                .failed
                .clone()
                .map_or(Failure::Closed, |(_, failure)| failure)),
        }
    }

    /// Gives back what was not needed after all.
    pub(crate) fn put_back(&mut self, spare: Prepared) {
        self.collect(sync::now());
        if matches!(self.state, State::None) {
            self.state = State::Ready(spare);
        }
    }

    fn grow(&mut self, mut spare: Prepared, needed: u64) -> Result<Prepared, Failure> {
        if let Err(error) = spare.file.allocate(needed) {
            let failure = Failure::io("extend", &spare.path)(error);
            self.state = State::Ready(spare);
            return Err(failure);
        }
        // After a failed sync the file is of no use any more.
        spare
            .file
            .sync_data_at(Site::SpareGrown)
            .map_err(Failure::io("sync", &spare.path))?;
        spare.bytes = needed;
        Ok(spare)
    }

    /// Waits for the background, so that nothing writes any more.
    pub(crate) fn finish(&mut self) {
        self.collect(sync::now());
    }

    fn collect(&mut self, now: Instant) {
        let task = match mem::replace(&mut self.state, State::None) {
            State::Running(task, _) => task,
            other => return self.state = other,
        };
        let bug = || io::Error::other("the thread panicked");
        let done = task
            .join()
            .unwrap_or_else(|_| Err(Failure::io("prepare a segment in", &self.directory)(bug())));
        self.settle(done, now);
    }

    fn settle(&mut self, done: Result<Prepared, Failure>, now: Instant) {
        match done {
            Ok(spare) => {
                self.failed = None;
                self.left = None;
                self.unsynced = Vec::new();
                self.next_sequence = self.next_sequence.max(spare.sequence.saturating_add(1));
                self.next_bytes = (self.next_bytes * 2).min(self.bytes_max);
                self.state = State::Ready(spare);
            }
            Err(failure) => self.failed = Some((now, failure)),
        }
    }

    fn request(&self, needed: u64) -> Request {
        Request {
            disk: self.disk.clone(),
            directory: self.directory.clone(),
            unsynced: self.unsynced.clone(),
            left: self.left,
            sequence: self.next_sequence,
            bytes: self.next_bytes.max(needed),
            bytes_min: BYTES_MIN.min(self.bytes_max).max(needed),
        }
    }
}

/// Everything that the preparation of one spare needs.
struct Request {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    unsynced: Vec<PathBuf>,
    /// A spare to use, instead of a new file.
    left: Option<u64>,
    sequence: u64,
    bytes: u64,
    bytes_min: u64,
}

impl Request {
    fn prepare(self) -> Result<Prepared, Failure> {
        let path = self.directory.join(file_name(self.sequence));
        let (file, bytes) = match self.left {
            // One that can't be used stays where it is, blank and in nobody's way.
            Some(left) => self
                .adopt(&self.directory.join(file_name(left)), &path)
                .or_else(|_| self.create(&path))?,
            None => self.create(&path)?,
        };
        let parents = self
            .unsynced
            .iter()
            .map(|parent| (parent, Site::SpareParents));
        let own = (&self.directory, Site::SpareName);
        for (directory, site) in [own].into_iter().chain(parents) {
            match self.disk.sync_directory_at(directory, site) {
                Ok(()) => {}
                // A directory far above ours that we may not even open was not created by us.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                // Crash argument 5: names may be lost now that a second sync would not bring back.
                Err(_) => {
                    return Err(Failure::Poisoned {
                        path: directory.clone(),
                    });
                }
            }
        }
        Ok(Prepared {
            sequence: self.sequence,
            path,
            file,
            bytes,
        })
    }

    /// The old name may be one whose sync failed; a new one is synced for certain.
    fn adopt(&self, left: &Path, path: &Path) -> Result<(Arc<dyn File>, u64), Failure> {
        let file = self
            .disk
            .open(left, Access::Write)
            .map_err(Failure::io("open", left))?;
        let bytes = file.len().map_err(Failure::io("measure", left))?;
        self.disk
            .rename(left, path)
            .map_err(Failure::io("rename", left))?;
        Ok((file, bytes))
    }

    fn create(&self, path: &Path) -> Result<(Arc<dyn File>, u64), Failure> {
        let mut bytes = self.bytes;
        loop {
            match self.create_sized(path, bytes) {
                Err(Failure::NoSpace { .. }) if bytes > self.bytes_min => {
                    bytes = (bytes / 4).max(self.bytes_min)
                }
                Err(failure) => return Err(failure),
                Ok(file) => return Ok((file, bytes)),
            }
        }
    }

    fn create_sized(&self, path: &Path, bytes: u64) -> Result<Arc<dyn File>, Failure> {
        let temporary = path.with_extension("log.tmp");
        let file = self
            .create_empty(&temporary)
            .map_err(Failure::io("create", &temporary))?;
        let reserved = file
            .allocate(bytes)
            .and_then(|()| file.sync_data_at(Site::SpareZeros));
        // Only now, with its zeros synced, does it get a segment's name.
        match reserved.and_then(|()| self.disk.rename(&temporary, path)) {
            Ok(()) => Ok(file),
            Err(error) => {
                // It was never used; if it can't be removed now, the next one replaces it.
                let _ = self.disk.remove(&temporary);
                Err(Failure::io("reserve", &temporary)(error))
            }
        }
    }

    fn create_empty(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        match self.disk.create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove(path)?;
                self.disk.create(path)
            }
            created => created,
        }
    }
}
