//! Reading a snapshot, block by block, and holding it against what it says of itself.

use super::{
    BLOCK_HEADER_BYTES, ENTRY_HEADER_BYTES, FOOTER_BYTES, HEADER_BYTES, Head, Origin, PAYLOAD_MAX,
    Summary, block_hasher, digest, u32_at, u64_at,
};
use crate::disk::{Access, Disk};
use crate::error::Error;
use crate::log::window::Window;
use crc_fast::Digest;
use std::io;
use std::path::{Path, PathBuf};

/// A snapshot that is read from front to back. Nothing that it gave is to be believed before [`Reader::block`] said that
/// there are no more.
pub(crate) struct Reader {
    path: PathBuf,
    origin: Origin,
    header_crc: u32,
    window: Window,
    bytes: u64,
    /// Where the next block starts.
    offset: u64,
    last_key: Option<Vec<u8>>,
    found: Summary,
    digest: Digest,
}

impl Reader {
    /// Opens the file of a snapshot that must be there.
    pub(crate) fn open(disk: &dyn Disk, path: &Path, origin: &Origin) -> Result<Reader, Error> {
        let file = disk
            .open(path, Access::Read)
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => {
                    corrupt(path, origin, 0, "MANIFEST names it, but it is missing")
                }
                _ => Error::io("open", path)(error),
            })?;
        let bytes = file.len().map_err(Error::io("measure", path))?;
        let mut window = Window::new(file, bytes);
        let header = window
            .at(0, HEADER_BYTES)
            .map_err(Error::io("read", path))?;
        match Origin::decode(header) {
            Head::Origin(found) if found == *origin => {}
            Head::Origin(found) if found.store != origin.store => {
                return Err(corrupt(path, origin, 0, "it belongs to another store"));
            }
            Head::Origin(_) => {
                let reason = "it has another snapshot's name";
                return Err(corrupt(path, origin, 0, reason));
            }
            Head::Invalid => return Err(corrupt(path, origin, 0, "its header is damaged")),
            Head::Newer(found, supported) => {
                return Err(Error::NewerFormat {
                    path: path.to_path_buf(),
                    found,
                    supported,
                });
            }
        }
        let header_crc = u32_at(header, HEADER_BYTES - 4);
        Ok(Reader {
            path: path.to_path_buf(),
            origin: *origin,
            header_crc,
            window,
            bytes,
            offset: HEADER_BYTES as u64,
            last_key: None,
            found: Summary::default(),
            digest: digest(),
        })
    }

    /// Gives `each` the entries of the next block; says whether there was one. After the last one, what came is what the
    /// footer says, and nothing follows it.
    pub(crate) fn block(&mut self, each: impl FnMut(&[u8], &[u8])) -> Result<bool, Error> {
        let payload_bytes = self.checked_payload()?;
        let whole = BLOCK_HEADER_BYTES + payload_bytes;
        let block = self
            .window
            .at(self.offset, whole)
            .map_err(Error::io("read", &self.path))?;
        let count = u32_at(block, 8);
        let payload = &block[BLOCK_HEADER_BYTES..whole];
        let checked = if count == 0 {
            let at_end = self.offset + whole as u64 == self.bytes;
            self.found.hash = self.digest.finalize();
            check_footer(payload, &self.found, at_end)
        } else {
            self.digest.update(payload);
            let entries = Entries {
                payload,
                last_key: &mut self.last_key,
                found: &mut self.found,
            };
            entries.check(count, each)
        };
        checked.map_err(|reason| corrupt(&self.path, &self.origin, self.offset, reason))?;
        self.offset += whole as u64;
        Ok(count > 0)
    }

    /// The payload length of the block that comes, once its checksum is right.
    fn checked_payload(&mut self) -> Result<usize, Error> {
        let (path, origin, offset) = (&self.path, &self.origin, self.offset);
        let damaged = |reason| corrupt(path, origin, offset, reason);
        let unreadable = |error| Error::io("read", path)(error);
        let header = self
            .window
            .at(offset, BLOCK_HEADER_BYTES)
            .map_err(unreadable)?;
        if header.len() < BLOCK_HEADER_BYTES {
            return Err(damaged("it ends early"));
        }
        let payload_bytes = u32_at(header, 4) as usize;
        // Also the bound of what is reserved for it.
        if payload_bytes > PAYLOAD_MAX {
            return Err(damaged("a block's length is damaged"));
        }
        let whole = BLOCK_HEADER_BYTES + payload_bytes;
        let block = self.window.at(offset, whole).map_err(unreadable)?;
        let Some(block) = block.get(..whole) else {
            return Err(damaged("it ends early"));
        };
        let mut hasher = block_hasher(self.header_crc, offset);
        hasher.update(&block[4..]);
        if hasher.finalize() != u32_at(block, 0) {
            return Err(damaged("a block's checksum does not match"));
        }
        Ok(payload_bytes)
    }

    /// Goes on behind a block that is damaged, if a good one follows where it says that it ends. Says whether it does. For who
    /// wants to know of all damage.
    pub(crate) fn skip(&mut self) -> Result<bool, Error> {
        let header = self
            .window
            .at(self.offset, BLOCK_HEADER_BYTES)
            .map_err(Error::io("read", &self.path))?;
        let Some(length) = header.get(4..8) else {
            return Ok(false);
        };
        let payload_bytes = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        let damaged = self.offset;
        self.offset += BLOCK_HEADER_BYTES as u64 + u64::from(payload_bytes);
        match self.checked_payload() {
            Ok(_) => Ok(true),
            Err(Error::Corrupt { .. }) => {
                self.offset = damaged;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Does the footer come next, and is its checksum right?
    pub(crate) fn is_at_footer(&mut self) -> bool {
        let is_whole = self.checked_payload().is_ok();
        let header = self.window.at(self.offset, BLOCK_HEADER_BYTES);
        is_whole && header.is_ok_and(|header| u32_at(header, 8) == 0)
    }

    /// What it holds. Complete after the last block.
    pub(crate) fn summary(&self) -> Summary {
        self.found
    }

    /// The length of the file.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.bytes
    }
}

fn check_footer(payload: &[u8], found: &Summary, at_end: bool) -> Result<(), &'static str> {
    if payload.len() != FOOTER_BYTES || !at_end {
        return Err("its end is damaged");
    }
    let said = Summary {
        count: u64_at(payload, 0),
        bytes: u64_at(payload, 8),
        hash: u64_at(payload, 16),
    };
    if said != *found {
        return Err("its entries are not those that its end says");
    }
    Ok(())
}

