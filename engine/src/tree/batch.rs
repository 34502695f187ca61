//! Many changes at once: sorted by key first, so that the tree is walked from one end to the other, or written anew.
//!
//! One by one, keys in random order cost a cache miss at every comparison on the way down. Sorting costs less, as it
//! compares mostly eight bytes that it keeps beside the index, and drops what is overwritten later anyway.

use super::large::Large;
use super::page::{Item, Value, common_bytes};
use super::{Builder, Tree};
use std::cmp::Ordering;
use std::hint::black_box;
use std::ops::Bound;

/// A tree that has at most so many times as many entries as a batch has changes is written anew: to copy an entry costs
/// about a tenth of a change in place.
const ENTRIES_A_CHANGE_MAX: usize = 8;

/// How many changes are looked at before the first of them is made.
const LOOKED_AHEAD: usize = 32;

/// Changes to one tree, in the order in which they were made. The last one for a key counts.
#[derive(Default)]
pub struct Batch<const PAGE: usize = { super::PAGE_BYTES }> {
    /// Keys, each followed by its value if that is not large.
    bytes: Vec<u8>,
    /// Each until it is put.
    larges: Vec<Option<Large>>,
    changes: Vec<Change>,
}

#[derive(Clone, Copy)]
struct Change {
    /// Where the key starts.
    start: u32,
    key_bytes: u32,
    action: Action,
}

#[derive(Clone, Copy)]
enum Action {
    /// Puts so many bytes, which follow the key.
    Put(u32),
    /// Puts the large value with this index.
    PutLarge(u32),
    Delete,
}

