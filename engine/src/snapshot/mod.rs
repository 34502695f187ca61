//! A snapshot: one key space as it was after some transaction, in a file that never changes.
//!
//! ```text
//! DIRECTORY/snapshots/00000301-000000000042.snap       key space 0x301 after transaction 42
//! DIRECTORY/snapshots/00000301-000000000057.snap.tmp   one in the making
//! ```
//!
//! # Format
//!
//! Little-endian. A header, blocks of entries in strictly ascending key order, a footer, the end of the file.
//!
//! ```text
//! header     0..8   magic: 89 'CLS' 0D 0A 1A 0A
//!            8..10  major version: a reader refuses a newer one
//!           10..12  minor version
//!           12..16  key space
//!           16..24  incompatible features: a reader refuses bits that it does not know
//!           24..32  compatible features: a reader may ignore them
//!           32..48  store id
//!           48..56  LSN that it was taken at
//!           56..60  zero
//!           60..64  CRC-32 of 0..60
//! block      0..4   CRC-32 of the header's CRC, this block's place in the file, and 4..
//!            4..8   payload length
//!            8..12  how many entries; 0: this is the footer
//!           12..16  zero
//!           16..    payload
//! entry      0..4   key length
//!            4..8   value length
//!            8..    key, value
//! footer     0..8   how many entries there are
//!            8..16  the bytes of their keys and values
//!           16..24  hash: CRC-64/NVME of all entries, as they are encoded
//! ```
//!
//! A block's checksum says which file and which place it belongs to, so no block passes for another. The hash does not
//! depend on the blocks: it is one of the state itself.

pub(crate) mod reader;
pub(crate) mod writer;

use crate::log::record::PAYLOAD_BYTES_MAX;
use crate::log::segment::Id;
use crate::root::Entries;
use crate::store::Lsn;
use crc_fast::{CrcAlgorithm, Digest};
use crc32fast::Hasher;
use std::path::{Path, PathBuf};

pub(crate) const DIRECTORY_NAME: &str = "snapshots";

const MAGIC: [u8; 8] = *b"\x89CLS\r\n\x1a\n";

/// The format that this version writes, and the newest that it reads.
pub(crate) const VERSION_MAJOR: u16 = 1;
const VERSION_MINOR: u16 = 0;

/// Features that a reader must know, or refuse. None so far.
const INCOMPATIBLE_KNOWN: u64 = 0;

const HEADER_BYTES: usize = 64;
const BLOCK_HEADER_BYTES: usize = 16;
const ENTRY_HEADER_BYTES: usize = 8;
const FOOTER_BYTES: usize = 24;

/// A block's entries take no more, unless there is only one.
const BLOCK_BYTES_MAX: usize = 128 << 10;

/// The most that a block with one entry takes: a damaged length can't make a reader reserve more. Whatever a record holds
/// fits.
const PAYLOAD_MAX: usize = PAYLOAD_BYTES_MAX + ENTRY_HEADER_BYTES;

/// What a snapshot is one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) store: Id,
    pub(crate) space: u32,
    pub(crate) lsn: Lsn,
}

/// What a snapshot holds, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    /// Of keys and values.
    pub(crate) bytes: u64,
    pub(crate) hash: u64,
}

/// What stands where a header should.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Head {
    Origin(Origin),
    Invalid,
    /// From a newer version: what it says, and what we support.
    Newer(String, String),
}

