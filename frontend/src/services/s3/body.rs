//! The bytes of objects: streamed into blobs of the engine and out of them, shared by reference.
//!
//! An object's content is a list of [`Piece`]s, each a slice of a blob: copies and multipart completions share blobs and
//! copy no bytes. A blob has as many references as there are pieces of it; the transaction that writes or deletes a row
//! with pieces takes or gives back its references. How bodies and rows stay together through a crash is the engine's to
//! say. No more than a few MiB of a body are ever in memory, and whatever may wait for a disk is done by threads that may.

use super::error::S3Error;
use super::rows::OBJECTS;
use crate::call::Call;
use bytes::{Bytes, BytesMut};
use cumulog_engine::{Blob, BlobId, BlobReader, BlobWriter, Error, PIECE_BYTES, Txn, View};
use cumulog_shape::ByteStream;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// A slice of a stored body. Part of rows: append only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Piece {
    /// A blob's id.
    body: u64,
    offset: u64,
    bytes: u64,
}

impl Piece {
    pub(super) fn blob(&self) -> BlobId {
        BlobId(self.body)
    }
}

/// A body on its way in. Dropped, it leaves nothing.
pub(super) struct Upload {
    /// `None` after a write that was given up.
    writer: Option<BlobWriter>,
    bytes: u64,
}

impl Upload {
    pub(super) fn new(call: &Call) -> Upload {
        let writer = call.store().blob_writer(OBJECTS.space());
        Upload {
            writer: Some(writer),
            bytes: 0,
        }
    }

    /// How many bytes came so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next bytes.
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<(), S3Error> {
        self.bytes += bytes.len() as u64;
        let mut writer = self.writer.take().ok_or_else(given_up)?;
        if bytes.len() <= writer.room() {
            writer.write(&bytes)?;
            self.writer = Some(writer);
            return Ok(());
        }
        let written = waiting(move || {
            writer.write(&bytes)?;
            Ok(writer)
        });
        self.writer = Some(written.await?);
        Ok(())
    }

    /// All of it is here. An empty body is stored nowhere.
    pub(super) async fn finish(self) -> Result<Body, S3Error> {
        let writer = self.writer.ok_or_else(given_up)?;
        let blob = match self.bytes {
            0 => None,
            _ if writer.needs_disk() => Some(waiting(move || writer.finish()).await?),
            _ => Some(writer.finish()?),
        };
        Ok(Body { blob })
    }
}

fn given_up() -> S3Error {
    S3Error::Broken("an earlier piece of this body could not be written".to_owned())
}

/// Runs what may wait for a disk where it keeps nobody else waiting.
async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, S3Error> {
    match spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => Err(S3Error::Broken(error.to_string())),
    }
}

/// A body that is all here. Dropped before [`keep`](Body::keep) is committed, it leaves nothing.
pub(super) struct Body {
    /// `None`: it is empty.
    blob: Option<Blob>,
}

impl Body {
    pub(super) fn bytes(&self) -> u64 {
        self.blob.as_ref().map_or(0, Blob::bytes)
    }

    /// Makes it part of what `txn` commits: one reference, for the pieces returned.
    pub(super) fn keep(&self, txn: &mut Txn) -> Result<Vec<Piece>, S3Error> {
        let Some(blob) = &self.blob else {
            return Ok(Vec::new());
        };
        Ok(vec![Piece {
            body: txn.attach(blob)?.0,
            offset: 0,
            bytes: blob.bytes(),
        }])
    }
}

/// Adds a reference for each piece.
pub(super) fn share(txn: &mut Txn, pieces: &[Piece]) -> Result<(), S3Error> {
    Ok(pieces
        .iter()
        .try_for_each(|piece| txn.retain(piece.blob()))?)
}

