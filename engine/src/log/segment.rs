//! One file of the log: its name and its header.

use super::record::{HEADER_BYTES, Link};
use crate::store::Lsn;

/// A segment's header has this block to itself; records start after it.
pub(crate) const BLOCK_BYTES: usize = 4096;

const MAGIC: [u8; 8] = *b"\x89CLG\r\n\x1a\n";

/// The format that this version writes, and the newest that it reads.
pub(crate) const VERSION_MAJOR: u16 = 1;
const VERSION_MINOR: u16 = 0;

/// Features that a reader must know, or refuse. None so far.
const INCOMPATIBLE_KNOWN: u64 = 0;

const ENCODED_BYTES: usize = 136;

/// A name for a store or a branch of it: a segment of another one is never replayed.
pub(crate) type Id = [u8; 16];

/// The header of a segment, little-endian.
///
/// ```text
///   0..8    magic: 89 'CLG' 0D 0A 1A 0A, which text conversion and 7-bit transfer destroy
///   8..10   major version: a reader refuses a newer one
///  10..12   minor version
///  12..16   zero
///  16..24   incompatible features: a reader refuses bits that it does not know
///  24..32   compatible features: a reader may ignore them
///  32..48   store id
///  48..64   branch id
///  64..72   sequence number of this segment, as in its name
///  72..80   epoch: one more for every opening that writes
///  80..88   base LSN: that of the first transaction
///  88..96   predecessor's sequence number; 0: this is the first segment
///  96..104  predecessor's valid length: what stands after it there is not part of the log
/// 104..108  payload CRC of the predecessor's last valid record
/// 108..112  zero
/// 112..120  salt of the checksums in this segment
/// 120..128  the last transaction that was carried over from the predecessor; 0: none
/// 128..132  zero
/// 132..136  CRC-32 of 0..132
/// 136..4096 zero
/// ```
///
/// All of it fits the first disk sector. Later versions keep magic, version and checksum where they are, so an older
/// reader can tell a newer format from damage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) store: Id,
    pub(crate) branch: Id,
    pub(crate) sequence: u64,
    pub(crate) epoch: u64,
    pub(crate) base: Lsn,
    pub(crate) predecessor: Cut,
    pub(crate) salt: u64,
    /// Until the records up to here are all in this segment, it isn't part of the log: the predecessor's own are.
    pub(crate) carried: Lsn,
}

/// Where a segment's part of the log ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// 0: there is no such segment, the log is empty.
    pub(crate) sequence: u64,
    pub(crate) bytes: u64,
    pub(crate) link: Link,
}

/// What stands where a header should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// A header that we can read.
    Header(Header),
    /// All zero: a spare that was never used.
    Blank,
    /// Not a header: its write was torn, or it is damaged.
    Invalid,
    /// A header from a newer version: what it says, and what we support.
    Newer(String, String),
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(8, &VERSION_MAJOR.to_le_bytes());
        put(10, &VERSION_MINOR.to_le_bytes());
        put(16, &INCOMPATIBLE_KNOWN.to_le_bytes());
        put(32, &self.store);
        put(48, &self.branch);
        put(64, &self.sequence.to_le_bytes());
        put(72, &self.epoch.to_le_bytes());
        put(80, &self.base.0.to_le_bytes());
        put(88, &self.predecessor.sequence.to_le_bytes());
        put(96, &self.predecessor.bytes.to_le_bytes());
        put(104, &self.predecessor.link.crc.to_le_bytes());
        put(112, &self.salt.to_le_bytes());
        put(120, &self.carried.0.to_le_bytes());
        let crc = crc32fast::hash(&block[..ENCODED_BYTES - 4]);
        block[ENCODED_BYTES - 4..ENCODED_BYTES].copy_from_slice(&crc.to_le_bytes());
        block
    }

    /// Reads the first bytes of a file; there may be fewer than a block.
    pub(crate) fn decode(block: &[u8]) -> Block {
        if block.iter().all(|byte| *byte == 0) {
            return Block::Blank;
        }
        let Some(block) = block.first_chunk::<ENCODED_BYTES>() else {
            return Block::Invalid;
        };
        if block[..8] != MAGIC || crc32fast::hash(&block[..ENCODED_BYTES - 4]) != field(block, 132)
        {
            return Block::Invalid;
        }
        let major = u16::from_le_bytes([block[8], block[9]]);
        if major > VERSION_MAJOR {
            return Block::Newer(
                format!("version {major}"),
                format!("version {VERSION_MAJOR}"),
            );
        }
        let unknown = long(block, 16) & !INCOMPATIBLE_KNOWN;
        if unknown != 0 {
            return Block::Newer(
                format!("features {unknown:#x}"),
                format!("features {INCOMPATIBLE_KNOWN:#x}"),
            );
        }
        let base = Lsn(long(block, 80));
        let link = Link {
            lsn: base.previous(),
            crc: field(block, 104),
        };
        Block::Header(Header {
            store: id(block, 32),
            branch: id(block, 48),
            sequence: long(block, 64),
            epoch: long(block, 72),
            base,
            predecessor: Cut {
                sequence: long(block, 88),
                bytes: long(block, 96),
                link,
            },
            salt: long(block, 112),
            carried: Lsn(long(block, 120)),
        })
    }
}

