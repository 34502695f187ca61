//! Lifecycles: objects expire, move to other storage classes, and uploads are given up, by rules and by the clock.
//!
//! [`check`] is what S3 says to a configuration, [`rules`] what a configuration means for one object, and [`sweep`] does
//! it: at midnight UTC and when a configuration is put.

mod check;
mod rules;
mod sweep;
#[cfg(test)]
mod tests;

use super::buckets::{open_bucket, require_bucket};
use super::configuration::Kind;
use super::error::S3Error;
use super::rows::{JOBS, MOVE_MINIMUMS, ObjectRow, SWEEPS};
use crate::call::Call;
use crate::service::Service;
use cumulog_engine::{Read, Txn, View};
use cumulog_model::s3::{
    self as model, BucketLifecycleConfiguration, DeleteBucketLifecycleInput,
    DeleteBucketLifecycleOutput, GetBucketLifecycleConfigurationInput,
    GetBucketLifecycleConfigurationOutput, PutBucketLifecycleConfigurationInput,
    PutBucketLifecycleConfigurationOutput, TransitionDefaultMinimumObjectSize,
};
use cumulog_shape::Timestamp;

const LIFECYCLE: Kind<BucketLifecycleConfiguration> = Kind::new("lifecycle");

/// The job that acts on a bucket's configuration.
const SWEEP: &str = "lifecycle";

const DAY_MS: i64 = 86_400_000;

pub(super) fn register(service: Service) -> Service {
    service
        .write::<model::PutBucketLifecycleConfiguration, _>(put_bucket_lifecycle)
        .read::<model::GetBucketLifecycleConfiguration, _>(get_bucket_lifecycle)
        .write::<model::DeleteBucketLifecycle, _>(delete_bucket_lifecycle)
        .job_handler(SWEEP, sweep::run)
}

/// Some days after a time, rounded up to midnight UTC.
pub(super) fn midnight_after(time: Timestamp, days: i64) -> Timestamp {
    let days = i128::from(days) * i128::from(DAY_MS) + i128::from(time.0);
    let day_ms = i128::from(DAY_MS);
    let rounded = (days + day_ms - 1).div_euclid(day_ms) * day_ms;
    Timestamp(i64::try_from(rounded).unwrap_or(i64::MAX))
}

/// The next midnight UTC.
fn next_midnight(now: Timestamp) -> Timestamp {
    midnight_after(Timestamp(now.0 + 1), 0)
}

/// Gives a bucket rules; they are acted on at once and every midnight.
fn put_bucket_lifecycle(
    call: &Call,
    txn: &mut Txn,
    input: PutBucketLifecycleConfigurationInput,
) -> Result<PutBucketLifecycleConfigurationOutput, S3Error> {
    require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let minimum = match input.transition_default_minimum_object_size {
        None => TransitionDefaultMinimumObjectSize::AllStorageClasses128K,
        Some(TransitionDefaultMinimumObjectSize::Unknown(other)) => {
            return Err(S3Error::request(format!(
                "Invalid TransitionDefaultMinimumObjectSize found: {other}"
            )));
        }
        Some(known) => known,
    };
    let configuration = (input.lifecycle_configuration).ok_or(S3Error::MalformedXml)?;
    let rules = check::checked(call, configuration.rules)?;
    LIFECYCLE.put(txn, &input.bucket, &BucketLifecycleConfiguration { rules });
    let place = (input.bucket.clone(),);
    MOVE_MINIMUMS.put(txn, &place, &minimum.as_str().to_owned());
    SWEEPS.delete(txn, &place);
    JOBS.schedule(call, txn, (SWEEP, &input.bucket), call.now)?;
    Ok(PutBucketLifecycleConfigurationOutput {
        transition_default_minimum_object_size: Some(minimum),
    })
}

/// Shows a bucket's rules.
fn get_bucket_lifecycle(
    _: &Call,
    view: &View,
    input: GetBucketLifecycleConfigurationInput,
) -> Result<GetBucketLifecycleConfigurationOutput, S3Error> {
    open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    configuration(view, &input.bucket)?.ok_or(S3Error::NoLifecycle {
        bucket: input.bucket,
    })
}

/// Takes a bucket's rules off; that there are none is as good.
fn delete_bucket_lifecycle(
    _: &Call,
    txn: &mut Txn,
    input: DeleteBucketLifecycleInput,
) -> Result<DeleteBucketLifecycleOutput, S3Error> {
    require_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    LIFECYCLE.delete(txn, &input.bucket);
    stop(txn, &input.bucket)?;
    Ok(DeleteBucketLifecycleOutput::default())
}

/// Forgets what was to be done in a bucket that has no rules any more.
pub(super) fn stop(txn: &mut Txn, bucket: &str) -> Result<(), S3Error> {
    let place = (bucket.to_owned(),);
    SWEEPS.delete(txn, &place);
    MOVE_MINIMUMS.delete(txn, &place);
    Ok(JOBS.cancel(txn, (SWEEP, bucket))?)
}

/// A bucket's configuration, as it is shown.
fn configuration(
    read: &impl Read,
    bucket: &str,
) -> Result<Option<GetBucketLifecycleConfigurationOutput>, S3Error> {
    let Some(kept) = LIFECYCLE.get(read, bucket)? else {
        return Ok(None);
    };
    let minimum = MOVE_MINIMUMS.get(read, &(bucket.to_owned(),))?;
    Ok(Some(GetBucketLifecycleConfigurationOutput {
        rules: Some(kept.rules),
        transition_default_minimum_object_size: minimum.map(|minimum| minimum.as_str().into()),
    }))
}

/// The header `x-amz-expiration` of a current version.
pub(super) fn expiration_header(
    read: &impl Read,
    bucket: &str,
    key: &str,
    row: &ObjectRow,
) -> Result<Option<String>, S3Error> {
    let configuration = configuration(read, bucket)?;
    Ok(configuration.and_then(|found| rules::expiration_header(&found, key, row)))
}

/// When an upload is given up and by which rule, if one says so.
pub(super) fn abort_date(
    read: &impl Read,
    bucket: &str,
    key: &str,
    initiated_ms: i64,
) -> Result<Option<(Timestamp, String)>, S3Error> {
    let configuration = configuration(read, bucket)?;
    Ok(configuration.and_then(|found| rules::abort(&found, key, initiated_ms)))
}
