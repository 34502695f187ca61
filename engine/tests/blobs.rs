//! Blobs on a simulated disk: crashes at every operation, damage, a full disk, readers of what is deleted. Through the
//! public API only.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cumulog_engine::disk::{Crash, Fault, Faults, Loss, Operation, OperationKind, Simulated};
use cumulog_engine::{
    BlobId, BlobReader, Durability, Error, Options, PIECE_BYTES, Pace, Space, Store, Table, Txn,
    View,
};

#[path = "stepped/mod.rs"]
mod stepped;

use stepped::{Stepped, released};

const DIRECTORY: &str = "data/cumulog";
const BLOBS: &str = "data/cumulog/blobs";

/// Names and the blobs that they refer to: id, length, and the seed of the content.
const NAMES: Table<(String,), (u64, u64, u64)> = Table::new(Space::new(0x1000, "test/names"));

/// The same, not logged.
const SCRATCH: Table<(String,), (u64, u64, u64)> = Table::new(Space::new(0x1001, "test/scratch"));

const INLINE: u64 = 3000;
const PACKED: u64 = 9000;
const LARGE: u64 = PIECE_BYTES as u64 + 700;

/// One transaction.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put(&'static str, u64),
    Share(&'static str, &'static str),
    Delete(&'static str),
    Reset,
}

use Step::{Delete, Put, Reset, Share};

/// The seed and length of each name's content.
type State = BTreeMap<String, (u64, u64)>;

