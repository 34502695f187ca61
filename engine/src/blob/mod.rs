//! Blobs: bodies too large for a row, streamed in and out, with rows that say where they are.
//!
//! A body of up to 4 KiB stays in its row. Up to 1 MiB it becomes a range of an append-only pack ([`pack`]), above that a
//! file of its own ([`home`]). It is written first ([`BlobWriter`]); then a transaction attaches it, which writes its row:
//! place, length, and a CRC for each piece of 1 MiB. Attaching, retaining and releasing are changes like others, in the
//! same transaction as the rows that refer to the blob. So a blob exists exactly while its row does, and what has no row is
//! garbage ([`garbage`]). Reading gives whole pieces, each held against its CRC: a damaged body is an error, never served.
//!
//! Bodies that need not survive, those of an ephemeral store or of key spaces that are not logged, stay in memory up to
//! 1 MiB, and spill to a file without a name above that ([`spill`]).
//!
//! # Why a crash leaves no row without its body, and nobody loses one that was acknowledged
//!
//! 1. *A body is there before the record that refers to it.* File, range and CRCs are complete when [`BlobWriter::finish`]
//!    returns, and only a finished body can be attached. At [`Durability::Power`](crate::Durability) it is synced by then:
//!    the file, then its directory. The log's record follows, in the same order on disk.
//! 2. *A synced record refers to synced bodies.* At [`Durability::Process`](crate::Durability) a body is in the kernel's
//!    hands when its record is written, which is all that was promised. Whoever syncs the log syncs all finished bodies
//!    before, so what the log proves synced still refers to synced bodies only.
//! 3. *A record that is not proven may refer to a body that a loss of power took.* Its row says that the body was not
//!    synced before. Recovery reads such bodies in full, and takes the first record whose body isn't whole, and all that
//!    follows, for torn: they were never promised. What it keeps it copies and syncs before the log carries the record
//!    over, since after a failed sync a file may read well and still be lost (crash argument 4 of [`crate::log`]).
//! 4. *A file is removed only after every state with its row.* That is once the deletion of the row is synced, so that no
//!    crash brings the row back, and once no view is left that shows it. What a crash leaves behind is swept at the next
//!    opening, once all that was recovered is proven: then no crash brings back a row that recovery didn't see.
//! 5. *Nothing is written twice at one place.* Ids are never reused, packs are continued by nobody but their creator, and
//!    an abandoned range stays abandoned.
//!
//! # Limits
//!
//! Bodies are read by `pread`, not mapped: every byte goes through its CRC anyway, and a page that can't be read is an
//! error of one request instead of a signal that ends the process. A pack's unused ranges come back with the whole pack
//! only, once a compaction has moved what is left of it ([`repack`]), see [`Store::garbage`](crate::Store::garbage). Without
//! space for the copies of point 3, recovery only syncs.

mod coalesced;
pub(crate) mod garbage;
mod home;
mod pack;
mod reader;
pub(crate) mod recovery;
pub(crate) mod reference;
pub(crate) mod repack;
mod row;
mod spill;
mod survey;
mod writer;

pub use reader::BlobReader;
pub use reference::BlobInfo;
pub use writer::{Blob, BlobWriter};

pub(crate) use home::DIRECTORY_NAME;
pub(crate) use row::EPHEMERAL_SPACES;

use crate::disk::{Disk, Real};
use crate::error::Failure;
use crate::log::writer::Salts;
use crate::store::{Durability, Options};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use garbage::Graveyard;
use home::Home;
use spill::Spill;
use std::env;
use std::path::Path;
use std::sync::Arc;

/// A body is checked and read in pieces of so many bytes; the last one may be shorter.
pub const PIECE_BYTES: usize = 1 << 20;

/// Up to here, a body stays in its row.
const INLINE_BYTES_MAX: u64 = 4 << 10;

/// Up to here, a body goes into a pack. Not more than a piece.
const PACKED_BYTES_MAX: u64 = PIECE_BYTES as u64;

/// Ids of blobs that don't survive a restart.
const EPHEMERAL_BIT: u64 = 1 << 63;

/// What an opening's ids start from.
const FIRST_ID: u64 = 3 << 62;

/// A blob's name: never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(pub u64);

/// All blobs of a store, beside their rows.
#[derive(Debug)]
pub(crate) struct Blobs {
    /// `None`: nothing survives.
    home: Option<Home>,
    spill: Spill,
    next_id: AtomicU64,
    /// Had the last body that went to the disk no room there?
    full: AtomicBool,
    graveyard: Graveyard,
}

impl Blobs {
    /// Of a store in memory.
    pub(crate) fn ephemeral(options: &Options) -> Blobs {
        let first_id = Salts(options.seed).of(FIRST_ID);
        // The seed must not name the file: two processes may have the same.
        let name = format!("cumulog-{:016x}.spill", Salts(None).of(FIRST_ID));
        Blobs {
            home: None,
            spill: Spill::new(Arc::new(Real::new()), env::temp_dir().join(name)),
            next_id: AtomicU64::new(first_id),
            full: AtomicBool::new(false),
            graveyard: Graveyard::at_once(),
        }
    }

    /// Of a data directory.
    pub(crate) fn durable(disk: Arc<dyn Disk>, directory: &Path, options: &Options) -> Blobs {
        let first_id = Salts(options.seed).of(FIRST_ID);
        let syncs_first = options.durability == Durability::Power;
        let home = Home::new(disk.clone(), directory, syncs_first);
        Blobs {
            spill: Spill::new(disk, home.spill_path(first_id)),
            home: Some(home),
            next_id: AtomicU64::new(first_id),
            full: AtomicBool::new(false),
            graveyard: Graveyard::stepped(),
        }
    }

    /// Draws the first id of this opening.
    pub(crate) fn begin(&mut self, options: &Options, epoch: u64) {
        let first_id = Salts(options.seed).of(FIRST_ID.wrapping_add(epoch));
        self.next_id = AtomicU64::new(first_id);
    }

    /// An opening draws the first one from so many that no two ever meet, and counts on from there.
    fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed) & !EPHEMERAL_BIT
    }

    /// Crash argument 2: makes every finished body durable.
    pub(crate) fn sync(&self) -> Result<(), Failure> {
        self.home.as_ref().map_or(Ok(()), Home::sync)
    }

    /// Does the disk have no room for bodies, as far as the last one could tell?
    pub(crate) fn lacks_space(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// What came of writing to the disk.
    fn note_space<T>(&self, written: &Result<T, Failure>) {
        match written {
            Ok(_) => self.full.store(false, Ordering::Relaxed),
            Err(Failure::NoSpace { .. }) => self.full.store(true, Ordering::Relaxed),
            Err(_) => {}
        }
    }

    /// Bytes on disk that no blob uses, and that only repacking would give back.
    pub(crate) fn garbage_bytes(&self) -> u64 {
        self.home
            .as_ref()
            .map_or(0, |home| home.packs.lock().garbage_bytes())
    }

    /// Bytes of bodies in the spill file.
    pub(crate) fn spilled_bytes(&self) -> u64 {
        self.spill.bytes()
    }
}
