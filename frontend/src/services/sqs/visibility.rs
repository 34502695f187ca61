//! DeleteMessage and ChangeMessageVisibility: what a receipt handle can do, one by one and in batches.

use super::batch;
use super::error::{Result, SqsError};
use super::ledger::Ledger;
use super::queue::{Queue, url_of};
use super::receipt::ReceiptHandle;
use super::rows::{Number, StateRow, TimeMs};
use super::signals::Signals;
use crate::call::Call;
use cumulog_engine::Txn;
use cumulog_model::sqs::{
    ChangeMessageVisibilityBatchInput, ChangeMessageVisibilityBatchOutput,
    ChangeMessageVisibilityBatchResultEntry, ChangeMessageVisibilityInput,
    ChangeMessageVisibilityOutput, DeleteMessageBatchInput, DeleteMessageBatchOutput,
    DeleteMessageBatchResultEntry, DeleteMessageInput, DeleteMessageOutput,
};

const VISIBILITY_SECONDS_MAX: i32 = 43_200;

/// Runs `work` on the messages of the queue at `url`.
fn with_ledger<T>(
    call: &Call,
    txn: &mut Txn,
    url: &str,
    work: impl FnOnce(&mut Ledger<'_>, &Queue) -> Result<T>,
) -> Result<T> {
    let queue = Queue::open(txn, call, &url_of(call, url)?)?;
    let mut ledger = Ledger::open(txn, &queue, call.now.0)?;
    let result = work(&mut ledger, &queue)?;
    ledger.close(&call.state::<Signals>());
    Ok(result)
}

pub(super) fn delete_message(
    call: &Call,
    txn: &mut Txn,
    input: DeleteMessageInput,
) -> Result<DeleteMessageOutput> {
    with_ledger(call, txn, &input.queue_url, |ledger, queue| {
        delete(ledger, queue, &input.receipt_handle)?;
        Ok(DeleteMessageOutput {})
    })
}

pub(super) fn delete_message_batch(
    call: &Call,
    txn: &mut Txn,
    input: DeleteMessageBatchInput,
) -> Result<DeleteMessageBatchOutput> {
    with_ledger(call, txn, &input.queue_url, |ledger, queue| {
        let ids = input.entries.iter().map(|entry| &*entry.id);
        batch::check("DeleteMessageBatchRequestEntry", ids)?;
        let mut output = DeleteMessageBatchOutput::default();
        for entry in input.entries {
            let id = entry.id;
            match delete(ledger, queue, &entry.receipt_handle) {
                Ok(()) => {
                    let entry = DeleteMessageBatchResultEntry { id };
                    output.successful.get_or_insert_default().push(entry);
                }
                Err(error) => {
                    output
                        .failed
                        .get_or_insert_default()
                        .push(batch::failed(id, error)?);
                }
            }
        }
        Ok(output)
    })
}

/// SQS accepts a stale receipt handle and may keep the message; we always keep it.
///
/// A standard queue also deletes a message whose visibility timeout has passed, if nobody received it since. A FIFO
/// queue refuses that: the message may be on its way to another receiver already.
fn delete(ledger: &mut Ledger<'_>, queue: &Queue, text: &str) -> Result<()> {
    let handle = handle(queue, text)?;
    let Some(state) = ledger.state(handle.message)? else {
        return Ok(());
    };
    let current = state.receipt == handle.receipt;
    if queue.settings().fifo && (!current || state.visible_ms <= ledger.now) {
        return Err(SqsError::value(
            text,
            "ReceiptHandle",
            "The receipt handle has expired.",
        ));
    }
    if current {
        ledger.remove_received(handle.message, &state)?;
    }
    Ok(())
}

pub(super) fn change_message_visibility(
    call: &Call,
    txn: &mut Txn,
    input: ChangeMessageVisibilityInput,
) -> Result<ChangeMessageVisibilityOutput> {
    with_ledger(call, txn, &input.queue_url, |ledger, queue| {
        change(
            ledger,
            queue,
            &input.receipt_handle,
            Some(input.visibility_timeout),
        )?;
        Ok(ChangeMessageVisibilityOutput {})
    })
}

pub(super) fn change_message_visibility_batch(
    call: &Call,
    txn: &mut Txn,
    input: ChangeMessageVisibilityBatchInput,
) -> Result<ChangeMessageVisibilityBatchOutput> {
    with_ledger(call, txn, &input.queue_url, |ledger, queue| {
        let ids = input.entries.iter().map(|entry| &*entry.id);
        batch::check("ChangeMessageVisibilityBatchRequestEntry", ids)?;
        let mut output = ChangeMessageVisibilityBatchOutput::default();
        for entry in input.entries {
            let id = entry.id;
            match change(
                ledger,
                queue,
                &entry.receipt_handle,
                entry.visibility_timeout,
            ) {
                Ok(()) => {
                    let entry = ChangeMessageVisibilityBatchResultEntry { id };
                    output.successful.get_or_insert_default().push(entry);
                }
                Err(error) => {
                    output
                        .failed
                        .get_or_insert_default()
                        .push(batch::failed(id, error)?);
                }
            }
        }
        Ok(output)
    })
}

fn change(ledger: &mut Ledger<'_>, queue: &Queue, text: &str, seconds: Option<i32>) -> Result<()> {
    let handle = handle(queue, text)?;
    let seconds = seconds.ok_or(SqsError::MissingParameter("VisibilityTimeout"))?;
    if !(0..=VISIBILITY_SECONDS_MAX).contains(&seconds) {
        return Err(SqsError::value(
            seconds,
            "VisibilityTimeout",
            "VisibilityTimeout must be an integer between 0 and 43200.",
        ));
    }
    let state = in_flight(ledger, handle, text)?;
    let visible_ms = ledger.now + TimeMs::from(seconds) * 1000;
    if visible_ms - state.received_ms > TimeMs::from(VISIBILITY_SECONDS_MAX) * 1000 {
        return Err(SqsError::value(
            seconds,
            "VisibilityTimeout",
            "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
        ));
    }
    move_to(ledger, handle.message, state, visible_ms)
}

/// The state of the message that a handle holds.
fn in_flight(ledger: &Ledger<'_>, handle: ReceiptHandle, text: &str) -> Result<StateRow> {
    let state = ledger
        .state(handle.message)?
        .filter(|state| state.receipt == handle.receipt);
    match state {
        Some(state) if state.visible_ms > ledger.now => Ok(state),
        Some(_) => Err(SqsError::MessageNotInflight),
        None => Err(SqsError::value(
            text,
            "ReceiptHandle",
            "Message does not exist or is not available for visibility timeout change.",
        )),
    }
}

/// Makes a message that is in flight visible at another time.
pub(super) fn move_to(
    ledger: &mut Ledger<'_>,
    number: Number,
    state: StateRow,
    visible_ms: TimeMs,
) -> Result<()> {
    let from_ms = state.visible_ms;
    let state = StateRow {
        visible_ms,
        ..state
    };
    ledger.place(number, from_ms, &state);
    state
        .group
        .as_deref()
        .map_or(Ok(()), |group| ledger.regroup(group))
}

/// Reads a handle; one of another queue, or of a queue that is gone, is none of ours.
fn handle(queue: &Queue, text: &str) -> Result<ReceiptHandle> {
    let handle: ReceiptHandle = text.parse()?;
    if handle.queue != queue.id() {
        return Err(SqsError::ReceiptHandleIsInvalid(text.to_owned()));
    }
    Ok(handle)
}
