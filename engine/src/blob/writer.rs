//! A body on its way in.

use super::garbage::Dead;
use super::row::{Place, Row};
use super::{BlobId, Blobs, EPHEMERAL_BIT, INLINE_BYTES_MAX, PACKED_BYTES_MAX, PIECE_BYTES};
use crate::disk::{File, write_full};
use crate::error::{Error, Failure};
use crate::sync::Mutex;
use std::fmt;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

/// Takes a body in, piece by piece; from [`Store::blob_writer`](crate::Store::blob_writer). Holds no more than a piece of
/// it in memory. Dropped before [`finish`](Self::finish), it leaves nothing behind.
pub struct BlobWriter {
    blobs: Arc<Blobs>,
    id: u64,
    /// The piece in the making.
    buffer: Vec<u8>,
    bytes: u64,
    crcs: Vec<u8>,
    /// Where the pieces before it went.
    sink: Option<Sink>,
    failure: Option<Failure>,
}

enum Sink {
    File(PathBuf, Arc<dyn File>),
    Spill(Vec<u32>),
}

impl BlobWriter {
    pub(crate) fn new(blobs: Arc<Blobs>, is_durable: bool) -> BlobWriter {
        let is_durable = is_durable && blobs.home.is_some();
        let id = blobs.new_id() | if is_durable { 0 } else { EPHEMERAL_BIT };
        BlobWriter {
            blobs,
            id,
            buffer: Vec::new(),
            bytes: 0,
            crcs: Vec::new(),
            sink: None,
            failure: None,
        }
    }

    /// How many bytes came so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many more [`write`](Self::write) takes without waiting for a disk.
    pub fn room(&self) -> usize {
        PIECE_BYTES - self.buffer.len()
    }

    /// Will [`finish`](Self::finish) wait for a disk?
    pub fn needs_disk(&self) -> bool {
        self.sink.is_some() || self.bytes > self.memory_bytes_max()
    }

    /// Appends bytes. Writes whole pieces to the disk, and waits for that.
    ///
    /// # Errors
    ///
    /// The disk is full or fails. The body can then not be finished.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            if self.room() == 0 {
                self.flush()?;
            }
            let (taken, rest) = bytes.split_at(bytes.len().min(self.room()));
            self.buffer.extend_from_slice(taken);
            self.bytes += taken.len() as u64;
            bytes = rest;
        }
        Ok(())
    }

    /// The body is complete: makes it as durable as the store's commits are, so that a transaction can attach it.
    ///
    /// # Errors
    ///
    /// The disk is full or fails, now or before.
    pub fn finish(mut self) -> Result<Blob, Error> {
        let (place, synced) = self.settle()?;
        // From here on they belong to the blob.
        self.sink = None;
        let body = Body {
            blobs: self.blobs.clone(),
            id: self.id,
            row: Row {
                bytes: self.bytes,
                place,
                synced,
                crcs: mem::take(&mut self.crcs),
            },
            fate: Mutex::new(Fate::Free),
        };
        Ok(Blob(Arc::new(body)))
    }

    fn settle(&mut self) -> Result<(Place, bool), Failure> {
        if !self.needs_disk() {
            return Ok((Place::Inline(mem::take(&mut self.buffer)), true));
        }
        let syncs_first = self.blobs.home.as_ref().is_none_or(|home| home.syncs_first);
        if let (None, Some(home)) = (&self.sink, &self.blobs.home) {
            let appended = home.append(&self.buffer, || self.blobs.new_id());
            self.blobs.note_space(&appended);
            let (pack, offset) = appended?;
            self.note_crc();
            return Ok((Place::Pack(pack, offset), syncs_first));
        }
        if !self.buffer.is_empty() {
            self.flush()?;
        }
        match (&mut self.sink, &self.blobs.home) {
            (Some(Sink::File(path, file)), Some(home)) => {
                home.settle_file(self.id, path, file)?;
                Ok((Place::File, syncs_first))
            }
            (Some(Sink::Spill(blocks)), _) => Ok((Place::Spill(mem::take(blocks)), true)),
            _ => unreachable!("what is too large for memory was flushed"),
        }
    }

    /// The most that stays in a row.
    fn memory_bytes_max(&self) -> u64 {
        match &self.blobs.home {
            Some(_) if self.id & EPHEMERAL_BIT == 0 => INLINE_BYTES_MAX,
            _ => PACKED_BYTES_MAX,
        }
    }

    /// Sends the buffer off as the next piece. A failure is final: the place of a piece is written once.
    fn flush(&mut self) -> Result<(), Failure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let written = self.write_piece();
        self.blobs.note_space(&written);
        self.failure = written.as_ref().err().cloned();
        if written.is_ok() {
            self.note_crc();
            self.buffer.clear();
        }
        written
    }

    fn write_piece(&mut self) -> Result<(), Failure> {
        let sink = match &mut self.sink {
            Some(sink) => sink,
            none => none.insert(Sink::open(&self.blobs, self.id)?),
        };
        match sink {
            Sink::File(path, file) => {
                let offset = self.bytes - self.buffer.len() as u64;
                write_full(&**file, &self.buffer, offset).map_err(Failure::io("write", path))
            }
            Sink::Spill(blocks) => {
                blocks.push(self.blobs.spill.write(&self.buffer)?);
                Ok(())
            }
        }
    }

    fn note_crc(&mut self) {
        let crc = crc32fast::hash(&self.buffer);
        self.crcs.extend_from_slice(&crc.to_le_bytes());
    }
}

impl Sink {
    fn open(blobs: &Blobs, id: u64) -> Result<Sink, Failure> {
        match &blobs.home {
            Some(home) if id & EPHEMERAL_BIT == 0 => {
                let path = home.blob_path(id);
                let file = home.create(&path)?;
                Ok(Sink::File(path, file))
            }
            _ => Ok(Sink::Spill(Vec::new())),
        }
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        match self.sink.take() {
            Some(Sink::File(..)) => self.blobs.discard(Dead::File(self.id)),
            Some(Sink::Spill(blocks)) => self.blobs.discard(Dead::Spilled(blocks)),
            None => {}
        }
    }
}

impl fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobWriter")
            .field("id", &self.id)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// A finished body that a transaction can [`attach`](crate::Txn::attach). Dropped without that, or after the transaction
/// failed, it is gone.
pub struct Blob(pub(super) Arc<Body>);

impl Blob {
    /// Its id, should it be attached.
    pub fn id(&self) -> BlobId {
        BlobId(self.0.id)
    }

    /// Its length.
    pub fn bytes(&self) -> u64 {
        self.0.row.bytes
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob")
            .field("id", &self.0.id)
            .field("bytes", &self.0.row.bytes)
            .finish_non_exhaustive()
    }
}

/// A body that has no row yet, as far as anybody knows.
pub(crate) struct Body {
    pub(super) blobs: Arc<Blobs>,
    pub(super) id: u64,
    pub(super) row: Row,
    pub(super) fate: Mutex<Fate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing refers to it.
    Free,
    /// A transaction has it, or had it and was committed, or failed in a way that a crash could take back.
    Taken,
}

impl Drop for Body {
    fn drop(&mut self) {
        if *self.fate.lock() == Fate::Free
            && let Some(dead) = Dead::of(self.id, self.row.clone())
        {
            self.blobs.discard(dead);
        }
    }
}
