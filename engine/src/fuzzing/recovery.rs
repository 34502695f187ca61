//! Any files as a log directory.

use crate::disk::{Crash, Disk, Faults, Loss, Simulated};
use crate::error::Error;
use crate::log::record::Seed;
use crate::log::recovery::recover;
use crate::log::segment::{self, BLOCK_BYTES, Block, file_name};
use crate::log::writer::Salts;
use crate::manifest::{self, Manifest};
use crate::root::{Read, Root, Space};
use crate::snapshot::{self, Origin};
use crate::store::STORE_ID;
use crate::{Durability, Lsn, Next, Options, Store, verify};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

pub(super) const DIRECTORY: &str = "data";
pub(super) const LOG: &str = "data/log";
pub(super) const SNAPSHOTS: &str = "data/snapshots";
const SPACE: Space = Space::new(0x100, "fuzz/space");

pub(super) const IS_MANIFEST: u8 = 4;
pub(super) const IS_SNAPSHOT: u8 = 8;

/// How much of a segment's block its header takes; the rest is zero and left out of the input.
pub(super) const HEAD_BYTES: usize = 136;

/// A set of segments, opened: it holds a state or is refused.
///
/// - Verifying finds what opening finds. Reading changes nothing; a directory that is refused keeps every byte.
/// - The second time gives the same: the same refusal, or the same state, also after a kill and after a loss of power.
/// - Once opened, it takes a transaction and still has it, and all else, after a loss of power.
///
/// The input is one file after the other: its sequence number (8 bytes), flags (1), a length (2), and as many bytes: the
/// header without the zeros behind it, then records. Flag 1 mends all checksums, so that what is behind them is reached;
/// 2 leaves the payloads' as they are; the upper four bits are kilobytes of zeros to append. With flag 4 the file is the
/// manifest, with 8 a snapshot, whose number is its key space and then its LSN.
pub fn recovery(input: &[u8]) {
    let disk = disk_with(files(input));
    let before = disk.files();
    let found = recover(&disk, Path::new(DIRECTORY), &[], |_, last| Ok(last))
        .map(|found| State::of(&found.root));
    let verified = verify(Arc::new(disk.clone()), Path::new(DIRECTORY));
    let report = verified.expect("it is a directory").report;
    let refusal = found.as_ref().err().map(Error::to_string);
    assert_eq!(report.refusal, refusal, "verify says something else");
    assert!(report.refusal.is_none() || !report.is_healthy());
    assert_eq!(disk.files(), before, "reading changed something");
    match (found, open(&disk)) {
        (Err(found), Err(refused)) => {
            assert_eq!(found.to_string(), refused.to_string());
            check_refused(&disk, &before, &refused);
        }
        (Ok(state), Ok(opened)) => check_opened(&disk, &state, &opened),
        (Ok(_), Err(error)) => panic!("it can be read but not opened: {error}"),
        (Err(error), Ok(_)) => panic!("it was opened, but is refused: {error}"),
    }
}

fn check_refused(disk: &Simulated, before: &BTreeMap<PathBuf, Vec<u8>>, refused: &Error) {
    let mut after = disk.files();
    after.remove(&Path::new(DIRECTORY).join("LOCK"));
    assert_eq!(&after, before, "a refused directory was changed");
    let again = open(disk).expect_err("it was refused before");
    assert_eq!(again.to_string(), refused.to_string());
}

fn check_opened(disk: &Simulated, state: &State, opened: &State) {
    assert_eq!(opened, state);
    for crash in [Crash::Process(255), Crash::Power(Loss::All)] {
        let disk = disk.restart(crash, Faults::default());
        assert_eq!(
            &open(&disk).expect("it was opened before"),
            state,
            "{crash:?}"
        );
        let written = write(&disk);
        let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
        assert_eq!(
            open(&disk).expect("it was just written"),
            written,
            "{crash:?}"
        );
    }
}

pub(super) fn options() -> Options {
    Options {
        durability: Durability::Power,
        segment_bytes: 2 * BLOCK_BYTES as u64,
        seed: Some(1),
        ..Options::default()
    }
}

/// Opens, and ends without closing.
fn open(disk: &Simulated) -> Result<State, Error> {
    let disk = Arc::new(disk.clone());
    let (store, _driver, recovery) = Store::open_stepped(disk, Path::new(DIRECTORY), options())?;
    assert_eq!(recovery.lsn, store.view().lsn());
    Ok(State::of(&store.view().root))
}