fn field(block: &[u8; ENCODED_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

fn long(block: &[u8; ENCODED_BYTES], at: usize) -> u64 {
    u64::from(field(block, at)) | u64::from(field(block, at + 4)) << 32
}

fn id(block: &[u8; ENCODED_BYTES], at: usize) -> Id {
    let mut id = Id::default();
    id.copy_from_slice(&block[at..at + 16]);
    id
}

/// What every segment keeps free at its end, for the control records that finish it.
pub(crate) const RESERVE_BYTES: u64 = 2 * HEADER_BYTES as u64;

/// Nobody ever gets so far: a higher number is damage, and those after it would soon be used up.
pub(crate) const SEQUENCE_MAX: u64 = u64::MAX / 2;

/// The file name of a segment.
pub(crate) fn file_name(sequence: u64) -> String {
    format!("{sequence:012}.log")
}

/// The sequence number in a file name; `None` if it isn't a segment's.
pub(crate) fn sequence_of(name: &str) -> Option<u64> {
    let sequence = name.strip_suffix(".log")?.parse().ok()?;
    (sequence > 0 && file_name(sequence) == name).then_some(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        let link = Link {
            lsn: Lsn(41),
            crc: 0xDEAD_BEEF,
        };
        Header {
            store: *b"store-----------",
            branch: *b"branch----------",
            sequence: 3,
            epoch: 2,
            base: Lsn(42),
            predecessor: Cut {
                sequence: 2,
                bytes: 8192,
                link,
            },
            salt: 0x0123_4567_89AB_CDEF,
            carried: Lsn(44),
        }
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        assert_eq!(Header::decode(&header().encode()), Block::Header(header()));
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        for bit in 0..ENCODED_BYTES * 8 {
            let mut block = header().encode();
            block[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&block), Block::Invalid, "bit {bit}");
        }
    }

    #[test]
    fn blank_and_short_blocks_are_told_apart() {
        assert_eq!(Header::decode(&[]), Block::Blank);
        assert_eq!(Header::decode(&[0; BLOCK_BYTES]), Block::Blank);
        assert_eq!(
            Header::decode(&header().encode()[..ENCODED_BYTES - 1]),
            Block::Invalid
        );
    }

    #[test]
    fn newer_versions_and_features_are_named() {
        let check = |at: usize, byte, found: &str| {
            let mut block = header().encode();
            block[at] = byte;
            let crc = crc32fast::hash(&block[..ENCODED_BYTES - 4]);
            block[ENCODED_BYTES - 4..ENCODED_BYTES].copy_from_slice(&crc.to_le_bytes());
            match Header::decode(&block) {
                Block::Newer(said, _) => assert_eq!(said, found),
                other => panic!("{other:?}"),
            }
        };
        check(8, 2, "version 2");
        check(16, 4, "features 0x4");
    }

    #[test]
    fn names_hold_the_sequence() {
        assert_eq!(sequence_of(&file_name(12)), Some(12));
        for name in [
            "12.log",
            "000000000000.log",
            "000000000001.log.tmp",
            "LOCK",
            "x.log",
        ] {
            assert_eq!(sequence_of(name), None, "{name}");
        }
    }
}
