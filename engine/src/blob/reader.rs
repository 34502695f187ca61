//! A body on its way out.

use super::garbage::Pin;
use super::row::{Place, Row, Spaces};
use super::spill::offset;
use super::{BlobId, Blobs};
use crate::disk::{Access, File, read_full};
use crate::error::Error;
use crate::root::View;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads a body by pieces of [`PIECE_BYTES`](crate::PIECE_BYTES); from [`View::open_blob`]. The body stays as long as the
/// reader does, whatever happens to the blob meanwhile.
pub struct BlobReader {
    source: Source,
    _pin: Arc<Pin>,
}

impl View {
    /// Opens a body that this view shows.
    ///
    /// # Errors
    ///
    /// There is no such blob, or its file is missing or can't be opened.
    pub fn open_blob(&self, id: BlobId) -> Result<BlobReader, Error> {
        let row = Spaces::of(id.0)
            .rows
            .get(self, &(id.0,))?
            .ok_or(Error::NoSuchBlob { id: id.0 })?;
        Ok(BlobReader {
            source: self.pin.0.open(id.0, row)?,
            _pin: self.pin.clone(),
        })
    }
}

impl BlobReader {
    /// The body's length.
    pub fn bytes(&self) -> u64 {
        self.source.row.bytes
    }

    /// Does [`piece`](Self::piece) wait for a disk?
    pub fn needs_disk(&self) -> bool {
        self.source.file.is_some()
    }

    /// The piece of this number, counted from 0, held against its checksum; empty past the end.
    ///
    /// # Errors
    ///
    /// The piece is damaged, or can't be read.
    pub fn piece(&self, index: u64) -> Result<Vec<u8>, Error> {
        self.source.piece(index)
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader")
            .field("bytes", &self.bytes())
            .field("path", &self.source.path)
            .finish_non_exhaustive()
    }
}

/// An open body.
pub(super) struct Source {
    row: Row,
    /// `None`: it is in the row.
    file: Option<Arc<dyn File>>,
    path: PathBuf,
}

impl Blobs {
    fn path_of(&self, id: u64, row: &Row) -> PathBuf {
        match (&row.place, &self.home) {
            (Place::File, Some(home)) => home.blob_path(id),
            (Place::Pack(pack, _), Some(home)) => home.pack_path(*pack),
            (Place::Spill(_), _) => self.spill.path().clone(),
            (Place::Inline(_) | Place::File | Place::Pack(..), _) => PathBuf::new(),
        }
    }

    pub(super) fn open(&self, id: u64, row: Row) -> Result<Source, Error> {
        let path = self.path_of(id, &row);
        if !row.is_sound() {
            // Whoever goes through its pieces would go by a length that nothing vouches for.
            return Err(damaged(&path, 0, "its row contradicts itself"));
        }
        let file = match (&row.place, &self.home) {
            (Place::Inline(_), _) => None,
            (Place::Spill(_), _) => self.spill.file(),
            (Place::File, Some(_)) => Some(self.open_file(&path)?),
            (Place::Pack(pack, _), Some(home)) => {
                let current = home
                    .packs
                    .lock()
                    .current(*pack)
                    .map(|pack| pack.file.clone());
                Some(match current {
                    Some(file) => file,
                    None => self.open_file(&path)?,
                })
            }
            (Place::File | Place::Pack(..), None) => return Err(Error::NoSuchBlob { id }),
        };
        Ok(Source { row, file, path })
    }

    fn open_file(&self, path: &Path) -> Result<Arc<dyn File>, Error> {
        let disk = self.home.as_ref().map(|home| &home.disk);
        let opened = disk
            .ok_or_else(|| io::ErrorKind::NotFound.into())
            .and_then(|disk| disk.open(path, Access::Read));
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged(path, 0, "the file is missing"),
            _ => Error::io("open", path)(error),
        })
    }
}

impl Source {
    pub(super) fn row(&self) -> &Row {
        &self.row
    }

    pub(super) fn piece(&self, index: u64) -> Result<Vec<u8>, Error> {
        let (start, bytes) = self.row.piece(index);
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let offset = match &self.row.place {
            Place::Inline(body) => return Ok(body.clone()),
            Place::File => Some(start),
            Place::Pack(_, offset) => offset.checked_add(start),
            Place::Spill(blocks) => {
                let block = usize::try_from(index)
                    .ok()
                    .and_then(|index| blocks.get(index));
                block.map(|block| offset(*block))
            }
        };
        let (Some(offset), Some(file), Some(crc)) = (offset, &self.file, self.row.crc(index))
        else {
            return Err(damaged(&self.path, start, "its row has no such piece"));
        };
        let mut piece = vec![0; bytes];
        let count =
            read_full(&**file, &mut piece, offset).map_err(Error::io("read", &self.path))?;
        if count < bytes {
            return Err(damaged(&self.path, offset + count as u64, "it ends early"));
        }
        if crc32fast::hash(&piece) != crc {
            return Err(damaged(&self.path, offset, "its checksum does not match"));
        }
        Ok(piece)
    }
}

fn damaged(path: &Path, offset: u64, reason: &'static str) -> Error {
    Error::DamagedBlob {
        path: path.to_path_buf(),
        offset,
        reason,
    }
}
