//! Completes an upload: an object whose content is the list of its parts' bodies. Nothing is copied.
//!
//! The entity tag is the MD5 of the parts' MD5s. The checksum is joined from the parts' CRCs (full object) or is the
//! checksum of the parts' checksums (composite), as the upload asked.

use super::body;
use super::buckets::open_bucket;
use super::checksums::set_checksum;
use super::conditions::{WriteCondition, unquoted};
use super::encryption::{customer_key, set_encryption};
use super::error::S3Error;
use super::lifecycle::expiration_header;
use super::multipart::{open_upload, part_number, parts, remove};
use super::names::path_encoded;
use super::notification::created;
use super::put::DEFAULT_CHECKSUM;
use super::receive::{given_checksums, parse_checksum};
use super::rows::{BucketRow, ChecksumRow, OBJECTS, ObjectPart, ObjectRow, PartRow, UploadRow};
use super::versions::{named, place};
use crate::call::Call;
use crate::checksum::{Algorithm, Checksum};
use cumulog_engine::{Read, Txn};
use cumulog_model::s3::{
    ChecksumType, CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart,
};

/// The least that every part but the last must have.
const PART_BYTES_MIN: u64 = 5 << 20;

/// Makes an object of the parts that the client names, and drops the others.
///
/// A client that missed the answer may ask again: while the object is the one that the upload became, it is told so.
pub(super) fn complete(
    call: &Call,
    txn: &mut Txn,
    input: CompleteMultipartUploadInput,
) -> Result<CompleteMultipartUploadOutput, S3Error> {
    let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let object = OBJECTS.get(txn, &(input.bucket.clone(), input.key.clone()))?;
    let row = match object.filter(|object| object.upload == input.upload_id) {
        Some(completed) => completed,
        None => assemble(call, txn, &bucket, &input)?,
    };
    let location = format!(
        "http://{}/{}/{}",
        call.endpoint(),
        input.bucket,
        path_encoded(&input.key)
    );
    let expiration = expiration_header(txn, &input.bucket, &input.key, &row)?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(location),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(row.quoted_etag()),
        version_id: named(&row),
        expiration,
        ..Default::default()
    };
    set_checksum!(output, row.checksum);
    set_encryption!(output, row.traits.encryption.as_ref());
    Ok(output)
}

/// Puts the object together and in its place, and ends the upload.
fn assemble(
    call: &Call,
    txn: &mut Txn,
    bucket: &BucketRow,
    input: &CompleteMultipartUploadInput,
) -> Result<ObjectRow, S3Error> {
    let upload = open_upload(txn, &input.bucket, &input.key, &input.upload_id)?;
    customer_key!(input).check_if_given(upload.traits.encryption.as_ref())?;
    let condition =
        WriteCondition::parse(input.if_match.as_deref(), input.if_none_match.as_deref())?;
    check_mode(&upload, input.checksum_type.as_ref())?;
    let named = input
        .multipart_upload
        .as_ref()
        .ok_or(S3Error::MalformedXml)?;
    let mut uploaded = parts(txn, &input.upload_id)?;
    let chosen = choose(
        &input.upload_id,
        &upload,
        named.parts.as_deref().unwrap_or_default(),
        &mut uploaded,
    )?;
    let row = ObjectRow {
        upload: input.upload_id.clone(),
        ..assembled(call, &upload, chosen)?
    };
    check_whole(input, &row)?;
    check_conflict(txn, input, &condition, &upload)?;
    let to = (input.bucket.as_str(), bucket);
    let row = place(call, txn, to, &input.key, &condition, row)?;
    let event = "ObjectCreated:CompleteMultipartUpload";
    created(call, txn, to, event, &input.key, &row)?;
    for (_, part) in uploaded {
        body::release(txn, &part.body)?;
    }
    remove(
        txn,
        input.bucket.clone(),
        input.key.clone(),
        input.upload_id.clone(),
    );
    Ok(row)
}

fn check_mode(upload: &UploadRow, given: Option<&ChecksumType>) -> Result<(), S3Error> {
    let asked = upload.checksum_type();
    if given.is_none() || given == asked.as_ref() {
        return Ok(());
    }
    let asked = asked.as_ref().map_or("null", ChecksumType::as_str);
    Err(S3Error::request(format!(
        "The upload was created using the {asked} checksum mode. The complete request must use the same checksum mode."
    )))
}

