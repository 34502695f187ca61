//! DynamoDB's expression languages: conditions and filters, updates, projections and key conditions.
//!
//! An expression goes through two stages. [`parser`] reads its syntax; then the module of its kind looks up names and
//! values, checks what AWS checks before it looks at a table, in AWS's order, and builds the form that is evaluated.
//! Everything borrows from the request.

mod condition;
mod key_condition;
mod lexer;
mod parser;
mod path;
mod placeholders;
mod projection;
mod reserved;
mod syntax;
#[cfg(test)]
mod testing;
mod update;

pub(crate) use condition::{Condition, Operand};
pub(crate) use key_condition::{KeyCondition, KeyConditions, KeyTest};
pub(crate) use path::Path;
pub(crate) use placeholders::{Placeholders, check_placeholders};
pub(crate) use projection::{Projection, extract};
pub(crate) use syntax::Comparator;
pub(crate) use update::{Action, Assigned, Term, Update};

use super::error::ValidationError;
use parser::Message;

/// Parses the expression of the parameter called `name`, if it is there.
pub(crate) fn parse_parameter<'a, T>(
    name: &str,
    source: Option<&'a str>,
    placeholders: &Placeholders<'a>,
    parse: impl FnOnce(&'a str, &Placeholders<'a>) -> Result<T, Message>,
) -> Result<Option<T>, ValidationError> {
    source
        .map(|source| parse(source, placeholders))
        .transpose()
        .map_err(|message| ValidationError::new(format!("Invalid {name}: {message}")))
}
