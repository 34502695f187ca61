//! Scan: all items of a table or index, in the order of their placement; whole or in segments.

use std::ops::Bound;

use cumulog_engine::View;
use cumulog_model::dynamodb::{ScanInput, ScanOutput};

use super::error::{Error, ValidationError};
use super::expression::{Condition, Placeholders, Projection, check_placeholders, parse_parameter};
use super::key;
use super::legacy;
use super::page::{Found, Page, check_select, check_start_key, open_index};
use super::schema::Table;
use super::value::Item;
use crate::call::Call;

/// Reads a page of a table or index.
pub(crate) fn scan(call: &Call, view: &View, mut input: ScanInput) -> Result<ScanOutput, Error> {
    let segment = check_alone(&mut input)?;
    let (filter, projection) = parse(&input)?;
    let table = Table::open(call, view, &input.table_name)?;
    let consistent = input.consistent_read == Some(true);
    let page = Page {
        view,
        table: &table,
        index: open_index(&table, input.index_name.as_deref(), consistent)?,
        filter: filter.or_else(|| {
            legacy::filter_condition(
                input.scan_filter.as_ref(),
                input.conditional_operator.as_ref(),
            )
        }),
        projection,
        select: input.select.clone(),
        limit: input
            .limit
            .map_or(usize::MAX, |limit| limit.unsigned_abs() as usize),
        consistent,
        backwards: false,
    };
    let found = read(&page, &segment, input.exclusive_start_key.as_ref())?;
    Ok(ScanOutput {
        consumed_capacity: found
            .consumed(&input.table_name, input.return_consumed_capacity.as_ref()),
        count: Some(found.count),
        scanned_count: Some(found.scanned),
        last_evaluated_key: found.last_key,
        items: found.items,
    })
}

/// Checks what needs no table and normalises numbers.
fn check_alone(input: &mut ScanInput) -> Result<Segment, ValidationError> {
    legacy::check_attributes_to_get(input.attributes_to_get.as_ref())?;
    legacy::check_conditions(input.scan_filter.as_mut())?;
    let filters = input.scan_filter.as_ref().map_or(0, |filter| filter.len());
    legacy::check_conditional_operator(input.conditional_operator.as_ref(), filters)?;
    check_start_key(input.exclusive_start_key.as_mut())?;
    let segment = Segment::of(input)?;
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
    Ok(segment)
}

/// Checks the scan against its table, in AWS's order, and reads.
fn read(page: &Page<'_>, segment: &Segment, start: Option<&Item>) -> Result<Found, Error> {
    if let Some(start) = start {
        check_start(page, start)?;
    }
    let fetch = page.check_fetch()?;
    let prefix = page.prefix();
    let (mut from, to) = segment.bounds(&prefix);
    if let Some(start) = start {
        page.check_table_key(start)?;
        let place = page.start_place(start);
        segment.check_start(&place[prefix.len()..])?;
        from = Bound::Excluded(place);
    }
    page.check_projection_paths()?;
    page.check_filter_paths()?;
    page.read(
        from.as_ref().map(Vec::as_slice),
        to.as_ref().map(Vec::as_slice),
        fetch,
    )
}

type Expressions<'a> = (Option<Condition<'a>>, Option<Projection<'a>>);

fn parse(input: &ScanInput) -> Result<Expressions<'_>, ValidationError> {
    let placeholders = Placeholders::new(
        input.expression_attribute_names.as_ref(),
        input.expression_attribute_values.as_ref(),
    );
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
    let attributes = input.attributes_to_get.as_deref();
    let projection = projection.or_else(|| {
        attributes.map(|names| Projection::attributes(names.iter().map(String::as_str)))
    });
    Ok((filter, projection))
}

/// A starting key has exactly the attributes of the scanned keys.
fn check_start(page: &Page<'_>, start: &Item) -> Result<(), ValidationError> {
    let invalid =
        |why: &str| ValidationError::new(format!("The provided starting key is invalid{why}"));
    if start.len() != page.start_attributes().len() {
        return Err(match page.index {
            Some(_) => invalid(""),
            None => invalid(": The provided key element does not match the schema"),
        });
    }
    for (attribute, _) in page.index.iter().flat_map(|index| index.keys()) {
        let value = start.get(&attribute.name).ok_or_else(|| invalid(""))?;
        page.table.check_key_attribute(attribute, value)?;
    }
    Ok(())
}

/// One of several equal shares of all placements.
struct Segment {
    number: u64,
    total: u64,
}

impl Segment {
    fn of(input: &ScanInput) -> Result<Segment, ValidationError> {
        let (number, total) = match (input.segment, input.total_segments) {
            (None, None) => {
                return Ok(Segment {
                    number: 0,
                    total: 1,
                });
            }
            (Some(_), None) => {
                return Err(ValidationError::new(
                    "The TotalSegments parameter is required but was not present in the request when Segment \
                     parameter is present",
                ));
            }
            (None, Some(_)) => {
                return Err(ValidationError::new(
                    "The Segment parameter is required but was not present in the request when parameter \
                     TotalSegments is present",
                ));
            }
            (Some(number), Some(total)) => (number, total),
        };
        if number >= total {
            return Err(ValidationError::new(format!(
                "The Segment parameter is zero-based and must be less than parameter TotalSegments: \
                 Segment: {number} is not less than TotalSegments: {total}"
            )));
        }
        Ok(Segment {
            number: u64::from(number.unsigned_abs()),
            total: u64::from(total.unsigned_abs()),
        })
    }

    /// The first placement of segment `number`; `None` beyond the last.
    fn start(&self, number: u64) -> Option<u32> {
        u32::try_from((number << 32).div_ceil(self.total)).ok()
    }

    fn bounds(&self, prefix: &[u8]) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let place = |start: u32| [prefix, &start.to_be_bytes()].concat();
        let from = self
            .start(self.number)
            .map_or(Bound::Unbounded, |start| Bound::Included(place(start)));
        let to = match self.start(self.number + 1) {
            Some(end) => Bound::Excluded(place(end)),
            None => key::after(prefix.to_vec()).map_or(Bound::Unbounded, Bound::Excluded),
        };
        (from, to)
    }

    /// `place` begins with a placement.
    fn check_start(&self, place: &[u8]) -> Result<(), ValidationError> {
        let placement = place
            .first_chunk()
            .map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let after_start = self
            .start(self.number)
            .is_some_and(|start| placement >= start);
        let before_end = self
            .start(self.number + 1)
            .is_none_or(|end| placement < end);
        if after_start && before_end {
            return Ok(());
        }
        Err(ValidationError::new(format!(
            "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with correct \
             Segment. TotalSegments: {} Segment: {}",
            self.total, self.number
        )))
    }
}
