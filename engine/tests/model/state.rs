//! What a store must hold, by plain maps.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use cumulog_engine::disk::Simulated;
use cumulog_engine::{BlobId, Error, Lsn, PIECE_BYTES, Read, Space, View};

use crate::steps::SPACES;

/// The key spaces; the last one is not logged.
pub(crate) const SPACE: [Space; SPACES] = [
    Space::new(0x1000, "test/first"),
    Space::new(0x1001, "test/second"),
    Space::new(0xffff_ffff, "test/last"),
    Space::new(0x1002, "test/unlogged"),
];

pub(crate) fn is_logged(space: usize) -> bool {
    space + 1 < SPACES
}

pub(crate) type Rows = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// A state: what a view that shows it must show.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    pub(crate) rows: [Rows; SPACES],
    pub(crate) blobs: BTreeMap<BlobId, Body>,
}

/// A body that rows could refer to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Body {
    pub(crate) references: u64,
    pub(crate) bytes: usize,
    pub(crate) seed: u64,
    pub(crate) is_logged: bool,
}

impl State {
    /// What is left of it after the store was opened anew.
    pub(crate) fn logged(&self) -> State {
        let mut state = self.clone();
        state.rows[SPACES - 1].clear();
        state.blobs.retain(|_, body| body.is_logged);
        state
    }

    pub(crate) fn range(
        &self,
        space: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Vec<(&[u8], &[u8])> {
        let above = |key: &[u8]| match from {
            Bound::Included(from) => key >= from,
            Bound::Excluded(from) => key > from,
            Bound::Unbounded => true,
        };
        let below = |key: &[u8]| match to {
            Bound::Included(to) => key <= to,
            Bound::Excluded(to) => key < to,
            Bound::Unbounded => true,
        };
        let rows = self.rows[space]
            .iter()
            .map(|(key, value)| (&key[..], &value[..]));
        rows.filter(|(key, _)| above(key) && below(key)).collect()
    }
}

/// Every row that a reader sees.
fn rows_of(read: &impl Read) -> [Rows; SPACES] {
    SPACE.map(|space| {
        let rows = read.range(space, Bound::Unbounded, Bound::Unbounded);
        rows.map(|(key, value)| (key.to_vec(), value.into()))
            .collect()
    })
}

/// Whether the view shows this state: rows, counts, and which blobs there are.
pub(crate) fn shows(view: &View, state: &State) -> bool {
    let counts = SPACE.map(|space| view.count(space));
    let blobs = view.blobs().map(|blob| blob.expect("it decodes"));
    let blobs: Vec<_> = blobs
        .map(|blob| (blob.id, blob.bytes, blob.references))
        .collect();
    let expected: Vec<_> = state
        .blobs
        .iter()
        .map(|(id, body)| (*id, body.bytes as u64, body.references))
        .collect();
    rows_of(view) == state.rows
        && counts == state.rows.each_ref().map(BTreeMap::len)
        && blobs == expected
}

/// Fails unless the view shows exactly this.
pub(crate) fn require(view: &View, lsn: Lsn, state: &State) {
    assert_eq!(view.lsn(), lsn);
    for (space, rows) in rows_of(view).iter().enumerate() {
        assert_eq!(*rows, state.rows[space], "in {}", SPACE[space].name);
    }
    assert!(
        shows(view, state),
        "its counts or blobs differ from {:?}",
        state.blobs
    );
    require_bodies(view, state);
}

/// Fails unless every body is whole, as far as the disk can still be read.
fn require_bodies(view: &View, state: &State) {
    for (id, body) in &state.blobs {
        match require_body(view, *id, body) {
            Err(Error::Io { source, .. }) if Simulated::is_crash(&source) => return,
            result => result.expect("it is there, and whole"),
        }
    }
}

fn require_body(view: &View, id: BlobId, body: &Body) -> Result<(), Error> {
    let reader = view.open_blob(id)?;
    assert_eq!(reader.bytes(), body.bytes as u64);
    let content = content(body.seed, body.bytes);
    for (index, expected) in content.chunks(PIECE_BYTES).enumerate() {
        let piece = reader.piece(index as u64)?;
        assert!(piece == expected, "{id:?} has another content");
    }
    Ok(())
}

/// The content of the body with this seed.
pub(crate) fn content(seed: u64, bytes: usize) -> Vec<u8> {
    let block: Vec<u8> = (0..1021u64)
        .map(|index| (seed.wrapping_add(index).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
        .collect();
    block.iter().copied().cycle().take(bytes).collect()
}
