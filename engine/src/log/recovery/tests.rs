//! One test per case of the table, over a simulated disk.

use super::*;
use crate::disk::{Crash, Faults, Loss, Operation, OperationKind, Simulated};
use crate::log::record::Framer;
use crate::log::segment::Header as SegmentHeader;
use crate::{Durability, Next, Options, Pace, Read, Space, Store};
use std::io::IoSlice;
use std::ops::Bound;
use std::time::{Duration, Instant};

const SPACE: Space = Space::new(0x100, "test/space");

/// The length of the records below: one put of a short key and value.
const RECORD_BYTES: u64 = 48;

fn options() -> Options {
    Options {
        durability: Durability::Power,
        segment_bytes: 64 << 10,
        seed: Some(1),
        ..Options::default()
    }
}

/// Opens, puts each key in a transaction of its own, and leaves as a killed process does.
fn run(disk: &Simulated, keys: &str) -> Result<Recovery, Error> {
    run_with(disk, keys, options(), Duration::ZERO)
}

fn run_with(
    disk: &Simulated,
    keys: &str,
    options: Options,
    idle: Duration,
) -> Result<Recovery, Error> {
    let (store, mut driver, recovery) =
        Store::open_stepped(Arc::new(disk.clone()), Path::new("data"), options)?;
    let now = Instant::now();
    for key in keys.split_whitespace() {
        let done = store.commit(|txn| {
            txn.put(SPACE, key.as_bytes(), b"1");
            Ok::<_, ()>(())
        });
        while driver.step(now) == Next::Again {}
        done.wait()?.expect("the closure succeeds");
    }
    while driver.step(now + idle) == Next::Again {}
    Ok(recovery)
}

fn close(disk: &Simulated) {
    let disk = Arc::new(disk.clone());
    let (store, _) = Store::open(disk, Path::new("data"), options()).expect("it opens");
    let done = store.commit(|txn| {
        txn.put(SPACE, b"z", b"1");
        Ok::<_, ()>(())
    });
    done.wait().expect("there is a disk").expect("it succeeds");
    store.close().expect("it closes");
}

/// A disk after a killed run that put these keys.
fn killed(keys: &str) -> Simulated {
    let disk = Simulated::default();
    run(&disk, keys).expect("it opens");
    disk.restart(Crash::Process(255), Faults::default())
}

/// Opens, compacts, and leaves as a killed process does.
fn compact(disk: &Simulated) {
    let (store, mut driver, _) =
        Store::open_stepped(Arc::new(disk.clone()), Path::new("data"), options())
            .expect("it opens");
    let done = store.compact(Pace::Full);
    while driver.step(Instant::now()) == Next::Again {}
    done.wait().expect("there is a disk");
}

/// A disk after a killed run that put these keys, and another that compacted.
fn compacted(keys: &str) -> Simulated {
    let disk = killed(keys);
    compact(&disk);
    disk.restart(Crash::Process(255), Faults::default())
}

fn snapshot_file(disk: &Simulated) -> PathBuf {
    let files = disk.files();
    let mut paths = files.keys().filter(|path| path.starts_with(SNAPSHOTS));
    paths.next().expect("there is a snapshot").clone()
}

const MANIFEST: &str = "data/MANIFEST";
const SNAPSHOTS: &str = "data/snapshots";

fn flip(disk: &Simulated, path: &Path, byte: usize) {
    disk.flip(path, byte as u64 * 8).expect("it is there");
}

fn log_file(sequence: u64) -> PathBuf {
    Path::new("data/log").join(file_name(sequence))
}

fn overwrite(disk: &Simulated, sequence: u64, offset: u64, bytes: &[u8]) {
    let file = disk
        .open(&log_file(sequence), Access::Write)
        .expect("it is there");
    file.write_at(&[IoSlice::new(bytes)], offset)
        .expect("there is a disk");
}

fn read(disk: &Simulated, sequence: u64) -> Vec<u8> {
    disk.files()[&log_file(sequence)].clone()
}

/// The offset of the record with this LSN in a segment that starts with record 1.
fn offset_of(lsn: u64) -> u64 {
    BLOCK_BYTES as u64 + (lsn - 1) * RECORD_BYTES
}

fn header_of(disk: &Simulated, sequence: u64) -> SegmentHeader {
    match SegmentHeader::decode(&read(disk, sequence)[..BLOCK_BYTES]) {
        Block::Header(header) => header,
        other => panic!("{other:?}"),
    }
}

