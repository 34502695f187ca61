//! PutItem, GetItem, UpdateItem and DeleteItem.
//!
//! A write first does all that needs no table: it checks, parses and encodes. The transaction, which runs alone, then
//! looks at the stored item, tests the condition and writes. The parts are shared with batches and transactions.

use cumulog_engine::{Txn, View};
use cumulog_model::dynamodb as model;
use cumulog_shape::Map;
use model::{
    ConditionalOperator, DeleteItemInput, DeleteItemOutput, ExpectedAttributeValue, GetItemInput,
    GetItemOutput, PutItemInput, PutItemOutput, ReturnValue, ReturnValuesOnConditionCheckFailure,
    UpdateItemInput, UpdateItemOutput,
};

use super::capacity::{Consumed, Detail};
use super::error::{Error, ValidationError};
use super::expression::{
    Condition, Path, Placeholders, Projection, Update, check_placeholders, extract, parse_parameter,
};
use super::legacy;
use super::rows::ItemRow;
use super::schema::{Table, index_type_mismatch};
use super::size::ITEM_BYTES_MAX;
use super::value::{self, Item, Value};
use super::write::{self, Author, NewItem};
use crate::call::Call;
use crate::failure::Failure;

/// Writes an item, replacing the one with the same key.
pub(crate) async fn put_item(
    call: Call,
    mut input: PutItemInput,
) -> Result<PutItemOutput, Failure> {
    value::check_item(&mut input.item)?;
    write::check_return_values(input.return_values.as_ref())?;
    let new = new_item(&input.item)?;
    check_expected(input.expected.as_mut(), input.conditional_operator.as_ref())?;
    check_placeholders(
        input.expression_attribute_names.as_ref(),
        input.expression_attribute_values.as_mut(),
    )?;
    let condition = write_condition(
        input.condition_expression.as_deref(),
        input.expression_attribute_names.as_ref(),
        input.expression_attribute_values.as_ref(),
        legacy::expected_condition(input.expected.as_ref(), input.conditional_operator.as_ref()),
    )?;
    let detail = Detail::of(input.return_consumed_capacity.as_ref());
    let returns_old = input.return_values == Some(ReturnValue::AllOld);
    let put = Put {
        new,
        condition,
        on_failure: returns_item(input.return_values_on_condition_check_failure.as_ref()),
    };
    let (table_name, metrics) = (
        &input.table_name,
        input.return_item_collection_metrics.as_ref(),
    );
    call.commit(|txn| {
        let table = Table::open(&call, txn, table_name)?;
        let before = put.run(&call, txn, &table, returns_old)?;
        let old = before.as_ref().map(|row| &row.item);
        let sizes = (
            before.as_ref().map_or(0, |row| row.bytes as usize),
            put.new.bytes,
        );
        let consumed = (detail != Detail::None)
            .then(|| Consumed::write(&table, old, Some(put.new.item), sizes));
        Ok::<_, Error>(PutItemOutput {
            consumed_capacity: consumed
                .and_then(|consumed| consumed.describe(table_name, detail, None)),
            item_collection_metrics: write::collection_metrics(&table, put.new.item, metrics),
            attributes: before.map(|row| row.item).filter(|_| returns_old),
        })
    })
    .await
}

/// A put that needs only its table.
pub(crate) struct Put<'a> {
    pub(crate) new: NewItem<'a>,
    pub(crate) condition: Option<Condition<'a>>,
    pub(crate) on_failure: bool,
}

impl Put<'_> {
    /// Writes the item; returns what it replaced.
    pub(crate) fn run(
        &self,
        call: &Call,
        txn: &mut Txn,
        table: &Table,
        whole: bool,
    ) -> Result<Option<ItemRow>, Error> {
        table.check_item(self.new.item)?;
        let key = table.item_key(self.new.item);
        let before = write::load_before(txn, table, &key, whole || self.condition.is_some())?;
        require(self.condition.as_ref(), before.as_ref(), self.on_failure)?;
        let change = (before.as_ref(), Some(&self.new));
        write::replace(call, txn, table, &key, change, Author::Client)?;
        Ok(before)
    }
}

/// An item as it will be stored, unless it is too large.
pub(crate) fn new_item(item: &Item) -> Result<NewItem<'_>, ValidationError> {
    NewItem::new_within(item, ITEM_BYTES_MAX)
        .ok_or_else(|| ValidationError::new("Item size has exceeded the maximum allowed size"))
}