/// The named parts, taken out of `uploaded`, if they are what was uploaded, in ascending order and long enough.
fn choose(
    id: &str,
    upload: &UploadRow,
    named: &[CompletedPart],
    uploaded: &mut Vec<(u32, PartRow)>,
) -> Result<Vec<(u32, PartRow)>, S3Error> {
    if named.is_empty() {
        return Err(S3Error::request("You must specify at least one part"));
    }
    if !named.is_sorted_by(|a, b| a.part_number < b.part_number) {
        return Err(S3Error::InvalidPartOrder {
            upload: id.to_owned(),
        });
    }
    let mut chosen: Vec<(u32, PartRow)> = Vec::with_capacity(named.len());
    for part in named {
        let number = part_number(part.part_number.unwrap_or_default())?;
        let at = uploaded
            .binary_search_by_key(&number, |(number, _)| *number)
            .ok();
        let row = at.map(|at| &uploaded[at].1);
        match row {
            Some(row) if is_same_part(upload, part, row)? => chosen.push((number, row.clone())),
            _ => {
                let etag = unquoted(part.e_tag.as_deref().unwrap_or_default()).to_owned();
                return Err(S3Error::InvalidPart {
                    upload: id.to_owned(),
                    part: number,
                    etag,
                });
            }
        }
    }
    uploaded.retain(|(number, _)| {
        chosen
            .binary_search_by_key(number, |(number, _)| *number)
            .is_err()
    });
    check_lengths(&chosen)?;
    Ok(chosen)
}

/// Only the last part may be short.
fn check_lengths(chosen: &[(u32, PartRow)]) -> Result<(), S3Error> {
    let before_last = chosen.split_last().map_or(&[][..], |(_, rest)| rest);
    match before_last
        .iter()
        .find(|(_, part)| part.bytes < PART_BYTES_MIN)
    {
        None => Ok(()),
        Some((number, part)) => Err(S3Error::EntityTooSmall {
            bytes: part.bytes,
            bytes_min: PART_BYTES_MIN,
            part: *number,
            etag: part.etag.clone(),
        }),
    }
}

/// Whether the client names the part as it was stored: by entity tag, and by checksum where it gives one.
fn is_same_part(
    upload: &UploadRow,
    named: &CompletedPart,
    part: &PartRow,
) -> Result<bool, S3Error> {
    let etag = named.e_tag.as_deref().map(unquoted);
    let given: Vec<_> = given_checksums!(named)
        .into_iter()
        .filter_map(|(by, value)| Some((by, value?)))
        .collect();
    if given.is_empty() && upload.composite {
        return Err(S3Error::request(format!(
            "The upload was created using a {} checksum. The complete request must include the checksum for each \
             part. It was missing for part {} in the request.",
            upload.algorithm.to_ascii_lowercase(),
            named.part_number.unwrap_or_default()
        )));
    }
    let stored = part.checksum.as_ref();
    let same = |(algorithm, value): &(Algorithm, &str)| {
        stored
            .is_some_and(|stored| stored.algorithm() == Some(*algorithm) && stored.value == *value)
    };
    Ok(etag == Some(&part.etag) && given.iter().all(same))
}

/// The object that the parts make.
fn assembled(
    call: &Call,
    upload: &UploadRow,
    chosen: Vec<(u32, PartRow)>,
) -> Result<ObjectRow, S3Error> {
    let mut md5s = Algorithm::Md5.hasher();
    for (_, part) in &chosen {
        md5s.update(&hex_decoded(&part.etag));
    }
    let algorithm = upload.asked().unwrap_or(DEFAULT_CHECKSUM);
    let checksum = if upload.composite {
        composite(algorithm, &chosen)
    } else {
        joined(algorithm, &chosen)
    };
    let parts = chosen.iter().map(|(number, part)| ObjectPart {
        number: *number,
        bytes: part.bytes,
        checksum: part
            .checksum
            .as_ref()
            .filter(|_| upload.composite)
            .map(|checksum| checksum.value.clone()),
    });
    Ok(ObjectRow {
        modified_ms: call.now.0,
        bytes: chosen.iter().map(|(_, part)| part.bytes).sum(),
        etag: format!("{}-{}", md5s.finish().hex(), chosen.len()),
        metadata: upload.metadata.clone(),
        traits: upload.traits.clone(),
        tags: upload.tags.clone(),
        checksum: Some(checksum?),
        parts: parts.collect(),
        upload: String::new(),
        version: String::new(),
        sequence: 0,
        lock: upload.lock.clone(),
        restore: None,
        body: chosen.into_iter().flat_map(|(_, part)| part.body).collect(),
    })
}

