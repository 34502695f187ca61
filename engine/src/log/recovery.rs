//! Recovery: which records are the log, and what stands after them.
//!
//! It reads only. Whatever it finds, nothing on disk is changed before the whole log has been judged; the copies of
//! unproven records are the writer's first work.
//!
//! | | found | judged |
//! |---|---|---|
//! | A | no segments | a new store |
//! | B | a valid close record at the end | closed: all of it is proven |
//! | C | a valid seal at the end, no successor | unclean: the seal's successor was never used |
//! | D | zeros after the last record | unclean: killed, or power lost between writes |
//! | E | other bytes after the last record, nothing proves them | torn: those bytes stay as evidence |
//! | F | an invalid record, and a later one proves that it was synced | **damage** |
//! | G | an invalid record before the cut that the successor's header names | **damage** |
//! | H | a blank segment at the end | a spare, used next under a new name |
//! | I | no valid header, no records | its header was torn: never used, stays as evidence |
//! | J | no valid header, but records | **damage**: a header is synced before the first record |
//! | K | a segment whose carried records are incomplete | killed while copying: never used, its predecessor counts |
//! | L | a segment that another cut off (its batch was refused) | not part of the log |
//! | M | a segment that a header names is missing | **damage** |
//! | N | a segment of another store or branch, or under another's name | **damage** |
//! | O | a header without records at the end | it may not be synced, so the next one follows its predecessor |
//! | P | a newer version, feature, kind, codec or effect | refused by name |
//! | Q | an unproven record refers to a blob whose body isn't whole | torn: it and what follows stay as evidence |
//! | R | a manifest, and a segment that follows its cut | a compacted store: its snapshots, then the segments |
//! | S | a manifest, and no segment after its cut | the same: all of the log is in the snapshots, and proven |
//! | T | a damaged manifest; none, but snapshots and no log | **damage** |
//! | U | a snapshot that the manifest names is missing, damaged or another store's | **damage** |
//! | V | the first segment after the cut does not follow it | **damage** |
//! | W | segments up to the cut's, snapshots that the manifest doesn't name, files in the making | leftovers |
//!
//! In C, D and E the records past the last proven one are carried over, see the crash argument in [`super`]. Leftovers may
//! hold anything: they are not even looked at. [`crate::compaction::sweep`] removes them.

use super::DIRECTORY_NAME;
use super::base::Base;
use super::record::{self, CODEC_MESSAGEPACK, HEADER_BYTES, Header, Kind, Link, Seed};
use super::segment::{
    self, BLOCK_BYTES, Block, Cut, SEQUENCE_MAX, VERSION_MAJOR, file_name, sequence_of,
};
use super::window::Window;
use crate::bulk::Bulk;
use crate::disk::{Access, Disk, File, read_full};
use crate::error::Error;
use crate::manifest::Manifest;
use crate::root::Root;
use crate::store::{Lsn, Recovery, Torn};
use crate::wire::{self, Effect};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a data directory holds.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) root: Root,
    /// Store and branch; `None` in a new one.
    pub(crate) ids: Option<(segment::Id, segment::Id)>,
    /// The end of what is proven synced.
    pub(crate) position: Cut,
    /// The transactions past it, as an unframed batch.
    pub(crate) carry: Vec<u8>,
    /// The last segment, which they are in.
    pub(crate) last: Option<(PathBuf, Arc<dyn File>)>,
    pub(crate) next_sequence: u64,
    /// A spare to use next.
    pub(crate) spare: Option<u64>,
    pub(crate) segments: u64,
    pub(crate) log_bytes: u64,
    /// What the last compaction left.
    pub(crate) manifest: Option<Manifest>,
    /// Its epoch is the last one written.
    pub(crate) report: Recovery,
}

/// Reads the data directory: its snapshots, then its log. The key spaces in `ephemeral` (sorted) are hidden. `judge` gets the
/// unproven transactions and the last one's LSN, and says how far to believe them.
pub(crate) fn recover(
    disk: &dyn Disk,
    directory: &Path,
    ephemeral: &[u32],
    judge: impl FnOnce(&[u8], Lsn) -> Result<Lsn, Error>,
) -> Result<Found, Error> {
    let base = Base::read(disk, directory)?;
    let files = Files::read(disk, &directory.join(DIRECTORY_NAME), base.cut())?;
    let chain = files.chain(&base)?;
    if chain.is_empty() {
        base.refuse_if_lost(disk, directory)?;
    }
    let mut replay = Replay::of(&base, &chain, Lsn(u64::MAX))?;
    let believed = judge(&replay.carry, replay.lsn)?;
    if believed < replay.lsn {
        replay = Replay::of(&base, &chain, believed)?;
    }
    let mut found = replay.found(&files, base, chain.last().copied());
    found.root.park(ephemeral);
    Ok(found)
}