fn keys(root: &Root) -> String {
    let range = root.range(SPACE, Bound::Unbounded, Bound::Unbounded);
    range
        .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn found(disk: &Simulated) -> Found {
    recover(disk, Path::new("data"), &[], |_, last| Ok(last)).expect("it is whole")
}

/// What recovery finds, and that the next run goes on from there, also after a power cut.
fn check(disk: &Simulated, expected: &str) -> Recovery {
    let report = found(disk).report;
    assert_eq!(keys(&found(disk).root), expected);
    run(disk, "zz").expect("it opens");
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    assert_eq!(keys(&found(&disk).root), format!("{expected} zz").trim());
    report
}

/// Opening refuses with a message that contains `expected`, and changes no file but the lock's.
fn check_refused(disk: &Simulated, expected: &str) {
    let files = |disk: &Simulated| {
        let mut files = disk.files();
        files.remove(Path::new("data/LOCK"));
        files
    };
    let before = files(disk);
    let error = run(disk, "").expect_err("it is damaged").to_string();
    assert!(error.contains(expected), "{error}");
    assert!(files(disk) == before);
}

#[test]
fn a_an_empty_directory_is_a_new_store() {
    let disk = Simulated::default();
    disk.create_directory(Path::new("data/log"))
        .expect("there is a disk");
    let report = check(&disk, "");
    assert_eq!((report.lsn, report.clean, report.epoch), (Lsn(0), true, 0));
}

#[test]
fn b_a_closed_log_is_all_proven() {
    let disk = Simulated::default();
    run(&disk, "a b").expect("it opens");
    let disk = disk.restart(Crash::Process(255), Faults::default());
    close(&disk);
    let found = found(&disk);
    assert!(found.report.clean && found.carry.is_empty());
    assert_eq!(found.position.link.lsn, Lsn(3));
    let report = check(&disk, "a b z");
    assert_eq!((report.lsn, report.records, report.torn), (Lsn(3), 3, None));
}

#[test]
fn c_a_seal_without_a_successor_ends_the_log() {
    let disk = killed("a b");
    let header = header_of(&disk, 1);
    let seed = Seed::new(header.salt);
    let bytes = read(&disk, 1);
    let last = Header::decode(&seed, &bytes[offset_of(2) as usize..]).expect("it was written");
    let link = Link {
        lsn: Lsn(2),
        crc: last.payload_crc,
    };
    let seal = Framer {
        seed: &seed,
        link,
        synced: Lsn(1),
    }
    .control(Kind::Seal);
    overwrite(&disk, 1, offset_of(3), &seal);
    // What stands behind a seal is nobody's.
    overwrite(&disk, 1, offset_of(3) + 32, b"anything");
    let report = check(&disk, "a b");
    assert_eq!((report.clean, report.torn), (false, None));
}

#[test]
fn d_zeros_after_the_last_record_are_an_unclean_stop() {
    let disk = killed("a b");
    let found = found(&disk);
    // Record 2 says that 1 was synced; nothing says so of 2 yet.
    assert_eq!(
        (found.position.link.lsn, found.carry.len() as u64),
        (Lsn(1), RECORD_BYTES)
    );
    let report = check(&disk, "a b");
    assert_eq!((report.clean, report.torn), (false, None));
    let header = header_of(&disk, 3);
    assert_eq!(
        (header.base, header.carried, header.epoch),
        (Lsn(2), Lsn(2), 2)
    );
    assert_eq!(
        (header.predecessor.sequence, header.predecessor.bytes),
        (1, offset_of(2))
    );
}

#[test]
fn e_a_torn_tail_stays_as_evidence_and_is_not_replayed() {
    for (at, bytes) in [
        (0, vec![0; 48]),
        (40, vec![0; 8]),
        (0, vec![0xA5; 600]),
        (4, vec![0xFF; 4]),
    ] {
        let disk = killed("a b c");
        overwrite(&disk, 1, offset_of(3) + at, &bytes);
        let evidence = read(&disk, 1);
        let report = check(&disk, "a b");
        let torn = report.torn.map(|torn| (torn.path, torn.offset));
        let expected = evidence[offset_of(3) as usize..]
            .iter()
            .any(|byte| *byte != 0);
        assert_eq!(torn, expected.then(|| (log_file(1), offset_of(3))));
        assert!(read(&disk, 1) == evidence);
    }
}

#[test]
fn f_damage_that_a_later_record_proves_is_refused() {
    let check = |offset, byte: &[u8], expected| {
        let disk = killed("a b c d");
        overwrite(&disk, 1, offset, byte);
        check_refused(&disk, expected);
    };
    check(
        offset_of(2),
        &[0; 48],
        "corrupt at byte 4144 (record 2): record 3 proves",
    );
    check(
        offset_of(2) + 5,
        &[0xFF],
        "corrupt at byte 4144 (record 2): record 3 proves",
    );
    check(
        offset_of(3) + 40,
        &[0xFF],
        "corrupt at byte 4192 (record 3): record 4 proves",
    );
    check(
        offset_of(1),
        &[0; 3 * 48],
        "corrupt at byte 4096 (record 1): record 4 proves",
    );
}

#[test]
fn g_damage_before_the_successors_cut_is_refused() {
    let disk = killed("a b");
    run(&disk, "c").expect("it opens");
    overwrite(&disk, 1, offset_of(1) + 40, &[0xFF]);
    check_refused(
        &disk,
        "corrupt at byte 4096 (record 1): the next segment proves",
    );
}

#[test]
fn h_a_spare_is_used_next() {
    let disk = killed("a");
    assert_eq!(found(&disk).spare, Some(2));
    let count = disk.files().len();
    run(&disk, "b").expect("it opens");
    assert_eq!(header_of(&disk, 3).predecessor.sequence, 1);
    assert!(
        !disk.files().contains_key(&log_file(2)),
        "it has a new name"
    );
    assert_eq!(disk.files().len(), count + 1, "and a successor");
}

#[test]
fn i_a_torn_header_was_never_used() {
    let disk = killed("a");
    let block = header_of(&disk, 1).encode();
    overwrite(&disk, 2, 0, &block[..100]);
    let evidence = read(&disk, 2);
    check(&disk, "a");
    assert!(read(&disk, 2) == evidence);
    assert_eq!(header_of(&disk, 3).predecessor.sequence, 1);
}

#[test]
fn j_records_without_a_header_are_refused() {
    for block in [[0; BLOCK_BYTES], [7; BLOCK_BYTES]] {
        let disk = killed("a");
        overwrite(&disk, 1, 0, &block);
        check_refused(&disk, "it holds records, but its header is damaged");
    }
}

#[test]
fn k_a_segment_whose_carry_is_incomplete_does_not_count() {
    let disk = Simulated::default();
    let lazy = Options {
        durability: Durability::Process,
        ..options()
    };
    run_with(&disk, "a b c", lazy, Duration::ZERO).expect("it opens");
    let disk = disk.restart(Crash::Process(255), Faults::default());
    let blank = read(&disk, 2);
    run(&disk, "").expect("it opens");
    assert_eq!(header_of(&disk, 3).carried, Lsn(3));
    // The copying was interrupted after one of three records.
    overwrite(&disk, 3, offset_of(2), &blank[offset_of(2) as usize..]);
    check(&disk, "a b c");
    assert_eq!(header_of(&disk, 5).predecessor.sequence, 1);
}

#[test]
fn k_a_carry_that_was_complete_once_is_refused_when_damaged() {
    let disk = Simulated::default();
    let lazy = Options {
        durability: Durability::Process,
        ..options()
    };
    run_with(&disk, "a b c", lazy, Duration::ZERO).expect("it opens");
    let disk = disk.restart(Crash::Process(255), Faults::default());
    run(&disk, "d").expect("it opens");
    overwrite(&disk, 3, offset_of(2), &[0; 8]);
    check_refused(&disk, "record 3 proves that it was synced");
}

#[test]
fn l_a_segment_that_was_cut_off_does_not_count() {
    let disk = killed("a b");
    // A successor of the cut after record 1, as one writes that could not write record 2.
    let header = header_of(&disk, 1);
    let bytes = read(&disk, 1);
    let first = Header::decode(&Seed::new(header.salt), &bytes[offset_of(1) as usize..])
        .expect("it was written");
    let link = Link {
        lsn: Lsn(1),
        crc: first.payload_crc,
    };
    let predecessor = Cut {
        sequence: 1,
        bytes: offset_of(2),
        link,
    };
    let next = SegmentHeader {
        sequence: 2,
        base: Lsn(2),
        predecessor,
        ..header
    };
    overwrite(&disk, 2, 0, &next.encode());
    check(&disk, "a");
}

#[test]
fn m_a_missing_segment_is_refused() {
    let disk = killed("a b");
    run(&disk, "c").expect("it opens");
    disk.remove(&log_file(1)).expect("it is there");
    check_refused(
        &disk,
        "000000000001.log is corrupt at byte 0 (record 1): the next segment needs it",
    );
}

#[test]
fn n_segments_of_another_store_or_name_are_refused() {
    let disk = killed("a");
    run(&disk, "b").expect("it opens");
    let foreign = SegmentHeader {
        store: [9; 16],
        ..header_of(&disk, 1)
    };
    overwrite(&disk, 1, 0, &foreign.encode());
    check_refused(&disk, "it belongs to another store");

    let disk = killed("a");
    disk.rename(&log_file(1), &log_file(5))
        .expect("it is there");
    check_refused(&disk, "it has another segment's name");
}

#[test]
fn o_a_header_without_records_is_not_built_upon() {
    let disk = killed("a b");
    let trace = {
        let copy = disk.restart(Crash::Process(255), Faults::default());
        run(&copy, "c").expect("it opens");
        copy.trace()
    };
    let is_header =
        |operation: &&Operation| operation.kind == OperationKind::WriteAt && operation.offset == 0;
    let number = trace
        .iter()
        .find(is_header)
        .expect("it begins a segment")
        .number;
    // Killed between the header's write and its sync.
    let faults = Faults {
        crash_at: Some(number + 1),
        ..Faults::default()
    };
    let disk = disk.restart(Crash::Process(255), faults);
    run(&disk, "c").expect_err("it crashes");
    let disk = disk.restart(Crash::Process(0), Faults::default());
    assert_eq!(header_of(&disk, 3).predecessor.sequence, 1);
    check(&disk, "a b");
    assert_eq!(header_of(&disk, 4).predecessor.sequence, 1);
}

#[test]
fn p_what_a_newer_version_wrote_is_refused_by_name() {
    let disk = killed("a");
    let mut block = header_of(&disk, 1).encode();
    block[8] = 9;
    let crc = crc32fast::hash(&block[..132]);
    block[132..136].copy_from_slice(&crc.to_le_bytes());
    overwrite(&disk, 1, 0, &block);
    check_refused(&disk, "has format version 9");

    let disk = killed("a");
    let seed = Seed::new(header_of(&disk, 1).salt);
    let bytes = read(&disk, 1);
    let record = Header::decode(&seed, &bytes[BLOCK_BYTES..]).expect("it was written");
    overwrite(
        &disk,
        1,
        offset_of(1),
        &Header { kind: 77, ..record }.encode(&seed),
    );
    check_refused(&disk, "a record of kind 77");
}

#[test]
fn r_a_compacted_store_is_its_snapshots_and_the_segments_after_the_cut() {
    let disk = compacted("a b c");
    run(&disk, "d e").expect("it opens");
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    let found = found(&disk);
    let manifest = found.manifest.expect("it was compacted");
    let first = header_of(&disk, manifest.cut.sequence + 2);
    assert_eq!(first.predecessor, manifest.cut);
    let report = check(&disk, "a b c d e");
    assert_eq!((report.snapshot, report.snapshot_entries), (Lsn(3), 3));
    assert_eq!((report.lsn, report.records), (Lsn(5), 2));
    assert_eq!(report.epoch, 3);
}

#[test]
fn s_without_a_segment_after_the_cut_all_is_proven() {
    let disk = compacted("a b");
    assert!(!disk.files().keys().any(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(sequence_of)
            .is_some_and(|sequence| read(&disk, sequence).iter().any(|byte| *byte != 0))
    }));
    let found = found(&disk);
    assert_eq!(
        found.position,
        found.manifest.expect("it was compacted").cut
    );
    assert!(found.carry.is_empty());
    let report = check(&disk, "a b");
    assert_eq!(
        (report.lsn, report.snapshot, report.records),
        (Lsn(2), Lsn(2), 0)
    );
    assert_eq!(
        (report.clean, report.epoch),
        (true, 2),
        "counts the manifest too"
    );
}

