//! Nodes, and the changes that go from the root down to a leaf and back.

use super::branch::{Branch, make_mut};
use super::leaf::Leaf;
use super::page::{Item, common_bytes};
use super::{Old, Size};
use std::mem;
use triomphe::Arc;

/// All leaves are equally deep. No node is empty.
#[derive(Clone)]
pub(super) enum Node<const PAGE: usize> {
    Leaf(Leaf<PAGE>),
    Branch(Arc<Branch<PAGE>>),
}

/// A node that another one became too small for, and what tells them apart.
pub(super) type Split<const PAGE: usize> = Option<(Box<[u8]>, Node<PAGE>)>;

/// What a change does to the size of the tree, added up on the way.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) more: Size,
    pub(super) less: Size,
}

impl<const PAGE: usize> Node<PAGE> {
    pub(super) fn empty(tally: &mut Tally) -> Node<PAGE> {
        let leaf = Node::Leaf(Leaf::empty());
        tally.more += leaf.own_size();
        leaf
    }

    /// Its size without that of its children.
    fn own_size(&self) -> Size {
        match self {
            Node::Leaf(leaf) => leaf.size(),
            Node::Branch(branch) => Size {
                memory: branch.memory(),
                ..Size::default()
            },
        }
    }

    /// Its size with that of all below it. Looks at each of them.
    pub(super) fn size(&self) -> Size {
        match self {
            Node::Leaf(leaf) => leaf.size(),
            Node::Branch(branch) => branch
                .children()
                .fold(self.own_size(), |sum, child| sum + child.size()),
        }
    }

    pub(super) fn put(
        &mut self,
        item: Item<'_>,
        old: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> (Option<Old>, Split<PAGE>) {
        tally.less += self.own_size();
        let (replaced, split) = match self {
            Node::Leaf(leaf) => put_in_leaf(leaf, item, old),
            Node::Branch(branch) => {
                let branch = make_mut(branch);
                let at = branch.search(item.key);
                let (replaced, split) = branch.child_mut(at).put(item, old, tally);
                let split = split
                    .and_then(|(separator, right)| insert_child(branch, at, &separator, right));
                (replaced, split)
            }
        };
        tally.more += self.own_size();
        if let Some((_, right)) = &split {
            tally.more += right.own_size();
        }
        (replaced, split)
    }

    /// Deletes the entry, which is there. May leave an empty leaf behind.
    pub(super) fn delete(&mut self, key: &[u8], tally: &mut Tally) {
        tally.less += self.own_size();
        match self {
            Node::Leaf(leaf) => {
                let at = leaf.page().find(key).expect("the caller has seen it");
                leaf.remove(at);
            }
            Node::Branch(branch) => {
                let branch = make_mut(branch);
                let at = branch.search(key);
                branch.child_mut(at).delete(key, tally);
                tidy(branch, at, tally);
            }
        }
        tally.more += self.own_size();
    }

    /// Deletes what is not less than `from` and less than `to`; whole subtrees without a look at their entries. May leave
    /// an empty leaf behind, or a branch that has no other child.
    pub(super) fn delete_range(&mut self, from: &[u8], to: Option<&[u8]>, tally: &mut Tally) {
        tally.less += self.own_size();
        match self {
            Node::Leaf(leaf) => {
                let place = |key| leaf.page().search(key).unwrap_or_else(|at| at);
                let range = place(from)..to.map_or(leaf.page().count(), place);
                if !range.is_empty() {
                    *leaf = leaf.without(range);
                }
            }
            Node::Branch(branch) => {
                let branch = make_mut(branch);
                let first = branch.search(from);
                let mut last = to.map_or(branch.count() - 1, |to| branch.search(to));
                while last > first + 1 {
                    tally.less += branch.remove(first + 1).size();
                    last -= 1;
                }
                branch.child_mut(first).delete_range(from, to, tally);
                if last > first {
                    branch.child_mut(last).delete_range(from, to, tally);
                    // Now, or its neighbour could be joined with it, and hide it.
                    if branch.child(first).is_empty() {
                        tally.less += branch.remove(first).size();
                        last = first;
                    }
                    tidy(branch, last, tally);
                }
                if first < branch.count() {
                    tidy(branch, first, tally);
                }
            }
        }
        tally.more += self.own_size();
    }

    /// How many hold it.
    pub(super) fn references(&self) -> usize {
        match self {
            Node::Leaf(leaf) => leaf.references(),
            Node::Branch(branch) => Arc::strong_count(branch),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Node::Leaf(leaf) => leaf.page().count() == 0,
            Node::Branch(branch) => branch.count() == 1 && branch.child(0).is_empty(),
        }
    }

    fn is_small(&self) -> bool {
        match self {
            Node::Leaf(leaf) => leaf.is_small(),
            Node::Branch(branch) => branch.is_small(),
        }
    }

    /// This and its right neighbour in one, if that leaves some room.
    fn joined(&self, separator: &[u8], right: &Node<PAGE>) -> Option<Node<PAGE>> {
        match (self, right) {
            (Node::Leaf(left), Node::Leaf(right)) => left
                .fits(right.page().weight::<PAGE>() + PAGE / 4)
                .then(|| Node::Leaf(left.joined(right))),
            (Node::Branch(left), Node::Branch(right)) if left.joins(right) => {
                let mut left = left.clone();
                make_mut(&mut left).append(separator, right);
                Some(Node::Branch(left))
            }
            _ => None,
        }
    }

    /// What is left of a tree after deletions: without branches that tell nothing apart.
    pub(super) fn trimmed(mut self, tally: &mut Tally) -> Option<Node<PAGE>> {
        if self.is_empty() {
            tally.less += self.size();
            return None;
        }
        while let Node::Branch(branch) = &self {
            if branch.count() > 1 {
                break;
            }
            tally.less += self.own_size();
            self = branch.child(0).clone();
        }
        Some(self)
    }
}

fn put_in_leaf<const PAGE: usize>(
    leaf: &mut Leaf<PAGE>,
    item: Item<'_>,
    old: &mut Vec<u8>,
) -> (Option<Old>, Split<PAGE>) {
    let page = leaf.page();
    let at = match page.search(item.key) {
        Err(at) => return (None, insert_in_leaf(leaf, at, item)),
        Ok(at) => at,
    };
    let replaced = Some(Old::of(page, at, old));
    let more = item
        .weight::<PAGE>()
        .saturating_sub(page.weight_of::<PAGE>(at));
    if leaf.fits(more) {
        leaf.replace(at, item);
        return (replaced, None);
    }
    leaf.remove(at);
    (replaced, insert_in_leaf(leaf, at, item))
}

fn insert_in_leaf<const PAGE: usize>(
    leaf: &mut Leaf<PAGE>,
    at: usize,
    item: Item<'_>,
) -> Split<PAGE> {
    if leaf.fits(item.weight::<PAGE>()) {
        leaf.insert(at, item);
        return None;
    }
    // What comes in key order fills leaves.
    if at == leaf.page().count() {
        return Some(split(leaf, Leaf::of(item)));
    }
    // No entry weighs more than 3/16 of a page, so a half has room for one more.
    let (mut left, mut right) = leaf.halves();
    match at.checked_sub(left.page().count()) {
        None | Some(0) => left.insert(at, item),
        Some(at) => right.insert(at, item),
    }
    *leaf = left;
    Some(split(leaf, right))
}

fn split<const PAGE: usize>(left: &Leaf<PAGE>, right: Leaf<PAGE>) -> (Box<[u8]>, Node<PAGE>) {
    let last = left.page().key(left.page().count() - 1);
    let separator = separator(last, right.page().key(0)).into();
    (separator, Node::Leaf(right))
}

/// The shortest bytes that are greater than `left`, and not greater than `right`.
pub(super) fn separator<'a>(left: &[u8], right: &'a [u8]) -> &'a [u8] {
    &right[..=common_bytes(left, right)]
}

