//! One transaction: reads over the head and its own writes, effects for the log, and the way back.

use crate::blob::EPHEMERAL_SPACES;
use crate::blob::reference::Changes;
use crate::root::{Entry, Range, Read, Root, Space};
use crate::wire::{Effect, encode_effect};
use std::fmt;
use std::mem;
use std::ops::Bound;
use std::sync::Arc;

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

/// Which key spaces go to the log.
#[derive(Clone, Debug)]
pub(crate) struct Logged {
    /// Sorted ids of those that don't.
    pub(crate) ephemeral: Arc<[u32]>,
    /// Is there a log at all?
    pub(crate) anything: bool,
}

impl Logged {
    pub(crate) fn new(anything: bool, ephemeral: &[Space]) -> Logged {
        let mut ids: Vec<u32> = ephemeral.iter().map(|space| space.id).collect();
        if anything {
            ids.extend(EPHEMERAL_SPACES.map(|space| space.id));
        }
        ids.sort_unstable();
        Logged {
            ephemeral: ids.into(),
            anything,
        }
    }

    pub(crate) fn holds(&self, space: u32) -> bool {
        self.ephemeral.is_empty() || self.ephemeral.binary_search(&space).is_err()
    }
}

/// A transaction in progress; from [`Store::commit`](crate::Store::commit).
///
/// It sees the newest state and its own writes. Nothing that it does is seen outside before it is published.
pub struct Txn {
    /// The head itself, not a copy: as long as nobody else holds its nodes, they are changed in place.
    root: Root,
    undo: Vec<Undo>,
    logged: Logged,
    effects: Effects,
    pub(crate) blobs: Changes,
    label: Option<Label>,
    callbacks: Vec<Callback>,
}

/// The way back from one change.
enum Undo {
    Put {
        space: u32,
        new: Entry,
        old: Option<Entry>,
    },
    Delete {
        space: u32,
        old: Vec<Entry>,
    },
    Clear {
        old: Root,
    },
}

/// What a transaction does, as the log will hold it.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) bytes: Vec<u8>,
    /// What they would take if there were a log.
    unencoded_bytes: usize,
    pub(crate) count: u32,
    /// By how much it makes the logged state larger.
    pub(crate) growth: i64,
}

impl Effects {
    /// What they take, or would take, in the log.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + self.unencoded_bytes
    }
}

/// What is left of a transaction that is done.
pub(crate) struct Done {
    pub(crate) root: Root,
    pub(crate) effects: Effects,
    pub(crate) blobs: Changes,
    pub(crate) label: Option<Label>,
    pub(crate) callbacks: Vec<Callback>,
}

impl Txn {
    /// Takes the head. `buffer` is empty, and used again and again.
    pub(crate) fn new(root: Root, logged: Logged, buffer: Vec<u8>) -> Txn {
        let effects = Effects {
            bytes: buffer,
            ..Effects::default()
        };
        Txn {
            root,
            undo: Vec::new(),
            logged,
            effects,
            blobs: Changes::default(),
            label: None,
            callbacks: Vec::new(),
        }
    }

    /// Writes `value` at `key`, replacing what was there.
    pub fn put(&mut self, space: Space, key: &[u8], value: &[u8]) {
        let new = Entry::new(key, value);
        let old = self.root.put(space.id, new.clone());
        let growth = new.bytes() as i64 - old.as_ref().map_or(0, Entry::bytes) as i64;
        self.log(
            space.id,
            growth,
            Effect::Put {
                space: space.id,
                key,
                value,
            },
        );
        self.undo.push(Undo::Put {
            space: space.id,
            new,
            old,
        });
    }

    /// Deletes the entry at `key`; says whether there was one. One that isn't there costs nothing in the log.
    pub fn delete(&mut self, space: Space, key: &[u8]) -> bool {
        let Some(old) = self.root.delete(space.id, key) else {
            return false;
        };
        self.log(
            space.id,
            -(old.bytes() as i64),
            Effect::Delete {
                space: space.id,
                key,
            },
        );
        self.undo.push(Undo::Delete {
            space: space.id,
            old: vec![old],
        });
        true
    }

    /// Deletes every entry whose key starts with `prefix`; says how many there were. One effect in the log.
    pub fn delete_prefix(&mut self, space: Space, prefix: &[u8]) -> u64 {
        let old = self.root.delete_prefix(space.id, prefix);
        if old.is_empty() {
            return 0;
        }
        let count = old.len() as u64;
        let bytes: usize = old.iter().map(Entry::bytes).sum();
        self.log(
            space.id,
            -(bytes as i64),
            Effect::DeletePrefix {
                space: space.id,
                prefix,
            },
        );
        self.undo.push(Undo::Delete {
            space: space.id,
            old,
        });
        count
    }

    /// Says what this transaction is, for those who read the log. The last one counts.
    pub fn label(&mut self, label: Label) {
        self.label = Some(label);
    }

    /// Runs `callback` once this transaction is published, and never if it isn't. It runs on the log thread (on the
    /// committing thread when nothing is logged), so it must not block.
    pub fn on_publish(&mut self, callback: impl FnOnce() + Send + 'static) {
        self.callbacks.push(Box::new(callback));
    }

    /// Empties every key space.
    pub(crate) fn clear(&mut self) {
        self.encode(Effect::Clear);
        let lsn = self.root.lsn;
        let old = mem::take(&mut self.root);
        self.root.lsn = lsn;
        self.blobs.kill_all(&old);
        self.undo.push(Undo::Clear { old });
    }

    fn log(&mut self, space: u32, growth: i64, effect: Effect<'_>) {
        if self.logged.holds(space) {
            self.encode(effect);
            self.effects.growth += growth;
        }
    }

    fn encode(&mut self, effect: Effect<'_>) {
        self.effects.count += 1;
        if self.logged.anything {
            encode_effect(effect, &mut self.effects.bytes);
        } else {
            self.effects.unencoded_bytes += effect.bytes_max();
        }
    }

    /// Did it change anything?
    pub(crate) fn changed(&self) -> bool {
        !self.undo.is_empty()
    }

    pub(crate) fn label_bytes(&self) -> usize {
        self.label
            .as_ref()
            .map_or(0, |label| label.request.len() + label.operation.len())
    }

    pub(crate) fn take_callbacks(&mut self) -> Vec<Callback> {
        mem::take(&mut self.callbacks)
    }

    pub(crate) fn effects(&self) -> &Effects {
        &self.effects
    }

    /// The head with the changes.
    pub(crate) fn finish(self) -> Done {
        Done {
            root: self.root,
            effects: self.effects,
            blobs: self.blobs,
            label: self.label,
            callbacks: self.callbacks,
        }
    }

    /// The head as it was.
    pub(crate) fn roll_back(&mut self) -> Root {
        self.blobs.undo();
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Put {
                    space,
                    old: Some(old),
                    ..
                } => drop(self.root.put(space, old)),
                Undo::Put {
                    space,
                    new,
                    old: None,
                } => drop(self.root.delete(space, new.key())),
                Undo::Delete { space, old } => old
                    .into_iter()
                    .for_each(|old| drop(self.root.put(space, old))),
                Undo::Clear { old } => self.root = old,
            }
        }
        mem::take(&mut self.root)
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
            .field("changed", &self.changed())
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}
