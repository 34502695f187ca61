//! Attribute values: what may be stored, and how two of them compare.
//!
//! The model's own enum is used throughout, with numbers normalised (see [`super::number`]) and sets without doubles:
//! what goes in is checked once by [`check`], and nothing is converted on the way to the store and back.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use base64_simd::STANDARD;
pub(crate) use cumulog_model::dynamodb::AttributeValue as Value;
use cumulog_shape::Map;

use super::error::ValidationError;
use super::number::{self, Number};

/// An item, or a part of one.
pub(crate) type Item = Map<Value>;

/// How deep lists and maps may nest, the attribute itself included.
const DEPTH_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 65535;

/// The ten types, in the words of the wire.
pub(crate) const TYPE_NAMES: [&str; 10] =
    ["S", "N", "B", "NULL", "SS", "BOOL", "L", "BS", "NS", "M"];

/// The type's name on the wire.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::S(_) => "S",
        Value::N(_) => "N",
        Value::B(_) => "B",
        Value::Ss(_) => "SS",
        Value::Ns(_) => "NS",
        Value::Bs(_) => "BS",
        Value::M(_) => "M",
        Value::L(_) => "L",
        Value::Null(_) => "NULL",
        Value::Bool(_) => "BOOL",
    }
}

/// Checks the attributes of an item or key and normalises its numbers.
pub(crate) fn check_item(item: &mut Item) -> Result<(), ValidationError> {
    for (name, value) in item.iter_mut() {
        check_name(name)?;
        check(value)?;
    }
    Ok(())
}

/// Checks the name of an attribute.
pub(crate) fn check_name(name: &str) -> Result<(), ValidationError> {
    if name.is_empty() {
        return Err(ValidationError::invalid("Empty attribute name"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(ValidationError::invalid(format!(
            "Attribute name is too large, must be less than {} bytes",
            NAME_BYTES_MAX + 1
        )));
    }
    Ok(())
}

/// Checks a value that a client sent and normalises its numbers.
pub(crate) fn check(value: &mut Value) -> Result<(), ValidationError> {
    check_at(value, 1)
}

fn check_at(value: &mut Value, depth: usize) -> Result<(), ValidationError> {
    if depth > DEPTH_MAX {
        return Err(too_deep());
    }
    match value {
        Value::S(_) | Value::B(_) | Value::Bool(_) | Value::Null(true) => Ok(()),
        Value::Null(false) => Err(ValidationError::invalid(
            "Null attribute value types must have the value of true",
        )),
        Value::N(number) => number::normalise(number),
        Value::Ss(members) => check_strings(members),
        Value::Ns(members) => check_numbers(members),
        Value::Bs(members) => check_blobs(members),
        Value::L(elements) => elements
            .iter_mut()
            .try_for_each(|element| check_at(element, depth + 1)),
        Value::M(members) => members.iter_mut().try_for_each(|(name, member)| {
            check_name(name)?;
            check_at(member, depth + 1)
        }),
    }
}

/// Checks that an item did not grow too deep.
pub(crate) fn check_depth(item: &Item) -> Result<(), ValidationError> {
    fn depth(value: &Value) -> usize {
        1 + match value {
            Value::L(elements) => elements.iter().map(depth).max().unwrap_or(0),
            Value::M(members) => members.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }
    if item.values().any(|value| depth(value) > DEPTH_MAX) {
        return Err(too_deep());
    }
    Ok(())
}

fn too_deep() -> ValidationError {
    ValidationError::new(format!(
        "Nesting Levels have exceeded supported limits: Attributes cannot be nested beyond {DEPTH_MAX} levels"
    ))
}

fn check_strings(members: &[String]) -> Result<(), ValidationError> {
    if members.is_empty() {
        return Err(ValidationError::invalid("An string set  may not be empty"));
    }
    if has_duplicates(members) {
        let members = members.join(", ");
        return Err(ValidationError::invalid(format!(
            "Input collection [{members}] contains duplicates."
        )));
    }
    Ok(())
}

fn check_numbers(members: &mut [String]) -> Result<(), ValidationError> {
    if members.is_empty() {
        return Err(ValidationError::invalid("An number set  may not be empty"));
    }
    members.iter_mut().try_for_each(number::normalise)?;
    if has_duplicates(members) {
        return Err(ValidationError::new("Input collection contains duplicates"));
    }
    Ok(())
}

fn check_blobs(members: &[cumulog_shape::Bytes]) -> Result<(), ValidationError> {
    if members.is_empty() {
        return Err(ValidationError::invalid("Binary sets should not be empty"));
    }
    if has_duplicates(members) {
        let members: Vec<String> = members
            .iter()
            .map(|member| STANDARD.encode_to_string(member))
            .collect();
        let members = members.join(", ");
        return Err(ValidationError::invalid(format!(
            "Input collection [{members}]of type BS contains duplicates."
        )));
    }
    Ok(())
}

fn has_duplicates<T: Ord>(members: &[T]) -> bool {
    let mut seen = BTreeSet::new();
    !members.iter().all(|member| seen.insert(member))
}

/// Equality as DynamoDB has it: of the same type and content; sets and maps in any order.
pub(crate) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::S(left), Value::S(right)) | (Value::N(left), Value::N(right)) => left == right,
        (Value::B(left), Value::B(right)) => left == right,
        (Value::Ss(left), Value::Ss(right)) | (Value::Ns(left), Value::Ns(right)) => {
            same_set(left, right)
        }
        (Value::Bs(left), Value::Bs(right)) => same_set(left, right),
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Null(_), Value::Null(_)) => true,
        (Value::L(left), Value::L(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| equal(left, right))
        }
        (Value::M(left), Value::M(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, value)| right.get(name).is_some_and(|other| equal(value, other)))
        }
        _ => false,
    }
}

