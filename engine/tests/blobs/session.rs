//! A store of named bodies, what is done to it, and how it is audited.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cumulog_engine::disk::Simulated;
use cumulog_engine::{
    BlobId, BlobReader, Durability, Error, Options, PIECE_BYTES, Space, Store, Table, Txn, View,
};

use crate::stepped::{Stepped, released};

const DIRECTORY: &str = "data/cumulog";
const BLOBS: &str = "data/cumulog/blobs";

/// Names and the blobs that they refer to: id, length, and the seed of the content.
pub(crate) const NAMES: Table<(String,), (u64, u64, u64)> =
    Table::new(Space::new(0x1000, "test/names"));

/// The same, not logged.
pub(crate) const SCRATCH: Table<(String,), (u64, u64, u64)> =
    Table::new(Space::new(0x1001, "test/scratch"));

pub(crate) const INLINE: u64 = 3000;
pub(crate) const PACKED: u64 = 9000;
pub(crate) const LARGE: u64 = PIECE_BYTES as u64 + 700;

/// One transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Put(&'static str, u64),
    Share(&'static str, &'static str),
    Delete(&'static str),
    Reset,
}

pub(crate) use Step::{Delete, Put, Reset, Share};

/// The seed and length of each name's content.
pub(crate) type State = BTreeMap<String, (u64, u64)>;

pub(crate) const STEPS: [Step; 12] = [
    Put("a", INLINE),
    Put("b", PACKED),
    Put("c", LARGE),
    Share("c", "d"),
    Put("e", PACKED + 1),
    Delete("c"),
    Put("b", LARGE + 1),
    Share("e", "a"),
    Delete("d"),
    Reset,
    Put("f", PACKED),
    Put("g", LARGE),
];

/// Made once: the same few are compared thousands of times.
pub(crate) fn content(seed: u64, bytes: u64) -> Arc<[u8]> {
    type Made = BTreeMap<(u64, u64), Arc<[u8]>>;
    static MADE: Mutex<Made> = Mutex::new(Made::new());
    let mut made = MADE.lock().expect("no panic");
    let content = made
        .entry((seed, bytes))
        .or_insert_with(|| make(seed, bytes).into());
    content.clone()
}

fn make(seed: u64, bytes: u64) -> Vec<u8> {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut out = Vec::with_capacity(bytes as usize + 8);
    while out.len() < bytes as usize {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        out.extend_from_slice(&(random ^ (random >> 29)).to_le_bytes());
    }
    out.truncate(bytes as usize);
    out
}

/// The states after 0, 1, 2, … of `steps`.
pub(crate) fn states(steps: &[Step]) -> Vec<State> {
    let mut states = vec![State::new()];
    for (index, step) in steps.iter().enumerate() {
        let mut state = states[index].clone();
        match *step {
            Put(name, bytes) => drop(state.insert(name.into(), (index as u64, bytes))),
            Share(from, to) => drop(state.insert(to.into(), state[from])),
            Delete(name) => drop(state.remove(name)),
            Reset => state.clear(),
        }
        states.push(state);
    }
    states
}

/// An open store whose log is stepped by hand.
pub(crate) struct Session {
    pub(crate) stepped: Stepped,
    pub(crate) store: Store,
}

impl Session {
    pub(crate) fn open(disk: &Simulated, durability: Durability) -> Result<Session, Error> {
        let options = Options {
            durability,
            ephemeral_spaces: vec![SCRATCH.space()],
            segment_bytes: 16 << 10,
            seed: Some(1),
            owner: "test".to_owned(),
            ..Options::default()
        };
        let (stepped, _) = Stepped::open(disk, DIRECTORY, options)?;
        let store = stepped.store.clone();
        Ok(Session { stepped, store })
    }

    pub(crate) fn settle(&mut self) {
        self.stepped.settle();
    }

    /// Lets so much time pass that the log syncs and marks by itself.
    pub(crate) fn pause(&mut self) {
        for _ in 0..3 {
            self.stepped.pause(Duration::from_millis(100));
        }
    }

    pub(crate) fn commit<T>(
        &mut self,
        change: impl FnOnce(&mut Txn) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let pending = self.store.commit(change);
        self.settle();
        released(pending)?
    }

    pub(crate) fn put(
        &mut self,
        table: Table<(String,), (u64, u64, u64)>,
        name: &str,
        seed: u64,
        bytes: u64,
    ) -> Result<(), Error> {
        let mut writer = self.store.blob_writer(table.space());
        for part in content(seed, bytes).chunks(300_001) {
            writer.write(part)?;
        }
        let blob = writer.finish()?;
        self.commit(|txn| {
            release(txn, table, name)?;
            let id = txn.attach(&blob)?;
            table.put(txn, &(name.into(),), &(id.0, bytes, seed));
            Ok(())
        })
    }

