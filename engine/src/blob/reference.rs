//! Blobs in transactions: rows come and go with the references to them.

use super::BlobId;
use super::garbage::Dead;
use super::row::{DURABLE, EPHEMERAL, Row, Spaces};
use super::writer::{Blob, Body, Fate};
use crate::error::{Error, RowError};
use crate::root::{Root, View};
use crate::txn::Txn;
use std::fmt;
use std::mem;
use std::sync::Arc;

/// What a transaction, or a batch of them, does to blobs.
#[derive(Default)]
pub(crate) struct Changes {
    attached: Vec<Arc<Body>>,
    pub(crate) dead: Vec<Dead>,
}

impl Changes {
    /// Adds those of a later transaction.
    pub(crate) fn append(&mut self, mut later: Changes) {
        self.attached.append(&mut later.attached);
        self.dead.append(&mut later.dead);
    }

    /// They were not made, and no crash can make them.
    pub(crate) fn undo(&mut self) {
        self.dead.clear();
        for body in mem::take(&mut self.attached) {
            *body.fate.lock() = Fate::Free;
        }
    }

    /// A row refers to this body now, and no longer to the `dead` one.
    pub(super) fn replace(&mut self, body: &Arc<Body>, dead: Option<Dead>) {
        *body.fate.lock() = Fate::Taken;
        self.attached.push(body.clone());
        self.dead.extend(dead);
    }

    fn kill(&mut self, id: u64, row: Row) {
        self.dead.extend(Dead::of(id, row));
    }

    /// Every blob of a state goes.
    pub(crate) fn kill_all(&mut self, root: &Root) {
        for spaces in [DURABLE, EPHEMERAL] {
            // A row that doesn't decode refers to nothing that could be found.
            let rows = spaces.rows.scan(root, &()).flatten();
            rows.for_each(|((id,), row)| self.kill(id, row));
        }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("attached", &self.attached.len())
            .field("dead", &self.dead)
            .finish()
    }
}

/// A blob; from [`View::blobs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobInfo {
    /// Its id.
    pub id: BlobId,
    /// Its length.
    pub bytes: u64,
    /// How many references it has.
    pub references: u64,
}

impl View {
    /// All blobs, in the order of their ids.
    pub fn blobs(&self) -> impl Iterator<Item = Result<BlobInfo, RowError>> {
        let spaces = [DURABLE, EPHEMERAL];
        spaces.into_iter().flat_map(move |spaces| {
            spaces.rows.scan(self, &()).map(move |row| {
                let (key, row) = row?;
                let shares = spaces.shares.get(self, &key)?.unwrap_or(0);
                Ok(BlobInfo {
                    id: BlobId(key.0),
                    bytes: row.bytes,
                    references: shares + 1,
                })
            })
        })
    }
}

impl Txn {
    /// Makes a finished body part of the state, with one reference. Attaching it again adds another.
    ///
    /// # Errors
    ///
    /// It was attached before, and released since.
    pub fn attach(&mut self, blob: &Blob) -> Result<BlobId, Error> {
        let body = &blob.0;
        let mut fate = body.fate.lock();
        if *fate == Fate::Taken {
            drop(fate);
            self.retain(blob.id())?;
            return Ok(blob.id());
        }
        *fate = Fate::Taken;
        drop(fate);
        self.blobs.attached.push(body.clone());
        let rows = Spaces::of(body.id).rows;
        rows.put(self, &(body.id,), &body.row);
        Ok(blob.id())
    }

    /// Adds a reference to a blob.
    ///
    /// # Errors
    ///
    /// There is no such blob.
    pub fn retain(&mut self, id: BlobId) -> Result<(), Error> {
        let (spaces, key) = (Spaces::of(id.0), (id.0,));
        if !spaces.rows.contains(self, &key) {
            return Err(Error::NoSuchBlob { id: id.0 });
        }
        let shares = spaces.shares.get(self, &key)?.unwrap_or(0);
        spaces.shares.put(self, &key, &(shares + 1));
        Ok(())
    }

    /// Takes a reference back. With the last one the blob goes; views that show it can still read it.
    ///
    /// # Errors
    ///
    /// There is no such blob.
    pub fn release(&mut self, id: BlobId) -> Result<(), Error> {
        let (spaces, key) = (Spaces::of(id.0), (id.0,));
        match spaces.shares.get(self, &key)? {
            Some(shares) if shares > 1 => spaces.shares.put(self, &key, &(shares - 1)),
            Some(_) => {
                spaces.shares.delete(self, &key);
            }
            None => {
                let row = spaces.rows.get(self, &key)?;
                let row = row.ok_or(Error::NoSuchBlob { id: id.0 })?;
                spaces.rows.delete(self, &key);
                self.blobs.kill(id.0, row);
            }
        }
        Ok(())
    }
}
