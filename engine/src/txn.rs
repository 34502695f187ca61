//! One transaction: reads over the head and its own writes, effects for the log, and the way back.

use crate::blob::EPHEMERAL_SPACES;
use crate::blob::reference::Changes;
use crate::root::{Entries, Range, Read, Root, Space};
use crate::tree::Old;
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
    undo: Undo,
    logged: Logged,
    effects: Effects,
    pub(crate) blobs: Changes,
    label: Option<Label>,
    callbacks: Vec<Callback>,
    even_if_full: bool,
}

/// The way back from a transaction's changes.
#[derive(Default)]
struct Undo {
    steps: Vec<Step>,
    /// The keys of the steps, each followed by the value that was there, if it was copied.
    bytes: Vec<u8>,
}

/// The way back from one change.
enum Step {
    Entry {
        space: u32,
        key_bytes: usize,
        old: Option<Old>,
    },
    Space {
        space: u32,
        old: Entries,
    },
    Root {
        old: Root,
    },
}

impl Undo {
    /// Takes back what [`Step::Entry`] stands for; its bytes are the last ones.
    fn take_back(&mut self, root: &mut Root, space: u32, key_bytes: usize, old: Option<Old>) {
        let value_bytes = match &old {
            Some(Old::Copied(bytes)) => *bytes,
            Some(Old::Shared(_)) | None => 0,
        };
        let start = self.bytes.len() - value_bytes - key_bytes;
        let (key, copied) = self.bytes[start..].split_at(key_bytes);
        // What it replaces is nothing to come back to.
        let mut dropped = Vec::new();
        match &old {
            None => root.delete(space, key, &mut dropped),
            Some(Old::Copied(_)) => root.put(space, key, copied, &mut dropped),
            Some(Old::Shared(large)) => root.put(space, key, large.value(), &mut dropped),
        };
        self.bytes.truncate(start);
    }
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
            undo: Undo::default(),
            logged,
            effects,
            blobs: Changes::default(),
            label: None,
            callbacks: Vec::new(),
            even_if_full: false,
        }
    }

    /// Writes `value` at `key`, replacing what was there.
    pub fn put(&mut self, space: Space, key: &[u8], value: &[u8]) {
        self.undo.bytes.extend_from_slice(key);
        let old = self.root.put(space.id, key, value, &mut self.undo.bytes);
        let old_bytes = old.as_ref().map_or(0, |old| key.len() + old.bytes());
        let growth = (key.len() + value.len()) as i64 - old_bytes as i64;
        self.log(
            space.id,
            growth,
            Effect::Put {
                space: space.id,
                key,
                value,
            },
        );
        self.undo.steps.push(Step::Entry {
            space: space.id,
            key_bytes: key.len(),
            old,
        });
    }

    /// Deletes the entry at `key`; says whether there was one. One that isn't there costs nothing in the log.
    pub fn delete(&mut self, space: Space, key: &[u8]) -> bool {
        self.undo.bytes.extend_from_slice(key);
        let Some(old) = self.root.delete(space.id, key, &mut self.undo.bytes) else {
            let before = self.undo.bytes.len() - key.len();
            self.undo.bytes.truncate(before);
            return false;
        };
        self.log(
            space.id,
            -((key.len() + old.bytes()) as i64),
            Effect::Delete {
                space: space.id,
                key,
            },
        );
        self.undo.steps.push(Step::Entry {
            space: space.id,
            key_bytes: key.len(),
            old: Some(old),
        });
        true
    }

    /// Deletes every entry whose key starts with `prefix`; says how many there were. One effect in the log.
    pub fn delete_prefix(&mut self, space: Space, prefix: &[u8]) -> u64 {
        let Some(old) = self.root.delete_prefix(space.id, prefix) else {
            return 0;
        };
        let measure = |entries: &Entries| (entries.len() as u64, entries.bytes() as i64);
        let left = self.root.entries(space.id).map_or((0, 0), measure);
        let (count, bytes) = measure(&old);
        self.log(
            space.id,
            left.1 - bytes,
            Effect::DeletePrefix {
                space: space.id,
                prefix,
            },
        );
        self.undo.steps.push(Step::Space {
            space: space.id,
            old,
        });
        count - left.0
    }

    /// Says what this transaction is, for those who read the log. The last one counts.
    pub fn label(&mut self, label: Label) {
        self.label = Some(label);
    }

    /// Takes it beyond [`Options::memory_bytes_max`](crate::Options), too. For what leads to deletions and makes the state
    /// larger by a little before, such as noting who is at work on something.
    pub fn even_if_full(&mut self) {
        self.even_if_full = true;
    }

    pub(crate) fn is_even_if_full(&self) -> bool {
        self.even_if_full
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
        self.undo.steps.push(Step::Root { old });
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
        !self.undo.steps.is_empty()
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
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
        while let Some(step) = self.undo.steps.pop() {
            match step {
                Step::Entry {
                    space,
                    key_bytes,
                    old,
                } => self.undo.take_back(&mut self.root, space, key_bytes, old),
                Step::Space { space, old } => self.root.restore(space, old),
                Step::Root { old } => self.root = old,
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
