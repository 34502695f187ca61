//! Whether a bucket keeps versions: switched on, and suspended again.

use super::buckets::open_bucket;
use super::error::S3Error;
use super::rows::{BUCKETS, Versioning};
use crate::call::Call;
use cumulog_engine::{Txn, View};
use cumulog_model::s3::{
    BucketVersioningStatus, GetBucketVersioningInput, GetBucketVersioningOutput, MFADelete,
    PutBucketVersioningInput, PutBucketVersioningOutput,
};

/// Says whether a bucket keeps versions: nothing if it never did.
pub(super) fn get_bucket_versioning(
    _: &Call,
    view: &View,
    input: GetBucketVersioningInput,
) -> Result<GetBucketVersioningOutput, S3Error> {
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let status = match bucket.versioning {
        Versioning::Never => None,
        Versioning::Enabled => Some(BucketVersioningStatus::Enabled),
        Versioning::Suspended => Some(BucketVersioningStatus::Suspended),
    };
    Ok(GetBucketVersioningOutput {
        status,
        ..Default::default()
    })
}

/// Switches versioning on, or suspends it. MFA delete takes a device of the root user, and there are none.
pub(super) fn put_bucket_versioning(
    _: &Call,
    txn: &mut Txn,
    input: PutBucketVersioningInput,
) -> Result<PutBucketVersioningOutput, S3Error> {
    let mut bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    match input.versioning_configuration.mfa_delete {
        None | Some(MFADelete::Disabled) => {}
        Some(MFADelete::Unknown(_)) => return Err(S3Error::MalformedXml),
        Some(MFADelete::Enabled) => return Err(S3Error::header("x-amz-mfa")),
    }
    bucket.versioning = match input.versioning_configuration.status {
        None => return Err(S3Error::NoVersioningStatus),
        Some(BucketVersioningStatus::Enabled) => Versioning::Enabled,
        Some(BucketVersioningStatus::Suspended) => Versioning::Suspended,
        Some(BucketVersioningStatus::Unknown(_)) => return Err(S3Error::MalformedXml),
    };
    if bucket.lock.is_some() && bucket.versioning != Versioning::Enabled {
        return Err(S3Error::BucketState(
            "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
        ));
    }
    BUCKETS.put(txn, &(input.bucket,), &bucket);
    Ok(PutBucketVersioningOutput::default())
}
