//! What streams show to those who read them.

use std::ops::Bound;

use cumulog_engine::{Read, RowError};

use super::{
    RETENTION_MS, Sequence, ShardRow, StreamInfoRow, StreamKey, parse_arn, records, stream_arn,
};
use crate::services::dynamodb::rows::{EventRow, ItemRow, KeyRow, RecordRow, SHARDS, STREAMS};
use crate::services::dynamodb::tables;
use crate::services::dynamodb::value::Item;

/// A stream that can be read.
#[derive(Debug)]
pub(crate) struct Stream {
    key: StreamKey<'static>,
    pub(crate) info: StreamInfoRow,
}

/// A shard of a stream.
#[derive(Debug)]
pub(crate) struct Shard {
    stream: u64,
    pub(crate) number: u32,
    pub(crate) row: ShardRow,
}

/// A record, as far as the stream's view shows it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) sequence: Sequence,
    pub(crate) created_ms: i64,
    pub(crate) event: &'static str,
    pub(crate) expired: bool,
    pub(crate) keys: Item,
    pub(crate) old: Option<Item>,
    pub(crate) new: Option<Item>,
    pub(crate) bytes: u64,
}

impl Stream {
    /// The stream of an account and region that comes after a key, of one table or of all.
    pub(crate) fn list<'r>(
        read: &'r impl Read,
        (account, region): (&str, &str),
        table: Option<&str>,
        after: Option<&StreamKey<'static>>,
    ) -> impl Iterator<Item = Result<Stream, RowError>> + 'r {
        let owned = |text: &str| std::borrow::Cow::<'static, str>::Owned(text.to_owned());
        let (account, region) = (owned(account), owned(region));
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let found = match table {
            Some(table) => STREAMS.scan_from(read, &(account, region, owned(table)), after),
            None => STREAMS.scan_from(read, &(account, region), after),
        };
        found.map(|row| row.map(|(key, info)| Stream { key, info }))
    }

    /// The stream with this key.
    pub(crate) fn find(
        read: &impl Read,
        key: StreamKey<'static>,
    ) -> Result<Option<Stream>, RowError> {
        let info = STREAMS.get(read, &key)?;
        Ok(info.map(|info| Stream { key, info }))
    }

    pub(crate) fn parse_arn(arn: &str) -> Option<StreamKey<'static>> {
        parse_arn(arn)
    }

    pub(crate) fn arn(&self) -> String {
        stream_arn(&self.key)
    }

    pub(crate) fn region(&self) -> &str {
        &self.key.1
    }

    pub(crate) fn table(&self) -> &str {
        &self.key.2
    }

    pub(crate) fn label(&self) -> &str {
        &self.key.3
    }

    pub(crate) fn key_schema(&self) -> Vec<cumulog_model::dynamodb::KeySchemaElement> {
        let keys: &[KeyRow] = &self.info.keys;
        tables::key_schema(keys)
    }

    /// Its shards, the oldest first.
    pub(crate) fn shards(&self, read: &impl Read) -> Result<Vec<Shard>, RowError> {
        let stream = self.info.number;
        SHARDS
            .scan(read, &(stream,))
            .map(|row| {
                row.map(|((_, number), row)| Shard {
                    stream,
                    number,
                    row,
                })
            })
            .collect()
    }
}

impl Shard {
    /// The records from a sequence on, trimmed or not.
    pub(crate) fn records<'r>(
        &self,
        read: &'r impl Read,
        from: Sequence,
    ) -> impl Iterator<Item = Result<Record, RowError>> + 'r {
        let records = records(read, self.stream, self.number, from);
        records.map(|record| record.and_then(|(sequence, row)| Record::decode(sequence, row)))
    }

    /// The sequence that the next record will not be below.
    pub(crate) fn end(&self, read: &impl Read) -> Result<Sequence, RowError> {
        super::end_of(read, self.stream, self.number, &self.row)
    }

    /// The lowest sequence that is not too old to be read.
    pub(crate) fn horizon(now_ms: i64) -> Sequence {
        Sequence::at(now_ms - RETENTION_MS)
    }
}

impl Record {
    fn decode(sequence: Sequence, row: &[u8]) -> Result<Record, RowError> {
        let row = RecordRow::decode(row)?;
        let image = |row: Option<&serde_bytes::Bytes>| row.map(|row| ItemRow::decode(row));
        let keys = ItemRow::decode(row.keys)?;
        let (old, new) = (image(row.old).transpose()?, image(row.new).transpose()?);
        let bytes = |row: &ItemRow| u64::from(row.bytes);
        Ok(Record {
            sequence,
            created_ms: row.created_ms,
            event: match row.event {
                EventRow::Insert => "INSERT",
                EventRow::Modify => "MODIFY",
                EventRow::Remove => "REMOVE",
            },
            expired: row.expired,
            bytes: bytes(&keys) + old.iter().chain(&new).map(bytes).sum::<u64>(),
            keys: keys.item,
            old: old.map(|row| row.item),
            new: new.map(|row| row.item),
        })
    }
}
