//! One receive within a transaction: which messages, and where they go.

use super::error::{Result, SqsError};
use super::ledger::{self, Ledger};
use super::queue::Queue;
use super::receive::Wish;
use super::rows::{DUE, GROUP_MESSAGES, GROUPS_DUE, MessageRow, Number, StateRow, TimeMs};
use super::signals::Signals;
use crate::call::Call;
use cumulog_engine::Txn;
use std::ops::Bound;
use std::sync::Arc;

/// How many messages a transaction removes at most, so that it stays short.
const REMOVALS_MAX: usize = 1_000;
const IN_FLIGHT_MAX: u64 = 120_000;

/// What a receive took.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) messages: Vec<TakenMessage>,
    /// It stopped before it had looked at all that could be had.
    pub(super) unfinished: bool,
    /// As many messages are in flight as may be.
    full: bool,
}

impl Taken {
    /// Nothing is gained by waiting: it has messages, or none may be taken now.
    pub(super) fn is_over(&self) -> bool {
        self.full || !self.messages.is_empty()
    }
}

/// A message that is in flight now.
#[derive(Debug)]
pub(super) struct TakenMessage {
    pub(super) number: Number,
    pub(super) message: MessageRow,
    pub(super) state: StateRow,
}

/// A receive in progress.
struct Taking<'l, 't> {
    ledger: &'l mut Ledger<'t>,
    queue: &'l Queue,
    wish: &'l Wish,
    /// Where messages go that were received too often, if it exists.
    dead_letters: Option<&'l Queue>,
    taken: Taken,
    dead: Vec<TakenMessage>,
    removals: usize,
}

/// Takes messages off a queue; moves those that were received too often to its dead-letter queue.
pub(super) fn take(call: &Call, txn: &mut Txn, queue: &Queue, wish: &Wish) -> Result<Taken> {
    // The queue may have changed since the receive began to wait.
    let queue = &Queue::find(txn, &queue.account, &queue.region, &queue.name)?
        .filter(|current| current.id() == queue.id())
        .ok_or_else(|| SqsError::no_queue(call))?;
    let now = call.clock().now().0;
    let signals = call.state::<Signals>();
    let dead_letters = match &queue.settings().redrive {
        Some(redrive) => Queue::of_arn(txn, &redrive.target_arn)?,
        None => None,
    };
    let mut ledger = Ledger::open(txn, queue, now)?;
    let mut taking = Taking {
        ledger: &mut ledger,
        queue,
        wish,
        dead_letters: dead_letters.as_ref(),
        taken: Taken::default(),
        dead: Vec::new(),
        removals: 0,
    };
    taking.run()?;
    let Taking { taken, dead, .. } = taking;
    ledger.close(&signals);
    if let Some(target) = dead_letters {
        bury(txn, queue, &target, dead, now, &signals)?;
    }
    Ok(taken)
}