#[test]
fn t_a_damaged_or_lost_manifest_is_refused() {
    let length = compacted("a b").files()[Path::new(MANIFEST)].len();
    for byte in 0..length {
        let disk = compacted("a b");
        flip(&disk, Path::new(MANIFEST), byte);
        check_refused(&disk, "MANIFEST is corrupt at byte 0");
    }
    let disk = compacted("a b");
    disk.remove(Path::new(MANIFEST)).expect("it is there");
    check_refused(&disk, "MANIFEST is corrupt at byte 0: it is missing");
    run(&compacted("a b"), "c").expect("it is whole");
    let disk = compacted("a b");
    run(&disk, "c").expect("it opens");
    disk.remove(Path::new(MANIFEST)).expect("it is there");
    check_refused(&disk, "the next segment needs it, but it is missing");
}

#[test]
fn u_a_snapshot_that_is_missing_damaged_or_foreign_is_refused() {
    let path = snapshot_file(&compacted("a b"));
    let name = path.display().to_string();
    let length = compacted("a b").files()[&path].len();
    for byte in 0..length {
        let disk = compacted("a b");
        flip(&disk, &path, byte);
        check_refused(&disk, &format!("{name} is corrupt at byte"));
    }
    let disk = compacted("a b");
    disk.remove(&path).expect("it is there");
    check_refused(&disk, "(record 2): MANIFEST names it, but it is missing");
    // Another store's, of the same key space and transaction.
    let other = Simulated::default();
    let seed = Some(2);
    run_with(&other, "x y", Options { seed, ..options() }, Duration::ZERO).expect("it opens");
    compact(&other);
    let disk = compacted("a b");
    replace(&disk, &path, &other.files()[&path]);
    check_refused(&disk, "it belongs to another store");
    // The same store's at the same transaction, had another been committed.
    let disk = compacted("a b");
    replace(&disk, &path, &compacted("a c").files()[&path]);
    check_refused(&disk, "it is whole, but not the one that MANIFEST names");
}

