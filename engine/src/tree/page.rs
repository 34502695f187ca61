//! What a leaf's page looks like, and how entries come into it and leave it.
//!
//! ```text
//! | slot 0 | slot 1 | ... | slot n-1 |   free   | entry n-1 | ... | entry 1 | entry 0 |
//! ```
//!
//! Slots and entries grow towards each other. Slots are in key order, entries in the opposite one, with no gaps: an entry
//! is where its predecessor's ends, counted from the end of the page. So a page moves to a larger one by two copies, and
//! appending, the most frequent change of all, moves nothing.
//!
//! A slot is one little-endian word; its highest bits decide its order:
//!
//! ```text
//! 32..64  head: four bytes of the key, those after the ones that all keys of the page have in common
//! 16..32  end: how far from the end of the page the entry starts
//!  2..16  how many bytes of the key are in the page
//!  0..2   form: see Form
//! ```
//!
//! A search looks at slots only, which are next to each other, and then at the one entry, or the few, with an equal head.

use super::large::Large;
use std::cmp::Ordering;
use std::ops::Range;

pub(super) const SLOT_BYTES: usize = 8;

/// What refers to an entry outside of the page: its index among them.
const INDEX_BYTES: usize = 2;

/// How an entry lies in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Key and value.
    Inline = 0,
    /// Its key, and the index of its value.
    LargeValue = 1,
    /// The index of both.
    Large = 2,
}

impl Form {
    pub(super) fn of<const PAGE: usize>(key_bytes: usize, value_bytes: usize) -> Form {
        if key_bytes.saturating_add(value_bytes) <= PAGE / 8 {
            Form::Inline
        } else if key_bytes <= PAGE / 16 {
            Form::LargeValue
        } else {
            Form::Large
        }
    }
}

/// How much of a page an entry takes up: at most 3/16, so that halves of a page have room for one more. One that is outside counts for more than it takes, so that a leaf never holds
/// many of them: to copy it costs a reference for each.
fn weight<const PAGE: usize>(page_bytes: usize, form: Form) -> usize {
    let outside = if form == Form::Inline { 0 } else { PAGE / 32 };
    SLOT_BYTES + page_bytes + outside
}

/// An entry on its way into a page.
pub(super) struct Item<'a> {
    pub(super) key: &'a [u8],
    form: Form,
    value: Value<'a>,
}

pub(super) enum Value<'a> {
    Inline(&'a [u8]),
    Large(Large),
}

impl<'a> Item<'a> {
    pub(super) fn new<const PAGE: usize>(key: &'a [u8], value: &'a [u8]) -> Item<'a> {
        let form = Form::of::<PAGE>(key.len(), value.len());
        let value = match form {
            Form::Inline => Value::Inline(value),
            Form::LargeValue => Value::Large(Large::new(b"", value)),
            Form::Large => Value::Large(Large::new(key, value)),
        };
        Item { key, form, value }
    }

    /// Again, of what [`Item::into_value`] gave.
    pub(super) fn of<const PAGE: usize>(key: &'a [u8], value: Value<'a>) -> Item<'a> {
        let form = match &value {
            Value::Inline(_) => Form::Inline,
            Value::Large(large) => Form::of::<PAGE>(key.len(), large.value().len()),
        };
        Item { key, form, value }
    }

    pub(super) fn into_value(self) -> Value<'a> {
        self.value
    }

    pub(super) fn page_bytes(&self) -> usize {
        match (&self.value, self.form) {
            (Value::Inline(value), _) => self.key.len() + value.len(),
            (Value::Large(_), Form::Large) => INDEX_BYTES,
            (Value::Large(_), _) => self.key.len() + INDEX_BYTES,
        }
    }

    pub(super) fn weight<const PAGE: usize>(&self) -> usize {
        weight::<PAGE>(self.page_bytes(), self.form)
    }

    fn inline_key(&self) -> &'a [u8] {
        match self.form {
            Form::Inline | Form::LargeValue => self.key,
            Form::Large => b"",
        }
    }
}

#[derive(Clone, Copy)]
struct Slot(u64);

impl Slot {
    fn new(head: u32, end: usize, key_bytes: usize, form: Form) -> Slot {
        debug_assert!(end <= 0xFFFF && key_bytes < 1 << 14);
        let place = (end as u64) << 16 | (key_bytes as u64) << 2 | form as u64;
        Slot(u64::from(head) << 32 | place)
    }

