//! Compaction: the log up to some place is replaced by snapshots of the state there, so that opening a store takes as long
//! as its state is large, and its directory as much space.
//!
//! 1. *Seal.* With nothing in flight, the log closes its segment and syncs it ([`crate::log::writer::Writer::cut`]). That
//!    place is the *cut*; the published state is exactly the one there, and a clone of it costs nothing.
//! 2. *Snapshots.* Each durable key space that changed since its snapshot is written to a file of its own: under a temporary
//!    name, synced, read again and held against what was written, renamed. Others keep the file that they have. Then
//!    the directory is synced.
//! 3. *Manifest.* It names the cut and the snapshots ([`crate::manifest`]): written under a temporary name, synced, renamed
//!    over the one before, the directory synced. This is the commit point.
//! 4. *Sweep.* Segments up to the cut's and snapshots that the manifest doesn't name are removed ([`sweep`]).
//! 5. *Packs.* What is left in packs of bodies that are mostly garbage is moved, so that they can go
//!    ([`crate::blob::repack`]).
//!
//! Commits go on all the while: they are written to the next segment, whose header names the cut as the place where it goes
//! on. [`Compaction::step`] does a small part of the work; [`runner`] says when, and on which thread.
//!
//! # Why a crash loses nothing
//!
//! 1. *Before the new manifest is durable, nothing that the old one names is touched.* Snapshots and segments are removed
//!    only after the directory sync of step 3 has returned. A crash before it finds either manifest:
//! 2. *Both name the same state.* The new one names snapshots that were synced, verified and durable under their names
//!    before it was renamed, and a cut that was synced before them. By the old one, recovery replays the segments up to
//!    that cut, and goes on in the segments that follow it, as by the new one.
//! 3. *The state at the cut is final.* All of it is synced, bodies of blobs first, and no crash can add to it: what a
//!    refused write may have left behind it is cut off by a segment of its own before the cut is made.
//! 4. *A file that a manifest names never changes.* Its name says which state of which key space it holds; one that was
//!    abandoned is replaced by another with the same bytes.
//! 5. *What isn't certain is not acted upon.* If the manifest's rename fails, nobody knows which one a crash would find: then
//!    nothing at all is removed until a later compaction succeeds. If a directory's sync fails, the log's names may be lost
//!    with it, and no later sync would tell: that poisons the store.
//! 6. *An opening doesn't trust what it sees.* The manifest in the cache may not be the one on the disk, after a kill before
//!    the directory sync. So the sweep at opening first writes the manifest anew, and syncs.
//!
//! Everything else that fails ends the compaction: its temporary files are removed, the state is as before, and it is
//! tried again later. A failed sync of a snapshot doesn't poison the log, as nothing refers to that file, nor ever will.
//!
//! # Limits
//!
//! While it runs, a compaction takes the space of the snapshots that it writes beside all that is there. On a disk without
//! that room it fails, and the log goes on growing into what is left. It doesn't begin before there is a spare segment for
//! the log to go on in: otherwise it would take the room that deletions need on a full disk.
//!
//! Snapshots are read again through the kernel's cache: that finds errors of this program and of memory, not of the medium.

pub(crate) mod pace;
pub(crate) mod request;
pub(crate) mod runner;
pub(crate) mod sweep;
pub(crate) mod trigger;

use crate::blob::repack::Stray;
use crate::disk::{Disk, Site};
use crate::error::Failure;
use crate::log::segment::{Cut, Id};
use crate::manifest::{self, Manifest, Named};
use crate::root::{Contents, Root};
use crate::sequencer::Shared;
use crate::snapshot::reader::Reader;
use crate::snapshot::writer::Writer;
use crate::snapshot::{self, Origin};
use crate::store::Lsn;
use std::fmt;
use std::mem;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sweep::Sweep;

/// A snapshot in the making is synced whenever so many bytes were written: the log's own syncs would wait behind one large
/// one.
const SYNC_BYTES: u64 = 2 << 20;

