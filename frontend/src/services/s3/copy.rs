//! CopyObject: another object of the same bytes, without copying them.
//!
//! The copy shares the source's bodies. Only what the source does not know is computed by reading: the MD5 of an object
//! that came in parts, and a checksum of another algorithm.

use super::body;
use super::buckets::open_bucket;
use super::checksums::set_checksum;
use super::conditions::WriteCondition;
use super::draft::{Draft, draft, refuse_unsupported};
use super::encryption::{self, set_context, set_customer_key, set_encryption};
use super::error::{S3Error, refuse};
use super::lifecycle::expiration_header;
use super::names::check_key;
use super::notification::created;
use super::put::DEFAULT_CHECKSUM;
use super::receive::named_algorithm;
use super::rows::{ChecksumRow, ObjectRow, Traits, shown_time};
use super::source::{check_length, hash, source};
use super::versions::{answered, named, place};
use crate::call::Call;
use crate::checksum::Algorithm;
use crate::failure::Failure;
use cumulog_engine::View;
use cumulog_model::s3::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, MetadataDirective, TaggingDirective,
};
use cumulog_shape::Timestamp;

/// What a copy is to become.
struct Plan {
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
    refuse(&[(
        "x-amz-object-annotation-directive",
        input.annotation_directive.is_some(),
    )])?;
    check_key(&input.key)?;
    let plan = plan(&mut input)?;
    let source = source!(input);
    // An older version that is copied onto its key becomes the newest.
    let itself = source.name.bucket == input.bucket
        && source.name.key == input.key
        && source.name.version.is_none();
    let reencrypts = plan.draft.encryption.is_given()
        || itself && encryption::is_configured(&call.view(), &input.bucket)?;
    if itself && !plan.changes && !reencrypts {
        return Err(S3Error::request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the \
             object's metadata, storage class, website redirect location or encryption attributes.",
        )
        .into());
    }
    let (row, output) = loop {
        let view = call.view();
        let original = source.open(&view, call.now)?;
        check_length(original.bytes)?;
        let digests = Digests::of(&view, &original, plan.algorithm).await?;
        let committed = call.commit(|txn| {
            // Another write may have come while we read: then what we computed is of bytes that are gone.
            if source.open(txn, call.now)? != original {
                return Ok(None);
            }
            let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let source_version = named(&original);
            let to = (input.bucket.as_str(), &bucket);
            let traits = plan.draft.settled(&call, txn, to)?;
            let row = ObjectRow {
                traits,
                ..copied(call.clock().now(), &plan, original, digests)
            };
            body::share(txn, &row.body)?;
            let row = place(&call, txn, to, &input.key, &plan.condition, row)?;
            created(&call, txn, to, "ObjectCreated:Copy", &input.key, &row)?;
            let output = CopyObjectOutput {
                version_id: answered(&bucket, &row.version),
                copy_source_version_id: source_version,
                expiration: expiration_header(txn, &input.bucket, &input.key, &row)?,
                ..Default::default()
            };
            Ok::<_, S3Error>(Some((row, output)))
        });
        if let Some(done) = committed.await? {
            break done;
        }
    };
    let mut result = CopyObjectResult {
        e_tag: Some(row.quoted_etag()),
        last_modified: Some(shown_time(row.modified_ms)),
        ..Default::default()
    };
    set_checksum!(result, row.checksum);
    let mut output = CopyObjectOutput {
        copy_object_result: Some(result),
        ..output
    };
    set_encryption!(output, row.traits.encryption.as_ref());
    set_customer_key!(output, row.traits.encryption.as_ref());
    set_context!(output, row.traits.encryption.as_ref());
    Ok(output)
}

fn plan(input: &mut CopyObjectInput) -> Result<Plan, S3Error> {
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
        || input.checksum_algorithm.is_some();
    let algorithm = named_algorithm(input.checksum_algorithm.as_ref())?;
    Ok(Plan {
        draft: draft!(*input)?,
        replace_metadata,
        replace_tags,
        algorithm,
        condition,
        changes,
    })
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
        traits: Traits::default(),
        tags: if plan.replace_tags {
            draft.tags
        } else {
            source.tags
        },
        checksum: digests.checksum,
        parts: Vec::new(),
        upload: String::new(),
        version: String::new(),
        sequence: 0,
        lock: draft.lock,
        restore: None,
    }
}