const STEPS: [Step; 12] = [
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
fn content(seed: u64, bytes: u64) -> Arc<[u8]> {
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
fn states(steps: &[Step]) -> Vec<State> {
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
struct Session {
    stepped: Stepped,
    store: Store,
}

impl Session {
    fn open(disk: &Simulated, durability: Durability) -> Result<Session, Error> {
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

    fn settle(&mut self) {
        self.stepped.settle();
    }

    /// Lets so much time pass that the log syncs and marks by itself.
    fn pause(&mut self) {
        for _ in 0..3 {
            self.stepped.pause(Duration::from_millis(100));
        }
    }

    fn commit<T>(&mut self, change: impl FnOnce(&mut Txn) -> Result<T, Error>) -> Result<T, Error> {
        let pending = self.store.commit(change);
        self.settle();
        released(pending)?
    }

    fn put(
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

    fn step(&mut self, index: usize, step: Step) -> Result<(), Error> {
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

    fn delete(&mut self, name: &str) -> Result<(), Error> {
        self.commit(|txn| release(txn, NAMES, name))
    }

    fn close(mut self) {
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

fn read(reader: &BlobReader) -> Result<Vec<u8>, Error> {
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

fn names(view: &View) -> BTreeMap<String, (u64, u64, u64)> {
    let rows = NAMES.scan(view, &()).map(|row| row.expect("it decodes"));
    rows.map(|((name,), row)| (name, row)).collect()
}

/// Reads everything, and fails unless every name has its whole body, and every body its names.
fn audited(view: &View) -> State {
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
fn files(disk: &Simulated) -> BTreeMap<PathBuf, usize> {
    let files = disk.files().into_iter();
    let ours = files.filter(|(path, _)| path.starts_with(BLOBS));
    ours.map(|(path, bytes)| (path, bytes.len())).collect()
}

fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|extension| extension.to_str())
        .expect("all have one")
}

/// There are no files but those of bodies that are there.
fn audit_files(disk: &Simulated, store: &Store) {
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

/// One way of crashing at every operation.
struct Ordeal {
    durability: Durability,
    steps: Vec<Step>,
    /// How the workload ends, and how the recovery from that, if it is to crash as well.
    cuts: Vec<Cut>,
    /// Time for the log to sync between the steps.
    pauses: bool,
    /// Are there compactions, each of which goes on for some of the steps?
    compacts: bool,
    /// What it begins with, and how many steps that holds.
    start: (Simulated, usize),
    known: RefCell<HashSet<(u64, usize, usize, usize)>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    Kill,
    Power,
}

/// What a life came to: numbers of steps.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    opened: bool,
    acknowledged: usize,
    synced: usize,
    submitted: usize,
}

impl Ordeal {
    fn new(durability: Durability, cuts: &[Cut]) -> Ordeal {
        Ordeal {
            durability,
            steps: STEPS.to_vec(),
            cuts: cuts.to_vec(),
            pauses: false,
            compacts: false,
            start: (Simulated::default(), 0),
            known: RefCell::default(),
        }
    }

    fn faults(&self, crash_at: Option<u64>) -> Faults {
        Faults {
            crash_at,
            ..Faults::default()
        }
    }

    /// Opens the store, which holds from `least` to `most` steps, and does up to `count` more, until the disk crashes.
    fn live(&self, disk: &Simulated, least: usize, most: usize, count: usize) -> Life {
        let Ok(mut session) = Session::open(disk, self.durability) else {
            assert!(disk.crashed(), "the disk is whole, and does not open");
            return Life {
                submitted: most,
                ..Life::default()
            };
        };
        if disk.crashed() {
            // What sweeps does not mind.
            return Life {
                submitted: most,
                ..Life::default()
            };
        }
        let state = audited(&session.store.view());
        let states = states(&self.steps);
        let held = (least..=most).rev().find(|held| states[*held] == state);
        let held = held.unwrap_or_else(|| {
            panic!("found {state:?}, which none of {least}..={most} steps leave")
        });
        audit_files(disk, &session.store);
        session.settle();
        let mut life = Life {
            opened: true,
            acknowledged: held,
            synced: held,
            submitted: held,
        };
        for (index, step) in self.steps.iter().enumerate().skip(held).take(count) {
            life.submitted += 1;
            if self.compacts && index % 2 == 0 {
                drop(session.store.compact(Pace::Full));
                for _ in 0..4 {
                    session.stepped.step();
                }
            }
            if session.step(index, *step).is_err() {
                assert!(disk.crashed(), "{step:?} fails on a disk that is whole");
                return life;
            }
            life.acknowledged += 1;
            if self.pauses {
                session.pause();
            }
            // Every step takes one LSN, but so does what a compaction moves.
            if !self.compacts {
                life.synced = life.synced.max(session.store.status().synced.0 as usize);
            }
        }
        life
    }

    fn check(&self) {
        let (start, held) = (&self.start.0, self.start.1);
        let whole = start.restart(Crash::Process(0), self.faults(None));
        let life = self.live(&whole, held, held, usize::MAX);
        assert_eq!(life.acknowledged, self.steps.len());
        for step in changes(&whole) {
            let disk = start.restart(Crash::Process(0), self.faults(Some(step)));
            let mut life = self.live(&disk, held, held, usize::MAX);
            if !life.opened {
                (life.acknowledged, life.synced) = (held, held);
            }
            self.check_outcomes(&disk, self.least(&life, 0), life.submitted, 0);
        }
    }

    /// What must be found after a crash at this depth.
    fn least(&self, life: &Life, depth: usize) -> usize {
        let promised = self.durability == Durability::Power || self.cuts[depth] == Cut::Kill;
        if promised {
            life.acknowledged
        } else {
            life.synced
        }
    }

    fn check_outcomes(&self, disk: &Simulated, least: usize, most: usize, depth: usize) {
        for crash in self.crashes(disk.unsynced(), depth) {
            let found = disk.restart(crash, self.faults(None));
            let key = (found.fingerprint(), least, most, depth);
            if !self.known.borrow_mut().insert(key) {
                continue;
            }
            let again = found.restart(Crash::Process(0), self.faults(None));
            let outcome = || self.check_recovery(&again, least, most, depth);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(outcome)) {
                eprintln!("at {}, {crash:?}, depth {depth}", last(disk));
                std::panic::resume_unwind(panic);
            }
        }
    }

    fn crashes(&self, unsynced: usize, depth: usize) -> Vec<Crash> {
        if self.cuts[depth] == Cut::Kill {
            return [0, 255, 128].map(Crash::Process).to_vec();
        }
        let mut losses = vec![Loss::All, Loss::None, Loss::Torn(0)];
        // The earlier ones are of operations before, at which it crashed as well.
        let last_few = unsynced.saturating_sub(6)..unsynced;
        if depth == 0 {
            losses.extend([Loss::Zeros, Loss::Garbage(0), Loss::Torn(1)]);
            losses.extend(last_few.clone().map(Loss::One));
            losses.extend(last_few.map(Loss::Prefix));
        }
        losses.into_iter().map(Crash::Power).collect()
    }

    fn check_recovery(&self, found: &Simulated, least: usize, most: usize, depth: usize) {
        let disk = found.restart(Crash::Process(0), self.faults(None));
        let life = self.live(&disk, least, most, 2);
        let held = life.acknowledged;
        // And again, as it was left.
        self.live(&disk, held, held, 0);
        if depth + 1 == self.cuts.len() {
            return;
        }
        let whole = found.restart(Crash::Process(0), self.faults(None));
        self.live(&whole, least, most, 1);
        for step in changes(&whole) {
            let disk = found.restart(Crash::Process(0), self.faults(Some(step)));
            let life = self.live(&disk, least, most, 1);
            let least = match life.opened {
                true => self.least(&life, depth + 1),
                // What was only in the cache, a loss of power can take until the store has opened.
                false
                    if self.durability == Durability::Process
                        && self.cuts[depth + 1] == Cut::Power =>
                {
                    0
                }
                false => least,
            };
            self.check_outcomes(&disk, least, life.submitted, depth + 1);
        }
    }
}

/// The operations that changed something. A crash at another leaves what a crash at the next of these leaves.
fn changes(disk: &Simulated) -> impl Iterator<Item = u64> {
    let trace = disk.trace().into_iter();
    trace
        .filter(|operation| !operation.kind.is_read() && operation.kind != OperationKind::Lock)
        .map(|operation| operation.number)
}

fn last(disk: &Simulated) -> Operation {
    disk.trace().pop().expect("it did something")
}

#[test]
fn power_loss_beside_compactions_keeps_every_acknowledged_body() {
    let ordeal = Ordeal {
        compacts: true,
        steps: STEPS[..4].to_vec(),
        ..Ordeal::new(Durability::Power, &[Cut::Power])
    };
    ordeal.check();
}

/// Most of a pack goes: what is left of it is moved.
const SPARSE_STEPS: [Step; 7] = [
    Put("a", PACKED),
    Put("b", PACKED * 3),
    Put("c", PACKED + 2),
    Delete("b"),
    Share("a", "d"),
    Put("e", PACKED),
    Delete("a"),
];

/// Nobody appends to the packs of an earlier run, so that they can be moved.
fn check_moving(durability: Durability, cut: Cut) {
    let mut ordeal = Ordeal {
        steps: SPARSE_STEPS.to_vec(),
        ..Ordeal::new(durability, &[cut])
    };
    let disk = Simulated::default();
    ordeal.live(&disk, 0, 0, 4);
    let session = Session::open(&disk, durability).expect("there is a disk");
    session.close();
    let is_pack = |path: &&PathBuf| extension(path) == "pack";
    let pack = files(&disk).into_keys().find(|path| is_pack(&path));
    ordeal.start = (disk.restart(Crash::Power(Loss::None), Faults::default()), 4);
    ordeal.compacts = true;
    ordeal.check();
    let moved = ordeal.start.0.restart(Crash::Process(0), Faults::default());
    ordeal.live(&moved, 4, 4, usize::MAX);
    assert!(
        !files(&moved).contains_key(&pack.expect("there was one")),
        "it is gone"
    );
}

#[test]
fn power_loss_while_bodies_are_moved_keeps_every_acknowledged_body() {
    check_moving(Durability::Power, Cut::Power);
}

#[test]
fn a_kill_while_bodies_are_moved_keeps_every_acknowledged_body() {
    check_moving(Durability::Process, Cut::Kill);
}

#[test]
fn power_loss_while_bodies_are_moved_leaves_no_row_without_its_body() {
    check_moving(Durability::Process, Cut::Power);
}

#[test]
fn a_compaction_moves_what_is_left_in_a_pack_that_is_mostly_garbage() {
    let disk = Simulated::default();
    let mut session = Session::open(&disk, Durability::Power).expect("there is a disk");
    for (seed, name) in (0..).zip(["a", "b", "c", "d"]) {
        session
            .put(NAMES, name, seed, PACKED)
            .expect("there is a disk");
    }
    let id = NAMES
        .get(&session.store.view(), &("a".into(),))
        .expect("it decodes")
        .expect("it is there")
        .0;
    session.close();
    let mut session = Session::open(&disk, Durability::Power).expect("there is a disk");
    for name in ["b", "c", "d"] {
        session.delete(name).expect("there is a disk");
    }
    let before = session.store.view();
    session
        .put(NAMES, "new", 9, PACKED)
        .expect("there is a disk");
    let reader = before.open_blob(BlobId(id)).expect("it is there");
    drop(session.store.compact(Pace::Full));
    session.settle();
    assert_eq!(audited(&session.store.view()).len(), 2);
    assert_eq!(files(&disk).len(), 2, "an older view shows the old place");
    assert_eq!(read(&reader).expect("it is whole"), content(0, PACKED)[..]);
    drop((before, reader));
    session.settle();
    assert_eq!(files(&disk).len(), 1);
    assert_eq!(session.store.garbage().pack_bytes, 0);
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    let session = Session::open(&disk, Durability::Power).expect("it is whole");
    assert_eq!(audited(&session.store.view()).len(), 2);
    audit_files(&disk, &session.store);
}

#[test]
fn power_loss_keeps_every_acknowledged_body() {
    Ordeal::new(Durability::Power, &[Cut::Power]).check();
}

#[test]
fn a_kill_keeps_every_acknowledged_body() {
    Ordeal::new(Durability::Process, &[Cut::Kill]).check();
}

/// What was acknowledged without a sync may be lost, but no row is left without its body.
#[test]
fn power_loss_leaves_no_row_without_its_body() {
    Ordeal::new(Durability::Process, &[Cut::Power]).check();
}

#[test]
fn power_loss_keeps_what_was_synced_in_the_background() {
    let mut ordeal = Ordeal::new(Durability::Process, &[Cut::Power]);
    ordeal.pauses = true;
    ordeal.check();
}

/// A recovery finds bodies in the cache that were never synced. It vouches for none that a loss of power could take.
#[test]
fn power_loss_during_recovery_leaves_no_row_without_its_body() {
    let mut ordeal = Ordeal::new(Durability::Process, &[Cut::Kill, Cut::Power]);
    ordeal.steps = vec![Put("a", PACKED), Put("b", LARGE), Share("a", "c")];
    ordeal.check();
}

/// And during the recovery from that.
#[test]
fn power_loss_again_keeps_every_acknowledged_body() {
    let mut ordeal = Ordeal::new(Durability::Power, &[Cut::Power, Cut::Power]);
    ordeal.steps = vec![Put("a", PACKED), Delete("a")];
    ordeal.check();
}

/// A store with a body of each kind.
fn furnished(disk: &Simulated) -> Session {
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

fn body(view: &View, name: &str) -> Result<Vec<u8>, Error> {
    let (id, ..) = names(view)[name];
    view.open_blob(BlobId(id)).and_then(|reader| read(&reader))
}

#[test]
fn a_damaged_body_is_an_error_and_the_others_are_fine() {
    for offset in [0, 1, PACKED - 1, LARGE - 700, LARGE - 1] {
        let disk = Simulated::default();
        furnished(&disk).close();
        for path in files(&disk).into_keys() {
            disk.flip(&path, offset * 8 + 3).expect("it is there");
        }
        let session = Session::open(&disk, Durability::Power).expect("the log is whole");
        let view = session.store.view();
        body(&view, "inline").expect("it is whole");
        let check = |name: &str, bytes: u64| match body(&view, name) {
            Err(Error::DamagedBlob { .. }) => assert!(offset < bytes),
            Err(other) => panic!("{other}"),
            Ok(_) => assert!(
                offset >= bytes,
                "{name} is served with byte {offset} damaged"
            ),
        };
        check("packed", PACKED);
        check("large", LARGE);
        let large = names(&view)["large"].0;
        let reader = view.open_blob(BlobId(large)).expect("it opens");
        let second_is_whole = reader.piece(1).is_ok();
        assert_eq!(second_is_whole, offset < PIECE_BYTES as u64);
    }
}

#[test]
fn a_missing_body_is_an_error_and_the_others_are_fine() {
    use cumulog_engine::disk::Disk as _;
    let disk = Simulated::default();
    furnished(&disk).close();
    for path in files(&disk).into_keys() {
        disk.remove(&path).expect("it is there");
    }
    let session = Session::open(&disk, Durability::Power).expect("the log is whole");
    let view = session.store.view();
    body(&view, "inline").expect("it is whole");
    for name in ["packed", "large"] {
        let error = body(&view, name).expect_err("its file is gone");
        assert!(error.to_string().contains("the file is missing"), "{error}");
    }
}

/// A view shows what it showed, until it is dropped; then the files go.
#[test]
fn a_deleted_body_stays_for_those_who_see_it() {
    for durability in [Durability::Power, Durability::Process] {
        let disk = Simulated::default();
        let mut session = Session::open(&disk, durability).expect("a new disk");
        session.put(NAMES, "a", 0, LARGE).expect("a whole disk");
        session.put(NAMES, "b", 1, LARGE).expect("a whole disk");
        let view = session.store.view();
        let reader = view.open_blob(BlobId(names(&view)["a"].0)).expect("whole");
        session.delete("a").expect("a whole disk");
        session.pause();
        let later = session.store.view();
        session.delete("b").expect("a whole disk");
        session.pause();
        assert_eq!(files(&disk).len(), 2);
        audited(&view);
        drop(view);
        session.settle();
        assert_eq!(files(&disk).len(), 2, "a reader is left");
        assert!(read(&reader).expect("it is there")[..] == content(0, LARGE)[..]);
        drop(reader);
        session.settle();
        assert_eq!(files(&disk).len(), 1, "{durability:?}");
        audited(&later);
        drop(later);
        session.settle();
        assert_eq!(files(&disk).len(), 0);
    }
}

/// Not before: a crash could bring the row back.
#[test]
fn a_deleted_body_stays_until_the_deletion_is_synced() {
    let disk = Simulated::default();
    let mut session = Session::open(&disk, Durability::Process).expect("a new disk");
    session.put(NAMES, "a", 0, LARGE).expect("a whole disk");
    session.pause();
    session.delete("a").expect("a whole disk");
    session.settle();
    assert_eq!(files(&disk).len(), 1);
    session.pause();
    assert_eq!(files(&disk).len(), 0);
}

#[test]
fn what_no_transaction_attached_leaves_nothing() {
    let disk = Simulated::default();
    let mut session = furnished(&disk);
    let before = files(&disk);
    for bytes in [INLINE, PACKED, LARGE] {
        let mut writer = session.store.blob_writer(NAMES.space());
        writer.write(&content(9, bytes)).expect("a whole disk");
        drop(writer);
        let mut writer = session.store.blob_writer(NAMES.space());
        writer.write(&content(9, bytes)).expect("a whole disk");
        let blob = writer.finish().expect("a whole disk");
        let refused = session.store.commit(|txn| {
            txn.attach(&blob).expect("it is new");
            Err::<(), ()>(())
        });
        session.settle();
        assert_eq!(released(refused).expect("the log is whole"), Err(()));
        // It can be tried again.
        let id = session
            .commit(|txn| txn.attach(&blob))
            .expect("it is whole");
        session.commit(|txn| txn.release(id)).expect("it is there");
        session
            .commit(|txn| txn.attach(&blob))
            .expect_err("it is gone");
        drop(blob);
        session.settle();
    }
    let names = |files: BTreeMap<PathBuf, usize>| files.into_keys().collect::<Vec<_>>();
    assert_eq!(names(files(&disk)), names(before));
    assert_eq!(session.store.garbage().pack_bytes, PACKED);
    session.delete("packed").expect("a whole disk");
    session.close();
    let session = Session::open(&disk, Durability::Power).expect("a whole disk");
    assert_eq!(session.store.garbage().pack_bytes, 0);
    audit_files(&disk, &session.store);
}

#[test]
fn a_full_disk_refuses_bodies_and_takes_them_again_once_there_is_space() {
    let disk = Simulated::default();
    let mut session = furnished(&disk);
    disk.set_space(Some(LARGE / 2));
    let error = session.put(NAMES, "more", 7, LARGE).expect_err("no space");
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert!(session.store.status().lacks_space);
    session.settle();
    audited(&session.store.view());
    audit_files(&disk, &session.store);
    session.delete("large").expect("a deletion needs no space");
    session.pause();
    session
        .put(NAMES, "more", 7, LARGE)
        .expect("there is space");
    assert!(!session.store.status().lacks_space);
    audited(&session.store.view());
}

/// An error of the disk while a body comes in fails that body, not the store; nothing acknowledged is lost.
#[test]
fn a_failing_disk_loses_no_acknowledged_body() {
    let clean = Simulated::default();
    drop(furnished(&clean));
    let count = clean.trace().len() as u64;
    for number in 0..count {
        for fault in [Fault::Io, Fault::Full, Fault::Short(5)] {
            let disk = Simulated::new(Faults {
                errors: [(number, fault)].into(),
                ..Faults::default()
            });
            let mut kept = Vec::new();
            if let Ok(mut session) = Session::open(&disk, Durability::Power) {
                for (seed, bytes) in [INLINE, PACKED, LARGE, PACKED].into_iter().enumerate() {
                    let name = format!("{seed}");
                    if session.put(NAMES, &name, seed as u64, bytes).is_ok() {
                        kept.push(name);
                    }
                }
            }
            let found = disk.restart(Crash::Power(Loss::All), Faults::default());
            let session = Session::open(&found, Durability::Power).expect("a whole disk");
            let state = audited(&session.store.view());
            let lost: Vec<_> = kept
                .iter()
                .filter(|name| !state.contains_key(*name))
                .collect();
            assert!(lost.is_empty(), "lost {lost:?} by {fault:?} at {number}");
        }
    }
}

#[test]
fn bodies_that_need_not_survive_leave_nothing() {
    let disk = Simulated::default();
    let mut session = furnished(&disk);
    let before = files(&disk);
    for (seed, bytes) in [INLINE, PACKED, LARGE, 3 * LARGE].into_iter().enumerate() {
        session
            .put(SCRATCH, &format!("{bytes}"), seed as u64, bytes)
            .expect("a whole disk");
        let view = session.store.view();
        let row = SCRATCH.get(&view, &(format!("{bytes}"),));
        let (id, ..) = row.expect("it decodes").expect("it is there");
        let reader = view.open_blob(BlobId(id)).expect("it is there");
        assert!(read(&reader).expect("it is whole")[..] == content(seed as u64, bytes)[..]);
    }
    assert_eq!(files(&disk), before);
    assert_eq!(
        session.store.garbage().spilled_bytes,
        6 * PIECE_BYTES as u64
    );
    session
        .put(SCRATCH, &format!("{LARGE}"), 9, 1)
        .expect("a whole disk");
    session.pause();
    assert_eq!(
        session.store.garbage().spilled_bytes,
        4 * PIECE_BYTES as u64
    );
    session.close();
    let session = Session::open(&disk, Durability::Power).expect("a whole disk");
    assert_eq!(audited(&session.store.view()).len(), 3);
    assert_eq!(SCRATCH.scan(&session.store.view(), &()).count(), 0);
}

/// Neither at opening nor when a body is read is a failing disk taken for one that holds less.
#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_a_missing_one() {
    let disk = Simulated::default();
    let mut session = furnished(&disk);
    let compacting = session.store.compact(Pace::Full);
    session.settle();
    compacting.wait().expect("a whole disk");
    session
        .put(NAMES, "later", 5, PACKED)
        .expect("a whole disk");
    let state = audited(&session.store.view());
    let disk = disk.restart(Crash::Power(Loss::None), Faults::default());
    for number in 0.. {
        let disk = disk.restart(
            Crash::Process(0),
            Faults {
                errors: [(number, Fault::Io)].into(),
                ..Faults::default()
            },
        );
        match Session::open(&disk, Durability::Power) {
            Ok(session) => {
                let view = session.store.view();
                for (name, (_, bytes, seed)) in names(&view) {
                    match body(&view, &name) {
                        Ok(body) => assert!(body[..] == content(seed, bytes)[..], "{name}"),
                        Err(Error::Io { .. }) => {}
                        Err(other) => panic!("operation {number}: {other}"),
                    }
                }
            }
            Err(Error::Io { .. } | Error::Poisoned { .. }) => {}
            Err(other) => panic!("operation {number}: {other}"),
        }
        let was_reached = disk.failed(number) && disk.trace().len() as u64 > number;
        let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
        let session = Session::open(&disk, Durability::Power).expect("a whole disk");
        assert!(
            audited(&session.store.view()) == state,
            "after operation {number}"
        );
        if !was_reached {
            assert!(number > 30, "only {number} operations");
            return;
        }
    }
}
