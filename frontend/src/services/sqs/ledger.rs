//! The messages of one queue within a transaction: every change of a message goes through here, so that rows, indexes,
//! counters and wake-ups agree.

use super::error::Result;
use super::queue::Queue;
use super::rows::{
    AGED, ATTEMPTS, ATTEMPTS_END, COUNTERS, CountersRow, DUE, GROUP_MESSAGES, GROUPS, GROUPS_DUE,
    GroupRow, MESSAGES, MessageRow, Number, QueueId, SENDS, SENDS_END, STATES, StateRow, TimeMs,
};
use super::signals::{Signals, Wake};
use cumulog_engine::{Read, Txn};
use std::ops::Bound;
use std::sync::Arc;

/// The messages of a queue, open for change. [`Ledger::close`] ends it.
pub(crate) struct Ledger<'t> {
    pub(crate) txn: &'t mut Txn,
    pub(crate) queue: QueueId,
    pub(crate) now: TimeMs,
    retention_ms: TimeMs,
    pub(crate) counters: CountersRow,
    stored: CountersRow,
    wake: Wake,
}

impl<'t> Ledger<'t> {
    pub(crate) fn open(txn: &'t mut Txn, queue: &Queue, now: TimeMs) -> Result<Ledger<'t>> {
        let counters = counters(txn, queue.id())?;
        Ok(Ledger {
            txn,
            queue: queue.id(),
            now,
            retention_ms: retention_ms(queue),
            stored: counters.clone(),
            counters,
            wake: Wake::default(),
        })
    }

    /// Writes the counters, and signals those who wait once all is published.
    pub(crate) fn close(self, signals: &Arc<Signals>) {
        if self.counters != self.stored {
            COUNTERS.put(self.txn, &(self.queue,), &self.counters);
        }
        if self.wake != Wake::default() {
            let (signals, queue, wake) = (Arc::clone(signals), self.queue, self.wake);
            self.txn.on_publish(move || signals.announce(queue, wake));
        }
    }

    /// The next message number.
    pub(crate) fn next_number(&self) -> Number {
        self.counters.last + 1
    }

    /// Adds a message under the next number. A state comes along if it was received in another queue.
    pub(crate) fn add(
        &mut self,
        message: &MessageRow,
        state: Option<&StateRow>,
        fifo: bool,
    ) -> Result<()> {
        let number = self.next_number();
        self.counters.last = number;
        if self.counters.messages == 0 || message.sent_ms < self.counters.oldest_ms {
            self.counters.oldest_ms = message.sent_ms;
        }
        self.counters.messages += 1;
        MESSAGES.put(self.txn, &(self.queue, number), message);
        DUE.put(self.txn, &(self.queue, message.visible_ms, number), &false);
        if let Some(state) = state {
            STATES.put(self.txn, &(self.queue, number), state);
            if let Some(aged_ms) = state.aged_ms {
                AGED.put(self.txn, &(self.queue, aged_ms, number), &());
            }
        }
        match &message.group {
            Some(group) if fifo => {
                let key = (self.queue, group.clone(), number);
                GROUP_MESSAGES.put(self.txn, &key, &message.visible_ms);
                self.regroup(group)?;
            }
            _ => self.wakes_at(message.visible_ms),
        }
        Ok(())
    }

    /// Where a message stands. `None`: it was never received, or is gone.
    pub(crate) fn state(&self, number: Number) -> Result<Option<StateRow>> {
        Ok(STATES.get(self.txn, &(self.queue, number))?)
    }

    pub(crate) fn message(&self, number: Number) -> Result<Option<MessageRow>> {
        Ok(MESSAGES.get(self.txn, &(self.queue, number))?)
    }

    /// Puts a received message where `state` says. `from_ms` is where it stood.
    pub(crate) fn place(&mut self, number: Number, from_ms: TimeMs, state: &StateRow) {
        DUE.delete(self.txn, &(self.queue, from_ms, number));
        DUE.put(self.txn, &(self.queue, state.visible_ms, number), &true);
        STATES.put(self.txn, &(self.queue, number), state);
        if state.group.is_none() {
            self.wakes_at(state.visible_ms);
        }
    }

    /// Removes a message that was received.
    pub(crate) fn remove_received(&mut self, number: Number, state: &StateRow) -> Result<()> {
        if state.receipt > 0 {
            self.counters.received = self.counters.received.saturating_sub(1);
        }
        if let Some(aged_ms) = state.aged_ms {
            AGED.delete(self.txn, &(self.queue, aged_ms, number));
        }
        STATES.delete(self.txn, &(self.queue, number));
        self.remove(number, state.visible_ms, state.group.as_deref())
    }

    /// Removes a message, received or not.
    pub(crate) fn remove_any(
        &mut self,
        number: Number,
        message: &MessageRow,
        fifo: bool,
    ) -> Result<()> {
        match self.state(number)? {
            Some(state) => self.remove_received(number, &state),
            None => {
                let group = message.group.as_deref().filter(|_| fifo);
                self.remove(number, message.visible_ms, group)
            }
        }
    }

    fn remove(&mut self, number: Number, visible_ms: TimeMs, group: Option<&str>) -> Result<()> {
        if !MESSAGES.delete(self.txn, &(self.queue, number)) {
            return Ok(());
        }
        self.counters.messages = self.counters.messages.saturating_sub(1);
        DUE.delete(self.txn, &(self.queue, visible_ms, number));
        if let Some(group) = group {
            GROUP_MESSAGES.delete(self.txn, &(self.queue, group.to_owned(), number));
            self.regroup(group)?;
        }
        Ok(())
    }

    /// Moves a message group to the time at which its first message can be had.
    ///
    /// A group is blocked while any of its messages is in flight. A receive takes a group's messages from the front, so
    /// those that were received are at its front, ten at most.
    pub(crate) fn regroup(&mut self, group: &str) -> Result<()> {
        let key = (self.queue, group.to_owned());
        let before = GROUPS.get(self.txn, &key)?;
        let after = self.group_due(group)?;
        if before == after {
            return Ok(());
        }
        if let Some(GroupRow { due_ms, first }) = before {
            GROUPS_DUE.delete(self.txn, &(self.queue, due_ms, first));
        }
        match after {
            Some(row) => {
                let due = (self.queue, row.due_ms, row.first);
                GROUPS_DUE.put(self.txn, &due, &key.1);
                GROUPS.put(self.txn, &key, &row);
                self.wakes_at(row.due_ms);
            }
            None => {
                GROUPS.delete(self.txn, &key);
            }
        }
        Ok(())
    }

    fn group_due(&self, group: &str) -> Result<Option<GroupRow>> {
        let mut row: Option<GroupRow> = None;
        for entry in GROUP_MESSAGES.scan(self.txn, &(self.queue, group.to_owned())) {
            let ((_, _, number), unreceived_ms) = entry?;
            let received = self.state(number)?.filter(|state| state.receipt > 0);
            let first = row.is_none();
            let row = row.get_or_insert(GroupRow {
                due_ms: TimeMs::MIN,
                first: number,
            });
            let Some(state) = received else {
                if first {
                    row.due_ms = unreceived_ms;
                }
                break;
            };
            row.due_ms = row.due_ms.max(state.visible_ms);
        }
        Ok(row)
    }

    /// Tells those who wait of a message that is visible from `due_ms` on.
    pub(crate) fn wakes_at(&mut self, due_ms: TimeMs) {
        if due_ms <= self.now {
            self.wake.ready += 1;
        } else {
            self.wake.due_ms = self.wake.due_ms.min(due_ms);
        }
    }

    pub(crate) fn is_expired(&self, message: &MessageRow) -> bool {
        message.sent_ms <= self.now - self.retention_ms
    }

    /// Removes messages that are older than the queue keeps them, `limit` at most. `false`: there are more.
    pub(crate) fn sweep(&mut self, limit: usize, fifo: bool) -> Result<bool> {
        let horizon_ms = self.now - self.retention_ms;
        for _ in 0..limit {
            if !is_stale(&self.counters, horizon_ms) {
                return Ok(true);
            }
            let oldest = self.oldest()?;
            self.counters.oldest_ms = oldest
                .as_ref()
                .map_or(self.now, |(_, message)| message.sent_ms);
            if let Some((number, message)) = oldest.filter(|(_, message)| self.is_expired(message))
            {
                self.remove_any(number, &message, fifo)?;
            }
        }
        Ok(!is_stale(&self.counters, horizon_ms))
    }

    /// The message that was sent first: the one with the lowest number, unless an older one came from another queue.
    fn oldest(&self) -> Result<Option<(Number, MessageRow)>> {
        let first = MESSAGES.scan(self.txn, &(self.queue,)).next().transpose()?;
        let first = first.map(|((_, number), message)| (number, message));
        let aged = AGED.scan(self.txn, &(self.queue,)).next().transpose()?;
        let aged = match aged {
            Some(((_, _, number), ())) => self.message(number)?.map(|message| (number, message)),
            None => None,
        };
        Ok([aged, first]
            .into_iter()
            .flatten()
            .min_by_key(|(_, message)| message.sent_ms))
    }

    /// Delays messages of a FIFO queue by another time than when they were sent: there a new delay counts for the
    /// messages that are still delayed, too.
    pub(crate) fn delay_anew(&mut self, delay_seconds: u32) -> Result<()> {
        let from = (self.queue, self.now, Number::MAX);
        let to = (self.queue, TimeMs::MAX, Number::MAX);
        let due = DUE.scan_range(self.txn, Bound::Excluded(&from), Bound::Included(&to));
        let due = due.collect::<std::result::Result<Vec<_>, _>>()?;
        let delayed = due.into_iter().filter(|(_, in_flight)| !in_flight);
        for ((_, old_ms, number), _) in delayed {
            let Some(mut message) = self.message(number)? else {
                continue;
            };
            let Some(group) = message.group.clone() else {
                continue;
            };
            message.visible_ms = message.sent_ms + TimeMs::from(delay_seconds) * 1000;
            DUE.delete(self.txn, &(self.queue, old_ms, number));
            DUE.put(self.txn, &(self.queue, message.visible_ms, number), &false);
            let member = (self.queue, group, number);
            GROUP_MESSAGES.put(self.txn, &member, &message.visible_ms);
            MESSAGES.put(self.txn, &(self.queue, number), &message);
            self.regroup(&member.1)?;
        }
        Ok(())
    }

    /// Removes all messages and all that is remembered of them, but no numbers are given twice.
    pub(crate) fn purge(&mut self) {
        purge(self.txn, self.queue);
        self.counters = CountersRow {
            last: self.counters.last,
            ..CountersRow::default()
        };
    }
}

/// Removes all that stands under a queue's number, except what belongs to the queue itself.
pub(crate) fn purge(txn: &mut Txn, queue: QueueId) {
    let prefix = (queue,);
    MESSAGES.delete_prefix(txn, &prefix);
    STATES.delete_prefix(txn, &prefix);
    DUE.delete_prefix(txn, &prefix);
    AGED.delete_prefix(txn, &prefix);
    GROUP_MESSAGES.delete_prefix(txn, &prefix);
    GROUPS.delete_prefix(txn, &prefix);
    GROUPS_DUE.delete_prefix(txn, &prefix);
    SENDS.delete_prefix(txn, &prefix);
    ATTEMPTS.delete_prefix(txn, &prefix);
    SENDS_END.delete_prefix(txn, &prefix);
    ATTEMPTS_END.delete_prefix(txn, &prefix);
}

pub(crate) fn counters(read: &impl Read, queue: QueueId) -> Result<CountersRow> {
    Ok(COUNTERS.get(read, &(queue,))?.unwrap_or_default())
}

pub(crate) fn retention_ms(queue: &Queue) -> TimeMs {
    TimeMs::from(queue.settings().retention_seconds) * 1000
}

/// May there be messages that were sent at or before `horizon_ms`?
pub(crate) fn is_stale(counters: &CountersRow, horizon_ms: TimeMs) -> bool {
    counters.messages > 0 && counters.oldest_ms <= horizon_ms
}

/// How many messages are where.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) visible: u64,
    pub(crate) in_flight: u64,
    pub(crate) delayed: u64,
}

/// Counts by what is *not* visible: that is bounded by the in-flight limit and what is delayed.
pub(crate) fn counts(read: &impl Read, queue: QueueId, now: TimeMs) -> Result<Counts> {
    let mut counts = Counts::default();
    let (from, to) = ((queue, now, Number::MAX), (queue, TimeMs::MAX, Number::MAX));
    for entry in DUE.scan_range(read, Bound::Excluded(&from), Bound::Included(&to)) {
        let (_, in_flight) = entry?;
        *(if in_flight {
            &mut counts.in_flight
        } else {
            &mut counts.delayed
        }) += 1;
    }
    let messages = counters(read, queue)?.messages;
    counts.visible = messages.saturating_sub(counts.in_flight + counts.delayed);
    Ok(counts)
}
