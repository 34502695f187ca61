//! Query: the items of one partition, or of a range of it, in the order of the sort key.

use std::ops::Bound;

use cumulog_engine::View;
use cumulog_model::dynamodb::{QueryInput, QueryOutput};

use super::error::{Error, ValidationError};
use super::expression::{
    Comparator, Condition, KeyConditions, KeyTest, Placeholders, Projection, check_placeholders,
    parse_parameter,
};
use super::key;
use super::legacy;
use super::page::{Found, Page, check_select, check_start_key, open_index};
use super::schema::{KeyAttribute, Table};
use super::value::{self, Item, Value, type_name};
use crate::call::Call;

/// Reads a page of a partition.
pub(crate) fn query(call: &Call, view: &View, mut input: QueryInput) -> Result<QueryOutput, Error> {
    check_alone(&mut input)?;
    let Parsed {
        keys,
        filter,
        projection,
    } = Parsed::new(&input)?;
    let table = Table::open(call, view, &input.table_name)?;
    let consistent = input.consistent_read == Some(true);
    let page = Page {
        view,
        table: &table,
        index: open_index(&table, input.index_name.as_deref(), consistent)?,
        filter: filter.or_else(|| {
            legacy::filter_condition(
                input.query_filter.as_ref(),
                input.conditional_operator.as_ref(),
            )
        }),
        projection,
        select: input.select.clone(),
        limit: input
            .limit
            .map_or(usize::MAX, |limit| limit.unsigned_abs() as usize),
        consistent,
        backwards: input.scan_index_forward == Some(false),
    };
    let found = read(&page, &keys, &input)?;
    Ok(QueryOutput {
        consumed_capacity: found
            .consumed(&input.table_name, input.return_consumed_capacity.as_ref()),
        count: Some(found.count),
        scanned_count: Some(found.scanned),
        last_evaluated_key: found.last_key.filter(|_| page.has_sort_key()),
        items: found.items,
    })
}

/// Checks what needs no table and normalises numbers.
fn check_alone(input: &mut QueryInput) -> Result<(), ValidationError> {
    legacy::check_conditions(input.query_filter.as_mut())?;
    legacy::check_attributes_to_get(input.attributes_to_get.as_ref())?;
    let filters = input.query_filter.as_ref().map_or(0, |filter| filter.len());
    legacy::check_conditional_operator(input.conditional_operator.as_ref(), filters)?;
    check_start_key(input.exclusive_start_key.as_mut())?;
    if input.key_conditions.is_none() && input.key_condition_expression.is_none() {
        return Err(ValidationError::new(
            "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request.",
        ));
    }
    check_select(
        input.select.as_ref(),
        input.index_name.as_deref(),
        input.projection_expression.is_some(),
        input.attributes_to_get.is_some(),
    )?;
    check_placeholders(
        input.expression_attribute_names.as_ref(),
        input.expression_attribute_values.as_mut(),
    )?;
    if input.key_condition_expression.is_none() {
        legacy::check_conditions(input.key_conditions.as_mut())?;
    }
    Ok(())
}

/// Checks the query against its table, in AWS's order, and reads.
fn read(page: &Page<'_>, keys: &KeyConditions<'_>, input: &QueryInput) -> Result<Found, Error> {
    let start = input.exclusive_start_key.as_ref();
    let partition = Partition::new(page, keys, start)?;
    if let Some(start) = start {
        page.check_table_key(start)?;
        partition.check_start(start)?;
        check_restartable(page, start)?;
    }
    page.check_projection_paths()?;
    let filter_name = if input.query_filter.is_some() {
        "QueryFilter"
    } else {
        "Filter Expression"
    };
    partition.check_filter(page, filter_name)?;
    let fetch = page.check_fetch()?;
    page.check_filter_paths()?;
    let (mut from, mut to) = partition.bounds(page);
    if let Some(start) = start {
        let place = Bound::Excluded(page.start_place(start));
        *(if page.backwards { &mut to } else { &mut from }) = place;
    }
    page.read(
        from.as_ref().map(Vec::as_slice),
        to.as_ref().map(Vec::as_slice),
        fetch,
    )
}

/// Without a sort key there is one item, after which nothing can follow.
fn check_restartable(page: &Page<'_>, start: &Item) -> Result<(), ValidationError> {
    if page.has_sort_key() {
        return Ok(());
    }
    let attributes: Vec<String> = start
        .iter()
        .map(|(name, value)| format!("{name}=AttributeValue: {}", value::printed(value)))
        .collect();
    Err(ValidationError::new(format!(
        "The provided exclusive start key is invalid: ExclusiveStartKey: {{{}}}",
        attributes.join(", ")
    )))
}

