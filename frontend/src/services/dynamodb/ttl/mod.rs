//! Time to live: items that are deleted once the time in one of their attributes has come.
//!
//! While a table's time to live is on, its items with such a time stand in an index by that time, which changes with them.
//! A job is due with the first entry and deletes what is due, some items in each transaction. Turning it on enters the
//! items that are there already, piece by piece; turning it off deletes the entries.
//!
//! A time is a number of seconds since 1970. Anything else, and what lies back more than five years, never comes. An item
//! goes within a second of its time; AWS takes days at the most. AWS also refuses a second change within the hour, for
//! reasons of its own.

#[cfg(test)]
mod tests;

use std::ops::Bound;

use cumulog_engine::{Read, RowError, Txn, View};
use cumulog_model::dynamodb as model;
use cumulog_shape::Timestamp;
use model::{
    DescribeTimeToLiveInput, DescribeTimeToLiveOutput, TimeToLiveDescription, TimeToLiveStatus,
    UpdateTimeToLiveInput, UpdateTimeToLiveOutput,
};

use crate::call::Call;
use crate::failure::Failure;
use crate::services::dynamodb::address::Address;
use crate::services::dynamodb::error::{Error, ValidationError};
use crate::services::dynamodb::fill::{self, Piece};
use crate::services::dynamodb::key;
use crate::services::dynamodb::rows::{EXPIRIES, ITEMS, ItemRow, JOBS, TABLES, TimeToLiveRow};
use crate::services::dynamodb::schema::Table;
use crate::services::dynamodb::tables::named;
use crate::services::dynamodb::value::{Item, Value};
use crate::services::dynamodb::write::{self, Author};

/// The kind of the jobs that delete what is due of a table, each called by the table's ARN.
pub(crate) const EXPIRE: &str = "expire";
/// The kind of those that enter what a table held before.
pub(crate) const ENTER: &str = "enter-expiries";

const FIVE_YEARS_MS: i64 = 5 * 365 * 24 * 3600 * 1000;

/// What one transaction deletes at the most, before it lets others have a turn.
const PIECE_ITEMS: usize = 100;
const PIECE_BYTES: usize = 1024 * 1024;

/// Turns a table's time to live on or off.
pub(crate) fn update_time_to_live(
    call: &Call,
    txn: &mut Txn,
    input: UpdateTimeToLiveInput,
) -> Result<UpdateTimeToLiveOutput, Error> {
    let address = Address::parse(call, &input.table_name)?;
    let mut row = named(call, txn, &address)?.row.clone();
    let wanted = input.time_to_live_specification;
    check_change(row.time_to_live.as_ref(), &wanted)?;
    row.time_to_live = wanted.enabled.then(|| TimeToLiveRow {
        attribute: wanted.attribute_name.clone(),
    });
    TABLES.put(txn, &address.key(), &row);
    let arn = address.arn();
    if wanted.enabled {
        if let Some(more) = enter(call, txn, &arn)? {
            JOBS.schedule(call, txn, (ENTER, &arn), more)?;
        }
    } else {
        stop(txn, &address, row.number)?;
    }
    Ok(UpdateTimeToLiveOutput {
        time_to_live_specification: Some(wanted),
    })
}

fn check_change(
    current: Option<&TimeToLiveRow>,
    wanted: &model::TimeToLiveSpecification,
) -> Result<(), ValidationError> {
    match current {
        None if wanted.enabled => Ok(()),
        None => Err(ValidationError::new("TimeToLive is already disabled")),
        Some(current) if current.attribute != wanted.attribute_name => {
            Err(ValidationError::new(format!(
                "TimeToLive is active on a different AttributeName: current AttributeName is {}",
                current.attribute
            )))
        }
        Some(_) if wanted.enabled => Err(ValidationError::new("TimeToLive is already enabled")),
        Some(_) => Ok(()),
    }
}

/// Tells whether items expire, and by which attribute.
pub(crate) fn describe_time_to_live(
    call: &Call,
    view: &View,
    input: DescribeTimeToLiveInput,
) -> Result<DescribeTimeToLiveOutput, Error> {
    let table = named(call, view, &Address::parse(call, &input.table_name)?)?;
    let row = table.row.time_to_live.as_ref();
    let description = TimeToLiveDescription {
        time_to_live_status: Some(match row {
            Some(_) => TimeToLiveStatus::Enabled,
            None => TimeToLiveStatus::Disabled,
        }),
        attribute_name: row.map(|row| row.attribute.clone()),
    };
    Ok(DescribeTimeToLiveOutput {
        time_to_live_description: Some(description),
    })
}

/// Forgets the times of a table's items, and its jobs.
pub(crate) fn stop(txn: &mut Txn, table: &Address<'_>, number: u64) -> Result<(), RowError> {
    let arn = table.arn();
    txn.delete_prefix(EXPIRIES, &key::table_prefix(number));
    fill::stop(txn, number, fill::Task::Expiries);
    JOBS.cancel(txn, (ENTER, &arn))?;
    JOBS.cancel(txn, (EXPIRE, &arn))
}

/// When an item is to go.
fn expiry_ms(row: &TimeToLiveRow, item: &Item, now_ms: i64) -> Option<u64> {
    let Some(Value::N(seconds)) = item.get(&row.attribute) else {
        return None;
    };
    // Numbers that are too large for this are no times either.
    let expiry_ms = seconds.parse::<f64>().ok()? * 1000.0;
    let is_time = expiry_ms >= (now_ms - FIVE_YEARS_MS) as f64 && expiry_ms < 9e15;
    (is_time && expiry_ms >= 0.0).then_some(expiry_ms.ceil() as u64)
}

