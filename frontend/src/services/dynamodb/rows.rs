//! What DynamoDB keeps in the store. All of this is a format on disk: append fields with a default, never reorder.
//!
//! ```text
//! 0x0200 dynamodb/tables     account, region, name                            TableRow
//! 0x0201 dynamodb/items      table number, placement, partition key, sort key  ItemRow
//! 0x0202 dynamodb/index      table number, index number, …                     IndexRow
//! 0x0203 dynamodb/stats      table number                                      StatsRow
//! 0x0204 dynamodb/sequence   ()                                                the last table number
//! 0x0205 dynamodb/tokens     account, region, client token                     TokenRow
//! 0x0206 dynamodb/expiry     time done, account, region, client token          ()
//! 0x0207 dynamodb/streams    account, region, table name, label                StreamInfoRow
//! 0x0208 dynamodb/shards     stream number, shard                              ShardRow
//! 0x0209 dynamodb/records    stream number, shard, sequence                    RecordRow
//! 0x020a dynamodb/expiries   table number, time, the rest of the item's key        nothing
//! 0x020b dynamodb/fills      table number, index number                        FillRow
//! 0x02f0 0x02f1              the jobs: see [`crate::jobs`]
//! ```
//!
//! A table's number is never given twice, so a table that is deleted and made again does not see old items, and
//! deleting one is one effect for each key space, however many items it holds. The keys of items and index entries are
//! made by [`super::key`].

use std::borrow::Cow;
use std::fmt;

use cumulog_engine::{RowError, Space, Table};
use serde::de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeTuple};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

use super::number::Number;
use super::value::{Item, Value};
use crate::jobs::Jobs;
use crate::tables::TableVisitor;

/// Keyed by account, region and name.
pub(crate) type TableKey<'a> = (Cow<'a, str>, Cow<'a, str>, Cow<'a, str>);

/// Keyed by account, region, the table's name, and the label.
pub(crate) type StreamKey<'a> = (Cow<'a, str>, Cow<'a, str>, Cow<'a, str>, Cow<'a, str>);

pub(crate) const TABLES: Table<TableKey<'static>, TableRow> =
    Table::new(Space::new(0x0200, "dynamodb/tables"));
pub(crate) const ITEMS: Space = Space::new(0x0201, "dynamodb/items");
pub(crate) const INDEX: Space = Space::new(0x0202, "dynamodb/index");
pub(crate) const STATS: Table<(u64,), StatsRow> = Table::new(Space::new(0x0203, "dynamodb/stats"));
pub(crate) const SEQUENCE: Table<(), u64> = Table::new(Space::new(0x0204, "dynamodb/sequence"));
pub(crate) const TOKENS: Table<(String, String, String), TokenRow> =
    Table::new(Space::new(0x0205, "dynamodb/tokens"));

/// The tokens by age, so that old ones are found.
pub(crate) const TOKEN_TIMES: Table<(i64, String, String, String), ()> =
    Table::new(Space::new(0x0206, "dynamodb/expiry"));

/// Also of tables that are gone, for as long as their streams can be read.
pub(crate) const STREAMS: Table<StreamKey<'static>, StreamInfoRow> =
    Table::new(Space::new(0x0207, "dynamodb/streams"));

/// A stream's shards by their number; the one that is open is the last.
pub(crate) const SHARDS: Table<(u64, u32), ShardRow> =
    Table::new(Space::new(0x0208, "dynamodb/shards"));
pub(crate) const RECORDS: Space = Space::new(0x0209, "dynamodb/records");

/// Items by the time at which they go.
pub(crate) const EXPIRIES: Space = Space::new(0x020a, "dynamodb/expiries");
pub(crate) const FILLS: Table<(u64, u32), FillRow> =
    Table::new(Space::new(0x020b, "dynamodb/fills"));

pub(crate) const JOBS: Jobs = Jobs::new(
    Space::new(0x02f0, "dynamodb/jobs"),
    Space::new(0x02f1, "dynamodb/job-times"),
);