fn hex_decoded(text: &str) -> Vec<u8> {
    let digit = |at: usize| {
        text.get(at..at + 2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
    };
    (0..text.len()).step_by(2).filter_map(digit).collect()
}

/// A part's stored checksum.
fn part_checksum(algorithm: Algorithm, part: &PartRow) -> Result<Checksum, S3Error> {
    let stored = part
        .checksum
        .as_ref()
        .filter(|stored| stored.algorithm() == Some(algorithm));
    stored
        .and_then(|stored| Checksum::from_base64(algorithm, &stored.value))
        .ok_or_else(|| S3Error::Broken(format!("a part has no {}", algorithm.name())))
}

/// The checksum of the parts' checksums.
fn composite(algorithm: Algorithm, chosen: &[(u32, PartRow)]) -> Result<ChecksumRow, S3Error> {
    let mut hasher = algorithm.hasher();
    for (_, part) in chosen {
        hasher.update(part_checksum(algorithm, part)?.value());
    }
    let value = format!("{}-{}", hasher.finish().base64(), chosen.len());
    Ok(ChecksumRow {
        algorithm: algorithm.name().to_owned(),
        value,
        composite: true,
    })
}

/// The checksum of all bytes, by that of each part.
fn joined(algorithm: Algorithm, chosen: &[(u32, PartRow)]) -> Result<ChecksumRow, S3Error> {
    let mut whole = algorithm.checksum(b"");
    for (_, part) in chosen {
        let joined = whole.append(&part_checksum(algorithm, part)?, part.bytes);
        whole =
            joined.ok_or_else(|| S3Error::Broken(format!("{} does not join", algorithm.name())))?;
    }
    Ok(ChecksumRow::whole(&whole))
}

/// Holds the length and checksum that the client gives for the whole against those computed.
fn check_whole(input: &CompleteMultipartUploadInput, row: &ObjectRow) -> Result<(), S3Error> {
    let given = input
        .mpu_object_size
        .filter(|bytes| u64::try_from(*bytes) != Ok(row.bytes));
    if let Some(bytes) = given {
        return Err(S3Error::request(format!(
            "The provided 'x-amz-mp-object-size' header value {bytes} does not match what was computed: {}",
            row.bytes
        )));
    }
    let stored = row.checksum.as_ref();
    for (algorithm, value) in given_checksums!(input) {
        let Some(value) = value else {
            continue;
        };
        // A composite one may come with or without the number of parts.
        let digest = value.split_once('-').map_or(value, |(digest, _)| digest);
        parse_checksum(algorithm, digest)?;
        let same = stored.is_some_and(|stored| {
            stored.algorithm() == Some(algorithm)
                && (stored.value == value
                    || (stored.composite && stored.value.starts_with(&format!("{value}-"))))
        });
        if !same {
            let name = stored
                .map(|stored| stored.algorithm.to_ascii_lowercase())
                .unwrap_or_default();
            return Err(S3Error::ChecksumOfWhole { algorithm: name });
        }
    }
    Ok(())
}

/// A conditional completion is refused if the object was written or deleted since the upload began.
fn check_conflict(
    read: &impl Read,
    input: &CompleteMultipartUploadInput,
    condition: &WriteCondition,
    upload: &UploadRow,
) -> Result<(), S3Error> {
    if *condition == WriteCondition::Always {
        return Ok(());
    }
    let object = OBJECTS.get(read, &(input.bucket.clone(), input.key.clone()))?;
    condition.check(
        &input.key,
        object.as_ref().map(|object| object.etag.as_str()),
    )?;
    if upload.overtaken || object.is_some_and(|object| object.modified_ms > upload.initiated_ms) {
        return Err(S3Error::ConditionalRequestConflict {
            condition: condition.name(),
            key: input.key.clone(),
        });
    }
    Ok(())
}
