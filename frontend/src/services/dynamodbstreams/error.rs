//! What DynamoDB Streams refuses, and how AWS calls it.

use crate::failure::Failure;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(String),

    #[error("Requested resource not found: Stream: {0} not found")]
    NoSuchStream(String),

    #[error("Requested resource not found: Shard does not exist")]
    NoSuchShard,

    #[error("The provided iterator exceeds the maximum age allowed.")]
    ExpiredIterator,

    #[error("The data you are trying to access has been trimmed")]
    Trimmed,

    #[error(transparent)]
    Row(#[from] cumulog_engine::RowError),
}

impl Error {
    pub(crate) fn invalid(message: impl Into<String>) -> Error {
        Error::Invalid(message.into())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let code = match error {
            Error::Invalid(_) => "ValidationException",
            Error::NoSuchStream(_) | Error::NoSuchShard => "ResourceNotFoundException",
            Error::ExpiredIterator => "ExpiredIteratorException",
            Error::Trimmed => "TrimmedDataAccessException",
            Error::Row(error) => return Failure::from(error),
        };
        Failure::sender(code, 400, error.to_string())
    }
}

/// A limit within what AWS allows; the model has the lower bound only.
pub(crate) fn limit(given: Option<i32>, max: usize) -> Result<usize, Error> {
    let limit = given.map_or(max, |limit| limit.unsigned_abs() as usize);
    if limit > max {
        return Err(Error::invalid(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: \
             Member must have value less than or equal to {max}"
        )));
    }
    Ok(limit)
}
