//! One page of a query or scan: from a table or one of its indexes, filtered, projected, cut at Limit and 1 MB.

use std::ops::Bound;

use cumulog_engine::{Read, View};
use cumulog_model::dynamodb::{self as model, Select};

use super::capacity::{Consumed, Detail, read_units};
use super::error::{Error, ValidationError};
use super::expression::{Condition, Projection};
use super::items::{check_key_paths, check_projection, projected};
use super::key;
use super::rows::{INDEX, ITEMS, IndexRow, ItemRow, ProjectionRow};
use super::schema::{Index, KeyAttribute, Table};
use super::size::page_size;
use super::value::{self, Item};
use super::write;

/// A page holds items of this size, and the one that goes over it.
const PAGE_BYTES_MAX: usize = 1024 * 1024;

/// What Query and Scan have in common.
pub(crate) struct Page<'a> {
    pub(crate) view: &'a View,
    pub(crate) table: &'a Table,
    pub(crate) index: Option<&'a Index>,
    pub(crate) filter: Option<Condition<'a>>,
    pub(crate) projection: Option<Projection<'a>>,
    pub(crate) select: Option<Select>,
    pub(crate) limit: usize,
    pub(crate) consistent: bool,
    pub(crate) backwards: bool,
}

/// What a page found.
#[derive(Default)]
pub(crate) struct Found {
    /// `None`: only counted.
    pub(crate) items: Option<Vec<Item>>,
    pub(crate) count: i32,
    pub(crate) scanned: i32,
    /// Where the next page starts, if this one was cut.
    pub(crate) last_key: Option<Item>,
    pub(crate) consumed: Consumed,
}

/// The index that a read names.
pub(crate) fn open_index<'t>(
    table: &'t Table,
    name: Option<&str>,
    consistent: bool,
) -> Result<Option<&'t Index>, ValidationError> {
    let Some(name) = name else {
        return Ok(None);
    };
    let index = table.index(name)?;
    if index.filling {
        return Err(ValidationError::new(format!(
            "Cannot read from backfilling global secondary index: {name}"
        )));
    }
    if index.global && consistent {
        return Err(ValidationError::new(
            "Consistent reads are not supported on global secondary indexes",
        ));
    }
    Ok(Some(index))
}

/// Select, and what else says which attributes to get, must agree.
pub(crate) fn check_select(
    select: Option<&Select>,
    index: Option<&str>,
    expression: bool,
    attributes: bool,
) -> Result<(), ValidationError> {
    let parameter = match (expression, attributes) {
        (true, _) => Some("ProjectionExpression"),
        (false, true) => Some("AttributesToGet"),
        (false, false) => None,
    };
    match (select, parameter) {
        (Some(Select::SpecificAttributes), None) => Err(ValidationError::new(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES",
        )),
        (Some(select), Some(parameter)) if *select != Select::SpecificAttributes => {
            let chosen = match select {
                Select::Count => "only the Count",
                select => select.as_str(),
            };
            Err(ValidationError::new(format!(
                "Cannot specify the {parameter} when choosing to get {chosen}"
            )))
        }
        (Some(Select::AllProjectedAttributes), _) if index.is_none() => Err(ValidationError::new(
            "ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName",
        )),
        _ => Ok(()),
    }
}

/// Checks a starting key by itself and normalises its numbers.
pub(crate) fn check_start_key(start: Option<&mut Item>) -> Result<(), ValidationError> {
    // AWS says where a wrong value stands for some kinds of wrong, and for others not.
    const BARE: [&str; 5] = [
        "contains duplicates",
        "number set",
        "numeric value",
        "significant digits",
        "number with magnitude",
    ];
    start.map_or(Ok(()), value::check_item).map_err(|error| {
        if BARE.iter().any(|words| error.message().contains(words)) {
            error
        } else {
            error.prefixed("The provided starting key is invalid: ")
        }
    })
}

impl<'a> Page<'a> {
    /// What the places of all items of the table, or all entries of the index, start with.
    pub(crate) fn prefix(&self) -> Vec<u8> {
        match self.index {
            Some(index) => key::index_prefix(self.table.row.number, index.number),
            None => key::table_prefix(self.table.row.number).to_vec(),
        }
    }

    /// Whether a partition may hold several items.
    pub(crate) fn has_sort_key(&self) -> bool {
        self.index.is_some() || self.table.range.is_some()
    }