/// All key spaces of DynamoDB.
pub(crate) const SPACES: &[Space] = &[
    TABLES.space(),
    ITEMS,
    INDEX,
    STATS.space(),
    SEQUENCE.space(),
    TOKENS.space(),
    TOKEN_TIMES.space(),
    STREAMS.space(),
    SHARDS.space(),
    RECORDS,
    EXPIRIES,
    FILLS.space(),
    JOBS.spaces()[0],
    JOBS.spaces()[1],
];

/// Shows every table.
pub(crate) fn each_table(visitor: &impl TableVisitor) {
    visitor.on(TABLES);
    visitor.raw(ITEMS, |row| ItemRow::decode(row).map(drop));
    visitor.raw(INDEX, |row| IndexRow::decode(row).map(drop));
    visitor.on(STATS);
    visitor.on(SEQUENCE);
    visitor.on(TOKENS);
    visitor.on(TOKEN_TIMES);
    visitor.on(STREAMS);
    visitor.on(SHARDS);
    visitor.raw(RECORDS, |row| RecordRow::decode(row)?.check());
    visitor.raw(EXPIRIES, |row| match row {
        [] => Ok(()),
        _ => Err(RowError {
            space: EXPIRIES.name,
            reason: "it is not empty".into(),
        }),
    });
    visitor.on(FILLS);
    JOBS.each_table(visitor);
}

/// A table: its schema, and what its owner set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TableRow {
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) created_ms: i64,
    pub(crate) attributes: Vec<AttributeRow>,
    pub(crate) keys: Vec<KeyRow>,
    pub(crate) local_indexes: Vec<IndexDefinitionRow>,
    pub(crate) global_indexes: Vec<IndexDefinitionRow>,
    pub(crate) throughput: ThroughputRow,
    pub(crate) stream: Option<StreamRow>,
    pub(crate) encryption: Option<EncryptionRow>,
    pub(crate) table_class: Option<String>,
    pub(crate) deletion_protection: bool,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) resource_policy: Option<String>,
    /// No index that is made later gets a lower number; 0 in rows from before indexes could be.
    #[serde(default)]
    pub(crate) next_index: u32,
    /// The label of its latest stream, if that is off.
    #[serde(default)]
    pub(crate) former_stream: Option<String>,
    #[serde(default)]
    pub(crate) time_to_live: Option<TimeToLiveRow>,
    /// When its policy changed last; 0: when it was made.
    #[serde(default)]
    pub(crate) policy_revision_ms: i64,
    #[serde(default)]
    pub(crate) insights: Vec<InsightsRow>,
    /// When its class was changed last.
    #[serde(default)]
    pub(crate) class_since_ms: Option<i64>,
}

