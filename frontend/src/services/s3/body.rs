//! The bytes of objects: written as they arrive, read chunk by chunk, shared by reference.
//!
//! A body is stored under an id that is never reused, as raw chunk rows of [`CHUNK_BYTES`] (the last one shorter) and
//! one row with its length and the number of references to it. An object's content is a list of [`Piece`]s, each a
//! slice of a body: copies and multipart completions share bodies and copy no bytes.
//!
//! # Why a crash leaves neither half an object nor garbage
//!
//! A body of one chunk is written by the transaction that needs it. Of a longer one, the chunks are committed while
//! they arrive, and nobody waits for them: the log is one sequence, so when the transaction with the row and the
//! references is durable, the chunks before it are too. That transaction counts them, because a full disk may have
//! taken some back. Without it the chunks belong to nobody: [`Upload`] deletes them when it is dropped, and after a
//! crash [`sweep`] deletes every chunk whose body has no row.

use super::error::S3Error;
use crate::call::Call;
use bytes::{Bytes, BytesMut};
use cumulog_engine::{Key as _, Label, Read, Space, Store, Table, Txn, View};
use cumulog_shape::ByteStream;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::{Bound, Range};

/// How long chunks are: large enough that rows and records cost nothing beside them, small enough to buffer one for
/// each upload and download.
pub(super) const CHUNK_BYTES: usize = 256 << 10;

pub(super) const BODIES: Table<(u64,), BodyRow> = Table::new(Space::new(0x0110, "s3/bodies"));
/// Raw bytes by body id and chunk index.
pub(super) const CHUNKS: Space = Space::new(0x0111, "s3/chunks");
/// The last body id given out, under the empty key.
pub(super) const LAST_ID: Table<(), u64> = Table::new(Space::new(0x0112, "s3/last body"));

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BodyRow {
    bytes: u64,
    /// Pieces that refer to it, of all objects and parts.
    references: u64,
    /// How long its chunks are, so that [`CHUNK_BYTES`] may change.
    chunk_bytes: u64,
}

/// A slice of a stored body. Part of rows: append only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    body: u64,
    offset: u64,
    bytes: u64,
}

/// A body on its way in. Dropped before [`keep`](Upload::keep) is durable, it deletes what it wrote.
pub(super) struct Upload {
    store: Store,
    label: Label,
    /// Set once a chunk was committed.
    id: Option<u64>,
    /// Candidate for the very first id of a store.
    seed: u64,
    chunks: u32,
    bytes: u64,
    /// The chunk in the making.
    buffer: BytesMut,
    kept: bool,
}

impl Upload {
    pub(super) fn new(call: &Call) -> Upload {
        Upload {
            store: call.store().clone(),
            label: call.label(),
            id: None,
            // Half of the numbers are left above it to count on.
            seed: call.random().u64() >> 1,
            chunks: 0,
            bytes: 0,
            buffer: BytesMut::new(),
            kept: false,
        }
    }

    /// How many bytes came so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next bytes. Waits while the log has more queued than it should.
    pub(super) async fn write(&mut self, mut bytes: Bytes) {
        self.bytes += bytes.len() as u64;
        while self.buffer.len() + bytes.len() > CHUNK_BYTES {
            let rest = bytes.split_to(CHUNK_BYTES - self.buffer.len());
            self.buffer.extend_from_slice(&rest);
            self.store.admission().await;
            self.commit_chunk();
        }
        self.buffer.extend_from_slice(&bytes);
    }

    /// Queues the buffer as the next chunk. Its result is not awaited: [`keep`](Upload::keep) counts the chunks.
    fn commit_chunk(&mut self) {
        let mut id = self.id;
        let pending = self.store.commit(|txn| {
            txn.label(self.label.clone());
            let id = match id {
                Some(id) => id,
                None => *id.insert(next_id(txn, self.seed)?),
            };
            txn.put(CHUNKS, &chunk_key(id, self.chunks), &self.buffer);
            Ok::<_, S3Error>(())
        });
        drop(pending);
        self.id = id;
        self.chunks += 1;
        self.buffer.clear();
    }

