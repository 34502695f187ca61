//! CopyObject: another object of the same bytes, without copying them.
//!
//! The copy shares the source's bodies. Only what the source does not know is computed by reading: the MD5 of an object
//! that came in parts, and a checksum of another algorithm.

use super::body::{self, Reader};
use super::buckets::open_bucket;
use super::checksums::set_checksum;
use super::conditions::{ReadConditions, State, WriteCondition};
use super::draft::{Draft, draft, refuse_unsupported};
use super::error::{S3Error, refuse};
use super::get::{check_readable, open_object};
use super::names::{CopySource, check_key};
use super::put::{DEFAULT_CHECKSUM, place};
use super::receive::named_algorithm;
use super::rows::{ChecksumRow, ObjectRow};
use crate::call::Call;
use crate::checksum::{Algorithm, Checksum, Hasher};
use crate::failure::Failure;
use cumulog_engine::{Read, View};
use cumulog_model::s3::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, MetadataDirective, ServerSideEncryption,
    TaggingDirective,
};
use cumulog_shape::Timestamp;

/// The largest object that one copy may make.
pub(super) const COPY_BYTES_MAX: u64 = 5 << 30;

/// What a copy is to become.
struct Plan {
    source: CopySource,
    draft: Draft,
    replace_metadata: bool,
    replace_tags: bool,
    algorithm: Option<Algorithm>,
    condition: WriteCondition,
    /// Whether the request changes anything but the place.
    changes: bool,
}

/// Copies an object within or between buckets.
pub(super) async fn copy_object(
    call: Call,
    mut input: CopyObjectInput,
) -> Result<CopyObjectOutput, Failure> {
    refuse_unsupported!(input);
    refuse_source_key(&input)?;
    check_key(&input.key)?;
    let plan = plan(&mut input)?;
    if !plan.changes && plan.source.bucket == input.bucket && plan.source.key == input.key {
        return Err(S3Error::request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes.",
        )
        .into());
    }
    let row = loop {
        let view = call.view();
        let source = open_source(&call, &view, &input, &plan.source)?;
        let digests = Digests::of(&view, &source, plan.algorithm).await?;
        let committed = call.commit(|txn| {
            // Another write may have come while we read: then what we computed is of bytes that are gone.
            if open_source(&call, txn, &input, &plan.source)? != source {
                return Ok(None);
            }
            open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let row = copied(call.clock().now(), &plan, source, digests);
            body::share(txn, &row.body)?;
            place(txn, &input.bucket, &input.key, &plan.condition, &row)?;
            Ok::<_, S3Error>(Some(row))
        });
        if let Some(row) = committed.await? {
            break row;
        }
    };
    let mut result = CopyObjectResult {
        e_tag: Some(row.quoted_etag()),
        last_modified: Some(Timestamp(row.modified_ms)),
        ..Default::default()
    };
    set_checksum!(result, row.checksum);
    Ok(CopyObjectOutput {
        copy_object_result: Some(result),
        server_side_encryption: Some(ServerSideEncryption::Aes256),
        ..Default::default()
    })
}

fn refuse_source_key(input: &CopyObjectInput) -> Result<(), S3Error> {
    refuse(&[
        (
            "x-amz-copy-source-server-side-encryption-customer-algorithm",
            input.copy_source_sse_customer_algorithm.is_some(),
        ),
        (
            "x-amz-copy-source-server-side-encryption-customer-key",
            input.copy_source_sse_customer_key.is_some(),
        ),
        (
            "x-amz-copy-source-server-side-encryption-customer-key-MD5",
            input.copy_source_sse_customer_key_md5.is_some(),
        ),
        (
            "x-amz-object-annotation-directive",
            input.annotation_directive.is_some(),
        ),
    ])
}

