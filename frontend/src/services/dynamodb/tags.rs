//! TagResource, UntagResource and ListTagsOfResource. Only tables have tags here.

use cumulog_engine::{Read, Txn, View};
use cumulog_model::dynamodb::{
    ListTagsOfResourceInput, ListTagsOfResourceOutput, Tag, TagResourceInput, TagResourceOutput,
    UntagResourceInput, UntagResourceOutput,
};

use super::address::Address;
use super::create::tag_rows;
use super::error::{Error, ValidationError};
use super::rows::{TABLES, TableRow};
use crate::call::Call;

/// Adds tags to a table, or gives them new values.
pub(crate) fn tag_resource(
    call: &Call,
    txn: &mut Txn,
    input: TagResourceInput,
) -> Result<TagResourceOutput, Error> {
    let address = address(call, &input.resource_arn)?;
    if input.tags.is_empty() {
        return Err(ValidationError::new("Atleast one Tag needs to be provided as Input.").into());
    }
    let mut row = row(txn, &address, &input.resource_arn)?;
    let kept = row
        .tags
        .into_iter()
        .filter(|(key, _)| input.tags.iter().all(|tag| tag.key != *key));
    let mut tags: Vec<Tag> = kept.map(|(key, value)| Tag { key, value }).collect();
    tags.extend(input.tags.iter().cloned());
    row.tags = tag_rows(&tags)?;
    TABLES.put(txn, &address.key(), &row);
    Ok(TagResourceOutput::default())
}

/// Removes tags; it is no error if there are none.
pub(crate) fn untag_resource(
    call: &Call,
    txn: &mut Txn,
    input: UntagResourceInput,
) -> Result<UntagResourceOutput, Error> {
    let address = address(call, &input.resource_arn)?;
    if input.tag_keys.is_empty() {
        return Err(
            ValidationError::new("Atleast one Tag Key needs to be provided as Input.").into(),
        );
    }
    let mut row = row(txn, &address, &input.resource_arn)?;
    row.tags.retain(|(key, _)| !input.tag_keys.contains(key));
    TABLES.put(txn, &address.key(), &row);
    Ok(UntagResourceOutput::default())
}

/// Lists all tags at once: there are at most 50.
pub(crate) fn list_tags(
    call: &Call,
    view: &View,
    input: ListTagsOfResourceInput,
) -> Result<ListTagsOfResourceOutput, Error> {
    if input.next_token.is_some() {
        return Err(ValidationError::invalid("NextToken is none that was given").into());
    }
    let address = address(call, &input.resource_arn)?;
    let row = row(view, &address, &input.resource_arn)?;
    let tags = row
        .tags
        .into_iter()
        .map(|(key, value)| Tag { key, value })
        .collect();
    Ok(ListTagsOfResourceOutput {
        tags: Some(tags),
        next_token: None,
    })
}

/// The address that an ARN names; nothing but tables has tags.
fn address<'a>(call: &'a Call, arn: &'a str) -> Result<Address<'a>, ValidationError> {
    if !arn.starts_with("arn:") {
        return Err(ValidationError::invalid(
            "Invalid resource arn provided, ARNs must start with 'arn:'",
        ));
    }
    Address::parse(call, arn).map_err(|_| {
        ValidationError::new(format!(
            "Invalid TableArn: Invalid ResourceArn provided as input {arn}"
        ))
    })
}

fn row(read: &impl Read, address: &Address<'_>, arn: &str) -> Result<TableRow, Error> {
    TABLES
        .get(read, &address.key())?
        .ok_or_else(|| Error::NoSuchArn(arn.to_owned()))
}
