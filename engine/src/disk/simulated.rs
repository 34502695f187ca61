//! A disk in memory that can lose power at any operation, and does the same again when asked again.
//!
//! It keeps no more than the [`Disk`] contract promises, and takes every liberty that the contract leaves: see
//! [`Loss`] for what a crash can do, [`Faults`] for what can fail before it. There is no clock and no randomness but
//! the seeds passed in: one thread doing the same operations gets the same answers and the same bytes.
//!
//! ```
//! use std::io::IoSlice;
//! use std::path::Path;
//! use cumulog_engine::disk::{Access, Crash, Disk, Faults, Loss, Simulated};
//!
//! let disk = Simulated::new(Faults { crash_at: Some(3), ..Faults::default() });
//! let file = disk.create(Path::new("file"))?;                       // operation 0
//! file.write_at(&[IoSlice::new(b"synced")], 0)?;                    // operation 1
//! file.sync_data()?;                                                // operation 2
//! assert!(disk.sync_directory(Path::new("")).is_err());             // operation 3: the power fails
//! assert!(file.write_at(&[IoSlice::new(b"lost!!")], 0).is_err());
//!
//! let unlucky = disk.restart(Crash::Power(Loss::All), Faults::default());
//! assert!(unlucky.open(Path::new("file"), Access::Read).is_err(), "its name was not synced");
//! let lucky = disk.restart(Crash::Power(Loss::None), Faults::default());
//! assert_eq!(lucky.files()[Path::new("file")], b"synced");
//! # Ok::<(), std::io::Error>(())
//! ```

mod medium;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, ErrorKind, IoSlice};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::{Access, Disk, File, Lock, LockError, Site};
use crate::sync::Mutex;
use medium::{Change, Inode, Medium};

/// A deterministic disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct Simulated {
    state: Arc<Mutex<State>>,
}

/// What goes wrong before the crash, and when.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// The power fails (the process is killed) during the operation with this number; it and all later ones return an
    /// error that [`Simulated::is_crash`] knows.
    pub crash_at: Option<u64>,
    /// Operations that fail, by their number.
    pub errors: BTreeMap<u64, Fault>,
    /// From this operation on no space is left, but what files have reserved.
    pub full_from: Option<u64>,
    /// How many bytes fit in; `None`: any number.
    pub space_bytes: Option<u64>,
    /// In which order names reach the disk.
    pub name_order: NameOrder,
    /// Syncs that report success and do nothing, for tests that test the tests.
    pub omitted: Option<Omission>,
}

/// Chooses the syncs that do nothing.
#[derive(Clone)]
pub struct Omission(Arc<dyn Fn(&Operation) -> bool + Send + Sync>);

impl Omission {
    /// Those for which `chosen` is true.
    pub fn new(chosen: impl Fn(&Operation) -> bool + Send + Sync + 'static) -> Self {
        Omission(Arc::new(chosen))
    }
}

impl fmt::Debug for Omission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Omission").finish_non_exhaustive()
    }
}

/// How one operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `EIO`. A write has taken half of its bytes in; a sync has dropped what it should have written, and the next one
    /// lies: it reports success.
    Io,
    /// `ENOSPC`, with nothing done.
    Full,
    /// A write takes only so many bytes in, and says so. Other operations don't know it and succeed.
    Short(usize),
}

/// In which order unsynced names reach the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameOrder {
    /// In any: POSIX promises nothing.
    #[default]
    Any,
    /// In the order of the operations, over all directories, so that a crash keeps a prefix: ext4 with its journal.
    Prefix,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed. The kernel keeps the cache: all changes are there, still unsynced. A write in progress has
    /// taken in this many 255ths of its bytes; any other operation in progress was done if that is 128 or more.
    Process(u8),
    /// The power fails.
    Power(Loss),
}

/// What a loss of power does to the unsynced changes. Bytes, lengths and names change separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// None of them got there.
    All,
    /// All got there.
    None,
    /// All but one got there; counted from 0 in the order in which they were made.
    One(usize),
    /// Only so many of them, from the first on.
    Prefix(usize),
    /// All, but the bytes are zeros.
    Zeros,
    /// All, but the bytes are noise by this seed.
    Garbage(u64),
    /// By this seed each got there or not, or partly: every 512 bytes are old, new, zeros or noise.
    Torn(u64),
}

