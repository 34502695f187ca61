//! What a redrive policy demands of its dead-letter queue.

use super::error::{Result, SqsError};
use super::names::Location;
use super::queue::Queue;
use cumulog_engine::Read;

/// Checks the redrive policy of `queue`: its target exists, is of the same account, region and kind, and allows it.
pub(super) fn check(read: &impl Read, queue: &Queue) -> Result<()> {
    let Some(redrive) = &queue.settings().redrive else {
        return Ok(());
    };
    let invalid = |reason: String| Err(SqsError::value(&redrive.text, "RedrivePolicy", reason));
    let location = Location::from_arn(&redrive.target_arn);
    let Some(Location {
        account: Some(account),
        region: Some(region),
        ..
    }) = location
    else {
        return invalid("Dead-letter target ARN should be fully qualified ARN.".to_owned());
    };
    if account != queue.account || region != queue.region {
        return invalid("Dead letter target owner should be same as the source.".to_owned());
    }
    let Some(target) = Queue::of_arn(read, &redrive.target_arn)? else {
        return invalid("Dead letter target does not exist.".to_owned());
    };
    if target.settings().fifo != queue.settings().fifo {
        return invalid("Dead-letter queue must be same type of queue as the source.".to_owned());
    }
    if !target.settings().redrive_allow().allows(&queue.arn()) {
        return invalid(format!(
            "Queue {} is not allowed to use {} as its dead-letter queue.",
            queue.arn(),
            target.arn()
        ));
    }
    Ok(())
}
