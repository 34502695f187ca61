//! What clients ask about versions, of buckets that keep none: every object is its own only version, `null`.

use super::buckets::{open_bucket, owner, require_bucket};
use super::error::S3Error;
use super::list::{Query, common_prefixes, encoding, objects, page_length};
use super::names::check_version;
use super::rows::{ObjectRow, shown_time};
use crate::call::Call;
use cumulog_engine::View;
use cumulog_model::s3::{
    GetBucketVersioningInput, GetBucketVersioningOutput, ListObjectVersionsInput,
    ListObjectVersionsOutput, ObjectVersion,
};

/// The version of every object.
const NULL: &str = "null";

/// Says nothing: versioning was never switched on.
pub(super) fn get_bucket_versioning(
    _: &Call,
    view: &View,
    input: GetBucketVersioningInput,
) -> Result<GetBucketVersioningOutput, S3Error> {
    require_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    Ok(GetBucketVersioningOutput::default())
}

/// Lists every object as its only version.
pub(super) fn list_object_versions(
    _: &Call,
    view: &View,
    input: ListObjectVersionsInput,
) -> Result<ListObjectVersionsOutput, S3Error> {
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let encoded = encoding(input.encoding_type.as_ref())?;
    let version_marker = input.version_id_marker.filter(|marker| !marker.is_empty());
    let marker = match (input.key_marker.unwrap_or_default(), &version_marker) {
        (key, Some(version)) if key.is_empty() => {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(S3Error::argument(
                "version-id-marker",
                version.as_str(),
                message,
            ));
        }
        (key, _) => key,
    };
    check_version(version_marker.as_deref())?;
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        max: page_length(input.max_keys, "maxKeys")?,
    };
    let page = query.page(&marker, |from| objects(view, &input.bucket, from))?;
    let on_version = page.items.last().is_some_and(|(key, _)| *key == page.last);
    let versions = page
        .items
        .into_iter()
        .map(|(key, row)| version(encoded(&key), row, &bucket.account));
    Ok(ListObjectVersionsOutput {
        is_truncated: Some(page.truncated),
        next_key_marker: page.truncated.then(|| encoded(&page.last)),
        next_version_id_marker: (page.truncated && on_version).then(|| NULL.to_owned()),
        versions: Some(versions.collect()),
        common_prefixes: Some(common_prefixes(&page.prefixes, encoded)),
        key_marker: Some(encoded(&marker)),
        version_id_marker: Some(version_marker.unwrap_or_default()),
        prefix: Some(encoded(query.prefix)),
        delimiter: (!query.delimiter.is_empty()).then(|| encoded(query.delimiter)),
        max_keys: i32::try_from(query.max).ok(),
        encoding_type: input.encoding_type,
        name: Some(input.bucket.clone()),
        ..Default::default()
    })
}

fn version(key: String, row: ObjectRow, account: &str) -> ObjectVersion {
    ObjectVersion {
        e_tag: Some(row.quoted_etag()),
        checksum_algorithm: row
            .checksum
            .as_ref()
            .map(|checksum| vec![checksum.algorithm.as_str().into()]),
        checksum_type: row.checksum.as_ref().map(|checksum| checksum.shown_type()),
        size: i64::try_from(row.bytes).ok(),
        storage_class: Some(row.storage_class().into()),
        key: Some(key),
        version_id: Some(NULL.to_owned()),
        is_latest: Some(true),
        last_modified: Some(shown_time(row.modified_ms)),
        owner: Some(owner(account)),
        ..Default::default()
    }
}
