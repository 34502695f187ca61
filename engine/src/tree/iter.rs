//! Entries in key order, from both ends.

use super::branch::{Branch, HEIGHT_MAX};
use super::leaf::Leaf;
use super::node::Node;
use super::page::Page;
use std::ops::Bound;
use std::ptr;

/// The entries between two bounds. It takes no memory besides itself.
pub struct Range<'a, const PAGE: usize>(Option<Ends<'a, PAGE>>);

struct Ends<'a, const PAGE: usize> {
    root: &'a Node<PAGE>,
    front: Cursor<'a, PAGE>,
    back: Cursor<'a, PAGE>,
}

/// A place between two entries.
struct Cursor<'a, const PAGE: usize> {
    leaf: &'a Leaf<PAGE>,
    at: usize,
    /// Which child it is in, from the root down.
    path: [u8; HEIGHT_MAX],
}

impl<'a, const PAGE: usize> Range<'a, PAGE> {
    pub(super) fn new(
        root: Option<&'a Node<PAGE>>,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Range<'a, PAGE> {
        let root = root.filter(|_| !crossed(from, to));
        Range(root.map(|root| Ends {
            root,
            front: match from {
                Bound::Unbounded => Cursor::start(root),
                Bound::Included(key) => Cursor::at(root, key, false),
                Bound::Excluded(key) => Cursor::at(root, key, true),
            },
            back: match to {
                Bound::Unbounded => Cursor::end(root),
                Bound::Included(key) => Cursor::at(root, key, true),
                Bound::Excluded(key) => Cursor::at(root, key, false),
            },
        }))
    }
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

impl<const PAGE: usize> Ends<'_, PAGE> {
    fn in_one_leaf(&self) -> bool {
        ptr::eq(self.front.leaf, self.back.leaf)
    }
}

impl<'a, const PAGE: usize> Iterator for Range<'a, PAGE> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (page, at) = self.next_place()?;
        Some(page.entry(at))
    }
}

impl<'a, const PAGE: usize> Range<'a, PAGE> {
    /// Where the next entry is.
    #[inline]
    pub(super) fn next_place(&mut self) -> Option<(Page<'a>, usize)> {
        let ends = self.0.as_mut()?;
        loop {
            let page = ends.front.leaf.page();
            let is_last = ends.in_one_leaf();
            let end = if is_last { ends.back.at } else { page.count() };
            if ends.front.at < end {
                ends.front.at += 1;
                return Some((page, ends.front.at - 1));
            }
            if is_last {
                return None;
            }
            ends.front.next_leaf(ends.root);
        }
    }
}

impl<const PAGE: usize> DoubleEndedIterator for Range<'_, PAGE> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let ends = self.0.as_mut()?;
        loop {
            let is_first = ends.in_one_leaf();
            let start = if is_first { ends.front.at } else { 0 };
            if ends.back.at > start {
                ends.back.at -= 1;
                return Some(ends.back.leaf.page().entry(ends.back.at));
            }
            if is_first {
                return None;
            }
            ends.back.previous_leaf(ends.root);
        }
    }
}

impl<'a, const PAGE: usize> Cursor<'a, PAGE> {
    fn start(root: &'a Node<PAGE>) -> Cursor<'a, PAGE> {
        Cursor::descend(root, [0; _], 0, |_| 0)
    }

    fn end(root: &'a Node<PAGE>) -> Cursor<'a, PAGE> {
        let mut end = Cursor::descend(root, [0; _], 0, |count| count - 1);
        end.at = end.leaf.page().count();
        end
    }

    /// Before `key`, or after it.
    fn at(root: &'a Node<PAGE>, key: &[u8], after: bool) -> Cursor<'a, PAGE> {
        let mut path = [0; _];
        let mut node = root;
        let mut level = 0;
        loop {
            match node {
                Node::Branch(branch) => {
                    let child = branch.search(key);
                    path[level] = child as u8;
                    level += 1;
                    node = branch.child(child);
                }
                Node::Leaf(leaf) => {
                    let at = match leaf.page().search(key) {
                        Ok(at) => at + usize::from(after),
                        Err(at) => at,
                    };
                    return Cursor { leaf, at, path };
                }
            }
        }
    }

    /// Goes down from `node`, which is at `level`, to the first entry of a leaf.
    fn descend(
        mut node: &'a Node<PAGE>,
        mut path: [u8; HEIGHT_MAX],
        mut level: usize,
        choose: impl Fn(usize) -> usize,
    ) -> Cursor<'a, PAGE> {
        loop {
            match node {
                Node::Branch(branch) => {
                    let child = choose(branch.count());
                    path[level] = child as u8;
                    level += 1;
                    node = branch.child(child);
                }
                Node::Leaf(leaf) => return Cursor { leaf, at: 0, path },
            }
        }
    }

    /// To the start of the next leaf; there is one.
    fn next_leaf(&mut self, root: &'a Node<PAGE>) {
        let (level, branch) = self
            .turn(root, |child, count| child + 1 < count)
            .expect("the other end is further on");
        self.path[level] += 1;
        let child = branch.child(usize::from(self.path[level]));
        *self = Cursor::descend(child, self.path, level + 1, |_| 0);
    }

    /// To the end of the previous leaf; there is one.
    fn previous_leaf(&mut self, root: &'a Node<PAGE>) {
        let (level, branch) = self
            .turn(root, |child, _| child > 0)
            .expect("the other end is further back");
        self.path[level] -= 1;
        let child = branch.child(usize::from(self.path[level]));
        *self = Cursor::descend(child, self.path, level + 1, |count| count - 1);
        self.at = self.leaf.page().count();
    }

    /// The lowest branch on the path where it can go on.
    fn turn(
        &self,
        root: &'a Node<PAGE>,
        can: impl Fn(usize, usize) -> bool,
    ) -> Option<(usize, &'a Branch<PAGE>)> {
        let mut node = root;
        let mut turn = None;
        for (level, child) in self.path.iter().enumerate() {
            let Node::Branch(branch) = node else { break };
            let child = usize::from(*child);
            if can(child, branch.count()) {
                turn = Some((level, &**branch));
            }
            node = branch.child(child);
        }
        turn
    }
}