fn replace(disk: &Simulated, path: &Path, bytes: &[u8]) {
    disk.remove(path).expect("it is there");
    let file = disk.create(path).expect("there is a disk");
    file.write_at(&[IoSlice::new(bytes)], 0)
        .expect("there is a disk");
}

#[test]
fn v_a_segment_that_does_not_follow_the_cut_is_refused() {
    let check = |change: &dyn Fn(&mut SegmentHeader), expected| {
        let disk = compacted("a b");
        run(&disk, "c").expect("it opens");
        let cut = found(&disk).manifest.expect("it was compacted").cut;
        let sequence = found(&disk).position.sequence;
        let mut header = header_of(&disk, sequence);
        assert_eq!(header.predecessor, cut);
        change(&mut header);
        overwrite(&disk, sequence, 0, &header.encode());
        check_refused(&disk, expected);
    };
    let unrelated = "it does not follow the snapshots that MANIFEST names";
    check(&|header| header.predecessor.bytes += 8, unrelated);
    check(&|header| header.predecessor.link.crc ^= 1, unrelated);
    check(&|header| header.predecessor.sequence -= 1, unrelated);
    check(&|header| header.base = header.base.next(), unrelated);
    check(
        &|header| header.store[0] ^= 1,
        "it belongs to another store",
    );
    check(
        &|header| header.branch[0] ^= 1,
        "it belongs to another store",
    );
}

