//! The manifest: which snapshots and which segments are the store. Replacing it is the commit point of a compaction.
//!
//! ```text
//! DIRECTORY/MANIFEST       absent until the first compaction
//! DIRECTORY/MANIFEST.tmp   the next one in the making
//! ```
//!
//! It names a cut: a place in the log. The state there is that of the snapshots it names; the log goes on in the segment
//! whose header names the same cut. Segments up to that of the cut, and snapshots that it doesn't name, are leftovers.
//!
//! # Format
//!
//! ```text
//!  0..8   magic: 89 'CLM' 0D 0A 1A 0A
//!  8..10  major version: a reader refuses a newer one
//! 10..12  minor version
//! 12..16  payload length
//! 16..24  incompatible features: a reader refuses bits that it does not know
//! 24..32  compatible features: a reader may ignore them
//! 32..36  CRC-32 of 0..32 and the payload
//! 36..    payload, then the end of the file
//!
//! payload  = [store, branch, epoch, cut, [snapshot*]]        MessagePack; ids are bytes
//! cut      = [segment, bytes, LSN, CRC]                      CRC: the payload's of the last record before it
//! snapshot = [key space, LSN, file bytes, entries, bytes of keys and values, hash]
//! ```
//!
//! Numbers before the payload are little-endian. Fields are only ever appended, at the end of the arrays; a reader skips
//! those that it doesn't know. One that it must know comes with an incompatible feature bit.

use crate::disk::{Access, Disk, Site, read_full, write_full};
use crate::error::{Error, Failure};
use crate::log::record::Link;
use crate::log::segment::{Cut, Id, SEQUENCE_MAX};
use crate::snapshot::{Origin, Summary};
use crate::store::Lsn;
use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_bytes::ByteArray;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

pub(crate) const FILE_NAME: &str = "MANIFEST";
pub(crate) const TEMPORARY_NAME: &str = "MANIFEST.tmp";

const MAGIC: [u8; 8] = *b"\x89CLM\r\n\x1a\n";

/// The format that this version writes, and the newest that it reads.
const VERSION_MAJOR: u16 = 1;
const VERSION_MINOR: u16 = 0;

/// Features that a reader must know, or refuse. None so far.
const INCOMPATIBLE_KNOWN: u64 = 0;

const HEADER_BYTES: usize = 36;

/// A damaged length can't make a reader reserve more.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What makes up the store at some place in its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) store: Id,
    pub(crate) branch: Id,
    /// That of the opening that wrote it.
    pub(crate) epoch: u64,
    /// What the snapshots hold ends here.
    pub(crate) cut: Cut,
    /// By ascending key space; none for those without entries.
    pub(crate) snapshots: Vec<Named>,
}

/// A snapshot that belongs to the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) space: u32,
    /// When it was taken. The key space did not change between then and the cut.
    pub(crate) lsn: Lsn,
    pub(crate) file_bytes: u64,
    pub(crate) summary: Summary,
}

impl Manifest {
    pub(crate) fn lsn(&self) -> Lsn {
        self.cut.link.lsn
    }

    /// What a snapshot that it names is one of.
    pub(crate) fn origin(&self, named: &Named) -> Origin {
        Origin {
            store: self.store,
            space: named.space,
            lsn: named.lsn,
        }
    }

    /// Does it name this snapshot?
    pub(crate) fn names(&self, space: u32, lsn: Lsn) -> bool {
        self.named(space).is_some_and(|named| named.lsn == lsn)
    }

    /// The snapshot of a key space.
    pub(crate) fn named(&self, space: u32) -> Option<&Named> {
        let index = self
            .snapshots
            .binary_search_by_key(&space, |named| named.space);
        index.ok().map(|index| &self.snapshots[index])
    }

    /// The bytes of the snapshots' files.
    pub(crate) fn snapshot_bytes(&self) -> u64 {
        self.snapshots.iter().map(|named| named.file_bytes).sum()
    }

