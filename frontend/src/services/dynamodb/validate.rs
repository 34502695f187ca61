//! What a request must satisfy before its handler sees it: the model's constraints, in DynamoDB's own dialect, and the
//! rule that expressions and the parameters from before them do not mix.

use cumulog_shape::check::{self, Dialect};
use cumulog_shape::{Missing, Struct, View};

use super::address::check_name_length;
use super::error::ValidationError;
use super::legacy::Parameters;
use crate::failure::Failure;

const DIALECT: Dialect = Dialect {
    element_not_null: false,
    ..Dialect::COMMON
};

/// Inputs of operations on tables, which word the lack of a name in their own way.
const TABLE_INPUTS: [&str; 5] = [
    "DescribeTimeToLiveInput",
    "UpdateTableInput",
    "CreateTableInput",
    "DescribeTableInput",
    "DeleteTableInput",
];

/// An input, its expressions, and the legacy parameters that do not go with them.
type Rule = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const RULES: [Rule; 6] = [
    (
        "PutItemInput",
        &["ConditionExpression"],
        &["Expected", "ConditionalOperator"],
    ),
    (
        "DeleteItemInput",
        &["ConditionExpression"],
        &["Expected", "ConditionalOperator"],
    ),
    (
        "UpdateItemInput",
        &["UpdateExpression", "ConditionExpression"],
        &["AttributeUpdates", "Expected", "ConditionalOperator"],
    ),
    (
        "GetItemInput",
        &["ProjectionExpression"],
        &["AttributesToGet"],
    ),
    (
        "QueryInput",
        &[
            "ProjectionExpression",
            "FilterExpression",
            "KeyConditionExpression",
        ],
        &[
            "AttributesToGet",
            "QueryFilter",
            "ConditionalOperator",
            "KeyConditions",
        ],
    ),
    (
        "ScanInput",
        &["ProjectionExpression", "FilterExpression"],
        &["AttributesToGet", "ScanFilter", "ConditionalOperator"],
    ),
];

/// Checks an input.
pub(crate) fn validate(input: &dyn Struct, missing: &Missing) -> Result<(), Failure> {
    if TABLE_INPUTS.contains(&input.schema().name) {
        check_table_name(input, missing)?;
    }
    if let Some(message) = check::check(input, missing, &DIALECT) {
        return Err(ValidationError::new(message).into());
    }
    check_parameters(input)?;
    match missing.union_fault() {
        None => Ok(()),
        Some(fault) => Err(value_fault(&fault.path, &fault.message()).into()),
    }
}

fn check_table_name(input: &dyn Struct, missing: &Missing) -> Result<(), ValidationError> {
    if missing.iter().any(|member| member.path == "tableName") {
        return Err(ValidationError::new(
            "The parameter 'TableName' is required but was not present in the request",
        ));
    }
    match member(input, "TableName") {
        View::Str(name) => check_name_length(name),
        _ => Ok(()),
    }
}

fn check_parameters(input: &dyn Struct) -> Result<(), ValidationError> {
    let Some((_, expressions, legacy)) =
        RULES.iter().find(|(name, ..)| *name == input.schema().name)
    else {
        return Ok(());
    };
    let present = |name: &str| !matches!(member(input, name), View::None);
    // Legacy key conditions do go with the other expressions.
    let mixes = |name: &str| {
        present(name) && (name != "KeyConditions" || present("KeyConditionExpression"))
    };
    Parameters {
        expressions: &expressions
            .iter()
            .map(|name| (*name, present(name)))
            .collect::<Vec<_>>(),
        legacy: &legacy
            .iter()
            .map(|name| (*name, mixes(name)))
            .collect::<Vec<_>>(),
        names: present("ExpressionAttributeNames"),
        values: present("ExpressionAttributeValues"),
    }
    .check()
}

fn member<'i>(input: &'i dyn Struct, name: &str) -> View<'i> {
    let members = input.schema().members;
    members
        .iter()
        .position(|member| member.name == name)
        .map_or(View::None, |index| input.get(index))
}

/// An attribute value without exactly one type, as AWS words it for the place where it stands.
fn value_fault(path: &str, message: &str) -> ValidationError {
    if let Some(rest) = path.strip_prefix("expressionAttributeValues.") {
        let placeholder = rest
            .split_once(".member")
            .map_or(rest, |(placeholder, _)| placeholder);
        return ValidationError::new(format!(
            "ExpressionAttributeValues contains invalid value: {message} for key {placeholder}"
        ));
    }
    let prefix = if path.starts_with("exclusiveStartKey.") {
        "The provided starting key is invalid: "
    } else {
        ""
    };
    ValidationError::new(format!("{prefix}{message}"))
}
