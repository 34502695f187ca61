//! UploadPartCopy: a part that shares the bytes of a stored object, or of a range of it.

use super::body;
use super::buckets::require_bucket;
use super::checksums::set_checksum_value;
use super::encryption::{customer_key, set_customer_key, set_encryption};
use super::error::S3Error;
use super::multipart::{open_upload, part_number, put_part};
use super::names::check_key;
use super::put::DEFAULT_CHECKSUM;
use super::range;
use super::rows::{ChecksumRow, PartRow, UploadRow, quoted, shown_time};
use super::source::{Source, check_length, hash, source};
use super::versions::named;
use crate::call::Call;
use crate::failure::Failure;
use cumulog_model::s3::{CopyPartResult, UploadPartCopyInput, UploadPartCopyOutput};

/// Stores a part whose bytes another object has. They are read only for their digests.
pub(super) async fn upload_part_copy(
    call: Call,
    input: UploadPartCopyInput,
) -> Result<UploadPartCopyOutput, Failure> {
    check_key(&input.key)?;
    let number = part_number(input.part_number)?;
    let source = source!(input);
    let (upload, row, copy_source_version_id) = loop {
        if let Some(done) = copy_once(&call, &input, number, &source).await? {
            break done;
        }
    };
    let mut result = CopyPartResult {
        e_tag: Some(quoted(&row.etag)),
        last_modified: Some(shown_time(row.modified_ms)),
        ..Default::default()
    };
    // What we computed unasked stays ours.
    if let Some(checksum) = row.checksum.filter(|_| upload.asked().is_some()) {
        set_checksum_value!(result, checksum);
    }
    let mut output = UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id,
        ..Default::default()
    };
    set_encryption!(output, upload.traits.encryption.as_ref());
    set_customer_key!(output, upload.traits.encryption.as_ref());
    Ok(output)
}

/// Reads the source and stores the part. `None`: the source was written meanwhile, so what was computed is of bytes that
/// are gone.
async fn copy_once(
    call: &Call,
    input: &UploadPartCopyInput,
    number: u32,
    source: &Source<'_>,
) -> Result<Option<(UploadRow, PartRow, Option<String>)>, Failure> {
    let view = call.view();
    require_bucket(&view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let upload = open_upload(&view, &input.bucket, &input.key, &input.upload_id)?;
    customer_key!(input).check_continues(upload.traits.encryption.as_ref())?;
    let original = source.open(&view, call.now)?;
    let pieces = match input.copy_source_range.as_deref() {
        Some(header) => body::slice(
            &original.body,
            range::select_exactly(header, original.bytes)?,
        ),
        None => original.body.clone(),
    };
    check_length(body::bytes(&pieces))?;
    let algorithm = upload.asked().unwrap_or(DEFAULT_CHECKSUM);
    let (md5, checksum) = hash(&view, pieces.clone(), algorithm).await?;
    let committed = call.commit(|txn| {
        if source.open(txn, call.now)? != original {
            return Ok(None);
        }
        open_upload(txn, &input.bucket, &input.key, &input.upload_id)?;
        body::share(txn, &pieces)?;
        let row = PartRow {
            modified_ms: call.clock().now().0,
            bytes: body::bytes(&pieces),
            etag: md5.hex(),
            body: pieces,
            checksum: Some(ChecksumRow::whole(&checksum)),
        };
        put_part(txn, &input.upload_id, number, &row)?;
        Ok::<_, S3Error>(Some((upload, row, named(&original))))
    });
    committed.await
}