    /// Makes the body part of what `txn` commits; call [`kept`](Upload::kept) once that is done.
    ///
    /// An empty body has no pieces and is stored nowhere.
    pub(super) fn keep(&self, txn: &mut Txn) -> Result<Vec<Piece>, S3Error> {
        if self.bytes == 0 {
            return Ok(Vec::new());
        }
        let id = match self.id {
            Some(id) => id,
            None => next_id(txn, self.seed)?,
        };
        txn.put(CHUNKS, &chunk_key(id, self.chunks), &self.buffer);
        let expected = self.bytes.div_ceil(CHUNK_BYTES as u64);
        let found = chunks(txn, id).count() as u64;
        if found != expected {
            return Err(S3Error::Broken(format!(
                "{found} of {expected} chunks of this upload are stored: the disk was full or the store was reset"
            )));
        }
        let row = BodyRow {
            bytes: self.bytes,
            references: 1,
            chunk_bytes: CHUNK_BYTES as u64,
        };
        BODIES.put(txn, &(id,), &row);
        Ok(vec![Piece {
            body: id,
            offset: 0,
            bytes: self.bytes,
        }])
    }

    /// The transaction with [`keep`](Upload::keep) is committed: the body stays.
    pub(super) fn kept(mut self) {
        self.kept = true;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(id) = self.id.filter(|_| !self.kept) else {
            return;
        };
        let pending = self.store.commit(|txn| {
            // The row is there if the upload was kept but its caller went away before it heard so.
            if !BODIES.contains(txn, &(id,)) {
                delete_chunks(txn, id);
            }
            Ok::<_, S3Error>(())
        });
        // Nobody is left to hear of it. If it fails, the next start sweeps.
        drop(pending);
    }
}

/// The next body id. The first one of a store is drawn: after a reset, an upload from before must not meet its own.
fn next_id(txn: &mut Txn, seed: u64) -> Result<u64, S3Error> {
    let id = LAST_ID.get(txn, &())?.map_or(seed, |last| last + 1);
    LAST_ID.put(txn, &(), &id);
    Ok(id)
}

fn chunk_key(id: u64, index: u32) -> Vec<u8> {
    let mut key = Vec::with_capacity(12);
    (id, index).encode(&mut key);
    key
}

fn chunks(read: &impl Read, id: u64) -> impl Iterator<Item = (&[u8], &[u8])> {
    let (first, last) = (chunk_key(id, 0), chunk_key(id, u32::MAX));
    read.range(CHUNKS, Bound::Included(&first), Bound::Included(&last))
}

fn delete_chunks(txn: &mut Txn, id: u64) {
    txn.delete_prefix(CHUNKS, &id.to_be_bytes());
}

/// Adds a reference for each piece.
pub(super) fn share(txn: &mut Txn, pieces: &[Piece]) -> Result<(), S3Error> {
    for piece in pieces {
        let mut row = row(txn, piece.body)?;
        row.references += 1;
        BODIES.put(txn, &(piece.body,), &row);
    }
    Ok(())
}

/// Takes a reference for each piece back, and deletes the bodies that have none left.
pub(super) fn release(txn: &mut Txn, pieces: &[Piece]) -> Result<(), S3Error> {
    for piece in pieces {
        let mut row = row(txn, piece.body)?;
        row.references -= 1;
        if row.references > 0 {
            BODIES.put(txn, &(piece.body,), &row);
        } else {
            BODIES.delete(txn, &(piece.body,));
            delete_chunks(txn, piece.body);
        }
    }
    Ok(())
}

fn row(read: &impl Read, id: u64) -> Result<BodyRow, S3Error> {
    (BODIES.get(read, &(id,))?)
        .filter(|row| row.references > 0 && row.chunk_bytes > 0)
        .ok_or_else(|| S3Error::Broken(format!("body {id} is missing")))
}