fn plan(input: &mut CopyObjectInput) -> Result<Plan, S3Error> {
    let source = CopySource::parse(&input.copy_source)?;
    let condition =
        WriteCondition::parse(input.if_match.as_deref(), input.if_none_match.as_deref())?;
    let replace_metadata = match input.metadata_directive.take() {
        None | Some(MetadataDirective::Copy) => false,
        Some(MetadataDirective::Replace) => true,
        Some(MetadataDirective::Unknown(other)) => {
            return Err(S3Error::argument(
                "x-amz-metadata-directive",
                other,
                "Unknown metadata directive.",
            ));
        }
    };
    let replace_tags = match input.tagging_directive.take() {
        None | Some(TaggingDirective::Copy) => false,
        Some(TaggingDirective::Replace) => true,
        Some(TaggingDirective::Unknown(other)) => {
            return Err(S3Error::argument(
                "x-amz-tagging-directive",
                other,
                "Unknown tagging directive.",
            ));
        }
    };
    let changes = replace_metadata
        || input.storage_class.is_some()
        || input.website_redirect_location.is_some()
        || input.server_side_encryption.is_some()
        || input.checksum_algorithm.is_some();
    let algorithm = named_algorithm(input.checksum_algorithm.as_ref())?;
    Ok(Plan {
        source,
        draft: draft!(*input)?,
        replace_metadata,
        replace_tags,
        algorithm,
        condition,
        changes,
    })
}

/// The source, if it may be copied and the request's conditions on it hold.
fn open_source(
    call: &Call,
    read: &impl Read,
    input: &CopyObjectInput,
    source: &CopySource,
) -> Result<ObjectRow, S3Error> {
    open_bucket(
        read,
        &source.bucket,
        input.expected_source_bucket_owner.as_deref(),
    )?;
    let row = open_object(read, &source.bucket, &source.key)?;
    let conditions = ReadConditions {
        if_match: input.copy_source_if_match.as_deref(),
        if_none_match: input.copy_source_if_none_match.as_deref(),
        if_modified_since: input.copy_source_if_modified_since,
        if_unmodified_since: input.copy_source_if_unmodified_since,
    };
    conditions.check_source(
        State {
            etag: &row.etag,
            modified: Timestamp(row.modified_ms),
        },
        call.now,
    )?;
    check_readable(&row)?;
    if row.bytes > COPY_BYTES_MAX {
        return Err(S3Error::request(format!(
            "The specified copy source is larger than the maximum allowable size for a copy source: {COPY_BYTES_MAX}"
        )));
    }
    Ok(row)
}

/// What the copy's entity tag and checksum are.
struct Digests {
    etag: String,
    checksum: Option<ChecksumRow>,
}

impl Digests {
    /// Taken from the source where it has them, computed from its bytes where not.
    async fn of(
        view: &View,
        source: &ObjectRow,
        wanted: Option<Algorithm>,
    ) -> Result<Digests, S3Error> {
        let stored = source.checksum.as_ref();
        let known = stored.and_then(ChecksumRow::algorithm);
        let algorithm = wanted.or(known).unwrap_or(DEFAULT_CHECKSUM);
        let usable =
            stored.filter(|stored| !stored.composite && stored.algorithm() == Some(algorithm));
        let whole = source.parts.is_empty();
        if let (Some(checksum), true) = (usable, whole) {
            return Ok(Digests {
                etag: source.etag.clone(),
                checksum: Some(checksum.clone()),
            });
        }
        let (md5, checksum) = hash(view, source.body.clone(), algorithm).await?;
        Ok(Digests {
            etag: md5.hex(),
            checksum: Some(ChecksumRow::whole(&checksum)),
        })
    }
}

/// MD5 and checksum of stored bytes.
pub(super) async fn hash(
    view: &View,
    pieces: Vec<body::Piece>,
    algorithm: Algorithm,
) -> Result<(Checksum, Checksum), S3Error> {
    let mut hashers: [Hasher; 2] = [Algorithm::Md5.hasher(), algorithm.hasher()];
    let mut reader = Reader::new(view.clone(), pieces);
    while let Some(chunk) = reader.next()? {
        hashers.iter_mut().for_each(|hasher| hasher.update(&chunk));
        // Gigabytes take seconds, and others wait for this thread.
        tokio::task::yield_now().await;
    }
    let [md5, checksum] = hashers.map(Hasher::finish);
    Ok((md5, checksum))
}

fn copied(now: Timestamp, plan: &Plan, source: ObjectRow, digests: Digests) -> ObjectRow {
    let draft = plan.draft.clone();
    ObjectRow {
        modified_ms: now.0,
        bytes: source.bytes,
        etag: digests.etag,
        body: source.body,
        metadata: if plan.replace_metadata {
            draft.metadata
        } else {
            source.metadata
        },
        traits: draft.traits,
        tags: if plan.replace_tags {
            draft.tags
        } else {
            source.tags
        },
        checksum: digests.checksum,
        parts: Vec::new(),
    }
}
