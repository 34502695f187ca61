//! SQS: queues of messages, standard and FIFO.
//!
//! Everything that a consumer can rely on is a row (`rows.rs`): messages, who holds them until when, deduplication
//! windows, repeatable receives. Visibility is never moved by a timer: a row says from when on a message is visible, and
//! whoever looks compares times. So a message that is in flight when the process dies is in flight when it is back, under
//! the same receipt handle and until the same time.
//!
//! `ledger.rs` is the one place that changes messages. `receive.rs` and `signals.rs` wait, `take.rs` hands out.

mod attributes;
mod batch;
#[cfg(test)]
mod chaos;
mod digest;
pub(crate) mod door;
mod error;
mod fifo;
mod filter;
mod ledger;
mod names;
mod payload;
mod queue;
mod queues;
mod receipt;
mod receive;
mod redrive;
mod rows;
mod send;
mod signals;
mod tags;
mod take;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod undelivered;
mod visibility;

pub(crate) use rows::each_table;

use crate::service::Service;
use cumulog_model::sqs as model;

/// The service and its handlers.
pub(crate) fn service() -> Service {
    Service::new(&model::SERVICE)
        .spaces(rows::SPACES)
        .internal_code("InternalError")
        .validate(error::check_present)
        .write::<model::CreateQueue, _>(queues::create_queue)
        .read::<model::GetQueueUrl, _>(queues::get_queue_url)
        .read::<model::ListQueues, _>(queues::list_queues)
        .write::<model::DeleteQueue, _>(queues::delete_queue)
        .future::<model::GetQueueAttributes, _, _>(queues::get_queue_attributes)
        .write::<model::SetQueueAttributes, _>(queues::set_queue_attributes)
        .write::<model::PurgeQueue, _>(queues::purge_queue)
        .future::<model::SendMessage, _, _>(send::send_message)
        .future::<model::SendMessageBatch, _, _>(batch::send_message_batch)
        .future::<model::ReceiveMessage, _, _>(receive::receive_message)
        .write::<model::DeleteMessage, _>(visibility::delete_message)
        .write::<model::DeleteMessageBatch, _>(visibility::delete_message_batch)
        .write::<model::ChangeMessageVisibility, _>(visibility::change_message_visibility)
        .write::<model::ChangeMessageVisibilityBatch, _>(
            visibility::change_message_visibility_batch,
        )
        .write::<model::TagQueue, _>(tags::tag_queue)
        .write::<model::UntagQueue, _>(tags::untag_queue)
        .read::<model::ListQueueTags, _>(tags::list_queue_tags)
}
