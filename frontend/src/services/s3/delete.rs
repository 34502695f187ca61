//! DeleteObject and DeleteObjects.

use super::body;
use super::buckets::require_bucket;
use super::conditions::unquoted;
use super::error::{S3Error, refuse};
use super::names::{check_key, check_version};
use super::rows::{OBJECTS, UPLOADS};
use crate::call::Call;
use crate::checksum::Algorithm;
use crate::failure::Failure;
use cumulog_engine::Txn;
use cumulog_model::s3::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    Error, ObjectIdentifier,
};

/// Most keys in one DeleteObjects.
const KEYS_MAX: usize = 1000;

/// Deletes an object; that there is none is as good.
pub(super) fn delete_object(
    _: &Call,
    txn: &mut Txn,
    input: DeleteObjectInput,
) -> Result<DeleteObjectOutput, S3Error> {
    // Of directory buckets only, in AWS too.
    refuse(&[
        (
            "x-amz-if-match-last-modified-time",
            input.if_match_last_modified_time.is_some(),
        ),
        ("x-amz-if-match-size", input.if_match_size.is_some()),
    ])?;
    require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    delete(
        txn,
        &input.bucket,
        &input.key,
        input.version_id.as_deref(),
        input.if_match.as_deref(),
    )?;
    Ok(DeleteObjectOutput::default())
}

fn delete(
    txn: &mut Txn,
    bucket: &str,
    key: &str,
    version: Option<&str>,
    if_match: Option<&str>,
) -> Result<(), S3Error> {
    check_key(key)?;
    check_version(version)?;
    let place = (bucket.to_owned(), key.to_owned());
    // That it is gone is what the client wants, on whatever condition.
    let Some(old) = OBJECTS.get(txn, &place)? else {
        return Ok(());
    };
    if if_match.is_some_and(|tag| tag.trim() != "*" && unquoted(tag) != old.etag) {
        return Err(S3Error::PreconditionFailed {
            condition: "If-Match",
        });
    }
    OBJECTS.delete(txn, &place);
    body::release(txn, &old.body)?;
    overtake_uploads(txn, bucket, key)
}

/// A conditional completion of these uploads would act on a state that its client has not seen.
fn overtake_uploads(txn: &mut Txn, bucket: &str, key: &str) -> Result<(), S3Error> {
    let uploads: Vec<_> = UPLOADS
        .scan(txn, &(bucket.to_owned(), key.to_owned()))
        .collect::<Result<_, _>>()?;
    for (place, mut upload) in uploads {
        upload.overtaken = true;
        UPLOADS.put(txn, &place, &upload);
    }
    Ok(())
}

/// Deletes many objects at once, each with a result of its own.
pub(super) fn delete_objects(
    call: &Call,
    txn: &mut Txn,
    input: DeleteObjectsInput,
) -> Result<DeleteObjectsOutput, S3Error> {
    require_digest(call)?;
    if input.delete.objects.is_empty() || input.delete.objects.len() > KEYS_MAX {
        return Err(S3Error::MalformedXml);
    }
    require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let quiet = input.delete.quiet == Some(true);
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in input.delete.objects {
        match delete_identified(txn, &input.bucket, &object) {
            Ok(()) if quiet => {}
            Ok(()) => deleted.push(DeletedObject {
                key: Some(object.key),
                version_id: object.version_id,
                ..Default::default()
            }),
            Err(S3Error::Broken(message)) => return Err(S3Error::Broken(message)),
            Err(error) => {
                let failure = Failure::from(error);
                errors.push(Error {
                    key: Some(object.key),
                    version_id: object.version_id,
                    code: Some(failure.code.into_owned()),
                    message: Some(failure.message),
                });
            }
        }
    }
    Ok(DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: Some(errors),
        ..Default::default()
    })
}

fn delete_identified(
    txn: &mut Txn,
    bucket: &str,
    object: &ObjectIdentifier,
) -> Result<(), S3Error> {
    refuse(&[
        ("LastModifiedTime", object.last_modified_time.is_some()),
        ("Size", object.size.is_some()),
    ])?;
    delete(
        txn,
        bucket,
        &object.key,
        object.version_id.as_deref(),
        object.e_tag.as_deref(),
    )
}

/// This request must say what its body is, as it destroys so much; the core has verified it.
fn require_digest(call: &Call) -> Result<(), S3Error> {
    let given = call.header("content-md5").is_some()
        || call.header("x-amz-trailer").is_some()
        || Algorithm::ALL
            .iter()
            .any(|algorithm| call.header(algorithm.header()).is_some());
    match given {
        true => Ok(()),
        false => Err(S3Error::request(
            "Missing required header for this request: Content-MD5",
        )),
    }
}
