//! The operating system's file system.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Read as _, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;

use super::{Access, Disk, File, Lock, LockError, PARTS_MAX};

/// The most of a lock file that is taken for its owner's name.
const OWNER_BYTES_MAX: u64 = 256;

/// Zeros are written this many bytes at a time.
const ZEROS_BYTES: usize = 256 * 1024;

/// The disk of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real {
    allocation: Option<Allocation>,
}

/// What [`File::allocate`] does to make later writes cheap and certain of their space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Only sets the length. For file systems that copy on write: every write takes new space whatever was reserved.
    Extend,
    /// Reserves blocks. The first write to each still changes metadata, which its sync then has to write as well.
    Reserve,
    /// Reserves blocks and writes zeros over them once, so that later writes and syncs touch data only.
    ZeroFill,
}

impl Real {
    /// Chooses the kind of [`Allocation`] by the file system that holds the file: [`Allocation::Extend`] where writes
    /// copy, [`Allocation::Reserve`] in memory, else [`Allocation::ZeroFill`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses one kind of [`Allocation`] everywhere.
    #[must_use]
    pub fn with_allocation(allocation: Allocation) -> Self {
        let allocation = Some(allocation);
        Real { allocation }
    }

    fn file(self, file: fs::File) -> Arc<dyn File> {
        let allocation = self.allocation;
        Arc::new(RealFile { file, allocation })
    }
}

impl Disk for Real {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(path)?;
        Ok(self.file(file))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>> {
        let write = access == Access::Write;
        let file = OpenOptions::new().read(true).write(write).open(path)?;
        Ok(self.file(file))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let name =
            |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        let mut names = fs::read_dir(directory)?
            .map(name)
            .collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        super::require_one_directory(from, to)?;
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        // The parent of a relative name is the empty path.
        let here = path.as_os_str().is_empty();
        fs::File::open(if here { Path::new(".") } else { path })?.sync_all()
    }

    fn lock(&self, path: &Path, owner: &str) -> Result<Box<dyn Lock>, LockError> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    owner: owner_of(&mut file)?,
                });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // The name is for people. On a full disk there may be no room for it, and the lock holds without.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(owner.as_bytes()));
        Ok(Box::new(RealLock { _file: file }))
    }

    fn lock_shared(&self, path: &Path) -> Result<Box<dyn Lock>, LockError> {
        let mut file = fs::File::open(path)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Box::new(RealLock { _file: file })),
            Err(TryLockError::WouldBlock) => Err(LockError::Held {
                owner: owner_of(&mut file)?,
            }),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

/// What the holder of a lock wrote into it. It may be about to: then the file is empty.
fn owner_of(file: &mut fs::File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(OWNER_BYTES_MAX).read_to_end(&mut bytes)?;
    let owner = String::from_utf8_lossy(&bytes).trim().to_owned();
    Ok(if owner.is_empty() {
        "an unnamed owner".to_owned()
    } else {
        owner
    })
}

/// The lock belongs to the open file: closing it, which the end of the process does too, releases it.
#[derive(Debug)]
struct RealLock {
    _file: fs::File,
}

impl Lock for RealLock {}