impl<const PAGE: usize> Batch<PAGE> {
    /// Writes an entry.
    ///
    /// # Panics
    ///
    /// If all keys and values in the batch have 4 GiB.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        let change = self.changes.len();
        self.push(key);
        self.changes[change].action = match Item::new::<PAGE>(key, value).into_value() {
            Value::Inline(value) => {
                self.bytes.extend_from_slice(value);
                Action::Put(value.len() as u32)
            }
            Value::Large(large) => {
                self.larges.push(Some(large));
                Action::PutLarge(self.larges.len() as u32 - 1)
            }
        };
    }

    /// Deletes an entry, if there is one.
    ///
    /// # Panics
    ///
    /// As [`Batch::put`].
    pub fn delete(&mut self, key: &[u8]) {
        self.push(key);
    }

    /// Adds a deletion.
    fn push(&mut self, key: &[u8]) {
        let start = u32::try_from(self.bytes.len()).expect("the caller applies it before");
        self.bytes.extend_from_slice(key);
        self.changes.push(Change {
            start,
            key_bytes: u32::try_from(key.len()).expect("the caller applies it before"),
            action: Action::Delete,
        });
    }

    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Makes all changes. What the batch took stays reserved for the next ones.
    pub fn apply_to(&mut self, tree: &mut Tree<PAGE>) {
        let order = self.order();
        if tree.len() <= order.len().saturating_mul(ENTRIES_A_CHANGE_MAX) {
            *tree = self.merged(tree, &order);
        } else {
            self.apply_in_place(tree, &order);
        }
        self.changes.clear();
        self.larges.clear();
        self.bytes.clear();
    }

    fn apply_in_place(&mut self, tree: &mut Tree<PAGE>, order: &[u32]) {
        let mut old = Vec::new();
        self.drain(order, |key, item| {
            match item {
                Some(item) => drop(tree.put_item(item, &mut old)),
                None => drop(tree.delete(key, &mut old)),
            }
            old.clear();
        });
    }

    fn merged(&mut self, tree: &Tree<PAGE>, order: &[u32]) -> Tree<PAGE> {
        let mut builder = Builder::default();
        let mut entries = tree.range(Bound::Unbounded, Bound::Unbounded);
        let mut entry = entries.next_place();
        self.drain(order, |key, item| {
            while let Some((page, at)) = entry {
                match page.key(at).cmp(key) {
                    Ordering::Less => builder.take(page, at),
                    Ordering::Equal => {}
                    Ordering::Greater => break,
                }
                entry = entries.next_place();
            }
            if let Some(item) = item {
                builder.push_item(item);
            }
        });
        while let Some((page, at)) = entry {
            builder.take(page, at);
            entry = entries.next_place();
        }
        builder.finish()
    }

    /// Gives `each` the key of every change, in this order, and what is to be put there, if anything.
    ///
    /// The changes lie anywhere in memory. Looking at many of them in a row lets the processor wait for all at once, where
    /// work between two looks would make it wait for each.
    fn drain(&mut self, order: &[u32], mut each: impl FnMut(&[u8], Option<Item<'_>>)) {
        for block in order.chunks(LOOKED_AHEAD) {
            black_box(block.iter().map(|index| self.look(*index)).sum::<usize>());
            for index in block {
                let change = self.changes[*index as usize];
                let large = match change.action {
                    Action::PutLarge(index) => self.larges[index as usize].take(),
                    Action::Put(_) | Action::Delete => None,
                };
                each(self.key(change), self.item(change, large));
            }
        }
    }

    /// Reads something of each cache line that making the change reads.
    fn look(&self, index: u32) -> usize {
        let change = self.changes[index as usize];
        let byte = |at: u32| self.bytes.get(at as usize).copied().map_or(0, usize::from);
        let (bytes, large) = match change.action {
            Action::Put(bytes) => (change.key_bytes + bytes, None),
            Action::PutLarge(index) => (change.key_bytes, self.larges[index as usize].as_ref()),
            Action::Delete => (change.key_bytes, None),
        };
        let end = change.start + bytes.saturating_sub(1);
        let ends = byte(change.start) + byte(change.start.midpoint(end)) + byte(end);
        ends.wrapping_add(large.map_or(0, Large::bytes))
    }

    fn key(&self, change: Change) -> &[u8] {
        &self.bytes[change.start as usize..][..change.key_bytes as usize]
    }

    fn item(&self, change: Change, large: Option<Large>) -> Option<Item<'_>> {
        let value = match (change.action, large) {
            (Action::Put(bytes), _) => {
                let start = change.start as usize + change.key_bytes as usize;
                Value::Inline(&self.bytes[start..start + bytes as usize])
            }
            (Action::PutLarge(_), Some(large)) => Value::Large(large),
            (Action::PutLarge(_) | Action::Delete, _) => return None,
        };
        Some(Item::of::<PAGE>(self.key(change), value))
    }

    /// The last change of each key, in key order.
    fn order(&self) -> Vec<u32> {
        let key = |index: u32| self.key(self.changes[index as usize]);
        let all = 0..self.changes.len() as u32;
        if all.clone().skip(1).all(|index| key(index - 1) < key(index)) {
            return all.collect();
        }
        let common = self.common_bytes();
        let mut order: Vec<(u64, u32)> = all
            .map(|index| (digest(&key(index)[common..]), index))
            .collect();
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| key(a.1).cmp(key(b.1)))
                .then(a.1.cmp(&b.1))
        });
        order.dedup_by(|later, kept| {
            let same = later.0 == kept.0 && key(later.1) == key(kept.1);
            if same {
                *kept = *later;
            }
            same
        });
        order.into_iter().map(|(_, index)| index).collect()
    }

    /// How many bytes all keys start with in common. Keys of one key space often share account, region and table.
    fn common_bytes(&self) -> usize {
        let mut keys = self.changes.iter().map(|change| self.key(*change));
        let Some(first) = keys.next() else {
            return 0;
        };
        keys.fold(first.len(), |bytes, key| common_bytes(&first[..bytes], key))
    }
}

/// The first eight bytes; zeros where it ends. Orders as the whole does, but for ties.
fn digest(rest: &[u8]) -> u64 {
    let mut digest = [0; 8];
    let bytes = rest.len().min(8);
    digest[..bytes].copy_from_slice(&rest[..bytes]);
    u64::from_be_bytes(digest)
}
