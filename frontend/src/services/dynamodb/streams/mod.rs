//! A table's stream: a record of every change, written in the transaction of the change, kept for 24 hours.
//!
//! A stream is a row of shards, of which the last is open. What changes goes there, under the next sequence. A shard takes
//! records for four hours: the first change after that closes it and opens its child, so a stream that nobody writes to
//! stays as it is. What is off, or whose table is gone, has no open shard, and can be read until its records are trimmed.
//!
//! A table without a stream pays one look at its row.

mod read;
mod sequence;
#[cfg(test)]
mod tests;
mod trim;

use std::ops::Bound;

use cumulog_engine::{Key as _, Read, RowError, Txn};
use md5::{Digest as _, Md5};

use super::address::Address;
use super::error::Error;
use super::key;
use super::rows::{
    EventRow, ItemRow, JOBS, RECORDS, RecordRow, SEQUENCE, SHARDS, STREAMS, StreamRow, TABLES,
    TableRow,
};
pub(crate) use super::rows::{ShardRow, StreamInfoRow, StreamKey};
use super::schema::Table;
use super::size::item_size;
use super::value::{Item, equal};
use crate::call::Call;
pub(crate) use read::{Record, Shard, Stream};
pub(crate) use sequence::Sequence;
use trim::RETENTION_MS;
pub(crate) use trim::{TRIM, trim};

/// How long a shard takes records.
const SHARD_MS: i64 = 4 * 3600 * 1000;

/// The key of the stream of this label.
fn stream_key(table: &Address<'_>, label: &str) -> StreamKey<'static> {
    let (account, region, name) = table.key();
    (account, region, name, label.to_owned().into())
}

/// The ARN of the stream with this key, by which its jobs are called too.
fn stream_arn((account, region, table, label): &StreamKey<'_>) -> String {
    format!("arn:aws:dynamodb:{region}:{account}:table/{table}/stream/{label}")
}

/// The key in a stream's ARN.
fn parse_arn(arn: &str) -> Option<StreamKey<'static>> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "dynamodb", region, account, resource] = parts[..] else {
        return None;
    };
    let (table, label) = resource.strip_prefix("table/")?.split_once("/stream/")?;
    let owned = |text: &str| text.to_owned().into();
    Some((owned(account), owned(region), owned(table), owned(label)))
}

/// Begins a stream of the table, whose row says of which view.
pub(crate) fn start(
    call: &Call,
    txn: &mut Txn,
    table: &Address<'_>,
    row: &mut TableRow,
) -> Result<(), Error> {
    let Some(stream) = &mut row.stream else {
        return Ok(());
    };
    let now_ms = call.clock().now().0;
    // Two streams of a table that began in one millisecond would have one label.
    for began_ms in now_ms.. {
        if !STREAMS.contains(txn, &stream_key(table, &stream.label)) {
            break;
        }
        stream.label = label(began_ms);
    }
    stream.number = SEQUENCE.get(txn, &())?.unwrap_or(0) + 1;
    SEQUENCE.put(txn, &(), &stream.number);
    let info = StreamInfoRow {
        number: stream.number,
        created_ms: now_ms,
        view: stream.view.clone(),
        keys: row.keys.clone(),
        ended_ms: None,
        policy: None,
        policy_revision_ms: 0,
    };
    STREAMS.put(txn, &stream_key(table, &stream.label), &info);
    row.former_stream = None;
    open_shard(txn, info.number, 1, None, now_ms);
    Ok(())
}

/// A stream is labelled with the time at which it began.
pub(crate) fn label(began_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(began_ms)
        .map(|began| began.strftime("%Y-%m-%dT%H:%M:%S.%3f").to_string())
        .unwrap_or_else(|_| began_ms.to_string())
}

/// Ends the table's stream, if it has one: what it holds can be read until it is trimmed.
pub(crate) fn stop(
    call: &Call,
    txn: &mut Txn,
    table: &Address<'_>,
    row: &mut TableRow,
) -> Result<(), Error> {
    let Some(stream) = row.stream.take() else {
        return Ok(());
    };
    let key = stream_key(table, &stream.label);
    row.former_stream = Some(stream.label);
    let Some(mut info) = STREAMS.get(txn, &key)? else {
        return Ok(());
    };
    let now = call.clock().now();
    info.ended_ms = Some(now.0);
    STREAMS.put(txn, &key, &info);
    if let Some((number, shard)) = last_shard(txn, info.number)? {
        close_shard(txn, info.number, number, shard);
    }
    let due = cumulog_shape::Timestamp(now.0 + RETENTION_MS);
    let arn = stream_arn(&key);
    if JOBS.due(txn, (TRIM, &arn))?.is_none_or(|known| known > due) {
        JOBS.schedule(call, txn, (TRIM, &arn), due)?;
    }
    Ok(())
}

