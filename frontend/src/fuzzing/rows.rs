//! Any bytes as stored rows.

use cumulog_engine::{Key, Options, Read as _, Row, RowError, Space, Store, Table};

use crate::{services::fuzzing::try_rows, tables::TableVisitor};

/// Key and value in the key space that the first two bytes name: an error, or a row that is stored as it was found.
///
/// A key that decodes encodes to itself. A value may be spelt in more than one way; once written by us it stays as it is.
/// The third byte is the key's length.
pub fn row(input: &[u8]) {
    let &[low, high, key_bytes, ref rest @ ..] = input else {
        return;
    };
    let (key, value) = rest.split_at(rest.len().min(key_bytes.into()));
    try_rows(&Trial {
        store: Store::ephemeral(Options::default()),
        space: u32::from(u16::from_le_bytes([low, high])),
        key,
        value,
    });
}

/// A row to try on the tables of every service.
pub(crate) struct Trial<'a> {
    store: Store,
    pub(crate) space: u32,
    key: &'a [u8],
    pub(crate) value: &'a [u8],
}

impl TableVisitor for Trial<'_> {
    /// Reads and rewrites it, if it is of this table.
    fn on<K: Key, V: Row>(&self, table: Table<K, V>) {
        let space = table.space();
        if space.id != self.space {
            return;
        }
        let rewrite = self.store.commit::<(), std::convert::Infallible>(|txn| {
            txn.put(space, self.key, self.value);
            let Some(Ok((key, row))) = table.scan(txn, &()).next() else {
                return Ok(());
            };
            table.put(txn, &key, &row);
            assert_eq!(table.scan(txn, &()).count(), 1, "the key changed");
            let written = txn
                .get(space, self.key)
                .expect("the key is the same")
                .to_vec();
            let again = table.get(txn, &key).expect("what was written reads");
            table.put(txn, &key, &again.expect("it was written"));
            assert_eq!(txn.get(space, self.key), Some(&written[..]));
            Ok(())
        });
        let done = rewrite.wait();
        assert_eq!(done.expect("a store in memory can't fail"), Ok(()));
    }

    /// Reads it, if it is of this key space.
    fn raw(&self, space: Space, decode: fn(&[u8]) -> Result<(), RowError>) {
        if space.id == self.space {
            // An error is as good as a row.
            let _ = decode(self.value);
        }
    }
}