impl TableRow {
    /// The label of the stream that it has, or had last.
    pub(crate) fn latest_stream(&self) -> Option<&str> {
        let current = self.stream.as_ref().map(|stream| stream.label.as_str());
        current.or(self.former_stream.as_deref())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct AttributeRow {
    pub(crate) name: String,
    pub(crate) kind: KeyKind,
}

/// The types that a key attribute can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyKind {
    S,
    N,
    B,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeyRow {
    pub(crate) name: String,
    pub(crate) role: KeyRole,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyRole {
    Hash,
    Range,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct IndexDefinitionRow {
    /// Part of the keys of its entries; never given twice in one table.
    pub(crate) number: u32,
    pub(crate) name: String,
    pub(crate) keys: Vec<KeyRow>,
    pub(crate) projection: ProjectionRow,
    /// Global indexes only.
    pub(crate) throughput: ThroughputRow,
    /// It lacks entries of items from before it was made.
    #[serde(default)]
    pub(crate) filling: bool,
}

/// What an index offers besides the keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ProjectionRow {
    KeysOnly,
    Include(Vec<String>),
    All,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ThroughputRow {
    pub(crate) on_demand: bool,
    pub(crate) read_units: i64,
    pub(crate) write_units: i64,
    pub(crate) on_demand_read_max: Option<i64>,
    pub(crate) on_demand_write_max: Option<i64>,
    pub(crate) warm_read: Option<i64>,
    pub(crate) warm_write: Option<i64>,
    /// When it became on demand, if not with its table. It stays when that ends.
    #[serde(default)]
    pub(crate) on_demand_since_ms: Option<i64>,
    #[serde(default)]
    pub(crate) increased_ms: Option<i64>,
    #[serde(default)]
    pub(crate) decreased_ms: Option<i64>,
    /// Decreases on the day of the last.
    #[serde(default)]
    pub(crate) decreases: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StreamRow {
    pub(crate) view: String,
    pub(crate) label: String,
    /// 0 in rows from before streams could be read: such a stream begins with the next change.
    #[serde(default)]
    pub(crate) number: u64,
}

/// Whether a table, or one of its indexes, has contributor insights, or had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct InsightsRow {
    pub(crate) index: Option<String>,
    pub(crate) enabled: bool,
    pub(crate) mode: String,
    pub(crate) updated_ms: i64,
}

/// By which attribute items expire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TimeToLiveRow {
    pub(crate) attribute: String,
}

/// How far something that goes through all items of a table has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FillRow {
    /// The key of the last item that it has seen.
    pub(crate) last: ByteBuf,
}

/// A stream, which may outlive its table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StreamInfoRow {
    /// Of the same sequence as the tables' numbers.
    pub(crate) number: u64,
    pub(crate) created_ms: i64,
    pub(crate) view: String,
    /// The table's, for when it is gone.
    pub(crate) keys: Vec<KeyRow>,
    /// When it was turned off.
    pub(crate) ended_ms: Option<i64>,
    #[serde(default)]
    pub(crate) policy: Option<String>,
    #[serde(default)]
    pub(crate) policy_revision_ms: i64,
}

/// A run of a stream's records; see [`super::streams`] for what a sequence is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ShardRow {
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    pub(crate) started_ms: i64,
    /// No record has a lower sequence.
    pub(crate) start: u64,
    /// The last record's sequence, once the shard is closed; its start if there is none.
    pub(crate) end: Option<u64>,
    /// The records up to this one are gone.
    pub(crate) trimmed: u64,
}

/// What happened to an item. The images are rows of items, and there as far as the stream's view wants them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordRow<'a> {
    pub(crate) created_ms: i64,
    pub(crate) event: EventRow,
    /// Nobody asked for it: the item's time to live was over.
    pub(crate) expired: bool,
    #[serde(borrow)]
    pub(crate) keys: &'a serde_bytes::Bytes,
    #[serde(borrow)]
    pub(crate) old: Option<&'a serde_bytes::Bytes>,
    #[serde(borrow)]
    pub(crate) new: Option<&'a serde_bytes::Bytes>,
}

