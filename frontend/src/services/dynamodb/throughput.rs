//! What a table or index may consume: provisioned units, the limits of those on demand, and what is warm.
//!
//! It is kept and told as AWS does, and limits nothing: no request is throttled, nor is a fifth decrease in a day.

use cumulog_model::dynamodb as model;
use cumulog_shape::Timestamp;
use model::{OnDemandThroughput, ProvisionedThroughput, WarmThroughput};

use super::error::ValidationError;
use super::rows::ThroughputRow;

const UNITS_MAX: i64 = 1_000_000_000_000;

/// What a table on demand serves from the beginning.
const ON_DEMAND_WARM: (i64, i64) = (12_000, 4_000);

const ON_DEMAND_WARM_WORDS: &str = "initial throughput for OnDemand. See: \
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/on-demand-capacity-mode.html";

/// What is asked for a table or index.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// `None`: the table.
    pub(super) index: Option<&'a str>,
    pub(super) provisioned: Option<&'a ProvisionedThroughput>,
    pub(super) on_demand: Option<&'a OnDemandThroughput>,
    pub(super) warm: Option<&'a WarmThroughput>,
}

/// What is made, of this billing mode.
pub(super) fn create(
    wanted: Wanted<'_>,
    on_demand: bool,
) -> Result<ThroughputRow, ValidationError> {
    let mut row = match (wanted.provisioned, wanted.index, on_demand) {
        (Some(_), None, true) => {
            return Err(ValidationError::invalid(
                "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST",
            ));
        }
        (Some(_), Some(index), true) => {
            return Err(ValidationError::invalid(format!(
                "ProvisionedThroughput should not be specified for index: {index} when BillingMode is PAY_PER_REQUEST"
            )));
        }
        (None, None, false) => {
            return Err(ValidationError::invalid(
                "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
            ));
        }
        (None, Some(index), false) => {
            return Err(ValidationError::invalid(format!(
                "ProvisionedThroughput is not specified for index: {index}"
            )));
        }
        (None, _, true) => ThroughputRow {
            on_demand: true,
            ..ThroughputRow::default()
        },
        (Some(throughput), _, false) => provisioned(throughput)?,
    };
    if let Some(limits) = wanted.on_demand {
        check_limits(wanted.index, limits, on_demand, 1)?;
        row.on_demand_read_max = limits.max_read_request_units;
        row.on_demand_write_max = limits.max_write_request_units;
    }
    if let Some(warm) = wanted.warm {
        check_first_warm(wanted.index, warm, &row)?;
        row.warm_read = warm.read_units_per_second;
        row.warm_write = warm.write_units_per_second;
    }
    Ok(row)
}

pub(super) fn provisioned(
    throughput: &ProvisionedThroughput,
) -> Result<ThroughputRow, ValidationError> {
    let (read_units, write_units) = (
        throughput.read_capacity_units,
        throughput.write_capacity_units,
    );
    for (name, units) in [
        ("ReadCapacityUnits", read_units),
        ("WriteCapacityUnits", write_units),
    ] {
        if units > UNITS_MAX {
            return Err(ValidationError::new(format!(
                "Given value {units} for {name} is out of bounds"
            )));
        }
    }
    Ok(ThroughputRow {
        read_units,
        write_units,
        ..ThroughputRow::default()
    })
}

/// Limits are for what is on demand, and from `min` on.
fn check_limits(
    index: Option<&str>,
    limits: &OnDemandThroughput,
    on_demand: bool,
    min: i64,
) -> Result<(), ValidationError> {
    for (name, units) in [
        ("MaxReadRequestUnits", limits.max_read_request_units),
        ("MaxWriteRequestUnits", limits.max_write_request_units),
    ] {
        let Some(units) = units else {
            continue;
        };
        if !on_demand {
            let of = index.map_or(String::new(), |index| format!(" for index : {index}"));
            return Err(ValidationError::invalid(format!(
                "{name} for OnDemandThroughput{of} cannot be specified when the table BillingMode is PROVISIONED"
            )));
        }
        if units < min || units == 0 {
            return Err(ValidationError::invalid(format!(
                "Requested {name} for OnDemandThroughput for {} is outside of valid range",
                of(index)
            )));
        }
    }
    Ok(())
}

fn of(index: Option<&str>) -> String {
    index.map_or("table".to_owned(), |index| format!("index {index}"))
}

/// A new table is warm for what it may consume at once.
fn check_first_warm(
    index: Option<&str>,
    warm: &WarmThroughput,
    row: &ThroughputRow,
) -> Result<(), ValidationError> {
    let (read_min, write_min) = floor(row);
    for (name, units, min, capacity) in [
        (
            "Read",
            warm.read_units_per_second,
            read_min,
            "ReadCapacityUnits",
        ),
        (
            "Write",
            warm.write_units_per_second,
            write_min,
            "WriteCapacityUnits",
        ),
    ] {
        if units.is_none_or(|units| units >= min) {
            continue;
        }
        let than = match row.on_demand {
            true => ON_DEMAND_WARM_WORDS.to_owned(),
            false => format!("{capacity} of ProvisionedThroughput"),
        };
        return Err(ValidationError::invalid(format!(
            "Requested {name}UnitsPerSecond for WarmThroughput for {} is lower than {than}",
            of(index)
        )));
    }
    Ok(())
}

