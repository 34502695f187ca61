//! Uploads in parts.
//!
//! A completed upload is an object whose content is the list of its parts' bodies: nothing is copied. Its entity tag is
//! the MD5 of the parts' MD5s; its checksum is joined from the parts' CRCs (full object) or is the checksum of the
//! parts' checksums (composite), as the upload asked.

use super::body;
use super::buckets::{open_bucket, owner};
use super::checksums::{set_checksum, set_checksum_value};
use super::conditions::WriteCondition;
use super::draft::{draft, refuse_customer_key, refuse_unsupported};
use super::error::{S3Error, refuse};
use super::list::{Query, Rows, common_prefixes, encoding, page_length};
use super::names::{canonical_id, check_key, path_encoded};
use super::put::{DEFAULT_CHECKSUM, place};
use super::receive::{
    Expected, Received, given_checksums, named_algorithm, parse_checksum, receive,
};
use super::rows::{
    ChecksumRow, OBJECTS, ObjectPart, ObjectRow, PARTS, PartRow, UPLOADS, UploadRow, quoted,
};
use crate::call::Call;
use crate::checksum::{Algorithm, Checksum};
use crate::failure::Failure;
use cumulog_engine::{Read, Txn, View};
use cumulog_model::s3::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, Initiator, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part,
    ServerSideEncryption, UploadPartInput, UploadPartOutput,
};
use cumulog_shape::Timestamp;
use std::ops::Bound;

/// The least that every part but the last must have.
const PART_BYTES_MIN: u64 = 5 << 20;

/// Begins an upload: what the object will be, beside its bytes.
pub(super) fn create(
    call: &Call,
    txn: &mut Txn,
    mut input: CreateMultipartUploadInput,
) -> Result<CreateMultipartUploadOutput, S3Error> {
    refuse_unsupported!(input);
    check_key(&input.key)?;
    let draft = draft!(input)?;
    let algorithm = named_algorithm(input.checksum_algorithm.as_ref())?;
    let composite = is_composite(algorithm, input.checksum_type.as_ref())?;
    open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    // Ids ascend with time, so that listings come in the order of initiation.
    let id = format!("{:012x}{}", call.now.0, call.random().hex(26));
    let row = UploadRow {
        initiated_ms: call.now.0,
        account: call.account.to_string(),
        metadata: draft.metadata,
        traits: draft.traits,
        tags: draft.tags,
        algorithm: algorithm
            .map(Algorithm::name)
            .unwrap_or_default()
            .to_owned(),
        composite,
        overtaken: false,
    };
    UPLOADS.put(
        txn,
        &(input.bucket.clone(), input.key.clone(), id.clone()),
        &row,
    );
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_type: row.checksum_type(),
        checksum_algorithm: algorithm.map(|algorithm| algorithm.name().into()),
        server_side_encryption: Some(ServerSideEncryption::Aes256),
        ..Default::default()
    })
}

/// Whether the parts' checksums are to be combined into a composite one. Only CRCs join into one of the whole, and
/// CRC-64 does nothing else.
fn is_composite(
    algorithm: Option<Algorithm>,
    wanted: Option<&ChecksumType>,
) -> Result<bool, S3Error> {
    let Some(algorithm) = algorithm else {
        return match wanted {
            None => Ok(false),
            Some(_) => Err(S3Error::request(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )),
        };
    };
    let joins = matches!(
        algorithm,
        Algorithm::Crc32 | Algorithm::Crc32c | Algorithm::Crc64Nvme
    );
    let possible = match wanted {
        None => return Ok(algorithm != Algorithm::Crc64Nvme),
        Some(ChecksumType::Composite) => algorithm != Algorithm::Crc64Nvme,
        Some(ChecksumType::FullObject) => joins,
        Some(ChecksumType::Unknown(other)) => {
            return Err(S3Error::request(format!(
                "Value for x-amz-checksum-type header is invalid: {other}"
            )));
        }
    };
    match (possible, wanted) {
        (true, wanted) => Ok(wanted == Some(&ChecksumType::Composite)),
        (false, wanted) => Err(S3Error::request(format!(
            "The {} checksum type cannot be used with the {} checksum algorithm.",
            wanted.map(ChecksumType::as_str).unwrap_or_default(),
            algorithm.name().to_ascii_lowercase()
        ))),
    }
}

