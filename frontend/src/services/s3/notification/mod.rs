//! Notifications: messages to SQS about changes of objects, sent in the transaction that makes the change. So a change
//! and its message are both there or neither is, whatever crashes.
//!
//! A queue's policy is not asked whether S3 may send to it.

mod configuration;
mod record;

use super::error::S3Error;
use super::rows::{BucketRow, ObjectRow};
use crate::call::Call;
use crate::service::Service;
use crate::services::sqs::door;
use cumulog_engine::Txn;
use cumulog_model::s3 as model;

pub(super) fn register(service: Service) -> Service {
    service
        .write::<model::PutBucketNotificationConfiguration, _>(configuration::put)
        .read::<model::GetBucketNotificationConfiguration, _>(configuration::get)
}

/// What happened to an object.
pub(super) struct Change<'a> {
    /// Without `s3:`, such as `ObjectCreated:Put`.
    pub(super) event: &'static str,
    pub(super) key: &'a str,
    /// Of the object as it is now, or of the delete marker; empty for `null`.
    pub(super) version: &'a str,
    /// `None`: it is gone, or what changed is not its content.
    pub(super) object: Option<&'a ObjectRow>,
}

/// Tells of a new object.
pub(super) fn created(
    call: &Call,
    txn: &mut Txn,
    bucket: (&str, &BucketRow),
    event: &'static str,
    key: &str,
    object: &ObjectRow,
) -> Result<(), S3Error> {
    let change = Change {
        event,
        key,
        version: &object.version,
        object: Some(object),
    };
    notify(call, txn, bucket, &change)
}

/// Tells the queues that want to know of a change.
pub(super) fn notify(
    call: &Call,
    txn: &mut Txn,
    (bucket, row): (&str, &BucketRow),
    change: &Change<'_>,
) -> Result<(), S3Error> {
    let Some(configuration) = configuration::NOTIFICATION.get(txn, bucket)? else {
        return Ok(());
    };
    for queue in configuration.queue_configurations.iter().flatten() {
        if configuration::wants(queue, change) {
            let id = queue.id.as_deref().unwrap_or_default();
            let body = record::body(call, (bucket, row), id, change);
            door::deliver(call, txn, &queue.queue_arn, body).map_err(S3Error::Elsewhere)?;
        }
    }
    Ok(())
}