/// A segment with a valid header.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    header: segment::Header,
    file: Arc<dyn File>,
    bytes: u64,
}

/// The files of the log directory, by what their first block is.
#[derive(Debug, Default)]
struct Files {
    directory: PathBuf,
    /// What lies before it is in snapshots.
    cut: Cut,
    segments: BTreeMap<u64, Segment>,
    /// The newest blank one.
    spare: Option<u64>,
    /// The highest sequence number that any file has.
    sequence_max: u64,
    /// Those that were used, and their bytes.
    count: u64,
    bytes: u64,
}

impl Files {
    fn read(disk: &dyn Disk, directory: &Path, cut: Cut) -> Result<Files, Error> {
        let mut files = Files {
            directory: directory.to_path_buf(),
            cut,
            sequence_max: cut.sequence,
            ..Files::default()
        };
        let names = disk.list(directory).map_err(Error::io("list", directory))?;
        let sequences = names.iter().filter_map(|name| sequence_of(name));
        // Case W.
        for sequence in sequences.filter(|sequence| *sequence > cut.sequence) {
            files.add(disk, sequence)?;
        }
        Ok(files)
    }

    fn add(&mut self, disk: &dyn Disk, sequence: u64) -> Result<(), Error> {
        let path = self.directory.join(file_name(sequence));
        if sequence > SEQUENCE_MAX {
            let reason = "its number leaves none for the segments after it";
            return Err(corrupt(&path, 0, Lsn(0), reason));
        }
        let file = disk
            .open(&path, Access::Read)
            .map_err(Error::io("open", &path))?;
        let bytes = file.len().map_err(Error::io("measure", &path))?;
        let mut start = [0; BLOCK_BYTES + HEADER_BYTES];
        let count = read_full(&*file, &mut start, 0).map_err(Error::io("read", &path))?;
        let (block, records) = start[..count].split_at(count.min(BLOCK_BYTES));
        self.sequence_max = self.sequence_max.max(sequence);
        let no_records = records.iter().all(|byte| *byte == 0);
        match segment::Header::decode(block) {
            Block::Header(header) if header.sequence == sequence => {
                self.segments.insert(
                    sequence,
                    Segment {
                        path,
                        header,
                        file,
                        bytes,
                    },
                );
            }
            Block::Header(_) => {
                return Err(corrupt(&path, 0, Lsn(0), "it has another segment's name"));
            }
            Block::Newer(found, supported) => {
                return Err(Error::NewerFormat {
                    path,
                    found,
                    supported,
                });
            }
            Block::Blank if no_records => {
                self.spare = Some(sequence);
                return Ok(());
            }
            Block::Invalid if no_records => {}
            Block::Blank | Block::Invalid => {
                return Err(corrupt(
                    &path,
                    0,
                    Lsn(0),
                    "it holds records, but its header is damaged",
                ));
            }
        }
        self.count += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// The segments that make up the log after the cut, first to last.
    fn chain(&self, base: &Base) -> Result<Vec<&Segment>, Error> {
        let mut chain: Vec<&Segment> = Vec::new();
        let mut next = self.segments.keys().next_back().copied().unwrap_or(0);
        while next > self.cut.sequence {
            let segment = self.segment(next, chain.last().copied())?;
            next = segment.header.predecessor.sequence;
            if next <= self.cut.sequence {
                base.refuse_if_unrelated(&segment.path, &segment.header)?;
            }
            // Case K can only be at the end: nothing follows a segment that never counted.
            if !chain.is_empty() || segment.holds_its_carry()? {
                chain.push(segment);
            }
        }
        chain.reverse();
        Ok(chain)
    }

    fn segment(&self, sequence: u64, successor: Option<&Segment>) -> Result<&Segment, Error> {
        let Some(segment) = self.segments.get(&sequence) else {
            let path = self.directory.join(file_name(sequence));
            let lsn = successor.map_or(Lsn(0), |successor| successor.header.base.previous());
            return Err(corrupt(
                &path,
                0,
                lsn,
                "the next segment needs it, but it is missing or has no header",
            ));
        };
        // Else the walk back through the chain might never end.
        if segment.header.predecessor.sequence >= sequence {
            let reason = "it names itself or a later segment as the one before it";
            return Err(corrupt(&segment.path, 0, segment.header.base, reason));
        }
        let Some(successor) = successor else {
            return Ok(segment);
        };
        let (header, next) = (&segment.header, &successor.header);
        if (header.store, header.branch) != (next.store, next.branch) {
            return Err(corrupt(
                &segment.path,
                0,
                header.base,
                "it belongs to another store",
            ));
        }
        if header.base > next.base {
            return Err(corrupt(
                &successor.path,
                0,
                next.base,
                "it does not follow the segment that it names",
            ));
        }
        Ok(segment)
    }
}

impl Segment {
    /// The valid records from `from` on, up to `limit`.
    fn scan(&self, from: Cut, limit: u64) -> Scan<'_> {
        Scan {
            segment: self,
            window: Window::new(self.file.clone(), self.bytes),
            seed: Seed::new(self.header.salt),
            end: from,
            limit,
        }
    }

