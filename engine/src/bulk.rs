//! Applying many changes at once: sorted by key first, so that the tree is walked from one end to the other.
//!
//! One by one, keys in random order cost a cache miss at every comparison on the way down. Sorting costs less, as it
//! compares mostly eight bytes that it keeps beside the pointer, and drops what is overwritten later anyway.

use crate::root::{Entry, Root};
use std::collections::BTreeMap;
use std::mem;

/// How many changes are collected before they are applied.
const CHANGES_MAX: usize = 1 << 20;

/// How many bytes of entries, some of which may be obsolete already.
const BYTES_MAX: usize = 64 << 20;

/// A state that many changes are applied to.
#[derive(Debug, Default)]
pub(crate) struct Bulk {
    root: Root,
    /// By key space, in the order in which they were made.
    changes: BTreeMap<u32, Vec<Change>>,
    count: usize,
    bytes: usize,
}

/// The last one for a key counts.
#[derive(Clone, Debug)]
struct Change {
    /// For a deletion, an entry that has only the key.
    entry: Entry,
    is_put: bool,
}

impl Bulk {
    pub(crate) fn put(&mut self, space: u32, key: &[u8], value: &[u8]) {
        self.push(
            space,
            Change {
                entry: Entry::new(key, value),
                is_put: true,
            },
        );
    }

    pub(crate) fn delete(&mut self, space: u32, key: &[u8]) {
        self.push(
            space,
            Change {
                entry: Entry::new(key, b""),
                is_put: false,
            },
        );
    }

    pub(crate) fn delete_prefix(&mut self, space: u32, prefix: &[u8]) {
        self.apply();
        self.root.delete_prefix(space, prefix);
    }

    /// Empties every key space.
    pub(crate) fn clear(&mut self) {
        *self = Bulk::default();
    }

    /// The state with all changes.
    pub(crate) fn finish(mut self) -> Root {
        self.apply();
        self.root
    }

    fn push(&mut self, space: u32, change: Change) {
        self.count += 1;
        self.bytes += change.entry.bytes();
        self.changes.entry(space).or_default().push(change);
        if self.count >= CHANGES_MAX || self.bytes >= BYTES_MAX {
            self.apply();
        }
    }

    fn apply(&mut self) {
        (self.count, self.bytes) = (0, 0);
        for (space, changes) in mem::take(&mut self.changes) {
            for change in last_of_each_key(changes) {
                if change.is_put {
                    self.root.put(space, change.entry);
                } else {
                    self.root.delete(space, change.entry.key());
                }
            }
        }
    }
}

/// In key order.
fn last_of_each_key(changes: Vec<Change>) -> impl Iterator<Item = Change> {
    let common = common_bytes(&changes);
    let mut order: Vec<(u64, usize)> = changes
        .iter()
        .enumerate()
        .map(|(index, change)| (digest(change.entry.key(), common), index))
        .collect();
    let key = |index: usize| changes[index].entry.key();
    order.sort_unstable_by(|a, b| {
        a.0.cmp(&b.0)
            .then_with(|| key(a.1).cmp(key(b.1)))
            .then(a.1.cmp(&b.1))
    });
    let last: Vec<usize> = order
        .iter()
        .enumerate()
        .filter(|(at, (_, index))| {
            order
                .get(at + 1)
                .is_none_or(|next| key(next.1) != key(*index))
        })
        .map(|(_, (_, index))| *index)
        .collect();
    let mut changes: Vec<Option<Change>> = changes.into_iter().map(Some).collect();
    last.into_iter()
        .filter_map(move |index| changes[index].take())
}

/// How many bytes all keys start with in common. Keys of one key space often share account, region and table.
fn common_bytes(changes: &[Change]) -> usize {
    let Some(first) = changes.first() else {
        return 0;
    };
    let first = first.entry.key();
    let shared = |key: &[u8], bytes: usize| {
        let pairs = first[..bytes].iter().zip(key);
        pairs.take_while(|(a, b)| a == b).count()
    };
    changes.iter().fold(first.len(), |bytes, change| {
        shared(change.entry.key(), bytes)
    })
}

/// The next eight bytes after those in common; zeros where the key ends. Orders as the keys do, but for ties.
fn digest(key: &[u8], common: usize) -> u64 {
    let mut digest = [0; 8];
    for (to, from) in digest.iter_mut().zip(&key[common..]) {
        *to = *from;
    }
    u64::from_be_bytes(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::{Read, Space};
    use std::ops::Bound;

    /// Applies the same to a plain map.
    #[test]
    fn the_state_is_that_of_one_change_after_the_other() {
        let mut random = 1u64;
        let mut next = |below: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) % below
        };
        let mut bulk = Bulk::default();
        let mut model = BTreeMap::new();
        for number in 0..5000u64 {
            let mut key = b"common/".to_vec();
            key.extend(&next(300).to_be_bytes()[6..]);
            key.truncate(9 - next(2) as usize);
            match next(1000) {
                0..5 => {
                    bulk.delete_prefix(7, &key[..8]);
                    model.retain(|known: &Vec<u8>, _| !known.starts_with(&key[..8]));
                }
                5 => {
                    bulk.clear();
                    model.clear();
                }
                6..300 => {
                    bulk.delete(7, &key);
                    model.remove(&key);
                }
                _ => {
                    bulk.put(7, &key, &number.to_be_bytes());
                    model.insert(key, number.to_be_bytes().to_vec());
                }
            }
        }
        let root = bulk.finish();
        let range = root.range(Space::new(7, "test"), Bound::Unbounded, Bound::Unbounded);
        let found: Vec<_> = range
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect();
        assert!(found.len() > 10);
        assert_eq!(found, model.into_iter().collect::<Vec<_>>());
    }
}
