//! The store: what is put together here is explained in [`crate::sequencer`] and [`crate::log`].

use crate::blob::{BlobWriter, Blobs};
use crate::compaction::request::{Compacting, Pace, Request};
use crate::compaction::runner::{Compactions, Compactor};
use crate::compaction::sweep;
use crate::compaction::trigger::Growth;
use crate::disk::{Disk, Lock, LockError, Site};
use crate::error::{Error, Failure};
use crate::log::DIRECTORY_NAME;
use crate::log::driver::Driver;
use crate::log::recovery::recover;
use crate::log::spare::Spares;
use crate::log::thread::SharedDriver;
use crate::log::writer::{Identity, Salts, Start, Writer};
use crate::owner;
use crate::pending::{Admission, Pending};
use crate::root::{Root, Space, View};
use crate::sequencer::Shared;
use crate::sync::thread::{self, JoinHandle};
use crate::txn::{Logged, Txn};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A transaction's number: its place in the log. The first is 1; 0 is the empty state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    pub(crate) fn next(self) -> Lsn {
        Lsn(self.0.saturating_add(1))
    }

    pub(crate) fn previous(self) -> Lsn {
        Lsn(self.0.saturating_sub(1))
    }
}

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
    /// How many bytes the state may take in memory, see [`Status::memory_bytes`]. Beyond that, transactions that make it
    /// larger are refused. `None`: any number. A larger state is opened all the same.
    pub memory_bytes_max: Option<u64>,
    /// How large a segment file gets; the first ones are smaller.
    pub segment_bytes: u64,
    /// The log is compacted by itself when that is worth it, but not before it has grown, or there is garbage, by so many
    /// bytes; never with `u64::MAX`.
    pub compaction_bytes_min: u64,
    /// How long after a write its sync starts, at [`Durability::Process`].
    pub sync_delay: Duration,
    /// How long after the last write the log notes that all of it is synced.
    pub mark_delay: Duration,
    /// Makes runs repeat: salts and ids come from here instead of the system's randomness, and all disk operations are
    /// done by one thread.
    pub seed: Option<u64>,
    /// Who holds the directory, for the message that another process gets.
    pub owner: String,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            durability: Durability::Process,
            ephemeral_spaces: Vec::new(),
            queue_bytes_max: 8 << 20,
            memory_bytes_max: None,
            segment_bytes: 64 << 20,
            compaction_bytes_min: 8 << 20,
            // So that it is done within 100 ms.
            sync_delay: Duration::from_millis(80),
            mark_delay: Duration::from_millis(20),
            seed: None,
            owner: owner::describe(),
        }
    }
}

/// What opening a directory found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// The last transaction that was recovered.
    pub lsn: Lsn,
    /// The transaction that the snapshots were taken at; 0: there are none, as nothing was compacted yet.
    pub snapshot: Lsn,
    /// How many entries the snapshots hold.
    pub snapshot_entries: u64,
    /// How many records of the log were replayed on top of them.
    pub records: u64,
    /// The records' bytes.
    pub bytes: u64,
    /// The number of this opening, counting those that wrote.
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
    /// Is the disk full, for the log or for bodies of blobs? Without room for the log, only what makes the state smaller is
    /// taken.
    pub lacks_space: bool,
    /// Was the last transaction that would have made the state larger refused for want of memory?
    pub lacks_memory: bool,
    /// What the newest state takes in memory: its entries and the tree around them, counted, not measured. What only views
    /// of older states hold, requests on their way, and the system's own share come on top.
    pub memory_bytes: u64,
    /// What it may take.
    pub memory_bytes_max: Option<u64>,
    /// Bytes of log on disk.
    pub log_bytes: u64,
    /// Segment files, without the one that is prepared.
    pub segments: u64,
    /// How compactions are doing.
    pub compactions: Compactions,
}

/// Space that bodies of blobs take; from [`Store::garbage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Garbage {
    /// Bytes of pack files that no blob uses; they come back with the last blob of their pack.
    pub pack_bytes: u64,
    /// Bytes in the file for large bodies that need not survive. They all belong to blobs or to views that show one.
    pub spilled_bytes: u64,
}

/// A store of ordered key spaces. A clone is another handle to the same one; dropping the last one closes it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
    /// The driver, if committers help it.
    helped: Option<SharedDriver>,
    /// Ended by the last handle.
    thread: Option<Arc<LogThread>>,
}