/// One call of the disk or of one of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Counts all operations of this disk since its start, from 0.
    pub number: u64,
    /// What was called.
    pub kind: OperationKind,
    /// On what.
    pub path: PathBuf,
    /// Where in the file, or 0.
    pub offset: u64,
    /// How many bytes were asked for, or 0.
    pub bytes: u64,
    /// Of a sync, the place in the engine.
    pub site: Option<Site>,
}

/// What was called: see the methods of [`Disk`] and [`File`].
#[allow(missing_docs, reason = "named after the methods")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OperationKind {
    Create,
    Open,
    List,
    CreateDirectory,
    Rename,
    Link,
    Remove,
    SyncDirectory,
    Lock,
    ReadAt,
    WriteAt,
    Len,
    SetLen,
    Allocate,
    SyncData,
}

impl OperationKind {
    /// Whether it only looks. A crash there leaves what a crash at the next other operation leaves.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(self, Self::Open | Self::List | Self::ReadAt | Self::Len)
    }

    /// Whether it makes changes durable.
    #[must_use]
    pub fn is_sync(self) -> bool {
        matches!(self, Self::SyncDirectory | Self::SyncData)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "#{} {:?} {}",
            self.number,
            self.kind,
            self.path.display()
        )?;
        match self.kind {
            OperationKind::ReadAt | OperationKind::WriteAt => {
                write!(f, " {}+{}", self.offset, self.bytes)
            }
            OperationKind::SetLen | OperationKind::Allocate => write!(f, " {}", self.bytes),
            _ => self.site.map_or(Ok(()), |site| write!(f, " {site:?}")),
        }
    }
}

#[derive(Debug)]
struct State {
    medium: Medium,
    faults: Faults,
    trace: Vec<Operation>,
    space_bytes: Option<u64>,
    locked: BTreeSet<PathBuf>,
    crashed: bool,
    /// What the operation that the crash interrupted was about to change.
    interrupted: Option<Change>,
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulated").finish_non_exhaustive()
    }
}

impl Default for Simulated {
    fn default() -> Self {
        Self::new(Faults::default())
    }
}

impl Simulated {
    /// An empty disk. Its root directory, the empty path or `/`, is always there.
    #[must_use]
    pub fn new(faults: Faults) -> Self {
        Self::with(Medium::new(faults.name_order), faults)
    }

    fn with(medium: Medium, faults: Faults) -> Self {
        let state = State {
            medium,
            space_bytes: faults.space_bytes,
            faults,
            trace: Vec::new(),
            locked: BTreeSet::new(),
            crashed: false,
            interrupted: None,
        };
        Simulated {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// The disk as it is found after a crash, with new faults. The crash is the one that came at its time, or comes
    /// now. This disk does not change: one crash can be ended in many ways.
    #[must_use]
    pub fn restart(&self, crash: Crash, faults: Faults) -> Simulated {
        let done = match crash {
            Crash::Process(done) => done,
            Crash::Power(_) => u8::MAX,
        };
        let mut medium = self.state.lock().medium_after(done);
        if let Crash::Power(loss) = crash {
            medium.lose_power(loss);
        }
        medium.set_name_order(faults.name_order);
        Self::with(medium, faults)
    }

    /// Whether the crash came.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.state.lock().crashed
    }

    /// Whether this error says that the disk has crashed.
    #[must_use]
    pub fn is_crash(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Crashed>())
    }

    /// All operations since the start.
    #[must_use]
    pub fn trace(&self) -> Vec<Operation> {
        self.state.lock().trace.clone()
    }

    /// Whether [`Faults::errors`] let the operation with this number fail.
    #[must_use]
    pub fn failed(&self, number: u64) -> bool {
        let fault = self.state.lock().faults.errors.get(&number).copied();
        matches!(fault, Some(Fault::Io | Fault::Full))
    }

