//! Leaves: pages that versions of the tree share.
//!
//! A leaf is one allocation: the reference count, the [`Header`] and the bytes. It is changed in place if nobody else
//! holds it, and copied otherwise, which takes no reference to any of its entries, apart from the few large ones.
//!
//! A page is only as long as it has to be, in steps of an eighth of the longest: a leaf that is split, or that loses most
//! of its entries, gives back what it doesn't need, so how full leaves are says little about how much memory they take.

use super::Size;
use super::large::LARGE_OVERHEAD;
use super::page::{Header, Item, Page, PageMut, SLOT_BYTES};
use std::mem;
use std::ops::Range;
use triomphe::{Arc, ThinArc};

/// No page is longer: offsets have 16 bits, lengths of keys 14.
const PAGE_MAX: usize = 16 << 10;

static ZEROS: [u8; PAGE_MAX] = [0; PAGE_MAX];

/// What a leaf takes besides its bytes: reference count, length, header, and the allocator's word.
const OVERHEAD: usize = 24 + size_of::<Header>();

#[derive(Clone)]
pub(super) struct Leaf<const PAGE: usize>(ThinArc<Header, u8>);

impl<const PAGE: usize> Leaf<PAGE> {
    /// A leaf of one entry.
    pub(super) fn of(item: Item<'_>) -> Leaf<PAGE> {
        let mut leaf = Leaf::empty();
        leaf.insert(0, item);
        leaf
    }

    pub(super) fn empty() -> Leaf<PAGE> {
        Leaf::blank(Header::default(), 0)
    }

    fn blank(header: Header, bytes: usize) -> Leaf<PAGE> {
        const { assert!(PAGE <= PAGE_MAX && PAGE >= 128) };
        Leaf(ThinArc::from_header_and_slice(
            header,
            &ZEROS[..capacity::<PAGE>(bytes)],
        ))
    }

    #[inline]
    pub(super) fn page(&self) -> Page<'_> {
        Page {
            header: &self.0.header.header,
            bytes: &self.0.slice,
        }
    }

    /// How many hold it.
    pub(super) fn references(&self) -> usize {
        ThinArc::strong_count(&self.0)
    }

    pub(super) fn size(&self) -> Size {
        let Header {
            count,
            used,
            larges,
            large_bytes,
            ..
        } = self.page().header;
        let outside = larges.capacity() * size_of::<usize>() + larges.len() * LARGE_OVERHEAD;
        Size {
            entries: u64::from(*count),
            bytes: u64::from(*used) - 2 * larges.len() as u64 + large_bytes,
            memory: (OVERHEAD + self.page().bytes.len() + outside) as u64 + large_bytes,
        }
    }

    /// Is so little in it that it should be joined with a neighbour?
    pub(super) fn is_small(&self) -> bool {
        self.page().weight::<PAGE>() < PAGE / 4
    }

    pub(super) fn fits(&self, weight: usize) -> bool {
        self.page().weight::<PAGE>() + weight <= PAGE
    }

    /// There is room for it.
    pub(super) fn insert(&mut self, at: usize, item: Item<'_>) {
        let page = self.page();
        let bytes = page.filled() + SLOT_BYTES + item.page_bytes();
        // Where one comes at the end, more will follow.
        let is_outgrown = at == page.count() && bytes > page.bytes.len();
        let bytes = if is_outgrown { 2 * bytes } else { bytes };
        self.edit(bytes, |mut page| page.insert(at, item));
    }

    /// Gives the entry another value; there is room for it.
    pub(super) fn replace(&mut self, at: usize, item: Item<'_>) {
        let page = self.page();
        let old = page.end_before(at + 1) - page.end_before(at);
        let bytes = page.filled() - old + item.page_bytes();
        self.edit(bytes.max(page.filled()), |mut page| page.replace(at, item));
    }

    pub(super) fn remove(&mut self, at: usize) {
        let bytes = self.page().filled();
        self.edit(bytes, |mut page| page.remove(at));
    }

    /// Changes the page, of which `bytes` are filled at most, in place if it is ours alone.
    fn edit(&mut self, bytes: usize, change: impl FnOnce(PageMut<'_>)) {
        let (capacity, fitting) = (self.page().bytes.len(), capacity::<PAGE>(bytes));
        let is_shared = self.references() != 1;
        if is_shared || fitting > capacity || fitting <= capacity / 2 {
            *self = self.copied(fitting);
        }
        self.0.with_arc_mut(|arc| {
            let inner = Arc::get_mut(arc).expect("it was copied if it was shared");
            // One can't borrow both at once.
            let mut header = mem::take(inner.header_mut());
            change(PageMut {
                header: &mut header,
                bytes: inner.slice_mut(),
            });
            *inner.header_mut() = header;
        });
    }

    fn copied(&self, capacity: usize) -> Leaf<PAGE> {
        let Page { header, bytes } = self.page();
        if capacity == bytes.len() {
            return Leaf(ThinArc::from_header_and_slice(header.clone(), bytes));
        }
        let mut copy = Leaf::blank(header.clone(), capacity);
        let used = usize::from(header.used);
        let slots = self.page().filled() - used;
        copy.0.with_arc_mut(|arc| {
            let to = Arc::get_mut(arc).expect("it is new").slice_mut();
            to[..slots].copy_from_slice(&bytes[..slots]);
            to[capacity - used..].copy_from_slice(&bytes[bytes.len() - used..]);
        });
        copy
    }

    /// Cuts it in two of about the same weight; there are at least two entries.
    pub(super) fn halves(&self) -> (Leaf<PAGE>, Leaf<PAGE>) {
        let page = self.page();
        let half = page.weight::<PAGE>() / 2;
        let mut sum = 0;
        let middle = (0..page.count())
            .find(|at| {
                sum += page.weight_of::<PAGE>(*at);
                sum >= half
            })
            .map_or(1, |last| (last + 1).clamp(1, page.count() - 1));
        (self.part(0..middle), self.part(middle..page.count()))
    }

    fn part(&self, range: Range<usize>) -> Leaf<PAGE> {
        Draft::of(self, range).finish()
    }

    /// It without the entries in `range`.
    pub(super) fn without(&self, range: Range<usize>) -> Leaf<PAGE> {
        let rest = (0..range.start).chain(range.end..self.page().count());
        Draft::of(self, rest).finish()
    }

    /// Both in one; there is room.
    pub(super) fn joined(&self, right: &Leaf<PAGE>) -> Leaf<PAGE> {
        let mut draft = Draft::of(self, 0..self.page().count());
        (0..right.page().count()).for_each(|at| draft.take(right, at));
        draft.finish()
    }
}

