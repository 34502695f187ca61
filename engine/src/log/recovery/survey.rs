//! All that is wrong with a log: recovery's own judgement, but it goes on where recovery stops. For [`crate::verify`].
//!
//! After damage the next record of the same segment is looked for, by its checksums, and the walk goes on there. After a
//! missing segment it goes on with the one before, as if the log had ended there.

use super::{
    BLOCK_BYTES, Base, Bulk, Cut, DIRECTORY_NAME, Disk, Error, Files, Header, Kind, Link, Lsn,
    Record, Root, Scan, Segment, apply, record, sequence_of, wire,
};
use crate::disk::Access;
use crate::manifest::{self, Manifest};
use crate::snapshot;
use crate::verify::{Finding, FindingKind};
use std::path::Path;

/// What a log holds, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) findings: Vec<Finding>,
    /// Those that the manifest names, and their bytes.
    pub(crate) snapshots: u64,
    pub(crate) snapshot_bytes: u64,
    pub(crate) segments: u64,
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// As much as can be read; empty unless it was asked for.
    pub(crate) root: Root,
}

/// Looks at every byte of the log in the data directory. With `salvage` also at the snapshots, and replays what can be read,
/// whatever is damaged; without, recovery has read all that already.
pub(crate) fn survey(disk: &dyn Disk, directory: &Path, salvage: bool) -> Result<Survey, Error> {
    let (base, errors) = match salvage {
        true => Base::salvage(disk, directory),
        false => (Base::without_state(disk, directory)?, Vec::new()),
    };
    let mut surveyor = Surveyor {
        survey: Survey::default(),
        lsn: base.root.lsn,
        cut: base.cut(),
        is_cut_known: base.manifest.is_some() || errors.is_empty(),
        state: Bulk::onto(base.root),
        salvage,
    };
    for error in &errors {
        surveyor.find(Finding::from(error));
    }
    surveyor.snapshots(disk, directory, base.manifest.as_ref());
    let log = directory.join(DIRECTORY_NAME);
    let names = disk.list(&log).map_err(Error::io("list", &log))?;
    let files = surveyor.files(disk, &log, &names);
    let chain = surveyor.chain(&files);
    surveyor.unused(&files, &chain);
    for link in chain.iter().rev() {
        surveyor.segment(link);
    }
    let mut survey = surveyor.survey;
    survey.segments = files.count;
    survey.root = surveyor.state.finish();
    survey.root.lsn = surveyor.lsn;
    Ok(survey)
}

struct Surveyor {
    survey: Survey,
    state: Bulk,
    lsn: Lsn,
    /// What lies before it is in snapshots.
    cut: Cut,
    /// Else a damaged manifest would say which segment is the first.
    is_cut_known: bool,
    salvage: bool,
}

/// A segment of the log, and where its successor says that it ends.
struct Member<'a> {
    segment: &'a Segment,
    end: Option<Cut>,
}

impl Surveyor {
    fn find(&mut self, finding: Finding) {
        self.survey.findings.push(finding);
    }

    /// Unless there was something to say of its file already.
    fn find_first(&mut self, finding: Finding) {
        let known = self.survey.findings.iter();
        if !known
            .map(|known| &known.path)
            .any(|path| *path == finding.path)
        {
            self.find(finding);
        }
    }

    /// Case W, but for segments.
    fn snapshots(&mut self, disk: &dyn Disk, directory: &Path, manifest: Option<&Manifest>) {
        let temporary = manifest::temporary_path(directory);
        if disk.open(&temporary, Access::Read).is_ok() {
            let reason = "a manifest in the making";
            self.find(Finding::new(FindingKind::Leftover, temporary, reason));
        }
        if let Some(manifest) = manifest {
            self.survey.snapshots = manifest.snapshots.len() as u64;
            self.survey.snapshot_bytes = manifest.snapshot_bytes();
        }
        let directory = directory.join(snapshot::DIRECTORY_NAME);
        // There is none before the first compaction.
        for name in disk.list(&directory).unwrap_or_default() {
            let path = directory.join(&name);
            let belongs = |(space, lsn)| match manifest {
                Some(manifest) => manifest.names(space, lsn),
                // Whether it belongs can't be told.
                None => !self.is_cut_known,
            };
            self.find(match snapshot::named(&name).map(belongs) {
                Some(true) => continue,
                Some(false) => {
                    let reason = "MANIFEST does not name it";
                    Finding::new(FindingKind::Leftover, path, reason)
                }
                None if snapshot::is_temporary(&name) => {
                    Finding::new(FindingKind::Leftover, path, "a snapshot in the making")
                }
                None => Finding::new(FindingKind::Unknown, path, "it has no snapshot's name"),
            });
        }
    }