    /// How many unsynced changes there are for [`Loss::One`] and [`Loss::Prefix`] to choose among, those of the
    /// operation that the crash interrupted too.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.state.lock().medium_after(u8::MAX).unsynced()
    }

    /// All files by name, with the bytes that a reader gets.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state.lock();
        state
            .medium
            .files()
            .map(|(path, bytes)| (path.to_owned(), bytes.to_vec()))
            .collect()
    }

    /// Equal for disks that no operation and no crash can tell apart, so that a test need look at only one of them.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.state.lock().medium_after(u8::MAX).hash(&mut hasher);
        hasher.finish()
    }

    /// Flips one bit of a file, as a disk does that nobody looks after. Bits are counted from the lowest of the first
    /// byte; past the end there are none.
    ///
    /// # Errors
    /// `NotFound` if there is no such file.
    pub fn flip(&self, path: &Path, bit: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = state.medium.file(path)?;
        state.medium.flip(inode, bit);
        Ok(())
    }

    /// Replaces the number of bytes that still fit in, as when someone tidies up.
    pub fn set_space(&self, bytes: Option<u64>) {
        let mut state = self.state.lock();
        state.space_bytes = bytes;
        state.faults.full_from = None;
    }

    fn file(&self, inode: Inode, path: &Path, access: Access) -> Arc<dyn File> {
        Arc::new(SimulatedFile {
            disk: self.clone(),
            inode,
            path: path.to_owned(),
            access,
        })
    }

    fn sync_names(&self, path: &Path, site: Option<Site>) -> io::Result<()> {
        let path = &*normal(path);
        let mut state = self.state.lock();
        match state.begin_sync(OperationKind::SyncDirectory, path, site)? {
            Some(fault @ (Fault::Io | Fault::Full)) => {
                state.medium.fail_to_sync_directory(path);
                fault.refuse()
            }
            _ if state.omits() => Ok(()),
            _ => state.medium.sync_directory(path),
        }
    }

    fn change(&self, kind: OperationKind, path: &Path, change: Change) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin_change(kind, path, (0, 0), &change)?;
        state.change_names(&change)
    }
}

/// What a killed process got done of a change.
fn cut_short(change: &Change, done: u8) -> Option<Change> {
    match change {
        Change::Write(inode, offset, bytes) => {
            let count = (bytes.len() * usize::from(done))
                .div_ceil(255)
                .min(bytes.len());
            Some(Change::Write(*inode, *offset, bytes[..count].to_vec()))
        }
        change => (done >= 128).then(|| change.clone()),
    }
}

impl State {
    /// Counts an operation. `change` is what it will do, if the crash does not come now.
    fn begin(
        &mut self,
        kind: OperationKind,
        path: &Path,
        (offset, bytes): (u64, u64),
        change: Option<&Change>,
    ) -> io::Result<Option<Fault>> {
        if self.crashed {
            return Err(io::Error::other(Crashed));
        }
        let number = self.trace.len() as u64;
        self.trace.push(Operation {
            number,
            kind,
            path: path.to_owned(),
            offset,
            bytes,
            site: None,
        });
        if self.faults.crash_at == Some(number) {
            self.crashed = true;
            self.interrupted = change.cloned();
            return Err(io::Error::other(Crashed));
        }
        if self.faults.full_from.is_some_and(|from| from <= number) {
            self.space_bytes = Some(0);
        }
        Ok(self.faults.errors.get(&number).copied())
    }

    /// The same for a sync.
    fn begin_sync(
        &mut self,
        kind: OperationKind,
        path: &Path,
        site: Option<Site>,
    ) -> io::Result<Option<Fault>> {
        let before = self.trace.len();
        let begun = self.begin(kind, path, (0, 0), None);
        if let Some(sync) = self.trace.get_mut(before) {
            sync.site = site;
        }
        begun
    }

    /// The same for an operation that only looks, and either fails or does not.
    fn begin_read(
        &mut self,
        kind: OperationKind,
        path: &Path,
        range: (u64, u64),
    ) -> io::Result<()> {
        self.begin(kind, path, range, None)?
            .map_or(Ok(()), Fault::refuse)
    }

    /// The same for an operation that does all of `change` or fails.
    fn begin_change(
        &mut self,
        kind: OperationKind,
        path: &Path,
        range: (u64, u64),
        change: &Change,
    ) -> io::Result<()> {
        self.begin(kind, path, range, Some(change))?
            .map_or(Ok(()), Fault::refuse)
    }

    /// Changes names, and takes back the space of a file that has none any more.
    fn change_names(&mut self, change: &Change) -> io::Result<()> {
        let freed = match change {
            Change::Rename(_, path) | Change::Remove(path) => self.medium.freed_with(path),
            _ => 0,
        };
        self.medium.apply(change)?;
        self.space_bytes = self.space_bytes.map(|bytes| bytes + freed);
        Ok(())
    }

