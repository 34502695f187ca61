//! What a client calls a table: by name, or by ARN.

use std::borrow::Cow;

use cumulog_engine::Key;

use super::error::ValidationError;
use super::rows::TableKey;
use crate::call::Call;

/// A table's address: account, region and name, taken from its ARN if the client sent one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Address<'a> {
    pub(crate) account: Cow<'a, str>,
    pub(crate) region: Cow<'a, str>,
    pub(crate) name: Cow<'a, str>,
}

impl<'a> Address<'a> {
    /// Reads what a client gave as `TableName`.
    pub(crate) fn parse(call: &'a Call, given: &'a str) -> Result<Address<'a>, ValidationError> {
        let Some(arn) = given.strip_prefix("arn:") else {
            check_table_name("tableName", given)?;
            return Ok(Address {
                account: (&*call.account).into(),
                region: (&*call.region).into(),
                name: given.into(),
            });
        };
        let parts: Vec<&str> = arn.splitn(5, ':').collect();
        let [_, "dynamodb", region, account, resource] = parts[..] else {
            return Err(invalid_arn(given));
        };
        let name = resource
            .strip_prefix("table/")
            .ok_or_else(|| invalid_arn(given))?;
        check_table_name("tableName", name).map_err(|_| invalid_arn(given))?;
        Ok(Address {
            account: account.into(),
            region: region.into(),
            name: name.into(),
        })
    }

    pub(crate) fn arn(&self) -> String {
        format!(
            "arn:aws:dynamodb:{}:{}:table/{}",
            self.region, self.account, self.name
        )
    }

    pub(crate) fn key(&self) -> TableKey<'static> {
        let owned = |text: &str| Cow::Owned(text.to_owned());
        (owned(&self.account), owned(&self.region), owned(&self.name))
    }

    /// The key's bytes, without copying its parts.
    pub(crate) fn encoded(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(64);
        let borrowed: TableKey<'_> = (
            Cow::Borrowed(&*self.account),
            Cow::Borrowed(&*self.region),
            Cow::Borrowed(&*self.name),
        );
        borrowed.encode(&mut key);
        key
    }
}

fn invalid_arn(given: &str) -> ValidationError {
    ValidationError::new(format!("Invalid table ARN: {given}"))
}

/// Operations on tables word the length of a name in their own way, before they look at anything else.
pub(crate) fn check_name_length(given: &str) -> Result<(), ValidationError> {
    if given.starts_with("arn:") || (3..=255).contains(&given.len()) {
        return Ok(());
    }
    Err(ValidationError::new(
        "TableName must be at least 3 characters long and at most 255 characters long",
    ))
}

/// Names that AWS accepts: 3 to 255 characters of `[a-zA-Z0-9_.-]`.
pub(crate) fn check_table_name(member: &str, name: &str) -> Result<(), ValidationError> {
    let mut findings = Vec::new();
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if !name.bytes().all(valid) || name.is_empty() {
        findings.push("Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+");
    }
    if name.len() < 3 {
        findings.push("Member must have length greater than or equal to 3");
    }
    if name.len() > 255 {
        findings.push("Member must have length less than or equal to 255");
    }
    if findings.is_empty() {
        return Ok(());
    }
    let count = findings.len();
    let plural = if count == 1 { "" } else { "s" };
    let findings: Vec<String> = findings
        .into_iter()
        .map(|rule| format!("Value '{name}' at '{member}' failed to satisfy constraint: {rule}"))
        .collect();
    Err(ValidationError::new(format!(
        "{count} validation error{plural} detected: {}",
        findings.join("; ")
    )))
}
