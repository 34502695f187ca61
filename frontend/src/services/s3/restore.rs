//! RestoreObject: archived objects are read only while a restored copy lasts.
//!
//! A restore takes time by the clock: an hour of AWS is a second here. Then the copy lasts for the days asked for, up to
//! midnight UTC. Nothing has to run for that: both times stand in the row.

use super::buckets::open_bucket;
use super::error::{S3Error, refuse};
use super::lifecycle::midnight_after;
use super::notification::{Change, notify};
use super::rows::{ObjectRow, RestoreRow};
use super::versions::name;
use crate::call::Call;
use cumulog_engine::Txn;
use cumulog_model::s3::{
    RestoreObjectInput, RestoreObjectOutput, RestoreRequest, RestoreStatus, Tier,
};
use cumulog_shape::{Timestamp, TimestampFormat};

/// How far a restore is.
pub(super) enum Restored {
    /// Never asked for, or over again.
    No,
    UnderWay,
    Until(Timestamp),
}

impl ObjectRow {
    /// Whether the bytes of this class have to be restored before they are read.
    fn is_archived(&self) -> bool {
        matches!(self.storage_class(), "GLACIER" | "DEEP_ARCHIVE")
    }

    pub(super) fn restored(&self, now: Timestamp) -> Restored {
        match &self.restore {
            Some(restore) if now.0 < restore.ready_ms => Restored::UnderWay,
            Some(restore) if now.0 < restore.expires_ms => {
                Restored::Until(Timestamp(restore.expires_ms))
            }
            _ => Restored::No,
        }
    }

    /// The header `x-amz-restore`.
    pub(super) fn restore_header(&self, now: Timestamp) -> Option<String> {
        match self.restored(now) {
            Restored::No => None,
            Restored::UnderWay => Some("ongoing-request=\"true\"".to_owned()),
            Restored::Until(time) => Some(format!(
                "ongoing-request=\"false\", expiry-date=\"{}\"",
                time.format(TimestampFormat::HttpDate)
            )),
        }
    }

    /// The same in listings.
    pub(super) fn restore_status(&self, now: Timestamp) -> Option<RestoreStatus> {
        let (is_restore_in_progress, restore_expiry_date) = match self.restored(now) {
            Restored::No => return None,
            Restored::UnderWay => (Some(true), None),
            Restored::Until(time) => (Some(false), Some(time)),
        };
        Some(RestoreStatus {
            is_restore_in_progress,
            restore_expiry_date,
        })
    }
}

/// Refuses objects that are archived and not restored.
pub(super) fn check_readable(row: &ObjectRow, now: Timestamp) -> Result<(), S3Error> {
    if row.is_archived() && !matches!(row.restored(now), Restored::Until(_)) {
        return Err(S3Error::InvalidObjectState {
            storage_class: row.storage_class().to_owned(),
        });
    }
    Ok(())
}

/// How long a restore takes.
fn duration_ms(class: &str, tier: Option<&Tier>) -> Result<i64, S3Error> {
    let seconds = match (class, tier) {
        ("GLACIER", Some(Tier::Expedited)) => 1,
        ("GLACIER", None | Some(Tier::Standard)) => 5,
        ("GLACIER", Some(Tier::Bulk)) => 12,
        (_, None | Some(Tier::Standard)) => 12,
        (_, Some(Tier::Bulk)) => 48,
        (_, Some(Tier::Expedited)) => {
            let message = "Retrieval option is not supported by this storage class";
            return Err(S3Error::argument("Tier", "Expedited", message));
        }
        (_, Some(Tier::Unknown(_))) => return Err(S3Error::MalformedXml),
    };
    Ok(seconds * 1000)
}

/// Begins a restore, or changes how long a restored copy lasts.
pub(super) fn restore_object(
    call: &Call,
    txn: &mut Txn,
    input: RestoreObjectInput,
) -> Result<RestoreObjectOutput, S3Error> {
    let bucket = open_bucket(txn, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let name = name!(input);
    let mut version = name.open(txn, "POST")?;
    let request = input.restore_request.ok_or(S3Error::MalformedXml)?;
    refuse_select(&request)?;
    let days = match request.days {
        None => return Err(S3Error::MalformedXml),
        Some(days @ 1..) => i64::from(days),
        Some(days) => {
            let message = "restoration days should be at least 1";
            return Err(S3Error::argument("Days", days.to_string(), message));
        }
    };
    let row = &mut version.row;
    if !row.is_archived() {
        return Err(S3Error::NotRestorable {
            storage_class: row.storage_class().to_owned(),
        });
    }
    let tier = request
        .glacier_job_parameters
        .map(|parameters| parameters.tier)
        .or(request.tier);
    let duration_ms = duration_ms(row.storage_class(), tier.as_ref())?;
    let (ready_ms, status_code) = match (row.restored(call.now), &row.restore) {
        (Restored::UnderWay, _) => return Err(S3Error::RestoreUnderWay),
        (Restored::Until(_), Some(restore)) => (restore.ready_ms, 200),
        _ => (call.now.0 + duration_ms, 202),
    };
    let from = Timestamp(ready_ms.max(call.now.0));
    row.restore = Some(RestoreRow {
        ready_ms,
        expires_ms: midnight_after(from, days).0,
    });
    let change = Change {
        event: "ObjectRestore:Post",
        key: name.key,
        version: &version.row.version,
        object: Some(&version.row),
    };
    notify(call, txn, (name.bucket, &bucket), &change)?;
    name.save(txn, version);
    Ok(RestoreObjectOutput {
        status_code: Some(status_code),
        ..Default::default()
    })
}

/// S3 Select is no more, and with it restores that write their results elsewhere.
fn refuse_select(request: &RestoreRequest) -> Result<(), S3Error> {
    refuse(&[
        ("Type", request.r#type.is_some()),
        ("SelectParameters", request.select_parameters.is_some()),
        ("OutputLocation", request.output_location.is_some()),
    ])
}
