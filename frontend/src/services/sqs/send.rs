//! SendMessage, and the door by which other services put messages on a queue.

use super::digest::Md5Bytes;
use super::error::{Result, SqsError};
use super::fifo;
use super::ledger::Ledger;
use super::payload::Payload;
use super::queue::{Queue, url_of};
use super::rows::{MessageRow, Settings, TimeMs};
use super::signals::Signals;
use crate::call::Call;
use crate::failure::Failure;
use crate::hex;
use cumulog_engine::Txn;
use cumulog_model::sqs::{SendMessageInput, SendMessageOutput};

const ID_LENGTH_MAX: usize = 128;
const DELAY_SECONDS_MAX: i32 = 900;
const OTHER_KIND: &str = "The request include parameter that is not valid for this queue type.";

/// A message to be sent: checked as far as that goes without its queue.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) payload: Payload,
    pub(crate) delay_seconds: Option<i32>,
    pub(crate) group: Option<String>,
    pub(crate) deduplication_id: Option<String>,
}

/// A message that is on its queue.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) message_id: String,
    pub(crate) body_md5: Md5Bytes,
    pub(crate) attributes_md5: Option<Md5Bytes>,
    pub(crate) system_attributes_md5: Option<Md5Bytes>,
    /// Only in FIFO queues.
    pub(crate) sequence_number: Option<String>,
}

/// Body and digests are seen to before the transaction, which other requests wait for.
pub(super) async fn send_message(
    call: Call,
    input: SendMessageInput,
) -> std::result::Result<SendMessageOutput, Failure> {
    let url = url_of(&call, &input.queue_url);
    let payload = Payload::check(
        input.message_body,
        input.message_attributes,
        input.message_system_attributes,
    );
    let draft = payload.map(|payload| Draft {
        payload,
        delay_seconds: input.delay_seconds,
        group: input.message_group_id,
        deduplication_id: input.message_deduplication_id,
    });
    let sent = call
        .commit(|txn| {
            let queue = Queue::open(txn, &call, &url?)?;
            put(&call, txn, &queue, draft?)
        })
        .await?;
    Ok(SendMessageOutput {
        message_id: Some(sent.message_id),
        md5_of_message_body: Some(hex::lower(&sent.body_md5)),
        md5_of_message_attributes: sent.attributes_md5.map(|md5| hex::lower(&md5)),
        md5_of_message_system_attributes: sent.system_attributes_md5.map(|md5| hex::lower(&md5)),
        sequence_number: sent.sequence_number,
    })
}

pub(super) fn put(call: &Call, txn: &mut Txn, queue: &Queue, draft: Draft) -> Result<Sent> {
    let mut ledger = Ledger::open(txn, queue, call.clock().now().0)?;
    let sent = send(&mut ledger, call, queue, draft)?;
    ledger.close(&call.state::<Signals>());
    Ok(sent)
}

/// Sends a message, or answers a repeated one as the first. An error leaves the ledger as it was.
pub(super) fn send(
    ledger: &mut Ledger<'_>,
    call: &Call,
    queue: &Queue,
    mut draft: Draft,
) -> Result<Sent> {
    let settings = queue.settings();
    draft.check(settings)?;
    let mut sent = Sent {
        message_id: call.random().uuid(),
        body_md5: draft.payload.body_md5,
        attributes_md5: draft.payload.attributes_md5,
        system_attributes_md5: draft.payload.system_attributes_md5,
        sequence_number: None,
    };
    if settings.fifo {
        let (group, id) = draft.fifo_ids(settings)?;
        ledger.end_windows()?;
        if let Some(earlier) = ledger.earlier_send(settings, &group, &id)? {
            sent.message_id = earlier.message_id;
            sent.sequence_number = Some(fifo::sequence_number(earlier.number));
            return Ok(sent);
        }
        let number = ledger.next_number();
        ledger.remember_send(settings, &group, &id, (&sent.message_id, number));
        sent.sequence_number = Some(fifo::sequence_number(number));
        draft.deduplication_id = Some(id);
    }
    if draft.payload.trace_header.is_none() {
        draft.payload.trace_header = call.header("x-amzn-trace-id").map(str::to_owned);
    }
    let message = draft.into_row(settings, &sent.message_id, &call.account, ledger.now);
    ledger.add(&message, None, settings.fifo)?;
    Ok(sent)
}

impl Draft {
    /// Checks what depends on the queue.
    fn check(&self, settings: &Settings) -> Result<()> {
        let limit = settings.message_bytes_max;
        if self.payload.bytes > limit as usize {
            return Err(SqsError::InvalidParameter(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
            )));
        }
        check_id("MessageDeduplicationId", self.deduplication_id.as_deref())?;
        check_id("MessageGroupId", self.group.as_deref())?;
        if let (false, Some(id)) = (settings.fifo, &self.deduplication_id) {
            return Err(SqsError::value(id, "MessageDeduplicationId", OTHER_KIND));
        }
        match self.delay_seconds {
            Some(delay) if !(0..=DELAY_SECONDS_MAX).contains(&delay) => Err(SqsError::value(
                delay,
                "DelaySeconds",
                format!("DelaySeconds must be >= 0 and <= {DELAY_SECONDS_MAX}."),
            )),
            Some(delay) if settings.fifo && delay > 0 => {
                Err(SqsError::value(delay, "DelaySeconds", OTHER_KIND))
            }
            _ => Ok(()),
        }
    }

    /// The message group and deduplication id, which a FIFO queue demands.
    fn fifo_ids(&self, settings: &Settings) -> Result<(String, String)> {
        let group = self
            .group
            .clone()
            .ok_or(SqsError::MissingParameter("MessageGroupId"))?;
        let id = match &self.deduplication_id {
            Some(id) => id.clone(),
            None if settings.content_based_deduplication => fifo::content_id(&self.payload.body),
            None => return Err(no_deduplication()),
        };
        Ok((group, id))
    }

    /// A FIFO queue has one delay for all messages; a zero then means that delay.
    fn into_row(self, settings: &Settings, id: &str, sender: &str, now: TimeMs) -> MessageRow {
        let own_delay = self.delay_seconds.filter(|_| !settings.fifo).map(i64::from);
        let delay_ms = own_delay.unwrap_or(i64::from(settings.delay_seconds)) * 1000;
        MessageRow {
            id: id.to_owned(),
            body: self.payload.body,
            body_md5: self.payload.body_md5,
            attributes: self.payload.attributes,
            trace_header: self.payload.trace_header,
            sender: sender.to_owned(),
            sent_ms: now,
            visible_ms: now + delay_ms,
            group: self.group,
            deduplication_id: self.deduplication_id,
            source_arn: None,
        }
    }
}

pub(super) fn no_deduplication() -> SqsError {
    SqsError::InvalidParameter(
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
            .to_owned(),
    )
}

fn check_id(parameter: &'static str, id: Option<&str>) -> Result<()> {
    let Some(id) = id else { return Ok(()) };
    if (1..=ID_LENGTH_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let reason = format!(
        "{parameter} can only include alphanumeric and punctuation characters. 1 to 128 in length."
    );
    Err(SqsError::value(id, parameter, reason))
}
