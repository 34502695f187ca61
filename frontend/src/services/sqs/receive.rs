//! ReceiveMessage: what is wanted, waiting for it, and what is answered.
//!
//! A poll looks at the published state first and opens a transaction only if there is something to have, so waiting
//! costs nobody else anything.

use super::attributes;
use super::digest;
use super::error::{Result, SqsError};
use super::filter::AttributeFilter;
use super::queue::{Queue, url_of};
use super::receipt::ReceiptHandle;
use super::rows::{
    AttributeRow, AttributeValue, DUE, GROUPS_DUE, MessageRow, Number, StateRow, TimeMs,
};
use super::signals::Signals;
use super::take::{self, Taken, TakenMessage};
use super::{fifo, undelivered::Undelivered};
use crate::call::Call;
use crate::failure::Failure;
use crate::hex;
use cumulog_engine::{Read, View};
use cumulog_model::sqs::{
    Message, MessageAttributeValue, ReceiveMessageInput, ReceiveMessageOutput,
};
use cumulog_shape::{Map, Timestamp};
use std::ops::RangeInclusive;
use std::pin::pin;

/// The system attributes that a receive can ask for, in the order in which they are answered.
const SYSTEM_ATTRIBUTES: [&str; 9] = [
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

/// What a receive wants of a queue.
pub(super) struct Wish {
    pub(super) messages_max: usize,
    pub(super) visibility_ms: TimeMs,
    pub(super) attempt: Option<String>,
    pub(super) wait_ms: TimeMs,
    system_attributes: Vec<&'static str>,
    attributes: AttributeFilter,
}

pub(super) async fn receive_message(
    call: Call,
    input: ReceiveMessageInput,
) -> std::result::Result<ReceiveMessageOutput, Failure> {
    let view = call.view();
    let queue = Queue::open(&view, &call, &url_of(&call, &input.queue_url)?)?;
    let wish = Wish::check(&queue, input)?;
    let taken = poll(&call, view, &queue, &wish).await?;
    let messages: Vec<Message> = taken
        .into_iter()
        .map(|taken| answer(&queue, &wish, taken))
        .collect();
    Ok(ReceiveMessageOutput {
        messages: (!messages.is_empty()).then_some(messages),
    })
}

impl Wish {
    fn check(queue: &Queue, input: ReceiveMessageInput) -> Result<Wish> {
        let settings = queue.settings();
        let max = input.max_number_of_messages.unwrap_or(1);
        within(
            max,
            1..=10,
            "MaxNumberOfMessages",
            "Must be between 1 and 10, if provided.",
        )?;
        let wait = seconds(input.wait_time_seconds, settings.wait_seconds);
        within(
            wait,
            0..=20,
            "WaitTimeSeconds",
            "Must be >= 0 and <= 20, if provided.",
        )?;
        let visibility = seconds(
            input.visibility_timeout,
            settings.visibility_timeout_seconds,
        );
        within(
            visibility,
            0..=43_200,
            "VisibilityTimeout",
            "Must be >= 0 and <= 43200, if provided.",
        )?;
        if let (Some(attempt), false) = (&input.receive_request_attempt_id, settings.fifo) {
            return Err(SqsError::value(
                attempt,
                "ReceiveRequestAttemptId",
                "The request include parameter that is not valid for this queue type.",
            ));
        }
        let older = input.attribute_names.unwrap_or_default();
        let newer = input.message_system_attribute_names.unwrap_or_default();
        let names = older
            .iter()
            .map(|name| name.as_str())
            .chain(newer.iter().map(|name| name.as_str()));
        Ok(Wish {
            messages_max: usize::try_from(max).expect("is between 1 and 10"),
            visibility_ms: TimeMs::from(visibility) * 1000,
            attempt: input.receive_request_attempt_id,
            wait_ms: TimeMs::from(wait) * 1000,
            system_attributes: system_attributes(names)?,
            attributes: AttributeFilter::new(input.message_attribute_names.unwrap_or_default()),
        })
    }
}

fn seconds(wanted: Option<i32>, default: u32) -> i32 {
    wanted.unwrap_or_else(|| i32::try_from(default).unwrap_or(i32::MAX))
}

fn within(value: i32, range: RangeInclusive<i32>, name: &'static str, reason: &str) -> Result<()> {
    if range.contains(&value) {
        Ok(())
    } else {
        Err(SqsError::value(value, name, reason))
    }
}

fn system_attributes<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<&'static str>> {
    let mut wanted = Vec::new();
    for name in names {
        if name == "All" {
            return Ok(SYSTEM_ATTRIBUTES.to_vec());
        }
        let known = SYSTEM_ATTRIBUTES.into_iter().find(|known| *known == name);
        wanted.push(known.ok_or_else(|| attributes::unknown(name))?);
    }
    Ok(wanted)
}