/// The expressions of a query.
struct Parsed<'a> {
    keys: KeyConditions<'a>,
    filter: Option<Condition<'a>>,
    projection: Option<Projection<'a>>,
}

impl<'a> Parsed<'a> {
    fn new(input: &'a QueryInput) -> Result<Parsed<'a>, ValidationError> {
        let placeholders = Placeholders::new(
            input.expression_attribute_names.as_ref(),
            input.expression_attribute_values.as_ref(),
        );
        let keys = parse_parameter(
            "KeyConditionExpression",
            input.key_condition_expression.as_deref(),
            &placeholders,
            KeyConditions::parse,
        )?;
        let filter = parse_parameter(
            "FilterExpression",
            input.filter_expression.as_deref(),
            &placeholders,
            Condition::parse,
        )?;
        let projection = parse_parameter(
            "ProjectionExpression",
            input.projection_expression.as_deref(),
            &placeholders,
            Projection::parse,
        )?;
        placeholders.check_all_used()?;
        let keys = match keys {
            Some(keys) => keys.map_err(ValidationError::new)?,
            None => input
                .key_conditions
                .as_ref()
                .map(legacy::key_conditions)
                .unwrap_or_default(),
        };
        check_types(&keys)?;
        let attributes = input.attributes_to_get.as_deref();
        let projection = projection.or_else(|| {
            attributes.map(|names| Projection::attributes(names.iter().map(String::as_str)))
        });
        // Only a global index may have more key attributes than two.
        if keys.conditions.is_empty() || (keys.conditions.len() > 2 && input.index_name.is_none()) {
            return Err(too_many());
        }
        Ok(Parsed {
            keys,
            filter,
            projection,
        })
    }
}

fn too_many() -> ValidationError {
    ValidationError::new("Conditions can be of length 1 or 2 only")
}

/// The operators' own rules; those of legacy conditions were checked before.
fn check_types(keys: &KeyConditions<'_>) -> Result<(), ValidationError> {
    for condition in &keys.conditions {
        for operand in condition.test.values() {
            let fits = match condition.test {
                KeyTest::BeginsWith(_) => matches!(operand, Value::S(_) | Value::B(_)),
                KeyTest::Compare(Comparator::Equal, _) => true,
                _ => value::is_ordered(operand),
            };
            if !fits {
                return Err(ValidationError::invalid(format!(
                    "ComparisonOperator {} is not valid for {} AttributeValue type",
                    condition.test.operator(),
                    type_name(operand)
                )));
            }
        }
    }
    Ok(())
}

/// The key attributes of what is queried.
struct KeyAttributes<'q> {
    hash: Vec<&'q KeyAttribute>,
    range: Vec<&'q KeyAttribute>,
}

impl<'q> KeyAttributes<'q> {
    fn of(page: &Page<'q>) -> KeyAttributes<'q> {
        match page.index {
            Some(index) => KeyAttributes {
                hash: index.hash.iter().collect(),
                range: index.range.iter().collect(),
            },
            None => KeyAttributes {
                hash: vec![&page.table.hash],
                range: page.table.range.iter().collect(),
            },
        }
    }

    /// Whether a part of the key has several attributes, which only global indexes can.
    fn is_composite(&self) -> bool {
        self.hash.len() > 1 || self.range.len() > 1
    }

    /// All of them, and whether each is part of the partition key.
    fn all(&self) -> impl Iterator<Item = (bool, &'q KeyAttribute)> {
        let hash = self.hash.iter().map(|key| (true, *key));
        hash.chain(self.range.iter().map(|key| (false, *key)))
    }

    /// An attribute without a condition: the sort key, if there is no other condition than the partition key's.
    fn check_missing(
        &self,
        is_hash: bool,
        attribute: &KeyAttribute,
        keys: &KeyConditions<'_>,
    ) -> Result<(), ValidationError> {
        self.check_supported(is_hash, attribute, keys)?;
        if is_hash || keys.conditions.len() > 1 {
            return Err(ValidationError::new(format!(
                "Query condition missed key schema element: {}",
                attribute.name
            )));
        }
        Ok(())
    }

    /// A partition key is compared for equality, and alone if it is all there is.
    fn check_supported(
        &self,
        is_hash: bool,
        attribute: &KeyAttribute,
        keys: &KeyConditions<'_>,
    ) -> Result<(), ValidationError> {
        let alone = self.range.is_empty() && keys.conditions.len() > 1;
        let unequal = keys
            .find(&attribute.name)
            .is_some_and(|test| !test.is_equality());
        if is_hash && (alone || unequal) {
            return Err(ValidationError::new("Query key condition not supported"));
        }
        Ok(())
    }
}

/// What a query looks for: equal leading key attributes, then perhaps a range of the next one.
struct Partition<'q> {
    hash: Vec<(&'q KeyAttribute, &'q Value)>,
    /// Conditions on sort attributes, in the order of the schema; all but the last are equalities.
    range: Vec<(&'q KeyAttribute, KeyTest<'q>)>,
}

