//! What FIFO queues remember for five minutes: which sends not to repeat, which receives to repeat.

use super::error::Result;
use super::ledger::Ledger;
use super::rows::{
    ATTEMPTS, AttemptRow, Number, SENDS, SendRow, Settings, StateRow, TimeMs, WINDOWS, WindowRow,
};
use sha2::{Digest, Sha256};

/// How long sends are deduplicated and receives can be repeated.
const WINDOW_MS: TimeMs = 5 * 60 * 1000;
/// Each send ends more windows than it opens, so they don't pile up.
const ENDED_PER_SEND: usize = 4;

/// The sequence number that AWS's answers show: 20 digits, and in steps of 256 as theirs.
pub(crate) fn sequence_number(number: Number) -> String {
    const FIRST: u128 = 18_850_000_000_000_000_000;
    (FIRST + u128::from(number) * 256).to_string()
}

/// The deduplication id of a body: its SHA-256.
pub(crate) fn content_id(body: &str) -> String {
    super::digest::hex(&Sha256::digest(body.as_bytes()))
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
        let row = SendRow {
            message_id: message_id.to_owned(),
            number,
            ends_ms,
        };
        SENDS.put(self.txn, &(self.queue, scope.clone(), id.clone()), &row);
        WINDOWS.put(
            self.txn,
            &(self.queue, ends_ms, number),
            &WindowRow::Send { scope, id },
        );
    }

    /// Forgets what is past its window.
    pub(crate) fn end_windows(&mut self) -> Result<()> {
        for _ in 0..ENDED_PER_SEND {
            let next = WINDOWS.scan(self.txn, &(self.queue,)).next().transpose()?;
            let Some((key, window)) = next.filter(|(key, _)| key.1 <= self.now) else {
                break;
            };
            WINDOWS.delete(self.txn, &key);
            self.end(window)?;
        }
        Ok(())
    }

    /// A row that was renewed has another window.
    fn end(&mut self, window: WindowRow) -> Result<()> {
        let now = self.now;
        match window {
            WindowRow::Send { scope, id } => {
                let key = (self.queue, scope, id);
                if SENDS
                    .get(self.txn, &key)?
                    .is_some_and(|row| row.ends_ms <= now)
                {
                    SENDS.delete(self.txn, &key);
                }
            }
            WindowRow::Attempt { id } => {
                let key = (self.queue, id);
                if ATTEMPTS
                    .get(self.txn, &key)?
                    .is_some_and(|row| row.ends_ms <= now)
                {
                    ATTEMPTS.delete(self.txn, &key);
                }
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
        let Some((first, _)) = messages.first() else {
            return Ok(());
        };
        let key = (self.queue, id.to_owned());
        let open = ATTEMPTS
            .get(self.txn, &key)?
            .filter(|row| row.ends_ms > self.now);
        let ends_ms = open.map_or(self.now + WINDOW_MS, |row| row.ends_ms);
        let messages = messages
            .iter()
            .map(|(number, state)| (*number, state.receipt, state.visible_ms))
            .collect();
        ATTEMPTS.put(self.txn, &key, &AttemptRow { ends_ms, messages });
        WINDOWS.put(
            self.txn,
            &(self.queue, ends_ms, *first),
            &WindowRow::Attempt { id: key.1 },
        );
        Ok(())
    }
}