    /// How many entries the snapshots hold.
    pub(crate) fn entries(&self) -> u64 {
        self.snapshots.iter().map(|named| named.summary.count).sum()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let cut = (
            self.cut.sequence,
            self.cut.bytes,
            self.cut.link.lsn.0,
            self.cut.link.crc,
        );
        let snapshots: Vec<_> = self.snapshots.iter().map(Named::fields).collect();
        let (store, branch) = (ByteArray::new(self.store), ByteArray::new(self.branch));
        let payload = rmp_serde::to_vec(&(store, branch, self.epoch, cut, snapshots))
            .expect("memory takes all bytes");
        let length = u32::try_from(payload.len()).expect("there are far fewer key spaces");
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION_MAJOR.to_le_bytes());
        bytes.extend_from_slice(&VERSION_MINOR.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&INCOMPATIBLE_KNOWN.to_le_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&checksum(&bytes, &payload).to_le_bytes());
        bytes.extend_from_slice(&payload);
        bytes
    }

    pub(crate) fn decode(path: &Path, bytes: &[u8]) -> Result<Manifest, Error> {
        let newer = |found, supported| Error::NewerFormat {
            path: path.to_path_buf(),
            found,
            supported,
        };
        let Some((header, payload)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return Err(corrupt(path, bytes.len() as u64, "it ends early"));
        };
        let crc = u32::from_le_bytes([header[32], header[33], header[34], header[35]]);
        if header[..8] != MAGIC {
            return Err(corrupt(path, 0, "it is not a manifest"));
        }
        if crc != checksum(&header[..32], payload) {
            return Err(corrupt(path, 0, "its checksum does not match"));
        }
        let major = u16::from_le_bytes([header[8], header[9]]);
        if major > VERSION_MAJOR {
            let supported = format!("version {VERSION_MAJOR}");
            return Err(newer(format!("version {major}"), supported));
        }
        let mut features = [0; 8];
        features.copy_from_slice(&header[16..24]);
        let unknown = u64::from_le_bytes(features) & !INCOMPATIBLE_KNOWN;
        if unknown != 0 {
            let supported = format!("features {INCOMPATIBLE_KNOWN:#x}");
            return Err(newer(format!("features {unknown:#x}"), supported));
        }
        let length = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
        if length as usize != payload.len() {
            return Err(corrupt(path, 12, "its length does not match"));
        }
        let Growing::<Payload>(payload) = rmp_serde::from_slice(payload)
            .map_err(|error| corrupt(path, HEADER_BYTES as u64, &error.to_string()))?;
        let manifest = Manifest::from(payload);
        match manifest.contradiction() {
            Some(reason) => Err(corrupt(path, HEADER_BYTES as u64, reason)),
            None => Ok(manifest),
        }
    }

    /// Makes length and checksum those of the bytes, for fuzzing.
    pub(crate) fn mend(bytes: &mut [u8]) {
        if let Some((header, payload)) = bytes.split_first_chunk_mut::<HEADER_BYTES>() {
            header[..8].copy_from_slice(&MAGIC);
            header[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
            let crc = checksum(&header[..32], payload);
            header[32..].copy_from_slice(&crc.to_le_bytes());
        }
    }

    /// What can't be, though the checksum is right.
    fn contradiction(&self) -> Option<&'static str> {
        let ascending = self
            .snapshots
            .is_sorted_by(|before, after| before.space < after.space);
        if !ascending {
            return Some("its key spaces are not in order");
        }
        if self.snapshots.iter().any(|named| named.lsn > self.lsn()) {
            return Some("it names a snapshot of a later state");
        }
        if self.cut.sequence == 0 || self.cut.sequence > SEQUENCE_MAX {
            return Some("it names no possible segment");
        }
        None
    }
}

impl Named {
    fn fields(&self) -> Row {
        let Summary { count, bytes, hash } = self.summary;
        (self.space, self.lsn.0, self.file_bytes, count, bytes, hash)
    }
}