    pub(crate) fn step(&mut self, index: usize, step: Step) -> Result<(), Error> {
        match step {
            Put(name, bytes) => self.put(NAMES, name, index as u64, bytes),
            Share(from, to) => self.commit(|txn| {
                let row = NAMES.get(txn, &(from.into(),))?.expect("it is there");
                txn.retain(BlobId(row.0))?;
                release(txn, NAMES, to)?;
                NAMES.put(txn, &(to.into(),), &row);
                Ok(())
            }),
            Delete(name) => self.delete(name),
            Reset => {
                let pending = self.store.reset();
                self.settle();
                released(pending)
            }
        }
    }

    pub(crate) fn delete(&mut self, name: &str) -> Result<(), Error> {
        self.commit(|txn| release(txn, NAMES, name))
    }

    pub(crate) fn close(mut self) {
        self.stepped.close().expect("the disk is whole");
    }
}

fn release(
    txn: &mut Txn,
    table: Table<(String,), (u64, u64, u64)>,
    name: &str,
) -> Result<(), Error> {
    let key = (name.to_owned(),);
    if let Some((id, ..)) = table.get(txn, &key)? {
        txn.release(BlobId(id))?;
        table.delete(txn, &key);
    }
    Ok(())
}

pub(crate) fn read(reader: &BlobReader) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    for index in 0.. {
        let piece = reader.piece(index)?;
        if piece.is_empty() {
            break;
        }
        body.extend(piece);
    }
    Ok(body)
}

pub(crate) fn names(view: &View) -> BTreeMap<String, (u64, u64, u64)> {
    let rows = NAMES.scan(view, &()).map(|row| row.expect("it decodes"));
    rows.map(|((name,), row)| (name, row)).collect()
}

/// Reads everything, and fails unless every name has its whole body, and every body its names.
pub(crate) fn audited(view: &View) -> State {
    let names = names(view);
    let mut references = BTreeMap::<u64, u64>::new();
    for (name, (id, bytes, seed)) in &names {
        let reader = view.open_blob(BlobId(*id)).expect("it has its blob");
        assert_eq!(reader.bytes(), *bytes);
        let body = read(&reader).expect("it is whole");
        assert!(
            body[..] == content(*seed, *bytes)[..],
            "{name} has another content"
        );
        *references.entry(*id).or_default() += 1;
    }
    let blobs = view.blobs().map(|blob| blob.expect("it decodes"));
    let stored: BTreeMap<u64, u64> = blobs.map(|blob| (blob.id.0, blob.references)).collect();
    assert_eq!(stored, references);
    let state = |(name, (_, bytes, seed))| (name, (seed, bytes));
    names.into_iter().map(state).collect()
}

/// The blob files, with their lengths.
pub(crate) fn files(disk: &Simulated) -> BTreeMap<PathBuf, usize> {
    let files = disk.files().into_iter();
    let ours = files.filter(|(path, _)| path.starts_with(BLOBS));
    ours.map(|(path, bytes)| (path, bytes.len())).collect()
}

pub(crate) fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|extension| extension.to_str())
        .expect("all have one")
}

/// There are no files but those of bodies that are there.
pub(crate) fn audit_files(disk: &Simulated, store: &Store) {
    let view = store.view();
    let lengths = |extension: &str| {
        let files = files(disk).into_iter();
        let mut lengths: Vec<u64> = files
            .filter(|(path, _)| self::extension(path) == extension)
            .map(|(_, bytes)| bytes as u64)
            .collect();
        lengths.sort_unstable();
        lengths
    };
    let blobs = view.blobs().map(|blob| blob.expect("it decodes").bytes);
    let blobs: Vec<u64> = blobs.collect();
    let mut large: Vec<u64> = blobs
        .iter()
        .copied()
        .filter(|bytes| *bytes >= LARGE)
        .collect();
    large.sort_unstable();
    assert_eq!(lengths("blob"), large);
    let packed: u64 = blobs
        .iter()
        .filter(|bytes| (PACKED..LARGE).contains(bytes))
        .sum();
    let unused = store.garbage().pack_bytes;
    assert_eq!(lengths("pack").iter().sum::<u64>(), packed + unused);
    assert_eq!(lengths("pack").is_empty(), packed == 0);
    assert!(lengths("tmp").is_empty() && lengths("spill").is_empty());
}

/// A store with a body of each kind.
pub(crate) fn furnished(disk: &Simulated) -> Session {
    let mut session = Session::open(disk, Durability::Power).expect("a new disk");
    for (seed, (name, bytes)) in [("inline", INLINE), ("packed", PACKED), ("large", LARGE)]
        .into_iter()
        .enumerate()
    {
        session
            .put(NAMES, name, seed as u64, bytes)
            .expect("a whole disk");
    }
    session
}

pub(crate) fn body(view: &View, name: &str) -> Result<Vec<u8>, Error> {
    let (id, ..) = names(view)[name];
    view.open_blob(BlobId(id)).and_then(|reader| read(&reader))
}
