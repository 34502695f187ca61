//! Consumed capacity, as AWS computes it.
//!
//! A write costs a unit for each started kilobyte of the larger of the old and new item, an index one for each started
//! kilobyte of every entry that is written or removed. A read costs a unit for each started 4 KB, half if eventually
//! consistent; a query or scan adds up sizes before it rounds. Transactions cost twice.

use cumulog_model::dynamodb::{Capacity, ConsumedCapacity, ReturnConsumedCapacity};
use cumulog_shape::Map;

use super::schema::{Index, Table};
use super::size::item_size;
use super::value::{Item, equal};

/// How much a client wants to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    None,
    Total,
    Indexes,
}

impl Detail {
    pub(crate) fn of(parameter: Option<&ReturnConsumedCapacity>) -> Detail {
        match parameter {
            Some(ReturnConsumedCapacity::Total) => Detail::Total,
            Some(ReturnConsumedCapacity::Indexes) => Detail::Indexes,
            _ => Detail::None,
        }
    }
}

/// Units consumed of a table and its indexes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Consumed {
    pub(crate) table: f64,
    /// By name; whether the index is global.
    pub(crate) indexes: Vec<(String, bool, f64)>,
}

/// What a transaction did besides: its units are told apart as read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transactional {
    Read,
    Write,
}

impl Consumed {
    /// Of reading `bytes` of a table.
    pub(crate) fn read(bytes: usize, consistent: bool) -> Consumed {
        Consumed {
            table: read_units(bytes, consistent),
            indexes: vec![],
        }
    }

    /// Of reading `bytes` of an index, and others of the table for what the index lacks.
    pub(crate) fn read_index(
        index: &Index,
        bytes: usize,
        table_units: f64,
        consistent: bool,
    ) -> Consumed {
        let units = read_units(bytes, consistent);
        Consumed {
            table: table_units,
            indexes: vec![(index.name.clone(), index.global, units)],
        }
    }

    /// Of replacing one item by another; no item at all is `None`.
    pub(crate) fn write(
        table: &Table,
        before: Option<&Item>,
        after: Option<&Item>,
        bytes: (usize, usize),
    ) -> Consumed {
        let indexes = table.indexes.iter().filter_map(|index| {
            let units = index_write_units(table, index, before, after);
            (units > 0.0).then(|| (index.name.clone(), index.global, units))
        });
        Consumed {
            table: write_units(bytes.0.max(bytes.1)),
            indexes: indexes.collect(),
        }
    }

    pub(crate) fn add(&mut self, other: Consumed) {
        self.table += other.table;
        for (name, global, units) in other.indexes {
            match self.indexes.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, _, sum)) => *sum += units,
                None => self.indexes.push((name, global, units)),
            }
        }
    }

    pub(crate) fn doubled(mut self) -> Consumed {
        self.table *= 2.0;
        self.indexes
            .iter_mut()
            .for_each(|(_, _, units)| *units *= 2.0);
        self
    }

    /// The part of an answer; `table` is the name as the client wrote it.
    pub(crate) fn describe(
        &self,
        table: &str,
        detail: Detail,
        transactional: Option<Transactional>,
    ) -> Option<ConsumedCapacity> {
        if detail == Detail::None {
            return None;
        }
        let capacity = |units: f64| Capacity {
            capacity_units: Some(units),
            read_capacity_units: (transactional == Some(Transactional::Read)).then_some(units),
            write_capacity_units: (transactional == Some(Transactional::Write)).then_some(units),
        };
        let total =
            capacity(self.table + self.indexes.iter().map(|(_, _, units)| units).sum::<f64>());
        let of_kind = |global: bool| -> Option<Map<Capacity>> {
            let indexes: Map<Capacity> = self
                .indexes
                .iter()
                .filter(|(_, is_global, _)| *is_global == global && detail == Detail::Indexes)
                .map(|(name, _, units)| (name.clone(), capacity(*units)))
                .collect();
            (!indexes.is_empty()).then_some(indexes)
        };
        Some(ConsumedCapacity {
            table_name: Some(table.to_owned()),
            capacity_units: total.capacity_units,
            read_capacity_units: total.read_capacity_units,
            write_capacity_units: total.write_capacity_units,
            table: (detail == Detail::Indexes).then(|| capacity(self.table)),
            local_secondary_indexes: of_kind(false),
            global_secondary_indexes: of_kind(true),
            ..ConsumedCapacity::default()
        })
    }
}

fn units(bytes: usize, block_bytes: usize) -> f64 {
    bytes.div_ceil(block_bytes).max(1) as f64
}

pub(crate) fn write_units(bytes: usize) -> f64 {
    units(bytes, 1024)
}

pub(crate) fn read_units(bytes: usize, consistent: bool) -> f64 {
    units(bytes, 4096) * if consistent { 1.0 } else { 0.5 }
}

fn entry<'i>(table: &Table, index: &Index, item: Option<&'i Item>) -> Option<(Vec<u8>, &'i Item)> {
    item.and_then(|item| Some((index.entry_key(table, item)?, item)))
}

fn index_write_units(
    table: &Table,
    index: &Index,
    before: Option<&Item>,
    after: Option<&Item>,
) -> f64 {
    let (before, after) = (entry(table, index, before), entry(table, index, after));
    let size = |item: &Item| write_units(index.projected_size(table, item, item_size(item)));
    match (before, after) {
        (None, None) => 0.0,
        (Some((_, item)), None) | (None, Some((_, item))) => size(item),
        (Some((old_key, old)), Some((new_key, new))) if old_key != new_key => size(old) + size(new),
        (Some((_, old)), Some((_, new))) => {
            let (old, new) = (
                index.project(table, old.clone()),
                index.project(table, new.clone()),
            );
            let same = old.len() == new.len()
                && old
                    .iter()
                    .all(|(name, value)| new.get(name).is_some_and(|other| equal(value, other)));
            if same {
                0.0
            } else {
                write_units(item_size(&old).max(item_size(&new)))
            }
        }
    }
}