/// Deletes an item; it is no error if there is none.
pub(crate) async fn delete_item(
    call: Call,
    mut input: DeleteItemInput,
) -> Result<DeleteItemOutput, Failure> {
    value::check_item(&mut input.key)?;
    write::check_return_values(input.return_values.as_ref())?;
    check_expected(input.expected.as_mut(), input.conditional_operator.as_ref())?;
    check_placeholders(
        input.expression_attribute_names.as_ref(),
        input.expression_attribute_values.as_mut(),
    )?;
    let condition = write_condition(
        input.condition_expression.as_deref(),
        input.expression_attribute_names.as_ref(),
        input.expression_attribute_values.as_ref(),
        legacy::expected_condition(input.expected.as_ref(), input.conditional_operator.as_ref()),
    )?;
    let detail = Detail::of(input.return_consumed_capacity.as_ref());
    let returns_old = input.return_values == Some(ReturnValue::AllOld);
    let delete = Delete {
        key: &input.key,
        condition,
        on_failure: returns_item(input.return_values_on_condition_check_failure.as_ref()),
    };
    let (table_name, metrics) = (
        &input.table_name,
        input.return_item_collection_metrics.as_ref(),
    );
    call.commit(|txn| {
        let table = Table::open(&call, txn, table_name)?;
        let before = delete.run(&call, txn, &table, returns_old)?;
        let sizes = (before.as_ref().map_or(0, |row| row.bytes as usize), 0);
        let consumed = (detail != Detail::None)
            .then(|| Consumed::write(&table, before.as_ref().map(|row| &row.item), None, sizes));
        Ok::<_, Error>(DeleteItemOutput {
            consumed_capacity: consumed
                .and_then(|consumed| consumed.describe(table_name, detail, None)),
            item_collection_metrics: write::collection_metrics(&table, delete.key, metrics),
            attributes: before.map(|row| row.item).filter(|_| returns_old),
        })
    })
    .await
}

/// A delete that needs only its table.
pub(crate) struct Delete<'a> {
    pub(crate) key: &'a Item,
    pub(crate) condition: Option<Condition<'a>>,
    pub(crate) on_failure: bool,
}

impl Delete<'_> {
    /// Deletes the item; returns what it was.
    pub(crate) fn run(
        &self,
        call: &Call,
        txn: &mut Txn,
        table: &Table,
        whole: bool,
    ) -> Result<Option<ItemRow>, Error> {
        let key = table.checked_key(self.key)?;
        let before = write::load_before(txn, table, &key, whole || self.condition.is_some())?;
        require(self.condition.as_ref(), before.as_ref(), self.on_failure)?;
        write::replace(
            call,
            txn,
            table,
            &key,
            (before.as_ref(), None),
            Author::Client,
        )?;
        Ok(before)
    }
}

/// Changes an item, or makes one from its key.
pub(crate) async fn update_item(
    call: Call,
    mut input: UpdateItemInput,
) -> Result<UpdateItemOutput, Failure> {
    value::check_item(&mut input.key)?;
    legacy::check_attribute_updates(input.attribute_updates.as_mut())?;
    check_expected(input.expected.as_mut(), input.conditional_operator.as_ref())?;
    check_placeholders(
        input.expression_attribute_names.as_ref(),
        input.expression_attribute_values.as_mut(),
    )?;
    let update = Change::parse(&input)?;
    let detail = Detail::of(input.return_consumed_capacity.as_ref());
    let (table_name, metrics) = (
        &input.table_name,
        input.return_item_collection_metrics.as_ref(),
    );
    let return_values = input.return_values.as_ref();
    call.commit(|txn| {
        let table = Table::open(&call, txn, table_name)?;
        let Changed {
            before,
            after,
            bytes,
        } = update.run(&call, txn, &table)?;
        let old = before.as_ref().map(|row| &row.item);
        let sizes = (before.as_ref().map_or(0, |row| row.bytes as usize), bytes);
        let consumed =
            (detail != Detail::None).then(|| Consumed::write(&table, old, after.as_ref(), sizes));
        Ok::<_, Error>(UpdateItemOutput {
            consumed_capacity: consumed
                .and_then(|consumed| consumed.describe(table_name, detail, None)),
            item_collection_metrics: write::collection_metrics(&table, update.key, metrics),
            attributes: update.returned(return_values, before.map(|row| row.item), after),
        })
    })
    .await
}

/// An update that needs only its table.
pub(crate) struct Change<'a> {
    pub(crate) key: &'a Item,
    pub(crate) update: Option<Update<'a>>,
    pub(crate) condition: Option<Condition<'a>>,
    pub(crate) on_failure: bool,
}

/// What an update did. Nothing comes after only if there was nothing and it removed from it.
pub(crate) struct Changed {
    pub(crate) before: Option<ItemRow>,
    pub(crate) after: Option<Item>,
    pub(crate) bytes: usize,
}

