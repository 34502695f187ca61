//! Building a tree from entries in key order: leaf after leaf, each written once.

use super::branch::Branch;
use super::leaf::{Draft, Leaf};
use super::node::{Node, Tally, separator};
use super::page::{Item, Page};
use super::{Size, Tree};
use std::collections::VecDeque;
use std::mem;
use triomphe::Arc;

/// Builds a tree from entries in strictly ascending order of their keys.
///
/// Leaves and branches keep a little room, so that the first changes don't split all of them.
pub struct Builder<const PAGE: usize = { super::PAGE_BYTES }> {
    leaf: Box<Draft<PAGE>>,
    /// The last key of the leaf before.
    last: Vec<u8>,
    /// The branches that are being filled, lowest first.
    spine: VecDeque<Level<PAGE>>,
    size: Size,
}

struct Level<const PAGE: usize> {
    /// What tells it apart from the branch before.
    separator: Box<[u8]>,
    branch: Branch<PAGE>,
}

impl<const PAGE: usize> Default for Builder<PAGE> {
    fn default() -> Builder<PAGE> {
        Builder {
            leaf: Box::new(Draft::new()),
            last: Vec::new(),
            spine: VecDeque::new(),
            size: Size::default(),
        }
    }
}

impl<const PAGE: usize> Builder<PAGE> {
    /// Adds an entry.
    ///
    /// # Panics
    ///
    /// If the key is not greater than the one before. A tree out of order would lose entries in silence.
    pub fn push(&mut self, key: &[u8], value: &[u8]) {
        self.push_item(Item::new::<PAGE>(key, value));
    }

    /// Adds an entry of another tree, and shares what it has outside of its page.
    pub(super) fn take(&mut self, page: Page<'_>, at: usize) {
        self.push_item(page.item(at));
    }

    pub(super) fn push_item(&mut self, item: Item<'_>) {
        self.make_room(&item);
        self.leaf.push(item);
    }

    /// The tree.
    pub fn finish(mut self) -> Tree<PAGE> {
        if self.leaf.page().count() > 0 {
            self.finish_leaf();
        }
        while let Some(Level { separator, branch }) = self.spine.pop_front() {
            self.size.memory += branch.memory();
            let node = Node::Branch(Arc::new(branch));
            if self.spine.is_empty() {
                return self.tree(node);
            }
            // The level above is the lowest one now.
            self.add(0, separator, node);
        }
        Tree::default()
    }

    fn tree(mut self, root: Node<PAGE>) -> Tree<PAGE> {
        let mut tally = Tally::default();
        let root = root.trimmed(&mut tally);
        tally.apply(&mut self.size);
        let size = self.size;
        Tree { root, size }
    }

    fn make_room(&mut self, item: &Item<'_>) {
        let page = self.leaf.page();
        let Some(last) = page.count().checked_sub(1) else {
            return;
        };
        assert!(page.key(last) < item.key, "keys come in ascending order");
        if page.weight::<PAGE>() + item.weight::<PAGE>() > PAGE - PAGE / 16 {
            self.finish_leaf();
        }
    }

    fn finish_leaf(&mut self) {
        let page = self.leaf.page();
        let separator = match self.spine.is_empty() {
            true => Box::default(),
            false => separator(&self.last, page.key(0)).into(),
        };
        self.last.clear();
        self.last.extend_from_slice(page.key(page.count() - 1));
        let leaf: Leaf<PAGE> = self.leaf.finish();
        self.size += leaf.size();
        self.add(0, separator, Node::Leaf(leaf));
    }

    fn add_branch(&mut self, level: usize, separator: Box<[u8]>, branch: Branch<PAGE>) {
        self.size.memory += branch.memory();
        self.add(level, separator, Node::Branch(Arc::new(branch)));
    }

    /// Adds a child to the branch at `level`, or to a new one if that has no room.
    fn add(&mut self, level: usize, separator: Box<[u8]>, child: Node<PAGE>) {
        match self.spine.get_mut(level) {
            Some(parent) if !parent.branch.is_filled() => {
                let at = parent.branch.count() - 1;
                parent.branch.insert_after(at, &separator, child);
            }
            Some(parent) => {
                let branch = Branch::of(child);
                let full = mem::replace(parent, Level { separator, branch });
                self.add_branch(level + 1, full.separator, full.branch);
            }
            None => {
                let branch = Branch::of(child);
                self.spine.push_back(Level { separator, branch });
            }
        }
    }
}
