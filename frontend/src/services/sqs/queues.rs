//! Making, finding, describing, emptying and deleting queues.

use super::attributes;
use super::error::{Result, SqsError};
use super::ledger::{self, Ledger};
use super::names;
use super::queue::{Queue, url_of};
use super::redrive;
use super::rows::{COUNTERS, CountersRow, LAST_QUEUE, QUEUES, QueueId, QueueRow, Settings, TAGS};
use super::signals::Signals;
use super::tags;
use crate::call::Call;
use crate::failure::Failure;
use cumulog_engine::{Read, Txn, View};
use cumulog_model::sqs::{
    CreateQueueInput, CreateQueueOutput, DeleteQueueInput, DeleteQueueOutput,
    GetQueueAttributesInput, GetQueueAttributesOutput, GetQueueUrlInput, GetQueueUrlOutput,
    ListQueuesInput, ListQueuesOutput, PurgeQueueInput, PurgeQueueOutput, SetQueueAttributesInput,
    SetQueueAttributesOutput,
};
use cumulog_shape::Map;
use std::ops::Bound;

const LIST_MAX: i32 = 1_000;
/// How many expired messages a transaction removes at most.
const SWEEP_MAX: usize = 1_000;

/// Makes a queue. One that exists with the same attributes is answered as if it had just been made.
pub(super) fn create_queue(
    call: &Call,
    txn: &mut Txn,
    input: CreateQueueInput,
) -> Result<CreateQueueOutput> {
    let attributes = input.attributes.unwrap_or_default();
    let settings = Settings::create(&attributes)?;
    names::check_name(&input.queue_name, settings.fifo)?;
    let queue = match Queue::find(txn, &call.account, &call.region, &input.queue_name)? {
        Some(queue) => {
            if let Some(attribute) = queue.settings().difference(&attributes)? {
                return Err(SqsError::QueueNameExists { attribute });
            }
            queue
        }
        None => {
            let queue = new_queue(call, txn, input.queue_name, settings)?;
            if let Some(tags) = input.tags {
                tags::put(txn, queue.id(), &queue.name, &tags)?;
            }
            queue
        }
    };
    Ok(CreateQueueOutput {
        queue_url: Some(queue.url(call)),
    })
}

fn new_queue(call: &Call, txn: &mut Txn, name: String, settings: Settings) -> Result<Queue> {
    let id: QueueId = LAST_QUEUE.get(txn, &())?.unwrap_or_default() + 1;
    let queue = Queue {
        account: call.account.to_string(),
        region: call.region.to_string(),
        name,
        row: QueueRow {
            id,
            created_ms: call.now.0,
            modified_ms: call.now.0,
            settings,
        },
    };
    redrive::check(txn, &queue)?;
    LAST_QUEUE.put(txn, &(), &id);
    COUNTERS.put(txn, &(id,), &CountersRow::default());
    QUEUES.put(txn, &queue.key(), &queue.row);
    Ok(queue)
}

pub(super) fn get_queue_url(
    call: &Call,
    view: &View,
    input: GetQueueUrlInput,
) -> Result<GetQueueUrlOutput> {
    let account = input
        .queue_owner_aws_account_id
        .unwrap_or_else(|| call.account.to_string());
    let queue = Queue::find(view, &account, &call.region, &input.queue_name)?;
    let queue = queue.ok_or_else(|| SqsError::no_queue(call))?;
    Ok(GetQueueUrlOutput {
        queue_url: Some(queue.url(call)),
    })
}

/// Lists queues by name. The token for the next page is the last name of this one.
pub(super) fn list_queues(
    call: &Call,
    view: &View,
    input: ListQueuesInput,
) -> Result<ListQueuesOutput> {
    let max = input.max_results.unwrap_or(LIST_MAX);
    if !(1..=LIST_MAX).contains(&max) {
        return Err(SqsError::InvalidParameter(
            "Invalid value for parameter MaxResults. Reason: MaxResults must be an integer between 1 and 1000."
                .to_owned(),
        ));
    }
    let max = usize::try_from(max).expect("is between 1 and 1000");
    let after = input.next_token.as_deref().map(token_name).transpose()?;
    let prefix = input.queue_name_prefix.unwrap_or_default();
    let mut names = matching(call, view, &prefix, after, max + 1)?;
    let more = names.len() > max;
    names.truncate(max);
    let next = names
        .last()
        .filter(|_| more && input.max_results.is_some())
        .map(|name| token(name));
    let urls: Vec<String> = names
        .iter()
        .map(|name| names::url(call.endpoint(), &call.account, name))
        .collect();
    Ok(ListQueuesOutput {
        queue_urls: (!urls.is_empty()).then_some(urls),
        next_token: next,
    })
}

/// The names of at most `count` queues that start with `prefix` and come after `after`.
fn matching(
    call: &Call,
    view: &View,
    prefix: &str,
    after: Option<String>,
    count: usize,
) -> Result<Vec<String>> {
    let place = (call.account.to_string(), call.region.to_string());
    let key = |name: String| (place.0.clone(), place.1.clone(), name);
    let start = match after {
        Some(name) => Bound::Excluded(key(name)),
        None => Bound::Included(key(prefix.to_owned())),
    };
    let names = QUEUES
        .scan_from(view, &place, start.as_ref())
        .map(|entry| Ok(entry?.0.2));
    let matches =
        |name: &Result<String>| name.as_ref().map_or(true, |name| name.starts_with(prefix));
    names.take_while(matches).take(count).collect()
}

