//! State: immutable roots, each a map from key space to ordered entries.
//!
//! A root is a list of key spaces, each with a persistent tree ([`crate::tree`]), and the last transaction that it shows. A
//! clone of a root is one pointer; a change copies the list, and in the tree the path from its root to the changed entry. So
//! a reader's view, a compaction's input and a fork are each one clone.

use crate::blob::garbage::Pin;
use crate::spaces::Spaces;
use crate::store::Lsn;
use crate::tree::{self, Old, Tree};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

/// A key space: a stable numeric id, and a name for people.
///
/// The id is part of the format on disk and is never given to another key space. 0x0000 to 0x00FF belong to the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Its id in the log.
    pub id: u32,
    /// Its name in messages, such as `sqs/messages`.
    pub name: &'static str,
}

impl Space {
    /// A key space by id and name.
    pub const fn new(id: u32, name: &'static str) -> Space {
        Space { id, name }
    }
}

/// What [`View`] and [`Txn`](crate::Txn) share: reading.
pub trait Read {
    /// The value at `key`.
    fn get(&self, space: Space, key: &[u8]) -> Option<&[u8]>;
    /// The entries between two keys, in key order. Bounds that cross hold nothing.
    fn range(&self, space: Space, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Range<'_>;
}

/// The entries of one key space.
pub(crate) type Entries = Tree;

/// A key space of a state.
#[derive(Clone, Default)]
pub(crate) struct Contents {
    pub(crate) entries: Entries,
    /// The last transaction that may have changed it: a snapshot taken since then still holds it.
    pub(crate) changed: Lsn,
}

/// The first key after all that start with `prefix`; `None` if there is no such key.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Entries in key order; from [`Read::range`].
pub struct Range<'a>(Option<tree::Range<'a, { tree::PAGE_BYTES }>>);

impl<'a> Iterator for Range<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next()
    }
}

impl DoubleEndedIterator for Range<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next_back()
    }
}

/// The whole state after some transaction.
#[derive(Clone, Default)]
pub(crate) struct Root {
    pub(crate) lsn: Lsn,
    spaces: Spaces<Contents>,
    /// What the log holds of key spaces that were logged once and are ephemeral now. Nobody sees it, but it must not be
    /// lost: the next opening may log them again.
    parked: Spaces<Contents>,
}

impl Root {
    /// The ids of all key spaces that ever held something.
    pub(crate) fn spaces(&self) -> impl Iterator<Item = u32> {
        self.spaces.iter().map(|(space, _)| space)
    }

    pub(crate) fn entries(&self, space: u32) -> Option<&Entries> {
        self.spaces.get(space).map(|contents| &contents.entries)
    }

    /// For many changes at once.
    pub(crate) fn entries_mut(&mut self, space: u32) -> &mut Entries {
        // They are those of the transaction that comes, or of later ones than a recovery began with.
        let changed = self.lsn.next();
        let contents = self.spaces.get_or_default(space);
        contents.changed = changed;
        &mut contents.entries
    }

    /// What must survive, in the order of the ids; `ephemeral` (sorted) need not.
    pub(crate) fn durable(&self, ephemeral: &[u32]) -> impl Iterator<Item = (u32, &Contents)> {
        let is_logged = |space: &u32| ephemeral.binary_search(space).is_err();
        let logged = self
            .spaces
            .iter()
            .filter(move |(space, _)| is_logged(space));
        let mut all: Vec<_> = logged.chain(self.parked.iter()).collect();
        all.sort_unstable_by_key(|(space, _)| *space);
        all.into_iter()
            .filter(|(_, contents)| !contents.entries.is_empty())
    }

    /// Puts a whole key space in place.
    pub(crate) fn install(&mut self, space: u32, contents: Contents) {
        *self.spaces.get_or_default(space) = contents;
    }

    /// Hides the key spaces in `ephemeral`.
    pub(crate) fn park(&mut self, ephemeral: &[u32]) {
        for space in ephemeral {
            if let Some(contents) = self.spaces.remove(*space) {
                *self.parked.get_or_default(*space) = contents;
            }
        }
    }

    /// What all entries take, what other roots share included.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let all = self.spaces.iter().chain(self.parked.iter());
        all.map(|(_, contents)| contents.entries.memory_bytes())
            .sum()
    }

    /// The bytes of all keys and values.
    pub(crate) fn bytes(&self) -> u64 {
        let all = self.spaces.iter().chain(self.parked.iter());
        all.map(|(_, contents)| contents.entries.bytes()).sum()
    }

    /// Writes an entry; returns the value that it replaced, see [`Tree::put`].
    pub(crate) fn put(
        &mut self,
        space: u32,
        key: &[u8],
        value: &[u8],
        old: &mut Vec<u8>,
    ) -> Option<Old> {
        self.entries_mut(space).put(key, value, old)
    }

    /// Deletes an entry; returns its value, as [`Root::put`] does. Copies nothing when the key isn't there.
    pub(crate) fn delete(&mut self, space: u32, key: &[u8], old: &mut Vec<u8>) -> Option<Old> {
        self.entries(space)?.get(key)?;
        self.entries_mut(space).delete(key, old)
    }

    /// Deletes what starts with `prefix`. Returns the key space as it was; copies nothing when there is none.
    pub(crate) fn delete_prefix(&mut self, space: u32, prefix: &[u8]) -> Option<Entries> {
        let end = prefix_end(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries(space)?;
        entries.range(Bound::Included(prefix), to).next()?;
        self.entries_mut(space).delete_range(prefix, end.as_deref())
    }

    /// Takes back the changes to a key space.
    pub(crate) fn restore(&mut self, space: u32, entries: Entries) {
        *self.entries_mut(space) = entries;
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Root")
            .field("lsn", &self.lsn)
            .finish_non_exhaustive()
    }
}