impl Taking<'_, '_> {
    fn run(&mut self) -> Result<()> {
        let fifo = self.queue.settings().fifo;
        self.taken.unfinished = !self.ledger.sweep(REMOVALS_MAX, fifo)?;
        if let Some(attempt) = &self.wish.attempt {
            self.ledger.end_windows()?;
            if let Some(messages) = self.ledger.earlier_receive(attempt)? {
                return self.repeat(attempt, messages);
            }
        }
        if self.is_crowded()? {
            self.taken.full = true;
            // Only a short poll of a standard queue is told.
            let told = !fifo && self.wish.wait_ms == 0;
            return if told {
                Err(SqsError::OverLimit(IN_FLIGHT_MAX))
            } else {
                Ok(())
            };
        }
        if fifo {
            self.take_groups()?
        } else {
            self.take_due()?
        }
        if let Some(attempt) = &self.wish.attempt {
            let states = self
                .taken
                .messages
                .iter()
                .map(|taken| (taken.number, taken.state.clone()));
            self.ledger
                .remember_receive(attempt, &states.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Are as many messages in flight as may be?
    ///
    /// The counter of messages that were ever received bounds those in flight: mostly that is enough to know.
    fn is_crowded(&self) -> Result<bool> {
        if self.ledger.counters.received < IN_FLIGHT_MAX {
            return Ok(false);
        }
        let counts = ledger::counts(self.ledger.txn, self.ledger.queue, self.ledger.now)?;
        Ok(counts.in_flight >= IN_FLIGHT_MAX)
    }

    /// Answers what the same attempt took, under the same receipts; the visibility timeout starts anew.
    fn repeat(&mut self, attempt: &str, messages: Vec<(Number, StateRow)>) -> Result<()> {
        let visible_ms = self.ledger.now + self.wish.visibility_ms;
        let mut repeated = Vec::with_capacity(messages.len());
        for (number, state) in messages {
            let Some(message) = self.ledger.message(number)? else {
                continue;
            };
            let from_ms = state.visible_ms;
            let state = StateRow {
                visible_ms,
                ..state
            };
            self.ledger.place(number, from_ms, &state);
            if let Some(group) = &state.group {
                self.ledger.regroup(group)?;
            }
            repeated.push((number, state.clone()));
            self.taken.messages.push(TakenMessage {
                number,
                message,
                state,
            });
        }
        self.ledger.remember_receive(attempt, &repeated)
    }

    fn is_full(&self) -> bool {
        self.taken.messages.len() >= self.wish.messages_max
    }

    /// Takes from a standard queue: what is visible, longest first.
    fn take_due(&mut self) -> Result<()> {
        let queue = self.ledger.queue;
        let last = (queue, self.ledger.now, Number::MAX);
        let mut after = (queue, TimeMs::MIN, 0);
        while !self.is_full() {
            let room = self.wish.messages_max - self.taken.messages.len();
            let range = (Bound::Excluded(&after), Bound::Included(&last));
            let due = DUE.scan_range(self.ledger.txn, range.0, range.1).take(room);
            let due = due.map(|entry| Ok(entry?.0)).collect::<Result<Vec<_>>>()?;
            let Some(end) = due.last() else { return Ok(()) };
            after = *end;
            for (_, _, number) in due {
                self.take_one(number)?;
            }
            if self.removals >= REMOVALS_MAX {
                self.taken.unfinished = true;
                return Ok(());
            }
        }
        self.wake_next()
    }
}

impl Taking<'_, '_> {
    /// Takes from a FIFO queue: from each message group that is not blocked as many as there is room for, in order.
    fn take_groups(&mut self) -> Result<()> {
        let queue = self.ledger.queue;
        let last = (queue, self.ledger.now, Number::MAX);
        let mut after = (queue, TimeMs::MIN, 0);
        let mut visited: Vec<String> = Vec::new();
        while !self.is_full() {
            let range = (Bound::Excluded(&after), Bound::Included(&last));
            let due = GROUPS_DUE
                .scan_range(self.ledger.txn, range.0, range.1)
                .next();
            let Some((key, group)) = due.transpose()? else {
                return Ok(());
            };
            after = key;
            // With a visibility timeout of 0 a group can be had again at once.
            if !visited.contains(&group) {
                self.take_group(&group)?;
                visited.push(group);
            }
            if self.removals >= REMOVALS_MAX {
                self.taken.unfinished = true;
                return Ok(());
            }
        }
        self.wake_next()
    }

    fn take_group(&mut self, group: &str) -> Result<()> {
        let prefix = (self.ledger.queue, group.to_owned());
        let mut after = (prefix.0, prefix.1.clone(), 0);
        while !self.is_full() && self.removals < REMOVALS_MAX {
            let mut members =
                GROUP_MESSAGES.scan_from(self.ledger.txn, &prefix, Bound::Excluded(&after));
            let Some(((_, _, number), unreceived_ms)) = members.next().transpose()? else {
                break;
            };
            let state = self.ledger.state(number)?;
            if state.map_or(unreceived_ms, |state| state.visible_ms) > self.ledger.now {
                break;
            }
            self.take_one(number)?;
            after.2 = number;
        }
        self.ledger.regroup(group)
    }

    /// Takes a visible message, unless its time is over or it was received too often.
    fn take_one(&mut self, number: Number) -> Result<()> {
        if self
            .taken
            .messages
            .iter()
            .any(|taken| taken.number == number)
        {
            return Ok(());
        }
        let Some(message) = self.ledger.message(number)? else {
            return Ok(());
        };
        let fifo = self.queue.settings().fifo;
        let state = self.ledger.state(number)?;
        let state = state.unwrap_or_else(|| StateRow {
            visible_ms: message.visible_ms,
            ..StateRow::default()
        });
        let expired = self.ledger.is_expired(&message);
        if expired || self.is_dead(&state) {
            self.ledger.remove_any(number, &message, fifo)?;
            self.removals += 1;
            if !expired {
                self.dead.push(TakenMessage {
                    number,
                    message,
                    state,
                });
            }
            return Ok(());
        }
        let group = message.group.clone().filter(|_| fifo);
        let next = self.received(&state, group);
        if state.receipt == 0 {
            self.ledger.counters.received += 1;
        }
        self.ledger.place(number, state.visible_ms, &next);
        self.taken.messages.push(TakenMessage {
            number,
            message,
            state: next,
        });
        Ok(())
    }

    /// The state of a message after this receive.
    fn received(&self, state: &StateRow, group: Option<String>) -> StateRow {
        let now = self.ledger.now;
        StateRow {
            visible_ms: now + self.wish.visibility_ms,
            receives: state.receives.saturating_add(1),
            first_received_ms: if state.receives == 0 {
                now
            } else {
                state.first_received_ms
            },
            received_ms: now,
            receipt: state.receipt + 1,
            group,
            aged_ms: state.aged_ms,
        }
    }

    fn is_dead(&self, state: &StateRow) -> bool {
        let redrive = self.queue.settings().redrive.as_ref();
        self.dead_letters.is_some()
            && redrive.is_some_and(|redrive| state.receives >= redrive.receives_max)
    }

    /// There may be more than this receive has room for: the next waiter should look.
    fn wake_next(&mut self) -> Result<()> {
        let (txn, prefix) = (&*self.ledger.txn, (self.ledger.queue,));
        let next_ms = if self.queue.settings().fifo {
            GROUPS_DUE
                .scan(txn, &prefix)
                .next()
                .transpose()?
                .map(|(key, _)| key.1)
        } else {
            DUE.scan(txn, &prefix)
                .next()
                .transpose()?
                .map(|(key, _)| key.1)
        };
        if let Some(next_ms) = next_ms.filter(|next_ms| *next_ms <= self.ledger.now) {
            self.ledger.wakes_at(next_ms);
        }
        Ok(())
    }
}

/// Puts dead letters on their queue.
///
/// They keep their id and receive count. In a standard queue they also keep their age, so that a dead letter is not
/// kept longer than its queue says; a FIFO queue counts anew.
fn bury(
    txn: &mut Txn,
    source: &Queue,
    target: &Queue,
    dead: Vec<TakenMessage>,
    now: TimeMs,
    signals: &Arc<Signals>,
) -> Result<()> {
    if dead.is_empty() {
        return Ok(());
    }
    let fifo = target.settings().fifo;
    let mut ledger = Ledger::open(txn, target, now)?;
    for TakenMessage { message, state, .. } in dead {
        let sent_ms = if fifo { now } else { message.sent_ms };
        let group = message.group.clone().filter(|_| fifo);
        let state = StateRow {
            visible_ms: now,
            receipt: 0,
            group,
            aged_ms: (sent_ms < now).then_some(sent_ms),
            ..state
        };
        let source_arn = Some(source.arn());
        let message = MessageRow {
            sent_ms,
            visible_ms: now,
            source_arn,
            ..message
        };
        ledger.add(&message, Some(&state), fifo)?;
    }
    ledger.close(signals);
    Ok(())
}