/// The slice `range` of the content that `pieces` make, as pieces.
pub(super) fn slice(pieces: &[Piece], range: Range<u64>) -> Vec<Piece> {
    let mut start = 0;
    let mut sliced = Vec::new();
    for piece in pieces {
        let from = range.start.clamp(start, start + piece.bytes) - start;
        let to = range.end.clamp(start, start + piece.bytes) - start;
        if from < to {
            sliced.push(Piece {
                body: piece.body,
                offset: piece.offset + from,
                bytes: to - from,
            });
        }
        start += piece.bytes;
    }
    sliced
}

/// How many bytes `pieces` are together.
pub(super) fn bytes(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| piece.bytes).sum()
}

/// The content that `pieces` make, read from `view` as it is asked for. It stays as it was, whatever happens to the
/// object meanwhile.
pub(super) fn open(view: View, pieces: Vec<Piece>) -> Result<ByteStream, S3Error> {
    let bytes = bytes(&pieces);
    let mut reader = Reader::new(view, pieces);
    if bytes <= CHUNK_BYTES as u64 {
        // Most objects: an answer that is all there needs no stream.
        return Ok(reader.collect()?.into());
    }
    let chunks = std::iter::from_fn(move || reader.next().transpose());
    let chunks = chunks.map(|chunk| chunk.map_err(|error| format!("{error:?}").into()));
    Ok(ByteStream::new(
        futures_util::stream::iter(chunks),
        Some(bytes),
    ))
}

/// Reads content chunk by chunk.
pub(super) struct Reader {
    view: View,
    /// What is still to be read.
    pieces: VecDeque<Piece>,
    /// Chunk length of the first piece's body; `None` before it was looked up.
    chunk_bytes: Option<u64>,
}

impl Reader {
    pub(super) fn new(view: View, pieces: Vec<Piece>) -> Reader {
        Reader {
            view,
            pieces: pieces.into(),
            chunk_bytes: None,
        }
    }

