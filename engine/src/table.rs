//! The typed view of a key space.

use crate::error::RowError;
use crate::key::Key;
use crate::root::{Range, Read, Space, prefix_end};
use crate::txn::Txn;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::ops::Bound;

/// A row: any serde type, written as positional MessagePack.
///
/// Rows are a format on disk: append fields with a default, never reorder or remove. Enum variants are written by name.
/// Use `serde_bytes` for bytes.
pub trait Row: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> Row for T {}

/// A key space with typed keys and rows. Costs nothing: it is a `const`.
pub struct Table<K, V> {
    space: Space,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Clone for Table<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Table<K, V> {}

impl<K: Key, V: Row> Table<K, V> {
    /// The table in a key space.
    pub const fn new(space: Space) -> Self {
        Table {
            space,
            types: PhantomData,
        }
    }

    /// Its key space.
    pub const fn space(&self) -> Space {
        self.space
    }

    /// The row at `key`.
    ///
    /// # Errors
    ///
    /// The stored row does not decode as `V`.
    pub fn get(&self, read: &impl Read, key: &K) -> Result<Option<V>, RowError> {
        let value = read.get(self.space, &encoded(key));
        value.map(|value| self.decode_row(value)).transpose()
    }

    /// Is there a row at `key`?
    pub fn contains(&self, read: &impl Read, key: &K) -> bool {
        read.get(self.space, &encoded(key)).is_some()
    }

    /// Writes the row at `key`, replacing what was there.
    ///
    /// # Panics
    ///
    /// If the row can't be serialized, which is a bug in its type.
    pub fn put(&self, txn: &mut Txn, key: &K, row: &V) {
        let mut value = Vec::with_capacity(ROW_BYTES);
        rmp_serde::encode::write(&mut value, row).expect("row types serialize");
        txn.put(self.space, &encoded(key), &value);
    }

    /// Deletes the row at `key`; says whether there was one.
    pub fn delete(&self, txn: &mut Txn, key: &K) -> bool {
        txn.delete(self.space, &encoded(key))
    }

    /// Deletes every row whose key starts with `prefix` (`&()` for all); says how many there were.
    pub fn delete_prefix(&self, txn: &mut Txn, prefix: &impl Key) -> u64 {
        txn.delete_prefix(self.space, &encoded(prefix))
    }

    /// The rows whose key starts with `prefix`: `&()` for all, `&(a,)` for a table of `(A, B)`.
    pub fn scan<'a, R: Read, P: Key>(&self, read: &'a R, prefix: &P) -> Scan<'a, K, V> {
        self.scan_from(read, prefix, Bound::Unbounded)
    }

    /// As [`scan`](Self::scan), starting at or after a key.
    pub fn scan_from<'a, R: Read, P: Key>(
        &self,
        read: &'a R,
        prefix: &P,
        after: Bound<&K>,
    ) -> Scan<'a, K, V> {
        let prefix = encoded(prefix);
        let end = prefix_end(&prefix);
        let after = after.map(encoded);
        let from = match &after {
            Bound::Included(key) | Bound::Excluded(key) if *key >= prefix => borrowed(&after),
            _ => Bound::Included(&prefix[..]),
        };
        self.rows(read.range(
            self.space,
            from,
            end.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
        ))
    }

    /// The rows between two keys.
    pub fn scan_range<'a, R: Read>(
        &self,
        read: &'a R,
        from: Bound<&K>,
        to: Bound<&K>,
    ) -> Scan<'a, K, V> {
        let (from, to) = (from.map(encoded), to.map(encoded));
        self.rows(read.range(self.space, borrowed(&from), borrowed(&to)))
    }

    fn rows<'a>(&self, range: Range<'a>) -> Scan<'a, K, V> {
        Scan {
            table: *self,
            range,
        }
    }

    fn decode_row(&self, value: &[u8]) -> Result<V, RowError> {
        rmp_serde::from_slice(value).map_err(|error| self.row_error(error.to_string()))
    }

    fn decode_key(&self, mut key: &[u8]) -> Result<K, RowError> {
        match K::decode(&mut key) {
            Some(decoded) if key.is_empty() => Ok(decoded),
            _ => Err(self.row_error("its key has another form".into())),
        }
    }

    fn row_error(&self, reason: String) -> RowError {
        RowError {
            space: self.space.name,
            reason,
        }
    }
}