/// One compaction, from the sealed log to the last file removed.
pub(crate) struct Compaction {
    disk: Arc<dyn Disk>,
    shared: Arc<Shared>,
    directory: PathBuf,
    /// The next one, with the snapshots that are done.
    manifest: Manifest,
    /// The last one names a snapshot: then their directory's own name is durable.
    names_directory: bool,
    /// What is to be written, last first. Dropped one by one, so that little of the old state is kept.
    left: Vec<(u32, Contents)>,
    stage: Stage,
    /// Snapshots that have got their names, and no manifest yet.
    renamed: Vec<PathBuf>,
    written_bytes: u64,
}

enum Stage {
    /// Between two snapshots.
    Next,
    Write(Writing),
    Verify(Written, Reader),
    Rename(Written),
    /// All snapshots have their names.
    SyncSnapshots,
    SyncDirectory,
    Prepare,
    Replace,
    /// From here on a crash may find the new manifest.
    Commit,
    Sweep(Sweep),
    /// What is left to move.
    Repack(sweep::Outcome, Vec<Stray>),
}

/// A snapshot on its way to the disk.
struct Writing {
    origin: Origin,
    contents: Contents,
    writer: Writer,
    last_key: Option<Vec<u8>>,
    synced_bytes: u64,
}

/// A snapshot that is written and synced, under its temporary name.
struct Written {
    named: Named,
    from: PathBuf,
    to: PathBuf,
}

/// What a step did.
#[derive(Debug)]
pub(crate) enum Progress {
    More,
    Done(Done),
}

/// A compaction that succeeded.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) manifest: Manifest,
    pub(crate) written_bytes: u64,
    pub(crate) sweep: sweep::Outcome,
    /// Garbage in packs that could not go yet.
    pub(crate) left_in_packs: u64,
}

/// Why one ended early.
#[derive(Debug)]
pub(crate) struct Aborted {
    pub(crate) failure: Failure,
    /// Nobody knows which manifest a crash would find.
    pub(crate) uncertain: bool,
}

impl Aborted {
    /// If it was only told to end, this is why.
    fn because(self, why: &Failure) -> Aborted {
        match self.failure {
            Failure::Closed => Aborted {
                failure: why.clone(),
                ..self
            },
            _ => self,
        }
    }
}

/// What a compaction starts from.
pub(crate) struct Input<'a> {
    pub(crate) store: Id,
    pub(crate) branch: Id,
    pub(crate) epoch: u64,
    pub(crate) cut: Cut,
    /// The state at the cut.
    pub(crate) root: &'a Root,
    /// Key spaces in it that are not logged, sorted.
    pub(crate) ephemeral: &'a [u32],
    /// The manifest that counts.
    pub(crate) last: Option<&'a Manifest>,
}

/// The snapshot that still holds a key space.
pub(crate) fn up_to_date<'a>(
    last: Option<&'a Manifest>,
    space: u32,
    contents: &Contents,
    lsn: Lsn,
) -> Option<&'a Named> {
    // A transaction that was rolled back may have marked a change after the cut.
    let holds = |named: &&Named| contents.changed <= named.lsn || named.lsn == lsn;
    last?.named(space).filter(holds)
}

