//! `#names` and `:values`: looked up, and checked to be all used.

use std::cell::RefCell;

use cumulog_shape::Map;

use super::parser::Message;
use crate::services::dynamodb::error::ValidationError;
use crate::services::dynamodb::value::{self, Value};

/// What the placeholders of a request's expressions stand for, and which of them were used so far.
#[derive(Default)]
pub(crate) struct Placeholders<'a> {
    names: Option<&'a Map<String>>,
    values: Option<&'a Map<Value>>,
    used: RefCell<Vec<&'a str>>,
}

/// Checks ExpressionAttributeNames and ExpressionAttributeValues by themselves, and normalises the values' numbers.
pub(crate) fn check_placeholders(
    names: Option<&Map<String>>,
    values: Option<&mut Map<Value>>,
) -> Result<(), ValidationError> {
    if let Some(names) = names {
        check_keys("ExpressionAttributeNames", '#', names.len(), names.keys())?;
        for (placeholder, name) in names.iter() {
            value::check_name(name).map_err(|error| invalid_value("Names", &error, placeholder))?;
        }
    }
    if let Some(values) = values {
        check_keys(
            "ExpressionAttributeValues",
            ':',
            values.len(),
            values.keys(),
        )?;
        for (placeholder, value) in values.iter_mut() {
            value::check(value).map_err(|error| invalid_value("Values", &error, placeholder))?;
        }
    }
    Ok(())
}

fn invalid_value(kind: &str, error: &ValidationError, placeholder: &str) -> ValidationError {
    ValidationError::new(format!(
        "ExpressionAttribute{kind} contains invalid value: {error} for key {placeholder}"
    ))
}

fn check_keys<'k>(
    parameter: &str,
    sigil: char,
    count: usize,
    mut keys: impl Iterator<Item = &'k str>,
) -> Result<(), ValidationError> {
    if count == 0 {
        return Err(ValidationError::new(format!(
            "{parameter} must not be empty"
        )));
    }
    let valid = |key: &str| {
        key.strip_prefix(sigil).is_some_and(|name| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
    };
    match keys.find(|key| !valid(key)) {
        None => Ok(()),
        Some(key) => Err(ValidationError::new(format!(
            "{parameter} contains invalid key: Syntax error; key: \"{key}\""
        ))),
    }
}

impl<'a> Placeholders<'a> {
    pub(crate) fn new(
        names: Option<&'a Map<String>>,
        values: Option<&'a Map<Value>>,
    ) -> Placeholders<'a> {
        Placeholders {
            names,
            values,
            used: RefCell::default(),
        }
    }

    /// What `#name` stands for.
    pub(crate) fn name(&self, placeholder: &'a str) -> Result<&'a str, Message> {
        let name = self.names.and_then(|names| names.get(placeholder)).ok_or_else(|| {
            format!(
                "An expression attribute name used in the document path is not defined; attribute name: {placeholder}"
            )
        })?;
        self.used.borrow_mut().push(placeholder);
        Ok(name)
    }

    /// What `:value` stands for.
    pub(crate) fn value(&self, placeholder: &'a str) -> Result<&'a Value, Message> {
        let value = self.values.and_then(|values| values.get(placeholder)).ok_or_else(|| {
            format!("An expression attribute value used in expression is not defined; attribute value: {placeholder}")
        })?;
        self.used.borrow_mut().push(placeholder);
        Ok(value)
    }

    /// Refuses placeholders that no expression used. To be called after the last one was parsed.
    pub(crate) fn check_all_used(&self) -> Result<(), ValidationError> {
        let mut used = self.used.borrow_mut();
        used.sort_unstable();
        let unused = |key: &&str| used.binary_search(key).is_err();
        let refuse = |parameter: &str, unused: Vec<&str>| match &unused[..] {
            [] => Ok(()),
            unused => Err(ValidationError::new(format!(
                "Value provided in {parameter} unused in expressions: keys: {{{}}}",
                unused.join(", ")
            ))),
        };
        if let Some(names) = self.names {
            refuse(
                "ExpressionAttributeNames",
                names.keys().filter(unused).collect(),
            )?;
        }
        if let Some(values) = self.values {
            refuse(
                "ExpressionAttributeValues",
                values.keys().filter(unused).collect(),
            )?;
        }
        Ok(())
    }
}