    fn head(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn end(self) -> usize {
        usize::from((self.0 >> 16) as u16)
    }

    fn key_bytes(self) -> usize {
        usize::from(self.0 as u16 >> 2)
    }

    fn form(self) -> Form {
        match self.0 & 3 {
            0 => Form::Inline,
            1 => Form::LargeValue,
            _ => Form::Large,
        }
    }

    /// `end` can't leave its field, so this never reaches into another.
    fn moved(self, bytes: isize) -> Slot {
        Slot(self.0.wrapping_add_signed((bytes as i64) << 16))
    }
}

/// The first bytes of what follows those in common; zeros where the key ends. Orders as the keys do, but for ties.
fn head(rest: &[u8]) -> u32 {
    match rest.first_chunk() {
        Some(head) => u32::from_be_bytes(*head),
        None => {
            let mut head = [0; 4];
            head[..rest.len()].copy_from_slice(rest);
            u32::from_be_bytes(head)
        }
    }
}

/// How many bytes both start with.
pub(super) fn common_bytes(a: &[u8], b: &[u8]) -> usize {
    let (a_words, _) = a.as_chunks::<8>();
    let (b_words, _) = b.as_chunks::<8>();
    let words = a_words.iter().zip(b_words).take_while(|(a, b)| a == b);
    let whole = 8 * words.count();
    let rest = a[whole..].iter().zip(&b[whole..]);
    whole + rest.take_while(|(a, b)| a == b).count()
}

/// What is known of a page besides its bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    pub(super) count: u16,
    /// The bytes of entries.
    pub(super) used: u16,
    /// All keys start with the same bytes, at least so many. Heads are of what follows.
    common: u16,
    /// In no order; an entry holds its index.
    pub(super) larges: Vec<Large>,
    /// What is in them.
    pub(super) large_bytes: u64,
}

/// A page to look at.
#[derive(Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) header: &'a Header,
    pub(super) bytes: &'a [u8],
}

impl<'a> Page<'a> {
    #[inline]
    pub(super) fn count(self) -> usize {
        usize::from(self.header.count)
    }

    pub(super) fn weight<const PAGE: usize>(self) -> usize {
        let outside = self.header.larges.len() * (PAGE / 32);
        self.filled() + outside
    }

    /// The bytes that are not free.
    pub(super) fn filled(self) -> usize {
        self.count() * SLOT_BYTES + usize::from(self.header.used)
    }

    pub(super) fn weight_of<const PAGE: usize>(self, at: usize) -> usize {
        weight::<PAGE>(self.inline(at).len(), self.slot(at).form())
    }

    #[inline]
    fn slots(self) -> &'a [[u8; SLOT_BYTES]] {
        self.bytes[..self.count() * SLOT_BYTES].as_chunks().0
    }

    #[inline]
    fn slot(self, at: usize) -> Slot {
        Slot(u64::from_le_bytes(self.slots()[at]))
    }

    /// How far from the end of the page the entries before `at` reach.
    #[inline]
    pub(super) fn end_before(self, at: usize) -> usize {
        at.checked_sub(1).map_or(0, |last| self.slot(last).end())
    }

    /// What the page itself holds of an entry.
    #[inline]
    fn inline(self, at: usize) -> &'a [u8] {
        let end = self.bytes.len();
        &self.bytes[end - self.slot(at).end()..end - self.end_before(at)]
    }

    #[inline]
    pub(super) fn entry(self, at: usize) -> (&'a [u8], &'a [u8]) {
        let slot = self.slot(at);
        let (key, rest) = self.inline(at).split_at(slot.key_bytes());
        match slot.form() {
            Form::Inline => (key, rest),
            Form::LargeValue => (key, self.large_at(rest).value()),
            Form::Large => self.large_at(rest).pair(),
        }
    }

    #[inline]
    pub(super) fn key(self, at: usize) -> &'a [u8] {
        let slot = self.slot(at);
        let (key, rest) = self.inline(at).split_at(slot.key_bytes());
        match slot.form() {
            Form::Inline | Form::LargeValue => key,
            Form::Large => self.large_at(rest).pair().0,
        }
    }

    /// What is outside of the page, if anything.
    pub(super) fn large(self, at: usize) -> Option<&'a Large> {
        let slot = self.slot(at);
        let rest = &self.inline(at)[slot.key_bytes()..];
        (slot.form() != Form::Inline).then(|| self.large_at(rest))
    }

    fn large_at(self, index: &[u8]) -> &'a Large {
        &self.header.larges[index_of(index)]
    }

    /// The entry as another page takes it over; what is outside is shared.
    pub(super) fn item(self, at: usize) -> Item<'a> {
        let (key, value) = self.entry(at);
        let form = self.slot(at).form();
        let value = match self.large(at) {
            Some(large) => Value::Large(large.clone()),
            None => Value::Inline(value),
        };
        Item { key, form, value }
    }

    /// The entry with this key. Unlike [`Page::search`] it need not look at the first key: what has another prefix is found
    /// unequal in the end.
    #[inline]
    pub(super) fn find(self, key: &[u8]) -> Option<usize> {
        let rest = key.get(usize::from(self.header.common)..)?;
        self.among_equal_heads(key, rest).ok()
    }

    /// Where the key is, or would be.
    pub(super) fn search(self, key: &[u8]) -> Result<usize, usize> {
        if self.count() == 0 {
            return Err(0);
        }
        let common = usize::from(self.header.common);
        let (start, rest) = key.split_at(common.min(key.len()));
        let at = match self.among_equal_heads(key, rest) {
            Ok(at) => return Ok(at),
            Err(at) => at,
        };
        // All keys start alike, so any of them tells. This one is near to where the caller goes on.
        let prefix = &self.key(at.min(self.count() - 1))[..common];
        match start.cmp(prefix) {
            Ordering::Less => Err(0),
            Ordering::Greater => Err(self.count()),
            Ordering::Equal => Err(at),
        }
    }

    /// Where the key is, or would be, if it starts as all others do; `rest` is what follows that.
    #[inline]
    fn among_equal_heads(self, key: &[u8], rest: &[u8]) -> Result<usize, usize> {
        let slots = self.slots();
        let head = head(rest);
        let least = u64::from(head) << 32;
        let start = slots.partition_point(|slot| u64::from_le_bytes(*slot) < least);
        let equal = slots[start..]
            .iter()
            .take_while(|slot| Slot(u64::from_le_bytes(**slot)).head() == head)
            .count();
        let (mut low, mut high) = (start, start + equal);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }
}

