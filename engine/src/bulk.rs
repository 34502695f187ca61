//! Applying many changes at once, as replay does.

use crate::root::Root;
use crate::tree::Batch;
use std::collections::BTreeMap;

/// How many changes are collected before they are applied.
const CHANGES_MAX: usize = 1 << 20;

/// How many bytes of entries, some of which may be obsolete already.
const BYTES_MAX: usize = 64 << 20;

/// A state that many changes are applied to.
#[derive(Default)]
pub(crate) struct Bulk {
    root: Root,
    /// By key space, in the order in which they were made.
    batches: BTreeMap<u32, Batch>,
    count: usize,
    bytes: usize,
}

impl Bulk {
    /// Starts from this state.
    pub(crate) fn onto(root: Root) -> Bulk {
        Bulk {
            root,
            ..Bulk::default()
        }
    }

    pub(crate) fn put(&mut self, space: u32, key: &[u8], value: &[u8]) {
        self.batches.entry(space).or_default().put(key, value);
        self.pushed(key.len() + value.len());
    }

    pub(crate) fn delete(&mut self, space: u32, key: &[u8]) {
        self.batches.entry(space).or_default().delete(key);
        self.pushed(key.len());
    }

    pub(crate) fn delete_prefix(&mut self, space: u32, prefix: &[u8]) {
        self.apply();
        self.root.delete_prefix(space, prefix);
    }

    /// Empties every key space.
    pub(crate) fn clear(&mut self) {
        let lsn = self.root.lsn;
        *self = Bulk::default();
        // What is put from now on is still newer than the state that all began with.
        self.root.lsn = lsn;
    }

    /// The state with all changes.
    pub(crate) fn finish(mut self) -> Root {
        self.apply();
        self.root
    }

    fn pushed(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
        if self.count >= CHANGES_MAX || self.bytes >= BYTES_MAX {
            self.apply();
        }
    }

    fn apply(&mut self) {
        (self.count, self.bytes) = (0, 0);
        for (space, batch) in &mut self.batches {
            if !batch.is_empty() {
                batch.apply_to(self.root.entries_mut(*space));
            }
        }
    }
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