impl<'q> Partition<'q> {
    fn new(
        page: &Page<'q>,
        keys: &KeyConditions<'q>,
        start: Option<&Item>,
    ) -> Result<Partition<'q>, ValidationError> {
        let schema = KeyAttributes::of(page);
        if keys.conditions.len() > 2 && !schema.is_composite() {
            return Err(too_many());
        }
        if let Some(start) = start
            && start.len() != page.start_attributes().len()
        {
            return Err(ValidationError::new("The provided starting key is invalid"));
        }
        for (is_hash, attribute) in schema.all() {
            check_start_attribute(page.table, attribute, start)?;
            match keys.find(&attribute.name) {
                Some(test) => check_test(attribute, test)?,
                None if schema.is_composite() => {}
                None => schema.check_missing(is_hash, attribute, keys)?,
            }
            if !schema.is_composite() {
                schema.check_supported(is_hash, attribute, keys)?;
            }
        }
        if schema.is_composite() {
            check_composite(&schema.hash, &schema.range, keys)?;
        }
        let hash = schema
            .hash
            .into_iter()
            .filter_map(|key| match keys.find(&key.name)? {
                KeyTest::Compare(_, value) => Some((key, *value)),
                _ => None,
            });
        let range = schema
            .range
            .into_iter()
            .filter_map(|key| Some((key, *keys.find(&key.name)?)));
        Ok(Partition {
            hash: hash.collect(),
            range: range.collect(),
        })
    }

    /// A starting key must lie where the query looks.
    fn check_start(&self, start: &Item) -> Result<(), ValidationError> {
        let same_partition = self.hash.iter().all(|(key, wanted)| {
            start
                .get(&key.name)
                .is_some_and(|found| value::equal(found, wanted))
        });
        let in_range = self.range.iter().all(|(key, test)| {
            start
                .get(&key.name)
                .is_some_and(|found| satisfies(found, test))
        });
        let message = match (self.range.is_empty(), in_range, same_partition) {
            (true, _, false) => {
                "The provided starting key is outside query boundaries based on provided conditions"
            }
            (false, false, _) => "The provided starting key does not match the range key predicate",
            (false, true, false) => "The query can return at most one row and cannot be restarted",
            (_, _, true) => return Ok(()),
        };
        Err(ValidationError::new(message))
    }

    /// A filter is for what the keys can't say.
    fn check_filter(&self, page: &Page<'_>, parameter: &str) -> Result<(), ValidationError> {
        let mut heads = Vec::new();
        if let Some(filter) = &page.filter {
            filter.visit_paths(&mut |path| heads.push(path.head()));
        }
        let key = match page.index {
            Some(index) => index
                .keys()
                .map(|(key, _)| key)
                .find(|key| heads.contains(&key.name.as_str())),
            None => page
                .table
                .keys()
                .find(|key| heads.contains(&key.name.as_str())),
        };
        match key {
            Some(key) => Err(ValidationError::new(format!(
                "{parameter} can only contain non-primary key attributes: Primary key attribute: {}",
                key.name
            ))),
            None => Ok(()),
        }
    }

    /// The places between which all that satisfies the conditions stands, and nothing else.
    fn bounds(&self, page: &Page<'_>) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let mut prefix = page.prefix();
        key::push_partition(&mut prefix, self.hash.iter().map(|(_, value)| *value));
        let mut tests = self.range.iter().map(|(_, test)| *test).peekable();
        while let Some(KeyTest::Compare(Comparator::Equal, value)) = tests.peek() {
            key::push_component(&mut prefix, value);
            tests.next();
        }
        let with = |value: &Value| {
            let mut place = prefix.clone();
            key::push_component(&mut place, value);
            place
        };
        let starting_with = |prefix: Vec<u8>| (Bound::Included(prefix.clone()), before_end(prefix));
        match tests.next() {
            None | Some(KeyTest::NotIndexable) => starting_with(prefix),
            Some(KeyTest::BeginsWith(value)) => {
                let mut start = prefix.clone();
                key::push_component_prefix(&mut start, value);
                starting_with(start)
            }
            Some(KeyTest::Between(low, high)) => {
                (Bound::Included(with(low)), before_end(with(high)))
            }
            Some(KeyTest::Compare(comparator, value)) => {
                let place = with(value);
                let (start, end) = (Bound::Included(prefix.clone()), before_end(prefix));
                match comparator {
                    Comparator::Less => (start, Bound::Excluded(place)),
                    Comparator::LessOrEqual => (start, before_end(place)),
                    Comparator::Greater => (after_all(place), end),
                    Comparator::GreaterOrEqual => (Bound::Included(place), end),
                    Comparator::Equal | Comparator::NotEqual => starting_with(place),
                }
            }
        }
    }
}

