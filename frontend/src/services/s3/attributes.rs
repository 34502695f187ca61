//! GetObjectAttributes: what an object is made of, without its bytes.

use super::buckets::open_bucket;
use super::checksums::{set_checksum, set_checksum_value};
use super::encryption::customer_key;
use super::error::S3Error;
use super::list::page_length;
use super::names::check_key;
use super::rows::{ChecksumRow, ObjectRow, shown_time};
use super::versions::{answered, name};
use crate::call::Call;
use cumulog_engine::View;
use cumulog_model::s3::{
    Checksum, GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts,
    ObjectAttributes, ObjectPart,
};

/// Answers the attributes that the request names.
pub(super) fn get_object_attributes(
    _: &Call,
    view: &View,
    input: GetObjectAttributesInput,
) -> Result<GetObjectAttributesOutput, S3Error> {
    check_key(&input.key)?;
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let row = name!(input).read(view)?.row;
    customer_key!(input).check_opens(row.traits.encryption.as_ref())?;
    if input.object_attributes.is_empty() {
        return Err(S3Error::request(
            "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty",
        ));
    }
    let mut output = GetObjectAttributesOutput {
        last_modified: Some(shown_time(row.modified_ms)),
        version_id: answered(&bucket, &row.version),
        ..Default::default()
    };
    for attribute in &input.object_attributes {
        match attribute {
            ObjectAttributes::ETag => output.e_tag = Some(row.etag.clone()),
            ObjectAttributes::Checksum => output.checksum = shown_checksum(&row),
            ObjectAttributes::ObjectParts => output.object_parts = parts(&row, &input)?,
            ObjectAttributes::StorageClass => {
                output.storage_class = Some(row.storage_class().into())
            }
            ObjectAttributes::ObjectSize => output.object_size = i64::try_from(row.bytes).ok(),
            ObjectAttributes::Unknown(name) => {
                let message = "Invalid attribute name specified.";
                return Err(S3Error::argument(
                    "x-amz-object-attributes",
                    name.as_str(),
                    message,
                ));
            }
        }
    }
    Ok(output)
}

/// Here a composite checksum comes without the number of parts.
fn shown_checksum(row: &ObjectRow) -> Option<Checksum> {
    let stored = row.checksum.as_ref()?;
    let digest = stored
        .value
        .split('-')
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut checksum = Checksum::default();
    set_checksum!(
        checksum,
        Some(ChecksumRow {
            value: digest,
            ..stored.clone()
        })
    );
    Some(checksum)
}

/// The number of parts; where they have checksums of their own, the parts too, in pages.
fn parts(
    row: &ObjectRow,
    input: &GetObjectAttributesInput,
) -> Result<Option<GetObjectAttributesParts>, S3Error> {
    if row.parts.is_empty() {
        return Ok(None);
    }
    let mut shown = GetObjectAttributesParts {
        total_parts_count: i32::try_from(row.parts.len()).ok(),
        ..Default::default()
    };
    let Some(checksum) = row.checksum.as_ref().filter(|checksum| checksum.composite) else {
        return Ok(Some(shown));
    };
    let max = page_length(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or_default();
    let after = u32::try_from(marker).unwrap_or_default();
    let mut rest = row.parts.iter().filter(|part| part.number > after);
    let page: Vec<_> = rest.by_ref().take(max).collect();
    shown.part_number_marker = Some(marker);
    shown.next_part_number_marker = i32::try_from(page.last().map_or(0, |part| part.number)).ok();
    shown.max_parts = i32::try_from(max).ok();
    shown.is_truncated = Some(rest.next().is_some());
    shown.parts = Some(
        (page.into_iter())
            .map(|part| {
                let mut one = ObjectPart {
                    part_number: i32::try_from(part.number).ok(),
                    size: i64::try_from(part.bytes).ok(),
                    ..Default::default()
                };
                let value = part.checksum.clone().unwrap_or_default();
                set_checksum_value!(
                    one,
                    ChecksumRow {
                        value,
                        ..checksum.clone()
                    }
                );
                one
            })
            .collect(),
    );
    Ok(Some(shown))
}