fn floor(row: &ThroughputRow) -> (i64, i64) {
    match row.on_demand {
        true => ON_DEMAND_WARM,
        false => (row.read_units, row.write_units),
    }
}

/// Reads and writes for which it is warm: never less than it may consume, nor than it once was.
fn warm(row: &ThroughputRow) -> (i64, i64) {
    let (read, write) = floor(row);
    (
        read.max(row.warm_read.unwrap_or(0)),
        write.max(row.warm_write.unwrap_or(0)),
    )
}

/// Makes it consume on demand.
pub(super) fn to_on_demand(row: &mut ThroughputRow, now_ms: i64) {
    let (read, write) = warm(row);
    *row = ThroughputRow {
        on_demand: true,
        on_demand_since_ms: Some(now_ms),
        warm_read: Some(read),
        warm_write: Some(write),
        ..row.clone()
    };
    (row.read_units, row.write_units) = (0, 0);
}

/// Provisions other units, and notes which way they went.
pub(super) fn provision(row: &mut ThroughputRow, wanted: &ThroughputRow, now_ms: i64) {
    let (read, write) = warm(row);
    let units = (wanted.read_units, wanted.write_units);
    if !row.on_demand {
        if units.0 > row.read_units || units.1 > row.write_units {
            row.increased_ms = Some(now_ms);
        }
        if units.0 < row.read_units || units.1 < row.write_units {
            row.decreases = decreases_today(row, now_ms) + 1;
            row.decreased_ms = Some(now_ms);
        }
    }
    *row = ThroughputRow {
        on_demand: false,
        read_units: units.0,
        write_units: units.1,
        on_demand_read_max: None,
        on_demand_write_max: None,
        warm_read: Some(read),
        warm_write: Some(write),
        ..row.clone()
    };
}

/// The day begins at midnight, in UTC.
fn decreases_today(row: &ThroughputRow, now_ms: i64) -> u32 {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let today = now_ms.div_euclid(DAY_MS);
    let is_today = |decreased_ms: i64| decreased_ms.div_euclid(DAY_MS) == today;
    if row.decreased_ms.is_some_and(is_today) {
        row.decreases
    } else {
        0
    }
}

/// Changes the limits that are given; -1 takes one off.
pub(super) fn limit(
    row: &mut ThroughputRow,
    index: Option<&str>,
    limits: &OnDemandThroughput,
) -> Result<(), ValidationError> {
    check_limits(index, limits, row.on_demand, -1)?;
    for (known, wanted) in [
        (&mut row.on_demand_read_max, limits.max_read_request_units),
        (&mut row.on_demand_write_max, limits.max_write_request_units),
    ] {
        if let Some(units) = wanted {
            *known = Some(units).filter(|units| *units > 0);
        }
    }
    Ok(())
}

/// Warms it up for more; what is warm does not cool down.
pub(super) fn warm_up(
    row: &mut ThroughputRow,
    index: Option<&str>,
    wanted: &WarmThroughput,
) -> Result<(), ValidationError> {
    let (read, write) = warm(row);
    for (name, units, current) in [
        ("Read", wanted.read_units_per_second, read),
        ("Write", wanted.write_units_per_second, write),
    ] {
        if units.is_some_and(|units| units < current) {
            return Err(ValidationError::invalid(format!(
                "Requested {name}UnitsPerSecond for WarmThroughput for {} is lower than current WarmThroughput, \
                 decreasing WarmThroughput is not supported",
                of(index)
            )));
        }
    }
    row.warm_read = wanted.read_units_per_second.or(row.warm_read);
    row.warm_write = wanted.write_units_per_second.or(row.warm_write);
    Ok(())
}

pub(super) fn describe_provisioned(
    row: &ThroughputRow,
    now_ms: i64,
) -> model::ProvisionedThroughputDescription {
    model::ProvisionedThroughputDescription {
        last_increase_date_time: row.increased_ms.map(Timestamp),
        last_decrease_date_time: row.decreased_ms.map(Timestamp),
        number_of_decreases_today: Some(i64::from(decreases_today(row, now_ms))),
        read_capacity_units: Some(row.read_units),
        write_capacity_units: Some(row.write_units),
    }
}

pub(super) fn describe_limits(row: &ThroughputRow) -> Option<OnDemandThroughput> {
    let limits = (row.on_demand_read_max, row.on_demand_write_max);
    (limits != (None, None)).then_some(OnDemandThroughput {
        max_read_request_units: limits.0,
        max_write_request_units: limits.1,
    })
}

/// For how many reads and writes it is warm. Of what is just being made only what was asked for is told.
pub(super) fn describe_warm(
    row: &ThroughputRow,
    is_new: bool,
) -> Option<(Option<i64>, Option<i64>)> {
    if is_new {
        let asked = (row.warm_read, row.warm_write);
        return (asked != (None, None)).then_some(asked);
    }
    let (read, write) = warm(row);
    Some((Some(read), Some(write)))
}