/// Most rows fit, and so are not copied while they are written.
const ROW_BYTES: usize = 512;

fn encoded(key: &impl Key) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    key.encode(&mut bytes);
    bytes
}

fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// Rows in key order; from [`Table::scan`] and its kin.
pub struct Scan<'a, K, V> {
    table: Table<K, V>,
    range: Range<'a>,
}

impl<K: Key, V: Row> Scan<'_, K, V> {
    fn row(&self, (key, value): (&[u8], &[u8])) -> Result<(K, V), RowError> {
        Ok((self.table.decode_key(key)?, self.table.decode_row(value)?))
    }
}

impl<K: Key, V: Row> Iterator for Scan<'_, K, V> {
    type Item = Result<(K, V), RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.range.next()?;
        Some(self.row(entry))
    }
}

impl<K: Key, V: Row> DoubleEndedIterator for Scan<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let entry = self.range.next_back()?;
        Some(self.row(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Store};

    const TABLE: Table<(String, u32), u64> = Table::new(Space::new(0x0401, "test/rows"));

    fn key(name: &str, number: u32) -> (String, u32) {
        (name.to_string(), number)
    }

    fn store() -> Store {
        let store = Store::ephemeral(Options::default());
        let filled = store.commit(|txn| {
            for (name, number) in [("a", 1), ("a", 2), ("a", 300), ("ab", 1), ("b", 1)] {
                TABLE.put(txn, &key(name, number), &u64::from(number));
            }
            Ok::<_, ()>(())
        });
        filled
            .wait()
            .expect("memory does not fail")
            .expect("nor does the closure");
        store
    }

    fn shown(rows: impl Iterator<Item = Result<((String, u32), u64), RowError>>) -> String {
        let rows: Vec<_> = rows
            .map(|row| row.expect("it was put as it is read").0)
            .collect();
        rows.iter()
            .map(|(name, number)| format!("{name}{number}"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn scans_stay_within_prefix_and_bounds() {
        use Bound::{Excluded, Included, Unbounded};
        let view = store().view();
        let a = ("a".to_string(),);
        assert_eq!(shown(TABLE.scan(&view, &())), "a1 a2 a300 ab1 b1");
        assert_eq!(shown(TABLE.scan(&view, &a)), "a1 a2 a300");
        assert_eq!(shown(TABLE.scan(&view, &a).rev()), "a300 a2 a1");
        assert_eq!(
            shown(TABLE.scan_from(&view, &a, Excluded(&key("a", 2)))),
            "a300"
        );
        assert_eq!(
            shown(TABLE.scan_from(&view, &a, Included(&key("a", 2)))),
            "a2 a300"
        );
        assert_eq!(
            shown(TABLE.scan_from(&view, &a, Included(&key("", 9)))),
            "a1 a2 a300"
        );
        assert_eq!(
            shown(TABLE.scan_from(&view, &a, Included(&key("b", 1)))),
            ""
        );
        assert_eq!(
            shown(TABLE.scan_range(&view, Excluded(&key("a", 2)), Included(&key("ab", 1)))),
            "a300 ab1"
        );
        assert_eq!(
            shown(TABLE.scan_range(&view, Unbounded, Excluded(&key("a", 2)))),
            "a1"
        );
    }

    #[test]
    fn a_row_of_another_type_is_an_error_not_a_panic() {
        let other: Table<(String,), String> = Table::new(TABLE.space());
        let error = other
            .scan(&store().view(), &())
            .next()
            .expect("there are rows")
            .expect_err("of another key type");
        assert_eq!(error.space, "test/rows");
    }

    #[test]
    fn deletes_say_what_was_there() {
        let store = store();
        let deleted = store.commit(|txn| {
            let one = TABLE.delete(txn, &key("b", 1));
            let again = TABLE.delete(txn, &key("b", 1));
            Ok::<_, ()>((one, again, TABLE.delete_prefix(txn, &("a".to_string(),))))
        });
        assert_eq!(
            deleted.wait().expect("memory does not fail"),
            Ok((true, false, 3))
        );
        assert_eq!(shown(TABLE.scan(&store.view(), &())), "ab1");
        assert!(TABLE.contains(&store.view(), &key("ab", 1)));
        assert_eq!(
            TABLE.get(&store.view(), &key("a", 1)).expect("it decodes"),
            None
        );
    }
}