    /// The attributes of a starting key: the index's, then the table's.
    pub(crate) fn start_attributes(&self) -> Vec<&'a KeyAttribute> {
        let index = self
            .index
            .into_iter()
            .flat_map(|index| index.keys().map(|(key, _)| key));
        let mut attributes: Vec<&KeyAttribute> = Vec::new();
        for key in index.chain(self.table.keys()) {
            if !attributes.iter().any(|known| known.name == key.name) {
                attributes.push(key);
            }
        }
        attributes
    }

    /// The place that a checked starting key leads to.
    pub(crate) fn start_place(&self, start: &Item) -> Vec<u8> {
        match self.index {
            Some(index) => index.start_key(self.table, start),
            None => self.table.item_key(start),
        }
    }

    /// A starting key must be a key of the table as well.
    pub(crate) fn check_table_key(&self, start: &Item) -> Result<(), ValidationError> {
        let key: Item = self
            .table
            .keys()
            .filter_map(|key| Some((key.name.clone(), start.get(&key.name)?.clone())))
            .collect();
        match self.table.checked_key(&key) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.prefixed("The provided starting key is invalid: ")),
        }
    }

    /// Whether the index lacks attributes that are asked for, so that each item must be fetched from the table.
    pub(crate) fn check_fetch(&self) -> Result<bool, ValidationError> {
        let Some(index) = self
            .index
            .filter(|index| index.projection != ProjectionRow::All)
        else {
            return Ok(false);
        };
        let unprojected: Vec<&str> = match &self.projection {
            Some(projection) => projection
                .paths()
                .iter()
                .map(|path| path.head())
                .filter(|name| !self.offers(index, name))
                .collect(),
            None => vec![],
        };
        if index.global && self.select == Some(Select::AllAttributes) {
            return Err(ValidationError::invalid(format!(
                "Select type ALL_ATTRIBUTES is not supported for global secondary index {} because its projection \
                 type is not ALL",
                index.name
            )));
        }
        if index.global && !unprojected.is_empty() {
            return Err(ValidationError::invalid(format!(
                "Global secondary index {} does not project [{}]",
                index.name,
                unprojected.join(", ")
            )));
        }
        Ok(self.select == Some(Select::AllAttributes) || !unprojected.is_empty())
    }

    fn offers(&self, index: &Index, name: &str) -> bool {
        self.table.is_key(name)
            || index.is_key(name)
            || matches!(&index.projection, ProjectionRow::Include(names) if names.iter().any(|n| n == name))
    }

    pub(crate) fn check_projection_paths(&self) -> Result<(), ValidationError> {
        check_projection(self.table, self.projection.as_ref())
    }

    pub(crate) fn check_filter_paths(&self) -> Result<(), ValidationError> {
        let mut paths = Vec::new();
        if let Some(filter) = &self.filter {
            filter.visit_paths(&mut |path| paths.push(path));
        }
        check_key_paths(self.table, paths.into_iter())
    }

    /// Reads the page between two places.
    pub(crate) fn read(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        fetch: bool,
    ) -> Result<Found, Error> {
        let space = if self.index.is_some() { INDEX } else { ITEMS };
        let mut range = self.view.range(space, from, to);
        let mut found = Found {
            items: (self.select != Some(Select::Count)).then(Vec::new),
            ..Found::default()
        };
        let (mut bytes, mut page_bytes, mut fetched_units) = (0, 0, 0.0);
        let sort_key = self.table.range.as_ref().map(|key| key.name.as_str());
        loop {
            let next = if self.backwards {
                range.next_back()
            } else {
                range.next()
            };
            let Some((_, row)) = next else {
                break;
            };
            let (item, size, units) = self.item(row, fetch)?;
            bytes += size;
            page_bytes += page_size(&item, sort_key);
            fetched_units += units;
            found.scanned += 1;
            let full = found.scanned as usize >= self.limit || page_bytes >= PAGE_BYTES_MAX;
            if full {
                found.last_key = Some(self.key_of(&item));
            }
            if self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.holds(&item))
            {
                found.count += 1;
                if let Some(items) = &mut found.items {
                    items.push(projected(item, self.projection.as_ref()));
                }
            }
            if full {
                break;
            }
        }
        found.consumed = match self.index {
            None => Consumed::read(bytes, self.consistent),
            Some(index) => Consumed::read_index(index, bytes, fetched_units, self.consistent),
        };
        Ok(found)
    }

    /// The item behind a row, the bytes that count for the page, and what fetching it from the table cost.
    fn item(&self, row: &[u8], fetch: bool) -> Result<(Item, usize, f64), Error> {
        let Some(index) = self.index else {
            let ItemRow { bytes, item } = ItemRow::decode(row)?;
            return Ok((item, bytes as usize, 0.0));
        };
        let entry = IndexRow::decode(row)?;
        let ItemRow { bytes, item } = write::load(self.view, &entry.item)?
            .ok_or_else(|| broken_entry("it leads to no item"))?;
        let size = index.projected_size(self.table, &item, bytes as usize);
        if fetch {
            return Ok((item, size, read_units(bytes as usize, self.consistent)));
        }
        Ok((index.project(self.table, item), size, 0.0))
    }

    fn key_of(&self, item: &Item) -> Item {
        self.start_attributes()
            .into_iter()
            .filter_map(|key| Some((key.name.clone(), item.get(&key.name)?.clone())))
            .collect()
    }
}

fn broken_entry(reason: &str) -> Error {
    Error::Row(cumulog_engine::RowError {
        space: INDEX.name,
        reason: reason.to_owned(),
    })
}

impl Found {
    pub(crate) fn consumed(
        &self,
        table: &str,
        parameter: Option<&model::ReturnConsumedCapacity>,
    ) -> Option<model::ConsumedCapacity> {
        self.consumed.describe(table, Detail::of(parameter), None)
    }
}