fn same_set<T: Ord>(left: &[T], right: &[T]) -> bool {
    left.len() == right.len() && left.iter().collect::<BTreeSet<_>>() == right.iter().collect()
}

/// The order of two strings, numbers or blobs; `None` between anything else.
pub(crate) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::S(left), Value::S(right)) => Some(left.cmp(right)),
        (Value::N(left), Value::N(right)) => Some(Number::of(left).cmp(&Number::of(right))),
        (Value::B(left), Value::B(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// Whether values of this type have an order.
pub(crate) fn is_ordered(value: &Value) -> bool {
    matches!(value, Value::S(_) | Value::N(_) | Value::B(_))
}

/// Whether `value` is a text or blob that starts with `prefix`.
pub(crate) fn begins_with(value: &Value, prefix: &Value) -> bool {
    match (value, prefix) {
        (Value::S(value), Value::S(prefix)) => value.starts_with(prefix.as_str()),
        (Value::B(value), Value::B(prefix)) => value.starts_with(prefix),
        _ => false,
    }
}

/// Whether `part` is within a text or blob, or an element of a set or list.
pub(crate) fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::S(whole), Value::S(part)) => whole.contains(part.as_str()),
        (Value::B(whole), Value::B(part)) => memchr::memmem::find(whole, part).is_some(),
        (Value::Ss(whole), Value::S(part)) | (Value::Ns(whole), Value::N(part)) => {
            whole.contains(part)
        }
        (Value::Bs(whole), Value::B(part)) => whole.contains(part),
        (Value::L(whole), part) => whole.iter().any(|element| equal(element, part)),
        _ => false,
    }
}

/// A value as AWS prints it within messages: `{S:abc}`.
pub(crate) fn printed(value: &Value) -> String {
    let list = |elements: &[String]| format!("[{}]", elements.join(", "));
    let content = match value {
        Value::S(text) | Value::N(text) => text.clone(),
        Value::B(bytes) => STANDARD.encode_to_string(bytes),
        Value::Ss(members) | Value::Ns(members) => list(members),
        Value::Bs(members) => list(
            &members
                .iter()
                .map(|blob| STANDARD.encode_to_string(blob))
                .collect::<Vec<_>>(),
        ),
        Value::L(elements) => list(&elements.iter().map(printed).collect::<Vec<_>>()),
        Value::M(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{name}={}", printed(value)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        Value::Null(value) | Value::Bool(value) => value.to_string(),
    };
    format!("{{{}:{content}}}", type_name(value))
}
