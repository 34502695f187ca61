//! Damage of every kind, in a directory with several segments, a torn tail's remains, and bodies in rows, packs and files.

use super::*;
use crate::disk::{Crash, Faults, Loss, Simulated, write_full};
use crate::log::record::{self, HEADER_BYTES};
use crate::log::segment::{BLOCK_BYTES, Block, Header};
use crate::{Compacting, Durability, Next, Pace, Read, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

const SPACE: Space = Space::new(0x100, "test/space");
const DIRECTORY: &str = "data";

type Files = BTreeMap<PathBuf, Vec<u8>>;

fn options() -> Options {
    Options {
        durability: Durability::Power,
        segment_bytes: 12 << 10,
        compaction_bytes_min: u64::MAX,
        seed: Some(1),
        ..Options::default()
    }
}

/// Opens, works, and is killed or closed.
fn live(disk: &Simulated, close: bool, work: impl FnOnce(&Store, &mut dyn FnMut())) {
    let (store, mut driver, _) =
        Store::open_stepped(Arc::new(disk.clone()), Path::new(DIRECTORY), options())
            .expect("it opens");
    let mut now = Instant::now();
    let mut settle = || {
        now += Duration::from_secs(1);
        while driver.step(now) == Next::Again {}
    };
    work(&store, &mut settle);
    settle();
    if close {
        let closing = store.clone();
        let closed = std::thread::spawn(move || closing.close());
        while !closed.is_finished() {
            settle();
        }
        closed.join().expect("no panic").expect("it closes");
    }
}

fn put(store: &Store, key: &str, value: &[u8]) {
    // Who waits for it drives the log.
    drop(store.commit(|txn| {
        txn.put(SPACE, key.as_bytes(), value);
        Ok::<_, ()>(())
    }));
}

fn put_blob(store: &Store, bytes: usize) {
    let mut writer = store.blob_writer(SPACE);
    let body: Vec<u8> = (0..bytes).map(|index| (index / 7) as u8).collect();
    writer.write(&body).expect("there is space");
    let blob = writer.finish().expect("there is space");
    drop(store.commit(|txn| {
        let id = txn.attach(&blob).expect("it is new");
        txn.put(SPACE, &id.0.to_be_bytes(), b"blob");
        Ok::<_, ()>(())
    }));
}

/// How a directory came to be.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    /// Was the last life closed? Else it was killed.
    closed: bool,
    /// Is there a body in a file of its own?
    large: bool,
    /// Was the log compacted in between?
    compacted: bool,
}

/// Three lives: one closed, one killed, one more.
fn directory(history: History) -> Files {
    let disk = Simulated::default();
    live(&disk, true, |store, settle| {
        put_blob(store, 100);
        put_blob(store, 5000);
        put_blob(store, 6000);
        settle();
        if history.large {
            put_blob(store, (1 << 20) + 300);
        }
    });
    let disk = disk.restart(Crash::Process(255), Faults::default());
    live(&disk, false, |store, settle| {
        for number in 0..12 {
            put(store, &format!("key {number}"), &[number; 900]);
            settle();
        }
        put(store, "key 3", b"replaced");
        if history.compacted {
            for number in 0..20 {
                put(store, &format!("more {number:02}"), &[number; 9000]);
            }
            settle();
            let mut compacting = store.compact(Pace::Full);
            while !is_ready(&mut compacting) {
                settle();
            }
            put(store, "key 4", b"replaced");
        }
    });
    let disk = disk.restart(Crash::Process(255), Faults::default());
    live(&disk, history.closed, |store, settle| {
        for number in 0..4 {
            put(store, &format!("last {number}"), &[number; 50]);
            settle();
        }
    });
    disk.files()
}

fn is_ready(compacting: &mut Compacting) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(compacting).poll(&mut context).is_ready()
}

fn disk_of(files: &Files) -> Simulated {
    let disk = Simulated::default();
    for (path, bytes) in files {
        let parent = path.parent().expect("they are in the directory");
        disk.create_directory(parent).expect("there is space");
        let file = disk.create(path).expect("there is space");
        write_full(&*file, bytes, 0).expect("there is space");
    }
    disk.create_directory(&Path::new(DIRECTORY).join(log::DIRECTORY_NAME))
        .expect("there is space");
    disk
}

