//! Uploads in parts: begin, store parts, give up.
//!
//! Parts are bodies of their own, each verified as it comes. [`complete`](super::complete) makes them one object.

use super::body;
use super::buckets::{open_bucket, require_bucket};
use super::checksums::set_checksum_value;
use super::draft::{draft, refuse_unsupported};
use super::encryption::{customer_key, set_context, set_customer_key, set_encryption};
use super::error::{S3Error, refuse};
use super::lifecycle::abort_date;
use super::names::check_key;
use super::put::DEFAULT_CHECKSUM;
use super::receive::{Expected, Received, given_checksums, named_algorithm, receive};
use super::rows::{ChecksumRow, PARTS, PartRow, UPLOADS, UploadRow, quoted};
use crate::call::Call;
use crate::checksum::Algorithm;
use crate::failure::Failure;
use cumulog_engine::{Read, Txn};
use cumulog_model::s3::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumType,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, UploadPartInput, UploadPartOutput,
};

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
    let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let traits = draft.settled(call, txn, (&input.bucket, &bucket))?;
    // Ids ascend with time, so that listings come in the order of initiation.
    let id = format!("{:012x}{}", call.now.0, call.random().hex(26));
    let row = UploadRow {
        initiated_ms: call.now.0,
        account: call.account.to_string(),
        metadata: draft.metadata,
        traits,
        tags: draft.tags,
        algorithm: algorithm
            .map(Algorithm::name)
            .unwrap_or_default()
            .to_owned(),
        composite,
        overtaken: false,
        lock: draft.lock,
    };
    UPLOADS.put(
        txn,
        &(input.bucket.clone(), input.key.clone(), id.clone()),
        &row,
    );
    let abort = abort_date(txn, &input.bucket, &input.key, row.initiated_ms)?.unzip();
    let mut output = CreateMultipartUploadOutput {
        abort_date: abort.0,
        abort_rule_id: abort.1,
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_type: row.checksum_type(),
        checksum_algorithm: algorithm.map(|algorithm| algorithm.name().into()),
        ..Default::default()
    };
    set_encryption!(output, row.traits.encryption.as_ref());
    set_customer_key!(output, row.traits.encryption.as_ref());
    set_context!(output, row.traits.encryption.as_ref());
    Ok(output)
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
    pub(super) fn asked(&self) -> Option<Algorithm> {
        Algorithm::from_name(&self.algorithm)
    }

    pub(super) fn checksum_type(&self) -> Option<ChecksumType> {
        let named = if self.composite {
            ChecksumType::Composite
        } else {
            ChecksumType::FullObject
        };
        self.asked().map(|_| named)
    }
}

/// The upload, if it is under way.
pub(super) fn open_upload(
    read: &impl Read,
    bucket: &str,
    key: &str,
    id: &str,
) -> Result<UploadRow, S3Error> {
    let place = (bucket.to_owned(), key.to_owned(), id.to_owned());
    UPLOADS
        .get(read, &place)?
        .ok_or_else(|| S3Error::NoSuchUpload {
            upload: id.to_owned(),
        })
}

pub(super) fn part_number(number: i32) -> Result<u32, S3Error> {
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
    require_bucket(&view, &input.bucket, owner)?;
    let upload = open_upload(&view, &input.bucket, &input.key, &input.upload_id)?;
    drop(view);
    let encryption = upload.traits.encryption.as_ref();
    customer_key!(input).check_continues(encryption)?;
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
    let mut output = UploadPartOutput {
        e_tag: Some(quoted(&row.etag)),
        ..Default::default()
    };
    if let Some(checksum) = checksum {
        set_checksum_value!(output, checksum);
    }
    set_encryption!(output, encryption);
    set_customer_key!(output, encryption);
    Ok(output)
}

/// A part's checksum must be of the upload's algorithm; for a composite one it must be there.
pub(super) fn check_algorithm(upload: &UploadRow, sent: Option<Algorithm>) -> Result<(), S3Error> {
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
        bytes: received.body.bytes(),
        etag: received.md5.hex(),
        body: received.body.keep(txn)?,
        checksum: received.checksum(stored).map(ChecksumRow::whole),
    })
}

pub(super) fn put_part(
    txn: &mut Txn,
    upload: &str,
    number: u32,
    row: &PartRow,
) -> Result<(), S3Error> {
    let place = (upload.to_owned(), number);
    if let Some(old) = PARTS.get(txn, &place)? {
        body::release(txn, &old.body)?;
    }
    PARTS.put(txn, &place, row);
    Ok(())
}

pub(super) fn parts(read: &impl Read, upload: &str) -> Result<Vec<(u32, PartRow)>, S3Error> {
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
    require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    open_upload(txn, &input.bucket, &input.key, &input.upload_id)?;
    give_up(txn, &input.bucket, &input.key, &input.upload_id)?;
    Ok(AbortMultipartUploadOutput::default())
}

/// Ends an upload with all that was stored for it.
pub(super) fn give_up(txn: &mut Txn, bucket: &str, key: &str, upload: &str) -> Result<(), S3Error> {
    for (_, part) in parts(txn, upload)? {
        body::release(txn, &part.body)?;
    }
    remove(txn, bucket.to_owned(), key.to_owned(), upload.to_owned());
    Ok(())
}

pub(super) fn remove(txn: &mut Txn, bucket: String, key: String, upload: String) {
    PARTS.delete_prefix(txn, &(upload.clone(),));
    UPLOADS.delete(txn, &(bucket, key, upload));
}