/// Takes what is there; waits if there is nothing and the receive is willing to.
///
/// A waiter that was signalled looks again even if its time is over: the signal was for one waiter only.
async fn poll(
    call: &Call,
    view: View,
    queue: &Queue,
    wish: &Wish,
) -> std::result::Result<Vec<TakenMessage>, Failure> {
    let now = call.clock().now().0;
    // A repeated attempt may have messages that are in flight: it has to try.
    if wish.attempt.is_some() || next_due_ms(&view, queue)? <= now {
        let taken = take_now(call, queue, wish).await?;
        if taken.is_over() {
            return Ok(taken.messages);
        }
    }
    drop(view);
    let deadline_ms = now + wish.wait_ms;
    if now >= deadline_ms {
        return Ok(Vec::new());
    }
    let waiter = call.state::<Signals>().waiter(queue.id());
    loop {
        let mut signal = pin!(waiter.signal());
        signal.as_mut().enable();
        let epoch = waiter.epoch();
        let due_ms = look(call, queue)?;
        let now = call.clock().now().0;
        if due_ms <= now {
            let taken = take_now(call, queue, wish).await?;
            if taken.is_over() {
                return Ok(taken.messages);
            }
        } else if now >= deadline_ms {
            return Ok(Vec::new());
        } else if waiter.sleeps_until(epoch, due_ms) {
            tokio::select! {
                () = signal => {}
                () = call.clock().sleep_until(Timestamp(due_ms.min(deadline_ms))) => {}
                () = call.closing() => return Ok(Vec::new()),
            }
        }
    }
}

/// From when on there is something to have, if the queue still exists.
fn look(call: &Call, queue: &Queue) -> Result<TimeMs> {
    let view = call.view();
    let current = Queue::find(&view, &queue.account, &queue.region, &queue.name)?;
    if current.is_none_or(|current| current.id() != queue.id()) {
        return Err(SqsError::no_queue(call));
    }
    next_due_ms(&view, queue)
}

fn next_due_ms(read: &impl Read, queue: &Queue) -> Result<TimeMs> {
    let prefix = (queue.id(),);
    let due_ms = if queue.settings().fifo {
        GROUPS_DUE
            .scan(read, &prefix)
            .next()
            .transpose()?
            .map(|(key, _)| key.1)
    } else {
        DUE.scan(read, &prefix)
            .next()
            .transpose()?
            .map(|(key, _)| key.1)
    };
    Ok(due_ms.unwrap_or(TimeMs::MAX))
}

/// Takes messages, again until there are some or none can be had.
async fn take_now(call: &Call, queue: &Queue, wish: &Wish) -> std::result::Result<Taken, Failure> {
    loop {
        let undelivered = Undelivered::new(call, queue);
        let taken = call.commit(|txn| {
            let taken = take::take(call, txn, queue, wish)?;
            undelivered.note(&taken.messages);
            Ok::<_, SqsError>(taken)
        });
        let taken = taken.await?;
        undelivered.delivered();
        if !taken.messages.is_empty() || !taken.unfinished {
            return Ok(taken);
        }
    }
}

/// A message as it is answered.
fn answer(queue: &Queue, wish: &Wish, taken: TakenMessage) -> Message {
    let TakenMessage {
        number,
        message,
        state,
    } = taken;
    let handle = ReceiptHandle {
        queue: queue.id(),
        message: number,
        receipt: state.receipt,
    };
    let wanted: Vec<&AttributeRow> = message
        .attributes
        .iter()
        .filter(|attribute| wish.attributes.wants(&attribute.name))
        .collect();
    let md5 = digest::of_attributes(wanted.iter().copied());
    let system: Map<String> = wish
        .system_attributes
        .iter()
        .filter_map(|name| {
            Some((
                (*name).to_owned(),
                system_attribute(name, queue, number, &message, &state)?,
            ))
        })
        .collect();
    let attributes: Map<MessageAttributeValue> = wanted
        .into_iter()
        .map(|row| (row.name.clone(), attribute(row)))
        .collect();
    Message {
        message_id: Some(message.id),
        receipt_handle: Some(handle.to_string()),
        md5_of_body: Some(hex::lower(&message.body_md5)),
        body: Some(message.body),
        attributes: (!system.is_empty()).then_some(system),
        md5_of_message_attributes: md5.map(|md5| hex::lower(&md5)),
        message_attributes: (!attributes.is_empty()).then_some(attributes),
    }
}

fn system_attribute(
    name: &str,
    queue: &Queue,
    number: Number,
    message: &MessageRow,
    state: &StateRow,
) -> Option<String> {
    let fifo = queue.settings().fifo;
    match name {
        "SenderId" => Some(message.sender.clone()),
        "SentTimestamp" => Some(message.sent_ms.to_string()),
        "ApproximateReceiveCount" => Some(state.receives.to_string()),
        "ApproximateFirstReceiveTimestamp" => Some(state.first_received_ms.to_string()),
        "SequenceNumber" => fifo.then(|| fifo::sequence_number(number)),
        "MessageDeduplicationId" => message.deduplication_id.clone(),
        "MessageGroupId" => message.group.clone(),
        "AWSTraceHeader" => message.trace_header.clone(),
        "DeadLetterQueueSourceArn" => message.source_arn.clone(),
        _ => None,
    }
}

fn attribute(row: &AttributeRow) -> MessageAttributeValue {
    let (text, bytes) = match &row.value {
        AttributeValue::Text(text) => (Some(text.clone()), None),
        AttributeValue::Bytes(bytes) => (None, Some(bytes.clone().into())),
    };
    MessageAttributeValue {
        data_type: row.data_type.clone(),
        string_value: text,
        binary_value: bytes,
        ..MessageAttributeValue::default()
    }
}
