//! What SQS stores: its key spaces, their keys and their rows.
//!
//! A queue gets a number when it is made, never reused; all that belongs to it stands under that number, so a queue that
//! is deleted and made again shares nothing with its past, and keys stay short. Account and region stand in the key of
//! the queue.
//!
//! A message has two rows: what was sent, which never changes, and where it stands ([`StateRow`]), which a receive
//! rewrites. A message that was never received has no second row. It stands in the index [`DUE`] under the time at which
//! it is next visible: receiving reads that index up to now, and so never meets what is in flight or delayed. Times are
//! absolute: a restart changes none of them.
//!
//! FIFO queues order by group: [`GROUP_MESSAGES`] holds each group's messages in order, [`GROUPS_DUE`] the groups by
//! the time at which their first message can be had.
//!
//! Rows are frozen: append fields, with a default.

use crate::tables::TableVisitor;
use cumulog_engine::{Space, Table};
use serde::{Deserialize, Serialize};

/// The number of a queue.
pub(crate) type QueueId = u64;
/// The number of a message in its queue, in the order of arrival.
pub(crate) type Number = u64;
/// Milliseconds since 1970.
pub(crate) type TimeMs = i64;

/// Queues by account, region and name.
pub(crate) const QUEUES: Table<(String, String, String), QueueRow> =
    Table::new(Space::new(0x0300, "sqs/queues"));
/// Tags by queue and key.
pub(crate) const TAGS: Table<(QueueId, String), String> =
    Table::new(Space::new(0x0301, "sqs/tags"));
/// Counters by queue.
pub(crate) const COUNTERS: Table<(QueueId,), CountersRow> =
    Table::new(Space::new(0x0302, "sqs/counters"));
/// Messages as they were sent.
pub(crate) const MESSAGES: Table<(QueueId, Number), MessageRow> =
    Table::new(Space::new(0x0303, "sqs/messages"));
/// Where received messages stand.
pub(crate) const STATES: Table<(QueueId, Number), StateRow> =
    Table::new(Space::new(0x0304, "sqs/states"));
/// Every message by the time from which it is visible. Value: is it in flight until then?
pub(crate) const DUE: Table<(QueueId, TimeMs, Number), bool> =
    Table::new(Space::new(0x0305, "sqs/due"));
/// Messages that are older than their number says (they came from another queue), by the time they were sent.
pub(crate) const AGED: Table<(QueueId, TimeMs, Number), ()> =
    Table::new(Space::new(0x0306, "sqs/aged"));
/// The messages of each message group, in order. Value: from when on one is visible that was never received.
pub(crate) const GROUP_MESSAGES: Table<(QueueId, String, Number), TimeMs> =
    Table::new(Space::new(0x0307, "sqs/group-messages"));
/// Where each message group stands in [`GROUPS_DUE`].
pub(crate) const GROUPS: Table<(QueueId, String), GroupRow> =
    Table::new(Space::new(0x0308, "sqs/groups"));
/// Message groups by the time from which they can be received, then by their first message.
pub(crate) const GROUPS_DUE: Table<(QueueId, TimeMs, Number), String> =
    Table::new(Space::new(0x0309, "sqs/groups-due"));
/// What was deduplicated lately: by queue, message group (empty: the whole queue) and deduplication id.
pub(crate) const SENDS: Table<(QueueId, String, String), SendRow> =
    Table::new(Space::new(0x030A, "sqs/sends"));
/// Receives that can be repeated, by queue and attempt id.
pub(crate) const ATTEMPTS: Table<(QueueId, String), AttemptRow> =
    Table::new(Space::new(0x030B, "sqs/attempts"));
/// When the rows of [`SENDS`] end.
pub(crate) const SENDS_END: Table<(QueueId, TimeMs, String, String), ()> =
    Table::new(Space::new(0x030C, "sqs/sends-end"));
/// When the rows of [`ATTEMPTS`] end.
pub(crate) const ATTEMPTS_END: Table<(QueueId, TimeMs, String), ()> =
    Table::new(Space::new(0x030E, "sqs/attempts-end"));
/// The last number that was given to a queue, under the empty key.
pub(crate) const LAST_QUEUE: Table<(), QueueId> = Table::new(Space::new(0x030D, "sqs/last-queue"));

/// A queue and its attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct QueueRow {
    pub(crate) id: QueueId,
    pub(crate) created_ms: TimeMs,
    pub(crate) modified_ms: TimeMs,
    pub(crate) settings: Settings,
}

