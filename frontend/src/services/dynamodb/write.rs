//! Replacing one item by another, with all that hangs on it: index entries and counts, in the same transaction.

use cumulog_engine::{Read, Txn};
use cumulog_model::dynamodb::{ItemCollectionMetrics, ReturnItemCollectionMetrics, ReturnValue};
use serde_bytes::ByteBuf;

use super::error::{Error, ValidationError};
use super::rows::{INDEX, ITEMS, IndexRow, ItemRow, STATS, StatsRow};
use super::schema::Table;
use super::size::item_size;
use super::streams::{self, Change};
use super::ttl;
use super::value::Item;
use crate::call::Call;

/// The item at a place.
pub(crate) fn load(read: &impl Read, key: &[u8]) -> Result<Option<ItemRow>, Error> {
    Ok(read.get(ITEMS, key).map(ItemRow::decode).transpose()?)
}

/// The item that a write is about to replace. Its attributes are decoded only if the caller needs them, or something is
/// derived from them; else they are left empty.
pub(crate) fn load_before(
    txn: &Txn,
    table: &Table,
    key: &[u8],
    whole: bool,
) -> Result<Option<ItemRow>, Error> {
    if whole || table.derives() {
        return load(txn, key);
    }
    let size = txn.get(ITEMS, key).map(ItemRow::decode_size).transpose()?;
    Ok(size.map(|bytes| ItemRow {
        bytes,
        item: Item::new(),
    }))
}

/// A checked item, ready to be stored.
#[derive(Debug)]
pub(crate) struct NewItem<'i> {
    pub(crate) item: &'i Item,
    pub(crate) bytes: usize,
    pub(crate) row: Vec<u8>,
}

impl<'i> NewItem<'i> {
    /// `None`: the item is larger than `bytes_max`.
    pub(crate) fn new_within(item: &'i Item, bytes_max: usize) -> Option<NewItem<'i>> {
        let bytes = item_size(item);
        (bytes <= bytes_max).then(|| NewItem {
            item,
            bytes,
            row: ItemRow::encode(item, bytes),
        })
    }
}

/// Who wants a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    Client,
    /// The item's time to live is over.
    Expiry,
}

/// Puts `after` in the place of `before`; `None` is no item.
pub(crate) fn replace(
    call: &Call,
    txn: &mut Txn,
    table: &Table,
    key: &[u8],
    (before, after): (Option<&ItemRow>, Option<&NewItem<'_>>),
    author: Author,
) -> Result<(), Error> {
    if let Some(stream) = &table.row.stream {
        let stored = txn.get(ITEMS, key).map(<[u8]>::to_vec);
        let change = Change {
            before: before
                .zip(stored.as_deref())
                .map(|(before, row)| (&before.item, row)),
            after: after.map(|new| (new.item, &*new.row)),
            expired: author == Author::Expiry,
        };
        streams::record(call, txn, table, stream, &change)?;
    }
    let items = (before.map(|row| &row.item), after.map(|new| new.item));
    ttl::replace_entry(call, txn, table, key, items)?;
    match after {
        Some(new) => txn.put(ITEMS, key, &new.row),
        None if before.is_none() => return Ok(()),
        None => {
            txn.delete(ITEMS, key);
        }
    }
    let stats_key = (table.row.number,);
    let stats = STATS.get(txn, &stats_key)?.unwrap_or_default();
    let mut changed = stats.clone();
    count(
        &mut changed.total,
        before.map(|row| row.bytes as usize),
        after.map(|new| new.bytes),
    );
    if !table.indexes.is_empty() {
        replace_entries(txn, table, key, before, after, &mut changed);
    }
    if changed != stats {
        STATS.put(txn, &stats_key, &changed);
    }
    Ok(())
}

fn replace_entries(
    txn: &mut Txn,
    table: &Table,
    key: &[u8],
    before: Option<&ItemRow>,
    after: Option<&NewItem<'_>>,
    stats: &mut StatsRow,
) {
    for index in &table.indexes {
        let old = before.and_then(|row| Some((index.entry_key(table, &row.item)?, row)));
        // One that is not filled yet lacks entries.
        let old = old.filter(|(entry, _)| !index.filling || txn.get(INDEX, entry).is_some());
        let new = after.and_then(|new| Some((index.entry_key(table, new.item)?, new)));
        let slot = index.number as usize;
        if stats.indexes.len() <= slot {
            stats.indexes.resize(slot + 1, Default::default());
        }
        count(
            &mut stats.indexes[slot],
            old.as_ref()
                .map(|(_, row)| index.projected_size(table, &row.item, row.bytes as usize)),
            new.as_ref()
                .map(|(_, new)| index.projected_size(table, new.item, new.bytes)),
        );
        let (old, new) = (old.map(|(key, _)| key), new.map(|(key, _)| key));
        if old == new {
            continue;
        }
        if let Some(old) = old {
            txn.delete(INDEX, &old);
        }
        if let Some(new) = new {
            let row = IndexRow {
                item: ByteBuf::from(key),
            };
            txn.put(
                INDEX,
                &new,
                &rmp_serde::to_vec(&row).expect("an index row serializes"),
            );
        }
    }
}

fn count(row: &mut super::rows::CountRow, before: Option<usize>, after: Option<usize>) {
    row.items = row.items + u64::from(after.is_some()) - u64::from(before.is_some()).min(row.items);
    row.bytes = (row.bytes + after.unwrap_or(0) as u64).saturating_sub(before.unwrap_or(0) as u64);
}

/// PutItem and DeleteItem return the old item or nothing.
pub(crate) fn check_return_values(values: Option<&ReturnValue>) -> Result<(), ValidationError> {
    match values {
        None | Some(ReturnValue::None | ReturnValue::AllOld) => Ok(()),
        Some(_) => Err(ValidationError::new(
            "ReturnValues can only be ALL_OLD or NONE",
        )),
    }
}

/// The size of an item collection, which only tables with local indexes have. AWS estimates; so do we, roughly.
pub(crate) fn collection_metrics(
    table: &Table,
    item: &Item,
    wanted: Option<&ReturnItemCollectionMetrics>,
) -> Option<ItemCollectionMetrics> {
    if wanted != Some(&ReturnItemCollectionMetrics::Size) || !table.has_local_indexes() {
        return None;
    }
    let value = item.get(&table.hash.name)?.clone();
    Some(ItemCollectionMetrics {
        item_collection_key: Some([(table.hash.name.clone(), value)].into_iter().collect()),
        size_estimate_range_gb: Some(vec![0.0, 1.0]),
    })
}