/// Ends the log's thread when the last handle goes.
struct LogThread {
    shared: Arc<Shared>,
    handle: Option<JoinHandle<()>>,
}

impl Drop for LogThread {
    fn drop(&mut self) {
        self.shared.begin_close();
        // A callback may hold the last handle: then it is dropped on that very thread, which ends by itself.
        if let Some(handle) = self
            .handle
            .take()
            .filter(|handle| handle.thread().id() != thread::current().id())
        {
            // It catches its own panics, so there is nothing to learn here.
            let _ = handle.join();
        }
    }
}

impl Store {
    /// Memory only: nothing is logged, a commit is published at once.
    pub fn ephemeral(options: Options) -> Store {
        let logged = Logged::new(false, &[]);
        let blobs = Arc::new(Blobs::ephemeral(&options));
        let shared = Shared::new(Root::default(), &options, logged, Path::new(""), blobs);
        Store {
            shared: Arc::new(shared),
            helped: None,
            thread: None,
        }
    }

    /// Opens or creates a data directory: takes its lock, recovers its log, starts the log's thread.
    ///
    /// # Errors
    ///
    /// Locked by another process, damaged or of a newer format: no part of the log was changed then. Or the disk refused.
    pub fn open(
        disk: Arc<dyn Disk>,
        directory: &Path,
        options: Options,
    ) -> Result<(Store, Recovery), Error> {
        let (mut store, driver, recovery) = Store::open_stepped(disk, directory, options)?;
        let (driver, handle) = SharedDriver::spawn(driver, store.shared.clone())
            .map_err(Error::io("start the log thread for", directory))?;
        let thread = LogThread {
            shared: store.shared.clone(),
            handle: Some(handle),
        };
        store.thread = Some(Arc::new(thread));
        store.helped = store.shared.committers_help.then_some(driver);
        Ok((store, recovery))
    }

