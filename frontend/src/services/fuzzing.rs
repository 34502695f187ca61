//! What the services give their fuzz targets to try.

use crate::fuzzing::Trial;

pub(crate) use super::dynamodb::fuzzing::{check_expression, check_number};

/// Tries a row on every table.
pub(crate) fn try_rows(trial: &Trial<'_>) {
    super::each_table(trial);
    super::dynamodb::fuzzing::try_item(trial);
}