fn index_of(bytes: &[u8]) -> usize {
    let bytes = bytes.first_chunk().expect("an index follows the key");
    usize::from(u16::from_le_bytes(*bytes))
}

/// A page to change. Whoever calls has seen to it that there is room.
pub(super) struct PageMut<'a> {
    pub(super) header: &'a mut Header,
    pub(super) bytes: &'a mut [u8],
}

impl PageMut<'_> {
    pub(super) fn page(&self) -> Page<'_> {
        Page {
            header: self.header,
            bytes: self.bytes,
        }
    }

    /// Inserts an entry that belongs before that at `at`.
    pub(super) fn insert(&mut self, at: usize, item: Item<'_>) {
        match self.page().count().checked_sub(1) {
            None => self.header.common = u16::try_from(item.key.len()).unwrap_or(u16::MAX),
            Some(last) => {
                // Any key would do: if it has less in common with one than all have, it has as much with each.
                let common = common_bytes(self.page().key(at.min(last)), item.key);
                if common < usize::from(self.header.common) {
                    self.set_heads(common);
                }
            }
        }
        let head = head(&item.key[usize::from(self.header.common)..]);
        self.insert_slot(at, head);
        self.write(at, item);
    }

    /// Adds an entry that belongs after all others. Heads are missing until [`PageMut::finish`].
    pub(super) fn append(&mut self, item: Item<'_>) {
        let at = self.page().count();
        self.insert_slot(at, 0);
        self.write(at, item);
    }

    /// Sets the heads as they are when the page is full.
    pub(super) fn finish(&mut self) {
        let page = self.page();
        let common = match page.count().checked_sub(1) {
            Some(last) => common_bytes(page.key(0), page.key(last)),
            None => 0,
        };
        self.set_heads(common.min(usize::from(u16::MAX)));
    }

    /// Replaces the entry by one with the same key.
    pub(super) fn replace(&mut self, at: usize, item: Item<'_>) {
        self.release_large(at);
        self.write(at, item);
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.release_large(at);
        self.resize(at, 0);
        let end = self.page().count() * SLOT_BYTES;
        self.bytes
            .copy_within((at + 1) * SLOT_BYTES..end, at * SLOT_BYTES);
        self.header.count -= 1;
    }

    fn set_heads(&mut self, common: usize) {
        for at in 0..self.page().count() {
            let head = head(&self.page().key(at)[common..]);
            let slot = self.page().slot(at);
            let slot = Slot::new(head, slot.end(), slot.key_bytes(), slot.form());
            self.set_slot(at, slot);
        }
        self.header.common = common as u16;
    }

    fn set_slot(&mut self, at: usize, slot: Slot) {
        self.slots(at..at + 1)[0] = slot.0.to_le_bytes();
    }

    fn slots(&mut self, range: Range<usize>) -> &mut [[u8; SLOT_BYTES]] {
        let bytes = &mut self.bytes[range.start * SLOT_BYTES..range.end * SLOT_BYTES];
        bytes.as_chunks_mut().0
    }

    /// Inserts the slot of an entry that has no bytes yet.
    fn insert_slot(&mut self, at: usize, head: u32) {
        let end = self.page().count() * SLOT_BYTES;
        let start = at * SLOT_BYTES;
        self.bytes.copy_within(start..end, start + SLOT_BYTES);
        self.header.count += 1;
        let before = self.page().end_before(at);
        self.set_slot(at, Slot::new(head, before, 0, Form::Inline));
    }

    /// Writes what the page holds of an entry; only the head is there already.
    fn write(&mut self, at: usize, item: Item<'_>) {
        let bytes = item.page_bytes();
        self.resize(at, bytes);
        let slot = self.page().slot(at);
        let (form, key) = (item.form, item.inline_key());
        self.set_slot(at, Slot::new(slot.head(), slot.end(), key.len(), form));
        let start = self.bytes.len() - slot.end();
        let (to_key, to_value) = self.bytes[start..start + bytes].split_at_mut(key.len());
        to_key.copy_from_slice(key);
        match item.value {
            Value::Inline(value) => to_value.copy_from_slice(value),
            Value::Large(large) => {
                let index = self.header.larges.len() as u16;
                to_value.copy_from_slice(&index.to_le_bytes());
                self.header.large_bytes += large.bytes() as u64;
                self.header.larges.push(large);
            }
        }
    }

    /// Gives an entry another length; what it holds is undefined until it is written.
    fn resize(&mut self, at: usize, bytes: usize) {
        let page = self.page();
        let (end, count) = (page.bytes.len(), page.count());
        let old = page.slot(at).end() - page.end_before(at);
        if bytes == old {
            return;
        }
        let used = usize::from(self.header.used);
        let behind = end - used..end - page.slot(at).end();
        self.bytes.copy_within(behind, end - (used - old + bytes));
        let by = bytes as isize - old as isize;
        for slot in self.slots(at..count) {
            *slot = Slot(u64::from_le_bytes(*slot)).moved(by).0.to_le_bytes();
        }
        self.header.used = (used - old + bytes) as u16;
    }

    /// Lets go of what an entry has outside of the page. The last one takes over its index.
    fn release_large(&mut self, at: usize) {
        let page = self.page();
        let slot = page.slot(at);
        if slot.form() == Form::Inline {
            return;
        }
        let index = index_of(&page.inline(at)[slot.key_bytes()..]);
        let last = page.header.larges.len() - 1;
        let heir = (index != last).then(|| {
            (0..page.count())
                .find(|heir| {
                    let slot = page.slot(*heir);
                    slot.form() != Form::Inline
                        && index_of(&page.inline(*heir)[slot.key_bytes()..]) == last
                })
                .expect("each of them belongs to an entry")
        });
        if let Some(heir) = heir {
            let slot = page.slot(heir);
            let place = self.bytes.len() - slot.end() + slot.key_bytes();
            self.bytes[place..place + INDEX_BYTES].copy_from_slice(&(index as u16).to_le_bytes());
        }
        let large = self.header.larges.swap_remove(index);
        self.header.large_bytes -= large.bytes() as u64;
    }
}