/// The key of an item's entry: table number, time, and the rest of the item's own key.
fn entry_key(expiry_ms: u64, item_key: &[u8]) -> Vec<u8> {
    let (table, place) = item_key.split_at(key::TABLE_BYTES);
    [table, &expiry_ms.to_be_bytes(), place].concat()
}

/// The time and the item's key that an entry's key leads to.
fn parse_entry(entry: &[u8]) -> Result<(u64, Vec<u8>), RowError> {
    let parts = entry
        .split_at_checked(key::TABLE_BYTES)
        .and_then(|(table, rest)| Some((table, rest.split_first_chunk::<8>()?)));
    let Some((table, (expiry_ms, place))) = parts else {
        return Err(RowError {
            space: EXPIRIES.name,
            reason: "its key has another form".into(),
        });
    };
    Ok((u64::from_be_bytes(*expiry_ms), [table, place].concat()))
}

/// Keeps an item's entry as the item changes.
pub(crate) fn replace_entry(
    call: &Call,
    txn: &mut Txn,
    table: &Table,
    item_key: &[u8],
    (before, after): (Option<&Item>, Option<&Item>),
) -> Result<(), RowError> {
    let Some(row) = &table.row.time_to_live else {
        return Ok(());
    };
    let now_ms = call.clock().now().0;
    // It may have been entered when it was not yet too old.
    let old = before.and_then(|item| expiry_ms(row, item, 0));
    let new = after.and_then(|item| expiry_ms(row, item, now_ms));
    if old == new {
        return Ok(());
    }
    if let Some(old) = old {
        txn.delete(EXPIRIES, &entry_key(old, item_key));
    }
    if let Some(new) = new {
        txn.put(EXPIRIES, &entry_key(new, item_key), &[]);
        schedule(call, txn, &table.arn, new)?;
    }
    Ok(())
}

/// Sees to it that the job runs by then.
fn schedule(call: &Call, txn: &mut Txn, arn: &str, expiry_ms: u64) -> Result<(), RowError> {
    let due = Timestamp(expiry_ms.cast_signed());
    let known = JOBS.due(txn, (EXPIRE, arn))?;
    if known.is_none_or(|known| due < known) {
        JOBS.schedule(call, txn, (EXPIRE, arn), due)?;
    }
    Ok(())
}

/// Enters a piece of what the table of this ARN held when its time to live was turned on.
pub(crate) fn enter(call: &Call, txn: &mut Txn, arn: &str) -> Result<Option<Timestamp>, Error> {
    let Some((table, row)) = open(call, txn, arn)? else {
        return Ok(None);
    };
    let mut entries = Vec::new();
    let piece = Piece::read(txn, &table, fill::Task::Expiries, |place, item| {
        entries.extend(expiry_ms(&row, &item.item, call.now.0).map(|at| entry_key(at, place)));
    })?;
    for entry in &entries {
        txn.put(EXPIRIES, entry, &[]);
    }
    if let Some((first, _)) = first(txn, &table)? {
        schedule(call, txn, arn, first)?;
    }
    Ok(piece.note(txn).then_some(call.now))
}

/// The job that [`enter`]s.
pub(crate) fn enter_job(
    call: &Call,
    txn: &mut Txn,
    arn: &str,
) -> Result<Option<Timestamp>, Failure> {
    Ok(enter(call, txn, arn)?)
}

/// The table of this ARN, if it has a time to live.
fn open(
    call: &Call,
    read: &impl Read,
    arn: &str,
) -> Result<Option<(std::sync::Arc<Table>, TimeToLiveRow)>, Error> {
    let table = Table::find(call, read, &Address::parse(call, arn)?)?;
    Ok(table.and_then(|table| {
        let row = table.row.time_to_live.clone()?;
        Some((table, row))
    }))
}

/// The first entry of a table: when, and the item's key.
fn first(read: &impl Read, table: &Table) -> Result<Option<(u64, Vec<u8>)>, RowError> {
    let prefix = key::table_prefix(table.row.number);
    let end = key::after(prefix.to_vec());
    let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let first = read.range(EXPIRIES, Bound::Included(&prefix), to).next();
    first.map(|(entry, _)| parse_entry(entry)).transpose()
}

/// Deletes items that are due, of the table with this ARN; says when the next are.
pub(crate) fn expire(call: &Call, txn: &mut Txn, arn: &str) -> Result<Option<Timestamp>, Failure> {
    // It makes room, even if a stream keeps what went.
    txn.even_if_full();
    let Some((table, _)) = open(call, txn, arn)? else {
        return Ok(None);
    };
    let (mut items, mut bytes) = (0, 0);
    while let Some((expiry_ms, place)) = first(txn, &table)? {
        let due = Timestamp(expiry_ms.cast_signed());
        if due > call.now {
            return Ok(Some(due));
        }
        if items >= PIECE_ITEMS || bytes >= PIECE_BYTES {
            return Ok(Some(call.now));
        }
        items += 1;
        bytes += delete(call, txn, &table, &place, expiry_ms)?;
    }
    Ok(None)
}

/// Deletes an item with its entry. Of one that was due more than five years ago, only the entry goes.
fn delete(
    call: &Call,
    txn: &mut Txn,
    table: &Table,
    place: &[u8],
    expiry_ms: u64,
) -> Result<usize, Error> {
    let row = txn.get(ITEMS, place).map(ItemRow::decode).transpose()?;
    let is_too_old = expiry_ms.cast_signed() < call.now.0 - FIVE_YEARS_MS;
    if let Some(before) = row.as_ref().filter(|_| !is_too_old) {
        write::replace(
            call,
            txn,
            table,
            place,
            (Some(before), None),
            Author::Expiry,
        )?;
    }
    txn.delete(EXPIRIES, &entry_key(expiry_ms, place));
    Ok(row.map_or(0, |row| row.bytes as usize))
}
