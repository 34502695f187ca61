//! Branches: children, and the separators between them.
//!
//! What a child holds is not less than the separator before it and less than the one after it. A separator is no key: it is
//! the shortest bytes that tell two neighbours apart.

use super::node::Node;
use super::page::common_bytes;
use std::array;
use std::cmp::Ordering;
use std::hint::black_box;
use triomphe::Arc;

/// No tree gets higher. A branch gets a sibling only after a full one was split or appended to, so half as many levels
/// would take more changes than anyone makes; a test's small branches need more.
pub(super) const HEIGHT_MAX: usize = 24;

/// How many children a branch has at most. To copy it takes a reference to each of them.
pub(super) const CHILDREN_MAX: usize = 32;

/// Short pages, which only tests have, come with small branches.
const fn children_max<const PAGE: usize>() -> usize {
    match PAGE / 128 {
        0..4 => 4,
        some @ 4..CHILDREN_MAX => some,
        CHILDREN_MAX.. => CHILDREN_MAX,
    }
}

#[derive(Clone)]
pub(super) struct Branch<const PAGE: usize> {
    separators: Separators,
    /// One more than there are separators.
    children: [Option<Node<PAGE>>; CHILDREN_MAX],
}

impl<const PAGE: usize> Branch<PAGE> {
    pub(super) fn of(child: Node<PAGE>) -> Branch<PAGE> {
        let mut children = array::from_fn(|_| None);
        children[0] = Some(child);
        Branch {
            separators: Separators::default(),
            children,
        }
    }

    /// What it takes without its children.
    pub(super) fn memory(&self) -> u64 {
        const COUNT_AND_ALLOCATOR: usize = 16;
        (COUNT_AND_ALLOCATOR + size_of::<Self>() + self.separators.bytes.capacity()) as u64
    }

    /// The number of its children; at least one.
    pub(super) fn count(&self) -> usize {
        self.separators.count() + 1
    }

    pub(super) fn is_full(&self) -> bool {
        self.count() == children_max::<PAGE>()
    }

    /// Has it all the children that a new tree gives it?
    pub(super) fn is_filled(&self) -> bool {
        self.count() >= children_max::<PAGE>() * 7 / 8
    }

    /// Has it so few children that it should be joined with a neighbour?
    pub(super) fn is_small(&self) -> bool {
        self.count() <= children_max::<PAGE>() / 4
    }

    /// Do the children of both make one branch with some room left?
    pub(super) fn joins(&self, right: &Branch<PAGE>) -> bool {
        self.count() + right.count() <= children_max::<PAGE>() * 3 / 4
    }

    pub(super) fn child(&self, at: usize) -> &Node<PAGE> {
        self.children[at]
            .as_ref()
            .expect("all up to the count are there")
    }

    pub(super) fn child_mut(&mut self, at: usize) -> &mut Node<PAGE> {
        self.children[at]
            .as_mut()
            .expect("all up to the count are there")
    }

    pub(super) fn children(&self) -> impl DoubleEndedIterator<Item = &Node<PAGE>> {
        self.children[..self.count()].iter().flatten()
    }

    /// The separator between the children `at` and `at + 1`.
    pub(super) fn separator(&self, at: usize) -> &[u8] {
        self.separators.get(at)
    }

    /// Which child has `key`, or would have.
    pub(super) fn search(&self, key: &[u8]) -> usize {
        self.separators.search(key)
    }

    /// Inserts a child after that at `at`, to which it was the right half; there is room.
    pub(super) fn insert_after(&mut self, at: usize, separator: &[u8], right: Node<PAGE>) {
        let count = self.count();
        self.children[at + 1..=count].rotate_right(1);
        self.children[at + 1] = Some(right);
        self.separators.insert(at, separator);
    }

    /// Removes a child; another one is left, which takes over its range of keys.
    pub(super) fn remove(&mut self, at: usize) -> Node<PAGE> {
        let count = self.count();
        self.separators.remove(at.saturating_sub(1));
        self.children[at..count].rotate_left(1);
        self.children[count - 1]
            .take()
            .expect("all up to the count are there")
    }

    /// Cuts it in two; returns what tells them apart, and the right one.
    pub(super) fn split_off(&mut self, at: usize) -> (Box<[u8]>, Branch<PAGE>) {
        let count = self.count();
        let separator = self.separators.get(at - 1).into();
        let mut children = array::from_fn(|_| None);
        for (to, from) in children.iter_mut().zip(&mut self.children[at..count]) {
            *to = from.take();
        }
        let separators = self.separators.part(at..count - 1);
        self.separators = self.separators.part(0..at - 1);
        let right = Branch {
            separators,
            children,
        };
        (separator, right)
    }

    /// Takes over the children of its right neighbour; there is room.
    pub(super) fn append(&mut self, separator: &[u8], right: &Branch<PAGE>) {
        let count = self.count();
        for (to, from) in self.children[count..].iter_mut().zip(right.children()) {
            *to = Some(from.clone());
        }
        self.separators.append(separator, &right.separators);
    }
}