    /// As [`open`](Self::open), but without a thread: nothing is written unless someone calls [`Driver::step`]. For tests
    /// that want to decide what happens when. [`close`](Self::close) then waits for a step, and so does a full queue.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_stepped(
        disk: Arc<dyn Disk>,
        directory: &Path,
        options: Options,
    ) -> Result<(Store, Driver, Recovery), Error> {
        let log_directory = directory.join(DIRECTORY_NAME);
        disk.create_directory(&log_directory)
            .map_err(Error::io("create", &log_directory))?;
        let lock = lock(&*disk, directory, &options)?;
        let logged = Logged::new(true, &options.ephemeral_spaces);
        let mut blobs = Blobs::durable(disk.clone(), directory, &options);
        let found = recover(&*disk, directory, &logged.ephemeral, |records, last| {
            blobs.whole_until(records, last)
        })?;

        let mut spares = Spares::new(
            disk.clone(),
            log_directory.clone(),
            found.next_sequence,
            options.segment_bytes,
        );
        spares.adopt(found.spare);
        if found.ids.is_none() {
            // An earlier run may have created them and been killed, so that they exist proves nothing.
            spares.sync_first(
                log_directory
                    .ancestors()
                    .skip(1)
                    .map(PathBuf::from)
                    .collect(),
            );
        }
        let mut recovery = found.report;
        recovery.epoch = recovery.epoch.saturating_add(1);
        let salts = Salts(options.seed);
        let (store, branch) = found
            .ids
            .unwrap_or_else(|| (salts.id(STORE_ID), salts.id(BRANCH_ID)));
        let identity = Identity {
            store,
            branch,
            epoch: recovery.epoch,
        };
        let compactor = Compactor::new(
            disk.clone(),
            directory,
            identity.clone(),
            logged.ephemeral.clone(),
            options.compaction_bytes_min,
            found.manifest.clone(),
        );
        blobs.begin(&options, recovery.epoch);
        let blobs = Arc::new(blobs);
        // Before the log vouches for what refers to them.
        blobs.renew(&found.carry)?;
        let start = Start {
            identity,
            position: found.position,
            carry: found.carry,
            carried: recovery.lsn,
            clean: recovery.clean,
        };
        let mut writer = Writer::new(start, spares, salts, blobs.clone());
        writer.growth = Growth {
            records: recovery.records,
            bytes: recovery.bytes,
        };
        writer.segments = found.segments;
        writer.log_bytes = found.log_bytes;
        let all_proven = match writer.settle() {
            Ok(()) => true,
            // What is there can be read; the first write brings it into a new segment, or fails for want of space. But
            // nobody may read what a loss of power could take: a sync in its old place is the best there is now.
            Err(Failure::NoSpace { .. }) => {
                if let Some((path, file)) = found.last {
                    file.sync_data_at(Site::LogInPlace)
                        .map_err(Error::io("sync", &path))?;
                }
                false
            }
            Err(failure) => return Err(failure.into()),
        };
        blobs.take_over(&found.root, all_proven)?;
        sweep::at_opening(&*disk, directory, found.manifest.as_ref())?;
        let shared = Arc::new(Shared::new(
            found.root,
            &options,
            logged,
            &log_directory,
            blobs,
        ));
        shared.set_compactions(compactor.status());
        let driver = Driver::new(
            shared.clone(),
            writer,
            compactor,
            &options,
            log_directory,
            lock,
        );
        Ok((
            Store {
                shared,
                helped: None,
                thread: None,
            },
            driver,
            recovery,
        ))
    }

    /// Runs `transaction` on the newest state. `Ok`: its effects are logged as one; `Err`: they are dropped.
    ///
    /// Either way the result is released only once everything that the closure could have read is published. Blocks
    /// while more than [`Options::queue_bytes_max`] wait for the log; async callers await [`admission`](Self::admission)
    /// first. The closure runs alone, so it must be short, and must not use the store itself.
    pub fn commit<T, E>(
        &self,
        transaction: impl FnOnce(&mut Txn) -> Result<T, E>,
    ) -> Pending<Result<T, E>> {
        let pending = self.shared.commit(transaction);
        if let Some(driver) = self.helped.as_ref().filter(|_| pending.is_queued()) {
            driver.help();
        }
        pending
    }

    /// Ready once the queue has room for another commit.
    pub fn admission(&self) -> Admission {
        Admission::new(self.shared.clone())
    }

    /// Takes in a body that is too large for a row. `referrer` is the key space of the rows that will refer to it: if those
    /// don't survive a restart, the body need not either.
    pub fn blob_writer(&self, referrer: Space) -> BlobWriter {
        BlobWriter::new(self.shared.blobs.clone(), self.shared.is_logged(referrer))
    }

    /// What the bodies of blobs take beyond their length.
    pub fn garbage(&self) -> Garbage {
        Garbage {
            pack_bytes: self.shared.blobs.garbage_bytes(),
            spilled_bytes: self.shared.blobs.spilled_bytes(),
        }
    }

    /// The last published state.
    pub fn view(&self) -> View {
        self.shared.view()
    }

    /// How the store is doing.
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Finishes what is queued, marks the log as closed and releases the directory. Once closed, writes fail.
    ///
    /// # Errors
    ///
    /// What kept the log from being finished. The directory is released even so.
    pub fn close(&self) -> Result<(), Error> {
        self.shared.begin_close();
        self.shared.wait_closed().map_err(Error::from)
    }

    /// Replaces the log up to now by snapshots of the state, so that the next opening is fast, and removes what is superfluous
    /// then. Commits go on meanwhile. It begins after this call, even if another one is at work.
    ///
    /// This is done by itself when it is worth it, see [`Options::compaction_bytes_min`].
    pub fn compact(&self, pace: Pace) -> Compacting {
        let request = Arc::new(Request::new(pace));
        self.shared.request_compaction(request.clone());
        Compacting(request)
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

pub(crate) const LOCK_FILE: &str = "LOCK";

/// What the ids of a new store are made from.
pub(crate) const STORE_ID: u64 = 1 << 63;
const BRANCH_ID: u64 = STORE_ID + 2;

fn lock(disk: &dyn Disk, directory: &Path, options: &Options) -> Result<Box<dyn Lock>, Error> {
    let path = directory.join(LOCK_FILE);
    disk.lock(&path, &options.owner)
        .map_err(|error| match error {
            LockError::Held { owner } => Error::Locked {
                path: directory.to_path_buf(),
                owner,
            },
            LockError::Io(error) => Error::io("lock", &path)(error),
        })
}

#[cfg(test)]
mod tests;
