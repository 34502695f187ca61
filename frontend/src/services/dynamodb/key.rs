//! The keys of items and index entries in the store.
//!
//! ```text
//! item    table number (8) · placement (4) · partition key · sort key, if there is one
//! entry   table number (8) · index number (4) · placement (4) · the index's keys · placement of the item (4) · its keys
//! ```
//!
//! Each key attribute is the text's UTF-8, the blob, or the number's [encoding](super::number), with zero bytes escaped
//! and a terminator, so that the items of one partition stand in the order of their sort keys. Integers are big-endian.
//!
//! # Placement
//!
//! AWS spreads partitions by a hash, and a scan returns them in its order. So do we, by the first bytes of an MD5: no
//! program comes to rely on a sorted scan, and the segments of a parallel scan are ranges of equal width.

use md5::{Digest, Md5};

use super::number::Number;
use super::value::Value;

/// Bytes before the placement: the table number.
pub(crate) const TABLE_BYTES: usize = 8;

const ESCAPE: u8 = 0x00;
const ESCAPED_ZERO: u8 = 0xFF;
const END: u8 = 0x01;

/// The prefix of all items of a table.
pub(crate) fn table_prefix(table: u64) -> [u8; TABLE_BYTES] {
    table.to_be_bytes()
}

/// The key of an item; its key attributes have been checked.
pub(crate) fn item_key(table: u64, hash: &Value, range: Option<&Value>) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(&table_prefix(table));
    push_partition(&mut key, [hash]);
    if let Some(range) = range {
        push_component(&mut key, range);
    }
    key
}

/// The prefix of all entries of an index.
pub(crate) fn index_prefix(table: u64, index: u32) -> Vec<u8> {
    [&table.to_be_bytes()[..], &index.to_be_bytes()].concat()
}

/// The key of an index entry for the item with these keys.
pub(crate) fn index_key<'v>(
    table: u64,
    index: u32,
    hash: impl IntoIterator<Item = &'v Value>,
    range: impl IntoIterator<Item = &'v Value>,
    item: impl IntoIterator<Item = &'v Value> + Clone,
) -> Vec<u8> {
    let mut key = index_prefix(table, index);
    push_partition(&mut key, hash);
    for range in range {
        push_component(&mut key, range);
    }
    key.extend_from_slice(&placement(item.clone()));
    for value in item {
        push_component(&mut key, value);
    }
    key
}

/// Appends placement and partition key.
pub(crate) fn push_partition<'v>(key: &mut Vec<u8>, hash: impl IntoIterator<Item = &'v Value>) {
    let at = key.len();
    key.extend_from_slice(&[0; 4]);
    let mut digest = Md5::new_with_prefix(b"Outliers");
    for value in hash {
        let plain = with_bytes(value, |bytes| {
            digest.update(bytes);
            push_escaped(key, bytes);
        });
        debug_assert!(plain.is_some(), "key attributes are scalars");
    }
    key[at..at + 4].copy_from_slice(&digest.finalize()[..4]);
}

fn placement<'v>(values: impl IntoIterator<Item = &'v Value>) -> [u8; 4] {
    let mut digest = Md5::new_with_prefix(b"Outliers");
    for value in values {
        with_bytes(value, |bytes| digest.update(bytes));
    }
    let digest = digest.finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// Appends one key attribute.
pub(crate) fn push_component(key: &mut Vec<u8>, value: &Value) {
    with_bytes(value, |bytes| push_escaped(key, bytes));
}

/// Appends what all values that start with `prefix` have in common.
pub(crate) fn push_component_prefix(key: &mut Vec<u8>, prefix: &Value) {
    push_component(key, prefix);
    key.truncate(key.len() - 2);
}

/// The bytes of a scalar that compare like it; `None` for other values.
fn with_bytes<T>(value: &Value, use_bytes: impl FnOnce(&[u8]) -> T) -> Option<T> {
    match value {
        Value::S(text) => Some(use_bytes(text.as_bytes())),
        Value::B(bytes) => Some(use_bytes(bytes)),
        Value::N(number) => {
            let mut encoded = Vec::with_capacity(24);
            Number::of(number).encode(&mut encoded);
            Some(use_bytes(&encoded))
        }
        _ => None,
    }
}

fn push_escaped(key: &mut Vec<u8>, bytes: &[u8]) {
    for part in bytes.split_inclusive(|byte| *byte == ESCAPE) {
        key.extend_from_slice(part);
        if part.last() == Some(&ESCAPE) {
            key.push(ESCAPED_ZERO);
        }
    }
    key.extend_from_slice(&[ESCAPE, END]);
}

/// The first key after all that start with `prefix`; `None` if there is none.
pub(crate) fn after(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    while prefix.last() == Some(&0xFF) {
        prefix.pop();
    }
    *prefix.last_mut()? += 1;
    Some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(value: &Value) -> Vec<u8> {
        let mut key = Vec::new();
        push_component(&mut key, value);
        key
    }

    #[track_caller]
    fn check_order(values: &[Value]) {
        let keys: Vec<Vec<u8>> = values.iter().map(component).collect();
        assert!(keys.is_sorted(), "{values:?}: {keys:?}");
    }

    #[test]
    fn key_attributes_sort_as_their_values_do() {
        check_order(
            &["", "\0", "\0\0", "\0a", "a", "a\0", "aa", "b", "é"]
                .map(|text| Value::S(text.into())),
        );
        check_order(
            &[
                vec![],
                vec![0],
                vec![0, 0],
                vec![0, 1],
                vec![1],
                vec![255],
                vec![255, 255],
            ]
            .map(|blob| Value::B(blob.into())),
        );
        check_order(
            &[
                "-100", "-99.5", "-1", "-0.5", "0", "0.001", "0.5", "1", "1.5", "2", "10", "11",
                "100",
            ]
            .map(|number| Value::N(number.into())),
        );
    }

    #[test]
    fn a_prefix_is_a_prefix_of_all_that_begin_with_it() {
        let mut prefix = Vec::new();
        push_component_prefix(&mut prefix, &Value::S("a\0".into()));
        assert!(component(&Value::S("a\0b".into())).starts_with(&prefix));
        assert!(!component(&Value::S("a".into())).starts_with(&prefix));
    }
}