/// A copy takes a reference to each child. Reading all counts before the first is changed lets the processor fetch them at
/// once: their cache lines are rarely near.
pub(super) fn make_mut<const PAGE: usize>(branch: &mut Arc<Branch<PAGE>>) -> &mut Branch<PAGE> {
    if !branch.is_unique() {
        black_box(branch.children().map(Node::references).sum::<usize>());
    }
    Arc::make_mut(branch)
}

/// Sorted byte strings.
#[derive(Clone)]
struct Separators {
    count: u16,
    /// All start with the same bytes; this is how many.
    common: u32,
    /// The eight bytes after those in common, zeros where a separator ends.
    heads: [u64; CHILDREN_MAX - 1],
    /// Where each ends in `bytes`.
    ends: [u32; CHILDREN_MAX - 1],
    bytes: Vec<u8>,
}

impl Default for Separators {
    fn default() -> Separators {
        Separators {
            count: 0,
            common: 0,
            heads: [0; _],
            ends: [0; _],
            bytes: Vec::new(),
        }
    }
}

impl Separators {
    fn count(&self) -> usize {
        usize::from(self.count)
    }

    fn start(&self, at: usize) -> usize {
        at.checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize)
    }

    fn get(&self, at: usize) -> &[u8] {
        &self.bytes[self.start(at)..self.ends[at] as usize]
    }

    /// How many are not greater than `key`.
    fn search(&self, key: &[u8]) -> usize {
        let (count, common) = (self.count(), self.common as usize);
        let (start, rest) = key.split_at(common.min(key.len()));
        match start.cmp(&self.bytes[..common]) {
            Ordering::Less => return 0,
            Ordering::Greater => return count,
            Ordering::Equal => {}
        }
        let head = head(rest);
        let heads = &self.heads[..count];
        let less = heads.partition_point(|other| *other < head);
        let equal = heads[less..].iter().take_while(|other| **other == head);
        let not_greater = (less..)
            .zip(equal)
            .take_while(|(at, _)| self.get(*at) <= key);
        less + not_greater.count()
    }

    fn insert(&mut self, at: usize, separator: &[u8]) {
        let (count, start) = (self.count(), self.start(at));
        let bytes = u32::try_from(separator.len()).expect("keys are far below 4 GiB");
        self.bytes.splice(start..start, separator.iter().copied());
        self.ends.copy_within(at..count, at + 1);
        self.ends[at] = start as u32;
        self.ends[at..=count]
            .iter_mut()
            .for_each(|end| *end += bytes);
        self.count += 1;
        self.set_heads();
    }

    fn remove(&mut self, at: usize) {
        let (count, range) = (self.count(), self.start(at)..self.ends[at] as usize);
        let bytes = range.len() as u32;
        self.bytes.drain(range);
        self.ends.copy_within(at + 1..count, at);
        self.ends[at..count - 1]
            .iter_mut()
            .for_each(|end| *end -= bytes);
        self.count -= 1;
        self.set_heads();
    }

    fn part(&self, range: std::ops::Range<usize>) -> Separators {
        let mut part = Separators::default();
        range.for_each(|at| part.push(self.get(at)));
        part.set_heads();
        part
    }

    fn append(&mut self, separator: &[u8], right: &Separators) {
        self.push(separator);
        (0..right.count()).for_each(|at| self.push(right.get(at)));
        self.set_heads();
    }

    fn push(&mut self, separator: &[u8]) {
        self.bytes.extend_from_slice(separator);
        self.ends[self.count()] =
            u32::try_from(self.bytes.len()).expect("keys are far below 4 GiB");
        self.count += 1;
    }

    fn set_heads(&mut self) {
        let common = match self.count() {
            0 => 0,
            count => common_bytes(self.get(0), self.get(count - 1)),
        };
        self.common = common as u32;
        for at in 0..self.count() {
            self.heads[at] = head(&self.get(at)[common..]);
        }
    }
}

/// The first eight bytes; zeros where it ends. Orders as the whole does, but for ties.
fn head(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(head) => u64::from_be_bytes(*head),
        None => {
            let mut head = [0; 8];
            head[..bytes.len()].copy_from_slice(bytes);
            u64::from_be_bytes(head)
        }
    }
}

#[cfg(test)]
impl<const PAGE: usize> Branch<PAGE> {
    /// Panics if it breaks a rule.
    pub(super) fn check(&self) {
        let separators: Vec<&[u8]> = (0..self.count() - 1).map(|at| self.separator(at)).collect();
        assert!(separators.is_sorted_by(|a, b| a < b), "separators ascend");
        assert!(self.count() <= children_max::<PAGE>());
        assert_eq!(self.children.iter().flatten().count(), self.count());
        let mut same = self.separators.clone();
        same.set_heads();
        assert_eq!(same.common, self.separators.common);
        assert_eq!(
            same.heads[..separators.len()],
            self.separators.heads[..separators.len()]
        );
    }
}