/// The shortest length of a page that `bytes` fit in.
fn capacity<const PAGE: usize>(bytes: usize) -> usize {
    bytes.next_multiple_of(PAGE / 8).clamp(PAGE / 8, PAGE)
}

/// A leaf that is being filled, in key order.
pub(super) struct Draft<const PAGE: usize> {
    header: Header,
    bytes: [u8; PAGE],
}

impl<const PAGE: usize> Draft<PAGE> {
    pub(super) fn new() -> Draft<PAGE> {
        Draft {
            header: Header::default(),
            bytes: [0; PAGE],
        }
    }

    fn of(leaf: &Leaf<PAGE>, entries: impl Iterator<Item = usize>) -> Draft<PAGE> {
        let mut draft = Draft::new();
        entries.for_each(|at| draft.take(leaf, at));
        draft
    }

    pub(super) fn page(&self) -> Page<'_> {
        Page {
            header: &self.header,
            bytes: &self.bytes,
        }
    }

    /// There is room for it, and it belongs after all others.
    pub(super) fn push(&mut self, item: Item<'_>) {
        self.page_mut().append(item);
    }

    /// Takes over an entry of a leaf.
    pub(super) fn take(&mut self, leaf: &Leaf<PAGE>, at: usize) {
        self.push(leaf.page().item(at));
    }

    /// The leaf. Leaves an empty draft behind.
    pub(super) fn finish(&mut self) -> Leaf<PAGE> {
        self.page_mut().finish();
        let filled = self.page().filled();
        let header = mem::take(&mut self.header);
        // Slots come next to the entries, as far as the page is to be long.
        let start = PAGE - capacity::<PAGE>(filled);
        let slots = filled - usize::from(header.used);
        self.bytes.copy_within(..slots, start);
        Leaf(ThinArc::from_header_and_slice(header, &self.bytes[start..]))
    }

    fn page_mut(&mut self) -> PageMut<'_> {
        PageMut {
            header: &mut self.header,
            bytes: &mut self.bytes,
        }
    }
}
