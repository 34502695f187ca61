//! What SQS refuses, and the words in which it does so.
//!
//! Every error has two codes: the shape's name, in JSON, and the code of the older query protocol. They differ more
//! often than not (`QueueDoesNotExist` and `AWS.SimpleQueueService.NonExistentQueue`), and SDKs match on either.

use crate::call::Call;
use crate::failure::Failure;
use cumulog_engine::RowError;
use cumulog_shape::{Missing, Protocol, Struct};

/// Everything that an SQS operation can refuse.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SqsError {
    #[error("The specified queue does not exist{}.", if *query { " for this wsdl version" } else { "" })]
    QueueDoesNotExist { query: bool },

    #[error(
        "A queue already exists with the same name and a different value for attribute {attribute}"
    )]
    QueueNameExists { attribute: &'static str },

    #[error("The address {0} is not valid for this endpoint.")]
    InvalidAddress(String),

    #[error("The request must contain the parameter {0}.")]
    MissingParameter(&'static str),

    #[error("{0}")]
    InvalidParameter(String),

    #[error("Value {value} for parameter {parameter} is invalid. Reason: {reason}")]
    InvalidValue {
        value: String,
        parameter: &'static str,
        reason: String,
    },

    #[error("{0}")]
    InvalidAttributeName(String),

    #[error("Invalid value for the parameter {parameter}.{reason}")]
    InvalidAttributeValue {
        parameter: String,
        reason: &'static str,
    },

    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | \
         #x10000 to #x10FFFF"
    )]
    InvalidMessageContents,

    #[error("There should be at least one {0} in the request.")]
    EmptyBatchRequest(&'static str),

    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntriesInBatchRequest(usize),

    #[error("Id {0} repeated.")]
    BatchEntryIdsNotDistinct(String),

    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 \
         letters long."
    )]
    InvalidBatchEntryId,

    #[error("Batch requests cannot be longer than {limit} bytes. You have sent {sent} bytes.")]
    BatchRequestTooLong { limit: usize, sent: usize },

    #[error("The input receipt handle \"{0}\" is not a valid receipt handle.")]
    ReceiptHandleIsInvalid(String),

    #[error("The specified message isn't in flight.")]
    MessageNotInflight,

    #[error("The maximum number of in flight messages is reached: {0}.")]
    OverLimit(u64),

    #[error("{0}")]
    UnsupportedOperation(String),

    /// A stored row does not decode. Nothing was changed.
    #[error(transparent)]
    Row(#[from] RowError),
}

/// A result of an SQS operation.
pub(crate) type Result<T> = std::result::Result<T, SqsError>;

/// How an error is named and graded on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Codes {
    /// The shape's name: `__type` in JSON.
    pub(crate) json: &'static str,
    /// The code in the query protocol, and in `x-amzn-query-error`.
    pub(crate) query: &'static str,
    /// The status in the query protocol; in JSON it is always 400.
    pub(crate) query_status: u16,
}

impl From<SqsError> for Failure {
    fn from(error: SqsError) -> Failure {
        match error {
            SqsError::Row(error) => error.into(),
            error => {
                let codes = error.codes();
                Failure::sender(codes.json, codes.query_status, error.to_string())
                    .query_code(codes.query)
            }
        }
    }
}

impl SqsError {
    /// A parameter that is not what AWS asks for.
    pub(crate) fn value(
        value: impl ToString,
        parameter: &'static str,
        reason: impl Into<String>,
    ) -> Self {
        SqsError::InvalidValue {
            value: value.to_string(),
            parameter,
            reason: reason.into(),
        }
    }

    /// There is no such queue; the query protocol says so in words of its own.
    pub(crate) fn no_queue(call: &Call) -> Self {
        SqsError::QueueDoesNotExist {
            query: call.protocol == Protocol::Query,
        }
    }

    /// A queue attribute with a value out of range or of the wrong form.
    pub(crate) fn attribute(parameter: impl Into<String>) -> Self {
        SqsError::InvalidAttributeValue {
            parameter: parameter.into(),
            reason: "",
        }
    }