impl Compaction {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        shared: Arc<Shared>,
        directory: &Path,
        input: &Input<'_>,
    ) -> Compaction {
        let lsn = input.cut.link.lsn;
        // Whatever is between them would be lost.
        assert_eq!(input.root.lsn, lsn, "the cut is where the state is");
        let (mut kept, mut left) = (Vec::new(), Vec::new());
        for (space, contents) in input.root.durable(input.ephemeral) {
            match up_to_date(input.last, space, contents, lsn) {
                Some(named) => kept.push(*named),
                None => left.push((space, contents.clone())),
            }
        }
        left.reverse();
        Compaction {
            disk,
            shared,
            directory: directory.to_path_buf(),
            manifest: Manifest {
                store: input.store,
                branch: input.branch,
                epoch: input.epoch,
                cut: input.cut,
                snapshots: kept,
            },
            names_directory: input.last.is_some_and(|last| !last.snapshots.is_empty()),
            left,
            stage: Stage::Next,
            renamed: Vec::new(),
            written_bytes: 0,
        }
    }

    /// Does the next part.
    pub(crate) fn step(&mut self) -> Result<Progress, Aborted> {
        // Crash argument 5: the rename itself may have been done when it failed.
        let uncertain = matches!(self.stage, Stage::Replace | Stage::Commit);
        self.advance()
            .map_err(|failure| Aborted { failure, uncertain })
    }

    fn advance(&mut self) -> Result<Progress, Failure> {
        self.stage = match mem::replace(&mut self.stage, Stage::Next) {
            Stage::Next => self.begin_snapshot()?,
            Stage::Write(writing) => self.write(writing)?,
            Stage::Verify(written, reader) => verify(written, reader)?,
            Stage::Rename(written) => self.rename(written)?,
            Stage::SyncSnapshots => {
                // Crash argument 2: the names before the manifest that names them.
                self.sync(&self.snapshots(), Site::SnapshotName)?;
                Stage::SyncDirectory
            }
            Stage::SyncDirectory => {
                if !self.names_directory && !self.renamed.is_empty() {
                    self.sync(&self.directory, Site::SnapshotDirectory)?;
                }
                Stage::Prepare
            }
            Stage::Prepare => {
                self.manifest.snapshots.sort_by_key(|named| named.space);
                manifest::prepare(&*self.disk, &self.directory, &self.manifest)?;
                Stage::Replace
            }
            Stage::Replace => {
                manifest::replace(&*self.disk, &self.directory)?;
                Stage::Commit
            }
            Stage::Commit => {
                // Crash argument 1: nothing is removed before this has returned.
                self.sync(&self.directory, Site::ManifestName)?;
                Stage::Sweep(Sweep::new(&*self.disk, &self.directory, &self.manifest))
            }
            Stage::Sweep(mut sweep) => {
                if sweep.step(&*self.disk) {
                    Stage::Sweep(sweep)
                } else {
                    Stage::Repack(sweep.outcome(), self.strays())
                }
            }
            Stage::Repack(outcome, mut strays) => {
                let Some(stray) = strays.pop() else {
                    return Ok(Progress::Done(self.done(outcome)));
                };
                self.repack(stray);
                Stage::Repack(outcome, strays)
            }
        };
        Ok(Progress::More)
    }

    fn strays(&self) -> Vec<Stray> {
        self.shared.blobs.strays(&self.shared.view().root)
    }

    /// A failure is no reason to stop: nothing has changed then.
    fn repack(&self, stray: Stray) {
        if let Some(moved) = self.shared.blobs.copy(stray) {
            self.shared.commit_own(|txn| txn.relocate(&moved));
        }
    }

    fn done(&self, sweep: sweep::Outcome) -> Done {
        Done {
            manifest: self.manifest.clone(),
            written_bytes: self.written_bytes + self.manifest.encode().len() as u64,
            sweep,
            left_in_packs: self.shared.blobs.sparse_bytes(),
        }
    }

    fn begin_snapshot(&mut self) -> Result<Stage, Failure> {
        let Some((space, contents)) = self.left.pop() else {
            return Ok(if self.renamed.is_empty() {
                Stage::Prepare
            } else {
                Stage::SyncSnapshots
            });
        };
        let snapshots = self.snapshots();
        if self.renamed.is_empty() {
            self.disk
                .create_directory(&snapshots)
                .map_err(Failure::io("create", &snapshots))?;
        }
        let origin = Origin {
            store: self.manifest.store,
            space,
            lsn: self.manifest.lsn(),
        };
        let path = temporary(&origin.path(&snapshots));
        Ok(Stage::Write(Writing {
            origin,
            contents,
            writer: Writer::create(&*self.disk, &path, &origin)?,
            last_key: None,
            synced_bytes: 0,
        }))
    }

    fn write(&mut self, mut writing: Writing) -> Result<Stage, Failure> {
        if writing.write_block()? {
            return Ok(Stage::Write(writing));
        }
        let summary = writing.writer.finish()?;
        writing.writer.sync(Site::SnapshotFile)?;
        let Writing { origin, writer, .. } = writing;
        let to = origin.path(&self.snapshots());
        let from = temporary(&to);
        self.written_bytes += writer.bytes();
        let reader =
            Reader::open(&*self.disk, &from, &origin).map_err(|error| unlike(&from, &error))?;
        let named = Named {
            space: origin.space,
            lsn: origin.lsn,
            file_bytes: writer.bytes(),
            summary,
        };
        Ok(Stage::Verify(Written { named, from, to }, reader))
    }

    fn rename(&mut self, written: Written) -> Result<Stage, Failure> {
        let Written { named, from, to } = written;
        // If it fails it may have been done.
        self.renamed.push(to.clone());
        self.disk
            .rename(&from, &to)
            .map_err(Failure::io("rename", &from))?;
        self.manifest.snapshots.push(named);
        Ok(Stage::Next)
    }

    fn snapshots(&self) -> PathBuf {
        self.directory.join(snapshot::DIRECTORY_NAME)
    }

    /// Crash argument 5: where names are lost, others may be lost with them, in whatever directory.
    fn sync(&self, directory: &Path, site: Site) -> Result<(), Failure> {
        let path = directory.to_path_buf();
        self.disk
            .sync_directory_at(directory, site)
            .map_err(|_| Failure::Poisoned { path })
    }

    /// Ends it soon: with nothing done if that can still be, else without the sweep. `uncertain`: an earlier manifest may be
    /// the one that a crash finds.
    pub(crate) fn end(mut self, uncertain: bool) -> Result<Done, Aborted> {
        let is_committed = matches!(
            self.stage,
            Stage::Commit | Stage::Sweep(_) | Stage::Repack(..)
        );
        if !is_committed {
            self.abandon(uncertain);
            let failure = Failure::Closed;
            return Err(Aborted { failure, uncertain });
        }
        loop {
            match &mut self.stage {
                Stage::Sweep(sweep) => sweep.give_up(),
                Stage::Repack(_, strays) => strays.clear(),
                _ => {}
            }
            match self.step() {
                Ok(Progress::More) => {}
                Ok(Progress::Done(done)) => return Ok(done),
                Err(aborted) => return Err(self.fail(aborted, uncertain)),
            }
        }
    }

    /// Cleans up after a failure.
    pub(crate) fn fail(self, aborted: Aborted, uncertain: bool) -> Aborted {
        self.abandon(uncertain || aborted.uncertain);
        aborted
    }

    /// Removes what it made and nothing refers to. If an earlier manifest is `uncertain`, that one may name the same
    /// snapshots.
    fn abandon(self, uncertain: bool) {
        let snapshots = self.snapshots();
        if let Ok(names) = self.disk.list(&snapshots) {
            let temporary = names.iter().filter(|name| snapshot::is_temporary(name));
            temporary.for_each(|name| drop(self.disk.remove(&snapshots.join(name))));
        }
        // What can't be removed takes space until the next sweep.
        let _ = self.disk.remove(&manifest::temporary_path(&self.directory));
        if !uncertain {
            self.renamed
                .iter()
                .for_each(|path| drop(self.disk.remove(path)));
        }
    }
}