    /// The next bytes, at most a chunk; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, S3Error> {
        let Some(piece) = self.pieces.front_mut().filter(|piece| piece.bytes > 0) else {
            return Ok(None);
        };
        let chunk_bytes = match self.chunk_bytes {
            Some(bytes) => bytes,
            None => *self
                .chunk_bytes
                .insert(row(&self.view, piece.body)?.chunk_bytes),
        };
        let missing =
            || S3Error::Broken(format!("body {} has no byte {}", piece.body, piece.offset));
        let index = u32::try_from(piece.offset / chunk_bytes).map_err(|_| missing())?;
        let chunk = self
            .view
            .get(CHUNKS, &chunk_key(piece.body, index))
            .ok_or_else(missing)?;
        let start = usize::try_from(piece.offset % chunk_bytes).map_err(|_| missing())?;
        let rest = chunk
            .get(start..)
            .filter(|rest| !rest.is_empty())
            .ok_or_else(missing)?;
        let taken = rest
            .len()
            .min(usize::try_from(piece.bytes).unwrap_or(usize::MAX));
        let bytes = Bytes::copy_from_slice(&rest[..taken]);
        piece.offset += taken as u64;
        piece.bytes -= taken as u64;
        if piece.bytes == 0 {
            self.pieces.pop_front();
            self.chunk_bytes = None;
        }
        Ok(Some(bytes))
    }

    /// All of it, for content that is known to be small.
    fn collect(&mut self) -> Result<Bytes, S3Error> {
        let Some(first) = self.next()? else {
            return Ok(Bytes::new());
        };
        if self.pieces.is_empty() {
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while let Some(chunk) = self.next()? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

/// Deletes the chunks that a crash left without a body. Before the first request: no upload is under way.
pub(super) fn sweep(store: &Store) {
    let view = store.view();
    let mut from = Vec::new();
    let mut orphans = Vec::new();
    while let Some((key, _)) = view
        .range(CHUNKS, Bound::Included(&from), Bound::Unbounded)
        .next()
    {
        let Some(id) = key.first_chunk().map(|id| u64::from_be_bytes(*id)) else {
            break;
        };
        if !BODIES.contains(&view, &(id,)) {
            orphans.push(id);
        }
        match id.checked_add(1) {
            Some(next) => from = chunk_key(next, 0),
            None => break,
        }
    }
    if orphans.is_empty() {
        return;
    }
    let swept = store.commit(|txn| {
        orphans.iter().for_each(|id| delete_chunks(txn, *id));
        Ok::<_, S3Error>(())
    });
    // A store that cannot take this cannot take requests either, and they will say so. The next start sweeps again.
    drop(swept);
}

/// Fails unless the stored bodies are those of `pieces`, each with as many references as it has pieces.
#[cfg(test)]
pub(super) fn audit(view: &View, pieces: &[Piece]) {
    use std::collections::BTreeMap;
    let mut references: BTreeMap<u64, u64> = BTreeMap::new();
    for piece in pieces {
        *references.entry(piece.body).or_default() += 1;
    }
    let bodies = BODIES.scan(view, &()).map(|row| row.expect("it decodes"));
    let stored: BTreeMap<u64, u64> = bodies.map(|((id,), row)| (id, row.references)).collect();
    assert_eq!(stored, references);
    let chunks = view.range(CHUNKS, Bound::Unbounded, Bound::Unbounded);
    let ids = chunks.map(|(key, _)| u64::from_be_bytes(*key.first_chunk().expect("an id")));
    let expected = stored.keys().flat_map(|id| {
        let bytes = BODIES
            .get(view, &(*id,))
            .expect("it decodes")
            .expect("it is stored")
            .bytes;
        std::iter::repeat_n(*id, bytes.div_ceil(CHUNK_BYTES as u64) as usize)
    });
    assert!(ids.eq(expected), "the chunks are those of the bodies");
}

#[cfg(test)]
mod tests {
    use super::*;
    use cumulog_engine::Options;

    fn upload(store: &Store) -> Upload {
        Upload {
            store: store.clone(),
            label: Label::default(),
            id: None,
            seed: 7,
            chunks: 0,
            bytes: 0,
            buffer: BytesMut::new(),
            kept: false,
        }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
            .block_on(future)
    }

    fn content(bytes: usize) -> Bytes {
        (0..bytes).map(|at| (at % 251) as u8).collect()
    }

    fn commit<T>(store: &Store, transaction: impl FnOnce(&mut Txn) -> Result<T, S3Error>) -> T {
        store
            .commit(transaction)
            .wait()
            .expect("memory does not fail")
            .expect("the transaction holds")
    }

    /// Stores `content` in pieces of `step` bytes.
    fn stored(store: &Store, content: &Bytes, step: usize) -> Vec<Piece> {
        let mut upload = upload(store);
        for part in content.chunks(step) {
            block_on(upload.write(content.slice_ref(part)));
        }
        let pieces = commit(store, |txn| upload.keep(txn));
        upload.kept();
        pieces
    }

    fn read(store: &Store, pieces: &[Piece]) -> Bytes {
        let stream = open(store.view(), pieces.to_vec()).expect("it is there");
        assert_eq!(stream.length(), Some(bytes(pieces)));
        block_on(stream.collect(1 << 30)).expect("it is there")
    }

    fn chunk_count(store: &Store) -> usize {
        store
            .view()
            .range(CHUNKS, Bound::Unbounded, Bound::Unbounded)
            .count()
    }

    #[test]
    fn bodies_come_back_however_long_and_however_cut() {
        for bytes in [
            0,
            1,
            CHUNK_BYTES - 1,
            CHUNK_BYTES,
            CHUNK_BYTES + 1,
            3 * CHUNK_BYTES,
            3 * CHUNK_BYTES + 5,
        ] {
            for step in [1000, CHUNK_BYTES, 5 * CHUNK_BYTES] {
                let store = Store::ephemeral(Options::default());
                let content = content(bytes);
                let pieces = stored(&store, &content, step);
                assert_eq!(read(&store, &pieces), content, "{bytes} bytes by {step}");
                assert_eq!(chunk_count(&store), bytes.div_ceil(CHUNK_BYTES));
            }
        }
    }

    #[test]
    fn slices_read_what_they_name() {
        let store = Store::ephemeral(Options::default());
        let (a, b) = (content(CHUNK_BYTES + 10), content(20));
        let mut pieces = stored(&store, &a, CHUNK_BYTES);
        pieces.extend(stored(&store, &b, 20));
        let whole = [&a[..], &b[..]].concat();
        let end = whole.len();
        for range in [
            0..0,
            0..end,
            5..6,
            CHUNK_BYTES - 1..CHUNK_BYTES + 1,
            CHUNK_BYTES + 5..end,
            end - 20..end,
            end - 1..end,
        ] {
            let sliced = slice(&pieces, range.start as u64..range.end as u64);
            assert_eq!(read(&store, &sliced), whole[range.clone()], "{range:?}");
            // A slice of a slice is a slice.
            let all = slice(&sliced, 0..bytes(&sliced));
            assert_eq!(all, sliced);
        }
    }

    #[test]
    fn a_body_goes_with_its_last_reference() {
        let store = Store::ephemeral(Options::default());
        let content = content(2 * CHUNK_BYTES);
        let pieces = stored(&store, &content, CHUNK_BYTES);
        commit(&store, |txn| share(txn, &pieces));
        commit(&store, |txn| release(txn, &pieces));
        assert_eq!(read(&store, &pieces), content);
        commit(&store, |txn| release(txn, &pieces));
        assert_eq!(chunk_count(&store), 0);
        assert!(
            open(store.view(), pieces)
                .expect("it is streamed")
                .length()
                .is_some()
        );
    }

    #[test]
    fn an_upload_that_ends_early_leaves_nothing() {
        let store = Store::ephemeral(Options::default());
        let mut upload = upload(&store);
        block_on(upload.write(content(3 * CHUNK_BYTES)));
        assert_eq!(chunk_count(&store), 2);
        drop(upload);
        assert_eq!(chunk_count(&store), 0);
    }

    #[test]
    fn a_reset_during_an_upload_fails_it() {
        let store = Store::ephemeral(Options::default());
        let mut upload = upload(&store);
        block_on(upload.write(content(3 * CHUNK_BYTES)));
        store.reset().wait().expect("memory does not fail");
        let kept = store
            .commit(|txn| upload.keep(txn))
            .wait()
            .expect("memory does not fail");
        assert!(kept.is_err());
    }

    #[test]
    fn a_start_sweeps_what_a_crash_left() {
        let store = Store::ephemeral(Options::default());
        let content = content(2 * CHUNK_BYTES);
        let pieces = stored(&store, &content, CHUNK_BYTES);
        for _ in 0..2 {
            let mut lost = upload(&store);
            block_on(lost.write(self::content(3 * CHUNK_BYTES)));
            std::mem::forget(lost);
        }
        assert_eq!(chunk_count(&store), 6);
        sweep(&store);
        assert_eq!(chunk_count(&store), 2);
        assert_eq!(read(&store, &pieces), content);
    }

    /// Data directories live longer than programs: whoever changes a row must see that old ones are still read.
    #[test]
    fn rows_are_on_disk_as_they_always_were() {
        const PIECES: Table<(), Vec<Piece>> = Table::new(Space::new(0x01ff, "s3/test"));
        let store = Store::ephemeral(Options::default());
        let pieces = stored(&store, &content(3), 3);
        commit(&store, |txn| {
            PIECES.put(txn, &(), &pieces);
            Ok(())
        });
        let raw = |space: Space| {
            let view = store.view();
            let mut rows = view.range(space, Bound::Unbounded, Bound::Unbounded);
            let (key, value) = rows.next().expect("there is one");
            format!("{key:02x?}:{value:02x?}")
        };
        assert_eq!(
            raw(BODIES.space()),
            "[00, 00, 00, 00, 00, 00, 00, 07]:[93, 03, 01, ce, 00, 04, 00, 00]"
        );
        assert_eq!(
            raw(CHUNKS),
            "[00, 00, 00, 00, 00, 00, 00, 07, 00, 00, 00, 00]:[00, 01, 02]"
        );
        assert_eq!(raw(LAST_ID.space()), "[]:[07]");
        assert_eq!(raw(PIECES.space()), "[]:[91, 93, 07, 00, 03]");
    }
}