/// The entries of a block.
struct Entries<'a> {
    payload: &'a [u8],
    last_key: &'a mut Option<Vec<u8>>,
    found: &'a mut Summary,
}

impl Entries<'_> {
    fn check(self, count: u32, mut each: impl FnMut(&[u8], &[u8])) -> Result<(), &'static str> {
        let mut rest = self.payload;
        let before = self.last_key.take();
        let mut last = before.as_deref();
        let mut checked = Ok(());
        for _ in 0..count {
            let Some((key, value, later)) = entry(rest) else {
                checked = Err("a block's entries are damaged");
                break;
            };
            if last.is_some_and(|last| last >= key) {
                checked = Err("its keys are not in order");
                break;
            }
            each(key, value);
            (last, rest) = (Some(key), later);
            self.found.count += 1;
            self.found.bytes += (key.len() + value.len()) as u64;
        }
        // Also of a block that is damaged further on: who goes on behind it has seen these.
        *self.last_key = last.map(<[u8]>::to_vec);
        checked?;
        if rest.is_empty() {
            Ok(())
        } else {
            Err("a block's entries are damaged")
        }
    }
}

/// The first entry's key and value, and what follows it.
fn entry(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (lengths, rest) = bytes.split_first_chunk::<ENTRY_HEADER_BYTES>()?;
    let (key, rest) = rest.split_at_checked(u32_at(lengths, 0) as usize)?;
    let (value, rest) = rest.split_at_checked(u32_at(lengths, 4) as usize)?;
    Some((key, value, rest))
}

pub(super) fn corrupt(path: &Path, origin: &Origin, offset: u64, reason: &str) -> Error {
    Error::Corrupt {
        path: path.to_path_buf(),
        offset,
        lsn: origin.lsn,
        reason: reason.to_string(),
    }
}