/// The end of all places that start with `prefix`.
fn before_end(prefix: Vec<u8>) -> Bound<Vec<u8>> {
    key::after(prefix).map_or(Bound::Unbounded, Bound::Excluded)
}

/// The start of all places after those that start with `prefix`.
fn after_all(prefix: Vec<u8>) -> Bound<Vec<u8>> {
    key::after(prefix).map_or(Bound::Unbounded, Bound::Included)
}

fn check_start_attribute(
    table: &Table,
    attribute: &KeyAttribute,
    start: Option<&Item>,
) -> Result<(), ValidationError> {
    let Some(start) = start else {
        return Ok(());
    };
    let value = start
        .get(&attribute.name)
        .ok_or_else(|| ValidationError::new("The provided starting key is invalid"))?;
    table.check_key_attribute(attribute, value)
}

fn check_test(attribute: &KeyAttribute, test: &KeyTest<'_>) -> Result<(), ValidationError> {
    if *test == KeyTest::NotIndexable {
        return Err(ValidationError::new(
            "Attempted conditional constraint is not an indexable operation",
        ));
    }
    if test
        .values()
        .iter()
        .any(|value| !attribute.kind.fits(value))
    {
        return Err(ValidationError::invalid(
            "Condition parameter type does not match schema type",
        ));
    }
    if let KeyTest::Compare(Comparator::Equal, value) = test {
        attribute.check_not_empty(value, "are not valid.")?;
    }
    Ok(())
}

/// The rules of keys with several attributes in a part.
fn check_composite(
    hash: &[&KeyAttribute],
    range: &[&KeyAttribute],
    keys: &KeyConditions<'_>,
) -> Result<(), ValidationError> {
    let is_equality =
        |key: &&KeyAttribute| keys.find(&key.name).is_some_and(|test| test.is_equality());
    if let Some(key) = hash.iter().find(|key| !is_equality(key)) {
        return Err(ValidationError::new(format!(
            "Query key condition not supported: every HASH key attribute needs an equality condition: {}",
            key.name
        )));
    }
    let used = range
        .iter()
        .rposition(|key| keys.find(&key.name).is_some())
        .map_or(0, |last| last + 1);
    if let Some(key) = range[..used.saturating_sub(1)]
        .iter()
        .find(|key| !is_equality(key))
    {
        return Err(ValidationError::new(format!(
            "Query key condition not supported: a RANGE key attribute before another one needs an equality condition: {}",
            key.name
        )));
    }
    let known = |name: &str| hash.iter().chain(range).any(|key| key.name == name);
    match keys
        .conditions
        .iter()
        .find(|condition| !known(condition.attribute))
    {
        Some(condition) => Err(ValidationError::new(format!(
            "Query key condition not supported: {} is no key attribute of the index",
            condition.attribute
        ))),
        None => Ok(()),
    }
}

fn satisfies(found: &Value, test: &KeyTest<'_>) -> bool {
    let order = |value: &Value| value::compare(found, value);
    match *test {
        KeyTest::Compare(comparator, value) => order(value).is_some_and(|order| match comparator {
            Comparator::Equal => order.is_eq(),
            Comparator::NotEqual => order.is_ne(),
            Comparator::Less => order.is_lt(),
            Comparator::LessOrEqual => order.is_le(),
            Comparator::Greater => order.is_gt(),
            Comparator::GreaterOrEqual => order.is_ge(),
        }),
        KeyTest::Between(low, high) => {
            order(low).is_some_and(|order| order.is_ge())
                && order(high).is_some_and(|order| order.is_le())
        }
        KeyTest::BeginsWith(prefix) => value::begins_with(found, prefix),
        KeyTest::NotIndexable => false,
    }
}
