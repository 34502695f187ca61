//! The door by which other services put messages on queues, in their own transactions.

use super::error::Result;
use super::names::Location;
use super::payload::Payload;
use super::queue::Queue;
use super::send::{self, Draft};
use crate::call::Call;
use crate::failure::Failure;
use cumulog_engine::{Read, Txn};

/// A queue by its ARN, as far as that tells.
pub(crate) struct Destination {
    pub(crate) region: String,
    /// Whether there is such a queue.
    pub(crate) exists: bool,
    pub(crate) fifo: bool,
}

/// What a queue's ARN leads to; `None`: it is no queue's.
pub(crate) fn destination(
    read: &impl Read,
    arn: &str,
) -> std::result::Result<Option<Destination>, Failure> {
    let Some(region) = Location::from_arn(arn).and_then(|location| location.region) else {
        return Ok(None);
    };
    let queue = Queue::of_arn(read, arn)?;
    Ok(Some(Destination {
        region,
        exists: queue.is_some(),
        fifo: queue.is_some_and(|queue| queue.settings().fifo),
    }))
}

/// Puts a message on the queue of `arn`, as a part of what `txn` commits. False: there is no such queue any more, or it
/// does not take it.
pub(crate) fn deliver(
    call: &Call,
    txn: &mut Txn,
    arn: &str,
    body: String,
) -> std::result::Result<bool, Failure> {
    let Some(queue) = Queue::of_arn(txn, arn)? else {
        return Ok(false);
    };
    let draft = |body| -> Result<Draft> {
        Ok(Draft {
            payload: Payload::check(body, None, None)?,
            delay_seconds: None,
            group: None,
            deduplication_id: None,
        })
    };
    // A message that is too long for its queue is lost, as everything is that no receiver takes; the change goes on.
    match draft(body).and_then(|draft| send::put(call, txn, &queue, draft)) {
        Ok(_) => Ok(true),
        Err(error) => match Failure::from(error) {
            failure if failure.status >= 500 => Err(failure),
            _ => Ok(false),
        },
    }
}