impl UploadRow {
    /// The algorithm that the client asked for.
    fn asked(&self) -> Option<Algorithm> {
        Algorithm::from_name(&self.algorithm)
    }

    fn checksum_type(&self) -> Option<ChecksumType> {
        let named = if self.composite {
            ChecksumType::Composite
        } else {
            ChecksumType::FullObject
        };
        self.asked().map(|_| named)
    }
}

/// The upload, if it is under way.
fn open_upload(read: &impl Read, bucket: &str, key: &str, id: &str) -> Result<UploadRow, S3Error> {
    let place = (bucket.to_owned(), key.to_owned(), id.to_owned());
    UPLOADS
        .get(read, &place)?
        .ok_or_else(|| S3Error::NoSuchUpload {
            upload: id.to_owned(),
        })
}

fn part_number(number: i32) -> Result<u32, S3Error> {
    (u32::try_from(number).ok())
        .filter(|number| (1..=10_000).contains(number))
        .ok_or_else(|| {
            let message = "Part number must be an integer between 1 and 10000, inclusive";
            S3Error::argument("partNumber", number.to_string(), message)
        })
}

/// Stores a part; an earlier one of the same number goes.
pub(super) async fn upload_part(
    call: Call,
    input: UploadPartInput,
) -> Result<UploadPartOutput, Failure> {
    refuse_customer_key!(input);
    check_key(&input.key)?;
    let number = part_number(input.part_number)?;
    let owner = input.expected_bucket_owner.as_deref();
    let expected = Expected::parse(
        &call,
        &input.body,
        input.content_md5.as_deref(),
        input.checksum_algorithm.as_ref(),
        given_checksums!(input),
    )?;
    let view = call.view();
    open_bucket(&view, &input.bucket, owner)?;
    let upload = open_upload(&view, &input.bucket, &input.key, &input.upload_id)?;
    drop(view);
    let sent = expected.algorithm();
    check_algorithm(&upload, sent)?;
    let stored = upload.asked().unwrap_or(DEFAULT_CHECKSUM);
    let received = receive(&call, input.body, expected, Some(stored)).await?;
    let committed = call.commit(|txn| {
        open_upload(txn, &input.bucket, &input.key, &input.upload_id)?;
        let row = part(&call, txn, &received, stored)?;
        put_part(txn, &input.upload_id, number, &row)?;
        Ok::<_, S3Error>(row)
    });
    let row = committed.await?;
    let shown = sent.or(upload.asked()).unwrap_or(DEFAULT_CHECKSUM);
    let checksum = received.checksum(shown).map(ChecksumRow::whole);
    received.upload.kept();
    let mut output = UploadPartOutput {
        e_tag: Some(quoted(&row.etag)),
        server_side_encryption: Some(ServerSideEncryption::Aes256),
        ..Default::default()
    };
    if let Some(checksum) = checksum {
        set_checksum_value!(output, checksum);
    }
    Ok(output)
}

/// A part's checksum must be of the upload's algorithm; for a composite one it must be there.
fn check_algorithm(upload: &UploadRow, sent: Option<Algorithm>) -> Result<(), S3Error> {
    let Some(asked) = upload.asked() else {
        return Ok(());
    };
    if sent == Some(asked) || (sent.is_none() && !upload.composite) {
        return Ok(());
    }
    let name = |algorithm: Algorithm| algorithm.name().to_ascii_lowercase();
    Err(S3Error::request(format!(
        "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
        name(asked),
        sent.map_or_else(|| "null".to_owned(), name)
    )))
}