    /// Where its records start.
    fn start(&self) -> Cut {
        let link = self.header.predecessor.link;
        Cut {
            sequence: self.header.sequence,
            bytes: BLOCK_BYTES as u64,
            link,
        }
    }

    /// Are all the records that it was to take over from its predecessor there?
    fn holds_its_carry(&self) -> Result<bool, Error> {
        let mut scan = self.scan(self.start(), self.bytes);
        while scan.end.link.lsn < self.header.carried {
            if scan.next()?.is_none() {
                scan.refuse_if_proven()?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A valid record: what it is, its header and its payload.
type Record<'a> = (Kind, Header, &'a [u8]);

/// Walks over the valid records of one segment.
struct Scan<'a> {
    segment: &'a Segment,
    window: Window,
    seed: Seed,
    /// The end of the last valid record.
    end: Cut,
    limit: u64,
}

impl Scan<'_> {
    /// The next valid record; `None` at the first bytes that aren't one.
    fn next(&mut self) -> Result<Option<Record<'_>>, Error> {
        let unreadable = |error| Error::io("read", &self.segment.path)(error);
        let start = self.end.bytes;
        let Some(header) = Header::decode(
            &self.seed,
            self.window.at(start, HEADER_BYTES).map_err(unreadable)?,
        ) else {
            return Ok(None);
        };
        let bytes = header.record_bytes();
        let record = self.window.at(start, bytes).map_err(unreadable)?;
        let payload = HEADER_BYTES..HEADER_BYTES + header.payload_bytes as usize;
        let whole = start + bytes as u64 <= self.limit && record.len() >= bytes;
        if !whole
            || header.previous_crc != self.end.link.crc
            || header.payload_crc != self.seed.payload_crc(header.lsn, &record[payload.clone()])
        {
            return Ok(None);
        }
        let kind = self.kind_of(&header)?;
        let last = self.end.link.lsn;
        if header.lsn
            != if kind == Kind::Transaction {
                last.next()
            } else {
                last
            }
        {
            return Ok(None);
        }
        self.end.bytes += bytes as u64;
        self.end.link = Link {
            lsn: header.lsn,
            crc: header.payload_crc,
        };
        let record = self.window.at(start, bytes).map_err(unreadable)?;
        Ok(Some((kind, header, &record[payload])))
    }

    /// Case P, inside a segment.
    fn kind_of(&self, header: &Header) -> Result<Kind, Error> {
        let known = Kind::of(header.kind).filter(|kind| match kind {
            Kind::Transaction => header.codec == CODEC_MESSAGEPACK && header.flags == 0,
            Kind::Checkpoint => false,
            Kind::DurableMark | Kind::Seal | Kind::Close => header.flags == 0,
        });
        known.ok_or_else(|| Error::NewerFormat {
            path: self.segment.path.clone(),
            found: format!(
                "a record of kind {}, codec {}, flags {:#x}",
                header.kind, header.codec, header.flags
            ),
            supported: format!("version {VERSION_MAJOR}"),
        })
    }