/// One change of an item, with what is stored before and after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'c> {
    pub(crate) before: Option<(&'c Item, &'c [u8])>,
    pub(crate) after: Option<(&'c Item, &'c [u8])>,
    pub(crate) expired: bool,
}

impl Change<'_> {
    /// What it is called; `None` if nothing changes.
    fn event(&self) -> Option<EventRow> {
        match (self.before, self.after) {
            (None, None) => None,
            (None, Some(_)) => Some(EventRow::Insert),
            (Some(_), None) => Some(EventRow::Remove),
            (Some((_, old)), Some((_, new))) if old == new => None,
            (Some((old, _)), Some((new, _))) => (!same(old, new)).then_some(EventRow::Modify),
        }
    }
}

fn same(one: &Item, two: &Item) -> bool {
    one.len() == two.len()
        && one
            .iter()
            .all(|(name, value)| two.get(name).is_some_and(|other| equal(value, other)))
}

/// Records a change of the table in its stream.
pub(crate) fn record(
    call: &Call,
    txn: &mut Txn,
    table: &Table,
    stream: &StreamRow,
    change: &Change<'_>,
) -> Result<(), Error> {
    let Some(event) = change.event() else {
        return Ok(());
    };
    let started;
    let stream = if stream.number == 0 {
        started = start_late(call, txn, table)?;
        match &started {
            Some(stream) => stream,
            None => return Ok(()),
        }
    } else {
        stream
    };
    let Some((item, _)) = change.after.or(change.before) else {
        return Ok(());
    };
    let keys = keys_row(table, item);
    let shows = |views: [&str; 2]| views.contains(&stream.view.as_str());
    let old = change
        .before
        .filter(|_| shows(["OLD_IMAGE", "NEW_AND_OLD_IMAGES"]));
    let new = change
        .after
        .filter(|_| shows(["NEW_IMAGE", "NEW_AND_OLD_IMAGES"]));
    let now_ms = call.clock().now().0;
    let row = RecordRow {
        created_ms: now_ms,
        event,
        expired: change.expired,
        keys: serde_bytes::Bytes::new(&keys),
        old: old.map(|(_, row)| serde_bytes::Bytes::new(row)),
        new: new.map(|(_, row)| serde_bytes::Bytes::new(row)),
    };
    let row = rmp_serde::to_vec(&row).expect("a record serializes");
    append(call, txn, table, stream, now_ms, &row)
}

/// The key attributes of an item, as a row.
fn keys_row(table: &Table, item: &Item) -> Vec<u8> {
    let keys: Item = table
        .keys()
        .filter_map(|key| Some((key.name.clone(), item.get(&key.name)?.clone())))
        .collect();
    ItemRow::encode(&keys, item_size(&keys))
}

/// Begins a stream that a table has had on record since before there were streams.
fn start_late(call: &Call, txn: &mut Txn, table: &Table) -> Result<Option<StreamRow>, Error> {
    let address = Address::parse(call, &table.arn)?;
    let Some(mut row) = TABLES.get(txn, &address.key())? else {
        return Ok(None);
    };
    if row.stream.as_ref().is_some_and(|stream| stream.number == 0) {
        start(call, txn, &address, &mut row)?;
        TABLES.put(txn, &address.key(), &row);
    }
    Ok(row.stream)
}

fn append(
    call: &Call,
    txn: &mut Txn,
    table: &Table,
    stream: &StreamRow,
    now_ms: i64,
    row: &[u8],
) -> Result<(), Error> {
    let (shard, bounds) = writable_shard(txn, stream.number, now_ms)?;
    let newest = newest(txn, stream.number, shard)?;
    let sequence = Sequence::at(now_ms).max(newest.map_or(bounds, Sequence::next));
    txn.put(RECORDS, &record_key(stream.number, shard, sequence), row);
    if newest.is_none() {
        let address = Address::parse(call, &table.arn)?;
        let arn = stream_arn(&stream_key(&address, &stream.label));
        if JOBS.due(txn, (TRIM, &arn))?.is_none() {
            let due = cumulog_shape::Timestamp(now_ms + RETENTION_MS);
            JOBS.schedule(call, txn, (TRIM, &arn), due)?;
        }
    }
    Ok(())
}