fn part(
    call: &Call,
    txn: &mut Txn,
    received: &Received,
    stored: Algorithm,
) -> Result<PartRow, S3Error> {
    Ok(PartRow {
        modified_ms: call.clock().now().0,
        bytes: received.upload.bytes(),
        etag: received.md5.hex(),
        body: received.upload.keep(txn)?,
        checksum: received.checksum(stored).map(ChecksumRow::whole),
    })
}

fn put_part(txn: &mut Txn, upload: &str, number: u32, row: &PartRow) -> Result<(), S3Error> {
    let place = (upload.to_owned(), number);
    if let Some(old) = PARTS.get(txn, &place)? {
        body::release(txn, &old.body)?;
    }
    PARTS.put(txn, &place, row);
    Ok(())
}

fn parts(read: &impl Read, upload: &str) -> Result<Vec<(u32, PartRow)>, S3Error> {
    let rows = PARTS.scan(read, &(upload.to_owned(),));
    Ok(rows
        .map(|row| row.map(|((_, number), row)| (number, row)))
        .collect::<Result<_, _>>()?)
}

/// Ends an upload without an object.
pub(super) fn abort(
    _: &Call,
    txn: &mut Txn,
    input: AbortMultipartUploadInput,
) -> Result<AbortMultipartUploadOutput, S3Error> {
    refuse(&[(
        "x-amz-if-match-initiated-time",
        input.if_match_initiated_time.is_some(),
    )])?;
    open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    open_upload(txn, &input.bucket, &input.key, &input.upload_id)?;
    for (_, part) in parts(txn, &input.upload_id)? {
        body::release(txn, &part.body)?;
    }
    remove(txn, input.bucket, input.key, input.upload_id);
    Ok(AbortMultipartUploadOutput::default())
}

fn remove(txn: &mut Txn, bucket: String, key: String, upload: String) {
    PARTS.delete_prefix(txn, &(upload.clone(),));
    UPLOADS.delete(txn, &(bucket, key, upload));
}