/// As a crash leaves them before and while they are removed.
#[test]
fn w_leftovers_are_not_looked_at_and_removed() {
    let before = killed("a b");
    let disk = before.restart(Crash::Process(255), Faults::default());
    compact(&disk);
    let cut = found(&disk).manifest.expect("it was compacted").cut;
    let create = |path: &Path, bytes: &[u8]| {
        let file = disk.create(path).expect("it was removed");
        file.write_at(&[IoSlice::new(bytes)], 0)
            .expect("there is a disk");
    };
    create(&log_file(1), &before.files()[&log_file(1)]);
    if cut.sequence > 2 {
        create(&log_file(2), b"not even a segment");
    }
    let in_snapshots = |name: &str| Path::new(SNAPSHOTS).join(name);
    create(&in_snapshots("00000100-000000000001.snap"), b"superseded");
    create(
        &in_snapshots("00000100-000000000009.snap.tmp"),
        b"in the making",
    );
    create(Path::new("data/MANIFEST.tmp"), b"in the making");
    let theirs = in_snapshots("notes.txt");
    create(&theirs, b"");
    let report = check(&disk, "a b");
    assert_eq!(report.lsn, Lsn(2));
    let left = disk.files().into_keys().filter(|path| {
        let is_old = path.starts_with("data/log") && *path <= log_file(cut.sequence);
        let is_made =
            path.to_string_lossy().ends_with(".snap.tmp") || path.ends_with("MANIFEST.tmp");
        is_old || is_made || path.to_string_lossy().contains("000001.snap")
    });
    assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new());
    assert!(disk.files().contains_key(&theirs));
}

