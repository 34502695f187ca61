//! Making the entries of a new index for the items that are there already.
//!
//! The first piece is part of the transaction that makes the index, so an index on a small table is there at once. The
//! rest is a job's; until it is done the index says that it is backfilling, and nobody may read from it.

#[cfg(test)]
mod tests;

use cumulog_engine::{Read as _, RowError, Txn};
use cumulog_shape::Timestamp;
use serde_bytes::ByteBuf;

use crate::call::Call;
use crate::failure::Failure;
use crate::services::dynamodb::address::Address;
use crate::services::dynamodb::error::Error;
use crate::services::dynamodb::fill::{self, Piece, Task};
use crate::services::dynamodb::rows::{
    CountRow, INDEX, IndexDefinitionRow, IndexRow, JOBS, STATS, TABLES, TableRow,
};
use crate::services::dynamodb::schema::{Index, Table};

/// The kind of the jobs that fill an index, each called by the index's ARN.
pub(crate) const BACKFILL: &str = "backfill";

const INFIX: &str = "/index/";

fn index_arn(table: &Address<'_>, index: &str) -> String {
    [&table.arn(), INFIX, index].concat()
}

/// Begins to fill an index that the table's stored row has.
pub(crate) fn start(
    call: &Call,
    txn: &mut Txn,
    table: &Address<'_>,
    index: &str,
) -> Result<(), Error> {
    let arn = index_arn(table, index);
    if let Some(more) = piece(call, txn, &arn)? {
        JOBS.schedule(call, txn, (BACKFILL, &arn), more)?;
    }
    Ok(())
}

/// Ends it, because the index goes.
pub(crate) fn stop(
    txn: &mut Txn,
    table: &Address<'_>,
    number: u64,
    index: &IndexDefinitionRow,
) -> Result<(), RowError> {
    fill::stop(txn, number, Task::Index(index.number));
    JOBS.cancel(txn, (BACKFILL, &index_arn(table, &index.name)))
}

/// The job that fills the index of this ARN, piece by piece.
pub(crate) fn backfill(
    call: &Call,
    txn: &mut Txn,
    arn: &str,
) -> Result<Option<Timestamp>, Failure> {
    Ok(piece(call, txn, arn)?)
}

fn piece(call: &Call, txn: &mut Txn, arn: &str) -> Result<Option<Timestamp>, Error> {
    let Some((table_arn, name)) = arn.split_once(INFIX) else {
        return Ok(None);
    };
    let address = Address::parse(call, table_arn)?;
    let Some(table) = Table::find(call, txn, &address)? else {
        return Ok(None);
    };
    let Some(index) = table.indexes.iter().find(|index| index.name == name) else {
        return Ok(None);
    };
    if add_entries(txn, &table, index)? {
        return Ok(Some(call.now));
    }
    let mut row = table.row.clone();
    finish(&mut row, name);
    TABLES.put(txn, &address.key(), &row);
    Ok(None)
}

fn finish(row: &mut TableRow, name: &str) {
    let mut indexes = row.global_indexes.iter_mut();
    if let Some(index) = indexes.find(|index| index.name == name) {
        index.filling = false;
    }
}

/// Makes entries for the next items. Items whose attributes are unfit to be keys stay without.
fn add_entries(txn: &mut Txn, table: &Table, index: &Index) -> Result<bool, Error> {
    let mut entries = Vec::new();
    let piece = Piece::read(txn, table, Task::Index(index.number), |place, row| {
        if let Some(entry) = index.entry_key(table, &row.item) {
            let bytes = index.projected_size(table, &row.item, row.bytes as usize);
            entries.push((entry, place.to_vec(), bytes as u64));
        }
    })?;
    let mut added = CountRow::default();
    for (entry, place, bytes) in entries {
        // A writer may have been here before.
        if txn.get(INDEX, &entry).is_some() {
            continue;
        }
        let row = IndexRow {
            item: ByteBuf::from(place),
        };
        let row = rmp_serde::to_vec(&row).expect("an index row serializes");
        txn.put(INDEX, &entry, &row);
        added.items += 1;
        added.bytes += bytes;
    }
    count(txn, table.row.number, index.number, |row| {
        row.items += added.items;
        row.bytes += added.bytes;
    })?;
    Ok(piece.note(txn))
}

/// Changes how much an index is said to hold.
pub(crate) fn count(
    txn: &mut Txn,
    table: u64,
    index: u32,
    change: impl FnOnce(&mut CountRow),
) -> Result<(), RowError> {
    let mut stats = STATS.get(txn, &(table,))?.unwrap_or_default();
    let slot = index as usize;
    if stats.indexes.len() <= slot {
        stats.indexes.resize(slot + 1, CountRow::default());
    }
    change(&mut stats.indexes[slot]);
    STATS.put(txn, &(table,), &stats);
    Ok(())
}