#[cfg(test)]
impl Page<'_> {
    /// Panics if it breaks a rule.
    pub(super) fn check<const PAGE: usize>(self) {
        let keys: Vec<&[u8]> = (0..self.count()).map(|at| self.key(at)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "keys ascend");
        assert!(self.weight::<PAGE>() <= PAGE && self.filled() <= self.bytes.len());
        assert_eq!(self.end_before(self.count()), usize::from(self.header.used));
        let common = usize::from(self.header.common);
        let mut indices = Vec::new();
        let mut weights = 0;
        for (at, key) in keys.iter().enumerate() {
            let (slot, (same, value)) = (self.slot(at), self.entry(at));
            assert_eq!((*key, &key[..common]), (same, &keys[0][..common]));
            assert_eq!(slot.head(), head(&key[common..]));
            let form = Form::of::<PAGE>(key.len(), value.len());
            assert_eq!(slot.form(), form);
            weights += self.weight_of::<PAGE>(at);
            assert_eq!(self.item(at).weight::<PAGE>(), self.weight_of::<PAGE>(at));
            if form != Form::Inline {
                indices.push(index_of(&self.inline(at)[slot.key_bytes()..]));
            }
        }
        assert_eq!(weights, self.weight::<PAGE>());
        indices.sort_unstable();
        assert!(indices.into_iter().eq(0..self.header.larges.len()));
        let outside = self.header.larges.iter().map(Large::bytes).sum::<usize>();
        assert_eq!(outside as u64, self.header.large_bytes);
    }
}