#[derive(Debug)]
struct RealFile {
    file: fs::File,
    allocation: Option<Allocation>,
}

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        uninterrupted(|| self.file.read_at(buffer, offset))
    }

    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        let parts = &parts[..parts.len().min(PARTS_MAX)];
        uninterrupted(|| Ok(rustix::io::pwritev(&self.file, parts, offset)?))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let length = self.len()?;
        if bytes <= length {
            return Ok(());
        }
        let allocation = self
            .allocation
            .unwrap_or_else(|| suitable_allocation(&self.file));
        if allocation == Allocation::Extend {
            return self.set_len(bytes);
        }
        reserve(&self.file, length, bytes)?;
        if allocation == Allocation::ZeroFill {
            zero(&self.file, length, bytes)?;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Reserves the space from `length` to `bytes` and makes the file that long.
fn reserve(file: &fs::File, length: u64, bytes: u64) -> io::Result<()> {
    let reserve = || {
        Ok(rustix::fs::fallocate(
            file,
            rustix::fs::FallocateFlags::empty(),
            length,
            bytes - length,
        )?)
    };
    match uninterrupted(reserve) {
        // This file system can't reserve; the length at least is right.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::OPNOTSUPP) => file.set_len(bytes),
        result => result,
    }
}

fn zero(file: &fs::File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES.min(usize::try_from(to - from).unwrap_or(ZEROS_BYTES))];
    let mut offset = from;
    while offset < to {
        let count = (to - offset).min(zeros.len() as u64);
        // In range: no more than `zeros.len()`.
        file.write_all_at(&zeros[..count as usize], offset)?;
        offset += count;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn suitable_allocation(file: &fs::File) -> Allocation {
    const BTRFS: u64 = 0x9123_683e;
    const BCACHEFS: u64 = 0xca45_1a4e;
    const ZFS: u64 = 0x2fc1_2fc1;
    const TMPFS: u64 = 0x0102_1994;
    // The kernel's magic numbers have 32 bits, in a field that is signed and as wide as a word.
    let magic = |found: rustix::fs::StatFs| u64::from(found.f_type as u32);
    match rustix::fs::fstatfs(file).map(magic) {
        Ok(BTRFS | BCACHEFS | ZFS) => Allocation::Extend,
        Ok(TMPFS) => Allocation::Reserve,
        // Not knowing costs a needless pass of zeros at worst.
        Ok(_) | Err(_) => Allocation::ZeroFill,
    }
}

/// Elsewhere the usual file system (APFS) copies on write.
#[cfg(not(target_os = "linux"))]
fn suitable_allocation(_file: &fs::File) -> Allocation {
    Allocation::Extend
}

/// Asks again while a signal interrupts.
fn uninterrupted<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::read_full;

    fn check_allocation(disk: Real) {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = disk.create(&directory.path().join("file")).expect("create");
        file.write_at(&[IoSlice::new(b"kept")], 0).expect("write");
        file.allocate(1_000_000).expect("allocate");
        file.allocate(10).expect("allocating less changes nothing");
        assert_eq!(file.len().expect("length"), 1_000_000);
        let mut bytes = vec![1; 1_000_001];
        assert_eq!(read_full(&*file, &mut bytes, 0).expect("read"), 1_000_000);
        assert_eq!(&bytes[..4], b"kept");
        assert!(bytes[4..1_000_000].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn allocated_bytes_are_zeros_and_older_ones_stay() {
        check_allocation(Real::new());
        check_allocation(Real::with_allocation(Allocation::Extend));
        check_allocation(Real::with_allocation(Allocation::Reserve));
        check_allocation(Real::with_allocation(Allocation::ZeroFill));
    }

    #[test]
    fn parts_are_written_one_after_the_other() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = Real::new()
            .create(&directory.path().join("file"))
            .expect("create");
        let written = file.write_at(
            &[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")],
            3,
        );
        assert_eq!(written.expect("write"), 5);
        let mut bytes = [9; 10];
        assert_eq!(read_full(&*file, &mut bytes, 0).expect("read"), 8);
        assert_eq!(&bytes[..8], b"\0\0\0abcde");
    }

    #[test]
    fn more_parts_than_the_kernel_takes_make_a_short_write() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let file = Real::new()
            .create(&directory.path().join("file"))
            .expect("create");
        let parts = vec![IoSlice::new(b"x"); PARTS_MAX + 1];
        assert_eq!(file.write_at(&parts, 0).expect("write"), PARTS_MAX);
    }

    #[test]
    fn a_file_opened_for_reading_cannot_be_written() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("file");
        Real::new().create(&path).expect("create");
        let file = Real::new().open(&path, Access::Read).expect("open");
        assert!(file.write_at(&[IoSlice::new(b"x")], 0).is_err());
    }

    #[test]
    fn creating_what_exists_is_refused() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("file");
        Real::new().create(&path).expect("create");
        let error = Real::new().create(&path).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn names_are_listed_in_order() {
        let directory = tempfile::tempdir().expect("temporary directory");
        for name in ["b", "a", "c"] {
            Real::new()
                .create(&directory.path().join(name))
                .expect("create");
        }
        Real::new()
            .create_directory(&directory.path().join("d/e"))
            .expect("create directories");
        Real::new()
            .create_directory(&directory.path().join("d"))
            .expect("exists already");
        assert_eq!(
            Real::new().list(directory.path()).expect("list"),
            ["a", "b", "c", "d"]
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_can_be_locked() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("LOCK");
        std::os::unix::fs::symlink("/dev/full", &path).expect("link");
        let _held = Real::new().lock(&path, "process 1").expect("locked");
    }

    #[test]
    fn a_held_lock_names_its_owner() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("LOCK");
        let held = Real::new()
            .lock(&path, "process 1, a rather long name")
            .expect("first lock");
        match Real::new().lock(&path, "process 2") {
            Err(LockError::Held { owner }) => assert_eq!(owner, "process 1, a rather long name"),
            other => panic!("{other:?}"),
        }
        drop(held);
        let _held = Real::new().lock(&path, "process 2").expect("released");
        assert_eq!(fs::read_to_string(&path).expect("read"), "process 2");
    }
}