impl Read for Root {
    fn get(&self, space: Space, key: &[u8]) -> Option<&[u8]> {
        self.entries(space.id)?.get(key)
    }

    fn range(&self, space: Space, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Range<'_> {
        self.entries(space.id)
            .map_or(Range(None), |entries| Range(Some(entries.range(from, to))))
    }
}

/// The published state at one moment: what a crash can't take back. It never changes; a clone is two pointers.
#[derive(Clone)]
pub struct View {
    pub(crate) root: Arc<Root>,
    /// Keeps the bodies of the blobs that it shows.
    pub(crate) pin: Arc<Pin>,
}

impl View {
    /// The last transaction that it shows.
    pub fn lsn(&self) -> Lsn {
        self.root.lsn
    }

    /// How many entries a key space has.
    pub fn count(&self, space: Space) -> usize {
        self.root.entries(space.id).map_or(0, Entries::len)
    }

    /// About how much memory the state takes. What it shares with other views counts in each.
    pub fn memory_bytes(&self) -> u64 {
        self.root.memory_bytes()
    }
}

impl Read for View {
    fn get(&self, space: Space, key: &[u8]) -> Option<&[u8]> {
        self.root.get(space, key)
    }

    fn range(&self, space: Space, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Range<'_> {
        self.root.range(space, from, to)
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("lsn", &self.root.lsn)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Space = Space::new(1, "test");

    fn root(keys: &[&str]) -> Root {
        let mut root = Root::default();
        for key in keys {
            root.put(SPACE.id, key.as_bytes(), b"v", &mut Vec::new());
        }
        root
    }

    fn keys(root: &Root, from: Bound<&str>, to: Bound<&str>) -> String {
        let range = root.range(SPACE, from.map(str::as_bytes), to.map(str::as_bytes));
        let keys: Vec<&str> = range
            .map(|(key, _)| std::str::from_utf8(key).expect("the test's own"))
            .collect();
        keys.join(" ")
    }

    #[test]
    fn ranges_hold_their_bounds_and_crossed_ones_nothing() {
        use Bound::{Excluded, Included, Unbounded};
        let root = root(&["a", "b", "c", "d"]);
        let check =
            |from, to, expected| assert_eq!(keys(&root, from, to), expected, "{from:?} {to:?}");
        check(Unbounded, Unbounded, "a b c d");
        check(Included("b"), Excluded("d"), "b c");
        check(Excluded("b"), Included("d"), "c d");
        check(Included("bb"), Unbounded, "c d");
        check(Included("b"), Included("b"), "b");
        check(Included("b"), Excluded("b"), "");
        check(Excluded("b"), Excluded("b"), "");
        check(Included("c"), Included("b"), "");
    }

    #[test]
    fn a_put_replaces_key_and_value_and_older_clones_keep_theirs() {
        let mut new = root(&["a"]);
        let old = new.clone();
        new.put(SPACE.id, b"a", b"w", &mut Vec::new());
        assert_eq!(
            (new.get(SPACE, b"a"), old.get(SPACE, b"a")),
            (Some(&b"w"[..]), Some(&b"v"[..]))
        );
        assert_eq!(new.entries(SPACE.id).map(Entries::len), Some(1));
    }

    #[test]
    fn delete_prefix_takes_exactly_what_starts_with_it() {
        let check = |prefix: &[u8], left| {
            let mut root = root(&["a", "ab", "ac", "b"]);
            let before = keys(&root, Bound::Unbounded, Bound::Unbounded);
            let old = root.delete_prefix(SPACE.id, prefix);
            assert_eq!(keys(&root, Bound::Unbounded, Bound::Unbounded), left);
            assert_eq!(old.is_some(), before != left);
            if let Some(old) = old {
                root.restore(SPACE.id, old);
            }
            assert_eq!(keys(&root, Bound::Unbounded, Bound::Unbounded), before);
        };
        check(b"a", "b");
        check(b"ab", "a ac b");
        check(b"x", "a ab ac b");
        check(b"\xFF", "a ab ac b");
        check(b"", "");
    }

    #[test]
    fn prefix_end_carries() {
        assert_eq!(prefix_end(b"a\xFF"), Some(b"b".to_vec()));
        assert_eq!(prefix_end(b"\xFF\xFF"), None);
        assert_eq!(prefix_end(b""), None);
    }
}