/// The attributes that a caller can set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) fifo: bool,
    pub(crate) visibility_timeout_seconds: u32,
    pub(crate) delay_seconds: u32,
    pub(crate) message_bytes_max: u32,
    pub(crate) retention_seconds: u32,
    pub(crate) wait_seconds: u32,
    pub(crate) content_based_deduplication: bool,
    /// `DeduplicationScope` is `messageGroup`, not `queue`.
    pub(crate) deduplicate_by_group: bool,
    /// `FifoThroughputLimit` is `perMessageGroupId`, not `perQueue`.
    pub(crate) limit_by_group: bool,
    pub(crate) policy: Option<String>,
    pub(crate) redrive: Option<Redrive>,
    pub(crate) redrive_allow: Option<String>,
    pub(crate) kms_key: Option<String>,
    pub(crate) kms_reuse_seconds: Option<u32>,
    pub(crate) managed_encryption: bool,
}

/// All key spaces of SQS.
pub(crate) const SPACES: &[Space] = &[
    QUEUES.space(),
    TAGS.space(),
    COUNTERS.space(),
    MESSAGES.space(),
    STATES.space(),
    DUE.space(),
    AGED.space(),
    GROUP_MESSAGES.space(),
    GROUPS.space(),
    GROUPS_DUE.space(),
    SENDS.space(),
    ATTEMPTS.space(),
    SENDS_END.space(),
    ATTEMPTS_END.space(),
    LAST_QUEUE.space(),
];

/// Where messages go that are received too often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Redrive {
    /// As the caller wrote it, in JSON.
    pub(crate) text: String,
    pub(crate) target_arn: String,
    pub(crate) receives_max: u32,
}

/// What would take a scan to count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CountersRow {
    /// The last number that was given to a message.
    pub(crate) last: Number,
    /// Messages in the queue.
    pub(crate) messages: u64,
    /// Those of them that were received here: no more than these can be in flight.
    pub(crate) received: u64,
    /// No message is older than this.
    pub(crate) oldest_ms: TimeMs,
}

/// A message as it was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MessageRow {
    pub(crate) id: String,
    pub(crate) body: String,
    #[serde(with = "serde_bytes")]
    pub(crate) body_md5: [u8; 16],
    pub(crate) attributes: Vec<AttributeRow>,
    pub(crate) trace_header: Option<String>,
    pub(crate) sender: String,
    pub(crate) sent_ms: TimeMs,
    /// From when on it is visible, if it was never received.
    pub(crate) visible_ms: TimeMs,
    pub(crate) group: Option<String>,
    pub(crate) deduplication_id: Option<String>,
    /// The queue from which it came here as a dead letter.
    pub(crate) source_arn: Option<String>,
}

/// A message attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttributeRow {
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) value: AttributeValue,
}

/// The value of a message attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum AttributeValue {
    Text(String),
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// Where a received message stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StateRow {
    /// From when on it is visible (again).
    pub(crate) visible_ms: TimeMs,
    /// How often it was received, here and in the queues that it came from.
    pub(crate) receives: u32,
    pub(crate) first_received_ms: TimeMs,
    /// When its current receive was.
    pub(crate) received_ms: TimeMs,
    /// Which receive holds it: what a receipt handle must name. 0: none, it was never received in this queue.
    pub(crate) receipt: u64,
    /// Its message group, in a FIFO queue.
    pub(crate) group: Option<String>,
    /// When it was sent, if it stands in [`AGED`].
    pub(crate) aged_ms: Option<TimeMs>,
}

/// A message group of a FIFO queue: its key in [`GROUPS_DUE`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupRow {
    pub(crate) due_ms: TimeMs,
    pub(crate) first: Number,
}

/// A send whose repetitions are answered with its own result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SendRow {
    pub(crate) message_id: String,
    pub(crate) number: Number,
    pub(crate) ends_ms: TimeMs,
}

/// A receive that can be repeated: its messages and their receipts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttemptRow {
    pub(crate) ends_ms: TimeMs,
    /// Number, receipt and visibility of each message.
    pub(crate) messages: Vec<(Number, u64, TimeMs)>,
}

/// Shows every table.
pub(crate) fn each_table(visitor: &impl TableVisitor) {
    visitor.on(QUEUES);
    visitor.on(TAGS);
    visitor.on(COUNTERS);
    visitor.on(MESSAGES);
    visitor.on(STATES);
    visitor.on(DUE);
    visitor.on(AGED);
    visitor.on(GROUP_MESSAGES);
    visitor.on(GROUPS);
    visitor.on(GROUPS_DUE);
    visitor.on(SENDS);
    visitor.on(ATTEMPTS);
    visitor.on(SENDS_END);
    visitor.on(ATTEMPTS_END);
    visitor.on(LAST_QUEUE);
}