    /// The medium once the interrupted operation got this far.
    fn medium_after(&self, done: u8) -> Medium {
        let mut medium = self.medium.clone();
        if let Some(change) = self
            .interrupted
            .as_ref()
            .and_then(|change| cut_short(change, done))
        {
            // It may be one that would have failed.
            let _ = medium.apply(&change);
        }
        medium
    }

    /// How many of `bytes` bytes at `offset` of a file there is space for; takes that space.
    fn take_space(&mut self, inode: Inode, offset: u64, bytes: u64) -> u64 {
        let Some(space_bytes) = &mut self.space_bytes else {
            return bytes;
        };
        let covered = self
            .medium
            .reserved(inode)
            .saturating_sub(offset)
            .min(bytes);
        let taken = (bytes - covered).min(*space_bytes);
        *space_bytes -= taken;
        covered + taken
    }

    /// Whether a sync is one of those to be left out.
    fn omits(&self) -> bool {
        let omission = self.faults.omitted.as_ref();
        let last = self.trace.last();
        omission
            .zip(last)
            .is_some_and(|(omission, sync)| (omission.0)(sync))
    }
}

impl Fault {
    /// The error of an operation that does nothing then.
    fn refuse(self) -> io::Result<()> {
        match self {
            Fault::Io => Err(Errno::IO.into()),
            Fault::Full => Err(Errno::NOSPC.into()),
            Fault::Short(_) => Ok(()),
        }
    }
}

/// The path without its `.`: there is no working directory but the root.
fn normal(path: &Path) -> PathBuf {
    path.components()
        .filter(|component| *component != Component::CurDir)
        .collect()
}

impl Disk for Simulated {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let path = &*normal(path);
        let change = Change::Create(path.to_owned());
        let mut state = self.state.lock();
        state.begin_change(OperationKind::Create, path, (0, 0), &change)?;
        if state.space_bytes == Some(0) {
            return Err(Errno::NOSPC.into());
        }
        state.medium.apply(&change)?;
        let inode = state.medium.file(path)?;
        drop(state);
        Ok(self.file(inode, path, Access::Write))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let path = &*normal(path);
        let mut state = self.state.lock();
        state.begin_read(OperationKind::Open, path, (0, 0))?;
        let inode = state.medium.file(path)?;
        drop(state);
        Ok(self.file(inode, path, access))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let directory = &*normal(directory);
        let mut state = self.state.lock();
        state.begin_read(OperationKind::List, directory, (0, 0))?;
        state.medium.list(directory)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let path = &*normal(path);
        self.change(
            OperationKind::CreateDirectory,
            path,
            Change::CreateDirectory(path.to_owned()),
        )
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (&*normal(from), &*normal(to));
        super::require_one_directory(from, to)?;
        self.change(
            OperationKind::Rename,
            from,
            Change::Rename(from.to_owned(), to.to_owned()),
        )
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (&*normal(from), &*normal(to));
        self.change(
            OperationKind::Link,
            from,
            Change::Link(from.to_owned(), to.to_owned()),
        )
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = &*normal(path);
        self.change(OperationKind::Remove, path, Change::Remove(path.to_owned()))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.sync_names(path, None)
    }

    fn sync_directory_at(&self, path: &Path, site: Site) -> io::Result<()> {
        self.sync_names(path, Some(site))
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<Box<dyn Lock>, LockError> {
        let path = &*normal(path);
        let mut state = self.state.lock();
        state.begin_read(OperationKind::Lock, path, (0, 0))?;
        let medium = &mut state.medium;
        let inode = match medium.file(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                medium.apply(&Change::Create(path.to_owned()))?;
                medium.file(path)?
            }
            result => result?,
        };
        if state.locked.contains(path) {
            let owner = String::from_utf8_lossy(state.medium.bytes(inode)).into_owned();
            return Err(LockError::Held { owner });
        }
        state.medium.apply(&Change::SetLength(inode, 0))?;
        state
            .medium
            .apply(&Change::Write(inode, 0, owner.as_bytes().to_vec()))?;
        state.locked.insert(path.to_owned());
        drop(state);
        Ok(Box::new(SimulatedLock {
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }

    /// Keeps out those who share it, too: nobody here needs more.
    fn lock_shared(&self, path: &Path) -> Result<Box<dyn Lock>, LockError> {
        let path = &*normal(path);
        let mut state = self.state.lock();
        state.begin_read(OperationKind::Lock, path, (0, 0))?;
        let inode = state.medium.file(path)?;
        if !state.locked.insert(path.to_owned()) {
            let owner = String::from_utf8_lossy(state.medium.bytes(inode)).into_owned();
            return Err(LockError::Held { owner });
        }
        drop(state);
        Ok(Box::new(SimulatedLock {
            disk: self.clone(),
            path: path.to_owned(),
        }))
    }
}

#[derive(Debug)]
struct SimulatedLock {
    disk: Simulated,
    path: PathBuf,
}

impl Lock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        self.disk.state.lock().locked.remove(&self.path);
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: Simulated,
    inode: Inode,
    /// As it was opened.
    path: PathBuf,
    access: Access,
}

impl SimulatedFile {
    /// Its name now, for the trace.
    fn name(&self, state: &State) -> PathBuf {
        state
            .medium
            .name(self.inode)
            .unwrap_or(&self.path)
            .to_owned()
    }

    fn sync(&self, site: Option<Site>) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let path = self.name(&state);
        match state.begin_sync(OperationKind::SyncData, &path, site)? {
            Some(fault @ (Fault::Io | Fault::Full)) => {
                state.medium.fail_to_sync_data(self.inode);
                fault.refuse()
            }
            _ if state.omits() => Ok(()),
            _ => {
                state.medium.sync_data(self.inode);
                Ok(())
            }
        }
    }

    fn require_write(&self) -> io::Result<()> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => Err(Errno::BADF.into()),
        }
    }
}

