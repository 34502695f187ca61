//! What the state knows of a blob: a format on disk, append only.

use super::{EPHEMERAL_BIT, PIECE_BYTES};
use crate::root::Space;
use crate::table::Table;
use serde::{Deserialize, Serialize};

/// A blob: where its bytes are and how to tell that they are the right ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) bytes: u64,
    pub(crate) place: Place,
    /// Was the body synced before this row was logged? If not, its bytes are known synced once the row is.
    pub(crate) synced: bool,
    /// Four bytes for each piece, little-endian; none for an inline body, which the log's own checksums cover.
    #[serde(with = "serde_bytes")]
    pub(crate) crcs: Vec<u8>,
}

/// Where a body is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Place {
    #[serde(rename = "inline")]
    Inline(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A range of a pack, by the pack's id.
    #[serde(rename = "pack")]
    Pack(u64, u64),
    /// A file of its own, named after the blob.
    #[serde(rename = "file")]
    File,
    /// A block of the spill file for each piece. Never logged.
    #[serde(rename = "spill")]
    Spill(Vec<u32>),
}

/// Where the rows are. Blobs that don't survive a restart are in key spaces of their own.
#[derive(Clone, Copy)]
pub(super) struct Spaces {
    pub(super) rows: Table<(u64,), Row>,
    /// References beyond the first; no row if there are none.
    pub(super) shares: Table<(u64,), u64>,
}

pub(super) const DURABLE: Spaces = Spaces {
    rows: Table::new(Space::new(0x0010, "engine/blobs")),
    shares: Table::new(Space::new(0x0011, "engine/blob shares")),
};

pub(super) const EPHEMERAL: Spaces = Spaces {
    rows: Table::new(Space::new(0x0012, "engine/ephemeral blobs")),
    shares: Table::new(Space::new(0x0013, "engine/ephemeral blob shares")),
};

/// Key spaces that are never logged.
pub(crate) const EPHEMERAL_SPACES: [Space; 2] = [EPHEMERAL.rows.space(), EPHEMERAL.shares.space()];

impl Spaces {
    pub(super) fn of(id: u64) -> Spaces {
        if id & EPHEMERAL_BIT == 0 {
            DURABLE
        } else {
            EPHEMERAL
        }
    }
}

impl Row {
    pub(super) fn piece_count(&self) -> u64 {
        self.bytes.div_ceil(PIECE_BYTES as u64)
    }

    /// Do its length and its checksums, or its body, agree?
    pub(super) fn is_sound(&self) -> bool {
        let pieces = self.piece_count();
        match &self.place {
            Place::Inline(body) => body.len() as u64 == self.bytes,
            Place::Pack(..) | Place::File => self.crcs.len() as u64 / 4 == pieces,
            Place::Spill(blocks) => blocks.len() as u64 == pieces,
        }
    }

    /// Where in the body a piece starts, and how long it is; zero past the end.
    pub(super) fn piece(&self, index: u64) -> (u64, usize) {
        let start = index.saturating_mul(PIECE_BYTES as u64);
        let bytes = self.bytes.saturating_sub(start).min(PIECE_BYTES as u64);
        (start, bytes as usize)
    }

    pub(super) fn crc(&self, index: u64) -> Option<u32> {
        let start = usize::try_from(index).ok()?.checked_mul(4)?;
        let bytes = self.crcs.get(start..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_on_disk_are_pinned() {
        let check = |place, expected: &str| {
            let row = Row {
                bytes: 5,
                place,
                synced: true,
                crcs: vec![1, 2, 3, 4],
            };
            let bytes = rmp_serde::to_vec(&row).expect("rows serialize");
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected);
            assert_eq!(
                rmp_serde::from_slice::<Row>(&bytes).expect("as written"),
                row
            );
        };
        check(
            Place::Inline(b"abc".to_vec()),
            "940581a6696e6c696e65c403616263c3c40401020304",
        );
        check(
            Place::Pack(7, 300),
            "940581a47061636b9207cd012cc3c40401020304",
        );
        check(Place::File, "9405a466696c65c3c40401020304");
    }
}
