//! Object lock: versions that cannot be deleted until a time, or while a legal hold lasts.
//!
//! A bucket with object lock keeps versions for ever. Retention in mode GOVERNANCE gives way to clients that say so;
//! COMPLIANCE gives way to nobody and is never shortened. There are no users to be refused the bypass yet.

use super::buckets::open_bucket;
use super::error::{S3Error, refuse};
use super::rows::{BUCKETS, BucketRow, Lock, LockRow, ObjectRow, Retention, Versioning};
use super::versions::name;
use crate::call::Call;
use cumulog_engine::{Txn, View};
use cumulog_model::s3::{
    DefaultRetention, GetObjectLegalHoldInput, GetObjectLegalHoldOutput,
    GetObjectLockConfigurationInput, GetObjectLockConfigurationOutput, GetObjectRetentionInput,
    GetObjectRetentionOutput, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold,
    ObjectLockLegalHoldStatus, ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode,
    ObjectLockRule, PutObjectLegalHoldInput, PutObjectLegalHoldOutput,
    PutObjectLockConfigurationInput, PutObjectLockConfigurationOutput, PutObjectRetentionInput,
    PutObjectRetentionOutput,
};
use cumulog_shape::{Timestamp, TimestampFormat};

const GOVERNANCE: &str = "GOVERNANCE";
const COMPLIANCE: &str = "COMPLIANCE";

const DAY_MS: i64 = 86_400_000;

/// The longest default retention.
const DAYS_MAX: i32 = 36_500;
const YEARS_MAX: i32 = 100;

impl Lock {
    /// The retention that still holds at `now`.
    fn retention_at(&self, now: Timestamp) -> Option<&Retention> {
        self.retention
            .as_ref()
            .filter(|retention| retention.until_ms > now.0)
    }

    /// Whether the version must stay.
    pub(super) fn holds(&self, now: Timestamp, bypass: bool) -> bool {
        let retained = (self.retention_at(now))
            .is_some_and(|retention| retention.mode == COMPLIANCE || !bypass);
        retained || self.hold == Some(true)
    }

    /// The legal hold, as headers carry it.
    pub(super) fn hold_status(&self) -> Option<ObjectLockLegalHoldStatus> {
        self.hold.map(|on| match on {
            true => ObjectLockLegalHoldStatus::On,
            false => ObjectLockLegalHoldStatus::Off,
        })
    }
}

/// The lock that the headers of a write ask for.
pub(super) fn given(
    mode: Option<ObjectLockMode>,
    until: Option<Timestamp>,
    hold: Option<ObjectLockLegalHoldStatus>,
) -> Result<Lock, S3Error> {
    let refused = |name, value: Option<String>, message: &str| S3Error::InvalidArgument {
        message: message.to_owned(),
        name,
        value,
    };
    if let Some(ObjectLockMode::Unknown(other)) = &mode {
        let message = "Unknown wormMode directive.";
        return Err(S3Error::argument(
            "x-amz-object-lock-mode",
            other.as_str(),
            message,
        ));
    }
    const BOTH: &str =
        "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied";
    let retention = match (mode, until) {
        (None, None) => None,
        (Some(_), None) => {
            return Err(refused("x-amz-object-lock-retain-until-date", None, BOTH));
        }
        (None, Some(_)) => return Err(refused("x-amz-object-lock-mode", None, BOTH)),
        (Some(mode), Some(until)) => Some(Retention {
            mode: mode.as_str().to_owned(),
            until_ms: until.0,
        }),
    };
    let hold = match hold {
        None => None,
        Some(ObjectLockLegalHoldStatus::On) => Some(true),
        Some(ObjectLockLegalHoldStatus::Off) => Some(false),
        Some(ObjectLockLegalHoldStatus::Unknown(other)) => {
            let message = "Legal Hold must be either of 'ON' or 'OFF'";
            return Err(S3Error::argument(
                "x-amz-object-lock-legal-hold",
                other,
                message,
            ));
        }
    };
    Ok(Lock { retention, hold })
}

/// Refuses a write whose lock its bucket cannot keep, and gives one without retention the bucket's default.
pub(super) fn settle(bucket: &BucketRow, row: &mut ObjectRow) -> Result<(), S3Error> {
    let Some(settings) = &bucket.lock else {
        return match row.lock == Lock::default() {
            true => Ok(()),
            false => Err(no_lock()),
        };
    };
    let written = Timestamp(row.modified_ms);
    match &row.lock.retention {
        Some(retention) => check_future(
            "x-amz-object-lock-retain-until-date",
            Timestamp(retention.until_ms),
            written,
        ),
        None => {
            row.lock.retention = settings.default_retention(written);
            Ok(())
        }
    }
}

