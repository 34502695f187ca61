//! The tags of buckets and objects: read, replace, remove.

use super::buckets::open_bucket;
use super::draft::{TAGS_MAX, check_tag};
use super::error::S3Error;
use super::notification::{Change, notify};
use super::rows::{BUCKETS, BucketRow};
use super::versions::{Name, answered, name};
use crate::call::Call;
use cumulog_engine::{Txn, View};
use cumulog_model::s3::{
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, DeleteObjectTaggingInput,
    DeleteObjectTaggingOutput, GetBucketTaggingInput, GetBucketTaggingOutput,
    GetObjectTaggingInput, GetObjectTaggingOutput, PutBucketTaggingInput, PutBucketTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};

/// Most tags of a bucket.
const BUCKET_TAGS_MAX: usize = 50;

/// Tags as rows keep them, if each is well-formed and none comes twice.
pub(super) fn checked(tags: Vec<Tag>) -> Result<Vec<(String, String)>, S3Error> {
    let mut checked: Vec<(String, String)> = Vec::new();
    for Tag { key, value } in tags {
        check_tag(&key, &value)?;
        if checked.iter().any(|(earlier, _)| *earlier == key) {
            return Err(S3Error::InvalidTag {
                message: "Cannot provide multiple Tags with the same key",
                key,
            });
        }
        checked.push((key, value));
    }
    checked.sort();
    Ok(checked)
}

/// The tags of a bucket to be, or of one that is.
pub(super) fn checked_of_bucket(tags: Vec<Tag>) -> Result<Vec<(String, String)>, S3Error> {
    if let Some(tag) = tags.iter().find(|tag| tag.key.starts_with("aws:")) {
        let message = "System tags cannot be added/updated by requester";
        return Err(S3Error::InvalidTag {
            message,
            key: tag.key.clone(),
        });
    }
    match checked(tags)? {
        tags if tags.len() > BUCKET_TAGS_MAX => Err(S3Error::BadRequest(
            "Bucket tag count cannot be greater than 50",
        )),
        tags => Ok(tags),
    }
}

fn shown(tags: Vec<(String, String)>) -> Vec<Tag> {
    tags.into_iter()
        .map(|(key, value)| Tag { key, value })
        .collect()
}

/// Reads an object's tags.
pub(super) fn get_object_tagging(
    _: &Call,
    view: &View,
    input: GetObjectTaggingInput,
) -> Result<GetObjectTaggingOutput, S3Error> {
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let row = name!(input).open(view, "GET")?.row;
    Ok(GetObjectTaggingOutput {
        tag_set: shown(row.tags),
        version_id: answered(&bucket, &row.version),
    })
}

/// Replaces an object's tags.
pub(super) fn put_object_tagging(
    call: &Call,
    txn: &mut Txn,
    input: PutObjectTaggingInput,
) -> Result<PutObjectTaggingOutput, S3Error> {
    let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let name = name!(input);
    let tags = checked(input.tagging.tag_set)?;
    if tags.len() > TAGS_MAX {
        return Err(S3Error::BadRequest("Object tags cannot be greater than 10"));
    }
    Ok(PutObjectTaggingOutput {
        version_id: set_tags(call, txn, &bucket, name, "PUT", tags)?,
    })
}

/// Removes an object's tags.
pub(super) fn delete_object_tagging(
    call: &Call,
    txn: &mut Txn,
    input: DeleteObjectTaggingInput,
) -> Result<DeleteObjectTaggingOutput, S3Error> {
    let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    Ok(DeleteObjectTaggingOutput {
        version_id: set_tags(call, txn, &bucket, name!(input), "DELETE", Vec::new())?,
    })
}

/// Gives a version its tags; returns its id as answers carry it.
fn set_tags(
    call: &Call,
    txn: &mut Txn,
    bucket: &BucketRow,
    name: Name<'_>,
    method: &'static str,
    tags: Vec<(String, String)>,
) -> Result<Option<String>, S3Error> {
    let mut version = name.open(txn, method)?;
    version.row.tags = tags;
    let id = answered(bucket, &version.row.version);
    let change = Change {
        event: match method {
            "PUT" => "ObjectTagging:Put",
            _ => "ObjectTagging:Delete",
        },
        key: name.key,
        version: &version.row.version,
        object: Some(&version.row),
    };
    notify(call, txn, (name.bucket, bucket), &change)?;
    name.save(txn, version);
    Ok(id)
}

/// Reads a bucket's tags; unlike an object, it must have some.
pub(super) fn get_bucket_tagging(
    _: &Call,
    view: &View,
    input: GetBucketTaggingInput,
) -> Result<GetBucketTaggingOutput, S3Error> {
    let row = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    match row.tags.is_empty() {
        true => Err(S3Error::NoSuchTagSet {
            bucket: input.bucket,
        }),
        false => Ok(GetBucketTaggingOutput {
            tag_set: shown(row.tags),
        }),
    }
}

/// Replaces a bucket's tags.
pub(super) fn put_bucket_tagging(
    _: &Call,
    txn: &mut Txn,
    input: PutBucketTaggingInput,
) -> Result<PutBucketTaggingOutput, S3Error> {
    let mut row = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    row.tags = checked_of_bucket(input.tagging.tag_set)?;
    BUCKETS.put(txn, &(input.bucket,), &row);
    Ok(PutBucketTaggingOutput::default())
}

/// Removes a bucket's tags.
pub(super) fn delete_bucket_tagging(
    _: &Call,
    txn: &mut Txn,
    input: DeleteBucketTaggingInput,
) -> Result<DeleteBucketTaggingOutput, S3Error> {
    let mut row = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    row.tags = Vec::new();
    BUCKETS.put(txn, &(input.bucket,), &row);
    Ok(DeleteBucketTaggingOutput::default())
}