/// Inserts the right half of the child at `at`.
fn insert_child<const PAGE: usize>(
    branch: &mut Branch<PAGE>,
    at: usize,
    separator: &[u8],
    right: Node<PAGE>,
) -> Split<PAGE> {
    if !branch.is_full() {
        branch.insert_after(at, separator, right);
        return None;
    }
    // As in leaves.
    if at + 1 == branch.count() {
        let right = Node::Branch(Arc::new(Branch::of(right)));
        return Some((separator.into(), right));
    }
    let middle = branch.count() / 2;
    let (between, mut other) = branch.split_off(middle);
    if at < middle {
        branch.insert_after(at, separator, right);
    } else {
        other.insert_after(at - middle, separator, right);
    }
    Some((between, Node::Branch(Arc::new(other))))
}

/// Removes the child at `at` if it is empty, or joins it with a neighbour if it is small. A branch's only child stays as it
/// is: the branch itself is then small, or empty.
fn tidy<const PAGE: usize>(branch: &mut Branch<PAGE>, at: usize, tally: &mut Tally) {
    if branch.count() == 1 {
        return;
    }
    if branch.child(at).is_empty() {
        tally.less += branch.remove(at).size();
        return;
    }
    if !branch.child(at).is_small() {
        return;
    }
    let neighbours = [
        at.checked_sub(1),
        Some(at).filter(|at| at + 1 < branch.count()),
    ];
    for left in neighbours.into_iter().flatten() {
        let (child, right) = (branch.child(left), branch.child(left + 1));
        let Some(joined) = child.joined(branch.separator(left), right) else {
            continue;
        };
        tally.less += child.own_size() + right.own_size();
        tally.more += joined.own_size();
        branch.remove(left + 1);
        *branch.child_mut(left) = joined;
        return;
    }
}

/// Puts a root above two nodes.
pub(super) fn grown<const PAGE: usize>(
    left: Node<PAGE>,
    separator: &[u8],
    right: Node<PAGE>,
    tally: &mut Tally,
) -> Node<PAGE> {
    let mut branch = Branch::of(left);
    branch.insert_after(0, separator, right);
    let root = Node::Branch(Arc::new(branch));
    tally.more += root.own_size();
    root
}

impl Tally {
    pub(super) fn apply(&mut self, size: &mut Size) {
        let Tally { more, less } = mem::take(self);
        *size = *size + more - less;
    }
}
