//! Configurations that a bucket has one of, and that are kept and shown without effect: nothing is logged, replicated,
//! accelerated or billed here.

use super::error::{ConfigurationError, Missing};
use super::{Kind, as_it_is, check_values, delete, get, put};
use crate::call::Call;
use crate::service::Service;
use crate::services::s3::buckets::is_there;
use crate::services::s3::error::S3Error;
use crate::services::s3::rows::{BUCKETS, Versioning};
use cumulog_engine::{Read, Txn};
use cumulog_model::s3::{
    self as model, AbacStatus, AccelerateConfiguration, BucketAbacStatus, BucketLoggingStatus,
    GetBucketAbacOutput, GetBucketAccelerateConfigurationOutput, GetBucketLoggingOutput,
    GetBucketReplicationOutput, GetBucketRequestPaymentOutput, Payer, ReplicationConfiguration,
    ReplicationRule, RequestPaymentConfiguration,
};

const LOGGING: Kind<BucketLoggingStatus> = Kind::new("logging");
const REPLICATION: Kind<ReplicationConfiguration> = Kind::new("replication");
const ACCELERATE: Kind<AccelerateConfiguration> = Kind::new("accelerate");
const ABAC: Kind<AbacStatus> = Kind::new("abac");
/// Who pays. Nobody does here; but a bucket whose readers pay is closed to anonymous ones (`access.rs`).
pub(in crate::services::s3) const PAYMENT: Kind<RequestPaymentConfiguration> =
    Kind::new("request-payment");

pub(super) fn register(service: Service) -> Service {
    service
        .write::<model::PutBucketLogging, _>(put_bucket_logging)
        .read::<model::GetBucketLogging, _>(get_bucket_logging)
        .write::<model::PutBucketReplication, _>(put_bucket_replication)
        .read::<model::GetBucketReplication, _>(get_bucket_replication)
        .write::<model::DeleteBucketReplication, _>(delete_bucket_replication)
        .write::<model::PutBucketAccelerateConfiguration, _>(put_bucket_accelerate)
        .read::<model::GetBucketAccelerateConfiguration, _>(get_bucket_accelerate)
        .write::<model::PutBucketAbac, _>(put_bucket_abac)
        .read::<model::GetBucketAbac, _>(get_bucket_abac)
        .write::<model::PutBucketRequestPayment, _>(put_bucket_request_payment)
        .read::<model::GetBucketRequestPayment, _>(get_bucket_request_payment)
}

put!(
    put_bucket_logging,
    PutBucketLogging,
    bucket_logging_status,
    LOGGING,
    checked_logging
);
get!(
    get_bucket_logging,
    GetBucketLogging,
    LOGGING,
    |_: &str, found: Option<BucketLoggingStatus>| {
        Ok(GetBucketLoggingOutput {
            logging_enabled: found.and_then(|status| status.logging_enabled),
        })
    }
);

/// The bucket that takes the log must be there, and near. Grants are kept whatever they say, as in AWS.
fn checked_logging(
    _: &Call,
    txn: &mut Txn,
    bucket: &str,
    status: BucketLoggingStatus,
) -> Result<BucketLoggingStatus, S3Error> {
    let region = |name: &str| -> Result<String, S3Error> {
        let row = BUCKETS.get(txn, &(name.to_owned(),))?;
        Ok(row.map(|row| row.region).unwrap_or_default())
    };
    match &status.logging_enabled {
        Some(enabled) if !is_there(txn, &enabled.target_bucket) => {
            Err(ConfigurationError::NoLogBucket(enabled.target_bucket.clone()).into())
        }
        Some(enabled) if region(&enabled.target_bucket)? != region(bucket)? => {
            let region = region(&enabled.target_bucket)?;
            Err(ConfigurationError::FarLogBucket(region).into())
        }
        _ => Ok(status),
    }
}

put!(
    put_bucket_replication,
    PutBucketReplication,
    replication_configuration,
    REPLICATION,
    checked_replication
);
get!(
    get_bucket_replication,
    GetBucketReplication,
    REPLICATION,
    |bucket: &str, found: Option<ReplicationConfiguration>| {
        let configuration = found.ok_or_else(|| Missing::Replication.in_bucket(bucket))?;
        Ok(GetBucketReplicationOutput {
            replication_configuration: Some(configuration),
        })
    }
);
delete!(
    delete_bucket_replication,
    DeleteBucketReplication,
    REPLICATION
);