/// The open shard, and the lowest sequence that it takes. One that was open for long is followed by its child.
fn writable_shard(txn: &mut Txn, stream: u64, now_ms: i64) -> Result<(u32, Sequence), RowError> {
    let (number, shard) = last_shard(txn, stream)?.unwrap_or_default();
    let is_open = number > 0 && shard.end.is_none();
    if is_open && now_ms - shard.started_ms < SHARD_MS {
        return Ok((number, Sequence(shard.start.max(shard.trimmed + 1))));
    }
    let parent = match number {
        0 => None,
        _ => Some(close_shard(txn, stream, number, shard)),
    };
    Ok((
        number + 1,
        open_shard(txn, stream, number + 1, parent.as_ref(), now_ms),
    ))
}

fn last_shard(read: &impl Read, stream: u64) -> Result<Option<(u32, ShardRow)>, RowError> {
    let last = SHARDS.scan(read, &(stream,)).next_back().transpose()?;
    Ok(last.map(|((_, number), shard)| (number, shard)))
}

fn open_shard(
    txn: &mut Txn,
    stream: u64,
    number: u32,
    parent: Option<&ShardRow>,
    now_ms: i64,
) -> Sequence {
    let after = parent.map(|parent| Sequence(parent.end.unwrap_or(parent.start)).next());
    let start = Sequence::at(now_ms).max(after.unwrap_or_default());
    // Ids sort as the shards do.
    let started_ms = parent.map_or(now_ms, |parent| now_ms.max(parent.started_ms + 1));
    let shard = ShardRow {
        id: shard_id(stream, number, started_ms),
        parent: parent.map(|parent| parent.id.clone()),
        started_ms,
        start: start.0,
        end: None,
        trimmed: 0,
    };
    SHARDS.put(txn, &(stream, number), &shard);
    start
}

fn shard_id(stream: u64, number: u32, started_ms: i64) -> String {
    let digest = Md5::digest([&stream.to_be_bytes()[..], &number.to_be_bytes()].concat());
    let tail = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    format!("shardId-{started_ms:020}-{tail:08x}")
}

fn close_shard(txn: &mut Txn, stream: u64, number: u32, mut shard: ShardRow) -> ShardRow {
    if shard.end.is_none() {
        let newest = newest(txn, stream, number).ok().flatten();
        shard.end = Some(newest.map_or(shard.start.max(shard.trimmed), |newest| newest.0));
        SHARDS.put(txn, &(stream, number), &shard);
    }
    shard
}

fn record_key(stream: u64, shard: u32, sequence: Sequence) -> Vec<u8> {
    let mut key = Vec::with_capacity(20);
    (stream, shard, sequence.0).encode(&mut key);
    key
}

/// The shard and the sequence that a record's key ends with.
fn record_place(key: &[u8]) -> Result<(u32, Sequence), RowError> {
    <(u64, u32, u64)>::decode(&mut &*key)
        .map(|(_, shard, sequence)| (shard, Sequence(sequence)))
        .ok_or_else(|| RowError {
            space: RECORDS.name,
            reason: "its key has another form".into(),
        })
}

/// The sequence of the newest record of a shard.
fn newest(read: &impl Read, stream: u64, shard: u32) -> Result<Option<Sequence>, RowError> {
    records(read, stream, shard, Sequence(0))
        .next_back()
        .map(|record| record.map(|(sequence, _)| sequence))
        .transpose()
}

/// The records of a shard from a sequence on.
fn records(
    read: &impl Read,
    stream: u64,
    shard: u32,
    from: Sequence,
) -> impl DoubleEndedIterator<Item = Result<(Sequence, &[u8]), RowError>> {
    let from = record_key(stream, shard, from);
    let to = key::after([&stream.to_be_bytes()[..], &shard.to_be_bytes()].concat());
    let to = to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    read.range(RECORDS, Bound::Included(&from), to)
        .map(|(key, row)| Ok((record_place(key)?.1, row)))
}

/// The sequence that the next record of a shard will not be below.
fn end_of(
    read: &impl Read,
    stream: u64,
    number: u32,
    shard: &ShardRow,
) -> Result<Sequence, RowError> {
    let kept = newest(read, stream, number)?.map(Sequence::next);
    let trimmed = (shard.trimmed > 0).then(|| Sequence(shard.trimmed).next());
    Ok(kept.or(trimmed).unwrap_or(Sequence(shard.start)))
}
