//! An ordered persistent map from bytes to bytes.
//!
//! A B+ tree whose nodes are shared by its clones: a clone takes one reference, and a change copies those nodes on the way
//! to its entry that somebody else holds, too; the others it changes in place. Entries lie in the pages of the leaves, key
//! and value next to each other, so that a leaf is copied by one `memcpy` and freed at once, whatever is in it. What is too
//! large for that lies outside, and pages share it.
//!
//! - [`page`]: what a page looks like, and how it is searched
//! - [`leaf`]: pages as nodes, and how long they are; [`large`]: what lies outside
//! - [`branch`]: children and separators
//! - [`node`]: changes, from the root down and back
//! - [`iter`], [`build`], [`batch`]: reading in order, writing anew, changing much at once
//!
//! # What holds
//!
//! - Keys ascend in a page and from leaf to leaf. A child's keys are not less than the separator before it and less than
//!   the one after it. All leaves are equally deep.
//! - No node is empty, and a root that is a branch has two children. More is not promised about how full nodes are: a node
//!   that falls below a quarter is joined with a neighbour if that leaves room, and nothing is moved between neighbours.
//!   Johnson and Shasha ("B-trees with inserts and deletes: why free-at-empty is better than merge-at-half", 1993) show how
//!   little that costs. Here it costs less, as a page that is not full is not long either.
//! - What comes in key order fills leaves: one that an append doesn't fit in stays whole, and the next one starts.
//! - [`Tree::len`], [`Tree::bytes`] and [`Tree::memory_bytes`] are kept up to date by every change, from what the nodes on
//!   its way were and are. They are those of the whole tree: what clones share counts in each.
//!
//! # What it costs
//!
//! An item of 23 + 64 bytes takes 106 bytes if it came in order, 123 if not. A change after a clone copies a leaf (3 KiB on
//! average) and a branch a level, which takes a reference to each of its children, at most 32: most of the time goes there,
//! since their counts are anywhere in memory. Three levels of branches hold a million items.
//!
//! Pages of 4 KiB are a compromise: with 2 KiB, changes after a clone are a tenth faster and a scan is a third slower; with
//! 8 KiB, reads are a quarter faster and changes after a clone a seventh slower. `cargo bench -p cumulog-benches --bench
//! tree` compares it with others.
//!
//! # Limits
//!
//! - Old versions cost what they don't share: a small change to each leaf of a tree with a clone doubles it.
//! - Separators are copied with their branch and have no bound of their own. They are as long as what two neighbouring keys
//!   have in common, so keys of megabytes that differ in their last bytes make branches as large.
//! - A batch that rewrites a tree holds both until it is done.
//!
//! # Where it comes from
//!
//! Sharing by reference counts is path copying as in any persistent tree; LMDB does it with pages on disk. Slots with
//! heads beside the entries are from Graefe's "Modern B-Tree Techniques" (poor man's normalized keys) and LeanStore, short
//! separators from Bayer and Unterauer's prefix B-trees.

mod batch;
mod branch;
mod build;
mod iter;
mod large;
mod leaf;
mod node;
mod page;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use build::Builder;
pub use iter::Range;
pub use large::Large;

use node::{Node, Tally};
use page::{Item, Page};
use std::ops::{Add, AddAssign, Bound, Sub};

/// A page has at most so many bytes.
pub const PAGE_BYTES: usize = 4 << 10;

/// See the module's documentation. `PAGE` is the length of a page in bytes; tests use short ones.
#[derive(Clone, Default)]
pub struct Tree<const PAGE: usize = PAGE_BYTES> {
    root: Option<Node<PAGE>>,
    size: Size,
}

/// How much there is, of a tree or of a part of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    entries: u64,
    /// Of keys and values.
    bytes: u64,
    /// Of all allocations, those that other trees share included.
    memory: u64,
}

impl Add for Size {
    type Output = Size;

    fn add(self, other: Size) -> Size {
        Size {
            entries: self.entries + other.entries,
            bytes: self.bytes + other.bytes,
            memory: self.memory + other.memory,
        }
    }
}

impl Sub for Size {
    type Output = Size;