/// All rows, and the bodies that can be read.
type State = (BTreeMap<Vec<u8>, Vec<u8>>, BTreeSet<(u64, Vec<u8>)>);

fn state(view: &View) -> State {
    let rows = view
        .range(SPACE, Bound::Unbounded, Bound::Unbounded)
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    let mut bodies = BTreeSet::new();
    for info in view.blobs().flatten() {
        let Ok(reader) = view.open_blob(info.id) else {
            continue;
        };
        let pieces = info.bytes.div_ceil(crate::PIECE_BYTES as u64);
        let body: Result<Vec<_>, _> = (0..pieces).map(|index| reader.piece(index)).collect();
        bodies.extend(body.map(|body| (info.id.0, body.concat())));
    }
    (rows, bodies)
}

/// What verify says, after checking that it changes nothing, and that an opening agrees. What is lost must be told.
fn check(files: &Files, whole: &State, what: &str) -> Report {
    let (report, found) = judge(files, what);
    let is_torn = |finding: &Finding| finding.kind == FindingKind::TornTail;
    if report.is_healthy() && !report.findings.iter().any(is_torn) {
        assert!(
            found.as_ref() == Some(whole),
            "{what}: something is lost, and nobody says so"
        );
    }
    report
}

/// What verify says, and the state that an opening gives, after checking that they agree.
fn judge(files: &Files, what: &str) -> (Report, Option<State>) {
    let disk = disk_of(files);
    let verified = verify(Arc::new(disk.clone()), Path::new(DIRECTORY)).expect("it can be read");
    assert!(disk.files() == *files, "{what}: it changed something");
    let report = verified.report;
    drop((verified.view, verified._lock));
    match Store::open_stepped(Arc::new(disk), Path::new(DIRECTORY), options()) {
        Err(error) => {
            let error = with_causes(&error);
            assert_eq!(report.refusal.as_ref(), Some(&error), "{what}");
            assert!(!report.is_healthy(), "{what}: {report:#?}");
            (report, None)
        }
        Ok((store, _driver, _)) => {
            assert_eq!(report.refusal, None, "{what}");
            (report, Some(state(&store.view())))
        }
    }
}

fn whole(files: &Files) -> State {
    let (report, state) = judge(files, "untouched");
    assert!(report.is_healthy(), "{report:#?}");
    state.expect("it opens")
}

#[test]
fn a_directory_is_healthy_after_a_close_a_kill_a_compaction_and_a_power_cut() {
    for history in HISTORIES {
        let history = History {
            large: true,
            ..history
        };
        let files = directory(history);
        let whole = whole(&files);
        let rows = if history.compacted { 40 } else { 20 };
        assert_eq!((whole.0.len(), whole.1.len()), (rows, 4), "{history:?}");
        let report = check(&files, &whole, "untouched");
        assert_eq!((report.bodies, report.body_bytes), (3, 11_300 + (1 << 20)));
        assert_eq!(report.snapshots, if history.compacted { 2 } else { 0 });
        assert!(report.segments >= 2, "{report:#?}");
    }
    let disk = disk_of(&directory(History::default()));
    let disk = disk.restart(Crash::Power(Loss::None), Faults::default());
    live(&disk, false, |store, _| put(store, "torn", &[1; 2000]));
    for seed in 0..50 {
        let disk = disk.restart(Crash::Power(Loss::Torn(seed)), Faults::default());
        let report = verify(Arc::new(disk), Path::new(DIRECTORY)).expect("it can be read");
        assert!(
            report.report.is_healthy(),
            "seed {seed}: {:#?}",
            report.report
        );
    }
}

const HISTORIES: [History; 4] = [
    History {
        closed: true,
        large: false,
        compacted: false,
    },
    History {
        closed: false,
        large: false,
        compacted: false,
    },
    History {
        closed: true,
        large: false,
        compacted: true,
    },
    History {
        closed: false,
        large: false,
        compacted: true,
    },
];

