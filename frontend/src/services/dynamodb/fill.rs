//! Going through all items of a table piece by piece, for what is derived from them: a new index, or their times to live.
//!
//! Each piece is a transaction of its own that notes how far it came, so writers get their turn and a crash loses nothing.
//! Writers keep what is derived as they change items, from the beginning; a piece meets what they did and leaves the same.

use std::ops::Bound;

use cumulog_engine::{Read as _, Txn};
use serde_bytes::ByteBuf;

use super::error::Error;
use super::key;
use super::rows::{FILLS, FillRow, ITEMS, ItemRow};
use super::schema::Table;

/// What one transaction goes through at the most: some milliseconds' worth, for which writers wait.
const PIECE_ITEMS: usize = 250;
const PIECE_BYTES: usize = 256 * 1024;

/// The first is part of the request that asks for it, and is to be all there is of a small table.
const FIRST_ITEMS: usize = 1000;
const FIRST_BYTES: usize = 1024 * 1024;

/// What is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// An index, by its number.
    Index(u32),
    Expiries,
}

impl Task {
    /// No index has the last number.
    fn number(self) -> u32 {
        match self {
            Task::Index(number) => number,
            Task::Expiries => u32::MAX,
        }
    }
}

/// A piece that was gone through.
#[must_use]
pub(crate) struct Piece {
    key: (u64, u32),
    /// Its last item, if there may be more.
    last: Option<Vec<u8>>,
}

impl Piece {
    /// Goes through the next items.
    pub(crate) fn read(
        txn: &Txn,
        table: &Table,
        task: Task,
        mut visit: impl FnMut(&[u8], &ItemRow),
    ) -> Result<Piece, Error> {
        let key = (table.row.number, task.number());
        let prefix = key::table_prefix(table.row.number);
        let end = key::after(prefix.to_vec());
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let noted = FILLS.get(txn, &key)?;
        let from = match &noted {
            Some(row) => Bound::Excluded(&row.last[..]),
            None => Bound::Included(&prefix[..]),
        };
        let (items_max, bytes_max) = match noted {
            Some(_) => (PIECE_ITEMS, PIECE_BYTES),
            None => (FIRST_ITEMS, FIRST_BYTES),
        };
        let (mut items, mut bytes) = (0, 0);
        for (place, row) in txn.range(ITEMS, from, to) {
            visit(place, &ItemRow::decode(row)?);
            items += 1;
            bytes += row.len();
            if items >= items_max || bytes >= bytes_max {
                let last = Some(place.to_vec());
                return Ok(Piece { key, last });
            }
        }
        Ok(Piece { key, last: None })
    }

    /// Notes how far it came; says whether there is more.
    pub(crate) fn note(self, txn: &mut Txn) -> bool {
        match self.last {
            Some(last) => {
                let last = ByteBuf::from(last);
                FILLS.put(txn, &self.key, &FillRow { last });
                true
            }
            None => {
                FILLS.delete(txn, &self.key);
                false
            }
        }
    }
}

/// Forgets how far a task came.
pub(crate) fn stop(txn: &mut Txn, table: u64, task: Task) {
    FILLS.delete(txn, &(table, task.number()));
}
