//! Makes the seed corpus, and holds it to what the engine writes today.
//!
//! `CUMULOG_FUZZ_SEEDS=write cargo test -p cumulog-engine seed_corpus` writes it anew after a change of format.

use super::compacted::ORIGIN;
use super::recovery::{DIRECTORY, HEAD_BYTES, IS_MANIFEST, IS_SNAPSHOT, LOG, SNAPSHOTS, options};
use crate::disk::{Crash, Faults, Simulated};
use crate::log::record::HEADER_BYTES;
use crate::log::segment::{BLOCK_BYTES, sequence_of};
use crate::snapshot;
use crate::snapshot::writer::Writer;
use crate::{Driver, Key, Label, Next, Pace, Space, Store};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SPACE: Space = Space::new(0x200, "fuzz/seed");

#[test]
fn the_seed_corpus_is_what_the_engine_writes() {
    let written = killed(|run| run.put(3, 20));
    seed("recovery", "empty", b"");
    seed("recovery", "killed", &packed(&written));
    seed("recovery", "closed", &packed(&killed(Run::close)));
    seed("recovery", "marked", &packed(&killed(Run::idle)));
    seed(
        "recovery",
        "rotated",
        &packed(&killed(|run| run.put(6, 1100))),
    );
    seed("recovery", "deleted", &packed(&killed(Run::delete)));
    let again = reopened(&written, |run| run.put(1, 20));
    seed("recovery", "carried", &packed(&again));
    seed(
        "recovery",
        "closed-twice",
        &packed(&reopened(&again, Run::close)),
    );

    let compacted = reopened(&written, Run::compact);
    seed("recovery", "compacted", &packed(&compacted));
    let more = reopened(&compacted, |run| run.put(2, 30));
    seed("recovery", "compacted-and-more", &packed(&more));
    let files = compacted.files();
    seed("manifest", "compacted", &files[Path::new("data/MANIFEST")]);
    let snapshot = files.iter().find(|(path, _)| path.starts_with(SNAPSHOTS));
    seed(
        "snapshot",
        "compacted",
        snapshot.expect("it was compacted").1,
    );
    seed("snapshot", "blocks", &snapshot_of(7, 5));
    seed("snapshot", "empty", &snapshot_of(0, 0));

    let files = written.files();
    let segment = &files[&Path::new(LOG).join("000000000001.log")];
    let salt = &segment[112..120];
    let record = &segment[BLOCK_BYTES..BLOCK_BYTES + HEADER_BYTES + 100];
    seed("record", "segment-header", &segment[..HEAD_BYTES]);
    seed("record", "put", &[salt, record].concat());
    let files = killed(Run::delete).files();
    let deletes = &files[&Path::new(LOG).join("000000000001.log")][BLOCK_BYTES..];
    let payload = &deletes[HEADER_BYTES..HEADER_BYTES + 60];
    seed(
        "record",
        "delete-prefix-clear",
        &[&[0; 40], payload].concat(),
    );

    let text = |text: &str| text.to_string();
    seed_key(0, &(text("a"), text("b\0c"), text("")));
    seed_key(1, &(1u64, -1i64, u64::MAX));
    seed_key(2, &(vec![0u8, 255, 1], true, Vec::<u8>::new()));
    seed_key(3, &(1u8, 2u16, 3u32, text("é")));
    seed_key(4, &(1u64, i64::MIN, text("group"), text("id")));
}

fn snapshot_of(count: u16, value_bytes: usize) -> Vec<u8> {
    let (disk, path) = (Simulated::default(), Path::new("fuzz.snap"));
    let mut writer = Writer::create(&disk, path, &ORIGIN).expect("there is a disk");
    for number in 0..count {
        let (key, value) = (number.to_be_bytes(), vec![7; value_bytes]);
        writer.push(&key, &value);
        if number % 3 == 2 {
            writer.flush().expect("there is a disk");
        }
    }
    writer.finish().expect("there is a disk");
    disk.files()[path].clone()
}

/// A store that a seed is made with.
struct Run {
    store: Store,
    driver: Driver,
    now: Instant,
}

/// The disk after such a run on an empty one, and a kill.
fn killed(run: impl FnOnce(&mut Run)) -> Simulated {
    reopened(&Simulated::default(), run)
}

