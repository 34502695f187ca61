//! The store: one head root behind the sequencer's mutex, one published root for all readers.

use crate::disk::Disk;
use crate::error::Error;
use crate::pending::{Admission, Pending};
use crate::root::{Root, Space, View};
use crate::txn::Txn;
use parking_lot::{Mutex, RwLock};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A transaction's number: its place in the log. The first is 1; 0 is the empty state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

/// When a commit is acknowledged, and so what an acknowledged one survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// In memory: survives nothing.
    None,
    /// `write(2)` done, synced at most 100 ms later: survives the process's end by any means.
    Process,
    /// Synced: survives power loss.
    Power,
}

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// When a commit is acknowledged.
    pub durability: Durability,
    /// Key spaces that are not logged.
    pub ephemeral_spaces: Vec<Space>,
    /// How many bytes may wait for the log before commits block.
    pub queue_bytes_max: usize,
    /// How large a segment file gets; the first ones are smaller.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            durability: Durability::Process,
            ephemeral_spaces: Vec::new(),
            queue_bytes_max: 8 << 20,
            segment_bytes: 64 << 20,
        }
    }
}

/// What opening a directory found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The last transaction that was recovered.
    pub lsn: Lsn,
    /// How many records were replayed.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How often this directory was opened.
    pub epoch: u64,
    /// Did the last run close it?
    pub clean: bool,
    /// Bytes after the last valid record that stay as evidence, and where they start.
    pub torn: Option<Torn>,
}

/// Bytes that a crash left incomplete: never acknowledged, not replayed, kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment.
    pub path: PathBuf,
    /// Where they start.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
}

/// How a store is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The newest transaction.
    pub head: Lsn,
    /// The newest that readers see.
    pub published: Lsn,
    /// The newest that survives power loss.
    pub synced: Lsn,
    /// When commits are acknowledged.
    pub durability: Durability,
    /// Did a sync fail? Then writes are refused.
    pub poisoned: bool,
    /// Bytes of log on disk.
    pub log_bytes: u64,
    /// Segment files.
    pub segments: u64,
}

/// A store of ordered key spaces. A clone is another handle to the same one.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    sequencer: Mutex<Root>,
    published: RwLock<Arc<Root>>,
}

impl Store {
    /// Memory only: nothing is logged, a commit is published at once.
    pub fn ephemeral(options: Options) -> Store {
        let _ = options;
        let shared = Shared {
            sequencer: Mutex::new(Root::default()),
            published: RwLock::default(),
        };
        Store {
            shared: Arc::new(shared),
        }
    }

    /// Opens or creates a data directory.
    ///
    /// # Errors
    ///
    /// Locked by another process, damaged, of a newer format, or the disk refused.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        options: Options,
    ) -> Result<(Store, Recovery), Error> {
        let _ = (disk, options);
        let source = std::io::Error::other("data directories come with the next commit");
        Err(Error::Io {
            action: "open",
            path: directory.to_path_buf(),
            source,
        })
    }

    /// Runs `transaction` on the newest state. `Ok`: its effects are logged as one; `Err`: they are dropped.
    ///
    /// Either way the result is released only once everything that the closure could have read is published. Blocks
    /// while more than [`Options::queue_bytes_max`] wait for the log; async callers await [`admission`](Self::admission)
    /// first.
    pub fn commit<T, E>(
        &self,
        transaction: impl FnOnce(&mut Txn) -> Result<T, E>,
    ) -> Pending<Result<T, E>> {
        let mut head = self.shared.sequencer.lock();
        let mut txn = Txn::new(&head);
        let result = transaction(&mut txn);
        if result.is_err() {
            return Pending::ready(Ok(result), None);
        }
        let mut lsn = None;
        if txn.changed {
            txn.root.lsn = Lsn(head.lsn.0 + 1);
            lsn = Some(txn.root.lsn);
            *head = txn.root;
            *self.shared.published.write() = Arc::new(head.clone());
        }
        drop(head);
        txn.callbacks.into_iter().for_each(|callback| callback());
        Pending::ready(Ok(result), lsn)
    }

    /// Ready once the queue has room for another commit.
    pub fn admission(&self) -> Admission {
        Admission::granted()
    }

    /// The last published state.
    pub fn view(&self) -> View {
        View(self.shared.published.read().clone())
    }

    /// How the store is doing.
    pub fn status(&self) -> Status {
        let head = self.shared.sequencer.lock().lsn;
        Status {
            head,
            published: self.view().lsn(),
            synced: Lsn(0),
            durability: Durability::None,
            poisoned: false,
            log_bytes: 0,
            segments: 0,
        }
    }

    /// Finishes what is queued, marks the log as closed and releases the directory. Once closed, commits fail.
    ///
    /// # Errors
    ///
    /// What kept the log from being finished.
    pub fn close(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Empties every key space in one transaction.
    pub fn reset(&self) -> Pending<()> {
        let done = self.commit(|txn| {
            txn.clear();
            Ok::<_, std::convert::Infallible>(())
        });
        done.map(|_| ())
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.status()).finish()
    }
}