    fn sub(self, other: Size) -> Size {
        Size {
            entries: self.entries - other.entries,
            bytes: self.bytes - other.bytes,
            memory: self.memory - other.memory,
        }
    }
}

impl AddAssign for Size {
    fn add_assign(&mut self, other: Size) {
        *self = *self + other;
    }
}

/// A value that was replaced or deleted.
#[derive(Clone, Debug)]
pub enum Old {
    /// It was appended to the buffer that the caller gave; this is its length.
    Copied(usize),
    /// It is large, and shared instead.
    Shared(Large),
}

impl Old {
    fn of(page: Page<'_>, at: usize, buffer: &mut Vec<u8>) -> Old {
        if let Some(large) = page.large(at) {
            return Old::Shared(large.clone());
        }
        let value = page.entry(at).1;
        buffer.extend_from_slice(value);
        Old::Copied(value.len())
    }

    /// Its length.
    pub fn bytes(&self) -> usize {
        match self {
            Old::Copied(bytes) => *bytes,
            Old::Shared(large) => large.value().len(),
        }
    }
}

impl<const PAGE: usize> Tree<PAGE> {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.size.entries as usize
    }

    /// Is there no entry?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of all keys and values.
    pub fn bytes(&self) -> u64 {
        self.size.bytes
    }

    /// What it takes in memory, what other trees share included.
    pub fn memory_bytes(&self) -> u64 {
        self.size.memory
    }

    /// The value at `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let (page, at) = self.find(key)?;
        Some(page.entry(at).1)
    }

    fn find(&self, key: &[u8]) -> Option<(Page<'_>, usize)> {
        let mut node = self.root.as_ref()?;
        while let Node::Branch(branch) = node {
            node = branch.child(branch.search(key));
        }
        let Node::Leaf(leaf) = node else {
            unreachable!("branches end at a leaf")
        };
        Some((leaf.page(), leaf.page().find(key)?))
    }

    /// Writes an entry; returns the value that it replaces. If that is not shared, it is appended to `old`.
    pub fn put(&mut self, key: &[u8], value: &[u8], old: &mut Vec<u8>) -> Option<Old> {
        self.put_item(Item::new::<PAGE>(key, value), old)
    }

    fn put_item(&mut self, item: Item<'_>, old: &mut Vec<u8>) -> Option<Old> {
        let mut tally = Tally::default();
        let mut root = match self.root.take() {
            Some(root) => root,
            None => Node::empty(&mut tally),
        };
        let (replaced, split) = root.put(item, old, &mut tally);
        self.root = Some(match split {
            Some((separator, right)) => node::grown(root, &separator, right, &mut tally),
            None => root,
        });
        tally.apply(&mut self.size);
        replaced
    }

    /// Deletes an entry; returns its value as [`Tree::put`] does. Copies nothing if there is none.
    pub fn delete(&mut self, key: &[u8], old: &mut Vec<u8>) -> Option<Old> {
        let (page, at) = self.find(key)?;
        let deleted = Old::of(page, at, old);
        let mut tally = Tally::default();
        let mut root = self.root.take()?;
        root.delete(key, &mut tally);
        self.root = root.trimmed(&mut tally);
        tally.apply(&mut self.size);
        Some(deleted)
    }

    /// Deletes the entries that are not less than `from` and less than `to`. Returns the tree as it was, unless there are
    /// none.
    pub fn delete_range(&mut self, from: &[u8], to: Option<&[u8]>) -> Option<Tree<PAGE>> {
        let end = to.map_or(Bound::Unbounded, Bound::Excluded);
        self.range(Bound::Included(from), end).next()?;
        let before = self.clone();
        let mut tally = Tally::default();
        let mut root = self.root.take()?;
        root.delete_range(from, to, &mut tally);
        self.root = root.trimmed(&mut tally);
        tally.apply(&mut self.size);
        Some(before)
    }

    /// Bounds that cross hold nothing.
    pub fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Range<'_, PAGE> {
        Range::new(self.root.as_ref(), from, to)
    }

    /// All entries in key order.
    #[cfg(test)]
    fn iter(&self) -> Range<'_, PAGE> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }
}