    /// Crash argument 3: looks at all that follows the last valid record. A later record that was written when the missing
    /// one was known synced is case F. Returns the end of what isn't zero.
    fn refuse_if_proven(&mut self) -> Result<u64, Error> {
        let missing = self.end.link.lsn.next();
        let plausible = missing
            ..=Lsn(missing
                .0
                .saturating_add(self.segment.bytes / HEADER_BYTES as u64));
        let (mut offset, mut used) = (self.end.bytes, self.end.bytes);
        loop {
            let bytes = self
                .window
                .at(offset, HEADER_BYTES)
                .map_err(Error::io("read", &self.segment.path))?;
            if bytes.is_empty() {
                return Ok(used);
            }
            let used_here = used_bytes(bytes);
            if used_here > 0 {
                used = offset + used_here as u64;
            }
            let searched = &bytes[..bytes.len().min(used_here + HEADER_BYTES)];
            let headers = searched.windows(HEADER_BYTES).step_by(record::ALIGNMENT);
            let mut later = headers.filter_map(|bytes| Header::decode(&self.seed, bytes));
            if let Some(proof) =
                later.find(|header| header.proven() >= missing && plausible.contains(&header.lsn))
            {
                let reason = format!("record {} proves that it was synced", proof.lsn.0);
                return Err(corrupt(
                    &self.segment.path,
                    self.end.bytes,
                    missing,
                    &reason,
                ));
            }
            // The last bytes are looked at again with what follows them.
            let whole = bytes.len() / record::ALIGNMENT * record::ALIGNMENT;
            offset += whole
                .saturating_sub(HEADER_BYTES - record::ALIGNMENT)
                .max(record::ALIGNMENT) as u64;
        }
    }
}

/// The length of `bytes` without the zeros at the end.
fn used_bytes(bytes: &[u8]) -> usize {
    const ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
    let blocks = bytes.rchunks(BLOCK_BYTES);
    let blank = blocks.take_while(|block| **block == ZEROS[..block.len()]);
    let rest = &bytes[..bytes.len() - blank.map(<[u8]>::len).sum::<usize>()];
    rest.iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1)
}

/// The state as far as it is replayed, and how the log ended.
struct Replay {
    /// Transactions past it are torn.
    believed: Lsn,
    state: Bulk,
    records: u64,
    bytes: u64,
    position: Cut,
    carry: Vec<u8>,
    lsn: Lsn,
    clean: bool,
    torn: Option<Torn>,
}

impl Replay {
    fn of(base: &Base, chain: &[&Segment], believed: Lsn) -> Result<Replay, Error> {
        let mut replay = Replay::new(base, believed);
        for pair in chain.windows(2) {
            replay.sealed(pair[0], pair[1].header.predecessor)?;
        }
        if let Some(last) = chain.last() {
            replay.last(last)?;
        }
        Ok(replay)
    }

    /// Without a segment, the snapshots are all there is, and proven.
    fn new(base: &Base, believed: Lsn) -> Replay {
        Replay {
            believed,
            state: Bulk::onto(base.root.clone()),
            records: 0,
            bytes: 0,
            position: base.cut(),
            carry: Vec::new(),
            lsn: base.root.lsn,
            clean: true,
            torn: None,
        }
    }

    /// Replays a segment whose end its successor's header names.
    fn sealed(&mut self, segment: &Segment, cut: Cut) -> Result<(), Error> {
        let mut scan = segment.scan(segment.start(), cut.bytes);
        while let Some((kind, header, payload)) = scan.next()? {
            self.apply(segment, kind, &header, payload)?;
        }
        if scan.end != cut {
            let missing = scan.end.link.lsn.next();
            let reason = "the next segment proves that it was synced";
            return Err(corrupt(&segment.path, scan.end.bytes, missing, reason));
        }
        Ok(())
    }

    /// Replays the last segment and judges its end.
    fn last(&mut self, segment: &Segment) -> Result<(), Error> {
        let mut scan = segment.scan(segment.start(), segment.bytes);
        let mut tail = Tail::new(segment.start());
        let mut last_kind = None;
        let mut disbelieved = None;
        while let Some((kind, header, payload)) = scan.next()? {
            self.apply(segment, kind, &header, payload)?;
            last_kind = Some(kind);
            tail.record(kind, header.proven(), scan.end);
            if header.lsn > self.believed {
                disbelieved.get_or_insert(scan.end.bytes - header.record_bytes() as u64);
            }
        }
        self.clean = last_kind == Some(Kind::Close);
        let ended = matches!(last_kind, Some(Kind::Close | Kind::Seal));
        if !ended || disbelieved.is_some() {
            let used = if ended {
                scan.end.bytes
            } else {
                scan.refuse_if_proven()?
            };
            // Case Q.
            let offset = disbelieved.unwrap_or(scan.end.bytes);
            let path = segment.path.clone();
            self.torn = (used > offset).then(|| Torn {
                path,
                offset,
                bytes: used - offset,
            });
        }
        if scan.end == segment.start() {
            // Case O.
            self.position = segment.header.predecessor;
            return Ok(());
        }
        self.position = tail.proven;
        self.carry_over(segment)
    }

