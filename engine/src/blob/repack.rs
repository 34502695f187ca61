//! Moving bodies out of packs that are mostly garbage, so that those can go. A part of compaction.
//!
//! A body is read, held against its checksum, and appended to the pack of this opening, as a new one would be. Then a
//! transaction changes the place in its row, if that is still the same. From there on the old range is garbage like any
//! other: it waits until the change is synced and no view shows the old place. So a crash finds the row with the one
//! place or the other, and at each of them the body.
//!
//! What can't be read or written is left where it is, for the next time.

use super::Blobs;
use super::garbage::Dead;
use super::row::{DURABLE, Place, Row};
use super::writer::{Body, Fate};
use crate::root::Root;
use crate::sync::Mutex;
use crate::txn::Txn;
use std::sync::Arc;

/// A body in a pack that is mostly garbage.
#[derive(Debug)]
pub(crate) struct Stray {
    id: u64,
    row: Row,
}

/// A copy of it elsewhere.
pub(crate) struct Moved {
    /// Gives its range back if no row comes to refer to it.
    body: Arc<Body>,
    from: Place,
}

impl Blobs {
    /// How much garbage a compaction could make go.
    pub(crate) fn sparse_bytes(&self) -> u64 {
        self.home
            .as_ref()
            .map_or(0, |home| home.packs.lock().sparse_bytes())
    }

    /// What is worth moving.
    pub(crate) fn strays(&self, root: &Root) -> Vec<Stray> {
        let sparse = self.home.as_ref().map(|home| home.packs.lock().sparse());
        let Some(sparse) = sparse.filter(|sparse| !sparse.is_empty()) else {
            return Vec::new();
        };
        let is_in_one =
            |row: &Row| matches!(row.place, Place::Pack(pack, _) if sparse.contains(&pack));
        // A row that doesn't decode refers to nothing that could be found.
        let rows = DURABLE.rows.scan(root, &()).flatten();
        let strays = rows.filter(|(_, row)| is_in_one(row));
        strays.map(|((id,), row)| Stray { id, row }).collect()
    }

    /// Copies a body to the pack that is appended to; `None`: it stays where it is.
    pub(crate) fn copy(self: &Arc<Self>, stray: Stray) -> Option<Moved> {
        let home = self.home.as_ref()?;
        let Stray { id, row } = stray;
        let bytes = self.open(id, row.clone()).ok()?.piece(0).ok()?;
        let appended = home.append(&bytes, || self.new_id());
        self.note_space(&appended);
        let (pack, offset) = appended.ok()?;
        let body = Body {
            blobs: self.clone(),
            id,
            row: Row {
                place: Place::Pack(pack, offset),
                synced: home.syncs_first,
                ..row.clone()
            },
            fate: Mutex::new(Fate::Free),
        };
        Some(Moved {
            body: Arc::new(body),
            from: row.place,
        })
    }
}

impl Txn {
    /// Lets the row of a body that was copied refer to the copy, unless it changed since.
    pub(crate) fn relocate(&mut self, moved: &Moved) {
        let (body, key) = (&moved.body, (moved.body.id,));
        let is_same = DURABLE
            .rows
            .get(self, &key)
            .is_ok_and(|row| row.is_some_and(|row| row.place == moved.from));
        if is_same {
            DURABLE.rows.put(self, &key, &body.row);
            let old = Row {
                place: moved.from.clone(),
                ..body.row.clone()
            };
            self.blobs.replace(body, Dead::of(body.id, old));
        }
    }
}
