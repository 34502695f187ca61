//! TagQueue, UntagQueue, ListQueueTags.

use super::error::{Result, SqsError};
use super::queue::{Queue, url_of};
use super::rows::{QueueId, TAGS};
use crate::call::Call;
use cumulog_engine::{Read, Txn, View};
use cumulog_model::sqs::{
    ListQueueTagsInput, ListQueueTagsOutput, TagQueueInput, TagQueueOutput, UntagQueueInput,
    UntagQueueOutput,
};
use cumulog_shape::Map;

const TAGS_MAX: usize = 50;
const KEY_LENGTH_MAX: usize = 128;
const VALUE_LENGTH_MAX: usize = 256;

pub(super) fn tag_queue(
    call: &Call,
    txn: &mut Txn,
    input: TagQueueInput,
) -> Result<TagQueueOutput> {
    let queue = Queue::open(txn, call, &url_of(call, &input.queue_url)?)?;
    if input.tags.is_empty() {
        return Err(SqsError::MissingParameter("Tags"));
    }
    put(txn, queue.id(), &queue.name, &input.tags)?;
    Ok(TagQueueOutput {})
}

/// Adds tags to those of a queue.
pub(super) fn put(txn: &mut Txn, queue: QueueId, name: &str, tags: &Map<String>) -> Result<()> {
    for (key, value) in tags.iter() {
        check(key, value)?;
        TAGS.put(txn, &(queue, key.to_owned()), value);
    }
    if all(txn, queue)?.len() > TAGS_MAX {
        return Err(SqsError::InvalidParameter(format!(
            "Too many tags added for queue {name}."
        )));
    }
    Ok(())
}

fn check(key: &str, value: &str) -> Result<()> {
    let invalid = |text: &str| Err(SqsError::InvalidParameter(text.to_owned()));
    if !(1..=KEY_LENGTH_MAX).contains(&key.chars().count()) {
        return invalid("Tag keys must be between 1 and 128 characters in length.");
    }
    if value.chars().count() > VALUE_LENGTH_MAX {
        return invalid("Tag values must be between 0 and 256 characters in length.");
    }
    if key.to_ascii_lowercase().starts_with("aws:") {
        return invalid("Tag keys can't start with 'aws:': it is reserved for system tags.");
    }
    Ok(())
}

pub(super) fn untag_queue(
    call: &Call,
    txn: &mut Txn,
    input: UntagQueueInput,
) -> Result<UntagQueueOutput> {
    let queue = Queue::open(txn, call, &url_of(call, &input.queue_url)?)?;
    if input.tag_keys.is_empty() {
        return Err(SqsError::InvalidParameter(
            "Tag keys must be between 1 and 128 characters in length.".to_owned(),
        ));
    }
    for key in input.tag_keys {
        TAGS.delete(txn, &(queue.id(), key));
    }
    Ok(UntagQueueOutput {})
}

pub(super) fn list_queue_tags(
    call: &Call,
    view: &View,
    input: ListQueueTagsInput,
) -> Result<ListQueueTagsOutput> {
    let queue = Queue::open(view, call, &url_of(call, &input.queue_url)?)?;
    let tags = all(view, queue.id())?;
    Ok(ListQueueTagsOutput {
        tags: (!tags.is_empty()).then_some(tags),
    })
}

fn all(read: &impl Read, queue: QueueId) -> Result<Map<String>> {
    TAGS.scan(read, &(queue,))
        .map(|entry| {
            entry
                .map(|((_, key), value)| (key, value))
                .map_err(Into::into)
        })
        .collect()
}