/// Most rules of one configuration.
const RULES_MAX: usize = 1000;

fn checked_replication(
    call: &Call,
    txn: &mut Txn,
    bucket: &str,
    mut configuration: ReplicationConfiguration,
) -> Result<ReplicationConfiguration, S3Error> {
    check_values(&configuration)?;
    if !(1..=RULES_MAX).contains(&configuration.rules.len()) {
        return Err(S3Error::MalformedXml);
    }
    if !keeps_versions(txn, bucket)? {
        let message =
            "Versioning must be 'Enabled' on the bucket to apply a replication configuration";
        return Err(S3Error::request(message));
    }
    for rule in &mut configuration.rules {
        check_rule(rule)?;
        let to = &rule.destination.bucket;
        if !keeps_versions(txn, to.strip_prefix("arn:aws:s3:::").unwrap_or(to))? {
            let message = "Destination bucket must have versioning enabled.";
            return Err(S3Error::request(message));
        }
        if rule.id.as_deref().unwrap_or_default().is_empty() {
            rule.id = Some(call.random().hex(48));
        }
    }
    Ok(configuration)
}

fn keeps_versions(read: &impl Read, bucket: &str) -> Result<bool, S3Error> {
    let row = BUCKETS.get(read, &(bucket.to_owned(),))?;
    Ok(row.is_some_and(|row| row.versioning == Versioning::Enabled))
}

fn check_rule(rule: &ReplicationRule) -> Result<(), S3Error> {
    if rule.prefix.is_some() && rule.filter.is_some() {
        return Err(S3Error::MalformedXml);
    }
    if rule
        .id
        .as_deref()
        .is_some_and(|id| id.chars().count() > 255)
    {
        let message = "ID length should not exceed allowed limit of 255";
        return Err(S3Error::argument(
            "ID",
            rule.id.clone().unwrap_or_default(),
            message,
        ));
    }
    // The newer form of a rule, with a filter, must say these too.
    if rule.filter.is_some()
        && (rule.priority.is_none() || rule.delete_marker_replication.is_none())
    {
        return Err(S3Error::MalformedXml);
    }
    Ok(())
}

put!(
    put_bucket_accelerate,
    PutBucketAccelerateConfiguration,
    accelerate_configuration,
    ACCELERATE,
    checked_acceleration
);
get!(
    get_bucket_accelerate,
    GetBucketAccelerateConfiguration,
    ACCELERATE,
    |_: &str, found: Option<AccelerateConfiguration>| {
        Ok(GetBucketAccelerateConfigurationOutput {
            status: found.and_then(|configuration| configuration.status),
            ..Default::default()
        })
    }
);

/// Names with dots are no host names below the accelerated one.
fn checked_acceleration(
    _: &Call,
    _: &mut Txn,
    bucket: &str,
    configuration: AccelerateConfiguration,
) -> Result<AccelerateConfiguration, S3Error> {
    if bucket.contains('.') {
        let message =
            "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names";
        return Err(S3Error::request(message));
    }
    check_values(&configuration)?;
    match configuration.status {
        None => Err(S3Error::MalformedXml),
        Some(_) => Ok(configuration),
    }
}

put!(put_bucket_abac, PutBucketAbac, abac_status, ABAC, as_it_is);
get!(get_bucket_abac, GetBucketAbac, ABAC, |_: &str,
                                            found: Option<
    AbacStatus,
>| {
    let disabled = AbacStatus {
        status: Some(BucketAbacStatus::Disabled),
    };
    Ok(GetBucketAbacOutput {
        abac_status: Some(found.unwrap_or(disabled)),
    })
});

put!(
    put_bucket_request_payment,
    PutBucketRequestPayment,
    request_payment_configuration,
    PAYMENT,
    as_it_is
);
get!(
    get_bucket_request_payment,
    GetBucketRequestPayment,
    PAYMENT,
    |_: &str, found: Option<RequestPaymentConfiguration>| {
        Ok(GetBucketRequestPaymentOutput {
            payer: Some(found.map_or(Payer::BucketOwner, |configuration| configuration.payer)),
        })
    }
);