/// Makes an object of the parts that the client names, and drops the others.
pub(super) fn complete(
    call: &Call,
    txn: &mut Txn,
    input: CompleteMultipartUploadInput,
) -> Result<CompleteMultipartUploadOutput, S3Error> {
    refuse_customer_key!(input);
    open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let upload = open_upload(txn, &input.bucket, &input.key, &input.upload_id)?;
    let condition =
        WriteCondition::parse(input.if_match.as_deref(), input.if_none_match.as_deref())?;
    check_mode(&upload, input.checksum_type.as_ref())?;
    let named = input
        .multipart_upload
        .as_ref()
        .and_then(|upload| upload.parts.as_deref())
        .unwrap_or_default();
    let mut uploaded = parts(txn, &input.upload_id)?;
    let chosen = choose(&input.upload_id, &upload, named, &mut uploaded)?;
    let row = assembled(call, &upload, chosen)?;
    if let Some(bytes) = input
        .mpu_object_size
        .filter(|bytes| u64::try_from(*bytes) != Ok(row.bytes))
    {
        return Err(S3Error::request(format!(
            "The provided 'x-amz-mp-object-size' header value {bytes} does not match what was computed: {}",
            row.bytes
        )));
    }
    check_whole(&input, &row)?;
    check_conflict(txn, &input, &condition, &upload)?;
    place(txn, &input.bucket, &input.key, &condition, &row)?;
    for (_, part) in uploaded {
        body::release(txn, &part.body)?;
    }
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!(
            "http://{}/{}/{}",
            call.endpoint(),
            input.bucket,
            path_encoded(&input.key)
        )),
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        e_tag: Some(row.quoted_etag()),
        server_side_encryption: Some(ServerSideEncryption::Aes256),
        ..Default::default()
    };
    set_checksum!(output, row.checksum);
    remove(txn, input.bucket, input.key, input.upload_id);
    Ok(output)
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
        return Err(S3Error::MalformedXml);
    }
    let numbers: Vec<i32> = named
        .iter()
        .map(|part| part.part_number.unwrap_or_default())
        .collect();
    if !numbers.is_sorted_by(|a, b| a < b) {
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
        let fits = |at: &usize| is_same_part(upload, part, &uploaded[*at].1);
        match at {
            Some(at) if fits(&at)? => chosen.push((number, uploaded[at].1.clone())),
            _ => {
                let etag = super::conditions::unquoted(part.e_tag.as_deref().unwrap_or_default())
                    .to_owned();
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
    let before_last = chosen.len() - 1;
    match chosen[..before_last]
        .iter()
        .find(|(_, part)| part.bytes < PART_BYTES_MIN)
    {
        None => Ok(chosen),
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
    let etag = named.e_tag.as_deref().map(super::conditions::unquoted);
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

/// Holds the checksum that the client gives for the whole against the one computed.
fn check_whole(input: &CompleteMultipartUploadInput, row: &ObjectRow) -> Result<(), S3Error> {
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

/// Lists the parts of an upload by number.
pub(super) fn list_parts(
    call: &Call,
    view: &View,
    input: ListPartsInput,
) -> Result<ListPartsOutput, S3Error> {
    refuse_customer_key!(input);
    open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let upload = open_upload(view, &input.bucket, &input.key, &input.upload_id)?;
    let max = page_length(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or_default();
    let after = u32::try_from(marker).unwrap_or_default();
    let mut rows = parts(view, &input.upload_id)?;
    rows.retain(|(number, _)| *number > after);
    let truncated = rows.len() > max;
    rows.truncate(max);
    let last = rows.last().map_or(0, |(number, _)| *number);
    Ok(ListPartsOutput {
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
        last_modified: Some(Timestamp(row.modified_ms)),
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
    let key_marker = input.key_marker.unwrap_or_default();
    // An upload id alone says nothing: S3 ignores it.
    let id_marker = input
        .upload_id_marker
        .filter(|_| !key_marker.is_empty())
        .unwrap_or_default();
    let query = Query {
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        max: page_length(input.max_uploads, "max-uploads")?,
    };
    let rows = |from: Bound<&str>| uploads(view, &input.bucket, from);
    let page = if id_marker.is_empty() {
        query.page(&key_marker, rows)?
    } else {
        let from = (input.bucket.clone(), key_marker.clone(), id_marker.clone());
        let start = UPLOADS.scan_from(view, &(input.bucket.clone(),), Bound::Excluded(&from));
        query.fill(
            Box::new(start.map(|row| row.map(|((_, key, id), row)| (key, (id, row))))),
            None,
            &rows,
        )?
    };
    let last = page.items.last();
    let next_key_marker = last.map(|(key, _)| encoded(key)).unwrap_or_default();
    let next_upload_id_marker = last.map(|(_, (id, _))| id.clone()).unwrap_or_default();
    let shown = page
        .items
        .into_iter()
        .map(|(key, (id, row))| MultipartUpload {
            upload_id: Some(id),
            key: Some(encoded(&key)),
            initiated: Some(Timestamp(row.initiated_ms)),
            storage_class: Some(row.traits.storage_class().into()),
            owner: Some(owner(&bucket.account)),
            initiator: Some(initiator(&row.account)),
            checksum_algorithm: row.asked().map(|algorithm| algorithm.name().into()),
            checksum_type: row.checksum_type(),
            ..Default::default()
        });
    Ok(ListMultipartUploadsOutput {
        uploads: Some(shown.collect()),
        common_prefixes: Some(common_prefixes(&page.prefixes, encoded)),
        key_marker: Some(encoded(&key_marker)),
        upload_id_marker: Some(id_marker),
        next_key_marker: Some(next_key_marker),
        next_upload_id_marker: Some(next_upload_id_marker),
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