    fn files(&mut self, disk: &dyn Disk, directory: &Path, names: &[String]) -> Files {
        let mut files = Files {
            directory: directory.to_path_buf(),
            cut: self.cut,
            ..Files::default()
        };
        for name in names {
            let path = directory.join(name);
            let Some(sequence) = sequence_of(name) else {
                let is_spare = name.strip_suffix(".tmp").and_then(sequence_of).is_some();
                self.find(if is_spare {
                    Finding::new(FindingKind::Leftover, path, "a segment in preparation")
                } else {
                    Finding::new(FindingKind::Unknown, path, "it has no segment's name")
                });
                continue;
            };
            // Case W.
            if sequence <= self.cut.sequence {
                let reason = "what it held is in snapshots; the next opening removes it";
                self.find(Finding::new(FindingKind::Leftover, path, reason));
                continue;
            }
            let is_known = |files: &Files| {
                files.segments.contains_key(&sequence) || files.spare == Some(sequence)
            };
            match files.add(disk, sequence) {
                Err(error) => self.find(Finding::from(&error)),
                Ok(()) if is_known(&files) => {}
                // Case I.
                Ok(()) => {
                    let reason = "its header was torn before it was used";
                    self.find(Finding::new(FindingKind::Leftover, path, reason).at(0, None));
                }
            }
        }
        files
    }

    /// The segments of the log, last to first.
    fn chain<'a>(&mut self, files: &'a Files) -> Vec<Member<'a>> {
        let mut chain: Vec<Member<'_>> = Vec::new();
        let newest_below = |sequence| files.segments.range(..sequence).next_back();
        let mut next = newest_below(u64::MAX).map_or(0, |(sequence, _)| *sequence);
        let mut successor: Option<&Segment> = None;
        while next > self.cut.sequence {
            let judged = files.segment(next, successor);
            let is_bad = judged.is_err();
            let is_gone = !files.segments.contains_key(&next);
            if let Err(error) = &judged
                && (self.is_cut_known || !is_gone)
            {
                self.find_first(Finding::from(error));
            }
            let below = newest_below(next).map_or(0, |(sequence, _)| *sequence);
            let Some(segment) = files.segments.get(&next) else {
                (next, successor) = (below, None);
                continue;
            };
            let predecessor = segment.header.predecessor.sequence;
            next = if is_bad { below } else { predecessor };
            // Case K.
            if chain.is_empty() && !self.holds_its_carry(segment) {
                continue;
            }
            let end = successor.map(|successor| successor.header.predecessor);
            chain.push(Member { segment, end });
            successor = (!is_bad).then_some(segment);
        }
        chain
    }

    fn holds_its_carry(&mut self, segment: &Segment) -> bool {
        match segment.holds_its_carry() {
            Ok(true) => true,
            Ok(false) => {
                let reason =
                    "it was to take over records and did not get them all: the one before counts";
                self.find(Finding::new(FindingKind::Leftover, &segment.path, reason));
                false
            }
            // What is wrong with it will be found once more when its records are read.
            Err(_) => true,
        }
    }

    /// Cases K and L.
    fn unused(&mut self, files: &Files, chain: &[Member<'_>]) {
        for (sequence, segment) in &files.segments {
            let is_used = |member: &Member<'_>| member.segment.header.sequence == *sequence;
            let is_known = |finding: &Finding| finding.path == segment.path;
            if !chain.iter().any(is_used) && !self.survey.findings.iter().any(is_known) {
                let reason =
                    "it is not part of the log: what it held was refused, or is in a later one";
                self.find(Finding::new(FindingKind::Leftover, &segment.path, reason));
            }
        }
    }

    /// Walks over all records of a segment.
    fn segment(&mut self, member: &Member<'_>) {
        let segment = member.segment;
        let limit = member.end.map_or(segment.bytes, |cut| cut.bytes);
        let mut scan = segment.scan(segment.start(), limit);
        let mut last_kind = None;
        loop {
            let offset = scan.end.bytes;
            match scan.next() {
                Ok(Some(record)) => {
                    last_kind = Some(record.0);
                    self.record(&segment.path, offset, record);
                    continue;
                }
                Ok(None) => {}
                Err(error) => return self.find(Finding::from(&error).at(offset, None)),
            }
            let finding = match member.end {
                Some(cut) if scan.end == cut => return,
                Some(_) => damage(&scan, "the next segment proves that it was synced"),
                None if matches!(last_kind, Some(Kind::Close | Kind::Seal)) => return,
                None => match scan.refuse_if_proven() {
                    Err(error) => Finding::from(&error),
                    Ok(used) => return self.tail(segment, scan.end.bytes, used),
                },
            };
            let resumed = match scan.resume() {
                Ok(resumed) => resumed,
                Err(error) => return self.find(Finding::from(&error).at(offset, None)),
            };
            let end = resumed.or(member.end.map(|cut| cut.bytes));
            let bytes = end.map(|end| end.saturating_sub(offset));
            self.find(finding.at(offset, bytes));
            if resumed.is_none() {
                return;
            }
        }
    }

    fn tail(&mut self, segment: &Segment, from: u64, to: u64) {
        if to > from {
            let reason = "an incomplete write, or bytes that were never synced";
            let finding = Finding::new(FindingKind::TornTail, &segment.path, reason);
            self.find(finding.at(from, Some(to - from)));
        }
    }

    fn record(&mut self, path: &Path, offset: u64, (kind, header, payload): Record<'_>) {
        if kind != Kind::Transaction {
            return;
        }
        self.survey.records += 1;
        self.survey.bytes += header.record_bytes() as u64;
        self.lsn = self.lsn.max(header.lsn);
        let state = &mut self.state;
        let decoded = wire::decode(payload, |effect| {
            if self.salvage {
                apply(state, effect);
            }
        });
        if let Err(error) = decoded {
            let reason = format!("its effects do not decode: {error}");
            let finding = Finding::new(FindingKind::Damage, path, reason);
            let bytes = header.record_bytes() as u64;
            self.find(finding.at(offset, Some(bytes)).since(header.lsn));
        }
    }
}