impl<'a> RecordRow<'a> {
    pub(crate) fn decode(row: &'a [u8]) -> Result<RecordRow<'a>, RowError> {
        rmp_serde::from_slice(row).map_err(|error| RowError {
            space: RECORDS.name,
            reason: error.to_string(),
        })
    }

    /// Whether its items can be read, too.
    fn check(&self) -> Result<(), RowError> {
        let mut items = self.old.into_iter().chain(self.new).chain([self.keys]);
        items.try_for_each(|item| ItemRow::decode(item).map(drop))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EventRow {
    Insert,
    Modify,
    Remove,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EncryptionRow {
    pub(crate) kms_key: String,
}

/// How much a table and each of its indexes hold; the indexes by their number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StatsRow {
    pub(crate) total: CountRow,
    pub(crate) indexes: Vec<CountRow>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct CountRow {
    pub(crate) items: u64,
    pub(crate) bytes: u64,
}

/// A transaction that was done under a client's token, so that a retry does not do it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TokenRow {
    pub(crate) done_ms: i64,
    /// SHA-256 of what was asked.
    pub(crate) request: ByteBuf,
}

/// An entry of an index leads to the key of its item.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct IndexRow {
    pub(crate) item: ByteBuf,
}

/// An item as it is stored: its size as AWS counts it, then the attributes.
///
/// ```text
/// S              text                  N              an integer, or [0, text]
/// B              binary                SS NS BS       [1, [text…]]  [2, [text…]]  [3, [binary…]]
/// BOOL           boolean               L              [4, [value…]]
/// NULL           nil                   M              map
/// ```
#[derive(Debug)]
pub(crate) struct ItemRow {
    pub(crate) bytes: u32,
    pub(crate) item: Item,
}

impl IndexRow {
    pub(crate) fn decode(row: &[u8]) -> Result<IndexRow, RowError> {
        rmp_serde::from_slice(row).map_err(|error| RowError {
            space: INDEX.name,
            reason: error.to_string(),
        })
    }
}

impl ItemRow {
    pub(crate) fn decode(row: &[u8]) -> Result<ItemRow, RowError> {
        let (bytes, StoredItem(item)) = decode(row)?;
        Ok(ItemRow { bytes, item })
    }

    /// The size alone, without making the attributes.
    pub(crate) fn decode_size(row: &[u8]) -> Result<u32, RowError> {
        decode::<(u32, IgnoredAny)>(row).map(|(bytes, _)| bytes)
    }

    /// An item of this size as a row.
    pub(crate) fn encode(item: &Item, bytes: usize) -> Vec<u8> {
        let mut row = Vec::with_capacity(bytes + 16 * item.len() + 16);
        let size = u32::try_from(bytes).expect("items are at most 400 KB");
        rmp_serde::encode::write(&mut row, &(size, BorrowedItem(item))).expect("items serialize");
        row
    }
}

/// Lists take two levels each, and items nest 32 deep: a row that goes beyond is broken, and must not take our stack.
const ROW_DEPTH_MAX: usize = 80;

fn decode<'r, T: Deserialize<'r>>(row: &'r [u8]) -> Result<T, RowError> {
    let mut deserializer = rmp_serde::Deserializer::from_read_ref(row);
    deserializer.set_max_depth(ROW_DEPTH_MAX);
    T::deserialize(&mut deserializer).map_err(|error| RowError {
        space: ITEMS.name,
        reason: error.to_string(),
    })
}

const DECIMAL: u8 = 0;
const STRING_SET: u8 = 1;
const NUMBER_SET: u8 = 2;
const BINARY_SET: u8 = 3;
const LIST: u8 = 4;

struct BorrowedItem<'a>(&'a Item);

struct BorrowedValue<'a>(&'a Value);

impl Serialize for BorrowedItem<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.0.iter() {
            map.serialize_entry(name, &BorrowedValue(value))?;
        }
        map.end()
    }
}

impl Serialize for BorrowedValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::S(text) => serializer.serialize_str(text),
            Value::N(number) => match number.parse::<i64>() {
                Ok(integer) => serializer.serialize_i64(integer),
                Err(_) => tagged(serializer, DECIMAL, number),
            },
            Value::B(bytes) => serializer.serialize_bytes(bytes),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Null(_) => serializer.serialize_unit(),
            Value::Ss(members) => tagged(serializer, STRING_SET, members),
            Value::Ns(members) => tagged(serializer, NUMBER_SET, members),
            Value::Bs(members) => {
                let members: Vec<&serde_bytes::Bytes> = members
                    .iter()
                    .map(|member| serde_bytes::Bytes::new(member))
                    .collect();
                tagged(serializer, BINARY_SET, &members)
            }
            Value::L(elements) => {
                let elements: Vec<BorrowedValue<'_>> = elements.iter().map(BorrowedValue).collect();
                tagged(serializer, LIST, &elements)
            }
            Value::M(members) => BorrowedItem(members).serialize(serializer),
        }
    }
}

fn tagged<S: Serializer>(
    serializer: S,
    tag: u8,
    content: &impl Serialize,
) -> Result<S::Ok, S::Error> {
    let mut tuple = serializer.serialize_tuple(2)?;
    tuple.serialize_element(&tag)?;
    tuple.serialize_element(content)?;
    tuple.end()
}