impl LockRow {
    fn default_retention(&self, now: Timestamp) -> Option<Retention> {
        let days = i64::from(self.days) + i64::from(self.years) * 365;
        (!self.mode.is_empty()).then(|| Retention {
            mode: self.mode.clone(),
            until_ms: now.0 + days * DAY_MS,
        })
    }
}

fn no_lock() -> S3Error {
    S3Error::request("Bucket is missing Object Lock Configuration")
}

fn check_future(name: &'static str, until: Timestamp, now: Timestamp) -> Result<(), S3Error> {
    if until > now {
        return Ok(());
    }
    let message = "The retain until date must be in the future!";
    Err(S3Error::argument(
        name,
        until.format(TimestampFormat::Iso8601),
        message,
    ))
}

/// Shows whether a bucket has object lock, and its default retention.
pub(super) fn get_object_lock_configuration(
    _: &Call,
    view: &View,
    input: GetObjectLockConfigurationInput,
) -> Result<GetObjectLockConfigurationOutput, S3Error> {
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let Some(settings) = bucket.lock else {
        return Err(S3Error::NoLockConfiguration {
            bucket: input.bucket,
        });
    };
    let length = |length: u32| i32::try_from(length).ok().filter(|length| *length > 0);
    let rule = (!settings.mode.is_empty()).then(|| ObjectLockRule {
        default_retention: Some(DefaultRetention {
            mode: Some(settings.mode.as_str().into()),
            days: length(settings.days),
            years: length(settings.years),
            ..Default::default()
        }),
    });
    Ok(GetObjectLockConfigurationOutput {
        object_lock_configuration: Some(ObjectLockConfiguration {
            object_lock_enabled: Some(ObjectLockEnabled::Enabled),
            rule,
        }),
    })
}

/// Gives a bucket object lock, for good, and sets or removes its default retention.
pub(super) fn put_object_lock_configuration(
    _: &Call,
    txn: &mut Txn,
    input: PutObjectLockConfigurationInput,
) -> Result<PutObjectLockConfigurationOutput, S3Error> {
    refuse(&[("x-amz-bucket-object-lock-token", input.token.is_some())])?;
    let mut bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let wanted = (input.object_lock_configuration).ok_or(S3Error::MalformedXml)?;
    if wanted.object_lock_enabled != Some(ObjectLockEnabled::Enabled) {
        return Err(S3Error::MalformedXml);
    }
    let settings = wanted.rule.map_or(Ok(LockRow::default()), settings)?;
    if bucket.versioning != Versioning::Enabled {
        return Err(S3Error::BucketState(
            "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
        ));
    }
    bucket.lock = Some(settings);
    BUCKETS.put(txn, &(input.bucket,), &bucket);
    Ok(PutObjectLockConfigurationOutput::default())
}

fn settings(rule: ObjectLockRule) -> Result<LockRow, S3Error> {
    let retention = rule.default_retention.ok_or(S3Error::MalformedXml)?;
    refuse(&[("DefaultEventHold", retention.default_event_hold.is_some())])?;
    let mode = known_mode(retention.mode)?.ok_or(S3Error::MalformedXml)?;
    let checked = |length: i32, max| match u32::try_from(length) {
        Ok(checked) if checked > 0 && length <= max => Ok(checked),
        Ok(checked) if checked > 0 => Err(S3Error::RetentionPeriod(
            "Default retention period is too long.",
        )),
        _ => Err(S3Error::RetentionPeriod(
            "Default retention period must be a positive integer value.",
        )),
    };
    let (days, years) = match (retention.days, retention.years) {
        (Some(days), None) => (checked(days, DAYS_MAX)?, 0),
        (None, Some(years)) => (0, checked(years, YEARS_MAX)?),
        _ => return Err(S3Error::MalformedXml),
    };
    Ok(LockRow { mode, days, years })
}