impl Writing {
    /// Writes the next block; says whether there was one.
    fn write_block(&mut self) -> Result<bool, Failure> {
        let from = match &self.last_key {
            Some(key) => Bound::Excluded(&key[..]),
            None => Bound::Unbounded,
        };
        let mut last = None;
        for (key, value) in self.contents.entries.range(from, Bound::Unbounded) {
            if !self.writer.fits(key, value) {
                break;
            }
            self.writer.push(key, value);
            last = Some(key);
        }
        let Some(last) = last.map(<[u8]>::to_vec) else {
            return Ok(false);
        };
        self.last_key = Some(last);
        self.writer.flush()?;
        if self.writer.bytes() - self.synced_bytes >= SYNC_BYTES {
            self.writer.sync(Site::SnapshotPart)?;
            self.synced_bytes = self.writer.bytes();
        }
        Ok(true)
    }
}

/// Reads the next block again.
fn verify(written: Written, mut reader: Reader) -> Result<Stage, Failure> {
    let more = reader
        .block(|_, _| {})
        .map_err(|error| unlike(&written.from, &error))?;
    if more {
        return Ok(Stage::Verify(written, reader));
    }
    let found = (reader.summary(), reader.file_bytes());
    if found != (written.named.summary, written.named.file_bytes) {
        let error = "it is not what was written";
        return Err(unlike(&written.from, &error));
    }
    Ok(Stage::Rename(written))
}

fn unlike(path: &Path, error: &dyn fmt::Display) -> Failure {
    Failure::io("verify", path)(std::io::Error::other(error.to_string()))
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension("snap.tmp")
}

impl fmt::Debug for Compaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compaction")
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}
