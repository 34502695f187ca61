//! A simulated disk on which a test can hold up operations, or let them fail or panic.

use crate::disk::{Access, Disk, File, Lock, LockError, OperationKind, Simulated};
use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Calls `hook` before a file is opened for writing, and before its bytes are written or synced. A write that it lets fail
/// is half done.
#[derive(Clone)]
pub(super) struct Hooked {
    disk: Simulated,
    hook: Arc<Hook>,
}

type Hook = dyn Fn(OperationKind, &Path) -> io::Result<()> + Send + Sync;

impl Hooked {
    pub(super) fn new(
        disk: &Simulated,
        hook: impl Fn(OperationKind, &Path) -> io::Result<()> + Send + Sync + 'static,
    ) -> Hooked {
        Hooked {
            disk: disk.clone(),
            hook: Arc::new(hook),
        }
    }

    fn file(&self, file: io::Result<Arc<dyn File>>, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(HookedFile {
            file: file?,
            path: path.to_path_buf(),
            disk: self.clone(),
        }))
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

impl Disk for Hooked {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.file(self.disk.create(path), path)
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        if access == Access::Write {
            (self.hook)(OperationKind::Open, path)?;
        }
        self.file(self.disk.open(path, access), path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.disk.list(directory)
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.create_directory(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.link(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_directory(path)
    }
    fn lock(&self, path: &Path, owner: &str) -> Result<Box<dyn Lock>, LockError> {
        self.disk.lock(path, owner)
    }
}

#[derive(Debug)]
struct HookedFile {
    file: Arc<dyn File>,
    path: PathBuf,
    disk: Hooked,
}

impl File for HookedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }
    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        if let Err(error) = (self.disk.hook)(OperationKind::WriteAt, &self.path) {
            let half = &parts[0][..parts[0].len() / 2];
            self.file.write_at(&[IoSlice::new(half)], offset)?;
            return Err(error);
        }
        self.file.write_at(parts, offset)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }
    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
    }
    fn sync_data(&self) -> io::Result<()> {
        (self.disk.hook)(OperationKind::SyncData, &self.path)?;
        self.file.sync_data()
    }
}
