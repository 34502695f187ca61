//! What a stream forgets: records after 24 hours, then the shards without any, then the stream, if it is off.
//!
//! Readers look at the time themselves, so the job may be late. It deletes records by the first bytes of their sequence:
//! some four seconds' worth in one effect, a bounded number of them in one transaction.

use std::ops::Bound;

use cumulog_engine::{Read as _, Txn};
use cumulog_shape::Timestamp;

use super::{Sequence, parse_arn, record_place};
use crate::call::Call;
use crate::failure::Failure;
use crate::services::dynamodb::key;
use crate::services::dynamodb::rows::{RECORDS, SHARDS, STREAMS};

/// The kind of the jobs that trim a stream, each called by the stream's ARN.
pub(crate) const TRIM: &str = "trim";

/// How long a record can be read.
pub(crate) const RETENTION_MS: i64 = 24 * 3600 * 1000;

/// Records that one transaction deletes, before it lets others have a turn.
const PIECE_RECORDS: u64 = 10_000;
/// A stream that is written to all the time is not trimmed more often.
const PAUSE_MS: i64 = 60_000;
/// Bytes of a record's key that records of the same few seconds have in common: stream, shard, half of the sequence.
const SLICE_BYTES: usize = 8 + 4 + 4;

/// Trims the stream of this ARN; says when to do it again.
pub(crate) fn trim(call: &Call, txn: &mut Txn, arn: &str) -> Result<Option<Timestamp>, Failure> {
    // It makes room, in the end.
    txn.even_if_full();
    let Some(key) = parse_arn(arn) else {
        return Ok(None);
    };
    let Some(stream) = STREAMS.get(txn, &key)? else {
        return Ok(None);
    };
    let is_over = |ended_ms: i64| ended_ms + RETENTION_MS <= call.now.0;
    let is_over = stream.ended_ms.is_some_and(is_over);
    let horizon = match is_over {
        true => Sequence(u64::MAX),
        false => Sequence::at(call.now.0 - RETENTION_MS),
    };
    let mut deleted = 0;
    let oldest = loop {
        match trim_slice(txn, stream.number, horizon)? {
            Slice::Deleted(records) => deleted += records,
            Slice::Stays(oldest) => break Some(oldest),
            Slice::None => break None,
        }
        if deleted >= PIECE_RECORDS {
            return Ok(Some(call.now));
        }
    };
    if is_over {
        SHARDS.delete_prefix(txn, &(stream.number,));
        STREAMS.delete(txn, &key);
        return Ok(None);
    }
    trim_shards(txn, stream.number, horizon, oldest)?;
    let next = |time_ms: i64| Timestamp((time_ms + RETENTION_MS).max(call.now.0 + PAUSE_MS));
    let ended = stream.ended_ms.map(next);
    Ok(oldest
        .map(|(_, sequence)| next(sequence.time_ms() + 1))
        .or(ended))
}

enum Slice {
    Deleted(u64),
    /// The oldest record is too young.
    Stays((u32, Sequence)),
    None,
}

/// Deletes the oldest record and those soon after it, if all of them are old enough.
fn trim_slice(txn: &mut Txn, stream: u64, horizon: Sequence) -> Result<Slice, Failure> {
    let prefix = stream.to_be_bytes();
    let end = key::after(prefix.to_vec());
    let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let Some((oldest, _)) = txn.range(RECORDS, Bound::Included(&prefix), to).next() else {
        return Ok(Slice::None);
    };
    let (shard, sequence) = record_place(oldest)?;
    let slice = oldest[..SLICE_BYTES].to_vec();
    let last = Sequence(sequence.0 | u64::from(u32::MAX));
    if last >= horizon {
        return Ok(Slice::Stays((shard, sequence)));
    }
    let end = key::after(slice.clone());
    let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let newest = txn.range(RECORDS, Bound::Included(&slice), to).next_back();
    let (_, newest) = newest.map_or(Ok((shard, sequence)), |(key, _)| record_place(key))?;
    let deleted = txn.delete_prefix(RECORDS, &slice);
    if let Some(mut row) = SHARDS.get(txn, &(stream, shard))? {
        row.trimmed = newest.0;
        SHARDS.put(txn, &(stream, shard), &row);
    }
    Ok(Slice::Deleted(deleted))
}

/// Deletes the shards that hold nothing, ended long ago, and have a successor.
fn trim_shards(
    txn: &mut Txn,
    stream: u64,
    horizon: Sequence,
    oldest: Option<(u32, Sequence)>,
) -> Result<(), Failure> {
    let mut shards = SHARDS
        .scan(txn, &(stream,))
        .collect::<Result<Vec<_>, _>>()?;
    shards.pop();
    for (place, shard) in shards {
        let is_empty = oldest.is_none_or(|(oldest, _)| place.1 < oldest);
        let is_old = shard.end.is_some_and(|end| Sequence(end) < horizon);
        if is_empty && is_old {
            SHARDS.delete(txn, &place);
        }
    }
    Ok(())
}