/// Does any checksum cover this byte of a file, and does anyone read it? In a segment: the first 136 bytes of its header
/// block, and headers and payloads of the records up to the cut that its successor names. The rest is padding, zeros
/// without meaning, what a cut took out of the log; and the text in `LOCK`.
fn counts(files: &Files, path: &Path, offset: usize) -> bool {
    if path.ends_with(LOCK_FILE) {
        return false;
    }
    if path.extension().is_none_or(|kind| kind != "log") {
        return true;
    }
    let header = |bytes: &[u8]| match Header::decode(&bytes[..BLOCK_BYTES]) {
        Block::Header(header) => Some(header),
        _ => None,
    };
    let bytes = &files[path];
    let Some(own) = header(bytes) else {
        return false;
    };
    let cuts = files.values().filter(|bytes| bytes.len() > BLOCK_BYTES);
    let cut = cuts
        .filter_map(|bytes| header(bytes))
        .find(|other| other.predecessor.sequence == own.sequence)
        .map_or(bytes.len(), |other| other.predecessor.bytes as usize);
    if offset < 136 || offset >= cut {
        return offset < 136;
    }
    let mut at = BLOCK_BYTES;
    while at <= offset && bytes[at + 28] != 0 {
        let header = bytes[at..].first_chunk().expect("it is whole");
        let record = record::Header::parse(header);
        if (at..at + HEADER_BYTES + record.payload_bytes as usize).contains(&offset) {
            return true;
        }
        at += record.record_bytes();
    }
    false
}

/// Flips bytes of the files of this kind, `step` apart.
fn check_flips(files: &Files, whole: &State, kind: &str, step: usize) {
    let of_kind = |path: &&PathBuf| path.to_string_lossy().ends_with(kind);
    let mut found = 0;
    for path in files.keys().filter(of_kind) {
        let mut offset = 0;
        while offset < files[path].len() {
            let what = format!("byte {offset} of {}", path.display());
            let mut damaged = files.clone();
            damaged.get_mut(path).expect("it is one of them")[offset] ^= 1 << (offset % 8);
            let report = check(&damaged, whole, &what);
            let is_it = |finding: &Finding| {
                finding.path == *path && finding.offset.is_none_or(|at| at <= offset as u64)
            };
            let said = report.findings.iter().find(|finding| is_it(finding));
            if counts(files, path, offset) {
                // Or an incomplete write: the last record, which nothing proves.
                assert!(said.is_some(), "{what}: {report:#?}");
                found += 1;
            }
            let near = &files[path][offset..files[path].len().min(offset + 64)];
            let only_zeros = near.iter().all(|byte| *byte == 0);
            offset += if only_zeros { step.max(1021) } else { step };
        }
    }
    assert!(found > 10 || kind == LOCK_FILE, "{kind}: {found}");
}

#[test]
fn every_flipped_byte_is_found_where_it_is_or_does_not_count() {
    for history in HISTORIES {
        let files = directory(history);
        let whole = whole(&files);
        check_flips(&files, &whole, ".log", 29);
        check_flips(&files, &whole, ".pack", 211);
        check_flips(&files, &whole, LOCK_FILE, 7);
        if history.compacted {
            check_flips(&files, &whole, manifest::FILE_NAME, 3);
            check_flips(&files, &whole, ".snap", 3001);
        }
    }
    let files = directory(History {
        large: true,
        ..History::default()
    });
    check_flips(&files, &whole(&files), ".blob", 40_009);
}

/// The newest segment of the log: without it, or without its end, a directory is an older one.
fn newest(files: &Files) -> PathBuf {
    let is_used = |path: &&PathBuf| counts(files, path, 0) && path.starts_with("data/log");
    let newest = files.keys().rfind(is_used);
    newest.expect("there is one").clone()
}

/// As [`check`], but the newest segment may be shorter and nobody knows.
fn check_but(files: &Files, newest: &Path, path: &Path, whole: &State, what: &str) {
    if path == newest {
        judge(files, what);
    } else {
        check(files, whole, what);
    }
}

