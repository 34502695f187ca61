//! What can go wrong, by what a caller can do about it.

use crate::store::Lsn;
use std::io;
use std::path::PathBuf;

/// Why the store refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that were proven durable no longer verify. Nothing was modified.
    #[error("{} is corrupt at byte {offset} (record {}): {reason}", path.display(), lsn.0)]
    Corrupt {
        /// The damaged file.
        path: PathBuf,
        /// Where the damage starts.
        offset: u64,
        /// The first record that is lost.
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

    /// The disk is full. Nothing was changed; it may work again once there is space.
    #[error("no space left to write {}", path.display())]
    NoSpace {
        /// The file that couldn't grow.
        path: PathBuf,
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

/// A stored key or row does not decode as its table's type.
#[derive(Debug, thiserror::Error)]
#[error("a row of {space} does not decode: {reason}")]
pub struct RowError {
    /// The key space's name.
    pub space: &'static str,
    /// What doesn't fit.
    pub reason: String,
}
