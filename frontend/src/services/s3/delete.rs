//! DeleteObject and DeleteObjects.

use super::access::check_delete;
use super::buckets::open_bucket;
use super::conditions::unquoted;
use super::error::{S3Error, refuse};
use super::names::check_key;
use super::notification::{Change, notify};
use super::rows::BucketRow;
use super::versions::{self, Deletion, Name, VersionId, delete_version, name};
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
    call: &Call,
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
        ("x-amz-mfa", input.mfa.is_some()),
    ])?;
    let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let bypass = bypass(&bucket, input.bypass_governance_retention)?;
    let target = Target {
        name: name!(input),
        if_match: input.if_match.as_deref(),
        bypass,
    };
    let deletion = target.delete(call, txn, &bucket)?;
    Ok(DeleteObjectOutput {
        delete_marker: deletion.marker.then_some(true),
        version_id: deletion.version,
        ..Default::default()
    })
}

/// What is to be deleted, and how.
struct Target<'a> {
    name: Name<'a>,
    if_match: Option<&'a str>,
    /// Despite retention in mode GOVERNANCE.
    bypass: bool,
}

impl Target<'_> {
    fn delete(&self, call: &Call, txn: &mut Txn, bucket: &BucketRow) -> Result<Deletion, S3Error> {
        let name = self.name;
        check_key(name.key)?;
        if let Some(tag) = self.if_match {
            check_match(txn, name, tag)?;
        }
        let deletion = match name.version {
            Some(id) => delete_version(call, txn, bucket, name, (id, self.bypass))?,
            None => versions::delete(call, txn, (name.bucket, bucket), name.key)?,
        };
        self.notify(call, txn, bucket, &deletion)?;
        Ok(deletion)
    }

    fn notify(
        &self,
        call: &Call,
        txn: &mut Txn,
        bucket: &BucketRow,
        deletion: &Deletion,
    ) -> Result<(), S3Error> {
        let name = self.name;
        let leaves_marker = deletion.marker && name.version.is_none();
        if !deletion.existed && !leaves_marker {
            return Ok(());
        }
        let event = match leaves_marker {
            true => "ObjectRemoved:DeleteMarkerCreated",
            false => "ObjectRemoved:Delete",
        };
        let change = Change {
            event,
            key: name.key,
            version: deletion.version.as_deref().unwrap_or_default(),
            object: None,
        };
        notify(call, txn, (name.bucket, bucket), &change)
    }
}

/// Refuses to delete what is not as the client has seen it. That it is gone is what the client wants, on whatever
/// condition.
fn check_match(txn: &Txn, name: Name<'_>, tag: &str) -> Result<(), S3Error> {
    match name.read(txn) {
        Ok(found) if tag.trim() == "*" || unquoted(tag) == found.row.etag => Ok(()),
        Ok(_) => Err(S3Error::PreconditionFailed {
            condition: "If-Match",
        }),
        Err(
            S3Error::NoSuchKey { .. }
            | S3Error::NoSuchVersion { .. }
            | S3Error::DeletedKey { .. }
            | S3Error::DeleteMarker { .. },
        ) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether retention in mode GOVERNANCE is to give way. Only buckets with object lock take the header, whatever its
/// value.
fn bypass(bucket: &BucketRow, given: Option<bool>) -> Result<bool, S3Error> {
    if given.is_some() && bucket.lock.is_none() {
        return Err(S3Error::InvalidArgument {
            message: "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets."
                .to_owned(),
            name: "x-amz-bypass-governance-retention",
            value: None,
        });
    }
    Ok(given == Some(true))
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
    refuse(&[("x-amz-mfa", input.mfa.is_some())])?;
    let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let bypass = bypass(&bucket, input.bypass_governance_retention)?;
    let quiet = input.delete.quiet == Some(true);
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in input.delete.objects {
        let place = (input.bucket.as_str(), &bucket);
        let allowed = check_delete(call, txn, place, &object.key, object.version_id.as_deref());
        let deleted_one =
            allowed.and_then(|()| delete_identified(call, txn, place, &object, bypass));
        match deleted_one {
            Ok(_) if quiet => {}
            Ok(deletion) => deleted.push(DeletedObject {
                key: Some(object.key),
                version_id: object.version_id,
                delete_marker: deletion.marker.then_some(true),
                delete_marker_version_id: deletion.version.filter(|_| deletion.marker),
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
    call: &Call,
    txn: &mut Txn,
    (name, bucket): (&str, &BucketRow),
    object: &ObjectIdentifier,
    bypass: bool,
) -> Result<Deletion, S3Error> {
    // Of directory buckets only, in AWS too.
    refuse(&[
        ("LastModifiedTime", object.last_modified_time.is_some()),
        ("Size", object.size.is_some()),
    ])?;
    let version = object.version_id.as_deref().filter(|id| !id.is_empty());
    // Here S3 has other words for what never was a version id.
    if let Some(id) = version.filter(|id| VersionId::parse(id, "versionId").is_err()) {
        return Err(S3Error::NoSuchVersion {
            key: object.key.clone(),
            version: id.to_owned(),
        });
    }
    let target = Target {
        name: Name {
            bucket: name,
            key: &object.key,
            version,
        },
        if_match: object.e_tag.as_deref(),
        bypass,
    };
    target.delete(call, txn, bucket)
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
