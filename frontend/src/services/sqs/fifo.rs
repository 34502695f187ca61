//! What FIFO queues remember for five minutes: which sends not to repeat, which receives to repeat.

use super::error::Result;
use super::ledger::Ledger;
use super::rows::{
    ATTEMPTS, ATTEMPTS_END, AttemptRow, Number, SENDS, SENDS_END, SendRow, Settings, StateRow,
    TimeMs,
};
use crate::hex;
use sha2::{Digest, Sha256};

/// How long sends are deduplicated and receives can be repeated.
const WINDOW_MS: TimeMs = 5 * 60 * 1000;
/// Whoever opens a window ends more than that one, so they don't pile up.
const ENDED_PER_CALL: usize = 4;

/// The sequence number that AWS's answers show: 20 digits, and in steps of 256 as theirs.
pub(crate) fn sequence_number(number: Number) -> String {
    const FIRST: u128 = 18_850_000_000_000_000_000;
    (FIRST + u128::from(number) * 256).to_string()
}

/// The deduplication id of a body: its SHA-256.
pub(crate) fn content_id(body: &str) -> String {
    hex::lower(&Sha256::digest(body.as_bytes()))
}

impl Ledger<'_> {
    /// The send that this one repeats.
    ///
    /// By group, ids that were given while the scope still was the whole queue count too, as in AWS; the other way
    /// round they do not.
    pub(crate) fn earlier_send(
        &self,
        settings: &Settings,
        group: &str,
        id: &str,
    ) -> Result<Option<SendRow>> {
        let scopes = if settings.deduplicate_by_group {
            &[group, ""][..]
        } else {
            &[""]
        };
        for scope in scopes {
            let key = (self.queue, (*scope).to_owned(), id.to_owned());
            let row = SENDS
                .get(self.txn, &key)?
                .filter(|row| row.ends_ms > self.now);
            if row.is_some() {
                return Ok(row);
            }
        }
        Ok(None)
    }

    /// Remembers a send, about to get `number`.
    pub(crate) fn remember_send(
        &mut self,
        settings: &Settings,
        group: &str,
        id: &str,
        (message_id, number): (&str, Number),
    ) {
        let scope = if settings.deduplicate_by_group {
            group
        } else {
            ""
        };
        let (scope, id) = (scope.to_owned(), id.to_owned());
        let ends_ms = self.now + WINDOW_MS;
        SENDS_END.put(
            self.txn,
            &(self.queue, ends_ms, scope.clone(), id.clone()),
            &(),
        );
        let row = SendRow {
            message_id: message_id.to_owned(),
            number,
            ends_ms,
        };
        SENDS.put(self.txn, &(self.queue, scope, id), &row);
    }

    /// Forgets some of what is past its window. A row that was renewed meanwhile has another window.
    pub(crate) fn end_windows(&mut self) -> Result<()> {
        let now = self.now;
        for _ in 0..ENDED_PER_CALL {
            let next = SENDS_END
                .scan(self.txn, &(self.queue,))
                .next()
                .transpose()?;
            let Some((end, ())) = next.filter(|(end, ())| end.1 <= now) else {
                break;
            };
            SENDS_END.delete(self.txn, &end);
            let key = (self.queue, end.2, end.3);
            if SENDS
                .get(self.txn, &key)?
                .is_some_and(|row| row.ends_ms <= now)
            {
                SENDS.delete(self.txn, &key);
            }
        }
        for _ in 0..ENDED_PER_CALL {
            let next = ATTEMPTS_END
                .scan(self.txn, &(self.queue,))
                .next()
                .transpose()?;
            let Some((end, ())) = next.filter(|(end, ())| end.1 <= now) else {
                break;
            };
            ATTEMPTS_END.delete(self.txn, &end);
            let key = (self.queue, end.2);
            if ATTEMPTS
                .get(self.txn, &key)?
                .is_some_and(|row| row.ends_ms <= now)
            {
                ATTEMPTS.delete(self.txn, &key);
            }
        }
        Ok(())
    }

    /// The messages of an earlier receive under the same attempt id, if none of them was changed since.
    pub(crate) fn earlier_receive(&self, id: &str) -> Result<Option<Vec<(Number, StateRow)>>> {
        let row = ATTEMPTS.get(self.txn, &(self.queue, id.to_owned()))?;
        let Some(row) = row.filter(|row| row.ends_ms > self.now) else {
            return Ok(None);
        };
        let mut messages = Vec::with_capacity(row.messages.len());
        for (number, receipt, visible_ms) in row.messages {
            match self.state(number)? {
                Some(state)
                    if (state.receipt, state.visible_ms) == (receipt, visible_ms)
                        && visible_ms > self.now =>
                {
                    messages.push((number, state));
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(messages))
    }

    /// Remembers a receive. Its window starts with the first one under its id.
    pub(crate) fn remember_receive(
        &mut self,
        id: &str,
        messages: &[(Number, StateRow)],
    ) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        let key = (self.queue, id.to_owned());
        let open = ATTEMPTS
            .get(self.txn, &key)?
            .filter(|row| row.ends_ms > self.now);
        let ends_ms = open.map_or(self.now + WINDOW_MS, |row| row.ends_ms);
        let messages = messages
            .iter()
            .map(|(number, state)| (*number, state.receipt, state.visible_ms))
            .collect();
        ATTEMPTS_END.put(self.txn, &(self.queue, ends_ms, key.1.clone()), &());
        ATTEMPTS.put(self.txn, &key, &AttemptRow { ends_ms, messages });
        Ok(())
    }
}
