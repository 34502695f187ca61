//! Listings of uploads under way and of their parts.

use super::buckets::{open_bucket, owner, require_bucket};
use super::checksums::set_checksum_value;
use super::encryption::customer_key;
use super::error::S3Error;
use super::lifecycle::abort_date;
use super::list::{Page, Query, Rows, common_prefixes, encoding, page_length};
use super::multipart::{open_upload, parts};
use super::names::canonical_id;
use super::rows::{PartRow, UPLOADS, UploadRow, quoted, shown_time};
use crate::call::Call;
use cumulog_engine::View;
use cumulog_model::s3::{
    Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
    ListPartsOutput, MultipartUpload, Part,
};
use std::ops::Bound;

/// Lists the parts of an upload by number.
pub(super) fn list_parts(
    call: &Call,
    view: &View,
    input: ListPartsInput,
) -> Result<ListPartsOutput, S3Error> {
    require_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let upload = open_upload(view, &input.bucket, &input.key, &input.upload_id)?;
    customer_key!(input).check_if_given(upload.traits.encryption.as_ref())?;
    let max = page_length(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or_default();
    let after = u32::try_from(marker).unwrap_or_default();
    let mut rows = parts(view, &input.upload_id)?;
    rows.retain(|(number, _)| *number > after);
    let truncated = rows.len() > max;
    rows.truncate(max);
    let last = rows.last().map_or(0, |(number, _)| *number);
    let abort = abort_date(view, &input.bucket, &input.key, upload.initiated_ms)?.unzip();
    Ok(ListPartsOutput {
        abort_date: abort.0,
        abort_rule_id: abort.1,
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: Some(marker),
        next_part_number_marker: i32::try_from(last).ok(),
        max_parts: i32::try_from(max).ok(),
        is_truncated: Some(truncated && max > 0),
        parts: Some(
            rows.into_iter()
                .map(|(number, row)| shown_part(&upload, number, row))
                .collect(),
        ),
        initiator: Some(initiator(&upload.account)),
        owner: Some(owner(&call.account)),
        storage_class: Some(upload.traits.storage_class().into()),
        checksum_algorithm: upload.asked().map(|algorithm| algorithm.name().into()),
        checksum_type: upload.checksum_type(),
        ..Default::default()
    })
}

fn shown_part(upload: &UploadRow, number: u32, row: PartRow) -> Part {
    let mut part = Part {
        part_number: i32::try_from(number).ok(),
        last_modified: Some(shown_time(row.modified_ms)),
        e_tag: Some(quoted(&row.etag)),
        size: i64::try_from(row.bytes).ok(),
        ..Default::default()
    };
    // What we computed unasked stays ours.
    if let Some(checksum) = row.checksum.filter(|_| upload.asked().is_some()) {
        set_checksum_value!(part, checksum);
    }
    part
}

fn initiator(account: &str) -> Initiator {
    Initiator {
        id: Some(canonical_id(account)),
        display_name: Some(account.to_owned()),
    }
}

/// Lists uploads under way, by key and then by age.
pub(super) fn list_uploads(
    _: &Call,
    view: &View,
    input: ListMultipartUploadsInput,
) -> Result<ListMultipartUploadsOutput, S3Error> {
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let encoded = encoding(input.encoding_type.as_ref())?;
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        max: page_length(input.max_uploads, "max-uploads")?,
    };
    let key_marker = input.key_marker.unwrap_or_default();
    // An upload id alone says nothing: S3 ignores it.
    let id_marker = input
        .upload_id_marker
        .filter(|_| !key_marker.is_empty())
        .unwrap_or_default();
    let page = page(view, &input.bucket, &query, &key_marker, &id_marker)?;
    let last = page.items.last();
    Ok(ListMultipartUploadsOutput {
        next_key_marker: Some(last.map(|(key, _)| encoded(key)).unwrap_or_default()),
        next_upload_id_marker: Some(last.map(|(_, (id, _))| id.clone()).unwrap_or_default()),
        common_prefixes: Some(common_prefixes(&page.prefixes, encoded)),
        uploads: Some(
            (page.items.into_iter())
                .map(|(key, (id, row))| shown_upload(encoded(&key), id, row, &bucket.account))
                .collect(),
        ),
        key_marker: Some(encoded(&key_marker)),
        upload_id_marker: Some(id_marker),
        max_uploads: i32::try_from(query.max).ok(),
        is_truncated: Some(page.truncated),
        prefix: input.prefix.as_deref().map(encoded),
        delimiter: input
            .delimiter
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(encoded),
        encoding_type: input.encoding_type,
        bucket: Some(input.bucket),
        ..Default::default()
    })
}

/// The uploads after a key, or after one of several uploads of that key.
fn page(
    view: &View,
    bucket: &str,
    query: &Query<'_>,
    key: &str,
    id: &str,
) -> Result<Page<(String, UploadRow)>, S3Error> {
    let rows = |from: Bound<&str>| uploads(view, bucket, from);
    let within_key =
        !id.is_empty() && key.starts_with(query.prefix) && query.common_prefix(key).is_none();
    if !within_key {
        return query.page(key, rows);
    }
    let from = (bucket.to_owned(), key.to_owned(), id.to_owned());
    let start = UPLOADS.scan_from(view, &(bucket.to_owned(),), Bound::Excluded(&from));
    let start = start.map(|row| row.map(|((_, key, id), row)| (key, (id, row))));
    query.fill(Box::new(start), None, &rows)
}

fn shown_upload(key: String, id: String, row: UploadRow, account: &str) -> MultipartUpload {
    MultipartUpload {
        upload_id: Some(id),
        key: Some(key),
        initiated: Some(shown_time(row.initiated_ms)),
        storage_class: Some(row.traits.storage_class().into()),
        owner: Some(owner(account)),
        initiator: Some(initiator(&row.account)),
        checksum_algorithm: row.asked().map(|algorithm| algorithm.name().into()),
        checksum_type: row.checksum_type(),
        ..Default::default()
    }
}

fn uploads<'a>(view: &'a View, bucket: &str, from: Bound<&str>) -> Rows<'a, (String, UploadRow)> {
    // Excluding a key means all its uploads: none has an id above this.
    let from = match from {
        Bound::Excluded(key) => {
            Bound::Excluded((bucket.to_owned(), key.to_owned(), char::MAX.to_string()))
        }
        Bound::Included(key) => Bound::Included((bucket.to_owned(), key.to_owned(), String::new())),
        Bound::Unbounded => Bound::Unbounded,
    };
    let rows = UPLOADS.scan_from(view, &(bucket.to_owned(),), from.as_ref());
    Box::new(rows.map(|row| row.map(|((_, key, id), row)| (key, (id, row)))))
}