impl<'a> Change<'a> {
    fn parse(input: &'a UpdateItemInput) -> Result<Change<'a>, ValidationError> {
        let (update, condition) = update_expressions(
            input.update_expression.as_deref(),
            input.condition_expression.as_deref(),
            input.expression_attribute_names.as_ref(),
            input.expression_attribute_values.as_ref(),
        )?;
        Ok(Change {
            key: &input.key,
            update: update.or_else(|| {
                input
                    .attribute_updates
                    .as_ref()
                    .map(legacy::attribute_updates)
            }),
            condition: condition.or_else(|| {
                legacy::expected_condition(
                    input.expected.as_ref(),
                    input.conditional_operator.as_ref(),
                )
            }),
            on_failure: returns_item(input.return_values_on_condition_check_failure.as_ref()),
        })
    }

    /// Changes the item.
    pub(crate) fn run(&self, call: &Call, txn: &mut Txn, table: &Table) -> Result<Changed, Error> {
        let key = table.checked_key(self.key)?;
        self.check_against(table)?;
        let before = write::load_before(txn, table, &key, true)?;
        require(self.condition.as_ref(), before.as_ref(), self.on_failure)?;
        let removes = self.update.as_ref().is_some_and(Update::only_removes);
        if before.is_none() && removes {
            return Ok(Changed {
                before,
                after: None,
                bytes: 0,
            });
        }
        let mut after = before
            .as_ref()
            .map_or_else(|| self.key.clone(), |row| row.item.clone());
        if let Some(update) = &self.update {
            update.apply(&mut after, before.is_some())?;
            value::check_depth(&after)?;
            let changed = |name: &str| update.paths().any(|path| path.head() == name);
            table.check_index_key_types(&after, changed)?;
            table.check_index_keys(&after, changed)?;
        }
        let new = NewItem::new_within(&after, ITEM_BYTES_MAX).ok_or_else(|| {
            ValidationError::new("Item size to update has exceeded the maximum allowed size")
        })?;
        let bytes = new.bytes;
        let change = (before.as_ref(), Some(&new));
        write::replace(call, txn, table, &key, change, Author::Client)?;
        Ok(Changed {
            before,
            after: Some(after),
            bytes,
        })
    }

    /// What can be said of the update once the table's keys are known.
    fn check_against(&self, table: &Table) -> Result<(), ValidationError> {
        let Some(update) = &self.update else {
            return Ok(());
        };
        for key in table.keys() {
            if update.paths().any(|path| path.head() == key.name) {
                return Err(ValidationError::invalid(format!(
                    "Cannot update attribute {}. This attribute is part of the key",
                    key.name
                )));
            }
        }
        for index in &table.indexes {
            for (attribute, _) in index.keys() {
                let wanted = |path: &Path<'_>| !path.is_nested() && path.head() == attribute.name;
                let found = update.actions.iter().find(|action| wanted(action.path()));
                if let Some(actual) = found.and_then(|action| action.static_type())
                    && actual != attribute.kind.name()
                {
                    return Err(index_type_mismatch(index, attribute, actual));
                }
            }
        }
        check_key_paths(table, update.all_paths().into_iter())
    }

    /// What the client asked to see of the change.
    fn returned(
        &self,
        wanted: Option<&ReturnValue>,
        before: Option<Item>,
        after: Option<Item>,
    ) -> Option<Item> {
        let changed = |item: &Item| {
            self.update
                .as_ref()
                .map(|update| extract(item, update.paths()))
        };
        let returned = match wanted {
            Some(ReturnValue::AllOld) => before,
            Some(ReturnValue::AllNew) => after,
            Some(ReturnValue::UpdatedOld) => before.as_ref().and_then(changed),
            Some(ReturnValue::UpdatedNew) => after.as_ref().and_then(changed),
            _ => None,
        };
        returned.filter(|item| !item.is_empty())
    }
}

/// Reads one item.
pub(crate) fn get_item(
    call: &Call,
    view: &View,
    mut input: GetItemInput,
) -> Result<GetItemOutput, Error> {
    value::check_item(&mut input.key)?;
    legacy::check_attributes_to_get(input.attributes_to_get.as_ref())?;
    let projection = read_projection(
        input.projection_expression.as_deref(),
        input.expression_attribute_names.as_ref(),
        input.attributes_to_get.as_deref(),
    )?;
    let table = Table::open(call, view, &input.table_name)?;
    let key = table.checked_key(&input.key)?;
    check_projection(&table, projection.as_ref())?;
    let row = write::load(view, &key)?;
    let bytes = row.as_ref().map_or(0, |row| row.bytes as usize);
    let detail = Detail::of(input.return_consumed_capacity.as_ref());
    let consumed = Consumed::read(bytes, input.consistent_read == Some(true));
    Ok(GetItemOutput {
        item: row.map(|row| projected(row.item, projection.as_ref())),
        consumed_capacity: consumed.describe(&input.table_name, detail, None),
    })
}

/// The projection of a read that has no other expression.
pub(crate) fn read_projection<'a>(
    expression: Option<&'a str>,
    names: Option<&'a Map<String>>,
    attributes: Option<&'a [String]>,
) -> Result<Option<Projection<'a>>, ValidationError> {
    check_placeholders(names, None)?;
    let placeholders = Placeholders::new(names, None);
    let parsed = parse_parameter(
        "ProjectionExpression",
        expression,
        &placeholders,
        Projection::parse,
    )?;
    placeholders.check_all_used()?;
    Ok(parsed.or_else(|| {
        attributes.map(|names| Projection::attributes(names.iter().map(String::as_str)))
    }))
}

