//! The disk: everything that the engine asks of a file system, and what it may rely on.
//!
//! Nothing else in the engine touches the file system, so tests can swap it: [`Real`] is the operating system's,
//! [`Simulated`] is a deterministic one in memory that can lose power at any operation.
//!
//! # What survives what
//!
//! A file system promises little, and these traits promise no more. What an operation *returned* survives a killed
//! process, since the kernel holds it. A loss of power is another matter:
//!
//! | operation | survives loss of power after |
//! |---|---|
//! | `write_at`: the bytes | `sync_data` of that file |
//! | `write_at`, `set_len`, `allocate`: the length | `sync_data` of that file |
//! | `create`, `create_directory`, `rename`, `link`, `remove`: the name | `sync_directory` of its directory |
//!
//! Before that sync, any subset of the changes may be found, in any order: a later write without an earlier one, a
//! length without the bytes (which then read as zeros, or as what the sectors held before), half of a write in units
//! of 512 bytes, a renamed file that is empty. Syncing a file says nothing about its name, syncing a directory
//! nothing about the bytes of its files. A sync that succeeds covers every change that *returned* before it began.
//!
//! **A sync that fails is final.** The kernel may have dropped the changes and marked the pages clean: reads still
//! give the new bytes from the cache, a second sync succeeds without having written anything, and after the restart
//! the old bytes are back. Nobody retries a failed sync; what it covered counts as unknown for good.

mod real;
mod simulated;
mod site;

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

pub use real::{Allocation, Real};
pub use simulated::{
    Crash, Fault, Faults, Loss, NameOrder, Omission, Operation, OperationKind, Simulated,
};
pub use site::Site;

/// The most parts that one [`File::write_at`] takes in; the rest make the write a short one.
pub const PARTS_MAX: usize = 1024;

/// A file system, as far as the engine needs one.
///
/// Errors are the operating system's [`io::Error`], with its kinds: `NotFound`, `AlreadyExists`, `StorageFull`, …
pub trait Disk: Debug + Send + Sync + 'static {
    /// Creates a file that must not exist yet, empty, for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` if the name is taken, whatever it names.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// Opens a file that exists.
    ///
    /// # Errors
    /// `NotFound` if it does not.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn File>>;

    /// The names of all entries of a directory, files and directories, sorted by bytes. Names that are not UTF-8 come
    /// with replacement characters: they can't be ours.
    ///
    /// # Errors
    /// `NotFound` if there is no such directory.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Creates a directory and the parents that it lacks. A directory that exists already is no error.
    ///
    /// # Errors
    /// `AlreadyExists` or `NotADirectory` if a file is in the way.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Gives a file another name in its directory, replacing what had that name. After a crash either both names are as
    /// before or both as after.
    ///
    /// # Errors
    /// `NotFound` if `from` does not exist, `InvalidInput` if the names are in two directories: that would promise less.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    /// `NotFound` if `from` does not exist, `AlreadyExists` if `to` does.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a name of a file. The bytes live on while another name or an open [`File`] holds them.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in this directory (not those in its subdirectories) survive loss of power.
    ///
    /// # Errors
    /// Any error is final, see the module's documentation.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// The same, and says where in the engine, for disks that want to know.
    ///
    /// # Errors
    /// Those of [`sync_directory`](Disk::sync_directory).
    fn sync_directory_at(&self, path: &Path, site: Site) -> io::Result<()> {
        let _ = site;
        self.sync_directory(path)
    }

    /// Takes the exclusive lock that the file at `path` stands for, creating the file if need be, and writes `owner`
    /// into it for the next one to read, if the disk has room for it. The lock ends with the returned guard or with the process, however that
    /// ends; the file stays for ever, since removing it would let two processes lock two files of one name.
    ///
    /// # Errors
    /// [`LockError::Held`] at once, without waiting, if someone else has it.
    fn lock(&self, path: &Path, owner: &str) -> Result<Box<dyn Lock>, LockError>;

    /// Keeps others from taking the lock that the file at `path` stands for, and changes nothing.
    ///
    /// # Errors
    /// [`LockError::Held`] if someone has it, `NotFound` if there is no such file, `Unsupported` from a disk that can't.
    fn lock_shared(&self, path: &Path) -> Result<Box<dyn Lock>, LockError> {
        let _ = path;
        Err(LockError::Io(io::ErrorKind::Unsupported.into()))
    }
}

/// An open file. Reads and writes name their offset, so threads can share it.
pub trait File: Debug + Send + Sync {
    /// Reads into `buffer` from `offset`, and returns how many bytes it got: less than asked for at the end of the
    /// file, and at any time for no reason; zero only at or past the end. [`read_full`] asks again.
    ///
    /// # Errors
    /// `buffer` may then hold anything.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes the `parts` one after the other from `offset` on, and returns how many bytes of them it wrote. A write
    /// can be short: the disk got full midway, or there are more than [`PARTS_MAX`] parts. Asking again for the rest
    /// tells the reason. Writing past the end makes the file longer; bytes between read as zeros.
    ///
    /// # Errors
    /// Any part of the bytes may have been written, and the length changed.
    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// The length in bytes, as written by whoever wrote last, synced or not.
    ///
    /// # Errors
    /// Those of the operating system.
    fn len(&self) -> io::Result<u64>;

    /// Whether the length is zero.
    ///
    /// # Errors
    /// Those of [`len`](File::len).
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|bytes| bytes == 0)
    }

    /// Makes the file exactly this long: cuts it, or adds zeros that take no space yet.
    ///
    /// # Errors
    /// The length is then unknown.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Makes the file at least this long, adds zeros as needed, and reserves the space: a later write below this length
    /// does not run out of it (except where the file system copies on write), nor needs to change the length, which
    /// makes its sync cheaper. Bytes already there stay.
    ///
    /// # Errors
    /// `StorageFull` if there is no room; the file may then have any length up to the one asked for, the new part all
    /// zeros.
    fn allocate(&self, bytes: u64) -> io::Result<()>;

    /// Makes the bytes and the length survive loss of power: all that returned before this call.
    ///
    /// # Errors
    /// Any error is final, see the module's documentation.
    fn sync_data(&self) -> io::Result<()>;

    /// The same, and says where in the engine, for disks that want to know.
    ///
    /// # Errors
    /// Those of [`sync_data`](File::sync_data).
    fn sync_data_at(&self, site: Site) -> io::Result<()> {
        let _ = site;
        self.sync_data()
    }
}

/// What an opened file may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading; a write is an error.
    Read,
    /// Reading and writing.
    Write,
}

/// Holds the lock of [`Disk::lock`] until it is dropped.
pub trait Lock: Debug + Send + Sync {}

/// Why a lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Someone else has it.
    #[error("locked by {owner}")]
    Held {
        /// What the holder wrote as its name; "an unnamed owner" if it had not yet.
        owner: String,
    },

    /// The lock file could not be created or locked.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads until `buffer` is full or the file ends, and returns how many bytes there were.
///
/// # Errors
/// Those of [`File::read_at`].
pub fn read_full(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64)? {
            0 => break,
            count => done += count,
        }
    }
    Ok(done)
}

/// Writes all of `bytes`.
///
/// # Errors
/// Those of [`File::write_at`]; `WriteZero` if it makes no headway. Any part of the bytes may then have been written.
pub fn write_full(file: &dyn File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(&[IoSlice::new(bytes)], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A rename across directories is two changes, which a crash can part.
fn require_one_directory(from: &Path, to: &Path) -> io::Result<()> {
    let message = "a rename must stay in its directory";
    let one = from.parent() == to.parent();
    if one {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, message))
    }
}