/// Where the manifest of a data directory is.
pub(crate) fn path(directory: &Path) -> PathBuf {
    directory.join(FILE_NAME)
}

/// Where the next one is made.
pub(crate) fn temporary_path(directory: &Path) -> PathBuf {
    directory.join(TEMPORARY_NAME)
}

/// The manifest of a data directory; `None`: there was no compaction yet.
pub(crate) fn read(disk: &dyn Disk, directory: &Path) -> Result<Option<Manifest>, Error> {
    let path = path(directory);
    let file = match disk.open(&path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(Error::io("open", &path))?,
    };
    let length = file.len().map_err(Error::io("measure", &path))?;
    if length > FILE_BYTES_MAX {
        return Err(corrupt(&path, FILE_BYTES_MAX, "it is too long"));
    }
    let mut bytes = vec![0; length as usize];
    let count = read_full(&*file, &mut bytes, 0).map_err(Error::io("read", &path))?;
    Manifest::decode(&path, &bytes[..count]).map(Some)
}

/// Writes the next manifest beside the one that counts, and syncs it.
pub(crate) fn prepare(
    disk: &dyn Disk,
    directory: &Path,
    manifest: &Manifest,
) -> Result<(), Failure> {
    let path = temporary_path(directory);
    let file = match disk.create(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            disk.remove(&path).and_then(|()| disk.create(&path))
        }
        created => created,
    };
    let file = file.map_err(Failure::io("create", &path))?;
    write_full(&*file, &manifest.encode(), 0).map_err(Failure::io("write", &path))?;
    file.sync_data_at(Site::ManifestFile)
        .map_err(Failure::io("sync", &path))
}

/// Puts the prepared manifest in the place of the one that counts. Whether a crash finds the one or the other is open until
/// the directory is synced.
pub(crate) fn replace(disk: &dyn Disk, directory: &Path) -> Result<(), Failure> {
    let from = temporary_path(directory);
    disk.rename(&from, &path(directory))
        .map_err(Failure::io("rename", &from))
}

fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

fn corrupt(path: &Path, offset: u64, reason: &str) -> Error {
    Error::Corrupt {
        path: path.to_path_buf(),
        offset,
        lsn: Lsn(0),
        reason: reason.to_string(),
    }
}

type Payload = (
    ByteArray<16>,
    ByteArray<16>,
    u64,
    (u64, u64, u64, u32),
    Vec<Growing<Row>>,
);

type Row = (u32, u64, u64, u64, u64, u64);

/// A tuple, and whatever later versions append to it.
struct Growing<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Growing<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Growing<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut fields: A) -> Result<Growing<T>, A::Error> {
                let known = T::deserialize(SeqAccessDeserializer::new(&mut fields))?;
                while fields.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Growing(known))
            }
        }
        deserializer.deserialize_seq(Fields(PhantomData))
    }
}

impl From<Payload> for Manifest {
    fn from((store, branch, epoch, cut, snapshots): Payload) -> Manifest {
        let (sequence, bytes, lsn, crc) = cut;
        Manifest {
            store: store.into_array(),
            branch: branch.into_array(),
            epoch,
            cut: Cut {
                sequence,
                bytes,
                link: Link { lsn: Lsn(lsn), crc },
            },
            snapshots: snapshots.into_iter().map(|row| row.0.into()).collect(),
        }
    }
}

