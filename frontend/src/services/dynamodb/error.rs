//! What DynamoDB refuses, and how AWS calls it.

use std::borrow::Cow;

use cumulog_model::dynamodb as model;

use super::value::Item;
use crate::failure::Failure;

/// A request that can't be right, in AWS's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ValidationError(Cow<'static, str>);

impl ValidationError {
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> ValidationError {
        ValidationError(message.into())
    }

    /// The most frequent beginning of AWS's messages.
    pub(crate) fn invalid(what: impl std::fmt::Display) -> ValidationError {
        ValidationError::new(format!("One or more parameter values were invalid: {what}"))
    }

    /// The message with something before it.
    pub(crate) fn prefixed(&self, prefix: &str) -> ValidationError {
        ValidationError::new(format!("{prefix}{}", self.0))
    }

    pub(crate) fn message(&self) -> &str {
        &self.0
    }
}

/// All that an operation on tables or items can answer but success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Validation(#[from] ValidationError),

    /// Data operations do not say which table.
    #[error("Requested resource not found")]
    NoSuchTable,

    #[error("Requested resource not found: Table: {0} not found")]
    NoSuchTableNamed(String),

    #[error("Requested resource not found: Index {index} for table {table}")]
    NoSuchIndex { index: String, table: String },

    #[error("{0}")]
    NoSuchResource(String),

    #[error("{0}")]
    NoPolicy(String),

    #[error("{0}")]
    NoGlobalTable(String),

    #[error("Requested resource not found: ResourceArn: {0} not found")]
    NoSuchArn(String),

    /// Operations on backups have a code of their own.
    #[error("Table not found: {0}")]
    NoTableToBackUp(String),

    #[error("{0}")]
    InUse(String),

    #[error("{0}")]
    LimitExceeded(String),

    /// The item comes along if the client asked for it.
    #[error("The conditional request failed")]
    ConditionFailed(Option<Item>),

    /// A transaction was cancelled for these reasons, one for each of its actions.
    #[error("Transaction cancelled, please refer cancellation reasons for specific reasons [{}]", codes(.0))]
    Cancelled(Vec<model::CancellationReason>),

    #[error(
        "The request was rejected because it was for a transaction that has already completed with different parameters"
    )]
    IdempotentMismatch,

    #[error(transparent)]
    Row(#[from] cumulog_engine::RowError),
}

fn codes(reasons: &[model::CancellationReason]) -> String {
    let codes: Vec<&str> = reasons
        .iter()
        .map(|reason| reason.code.as_deref().unwrap_or("None"))
        .collect();
    codes.join(", ")
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let message = error.to_string();
        let code = match error {
            Error::Validation(_) => "ValidationException",
            Error::NoSuchTable
            | Error::NoSuchTableNamed(_)
            | Error::NoSuchIndex { .. }
            | Error::NoSuchResource(_)
            | Error::NoSuchArn(_) => "ResourceNotFoundException",
            Error::NoPolicy(_) => "PolicyNotFoundException",
            Error::NoGlobalTable(_) => "GlobalTableNotFoundException",
            Error::NoTableToBackUp(_) => "TableNotFoundException",
            Error::InUse(_) => "ResourceInUseException",
            Error::LimitExceeded(_) => "LimitExceededException",
            Error::IdempotentMismatch => "IdempotentParameterMismatchException",
            Error::ConditionFailed(item) => {
                let detail = model::ConditionalCheckFailedException {
                    message: Some(message.clone()),
                    item,
                };
                return Failure::sender("ConditionalCheckFailedException", 400, message)
                    .detail(detail);
            }
            Error::Cancelled(reasons) => {
                let detail = model::TransactionCanceledException {
                    message: Some(message.clone()),
                    cancellation_reasons: Some(reasons),
                };
                return Failure::sender("TransactionCanceledException", 400, message)
                    .detail(detail);
            }
            Error::Row(error) => return Failure::from(error),
        };
        Failure::sender(code, 400, message)
    }
}

impl From<ValidationError> for Failure {
    fn from(error: ValidationError) -> Failure {
        Failure::from(Error::Validation(error))
    }
}