#[test]
fn files_that_are_cut_missing_swapped_or_full_of_garbage_are_found() {
    for history in HISTORIES {
        let files = directory(History {
            large: history.closed && !history.compacted,
            ..history
        });
        let (whole, newest) = (whole(&files), newest(&files));
        for (path, bytes) in &files {
            let half = bytes.len() / 2;
            for length in [0, 1, 135, 4095, 4096, 4097, 5000, half, bytes.len() - 1] {
                let mut cut = files.clone();
                cut.get_mut(path).expect("it is there").truncate(length);
                let what = format!("{} cut to {length}", path.display());
                check_but(&cut, &newest, path, &whole, &what);
            }
            let mut longer = files.clone();
            longer.get_mut(path).expect("it is there").extend(b"more");
            let report = check(&longer, &whole, &format!("{} and more", path.display()));
            let is_said = report.findings.iter().any(|finding| finding.path == *path);
            let kind = path.extension().and_then(|kind| kind.to_str());
            if kind != Some("log") && kind != Some("pack") && !path.ends_with(LOCK_FILE) {
                assert!(is_said, "{}: {report:#?}", path.display());
            }
            let mut without = files.clone();
            without.remove(path);
            let what = format!("without {}", path.display());
            check_but(&without, &newest, path, &whole, &what);
            let mut garbage = files.clone();
            let noise = (0..bytes.len()).map(|index| (index * 7 + index / 251) as u8);
            garbage.insert(path.clone(), noise.collect());
            check(
                &garbage,
                &whole,
                &format!("{} full of garbage", path.display()),
            );
            for other in files.keys().filter(|other| *other > path) {
                let mut swapped = files.clone();
                swapped.insert(path.clone(), files[other].clone());
                swapped.insert(other.clone(), files[path].clone());
                let what = format!("{} and {} swapped", path.display(), other.display());
                let gone = if *other == newest { other } else { path };
                check_but(&swapped, &newest, gone, &whole, &what);
            }
        }
    }
}

#[test]
fn every_damage_is_reported_in_order_with_file_offset_and_lsn() {
    let files = directory(History {
        closed: true,
        large: true,
        compacted: false,
    });
    let first = Path::new("data/log/000000000001.log");
    let second = files
        .keys()
        .find(|path| *path > first && counts(&files, path, 0))
        .expect("there are several");
    let mut damaged = files.clone();
    let mut flip = |path: &Path, offset: usize| {
        damaged.get_mut(path).expect("it is there")[offset] ^= 0x10;
    };
    flip(first, BLOCK_BYTES + 40);
    let records = &files[second][BLOCK_BYTES..];
    let starts = |number: usize| {
        (0..number).fold(0, |at, _| {
            let header = records[at..].first_chunk().expect("it is whole");
            at + record::Header::parse(header).record_bytes()
        })
    };
    flip(second, BLOCK_BYTES + starts(2) + 5);
    flip(second, BLOCK_BYTES + starts(4) + 50);
    let blob = files
        .keys()
        .find(|path| path.to_string_lossy().ends_with(".blob"));
    flip(blob.expect("there is one"), (1 << 20) + 7);
    damaged.insert("data/log/notes.txt".into(), b"hello".to_vec());
    let (report, _) = judge(&damaged, "all of it");
    let said: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            (
                finding.path.as_path(),
                finding.kind,
                finding.offset,
                finding.bytes,
            )
        })
        .collect();
    let at = |number: usize| Some((BLOCK_BYTES + starts(number)) as u64);
    let bytes = |number: usize| Some((starts(number + 1) - starts(number)) as u64);
    use FindingKind::{Damage, DamagedBody, Unknown};
    let notes = Path::new("data/log/notes.txt");
    let expected = [
        (first, Damage, Some(BLOCK_BYTES as u64), said[0].3),
        (second.as_path(), Damage, at(2), bytes(2)),
        (second.as_path(), Damage, at(4), bytes(4)),
        (notes, Unknown, None, None),
        (
            blob.expect("there is one"),
            DamagedBody,
            Some(1 << 20),
            None,
        ),
    ];
    assert_eq!(said, expected, "{report:#?}");
    assert!(
        report.findings[..3]
            .iter()
            .all(|finding| finding.lsn.is_some())
    );
    assert_eq!(report.damages(), 4);
}