fn token(name: &str) -> String {
    base64_simd::STANDARD.encode_to_string(name)
}

fn token_name(token: &str) -> Result<String> {
    let name = base64_simd::STANDARD
        .decode_to_vec(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    name.ok_or_else(|| {
        SqsError::InvalidParameter("Invalid or expired next token provided.".to_owned())
    })
}

/// Deletes a queue and all that stands under its number.
pub(super) fn delete_queue(
    call: &Call,
    txn: &mut Txn,
    input: DeleteQueueInput,
) -> Result<DeleteQueueOutput> {
    let queue = Queue::open(txn, call, &url_of(call, &input.queue_url)?)?;
    let id = queue.id();
    QUEUES.delete(txn, &queue.key());
    COUNTERS.delete(txn, &(id,));
    TAGS.delete_prefix(txn, &(id,));
    ledger::purge(txn, id);
    wake_all(call, txn, id);
    Ok(DeleteQueueOutput {})
}

/// Deletes all messages, those in flight as well. AWS allows this once a minute; here it is always allowed.
pub(super) fn purge_queue(
    call: &Call,
    txn: &mut Txn,
    input: PurgeQueueInput,
) -> Result<PurgeQueueOutput> {
    let queue = Queue::open(txn, call, &url_of(call, &input.queue_url)?)?;
    let mut ledger = Ledger::open(txn, &queue, call.now.0)?;
    ledger.purge();
    ledger.close(&call.state::<Signals>());
    Ok(PurgeQueueOutput {})
}

pub(super) fn set_queue_attributes(
    call: &Call,
    txn: &mut Txn,
    input: SetQueueAttributesInput,
) -> Result<SetQueueAttributesOutput> {
    let mut queue = Queue::open(txn, call, &url_of(call, &input.queue_url)?)?;
    let before = queue.row.settings.clone();
    queue.row.settings.apply(&input.attributes)?;
    if input.attributes.contains_key("FifoQueue") {
        return Err(attributes::unknown("FifoQueue"));
    }
    if input.attributes.contains_key("RedrivePolicy") {
        redrive::check(txn, &queue)?;
    }
    queue.row.modified_ms = call.now.0;
    QUEUES.put(txn, &queue.key(), &queue.row);
    if before.fifo && before.delay_seconds != queue.row.settings.delay_seconds {
        let mut ledger = Ledger::open(txn, &queue, call.now.0)?;
        ledger.delay_anew(queue.row.settings.delay_seconds)?;
        ledger.close(&call.state::<Signals>());
    }
    Ok(SetQueueAttributesOutput {})
}

fn wake_all(call: &Call, txn: &mut Txn, queue: QueueId) {
    let signals = call.state::<Signals>();
    txn.on_publish(move || signals.wake_all(queue));
}

/// The counts are exact: what has expired is removed before it is counted.
pub(super) async fn get_queue_attributes(
    call: Call,
    input: GetQueueAttributesInput,
) -> std::result::Result<GetQueueAttributesOutput, Failure> {
    let url = url_of(&call, &input.queue_url)?;
    let wanted = input.attribute_names.unwrap_or_default();
    let queue = sweep(&call, &url).await?;
    let attributes = show(
        &call,
        &call.view(),
        &queue,
        wanted.iter().map(|name| name.as_str()),
    )?;
    Ok(GetQueueAttributesOutput {
        attributes: (!attributes.is_empty()).then_some(attributes),
    })
}

/// Opens a queue, its expired messages removed.
async fn sweep(call: &Call, url: &str) -> std::result::Result<Queue, Failure> {
    loop {
        let view = call.view();
        let queue = Queue::open(&view, call, url)?;
        let now = call.clock().now().0;
        let horizon_ms = now - ledger::retention_ms(&queue);
        if !ledger::is_stale(&ledger::counters(&view, queue.id())?, horizon_ms) {
            return Ok(queue);
        }
        let signals = call.state::<Signals>();
        let swept = call.commit(|txn| {
            let queue = Queue::open(txn, call, url)?;
            let mut ledger = Ledger::open(txn, &queue, now)?;
            ledger.sweep(SWEEP_MAX, queue.settings().fifo)?;
            ledger.close(&signals);
            Ok::<_, SqsError>(())
        });
        swept.await?;
    }
}

fn show<'a>(
    call: &Call,
    read: &impl Read,
    queue: &Queue,
    wanted: impl Iterator<Item = &'a str>,
) -> Result<Map<String>> {
    let counts = ledger::counts(read, queue.id(), call.clock().now().0)?;
    let computed = [
        ("QueueArn", queue.arn()),
        ("ApproximateNumberOfMessages", counts.visible.to_string()),
        (
            "ApproximateNumberOfMessagesNotVisible",
            counts.in_flight.to_string(),
        ),
        (
            "ApproximateNumberOfMessagesDelayed",
            counts.delayed.to_string(),
        ),
        (
            "CreatedTimestamp",
            (queue.row.created_ms / 1000).to_string(),
        ),
        (
            "LastModifiedTimestamp",
            (queue.row.modified_ms / 1000).to_string(),
        ),
    ];
    let all: Map<String> = computed
        .into_iter()
        .chain(queue.settings().all())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let mut shown = Map::new();
    for name in wanted {
        if name == "All" {
            return Ok(all);
        }
        match all.get(name) {
            Some(value) => {
                shown.insert(name, value.clone());
            }
            None if attributes::is_settable(name) => {}
            None => return Err(attributes::unknown(name)),
        }
    }
    Ok(shown)
}