fn reopened(disk: &Simulated, run: impl FnOnce(&mut Run)) -> Simulated {
    let disk = disk.restart(Crash::Process(255), Faults::default());
    let shared = Arc::new(disk.clone());
    let (store, driver, _) =
        Store::open_stepped(shared, Path::new(DIRECTORY), options()).expect("seeds are valid");
    let now = Instant::now();
    run(&mut Run { store, driver, now });
    disk.restart(Crash::Process(255), Faults::default())
}

impl Run {
    fn settle(&mut self) {
        while self.driver.step(self.now) == Next::Again {}
    }

    fn put(&mut self, count: u8, value_bytes: usize) {
        for number in 0..count {
            let done = self.store.commit(|txn| {
                txn.put(SPACE, &[b'k', number], &vec![number; value_bytes]);
                txn.label(Label {
                    time_ms: 1_700_000_000_000,
                    request: "request".into(),
                    operation: "s3:PutObject".into(),
                });
                Ok::<_, ()>(())
            });
            self.settle();
            assert_eq!(done.wait().ok(), Some(Ok(())));
        }
    }

    fn delete(&mut self) {
        let done = self.store.commit(|txn| {
            txn.put(SPACE, b"a1", b"1");
            txn.put(SPACE, b"a2", b"2");
            txn.put(SPACE, b"b", b"3");
            txn.delete_prefix(SPACE, b"a");
            txn.delete(SPACE, b"b");
            Ok::<_, ()>(())
        });
        let reset = self.store.reset();
        self.settle();
        assert_eq!(done.wait().ok(), Some(Ok(())));
        reset.wait().expect("the disk has no faults");
    }

    fn compact(&mut self) {
        let done = self.store.compact(Pace::Full);
        self.settle();
        done.wait().expect("the disk has no faults");
    }

    fn idle(&mut self) {
        self.put(2, 5);
        self.now += Duration::from_secs(1);
        self.settle();
    }

    fn close(&mut self) {
        self.put(2, 5);
        let store = self.store.clone();
        let closing = std::thread::spawn(move || store.close());
        while !closing.is_finished() {
            self.settle();
        }
        let closed = closing.join().expect("it does not panic");
        closed.expect("the disk has no faults");
    }
}

/// The log's files as [`super::recovery`] reads them.
fn packed(disk: &Simulated) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, bytes) in disk.files() {
        let name = path.file_name().and_then(|name| name.to_str());
        let named = name.and_then(snapshot::named);
        if path.ends_with("MANIFEST") || named.is_some() {
            let number = named.map_or(0, |(space, lsn)| u64::from(space) << 32 | lsn.0);
            let kind = if named.is_some() {
                IS_SNAPSHOT
            } else {
                IS_MANIFEST
            };
            out.extend_from_slice(&number.to_le_bytes());
            out.push(kind | 1);
            let count = u16::try_from(bytes.len()).expect("seeds are small");
            out.extend_from_slice(&count.to_le_bytes());
            out.extend_from_slice(&bytes);
            continue;
        }
        let Some(sequence) = name.and_then(sequence_of) else {
            continue;
        };
        let end = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let head = &bytes[..end.min(HEAD_BYTES)];
        let records = bytes.get(BLOCK_BYTES..end).unwrap_or_default();
        let zeros = (bytes.len() - end).div_ceil(1024).min(15) as u8;
        out.extend_from_slice(&sequence.to_le_bytes());
        out.push(zeros << 4 | 1);
        let count = u16::try_from(head.len() + records.len()).expect("seeds are small");
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(head);
        out.extend_from_slice(records);
    }
    out
}

fn seed_key(kind: u8, key: &impl Key) {
    let mut bytes = vec![kind];
    key.encode(&mut bytes);
    key.encode(&mut bytes);
    seed("key", &format!("kind-{kind}"), &bytes);
}

/// Compares one seed with its file, or writes it.
fn seed(target: &str, name: &str, bytes: &[u8]) {
    let path = cumulog_fuzz_slice::corpus_directory(target).join(name);
    if std::env::var("CUMULOG_FUZZ_SEEDS").as_deref() == Ok("write") {
        fs::write(&path, bytes).expect("the corpus can be written");
    }
    let stored = fs::read(&path).expect("the corpus can be read");
    assert!(
        stored == bytes,
        "{target}/{name} is not what the engine writes: has the format changed?"
    );
}