/// Opens, writes, and ends without closing; the state that was published.
fn write(disk: &Simulated) -> State {
    let (store, mut driver, recovery) =
        Store::open_stepped(Arc::new(disk.clone()), Path::new(DIRECTORY), options())
            .expect("it was opened before");
    let done = store.commit(|txn| {
        txn.put(SPACE, b"written", b"by the fuzz target");
        Ok::<_, ()>(())
    });
    let now = Instant::now();
    while driver.step(now) == Next::Again {}
    assert_eq!(done.lsn(), Some(recovery.lsn.next()));
    done.wait()
        .expect("the disk has no faults")
        .expect("the closure succeeds");
    State::of(&store.view().root)
}

/// Everything that a root holds.
#[derive(Debug, PartialEq)]
struct State {
    lsn: Lsn,
    spaces: BTreeMap<u32, BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl State {
    fn of(root: &Root) -> State {
        let entries = |id| {
            let space = Space::new(id, "fuzz/any");
            let range = root.range(space, Bound::Unbounded, Bound::Unbounded);
            let owned = range.map(|(key, value)| (key.to_vec(), value.to_vec()));
            (id, owned.collect::<BTreeMap<_, _>>())
        };
        let spaces = root.spaces().map(entries);
        State {
            lsn: root.lsn,
            spaces: spaces.filter(|(_, entries)| !entries.is_empty()).collect(),
        }
    }
}

/// A disk that holds these files, synced.
fn disk_with(files: BTreeMap<PathBuf, Vec<u8>>) -> Simulated {
    let disk = Simulated::default();
    fill(&disk, files).expect("a simulated disk without faults takes all");
    disk
}

fn fill(disk: &Simulated, files: BTreeMap<PathBuf, Vec<u8>>) -> io::Result<()> {
    disk.create_directory(Path::new(LOG))?;
    disk.create_directory(Path::new(SNAPSHOTS))?;
    for (path, bytes) in files {
        let file = disk.create(&path)?;
        file.write_at(&[IoSlice::new(&bytes)], 0)?;
        file.sync_data()?;
    }
    for directory in [LOG, SNAPSHOTS, DIRECTORY, ""] {
        disk.sync_directory(Path::new(directory))?;
    }
    Ok(())
}

fn files(mut input: &[u8]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    while let Some((path, file)) = take_file(&mut input) {
        files.insert(path, file);
    }
    files
}

fn take_file(input: &mut &[u8]) -> Option<(PathBuf, Vec<u8>)> {
    let (number, rest) = input.split_first_chunk()?;
    let (&flags, rest) = rest.split_first()?;
    let (bytes, rest) = rest.split_first_chunk()?;
    let bytes = usize::from(u16::from_le_bytes(*bytes)).min(rest.len());
    let (packed, rest) = rest.split_at(bytes);
    *input = rest;
    let number = u64::from_le_bytes(*number);
    if flags & (IS_MANIFEST | IS_SNAPSHOT) != 0 {
        return Some(compacted_file(number, flags, packed.to_vec()));
    }
    let (head, records) = packed.split_at(packed.len().min(HEAD_BYTES));
    let mut file = head.to_vec();
    if !records.is_empty() {
        file.resize(BLOCK_BYTES, 0);
        file.extend_from_slice(records);
    }
    if flags & 1 != 0 {
        mend(&mut file, flags & 2 == 0);
    }
    file.resize(file.len() + usize::from(flags >> 4) * 1024, 0);
    Some((Path::new(LOG).join(file_name(number)), file))
}

fn compacted_file(number: u64, flags: u8, mut file: Vec<u8>) -> (PathBuf, Vec<u8>) {
    if flags & IS_MANIFEST != 0 {
        if flags & 1 != 0 {
            Manifest::mend(&mut file);
        }
        return (manifest::path(Path::new(DIRECTORY)), file);
    }
    let origin = Origin {
        store: Salts(options().seed).id(STORE_ID),
        space: (number >> 32) as u32,
        lsn: Lsn(number & u64::from(u32::MAX)),
    };
    if flags & 1 != 0 {
        snapshot::mend(&mut file, &origin);
    }
    (origin.path(Path::new(SNAPSHOTS)), file)
}

/// Makes the checksums those of the bytes that they cover, and each record the successor of the one before it.
fn mend(file: &mut [u8], payloads: bool) {
    let Some((head, crc)) = file
        .split_at_mut_checked(HEAD_BYTES - 4)
        .and_then(|(head, rest)| Some((head, rest.first_chunk_mut()?)))
    else {
        return;
    };
    *crc = crc32fast::hash(head).to_le_bytes();
    let Block::Header(header) = segment::Header::decode(file) else {
        return;
    };
    let seed = Seed::new(header.salt);
    let mut previous_crc = header.predecessor.link.crc;
    let mut records = file.get_mut(BLOCK_BYTES..).unwrap_or_default();
    while let Some(mended) = super::mend(&seed, previous_crc, payloads, records) {
        previous_crc = mended.payload_crc;
        records = &mut records[mended.record_bytes()..];
    }
}