fn damage(scan: &Scan<'_>, reason: &str) -> Finding {
    Finding::new(FindingKind::Damage, &scan.segment.path, reason).since(scan.end.link.lsn.next())
}

impl Scan<'_> {
    /// Goes to the next record that verifies by itself, behind one that doesn't. Returns where it is; `None`: there is none
    /// before the limit.
    fn resume(&mut self) -> Result<Option<u64>, Error> {
        let last = self.end.link.lsn;
        let lsn_max = last.0.saturating_add(self.segment.bytes);
        let mut offset = self.end.bytes + record::ALIGNMENT as u64;
        loop {
            let found = self
                .search(offset)
                .map_err(Error::io("read", &self.segment.path))?;
            let (at, header) = match found {
                Searched::Header(at, header) => (at, header),
                Searched::Nothing => return Ok(None),
            };
            if at >= self.limit {
                return Ok(None);
            }
            offset = at + record::ALIGNMENT as u64;
            if header.lsn < last || header.lsn.0 > lsn_max {
                continue;
            }
            let is_new = header.kind == Kind::Transaction as u8;
            let lsn = if is_new {
                header.lsn.previous()
            } else {
                header.lsn
            };
            self.end.bytes = at;
            self.end.link = Link {
                lsn,
                crc: header.previous_crc,
            };
            return Ok(Some(at));
        }
    }

    /// The first record header at or after `offset`.
    fn search(&mut self, mut offset: u64) -> std::io::Result<Searched> {
        loop {
            let bytes = self.window.at(offset, BLOCK_BYTES)?;
            let mut starts = bytes
                .windows(record::HEADER_BYTES)
                .step_by(record::ALIGNMENT);
            let found = starts.by_ref().enumerate().find_map(|(index, bytes)| {
                Header::decode(&self.seed, bytes).map(|header| (index, header))
            });
            if let Some((index, header)) = found {
                let at = offset + (index * record::ALIGNMENT) as u64;
                return Ok(Searched::Header(at, header));
            }
            let whole = bytes.len() / record::ALIGNMENT * record::ALIGNMENT;
            let seen = whole.saturating_sub(record::HEADER_BYTES - record::ALIGNMENT);
            if seen == 0 {
                return Ok(Searched::Nothing);
            }
            offset += seen as u64;
        }
    }
}

enum Searched {
    Header(u64, Header),
    Nothing,
}