    /// Keeps what lies past the proven end for the next segment.
    fn carry_over(&mut self, segment: &Segment) -> Result<(), Error> {
        let mut scan = segment.scan(self.position, segment.bytes);
        while let Some((kind, header, payload)) = scan.next()? {
            if kind == Kind::Transaction && header.lsn <= self.believed {
                record::append_unframed(&mut self.carry, header.lsn, |out| {
                    out.extend_from_slice(payload)
                });
            }
        }
        Ok(())
    }

    fn apply(
        &mut self,
        segment: &Segment,
        kind: Kind,
        header: &Header,
        payload: &[u8],
    ) -> Result<(), Error> {
        if kind != Kind::Transaction || header.lsn > self.believed {
            return Ok(());
        }
        self.records += 1;
        self.bytes += header.record_bytes() as u64;
        let state = &mut self.state;
        wire::decode(payload, |effect| apply(state, effect))
            .map_err(|error| corrupt(&segment.path, 0, header.lsn, &error.to_string()))?;
        self.lsn = header.lsn;
        Ok(())
    }

    fn found(self, files: &Files, base: Base, last: Option<&Segment>) -> Found {
        let used = files.segments.keys().next_back().copied().unwrap_or(0);
        let epochs = files.segments.values().map(|segment| segment.header.epoch);
        let mut root = self.state.finish();
        root.lsn = self.lsn;
        let ids = last.map(|last| (last.header.store, last.header.branch));
        Found {
            root,
            ids: ids.or(base.ids()),
            position: self.position,
            carry: self.carry,
            last: last.map(|last| (last.path.clone(), last.file.clone())),
            next_sequence: files.sequence_max.saturating_add(1),
            spare: files.spare.filter(|spare| *spare > used),
            segments: files.count,
            log_bytes: files.bytes,
            report: Recovery {
                lsn: self.lsn,
                snapshot: base.root.lsn,
                snapshot_entries: base.entries(),
                records: self.records,
                bytes: self.bytes,
                epoch: epochs.max().unwrap_or(0).max(base.epoch()),
                clean: self.clean,
                torn: self.torn,
            },
            manifest: base.manifest,
        }
    }
}

fn apply(state: &mut Bulk, effect: Effect<'_>) {
    match effect {
        Effect::Put { space, key, value } => state.put(space, key, value),
        Effect::Delete { space, key } => state.delete(space, key),
        Effect::DeletePrefix { space, prefix } => state.delete_prefix(space, prefix),
        Effect::Clear => state.clear(),
    }
}

/// Finds the end of the last transaction that a later record, or the header, proves synced.
///
/// Of the control records, none is ever proven: they repeat an LSN that was synced before them.
struct Tail {
    proven: Cut,
    /// Ends of the transactions past it.
    unproven: VecDeque<Cut>,
}

impl Tail {
    /// Everything before a segment's first record was synced before its header was.
    fn new(start: Cut) -> Tail {
        Tail {
            proven: start,
            unproven: VecDeque::new(),
        }
    }

    fn record(&mut self, kind: Kind, proven: Lsn, end: Cut) {
        if kind == Kind::Transaction {
            self.unproven.push_back(end);
        }
        while let Some(first) = self
            .unproven
            .front()
            .filter(|first| first.link.lsn <= proven)
        {
            self.proven = *first;
            self.unproven.pop_front();
        }
    }
}

pub(super) fn corrupt(path: &Path, offset: u64, lsn: Lsn, reason: &str) -> Error {
    Error::Corrupt {
        path: path.to_path_buf(),
        offset,
        lsn,
        reason: reason.to_string(),
    }
}

mod survey;
#[cfg(test)]
mod tests;

pub(crate) use survey::{Survey, survey};