#[test]
fn what_a_crash_leaves_is_told_and_no_damage() {
    let mut files = directory(HISTORIES[2]);
    let whole = whole(&files);
    let mut add = |name: &str, bytes: &[u8]| {
        files.insert(Path::new(DIRECTORY).join(name), bytes.to_vec());
    };
    add("log/000000000099.log.tmp", &[0; 100]);
    add("log/000000000098.log", b"a torn header");
    add("blobs/0123456789abcdef.blob", b"a body");
    add("blobs/0123456789abcdef.pack.tmp", b"a copy");
    add("blobs/notes", b"");
    add("log/000000000001.log", b"older than the cut, and whatever");
    add("snapshots/00000777-000000000001.snap", b"not named");
    add("snapshots/00000777-000000000002.snap.tmp", b"in the making");
    add("snapshots/notes", b"");
    add("MANIFEST.tmp", b"in the making");
    add("notes", b"");
    let report = check(&files, &whole, "remains");
    let said: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    use FindingKind::{Leftover, Orphan, Unknown};
    let expected = [
        Leftover, Leftover, Leftover, Unknown, Leftover, Leftover, Leftover, Orphan, Leftover,
        Unknown, Unknown,
    ];
    assert_eq!(said, expected, "{report:#?}");
    assert!(report.is_healthy());
}

#[test]
fn a_directory_in_use_and_one_that_is_none_are_refused() {
    let disk = Arc::new(Simulated::default());
    let look = || verify(disk.clone(), Path::new(DIRECTORY)).map(|_| ());
    assert!(matches!(look(), Err(Error::Io { .. })));
    let opened = Store::open_stepped(disk.clone(), Path::new(DIRECTORY), options());
    match look() {
        Err(Error::Locked { owner, .. }) => assert!(owner.contains("process"), "{owner}"),
        other => panic!("{other:?}"),
    }
    drop(opened);
    let verified = verify(disk.clone(), Path::new(DIRECTORY)).expect("nobody has it");
    let refused = Store::open_stepped(disk.clone(), Path::new(DIRECTORY), options());
    assert!(
        matches!(refused, Err(Error::Locked { .. })),
        "it is being looked at"
    );
    drop(verified);
    Store::open_stepped(disk.clone(), Path::new(DIRECTORY), options()).expect("nobody has it");
}

#[test]
fn all_damage_of_a_snapshot_is_reported_block_by_block() {
    let files = directory(HISTORIES[2]);
    let snap = files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|kind| kind == "snap"))
        .max_by_key(|(_, bytes)| bytes.len())
        .expect("it was compacted");
    assert!(snap.1.len() > 140 << 10, "it has two blocks");
    let mut damaged = files.clone();
    let bytes = damaged.get_mut(snap.0).expect("it is there");
    let length =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let second = 64 + 16 + length(68) as usize;
    let end = bytes.len();
    bytes[1000] ^= 1;
    let (report, _) = judge(&damaged, "the first block");
    assert_eq!(offsets(&report), [64]);
    // The rows of the other block are still to be had.
    assert!(report.rows > 3, "{report:#?}");
    let bytes = damaged.get_mut(snap.0).expect("it is there");
    bytes[end - 3] ^= 1;
    let (report, _) = judge(&damaged, "the first block and the end");
    assert_eq!(offsets(&report), [64, end as u64 - 40]);
    let mut damaged = files.clone();
    damaged.get_mut(snap.0).expect("it is there")[second + 100] ^= 1;
    let (report, _) = judge(&damaged, "the second block");
    assert_eq!(offsets(&report), [second as u64]);
    assert!(report.findings[0].lsn.is_some() && report.findings[0].path == *snap.0);
}

fn offsets(report: &Report) -> Vec<u64> {
    let offsets = report.findings.iter().map(|finding| finding.offset);
    offsets
        .map(|offset| offset.expect("each has one"))
        .collect()
}
