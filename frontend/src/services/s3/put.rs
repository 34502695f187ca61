//! PutObject.

use super::buckets::open_bucket;
use super::checksums::set_checksum;
use super::conditions::WriteCondition;
use super::draft::{Draft, draft, refuse_unsupported};
use super::encryption::{set_context, set_customer_key, set_encryption};
use super::error::{S3Error, refuse};
use super::lifecycle::expiration_header;
use super::names::check_key;
use super::notification::created;
use super::receive::{Expected, Received, given_checksums, receive};
use super::rows::{ChecksumRow, Lock, ObjectRow, Traits};
use super::versions::{named, place};
use crate::call::Call;
use crate::checksum::Algorithm;
use crate::failure::Failure;
use cumulog_engine::Txn;
use cumulog_model::s3::{PutObjectInput, PutObjectOutput};

/// The checksum of objects whose writer asked for none.
pub(super) const DEFAULT_CHECKSUM: Algorithm = Algorithm::Crc64Nvme;

/// Stores an object.
pub(super) async fn put_object(
    call: Call,
    input: PutObjectInput,
) -> Result<PutObjectOutput, Failure> {
    store(call, input, Manner::Put).await
}

/// How an object comes.
pub(super) enum Manner<'a> {
    Put,
    /// In a form, which says nothing of the file's length beforehand; its policy may.
    Post(&'a (dyn Fn(u64) -> Result<(), Failure> + Sync)),
}

/// Stores an object. The bucket is looked at before the body is asked for, and again with the write.
pub(super) async fn store(
    call: Call,
    mut input: PutObjectInput,
    manner: Manner<'_>,
) -> Result<PutObjectOutput, Failure> {
    refuse_unsupported!(input);
    refuse(&[(
        "x-amz-write-offset-bytes",
        input.write_offset_bytes.is_some(),
    )])?;
    check_key(&input.key)?;
    let draft = draft!(input)?;
    let condition =
        WriteCondition::parse(input.if_match.as_deref(), input.if_none_match.as_deref())?;
    let given = given_checksums!(input);
    let expected = match manner {
        Manner::Put => Expected::parse(
            &call,
            &input.body,
            input.content_md5.as_deref(),
            input.checksum_algorithm.as_ref(),
            given,
        )?,
        Manner::Post(_) => Expected::of_form(input.checksum_algorithm.as_ref(), given)?,
    };
    if draft.lock != Lock::default() && !expected.is_given() {
        return Err(S3Error::request(
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
        )
        .into());
    }
    let owner = input.expected_bucket_owner.as_deref();
    let view = call.view();
    let bucket = open_bucket(&view, &input.bucket, owner)?;
    draft.settled(&call, &view, (&input.bucket, &bucket))?;
    drop(view);
    let algorithm = expected.algorithm().unwrap_or(DEFAULT_CHECKSUM);
    let received = receive(&call, input.body, expected, Some(algorithm)).await?;
    let event = match manner {
        Manner::Put => "ObjectCreated:Put",
        Manner::Post(check_length) => {
            check_length(received.body.bytes())?;
            "ObjectCreated:Post"
        }
    };
    let committed = call.commit(|txn| {
        let bucket = open_bucket(txn, &input.bucket, owner)?;
        let to = (input.bucket.as_str(), &bucket);
        let traits = draft.settled(&call, txn, to)?;
        let row = ObjectRow {
            traits,
            ..whole_object(&call, txn, draft, &received, algorithm)?
        };
        let row = place(&call, txn, to, &input.key, &condition, row)?;
        created(&call, txn, to, event, &input.key, &row)?;
        let expiration = expiration_header(txn, &input.bucket, &input.key, &row)?;
        Ok::<_, S3Error>((row, expiration))
    });
    let (row, expiration) = committed.await?;
    let mut output = PutObjectOutput {
        e_tag: Some(row.quoted_etag()),
        // Not of the version `null`, unlike in other answers.
        version_id: named(&row),
        expiration,
        ..Default::default()
    };
    set_checksum!(output, row.checksum);
    set_encryption!(output, row.traits.encryption.as_ref());
    set_customer_key!(output, row.traits.encryption.as_ref());
    set_context!(output, row.traits.encryption.as_ref());
    Ok(output)
}

/// The row of an object that came in one piece.
fn whole_object(
    call: &Call,
    txn: &mut Txn,
    draft: Draft,
    received: &Received,
    algorithm: Algorithm,
) -> Result<ObjectRow, S3Error> {
    Ok(ObjectRow {
        modified_ms: call.clock().now().0,
        bytes: received.body.bytes(),
        etag: received.md5.hex(),
        body: received.body.keep(txn)?,
        metadata: draft.metadata,
        traits: Traits::default(),
        tags: draft.tags,
        checksum: received.checksum(algorithm).map(ChecksumRow::whole),
        parts: Vec::new(),
        upload: String::new(),
        version: String::new(),
        sequence: 0,
        lock: draft.lock,
        restore: None,
    })
}
