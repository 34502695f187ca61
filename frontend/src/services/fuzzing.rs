//! What the services give their fuzz targets to try.

use crate::fuzzing::Trial;

pub(crate) use super::dynamodb::fuzzing::{check_expression, check_number};

/// Tries a row on every table.
pub(crate) fn try_rows(trial: &Trial<'_>) {
    super::dynamodb::fuzzing::try_rows(trial);
    super::s3::try_rows(trial);
    super::sqs::try_rows(trial);
}