fn known_mode(mode: Option<ObjectLockRetentionMode>) -> Result<Option<String>, S3Error> {
    match mode {
        None => Ok(None),
        Some(ObjectLockRetentionMode::Governance) => Ok(Some(GOVERNANCE.to_owned())),
        Some(ObjectLockRetentionMode::Compliance) => Ok(Some(COMPLIANCE.to_owned())),
        Some(ObjectLockRetentionMode::Unknown(_)) => Err(S3Error::MalformedXml),
    }
}

/// Shows until when a version is retained.
pub(super) fn get_object_retention(
    _: &Call,
    view: &View,
    input: GetObjectRetentionInput,
) -> Result<GetObjectRetentionOutput, S3Error> {
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    require_lock(&bucket)?;
    let version = name!(input).open(view, "GET")?;
    let retention = (version.row.lock.retention).ok_or(S3Error::NoLockOfObject)?;
    Ok(GetObjectRetentionOutput {
        retention: Some(ObjectLockRetention {
            mode: Some(retention.mode.as_str().into()),
            retain_until_date: Some(Timestamp(retention.until_ms)),
            ..Default::default()
        }),
    })
}

fn require_lock(bucket: &BucketRow) -> Result<(), S3Error> {
    bucket.lock.as_ref().map(drop).ok_or_else(no_lock)
}

/// Sets, prolongs or, where its mode and the client's bypass allow it, shortens or removes a version's retention.
pub(super) fn put_object_retention(
    call: &Call,
    txn: &mut Txn,
    input: PutObjectRetentionInput,
) -> Result<PutObjectRetentionOutput, S3Error> {
    let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    require_lock(&bucket)?;
    let name = name!(input);
    let mut version = name.open(txn, "PUT")?;
    let wanted = wanted_retention(input.retention, call.now)?;
    let bypass = input.bypass_governance_retention == Some(true);
    if let Some(current) = version.row.lock.retention_at(call.now) {
        let longer = wanted.as_ref().is_some_and(|wanted| {
            wanted.mode == current.mode && wanted.until_ms >= current.until_ms
        });
        if !longer && (current.mode == COMPLIANCE || !bypass) {
            return Err(S3Error::Locked);
        }
    }
    version.row.lock.retention = wanted;
    name.save(txn, version);
    Ok(PutObjectRetentionOutput::default())
}

/// `None`: an empty retention, which removes what there is.
fn wanted_retention(
    given: Option<ObjectLockRetention>,
    now: Timestamp,
) -> Result<Option<Retention>, S3Error> {
    let given = given.ok_or(S3Error::MalformedXml)?;
    refuse(&[
        ("EventHold", given.event_hold.is_some()),
        ("EventHoldDuration", given.event_hold_duration.is_some()),
    ])?;
    match (known_mode(given.mode)?, given.retain_until_date) {
        (None, None) => Ok(None),
        (Some(mode), Some(until)) => {
            check_future("RetainUntilDate", until, now)?;
            Ok(Some(Retention {
                mode,
                until_ms: until.0,
            }))
        }
        _ => Err(S3Error::MalformedXml),
    }
}

/// Shows whether a version is under legal hold.
pub(super) fn get_object_legal_hold(
    _: &Call,
    view: &View,
    input: GetObjectLegalHoldInput,
) -> Result<GetObjectLegalHoldOutput, S3Error> {
    let bucket = open_bucket(view, &input.bucket, input.expected_bucket_owner.as_deref())?;
    require_lock(&bucket)?;
    let version = name!(input).open(view, "GET")?;
    let status = (version.row.lock.hold_status()).ok_or(S3Error::NoLockOfObject)?;
    Ok(GetObjectLegalHoldOutput {
        legal_hold: Some(ObjectLockLegalHold {
            status: Some(status),
        }),
    })
}

/// Puts a version under legal hold, or takes the hold off.
pub(super) fn put_object_legal_hold(
    _: &Call,
    txn: &mut Txn,
    input: PutObjectLegalHoldInput,
) -> Result<PutObjectLegalHoldOutput, S3Error> {
    let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    require_lock(&bucket)?;
    let name = name!(input);
    let mut version = name.open(txn, "PUT")?;
    let status = input.legal_hold.and_then(|hold| hold.status);
    version.row.lock.hold = match status {
        Some(ObjectLockLegalHoldStatus::On) => Some(true),
        Some(ObjectLockLegalHoldStatus::Off) => Some(false),
        _ => return Err(S3Error::MalformedXml),
    };
    name.save(txn, version);
    Ok(PutObjectLegalHoldOutput::default())
}
