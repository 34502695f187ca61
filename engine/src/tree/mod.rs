//! An ordered persistent map from bytes to bytes.
//!
//! A B+ tree whose nodes are shared by its clones: to clone it takes one reference, and a change copies the nodes on the
//! way to its entry that somebody else holds, too; the others it changes in place. Entries lie in the pages of the leaves,
//! key and value next to each other, so that a leaf is copied by one `memcpy` and freed at once, whatever is in it. What is
//! too large for a page lies outside, and pages share it.
//!
//! - [`page`]: what a page looks like, and how it is searched
//! - [`leaf`]: pages as nodes, and how long they are
//! - [`branch`]: children and separators
//! - [`node`]: changes, from the root down and back
//! - [`iter`], [`build`], [`batch`]: reading in order, writing anew, changing much at once

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
