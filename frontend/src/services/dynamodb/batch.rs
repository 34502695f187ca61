//! BatchWriteItem and BatchGetItem. A batch is written in one transaction, which is more than AWS promises.

use std::collections::BTreeSet;

use cumulog_engine::View;
use cumulog_model::dynamodb as model;
use cumulog_shape::Map;
use model::{
    BatchGetItemInput, BatchGetItemOutput, BatchWriteItemInput, BatchWriteItemOutput,
    ConsumedCapacity, ItemCollectionMetrics, KeysAndAttributes, WriteRequest,
};

use super::capacity::{Consumed, Detail};
use super::error::{Error, ValidationError};
use super::expression::Projection;
use super::items::{Delete, Put, check_projection, new_item, projected, read_projection};
use super::legacy::{self, Parameters};
use super::schema::Table;
use super::value;
use super::write;
use crate::call::Call;
use crate::failure::Failure;

const WRITES_MAX: usize = 25;
const READS_MAX: usize = 100;
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

fn duplicates() -> ValidationError {
    ValidationError::new("Provided list of item keys contains duplicates")
}

/// Puts and deletes up to 25 items, of any tables.
pub(crate) async fn batch_write_item(
    call: Call,
    mut input: BatchWriteItemInput,
) -> Result<BatchWriteItemOutput, Failure> {
    check_writes(&mut input)?;
    let tables = input
        .request_items
        .iter()
        .map(|(table, requests)| {
            Ok((
                table,
                requests
                    .iter()
                    .map(prepare)
                    .collect::<Result<Vec<_>, _>>()?,
            ))
        })
        .collect::<Result<Vec<_>, ValidationError>>()?;
    let detail = Detail::of(input.return_consumed_capacity.as_ref());
    let metrics = input.return_item_collection_metrics.as_ref();
    call.commit(|txn| {
        let mut output = BatchWriteItemOutput {
            unprocessed_items: Some(Map::new()),
            ..Default::default()
        };
        let mut all_metrics: Map<Vec<ItemCollectionMetrics>> = Map::new();
        let mut capacities = Vec::new();
        for (name, writes) in &tables {
            let table = Table::open(&call, txn, name)?;
            check_keys(&table, writes)?;
            let mut consumed = Consumed::default();
            let mut collections = Vec::new();
            for write in writes {
                consumed.add(write.run(&call, txn, &table, detail)?);
                collections.extend(write::collection_metrics(&table, write.keys(), metrics));
            }
            capacities.extend(consumed.describe(name, detail, None));
            if !collections.is_empty() {
                all_metrics.insert(*name, collections);
            }
        }
        output.consumed_capacity = (detail != Detail::None).then_some(capacities);
        output.item_collection_metrics = (!all_metrics.is_empty()).then_some(all_metrics);
        Ok::<_, Error>(output)
    })
    .await
}

/// What can be said of a batch without its tables.
fn check_writes(input: &mut BatchWriteItemInput) -> Result<(), ValidationError> {
    if input.request_items.values().map(Vec::len).sum::<usize>() > WRITES_MAX {
        return Err(ValidationError::new(
            "Too many items requested for the BatchWriteItem call",
        ));
    }
    for (_, requests) in input.request_items.iter_mut() {
        if requests
            .iter()
            .any(|request| request.put_request.is_some() == request.delete_request.is_some())
        {
            return Err(ValidationError::new(
                "Supplied AttributeValue has more than one datatypes set, \
                 must contain exactly one of the supported datatypes",
            ));
        }
        for request in requests {
            if let Some(put) = &mut request.put_request {
                value::check_item(&mut put.item)?;
            }
            if let Some(delete) = &mut request.delete_request {
                value::check_item(&mut delete.key)?;
            }
        }
    }
    Ok(())
}

enum Write<'a> {
    Put(Put<'a>),
    Delete(Delete<'a>),
}

fn prepare(request: &WriteRequest) -> Result<Write<'_>, ValidationError> {
    match (&request.put_request, &request.delete_request) {
        (Some(put), _) => Ok(Write::Put(Put {
            new: new_item(&put.item)?,
            condition: None,
            on_failure: false,
        })),
        (None, Some(delete)) => Ok(Write::Delete(Delete {
            key: &delete.key,
            condition: None,
            on_failure: false,
        })),
        (None, None) => unreachable!("each request was checked to be one or the other"),
    }
}

impl Write<'_> {
    /// The item or key, either of which has the key attributes.
    fn keys(&self) -> &value::Item {
        match self {
            Write::Put(put) => put.new.item,
            Write::Delete(delete) => delete.key,
        }
    }

    fn run(
        &self,
        call: &Call,
        txn: &mut cumulog_engine::Txn,
        table: &Table,
        detail: Detail,
    ) -> Result<Consumed, Error> {
        let whole = detail != Detail::None;
        let (before, after, bytes) = match self {
            Write::Put(put) => (
                put.run(call, txn, table, whole)?,
                Some(put.new.item),
                put.new.bytes,
            ),
            Write::Delete(delete) => (delete.run(call, txn, table, whole)?, None, 0),
        };
        if !whole {
            return Ok(Consumed::default());
        }
        let sizes = (before.as_ref().map_or(0, |row| row.bytes as usize), bytes);
        Ok(Consumed::write(
            table,
            before.as_ref().map(|row| &row.item),
            after,
            sizes,
        ))
    }
}