pub(crate) fn check_projection(
    table: &Table,
    projection: Option<&Projection<'_>>,
) -> Result<(), ValidationError> {
    projection.map_or(Ok(()), |projection| {
        check_key_paths(table, projection.paths().iter())
    })
}

pub(crate) fn projected(item: Item, projection: Option<&Projection<'_>>) -> Item {
    match projection {
        Some(projection) => projection.apply(item),
        None => item,
    }
}

/// Keys are scalars: nothing leads into them.
pub(crate) fn check_key_paths<'p, 'a: 'p>(
    table: &Table,
    paths: impl Iterator<Item = &'p Path<'a>>,
) -> Result<(), ValidationError> {
    let refuse = |what: &str, name: &str| {
        Err(ValidationError::new(format!(
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: {what}: {name}"
        )))
    };
    let nested: Vec<&str> = paths
        .filter(|path| path.is_nested())
        .map(Path::head)
        .collect();
    if nested.is_empty() {
        return Ok(());
    }
    if let Some(key) = table.keys().find(|key| nested.contains(&key.name.as_str())) {
        return refuse("Key", &key.name);
    }
    let mut index_keys = table.indexes.iter().flat_map(|index| index.keys());
    match index_keys.find(|(key, _)| nested.contains(&key.name.as_str())) {
        Some((key, _)) => refuse("IndexKey", &key.name),
        None => Ok(()),
    }
}

/// The condition of a write, by expression or by legacy parameter.
pub(crate) fn write_condition<'a>(
    expression: Option<&'a str>,
    names: Option<&'a Map<String>>,
    values: Option<&'a Map<Value>>,
    expected: Option<Condition<'a>>,
) -> Result<Option<Condition<'a>>, ValidationError> {
    if expression.is_none() && names.is_none() && values.is_none() {
        return Ok(expected);
    }
    let placeholders = Placeholders::new(names, values);
    let condition = parse_parameter(
        "ConditionExpression",
        expression,
        &placeholders,
        Condition::parse,
    )?;
    placeholders.check_all_used()?;
    Ok(condition)
}

/// The expressions of an update, which share their placeholders.
pub(crate) fn update_expressions<'a>(
    update: Option<&'a str>,
    condition: Option<&'a str>,
    names: Option<&'a Map<String>>,
    values: Option<&'a Map<Value>>,
) -> Result<(Option<Update<'a>>, Option<Condition<'a>>), ValidationError> {
    let placeholders = Placeholders::new(names, values);
    let update = parse_parameter("UpdateExpression", update, &placeholders, Update::parse)?;
    let condition = parse_parameter(
        "ConditionExpression",
        condition,
        &placeholders,
        Condition::parse,
    )?;
    placeholders.check_all_used()?;
    Ok((update, condition))
}

/// Fails if the condition does not hold for what is stored.
pub(crate) fn require(
    condition: Option<&Condition<'_>>,
    before: Option<&ItemRow>,
    return_item: bool,
) -> Result<(), Error> {
    static NOTHING: Item = Item::new();
    let holds =
        condition.is_none_or(|condition| condition.holds(before.map_or(&NOTHING, |row| &row.item)));
    if holds {
        return Ok(());
    }
    Err(Error::ConditionFailed(
        before.filter(|_| return_item).map(|row| row.item.clone()),
    ))
}

pub(crate) fn returns_item(parameter: Option<&ReturnValuesOnConditionCheckFailure>) -> bool {
    parameter == Some(&ReturnValuesOnConditionCheckFailure::AllOld)
}

fn check_expected(
    expected: Option<&mut Map<ExpectedAttributeValue>>,
    operator: Option<&ConditionalOperator>,
) -> Result<(), ValidationError> {
    legacy::check_conditional_operator(
        operator,
        expected.as_ref().map_or(0, |expected| expected.len()),
    )?;
    legacy::check_expected(expected)
}
