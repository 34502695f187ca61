//! What can go wrong, by what a caller can do about it.

use crate::store::Lsn;
use std::io;
use std::path::{Path, PathBuf};

/// Why the store refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that were proven durable no longer verify. Nothing was modified.
    #[error("{} is corrupt at byte {offset}{}: {reason}", path.display(), record(*lsn))]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage starts.
        offset: u64,
        /// The first record that is lost, or the one that a snapshot was taken at; 0 where none can be named.
        lsn: Lsn,
        /// What doesn't fit.
        reason: String,
    },

    /// An earlier fsync failed, so what the disk holds is unknown. Writes are refused until the store is reopened.
    #[error("an earlier write to {} failed: the store takes no more writes until it is reopened", path.display())]
    Poisoned {
        /// The file whose sync failed.
        path: PathBuf,
    },

    /// The disk failed while it took the transaction, and what it kept can't be told before the store is reopened. Later
    /// writes may work again.
    #[error("the outcome of a write to {} is unknown: {reason}", path.display())]
    Uncertain {
        /// The file that was written.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },

    /// The disk is full. Nothing was changed; it may work again once there is space.
    #[error("no space left to write {}", path.display())]
    NoSpace {
        /// The file that couldn't grow.
        path: PathBuf,
    },

    /// The state takes up all the memory that it may. Nothing was changed; it may work again once something is deleted.
    #[error("the state would take {bytes} bytes of memory, and may take {bytes_max}")]
    NoMemory {
        /// What it would take.
        bytes: u64,
        /// What it may take: [`Options::memory_bytes_max`](crate::Options).
        bytes_max: u64,
    },

    /// Another process has the directory open.
    #[error("{} is locked by {owner}", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who holds it: process, command and start time.
        owner: String,
    },

    /// The directory was written by a newer version of this program.
    #[error("{} has format {found}, this version reads up to {supported}", path.display())]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// The version or feature found.
        found: String,
        /// What this version supports.
        supported: String,
    },

    /// The transaction's effects don't fit a log record. It was not applied.
    #[error("a transaction of {bytes} bytes is larger than the limit of {bytes_max}")]
    TooLarge {
        /// The transaction's effects, encoded.
        bytes: usize,
        /// The most that fits.
        bytes_max: usize,
    },

    /// The store was closed.
    #[error("the store is closed")]
    Closed,

    /// No blob has this id, or none has any more.
    #[error("there is no blob {id:016x}")]
    NoSuchBlob {
        /// The id.
        id: u64,
    },

    /// The body of a blob is not what was written. Other bodies are not concerned.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    DamagedBlob {
        /// The file that the body is in.
        path: PathBuf,
        /// Where the damaged piece starts.
        offset: u64,
        /// What doesn't fit.
        reason: &'static str,
    },

    /// A row of the engine's own does not decode.
    #[error(transparent)]
    Row(#[from] RowError),

    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err` on disk operations: says what was tried on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| {
            let path = path.to_path_buf();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Error::NoSpace { path }
                }
                _ => Error::Io {
                    action,
                    path,
                    source,
                },
            }
        }
    }
}

fn record(lsn: Lsn) -> String {
    match lsn {
        Lsn(0) => String::new(),
        Lsn(lsn) => format!(" (record {lsn})"),
    }
}

/// An [`Error`] that many waiters get: [`io::Error`] can't be cloned, so its parts are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Poisoned {
        path: PathBuf,
    },
    NoSpace {
        path: PathBuf,
    },
    Uncertain {
        path: PathBuf,
        reason: String,
    },
    Io {
        action: &'static str,
        path: PathBuf,
        kind: io::ErrorKind,
        reason: String,
    },
    NoMemory {
        bytes: u64,
        bytes_max: u64,
    },
    TooLarge {
        bytes: usize,
        bytes_max: usize,
    },
    Closed,
}

impl Failure {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
        move |source| {
            let path = path.to_path_buf();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Failure::NoSpace { path }
                }
                kind => Failure::Io {
                    action,
                    path,
                    kind,
                    reason: source.to_string(),
                },
            }
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        match failure {
            Failure::Poisoned { path } => Error::Poisoned { path },
            Failure::NoSpace { path } => Error::NoSpace { path },
            Failure::Uncertain { path, reason } => Error::Uncertain { path, reason },
            Failure::Io {
                action,
                path,
                kind,
                reason,
            } => Error::Io {
                action,
                path,
                source: io::Error::new(kind, reason),
            },
            Failure::NoMemory { bytes, bytes_max } => Error::NoMemory { bytes, bytes_max },
            Failure::TooLarge { bytes, bytes_max } => Error::TooLarge { bytes, bytes_max },
            Failure::Closed => Error::Closed,
        }
    }
}

/// A stored key or row does not decode as its table's type.
#[derive(Debug, thiserror::Error)]
#[error("a row of {space} does not decode: {reason}")]
pub struct RowError {
    /// The key space's name.
    pub space: &'static str,
    /// What doesn't fit.
    pub reason: String,
}
