//! GetRecords.

use cumulog_engine::View;
use cumulog_model::dynamodbstreams as model;
use cumulog_shape::Timestamp;
use md5::{Digest, Md5};
use model::{GetRecordsInput, GetRecordsOutput, Identity, StreamRecord};

use super::describe::open;
use super::error::{Error, limit};
use super::iterator::{Iterator, Position};
use crate::call::Call;
use crate::hex;
use crate::services::dynamodb::streams::{Record, Shard, Stream};

const RECORDS_MAX: usize = 1000;
const PAGE_BYTES_MAX: u64 = 1024 * 1024;

/// Reads a page of records, and says where the next begins, unless the shard is closed and at its end.
pub(crate) fn get_records(
    call: &Call,
    view: &View,
    input: GetRecordsInput,
) -> Result<GetRecordsOutput, Error> {
    let limit = limit(input.limit, RECORDS_MAX)?;
    let iterator = Iterator::parse(&input.shard_iterator)
        .ok_or_else(|| Error::invalid("Invalid ShardIterator"))?;
    if iterator.is_expired(call.now.0) {
        return Err(Error::ExpiredIterator);
    }
    let stream = open(view, &iterator.stream_arn)?;
    let shard = stream
        .shards(view)?
        .into_iter()
        .find(|shard| shard.number == iterator.shard)
        .ok_or(Error::Trimmed)?;
    let page = Page::read(call, view, &shard, iterator.position, limit)?;
    let is_done = page.at_end && shard.row.end.is_some();
    let next = (!is_done).then_some(Iterator {
        position: page.next,
        made_ms: call.now.0,
        ..iterator
    });
    let shown = page
        .records
        .into_iter()
        .map(|record| shown(&stream, record));
    Ok(GetRecordsOutput {
        records: Some(shown.collect()),
        next_shard_iterator: next.map(|next| next.text()),
    })
}

/// Records of a shard that stand one behind the other.
struct Page {
    records: Vec<Record>,
    next: Position,
    /// Nothing comes after them yet.
    at_end: bool,
}

impl Page {
    fn read(
        call: &Call,
        view: &View,
        shard: &Shard,
        position: Position,
        limit: usize,
    ) -> Result<Page, Error> {
        let horizon = Shard::horizon(call.now.0);
        let from = match position {
            Position::Horizon => horizon,
            Position::From(sequence) if sequence.0 <= shard.row.trimmed => {
                return Err(Error::Trimmed);
            }
            Position::From(sequence) => sequence,
        };
        let mut page = Page {
            records: Vec::new(),
            next: position,
            at_end: true,
        };
        let mut bytes = 0;
        for record in shard.records(view, from) {
            let record = record?;
            if record.sequence < horizon {
                return Err(Error::Trimmed);
            }
            bytes += record.bytes;
            let is_first = page.records.is_empty();
            if page.records.len() >= limit || (bytes > PAGE_BYTES_MAX && !is_first) {
                page.at_end = false;
                break;
            }
            page.next = Position::From(record.sequence.next());
            page.records.push(record);
        }
        Ok(page)
    }
}

fn shown(stream: &Stream, record: Record) -> model::Record {
    let id = Md5::new_with_prefix(stream.arn())
        .chain_update(record.sequence.0.to_be_bytes())
        .finalize();
    let expiry = || Identity {
        principal_id: Some("dynamodb.amazonaws.com".into()),
        r#type: Some("Service".into()),
    };
    model::Record {
        event_id: Some(hex::lower(&id)),
        event_name: Some(record.event.into()),
        event_version: Some("1.1".into()),
        event_source: Some("aws:dynamodb".into()),
        aws_region: Some(stream.region().to_owned()),
        dynamodb: Some(StreamRecord {
            // AWS tells whole seconds.
            approximate_creation_date_time: Some(Timestamp(record.created_ms / 1000 * 1000)),
            keys: Some(record.keys),
            new_image: record.new,
            old_image: record.old,
            sequence_number: Some(record.sequence.text()),
            size_bytes: Some(record.bytes.cast_signed()),
            stream_view_type: Some(stream.info.view.as_str().into()),
        }),
        user_identity: record.expired.then(expiry),
    }
}