impl From<Row> for Named {
    fn from((space, lsn, file_bytes, count, bytes, hash): Row) -> Named {
        Named {
            space,
            lsn: Lsn(lsn),
            file_bytes,
            summary: Summary { count, bytes, hash },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn manifest() -> Manifest {
        let named = |space, lsn| Named {
            space,
            lsn: Lsn(lsn),
            file_bytes: 500,
            summary: Summary {
                count: 3,
                bytes: 400,
                hash: u64::MAX,
            },
        };
        let link = Link {
            lsn: Lsn(42),
            crc: 0xDEAD_BEEF,
        };
        Manifest {
            store: *b"store-----------",
            branch: *b"branch----------",
            epoch: 2,
            cut: Cut {
                sequence: 3,
                bytes: 8192,
                link,
            },
            snapshots: vec![named(0x301, 42), named(0x302, 7)],
        }
    }

    fn decoded(bytes: &[u8]) -> Result<Manifest, String> {
        Manifest::decode(Path::new("MANIFEST"), bytes).map_err(|error| error.to_string())
    }

    /// With a right checksum.
    fn mended(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = manifest().encode();
        change(&mut bytes);
        let length = (bytes.len() - HEADER_BYTES) as u32;
        bytes[12..16].copy_from_slice(&length.to_le_bytes());
        let crc = checksum(&bytes[..32], &bytes[HEADER_BYTES..]);
        bytes[32..36].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn a_manifest_comes_back_as_it_was() {
        assert_eq!(decoded(&manifest().encode()), Ok(manifest()));
    }

    #[test]
    fn bytes_on_disk_are_pinned() {
        let bytes = manifest().encode();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "89434c4d0d0a1a0a010000005c000000000000000000000000000000000000007611ae1b95c41073746f72652d2d2d2d2d2d2d2d2d2d2dc4106272616e63682d2d2d2d2d2d2d2d2d2d029403cd20002acedeadbeef9296cd03012acd01f403cd0190cfffffffffffffffff96cd030207cd01f403cd0190cfffffffffffffffff"
        );
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let bytes = manifest().encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let error = decoded(&flipped).expect_err("it is damaged");
            assert!(error.contains("MANIFEST is corrupt"), "bit {bit}: {error}");
        }
        for end in 0..bytes.len() {
            decoded(&bytes[..end]).expect_err("it is cut");
        }
        decoded(&[&bytes[..], b"x"].concat()).expect_err("it is too long");
    }

    #[test]
    fn newer_versions_and_features_are_named() {
        let check = |at: usize, byte, expected| {
            let error = decoded(&mended(|bytes| bytes[at] = byte)).expect_err("it is newer");
            assert!(error.contains(expected), "{error}");
        };
        check(8, 2, "MANIFEST has format version 2");
        check(16, 4, "MANIFEST has format features 0x4");
    }

    /// As a later version may write it without a feature bit.
    #[test]
    fn appended_fields_are_skipped() {
        let longer = mended(|bytes| {
            assert_eq!(bytes[HEADER_BYTES], 0x95);
            bytes[HEADER_BYTES] = 0x97;
            bytes.extend_from_slice(&[0x93, 1, 2, 3, 0xC0]);
        });
        assert_eq!(decoded(&longer), Ok(manifest()));
        let row = (1u32, 2u64, 3u64, 4u64, 5u64, 6u64, "new", [7]);
        let bytes = rmp_serde::to_vec(&row).expect("memory takes all bytes");
        let read: Growing<Row> = rmp_serde::from_slice(&bytes).expect("it begins as it must");
        assert_eq!(read.0, (1, 2, 3, 4, 5, 6));
    }

    #[test]
    fn contradictions_are_refused() {
        let check = |change: fn(&mut Manifest), expected| {
            let mut manifest = manifest();
            change(&mut manifest);
            let error = decoded(&manifest.encode()).expect_err("it can't be");
            assert!(error.contains(expected), "{error}");
        };
        check(|manifest| manifest.snapshots.reverse(), "not in order");
        check(
            |manifest| manifest.snapshots[1].space = 0x301,
            "not in order",
        );
        check(
            |manifest| manifest.snapshots[1].lsn = Lsn(43),
            "later state",
        );
        check(|manifest| manifest.cut.sequence = 0, "no possible segment");
        check(
            |manifest| manifest.cut.sequence = u64::MAX,
            "no possible segment",
        );
    }
}
