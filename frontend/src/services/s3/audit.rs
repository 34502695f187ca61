//! Which bodies the rows of S3 refer to, for `cumulog verify`.

use super::body::Piece;
use super::rows::{OBJECTS, PARTS, VERSIONS, VersionRow};
use cumulog_engine::{BlobId, Key, Read as _, Row, Space, Table, View};
use std::ops::Bound;

/// Gets the key space and the key of a row, and a body that it refers to.
pub(crate) type Reference<'a> = dyn FnMut(Space, &[u8], BlobId) + 'a;

/// Every reference, one for each piece. Rows that don't decode refer to nothing.
pub(crate) fn each_reference(view: &View, each: &mut Reference<'_>) {
    references(view, OBJECTS, |row| Some(&row.body), each);
    references(view, PARTS, |row| Some(&row.body), each);
    references(view, VERSIONS, VersionRow::body, each);
}

impl VersionRow {
    /// A delete marker has none.
    fn body(&self) -> Option<&Vec<Piece>> {
        self.object.as_ref().map(|object| &object.body)
    }
}

fn references<K: Key, V: Row>(
    view: &View,
    table: Table<K, V>,
    body: impl Fn(&V) -> Option<&Vec<Piece>>,
    each: &mut Reference<'_>,
) {
    let entries = view.range(table.space(), Bound::Unbounded, Bound::Unbounded);
    for ((key, _), row) in entries.zip(table.scan(view, &())) {
        let Ok((_, row)) = row else {
            continue;
        };
        for piece in body(&row).into_iter().flatten() {
            each(table.space(), key, piece.blob());
        }
    }
}