/// Takes a reference for each piece back. Bodies that have none left go.
pub(super) fn release(txn: &mut Txn, pieces: &[Piece]) -> Result<(), S3Error> {
    Ok(pieces
        .iter()
        .try_for_each(|piece| txn.release(piece.blob()))?)
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
///
/// The first bytes are read at once: damage there is still an error, and not an answer that breaks off.
pub(super) async fn open(view: View, pieces: Vec<Piece>) -> Result<ByteStream, S3Error> {
    let bytes = bytes(&pieces);
    let mut reader = Reader::new(view, pieces);
    if bytes <= PIECE_BYTES as u64 {
        return Ok(reader.collect().await?.into());
    }
    let first = reader.next().await?;
    let rest = stream::unfold(reader, async |mut reader| {
        let next = reader.next().await.transpose()?;
        Some((next, reader))
    });
    let chunks = stream::iter(first.map(Ok)).chain(rest);
    let chunks = chunks.map(|chunk| chunk.map_err(|error| format!("{error:?}").into()));
    Ok(ByteStream::new(chunks, Some(bytes)))
}

/// Reads content, at most [`PIECE_BYTES`] at a time.
pub(super) struct Reader {
    view: View,
    /// What is still to be read.
    pieces: VecDeque<Piece>,
    /// The first piece's blob, once it is looked at.
    blob: Option<Arc<BlobReader>>,
}

impl Reader {
    pub(super) fn new(view: View, pieces: Vec<Piece>) -> Reader {
        Reader {
            view,
            pieces: pieces.into(),
            blob: None,
        }
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, S3Error> {
        let Some(piece) = self.pieces.front_mut().filter(|piece| piece.bytes > 0) else {
            return Ok(None);
        };
        let blob = match &self.blob {
            Some(blob) => blob.clone(),
            None => Arc::new(self.view.open_blob(piece.blob())?),
        };
        let (index, start) = (
            piece.offset / PIECE_BYTES as u64,
            (piece.offset % PIECE_BYTES as u64) as usize,
        );
        let read = blob.clone();
        let found = if blob.needs_disk() {
            waiting(move || read.piece(index)).await?
        } else {
            read.piece(index)?
        };
        let wanted = usize::try_from(piece.bytes).unwrap_or(usize::MAX);
        let end = found.len().min(start.saturating_add(wanted));
        if start >= end {
            let (body, offset) = (piece.body, piece.offset);
            return Err(S3Error::Broken(format!(
                "body {body:016x} has no byte {offset}"
            )));
        }
        piece.offset += (end - start) as u64;
        piece.bytes -= (end - start) as u64;
        if piece.bytes == 0 {
            self.pieces.pop_front();
            self.blob = None;
        } else {
            self.blob = Some(blob);
        }
        Ok(Some(Bytes::from(found).slice(start..end)))
    }

    /// All of it, for content that is known to be small.
    async fn collect(&mut self) -> Result<Bytes, S3Error> {
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        if self.pieces.is_empty() {
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while let Some(next) = self.next().await? {
            whole.extend_from_slice(&next);
        }
        Ok(whole.freeze())
    }
}

/// Fails unless the stored bodies are those of `pieces`, each with as many references as it has pieces.
#[cfg(test)]
pub(super) fn audit(view: &View, pieces: &[Piece]) {
    use std::collections::BTreeMap;
    let mut references: BTreeMap<BlobId, u64> = BTreeMap::new();
    for piece in pieces {
        *references.entry(piece.blob()).or_default() += 1;
    }
    let blobs = view.blobs().map(|blob| blob.expect("it decodes"));
    let stored: BTreeMap<BlobId, u64> = blobs.map(|blob| (blob.id, blob.references)).collect();
    assert_eq!(stored, references);
}

#[cfg(test)]
mod tests {
    use super::*;
    use cumulog_engine::{Options, Read, Space, Store, Table};

    fn upload(store: &Store) -> Upload {
        Upload {
            writer: Some(store.blob_writer(OBJECTS.space())),
            bytes: 0,
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

    async fn receive(store: &Store, content: &Bytes, step: usize) -> Body {
        let mut upload = upload(store);
        for part in content.chunks(step) {
            let written = upload.write(content.slice_ref(part)).await;
            written.expect("there is space");
        }
        upload.finish().await.expect("there is space")
    }

    /// Stores `content` in pieces of `step` bytes.
    fn stored(store: &Store, content: &Bytes, step: usize) -> Vec<Piece> {
        let body = block_on(receive(store, content, step));
        assert_eq!(body.bytes(), content.len() as u64);
        commit(store, |txn| body.keep(txn))
    }

    fn read(store: &Store, pieces: &[Piece]) -> Bytes {
        block_on(async {
            let stream = open(store.view(), pieces.to_vec()).await;
            let stream = stream.expect("it is there");
            assert_eq!(stream.length(), Some(bytes(pieces)));
            stream.collect(1 << 30).await.expect("it is there")
        })
    }

    #[test]
    fn bodies_come_back_however_long_and_however_cut() {
        let store = Store::ephemeral(Options::default());
        for bytes in [
            0,
            1,
            5000,
            PIECE_BYTES - 1,
            PIECE_BYTES,
            PIECE_BYTES + 1,
            3 * PIECE_BYTES,
            3 * PIECE_BYTES + 5,
        ] {
            for step in [100_000, PIECE_BYTES, 5 * PIECE_BYTES] {
                let content = content(bytes);
                let pieces = stored(&store, &content, step);
                assert_eq!(read(&store, &pieces), content, "{bytes} bytes by {step}");
            }
        }
    }

    #[test]
    fn slices_read_what_they_name() {
        let store = Store::ephemeral(Options::default());
        let (a, b) = (content(PIECE_BYTES + 10), content(20));
        let mut pieces = stored(&store, &a, PIECE_BYTES);
        pieces.extend(stored(&store, &b, 20));
        let whole = [&a[..], &b[..]].concat();
        let end = whole.len();
        for range in [
            0..0,
            0..end,
            5..6,
            PIECE_BYTES - 1..PIECE_BYTES + 1,
            PIECE_BYTES + 5..end,
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
        let content = content(2 * PIECE_BYTES);
        let pieces = stored(&store, &content, PIECE_BYTES);
        commit(&store, |txn| share(txn, &pieces));
        commit(&store, |txn| release(txn, &pieces));
        assert_eq!(read(&store, &pieces), content);
        commit(&store, |txn| release(txn, &pieces));
        audit(&store.view(), &[]);
        assert_eq!(store.garbage().spilled_bytes, 0);
        let gone = block_on(open(store.view(), pieces));
        assert!(gone.is_err());
    }

    #[test]
    fn an_upload_that_ends_early_leaves_nothing() {
        let store = Store::ephemeral(Options::default());
        let mut upload = upload(&store);
        block_on(upload.write(content(3 * PIECE_BYTES))).expect("there is space");
        assert!(store.garbage().spilled_bytes > 0);
        drop(upload);
        let body = block_on(receive(&store, &content(3 * PIECE_BYTES), PIECE_BYTES));
        assert!(store.garbage().spilled_bytes > 0);
        drop(body);
        assert_eq!(store.garbage().spilled_bytes, 0);
        audit(&store.view(), &[]);
    }

    #[test]
    fn a_reset_during_an_upload_leaves_it_whole() {
        let store = Store::ephemeral(Options::default());
        let content = content(3 * PIECE_BYTES);
        let body = block_on(receive(&store, &content, PIECE_BYTES));
        store.reset().wait().expect("memory does not fail");
        let pieces = commit(&store, |txn| body.keep(txn));
        assert_eq!(read(&store, &pieces), content);
    }

    /// Data directories live longer than programs: whoever changes a row must see that old ones are still read.
    #[test]
    fn rows_are_on_disk_as_they_always_were() {
        const PIECES: Table<(), Vec<Piece>> = Table::new(Space::new(0x01ff, "s3/test"));
        let store = Store::ephemeral(Options::default());
        let pieces = vec![Piece {
            body: 7,
            offset: 0,
            bytes: 300,
        }];
        commit(&store, |txn| {
            PIECES.put(txn, &(), &pieces);
            Ok(())
        });
        let view = store.view();
        let row = view.get(PIECES.space(), &[]).expect("it was put");
        assert_eq!(row, [0x91, 0x93, 7, 0, 0xcd, 1, 44]);
    }
}