/// Every key fits the table, and none comes twice.
fn check_keys(table: &Table, writes: &[Write<'_>]) -> Result<(), ValidationError> {
    let mut seen = BTreeSet::new();
    for write in writes {
        let key = match write {
            Write::Delete(delete) => table.checked_key(delete.key)?,
            Write::Put(put) => {
                if !table.keys().all(|key| {
                    put.new
                        .item
                        .get(&key.name)
                        .is_some_and(|value| key.kind.fits(value))
                }) {
                    return Err(ValidationError::new(
                        "The provided key element does not match the schema",
                    ));
                }
                table.check_item(put.new.item)?;
                table.item_key(put.new.item)
            }
        };
        if !seen.insert(key) {
            return Err(duplicates());
        }
    }
    Ok(())
}

/// Reads up to 100 items, of any tables.
pub(crate) fn batch_get_item(
    call: &Call,
    view: &View,
    mut input: BatchGetItemInput,
) -> Result<BatchGetItemOutput, Error> {
    let mut count = 0;
    for (_, request) in input.request_items.iter_mut() {
        check_reads(request, &mut count)?;
    }
    let requests = input
        .request_items
        .iter()
        .map(|(name, request)| Ok((name, request, projection_of(request)?)))
        .collect::<Result<Vec<_>, ValidationError>>()?;
    let detail = Detail::of(input.return_consumed_capacity.as_ref());
    let mut read = Reads {
        call,
        view,
        detail,
        bytes: 0,
        responses: Map::new(),
        unprocessed: Map::new(),
        capacities: vec![],
    };
    for (name, request, projection) in &requests {
        read.table(name, request, projection.as_ref())?;
    }
    Ok(BatchGetItemOutput {
        responses: Some(read.responses),
        unprocessed_keys: Some(read.unprocessed),
        consumed_capacity: (detail != Detail::None).then_some(read.capacities),
    })
}

fn check_reads(request: &mut KeysAndAttributes, count: &mut usize) -> Result<(), ValidationError> {
    Parameters {
        expressions: &[(
            "ProjectionExpression",
            request.projection_expression.is_some(),
        )],
        legacy: &[("AttributesToGet", request.attributes_to_get.is_some())],
        names: request.expression_attribute_names.is_some(),
        values: false,
    }
    .check()?;
    legacy::check_attributes_to_get(request.attributes_to_get.as_ref())?;
    projection_of(request)?;
    let mut seen = BTreeSet::new();
    for key in &mut request.keys {
        value::check_item(key)?;
        let mut attributes: Vec<(&str, String)> = key
            .iter()
            .map(|(name, value)| (name, value::printed(value)))
            .collect();
        attributes.sort_unstable();
        if !seen.insert(attributes) {
            return Err(duplicates());
        }
        *count += 1;
        if *count > READS_MAX {
            return Err(ValidationError::new(
                "Too many items requested for the BatchGetItem call",
            ));
        }
    }
    Ok(())
}

fn projection_of(request: &KeysAndAttributes) -> Result<Option<Projection<'_>>, ValidationError> {
    read_projection(
        request.projection_expression.as_deref(),
        request.expression_attribute_names.as_ref(),
        request.attributes_to_get.as_deref(),
    )
}

struct Reads<'a> {
    call: &'a Call,
    view: &'a View,
    detail: Detail,
    bytes: usize,
    responses: Map<Vec<value::Item>>,
    unprocessed: Map<KeysAndAttributes>,
    capacities: Vec<ConsumedCapacity>,
}

impl Reads<'_> {
    fn table(
        &mut self,
        name: &str,
        request: &KeysAndAttributes,
        projection: Option<&Projection<'_>>,
    ) -> Result<(), Error> {
        let table = Table::open(self.call, self.view, name)?;
        let keys = request
            .keys
            .iter()
            .map(|key| table.checked_key(key))
            .collect::<Result<Vec<_>, _>>()?;
        check_projection(&table, projection)?;
        let mut consumed = Consumed::default();
        let mut items = Vec::new();
        let mut left = Vec::new();
        for (place, key) in keys.iter().zip(&request.keys) {
            let row = write::load(self.view, place)?;
            let bytes = row.as_ref().map_or(0, |row| row.bytes as usize);
            if self.bytes + bytes > ANSWER_BYTES_MAX {
                left.push(key.clone());
                continue;
            }
            self.bytes += bytes;
            consumed.add(Consumed::read(bytes, request.consistent_read == Some(true)));
            items.extend(row.map(|row| projected(row.item, projection)));
        }
        self.responses.insert(name, items);
        self.capacities
            .extend(consumed.describe(name, self.detail, None));
        if !left.is_empty() {
            self.unprocessed.insert(
                name,
                KeysAndAttributes {
                    keys: left,
                    ..request.clone()
                },
            );
        }
        Ok(())
    }
}