impl Origin {
    fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(8, &VERSION_MAJOR.to_le_bytes());
        put(10, &VERSION_MINOR.to_le_bytes());
        put(12, &self.space.to_le_bytes());
        put(16, &INCOMPATIBLE_KNOWN.to_le_bytes());
        put(32, &self.store);
        put(48, &self.lsn.0.to_le_bytes());
        let crc = crc32fast::hash(&header[..60]);
        header[60..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    fn decode(header: &[u8]) -> Head {
        let Some(header) = header.first_chunk::<HEADER_BYTES>() else {
            return Head::Invalid;
        };
        if header[..8] != MAGIC || crc32fast::hash(&header[..60]) != u32_at(header, 60) {
            return Head::Invalid;
        }
        let major = u16::from_le_bytes([header[8], header[9]]);
        if major > VERSION_MAJOR {
            let supported = format!("version {VERSION_MAJOR}");
            return Head::Newer(format!("version {major}"), supported);
        }
        let unknown = u64_at(header, 16) & !INCOMPATIBLE_KNOWN;
        if unknown != 0 {
            let supported = format!("features {INCOMPATIBLE_KNOWN:#x}");
            return Head::Newer(format!("features {unknown:#x}"), supported);
        }
        let mut store = Id::default();
        store.copy_from_slice(&header[32..48]);
        Head::Origin(Origin {
            store,
            space: u32_at(header, 12),
            lsn: Lsn(u64_at(header, 48)),
        })
    }

    pub(crate) fn path(&self, directory: &Path) -> PathBuf {
        directory.join(file_name(self.space, self.lsn))
    }
}

/// The name of a snapshot's file.
pub(crate) fn file_name(space: u32, lsn: Lsn) -> String {
    format!("{space:08x}-{:012}.snap", lsn.0)
}

/// What the file of this name is one of; `None`: it is not ours.
pub(crate) fn named(name: &str) -> Option<(u32, Lsn)> {
    let (space, lsn) = name.strip_suffix(".snap")?.split_once('-')?;
    let space = u32::from_str_radix(space, 16).ok()?;
    let lsn = Lsn(lsn.parse().ok()?);
    (file_name(space, lsn) == name).then_some((space, lsn))
}

/// The name of a file in the making: nobody needs it once its maker is gone.
pub(crate) fn is_temporary(name: &str) -> bool {
    let whole = name.strip_suffix(".tmp");
    whole.is_some_and(|name| named(name).is_some())
}

/// What entries take in a snapshot.
pub(crate) fn entries_bytes(entries: &Entries) -> u64 {
    entries.bytes() + entries.len() as u64 * ENTRY_HEADER_BYTES as u64
}

/// The checksum of a block, but for what it covers last: the block itself.
fn block_hasher(header_crc: u32, offset: u64) -> Hasher {
    let mut hasher = Hasher::new();
    hasher.update(&header_crc.to_le_bytes());
    hasher.update(&offset.to_le_bytes());
    hasher
}

/// Makes the header that of `origin`, and all checksums those of the bytes that they cover, for fuzzing.
pub(crate) fn mend(file: &mut [u8], origin: &Origin) {
    let Some((header, _)) = file.split_first_chunk_mut::<HEADER_BYTES>() else {
        return;
    };
    *header = origin.encode();
    let header_crc = u32_at(header, HEADER_BYTES - 4);
    let (mut offset, mut found, mut digest) = (HEADER_BYTES, Summary::default(), digest());
    while let Some(block) = file
        .get_mut(offset..)
        .filter(|rest| rest.len() >= BLOCK_HEADER_BYTES)
    {
        let whole = BLOCK_HEADER_BYTES.saturating_add(u32_at(block, 4) as usize);
        let whole = whole.min(block.len());
        let (head, payload) = block[..whole].split_at_mut(BLOCK_HEADER_BYTES);
        head[4..8].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        match u32_at(head, 8) {
            0 if payload.len() == FOOTER_BYTES => {
                found.hash = digest.finalize();
                let fields = [found.count, found.bytes, found.hash].map(u64::to_le_bytes);
                payload.copy_from_slice(fields.as_flattened());
            }
            count => {
                digest.update(payload);
                found.count += u64::from(count);
                let lengths = (payload.len() as u64).saturating_sub(u64::from(count) * 8);
                found.bytes += lengths;
            }
        }
        let mut hasher = block_hasher(header_crc, offset as u64);
        hasher.update(&block[4..whole]);
        block[..4].copy_from_slice(&hasher.finalize().to_le_bytes());
        offset += whole;
    }
}

/// The hash of a state.
fn digest() -> Digest {
    Digest::new(CrcAlgorithm::Crc64Nvme)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests;