impl File for SimulatedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        let path = self.name(&state);
        state.begin_read(OperationKind::ReadAt, &path, (offset, buffer.len() as u64))?;
        let bytes = state.medium.bytes(self.inode);
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let count = buffer.len().min(bytes.len() - from);
        buffer[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        self.require_write()?;
        let parts = &parts[..parts.len().min(super::PARTS_MAX)];
        let mut bytes = parts
            .iter()
            .flat_map(|part| part.iter().copied())
            .collect::<Vec<u8>>();
        let range = (offset, bytes.len() as u64);
        let change = Change::Write(self.inode, offset, bytes.clone());
        let mut state = self.disk.state.lock();
        let path = self.name(&state);
        let fault = state.begin(OperationKind::WriteAt, &path, range, Some(&change))?;
        match fault {
            Some(Fault::Full) => return Err(Errno::NOSPC.into()),
            Some(Fault::Io) => bytes.truncate(bytes.len() / 2),
            Some(Fault::Short(count)) => bytes.truncate(count),
            None => {}
        }
        let count = state.take_space(self.inode, offset, bytes.len() as u64);
        if count == 0 && !bytes.is_empty() {
            return Err(Errno::NOSPC.into());
        }
        // No more than there were.
        bytes.truncate(count as usize);
        let count = bytes.len();
        state
            .medium
            .apply(&Change::Write(self.inode, offset, bytes))?;
        if fault == Some(Fault::Io) {
            Err(Errno::IO.into())
        } else {
            Ok(count)
        }
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state.lock();
        let path = self.name(&state);
        state.begin_read(OperationKind::Len, &path, (0, 0))?;
        Ok(state.medium.bytes(self.inode).len() as u64)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.require_write()?;
        let mut state = self.disk.state.lock();
        let path = self.name(&state);
        let change = Change::SetLength(self.inode, bytes);
        state.begin_change(OperationKind::SetLen, &path, (0, bytes), &change)?;
        state.medium.apply(&change)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.require_write()?;
        let mut state = self.disk.state.lock();
        let path = self.name(&state);
        let change = Change::Allocate(self.inode, bytes);
        state.begin_change(OperationKind::Allocate, &path, (0, bytes), &change)?;
        let fits = state.take_space(self.inode, 0, bytes);
        state.medium.apply(&Change::Allocate(self.inode, fits))?;
        if fits == bytes {
            Ok(())
        } else {
            Err(Errno::NOSPC.into())
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync(None)
    }

    fn sync_data_at(&self, site: Site) -> io::Result<()> {
        self.sync(Some(site))
    }
}

/// The disk has crashed: nothing works any more.
#[derive(Debug, thiserror::Error)]
#[error("the simulated disk has crashed")]
struct Crashed;