    pub(crate) fn codes(&self) -> Codes {
        let codes = |json, query, query_status| Codes {
            json,
            query,
            query_status,
        };
        match self {
            SqsError::QueueDoesNotExist { .. } => codes(
                "QueueDoesNotExist",
                "AWS.SimpleQueueService.NonExistentQueue",
                400,
            ),
            SqsError::QueueNameExists { .. } => codes("QueueNameExists", "QueueAlreadyExists", 400),
            SqsError::InvalidAddress(_) => codes("InvalidAddress", "InvalidAddress", 404),
            SqsError::MissingParameter(_) => {
                codes("MissingRequiredParameterException", "MissingParameter", 400)
            }
            SqsError::InvalidParameter(_) | SqsError::InvalidValue { .. } => codes(
                "InvalidParameterValueException",
                "InvalidParameterValue",
                400,
            ),
            SqsError::InvalidAttributeName(_) => {
                codes("InvalidAttributeName", "InvalidAttributeName", 400)
            }
            SqsError::InvalidAttributeValue { .. } => {
                codes("InvalidAttributeValue", "InvalidAttributeValue", 400)
            }
            SqsError::InvalidMessageContents => {
                codes("InvalidMessageContents", "InvalidMessageContents", 400)
            }
            SqsError::EmptyBatchRequest(_) => codes(
                "EmptyBatchRequest",
                "AWS.SimpleQueueService.EmptyBatchRequest",
                400,
            ),
            SqsError::TooManyEntriesInBatchRequest(_) => codes(
                "TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
                400,
            ),
            SqsError::BatchEntryIdsNotDistinct(_) => codes(
                "BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
                400,
            ),
            SqsError::InvalidBatchEntryId => codes(
                "InvalidBatchEntryId",
                "AWS.SimpleQueueService.InvalidBatchEntryId",
                400,
            ),
            SqsError::BatchRequestTooLong { .. } => codes(
                "BatchRequestTooLong",
                "AWS.SimpleQueueService.BatchRequestTooLong",
                400,
            ),
            SqsError::ReceiptHandleIsInvalid(_) => {
                codes("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404)
            }
            SqsError::MessageNotInflight => codes(
                "MessageNotInflight",
                "AWS.SimpleQueueService.MessageNotInflight",
                400,
            ),
            SqsError::OverLimit(_) => codes("OverLimit", "OverLimit", 403),
            SqsError::UnsupportedOperation(_) => codes(
                "UnsupportedOperation",
                "AWS.SimpleQueueService.UnsupportedOperation",
                400,
            ),
            SqsError::Row(_) => codes("InternalError", "InternalError", 500),
        }
    }
}

/// Says which parameter a request lacks, in SQS's words.
///
/// What operations see to themselves is left to them: the queue's URL may be the path, and batches, tags and message
/// attributes have errors of their own for what is not there.
pub(super) fn check_present(_: &dyn Struct, missing: &Missing) -> std::result::Result<(), Failure> {
    const OWN_ERRORS: [&str; 5] = ["QueueUrl", "MessageBody", "Entries", "Tags", "TagKeys"];
    let member = missing
        .iter()
        .find(|member| !member.path.contains('.') && !OWN_ERRORS.contains(&member.name));
    member.map_or(Ok(()), |member| {
        Err(SqsError::MissingParameter(member.name).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_a_code_in_each_protocol() {
        fn check(error: SqsError, json: &str, query: &str, status: u16, message: &str) {
            let failure = Failure::from(error);
            assert_eq!(
                (
                    &*failure.code,
                    failure.query_code,
                    failure.status,
                    &*failure.message
                ),
                (json, Some(query), status, message)
            );
        }
        check(
            SqsError::QueueDoesNotExist { query: false },
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            400,
            "The specified queue does not exist.",
        );
        check(
            SqsError::QueueDoesNotExist { query: true },
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            400,
            "The specified queue does not exist for this wsdl version.",
        );
        check(
            SqsError::MissingParameter("QueueUrl"),
            "MissingRequiredParameterException",
            "MissingParameter",
            400,
            "The request must contain the parameter QueueUrl.",
        );
        check(
            SqsError::value(
                21,
                "WaitTimeSeconds",
                "Must be >= 0 and <= 20, if provided.",
            ),
            "InvalidParameterValueException",
            "InvalidParameterValue",
            400,
            "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.",
        );
    }
}
