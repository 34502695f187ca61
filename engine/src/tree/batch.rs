//! Many changes at once: sorted by key first, so that the tree is walked from one end to the other, or written anew.
//!
//! One by one, keys in random order cost a cache miss at every comparison on the way down. Sorting costs less, as it
//! compares mostly eight bytes that it keeps beside the index, and drops what is overwritten later anyway.

use super::large::Large;
use super::page::{self, Item, common_bytes};
use super::{Builder, Tree};
use std::cmp::Ordering;
use std::ops::Bound;

/// A tree that has at most so many times as many entries as a batch has changes is written anew: to copy an entry costs
/// about a tenth of a change in place.
const ENTRIES_A_CHANGE_MAX: usize = 8;

/// Changes to one tree, in the order in which they were made. The last one for a key counts.
#[derive(Default)]
pub struct Batch<const PAGE: usize = { super::PAGE_BYTES }> {
    /// Keys, each followed by its value if that is not large.
    bytes: Vec<u8>,
    changes: Vec<Change>,
}

struct Change {
    /// Where the key starts.
    start: usize,
    key_bytes: usize,
    value: Value,
}

enum Value {
    Inline(usize),
    Large(Large),
    /// The entry is to be deleted.
    Nothing,
}

impl<const PAGE: usize> Batch<PAGE> {
    /// Writes an entry.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        let start = self.push_key(key);
        let value = match Item::new::<PAGE>(key, value).into_value() {
            page::Value::Large(large) => Value::Large(large),
            page::Value::Inline(value) => {
                self.bytes.extend_from_slice(value);
                Value::Inline(value.len())
            }
        };
        self.push(start, key, value);
    }

    /// Deletes an entry, if there is one.
    pub fn delete(&mut self, key: &[u8]) {
        let start = self.push_key(key);
        self.push(start, key, Value::Nothing);
    }

    fn push_key(&mut self, key: &[u8]) -> usize {
        self.bytes.extend_from_slice(key);
        self.bytes.len() - key.len()
    }

    fn push(&mut self, start: usize, key: &[u8], value: Value) {
        let key_bytes = key.len();
        self.changes.push(Change {
            start,
            key_bytes,
            value,
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
        self.bytes.clear();
    }

    fn apply_in_place(&self, tree: &mut Tree<PAGE>, order: &[usize]) {
        let mut old = Vec::new();
        for change in order.iter().map(|index| &self.changes[*index]) {
            old.clear();
            match self.item(change) {
                Some(item) => drop(tree.put_item(item, &mut old)),
                None => drop(tree.delete(self.key(change), &mut old)),
            }
        }
    }

    fn merged(&self, tree: &Tree<PAGE>, order: &[usize]) -> Tree<PAGE> {
        let mut builder = Builder::default();
        let mut entries = tree.range(Bound::Unbounded, Bound::Unbounded);
        let mut entry = entries.next_place();
        for change in order.iter().map(|index| &self.changes[*index]) {
            let key = self.key(change);
            while let Some((page, at)) = entry {
                match page.key(at).cmp(key) {
                    Ordering::Less => builder.take(page, at),
                    Ordering::Equal => {}
                    Ordering::Greater => break,
                }
                entry = entries.next_place();
            }
            if let Some(item) = self.item(change) {
                builder.push_item(item);
            }
        }
        while let Some((page, at)) = entry {
            builder.take(page, at);
            entry = entries.next_place();
        }
        builder.finish()
    }

    fn key(&self, change: &Change) -> &[u8] {
        &self.bytes[change.start..change.start + change.key_bytes]
    }

    fn item(&self, change: &Change) -> Option<Item<'_>> {
        let value = match &change.value {
            Value::Nothing => return None,
            Value::Large(large) => page::Value::Large(large.clone()),
            Value::Inline(bytes) => {
                let start = change.start + change.key_bytes;
                page::Value::Inline(&self.bytes[start..start + bytes])
            }
        };
        Some(Item::of::<PAGE>(self.key(change), value))
    }

    /// The last change of each key, in key order.
    fn order(&self) -> Vec<usize> {
        let key = |index: usize| self.key(&self.changes[index]);
        let is_sorted = (1..self.changes.len()).all(|index| key(index - 1) < key(index));
        if is_sorted {
            return (0..self.changes.len()).collect();
        }
        let common = self.common_bytes();
        let mut order: Vec<(u64, usize)> = (0..self.changes.len())
            .map(|index| (digest(&key(index)[common..]), index))
            .collect();
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| key(a.1).cmp(key(b.1)))
                .then(a.1.cmp(&b.1))
        });
        order.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0 && key(later.1) == key(earlier.1);
            if same {
                *earlier = *later;
            }
            same
        });
        order.into_iter().map(|(_, index)| index).collect()
    }

    /// How many bytes all keys start with in common. Keys of one key space often share account, region and table.
    fn common_bytes(&self) -> usize {
        let mut keys = self.changes.iter().map(|change| self.key(change));
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
