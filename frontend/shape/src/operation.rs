//! The type of an operation: what ties a handler to its input and output.

use crate::{OperationSchema, Struct};

/// An operation as a type, so that a handler with a wrong signature does not compile.
pub trait Operation: 'static {
    /// What a request is read into.
    type Input: Struct + Default + 'static;
    /// What an answer is written from.
    type Output: Struct + Default + 'static;
    /// Name, HTTP binding, shapes, errors.
    const SCHEMA: &'static OperationSchema;
}
