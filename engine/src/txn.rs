//! One transaction: reads over the head and its own writes, effects for the log.

use crate::root::{Entry, Range, Read, Root, Space};
use std::fmt;
use std::ops::Bound;

/// What `cumulog log` shows of a transaction. The engine never looks at a clock, so the commit time comes in here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Commit time in milliseconds since 1970.
    pub time_ms: i64,
    /// The request's id.
    pub request: String,
    /// The operation, such as `sqs:SendMessage`.
    pub operation: String,
}

/// Runs on the log thread once its transaction is published.
pub(crate) type Callback = Box<dyn FnOnce() + Send>;

/// A transaction in progress; from [`Store::commit`](crate::Store::commit).
///
/// It sees the newest state and its own writes. Nothing that it does is seen outside before it is published.
pub struct Txn {
    pub(crate) root: Root,
    /// Did it change anything?
    pub(crate) changed: bool,
    pub(crate) label: Option<Label>,
    pub(crate) callbacks: Vec<Callback>,
}

impl Txn {
    pub(crate) fn new(head: &Root) -> Txn {
        Txn {
            root: head.clone(),
            changed: false,
            label: None,
            callbacks: Vec::new(),
        }
    }

    /// Writes `value` at `key`, replacing what was there.
    pub fn put(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.changed = true;
        self.root.entries_mut(space.id).put(Entry::new(key, value));
    }

    /// Deletes the entry at `key`; says whether there was one. One that isn't there costs nothing in the log.
    pub fn delete(&mut self, space: Space, key: &[u8]) -> bool {
        let deleted = self.root.delete(space.id, key);
        self.changed |= deleted;
        deleted
    }

    /// Deletes every entry whose key starts with `prefix`; says how many there were. One effect in the log.
    pub fn delete_prefix(&mut self, space: Space, prefix: &[u8]) -> u64 {
        let deleted = self.root.delete_prefix(space.id, prefix);
        self.changed |= deleted > 0;
        deleted
    }

    /// Says what this transaction is, for those who read the log. The last one counts.
    pub fn label(&mut self, label: Label) {
        self.label = Some(label);
    }

    /// Runs `callback` once this transaction is published, and never if it isn't. It runs on the log thread (on the
    /// committing thread when the store is ephemeral), so it must not block.
    pub fn on_publish(&mut self, callback: impl FnOnce() + Send + 'static) {
        self.callbacks.push(Box::new(callback));
    }

    /// Empties every key space.
    pub(crate) fn clear(&mut self) {
        self.changed = true;
        self.root.clear();
    }
}

impl Read for Txn {
    fn get(&self, space: Space, key: &[u8]) -> Option<&[u8]> {
        self.root.get(space, key)
    }

    fn range(&self, space: Space, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Range<'_> {
        self.root.range(space, from, to)
    }
}

impl fmt::Debug for Txn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Txn")
            .field("changed", &self.changed)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}
