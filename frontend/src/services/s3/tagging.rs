//! The tags of objects: read, replace, remove.

use super::buckets::require_bucket;
use super::draft::{TAGS_MAX, check_tag};
use super::error::S3Error;
use super::get::open_object;
use super::names::check_version;
use super::rows::OBJECTS;
use crate::call::Call;
use cumulog_engine::{Txn, View};
use cumulog_model::s3::{
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, GetObjectTaggingInput,
    GetObjectTaggingOutput, PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};

/// Reads an object's tags.
pub(super) fn get_object_tagging(
    _: &Call,
    view: &View,
    input: GetObjectTaggingInput,
) -> Result<GetObjectTaggingOutput, S3Error> {
    require_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    check_version(input.version_id.as_deref())?;
    let row = open_object(view, &input.bucket, &input.key)?;
    let tag_set = row
        .tags
        .into_iter()
        .map(|(key, value)| Tag { key, value })
        .collect();
    Ok(GetObjectTaggingOutput {
        tag_set,
        ..Default::default()
    })
}

/// Replaces an object's tags.
pub(super) fn put_object_tagging(
    _: &Call,
    txn: &mut Txn,
    input: PutObjectTaggingInput,
) -> Result<PutObjectTaggingOutput, S3Error> {
    require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    check_version(input.version_id.as_deref())?;
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in input.tagging.tag_set {
        check_tag(&tag.key, &tag.value)?;
        if tags.iter().any(|(earlier, _)| *earlier == tag.key) {
            let message = "Cannot provide multiple Tags with the same key";
            return Err(S3Error::InvalidTag {
                message,
                key: tag.key,
            });
        }
        tags.push((tag.key, tag.value));
    }
    if tags.len() > TAGS_MAX {
        return Err(S3Error::BadRequest("Object tags cannot be greater than 10"));
    }
    tags.sort();
    set_tags(txn, &input.bucket, &input.key, tags)?;
    Ok(PutObjectTaggingOutput::default())
}

/// Removes an object's tags.
pub(super) fn delete_object_tagging(
    _: &Call,
    txn: &mut Txn,
    input: DeleteObjectTaggingInput,
) -> Result<DeleteObjectTaggingOutput, S3Error> {
    require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    check_version(input.version_id.as_deref())?;
    set_tags(txn, &input.bucket, &input.key, Vec::new())?;
    Ok(DeleteObjectTaggingOutput::default())
}

fn set_tags(
    txn: &mut Txn,
    bucket: &str,
    key: &str,
    tags: Vec<(String, String)>,
) -> Result<(), S3Error> {
    let mut row = open_object(txn, bucket, key)?;
    row.tags = tags;
    OBJECTS.put(txn, &(bucket.to_owned(), key.to_owned()), &row);
    Ok(())
}