struct StoredItem(Item);

struct StoredValue(Value);

impl<'de> Deserialize<'de> for StoredItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ItemVisitor).map(StoredItem)
    }
}

impl<'de> Deserialize<'de> for StoredValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(StoredValue)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the attributes of an item")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Item, A::Error> {
        attributes(map)
    }
}

/// The size that a row claims is trusted only as far as a small item goes.
fn attributes<'de, A: MapAccess<'de>>(mut map: A) -> Result<Item, A::Error> {
    let mut item = Item::with_capacity(map.size_hint().unwrap_or(0).min(64));
    while let Some((name, StoredValue(value))) = map.next_entry::<String, StoredValue>()? {
        item.append(name, value);
    }
    Ok(item)
}

/// A number as text; what is stored is computed with, so it must be one.
fn number<E: de::Error>(text: String) -> Result<String, E> {
    match Number::parse(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(E::custom(error)),
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::S(text.to_owned()))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::B(bytes.to_vec().into()))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null(true))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::N(itoa::Buffer::new().format(number).to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::N(itoa::Buffer::new().format(number).to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        attributes(map).map(Value::M)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let tag: u8 = seq
            .next_element()?
            .ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let missing = || de::Error::invalid_length(1, &"a tag and a value");
        Ok(match tag {
            DECIMAL => Value::N(number(seq.next_element()?.ok_or_else(missing)?)?),
            STRING_SET => Value::Ss(seq.next_element()?.ok_or_else(missing)?),
            NUMBER_SET => {
                let members: Vec<String> = seq.next_element()?.ok_or_else(missing)?;
                Value::Ns(members.into_iter().map(number).collect::<Result<_, _>>()?)
            }
            BINARY_SET => {
                let members: Vec<ByteBuf> = seq.next_element()?.ok_or_else(missing)?;
                Value::Bs(
                    members
                        .into_iter()
                        .map(|member| member.into_vec().into())
                        .collect(),
                )
            }
            LIST => {
                let elements: Vec<StoredValue> = seq.next_element()?.ok_or_else(missing)?;
                Value::L(
                    elements
                        .into_iter()
                        .map(|StoredValue(value)| value)
                        .collect(),
                )
            }
            other => {
                return Err(de::Error::invalid_value(
                    de::Unexpected::Unsigned(other.into()),
                    &"a tag up to 4",
                ));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(value: Value) {
        let item: Item = [("name", value)].into_iter().collect();
        let row = ItemRow::encode(&item, 12);
        assert_eq!(ItemRow::decode_size(&row).unwrap(), 12);
        assert_eq!(ItemRow::decode(&row).unwrap().item, item);
    }

    #[test]
    fn every_kind_of_value_comes_back() {
        check(Value::S("é".into()));
        for number in [
            "0",
            "-1",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "1.5",
        ] {
            check(Value::N(number.into()));
        }
        check(Value::B(vec![0, 255].into()));
        check(Value::Bool(true));
        check(Value::Null(true));
        check(Value::Ss(vec!["a".into(), "".into()]));
        check(Value::Ns(vec!["1".into(), "2.5".into()]));
        check(Value::Bs(vec![vec![1].into(), vec![].into()]));
        check(Value::L(vec![]));
        check(Value::L(vec![
            Value::S("a".into()),
            Value::L(vec![Value::Null(true)]),
        ]));
        check(Value::M(
            [("k", Value::M(Item::new()))].into_iter().collect(),
        ));
    }

    /// Rows are a format: these bytes must decode for ever.
    #[test]
    fn the_bytes_of_a_row_are_pinned() {
        let item: Item = [
            ("id", Value::S("a".into())),
            ("n", Value::N("7".into())),
            ("d", Value::N("0.5".into())),
        ]
        .into_iter()
        .collect();
        let row = ItemRow::encode(&item, 9);
        assert_eq!(row, b"\x92\x09\x83\xa2id\xa1a\xa1n\x07\xa1d\x92\x00\xa30.5");
    }

    /// Rows of the first version, which knew fewer fields.
    #[test]
    fn older_rows_of_tables_are_read() {
        type Old = (u64, String, i64, Vec<AttributeRow>, Vec<KeyRow>);
        type Rest = (
            Vec<IndexDefinitionRow>,
            Vec<IndexDefinitionRow>,
            ThroughputRow,
            Option<(String, String)>,
        );
        let old: Old = (7, "id".into(), 5, vec![], vec![]);
        let stream = ("KEYS_ONLY".to_owned(), "label".to_owned());
        let rest: Rest = (vec![], vec![], ThroughputRow::default(), Some(stream));
        let row = rmp_serde::to_vec(&(
            old.0,
            old.1,
            old.2,
            old.3,
            old.4,
            rest.0,
            rest.1,
            rest.2,
            rest.3,
            (),
            (),
            false,
            Vec::<(String, String)>::new(),
            (),
        ))
        .expect("it serializes");
        let row: TableRow = rmp_serde::from_slice(&row).expect("it decodes");
        assert_eq!((row.number, row.created_ms), (7, 5));
        let stream = row.stream.as_ref().expect("it is there");
        assert_eq!((&*stream.label, stream.number), ("label", 0));
        assert_eq!(row.latest_stream(), Some("label"));
        assert_eq!((row.former_stream, row.time_to_live), (None, None));
    }

    /// What streams are kept as: these bytes must decode for ever.
    #[test]
    fn the_bytes_of_stream_rows_are_pinned() {
        let shard = ShardRow {
            id: "s".into(),
            parent: None,
            started_ms: 1,
            start: 2,
            end: Some(3),
            trimmed: 4,
        };
        let bytes = rmp_serde::to_vec(&shard).expect("it serializes");
        assert_eq!(bytes, b"\x96\xa1s\xc0\x01\x02\x03\x04");
        let stream = StreamInfoRow {
            number: 1,
            created_ms: 2,
            view: "V".into(),
            keys: vec![KeyRow {
                name: "k".into(),
                role: KeyRole::Hash,
            }],
            ended_ms: None,
            policy: None,
            policy_revision_ms: 0,
        };
        let bytes = rmp_serde::to_vec(&stream).expect("it serializes");
        assert_eq!(bytes, b"\x97\x01\x02\xa1V\x91\x92\xa1k\xa4Hash\xc0\xc0\x00");
        let earlier = b"\x95\x01\x02\xa1V\x91\x92\xa1k\xa4Hash\xc0";
        assert_eq!(
            rmp_serde::from_slice::<StreamInfoRow>(earlier).expect("it decodes"),
            stream
        );
        let record = RecordRow {
            created_ms: 1,
            event: EventRow::Remove,
            expired: true,
            keys: serde_bytes::Bytes::new(b"k"),
            old: Some(serde_bytes::Bytes::new(b"o")),
            new: None,
        };
        let bytes = rmp_serde::to_vec(&record).expect("it serializes");
        assert_eq!(bytes, b"\x96\x01\xa6Remove\xc3\xc4\x01k\xc4\x01o\xc0");
        let again = RecordRow::decode(&bytes).expect("it decodes");
        assert_eq!(format!("{again:?}"), format!("{record:?}"));
    }

    proptest! {
        /// Bytes that are no row are refused, not believed; what decodes can be used.
        #[test]
        fn any_bytes_are_a_row_or_refused(mut row in proptest::collection::vec(any::<u8>(), 0..200), whole: bool) {
            if whole {
                row.splice(..0, *b"\x92\x09\x81\xa1k");
            }
            if let Ok(ItemRow { item, .. }) = ItemRow::decode(&row) {
                super::super::size::item_size(&item);
            }
        }
    }

    #[test]
    fn a_row_that_nests_without_end_is_refused() {
        let deep = [
            b"\x92\x09\x81\xa1k".as_slice(),
            &b"\x92\x04\x91".repeat(10_000),
        ]
        .concat();
        assert!(ItemRow::decode(&deep).is_err());
        assert!(ItemRow::decode_size(&deep).is_err());
    }
}