/// A first compaction that was killed before its manifest.
#[test]
fn w_snapshots_without_a_manifest_are_leftovers() {
    let disk = killed("a b");
    disk.create_directory(Path::new(SNAPSHOTS))
        .expect("there is a disk");
    let path = Path::new(SNAPSHOTS).join("00000100-000000000002.snap");
    disk.create(&path).expect("there is a disk");
    check(&disk, "a b");
    assert!(!disk.files().contains_key(&path));
}

#[test]
fn p_newer_manifests_and_snapshots_are_refused_by_name() {
    let disk = compacted("a");
    let mut bytes = disk.files()[Path::new(MANIFEST)].clone();
    bytes[8] = 9;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..32]);
    hasher.update(&bytes[36..]);
    bytes[32..36].copy_from_slice(&hasher.finalize().to_le_bytes());
    replace(&disk, Path::new(MANIFEST), &bytes);
    check_refused(&disk, "MANIFEST has format version 9");

    let disk = compacted("a");
    let path = snapshot_file(&disk);
    let mut bytes = disk.files()[&path].clone();
    bytes[16] = 1;
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    replace(&disk, &path, &bytes);
    check_refused(&disk, ".snap has format features 0x1");
}

#[test]
fn other_files_are_nobodys_business() {
    let disk = killed("a");
    for name in ["notes.txt", "1.log", "000000000009.log.tmp"] {
        disk.create(&Path::new("data/log").join(name))
            .expect("there is a disk");
    }
    check(&disk, "a");
}

#[test]
fn absurd_headers_with_a_right_checksum_do_not_panic() {
    let check = |change: &dyn Fn(&mut SegmentHeader)| {
        for sequence in [1, 3] {
            let disk = killed("a b");
            run(&disk, "c").expect("it opens");
            let mut header = header_of(&disk, sequence);
            change(&mut header);
            overwrite(&disk, sequence, 0, &header.encode());
            match recover(&disk, Path::new("data"), &[], |_, last| Ok(last)) {
                Ok(found) => assert!("a b c".starts_with(&keys(&found.root)), "{header:?}"),
                Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error}"),
            }
        }
    };
    for extreme in [0, 1, 2, 3, 4, u64::MAX] {
        check(&|header| header.base = Lsn(extreme));
        check(&|header| header.carried = Lsn(extreme));
        check(&|header| header.sequence = extreme);
        check(&|header| header.epoch = extreme);
        check(&|header| header.salt = extreme);
        check(&|header| header.predecessor.sequence = extreme);
        check(&|header| header.predecessor.bytes = extreme);
        check(&|header| header.predecessor.link.crc = 7);
    }
}

#[test]
fn random_damage_is_refused_or_leaves_an_earlier_state() {
    let before = killed("a b c");
    run(&before, "d e").expect("it opens");
    let salts = crate::log::writer::Salts(Some(99));
    for round in 0..300 {
        let disk = before.restart(Crash::Power(Loss::None), Faults::default());
        let (place, length) = (salts.of(round), salts.of(round + 1000) % 64);
        let noise: Vec<u8> = (0..length)
            .map(|index| salts.of(round * 64 + index) as u8)
            .collect();
        overwrite(
            &disk,
            [1, 3][place as usize % 2],
            4000 + (place >> 8) % 400,
            &noise,
        );
        match recover(&disk, Path::new("data"), &[], |_, last| Ok(last)) {
            Ok(found) => assert!("a b c d e".starts_with(&keys(&found.root)), "round {round}"),
            Err(error) => assert!(
                matches!(error, Error::Corrupt { .. }),
                "round {round}: {error}"
            ),
        }
    }
}
