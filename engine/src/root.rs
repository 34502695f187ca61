//! State: immutable roots, each a map from key space to ordered entries.
//!
//! A clone of a root is a few pointers; a change copies only the path from the root to the changed entry. So a reader's
//! view, a compaction's input and a fork are each one clone. One entry is one pointer: the node of the ordered set stays
//! small and is copied fast. Only this module knows which crate does the work.

use crate::blob::garbage::Pin;
use crate::store::Lsn;
use std::borrow::Borrow;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;
use triomphe::ThinArc;

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

/// One entry: key and value behind one pointer. Orders by its key alone.
#[derive(Clone, Debug)]
pub(crate) struct Entry(ThinArc<u32, u8>);

/// Larger entries are built in a buffer that is given back, so that one large value does not stay reserved for good.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

impl Entry {
    pub(crate) fn new(key: &[u8], value: &[u8]) -> Entry {
        thread_local!(static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });
        let key_bytes = u32::try_from(key.len()).expect("a transaction is bounded far below 4 GiB");
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            scratch.extend_from_slice(key);
            scratch.extend_from_slice(value);
            let entry = Entry(ThinArc::from_header_and_slice(key_bytes, scratch));
            if scratch.capacity() > SCRATCH_BYTES_MAX {
                *scratch = Vec::new();
            }
            entry
        })
    }

    pub(crate) fn pair(&self) -> (&[u8], &[u8]) {
        self.0.slice.split_at(self.0.header.header as usize)
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.pair().0
    }

    /// The bytes of key and value.
    pub(crate) fn bytes(&self) -> usize {
        self.0.slice.len()
    }
}

impl Borrow<[u8]> for Entry {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        self.key().cmp(other.key())
    }
}

/// The entries of one key space: an ordered persistent set.
#[derive(Clone, Default)]
pub(crate) struct Entries(imbl::OrdSet<Entry>);

impl Entries {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.0.get(key).map(|entry| entry.pair().1)
    }

    /// Returns the entry that had the key.
    pub(crate) fn put(&mut self, entry: Entry) -> Option<Entry> {
        self.0.insert(entry)
    }

    pub(crate) fn delete(&mut self, key: &[u8]) -> Option<Entry> {
        self.0.remove(key)
    }

    fn delete_prefix(&mut self, prefix: &[u8]) -> Vec<Entry> {
        let doomed: Vec<Entry> = self.prefixed(prefix).cloned().collect();
        if doomed.len() == self.0.len() {
            self.0.clear();
        } else {
            for entry in &doomed {
                self.0.remove(entry);
            }
        }
        doomed
    }

    fn prefixed(&self, prefix: &[u8]) -> impl Iterator<Item = &Entry> {
        let end = prefix_end(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.0.range::<_, [u8]>((Bound::Included(prefix), to))
    }

    fn range<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Range<'a> {
        if crossed(from, to) {
            return Range(None);
        }
        Range(Some(self.0.range::<_, [u8]>((from, to))))
    }
}

/// The first key after all that start with `prefix`; `None` if there is no such key.
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn crossed(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (
            Bound::Included(from) | Bound::Excluded(from),
            Bound::Included(to) | Bound::Excluded(to),
        ) => from >= to,
    }
}

/// Entries in key order; from [`Read::range`].
pub struct Range<'a>(Option<RangedIter<'a>>);

type RangedIter<'a> = imbl::ordset::RangedIter<'a, Entry, imbl::shared_ptr::DefaultSharedPtr>;

impl<'a> Iterator for Range<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next().map(Entry::pair)
    }
}

impl DoubleEndedIterator for Range<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.as_mut()?.next_back().map(Entry::pair)
    }
}

/// The whole state after some transaction.
#[derive(Clone, Default)]
pub(crate) struct Root {
    pub(crate) lsn: Lsn,
    spaces: imbl::OrdMap<u32, Entries>,
}

impl Root {
    /// The ids of all key spaces that ever held something.
    pub(crate) fn spaces(&self) -> impl Iterator<Item = u32> {
        self.spaces.keys().copied()
    }

    pub(crate) fn entries(&self, space: u32) -> Option<&Entries> {
        self.spaces.get(&space)
    }

    /// Writes an entry; returns what it replaced.
    pub(crate) fn put(&mut self, space: u32, entry: Entry) -> Option<Entry> {
        self.spaces.entry(space).or_default().put(entry)
    }

    /// Deletes an entry and returns it. Copies nothing when the key isn't there.
    pub(crate) fn delete(&mut self, space: u32, key: &[u8]) -> Option<Entry> {
        self.entries(space)?.get(key)?;
        self.spaces.get_mut(&space)?.delete(key)
    }

    /// Deletes what starts with `prefix` and returns it. Copies nothing when there is none.
    pub(crate) fn delete_prefix(&mut self, space: u32, prefix: &[u8]) -> Vec<Entry> {
        match self.entries(space) {
            Some(entries) if entries.prefixed(prefix).next().is_some() => {}
            _ => return Vec::new(),
        }
        self.spaces
            .get_mut(&space)
            .map_or_else(Vec::new, |entries| entries.delete_prefix(prefix))
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
            .map_or(Range(None), |entries| entries.range(from, to))
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
            root.put(SPACE.id, Entry::new(key.as_bytes(), b"v"));
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
        new.put(SPACE.id, Entry::new(b"a", b"w"));
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
            let before = root.entries(SPACE.id).map_or(0, Entries::len) as u64;
            let deleted = root.delete_prefix(SPACE.id, prefix).len() as u64;
            assert_eq!(keys(&root, Bound::Unbounded, Bound::Unbounded), left);
            assert_eq!(
                before - deleted,
                root.entries(SPACE.id).map_or(0, Entries::len) as u64
            );
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
