//! What all batches share: the rules on their entries, and results entry by entry.

use super::error::{Result, SqsError};
use super::ledger::Ledger;
use super::payload::{self, Payload};
use super::queue::{Queue, url_of};
use super::send::{self, Draft, Sent};
use super::signals::Signals;
use crate::call::Call;
use crate::failure::Failure;
use crate::hex;
use cumulog_model::sqs::{
    BatchResultErrorEntry, SendMessageBatchInput, SendMessageBatchOutput,
    SendMessageBatchRequestEntry, SendMessageBatchResultEntry,
};
use std::collections::HashSet;

const ENTRIES_MAX: usize = 10;
const ID_LENGTH_MAX: usize = 80;
const BATCH_BYTES_MAX: usize = 1_048_576;

/// Checks the number of entries and their ids. `kind` is the name of the entries' shape.
pub(super) fn check<'a>(
    kind: &'static str,
    ids: impl ExactSizeIterator<Item = &'a str>,
) -> Result<()> {
    match ids.len() {
        0 => return Err(SqsError::EmptyBatchRequest(kind)),
        1..=ENTRIES_MAX => {}
        count => return Err(SqsError::TooManyEntriesInBatchRequest(count)),
    }
    let mut seen = HashSet::new();
    for id in ids {
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=ID_LENGTH_MAX).contains(&id.len()) || !id.bytes().all(valid) {
            return Err(SqsError::InvalidBatchEntryId);
        }
        if !seen.insert(id) {
            return Err(SqsError::BatchEntryIdsNotDistinct(id.to_owned()));
        }
    }
    Ok(())
}

/// An entry's failure. What is wrong with our own rows fails the whole batch instead.
pub(super) fn failed(id: String, error: SqsError) -> Result<BatchResultErrorEntry> {
    if let SqsError::Row(error) = error {
        return Err(error.into());
    }
    Ok(BatchResultErrorEntry {
        id,
        sender_fault: true,
        code: error.codes().query.to_owned(),
        message: Some(error.to_string()),
    })
}

pub(super) async fn send_message_batch(
    call: Call,
    input: SendMessageBatchInput,
) -> std::result::Result<SendMessageBatchOutput, Failure> {
    let url = url_of(&call, &input.queue_url);
    let checked = check_sends(&input.entries);
    let fifo_members = FifoMembers::of(&input.entries);
    let drafts: Vec<_> = input.entries.into_iter().map(draft).collect();
    let output = call.commit(|txn| {
        let queue = Queue::open(txn, &call, &url?)?;
        checked?;
        fifo_members.check(&queue)?;
        let mut ledger = Ledger::open(txn, &queue, call.clock().now().0)?;
        let mut output = SendMessageBatchOutput::default();
        for (id, draft) in drafts {
            match draft.and_then(|draft| send::send(&mut ledger, &call, &queue, draft)) {
                Ok(sent) => output
                    .successful
                    .get_or_insert_default()
                    .push(result(id, sent)),
                Err(error) => output
                    .failed
                    .get_or_insert_default()
                    .push(failed(id, error)?),
            }
        }
        ledger.close(&call.state::<Signals>());
        Ok::<_, SqsError>(output)
    });
    output.await
}

fn check_sends(entries: &[SendMessageBatchRequestEntry]) -> Result<()> {
    check(
        "SendMessageBatchRequestEntry",
        entries.iter().map(|entry| &*entry.id),
    )?;
    let bytes = |entry: &SendMessageBatchRequestEntry| {
        payload::unchecked_bytes(&entry.message_body, entry.message_attributes.as_ref())
    };
    let sent = entries.iter().map(bytes).sum();
    if sent > BATCH_BYTES_MAX {
        return Err(SqsError::BatchRequestTooLong {
            limit: BATCH_BYTES_MAX,
            sent,
        });
    }
    Ok(())
}

/// What a FIFO queue demands of every entry; AWS fails the whole batch, not the entry.
struct FifoMembers {
    groups: bool,
    deduplication_ids: bool,
}

impl FifoMembers {
    fn of(entries: &[SendMessageBatchRequestEntry]) -> FifoMembers {
        FifoMembers {
            groups: entries.iter().all(|entry| entry.message_group_id.is_some()),
            deduplication_ids: entries
                .iter()
                .all(|entry| entry.message_deduplication_id.is_some()),
        }
    }

    fn check(&self, queue: &Queue) -> Result<()> {
        let settings = queue.settings();
        if !settings.fifo {
            return Ok(());
        }
        if !self.deduplication_ids && !settings.content_based_deduplication {
            return Err(send::no_deduplication());
        }
        if !self.groups {
            return Err(SqsError::InvalidParameter(
                "The request must contain the parameter MessageGroupId.".to_owned(),
            ));
        }
        Ok(())
    }
}

fn draft(entry: SendMessageBatchRequestEntry) -> (String, Result<Draft>) {
    let payload = Payload::check(
        entry.message_body,
        entry.message_attributes,
        entry.message_system_attributes,
    );
    let draft = payload.map(|payload| Draft {
        payload,
        delay_seconds: entry.delay_seconds,
        group: entry.message_group_id,
        deduplication_id: entry.message_deduplication_id,
    });
    (entry.id, draft)
}

fn result(id: String, sent: Sent) -> SendMessageBatchResultEntry {
    SendMessageBatchResultEntry {
        id,
        message_id: sent.message_id,
        md5_of_message_body: hex::lower(&sent.body_md5),
        md5_of_message_attributes: sent.attributes_md5.map(|md5| hex::lower(&md5)),
        md5_of_message_system_attributes: sent.system_attributes_md5.map(|md5| hex::lower(&md5)),
        sequence_number: sent.sequence_number,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn entries_are_few_named_and_distinct() {
        fn check(ids: &[&str], expected: Option<&str>) {
            let error = super::check("DeleteMessageBatchRequestEntry", ids.iter().copied()).err();
            assert_eq!(
                error.map(|error| error.to_string()).as_deref(),
                expected,
                "{ids:?}"
            );
        }
        let long = "a".repeat(81);
        let invalid = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be \
                       at most 80 letters long.";
        check(&["a", "b-c_D9"], None);
        check(&[&long[..80]], None);
        check(
            &[],
            Some("There should be at least one DeleteMessageBatchRequestEntry in the request."),
        );
        check(
            &["a"; 11],
            Some("Maximum number of entries per request are 10. You have sent 11."),
        );
        check(&["a", "a"], Some("Id a repeated."));
        check(&[""], Some(invalid));
        check(&["a.b"], Some(invalid));
        check(&[&long], Some(invalid));
    }
}
