//! Appending: which bytes go where, in which order, and what a refusal leaves behind. No threads, no clock.

use super::record::{self, Framer, HEADER_BYTES, Kind, Seed};
use super::segment::{BLOCK_BYTES, Cut, Header, Id, RESERVE_BYTES};
use super::spare::{Prepared, Spares};
use crate::blob::Blobs;
use crate::compaction::trigger::Growth;
use crate::disk::{File, Site, write_full};
use crate::error::Failure;
use crate::store::Lsn;
use crate::sync::Mutex;
use std::path::PathBuf;
use std::sync::Arc;

/// What transactions that make the state larger leave free in every segment, but never more than an eighth of it.
const KEPT_BYTES: u64 = 16 << 10;

/// What all segments of one opening have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) store: Id,
    pub(crate) branch: Id,
    pub(crate) epoch: u64,
}

/// Where a writer starts: what recovery found.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) identity: Identity,
    /// The end of what is proven synced.
    pub(crate) position: Cut,
    /// What lies past it, as an unframed batch: goes into the next segment before anything else.
    pub(crate) carry: Vec<u8>,
    pub(crate) carried: Lsn,
    /// Does the log end with a close record, or is it empty?
    pub(crate) clean: bool,
}

/// The segment that is written now.
#[derive(Debug)]
struct Segment {
    file: Arc<dyn File>,
    path: PathBuf,
    seed: Seed,
    /// Its reserved length.
    bytes: u64,
    /// Held during a sync; true once one failed. The kernel tells of a lost page only once, so whoever syncs next, maybe
    /// at the same time in another thread, would be told that all is well.
    lost: Mutex<bool>,
}

/// A sync that another thread can make meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct SyncJob {
    blobs: Arc<Blobs>,
    segment: Arc<Segment>,
    lsn: Lsn,
}

impl SyncJob {
    /// Returns what is synced then.
    pub(crate) fn run(self) -> Result<Lsn, Failure> {
        // Bodies before what refers to them: crash argument 2 of [`crate::blob`].
        self.blobs.sync()?;
        sync(&self.segment, Site::LogInBackground).map_err(Fault::failure)?;
        Ok(self.lsn)
    }
}

/// Why a step could not be done.
enum Fault {
    /// A sync failed: what the disk holds is unknown.
    Poisoned(PathBuf),
    /// Nothing that counts was written.
    Refused(Failure),
}

/// The end of the log.
#[derive(Debug)]
pub(crate) struct Writer {
    identity: Identity,
    /// The end of what is written.
    position: Cut,
    /// The file that `position` lies in, if this opening wrote it.
    segment: Option<Arc<Segment>>,
    /// May `segment` take more?
    appendable: bool,
    /// All up to here is synced.
    synced: Lsn,
    carry: Vec<u8>,
    carried: Lsn,
    clean: bool,
    pub(crate) spares: Spares,
    blobs: Arc<Blobs>,
    salt: Salts,
    /// Did bytes of the batch reach a file?
    touched: bool,
    /// May a refused batch stand behind `position`, and a crash make it part of the log?
    doubtful: bool,
    /// What the log has grown by since recovery.
    pub(crate) growth: Growth,
    /// Segment files and their bytes, for the status.
    pub(crate) segments: u64,
    pub(crate) log_bytes: u64,
}

impl Writer {
    pub(crate) fn new(start: Start, spares: Spares, salt: Salts, blobs: Arc<Blobs>) -> Writer {
        Writer {
            identity: start.identity,
            position: start.position,
            segment: None,
            appendable: false,
            synced: start.position.link.lsn,
            carry: start.carry,
            carried: start.carried,
            clean: start.clean,
            spares,
            blobs,
            salt,
            touched: false,
            doubtful: false,
            growth: Growth::default(),
            segments: 0,
            log_bytes: 0,
        }
    }

    pub(crate) fn synced(&self) -> Lsn {
        self.synced
    }

    /// Is there something that a sync would make durable?
    pub(crate) fn needs_sync(&self) -> bool {
        self.segment.is_some() && self.synced < self.position.link.lsn
    }

    /// Brings what recovery carried over into a new segment. Nothing to do if there is none.
    pub(crate) fn settle(&mut self) -> Result<(), Failure> {
        if self.carry.is_empty() {
            return Ok(());
        }
        self.begin_segment().map_err(Fault::failure)
    }

    /// Writes a batch of unframed transactions. On failure none of it is part of the log; only [`Failure::Uncertain`] and
    /// [`Failure::Poisoned`] leave open whether a crash right now would make it so.
    ///
    /// What makes the state larger leaves some room in every segment. On a full disk, deletions go on in that.
    pub(crate) fn append(&mut self, batch: &mut [u8], grows: bool) -> Result<(), Failure> {
        if !self.carry.is_empty() {
            // Before the batch, whose refusal must not take them along.
            self.take_spare(record::largest_bytes(batch), grows)
                .and_then(|spare| self.open_segment(spare))
                .map_err(Fault::failure)?;
        }
        let (position, segment) = (self.position, self.segment.clone());
        let batch_bytes = batch.len() as u64;
        self.touched = false;
        let mut next = None;
        let done = self.append_runs(batch, grows, &mut next);
        if let Some(spare) = next {
            self.spares.put_back(spare);
        }
        match done {
            Ok(()) => {
                self.growth.records += self.position.link.lsn.0 - position.link.lsn.0;
                self.growth.bytes += batch_bytes;
                Ok(())
            }
            Err(Fault::Refused(failure)) if self.touched => {
                (self.position, self.segment) = (position, segment);
                // The way to the next segment may have synced part of the batch, whose LSNs others get now.
                self.synced = self.synced.min(position.link.lsn);
                self.doubtful = true;
                Err(self.cut_off(failure))
            }
            Err(fault) => Err(fault.failure()),
        }
    }

    /// As many records as fit into a segment at a time. Nothing is written before there is a place for what follows it, so
    /// that a full disk leaves the segment as it was.
    fn append_runs(
        &mut self,
        mut batch: &mut [u8],
        grows: bool,
        next: &mut Option<Prepared>,
    ) -> Result<(), Fault> {
        while !batch.is_empty() {
            let room = self.room(grows);
            if batch.len() as u64 > room && next.is_none() {
                *next = Some(self.take_spare(record::largest_bytes(batch), grows)?);
            }
            let run = record::run_bytes(batch, room);
            if let Some(spare) = next.take_if(|_| run == 0) {
                self.finish_segment()?;
                self.open_segment(spare)?;
                continue;
            }
            let head;
            (head, batch) = batch.split_at_mut(run);
            self.append_run(head)?;
        }
        Ok(())
    }

    /// How many bytes of transactions the segment still takes.
    pub(crate) fn room(&self, grows: bool) -> u64 {
        let Some(segment) = self.segment.as_ref().filter(|_| self.appendable) else {
            return 0;
        };
        let kept = if grows {
            KEPT_BYTES.min(segment.bytes / 8)
        } else {
            0
        };
        segment
            .bytes
            .saturating_sub(self.position.bytes + RESERVE_BYTES + kept)
    }

    fn append_run(&mut self, run: &mut [u8]) -> Result<(), Fault> {
        let segment = self.segment.clone().expect("there is room in it");
        let mut framer = Framer {
            seed: &segment.seed,
            link: self.position.link,
            synced: self.synced,
        };
        framer.frame(run);
        let link = framer.link;
        self.touched = true;
        self.write(&segment, run)?;
        self.position.link = link;
        Ok(())
    }

    /// Writes at the end. After a failure the segment takes no more: part of the bytes may be there.
    fn write(&mut self, segment: &Segment, bytes: &[u8]) -> Result<(), Fault> {
        if let Err(error) = write_full(&*segment.file, bytes, self.position.bytes) {
            self.appendable = false;
            return Err(Fault::Refused(Failure::io("write", &segment.path)(error)));
        }
        self.position.bytes += bytes.len() as u64;
        Ok(())
    }

    fn write_control(&mut self, kind: Kind) -> Result<(), Fault> {
        let Some(segment) = self.segment.clone().filter(|_| self.appendable) else {
            return Ok(());
        };
        let mut framer = Framer {
            seed: &segment.seed,
            link: self.position.link,
            synced: self.synced,
        };
        let record = framer.control(kind);
        let link = framer.link;
        self.write(&segment, &record)?;
        self.position.link = link;
        Ok(())
    }

    /// Seals the segment. If the seal can't be written, the successor's header says where it ends just as well.
    fn finish_segment(&mut self) -> Result<(), Fault> {
        let sealed = self.write_control(Kind::Seal);
        self.appendable = false;
        match sealed {
            Err(Fault::Refused(_)) | Ok(()) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// After a failed write: the log goes on in a new segment, whose header cuts off what may stand in the old one. Says
    /// what to tell those whose transactions were in the batch.
    fn cut_off(&mut self, failure: Failure) -> Failure {
        self.appendable = false;
        match self.begin_segment().and_then(|()| self.confirm_cut()) {
            Ok(()) => failure,
            Err(Fault::Poisoned(path)) => Failure::Poisoned { path },
            Err(Fault::Refused(_)) => match failure {
                Failure::NoSpace { path } => Failure::Uncertain {
                    path,
                    reason: "no space left".into(),
                },
                Failure::Io { path, reason, .. } => Failure::Uncertain { path, reason },
                other => other,
            },
        }
    }

    /// A record in the new segment: should its header rot, that is damage, and not a header that was never written, which
    /// would give the old segment back what was cut off.
    fn confirm_cut(&mut self) -> Result<(), Fault> {
        self.write_control(Kind::DurableMark)?;
        self.sync(Site::LogCutOff)
    }

    /// Opens the next segment. On refusal the log is as it was.
    fn begin_segment(&mut self) -> Result<(), Fault> {
        let spare = self.take_spare(0, false)?;
        self.open_segment(spare)
    }

    /// A spare with room for a record of so many bytes.
    fn take_spare(&mut self, bytes: usize, grows: bool) -> Result<Prepared, Fault> {
        let needed = (BLOCK_BYTES + self.carry.len() + bytes) as u64 + RESERVE_BYTES;
        // A seventh of the rest is an eighth of the whole.
        let kept = if grows {
            KEPT_BYTES.min(needed / 7 + 1)
        } else {
            0
        };
        self.spares.take(needed + kept).map_err(Fault::from)
    }

    fn open_segment(&mut self, spare: Prepared) -> Result<(), Fault> {
        // Crash argument 1: the header below vouches for everything before the cut, so that must be synced.
        self.sync(Site::LogBeforeHeader)?;
        let header = self.header_for(&spare);
        let segment = Segment {
            seed: Seed::new(header.salt),
            file: spare.file,
            path: spare.path,
            bytes: spare.bytes,
            lost: Mutex::new(false),
        };
        let refused = |error| Fault::Refused(Failure::io("write", &segment.path)(error));
        write_full(&*segment.file, &header.encode(), 0).map_err(refused)?;
        // Crash argument 2: no record before its segment's header is synced.
        sync(&segment, Site::LogHeader)?;
        let is_carrying = !self.carry.is_empty();
        let mut position = Cut {
            sequence: header.sequence,
            bytes: BLOCK_BYTES as u64,
            link: self.position.link,
        };
        if is_carrying {
            let mut framer = Framer {
                seed: &segment.seed,
                link: position.link,
                synced: self.synced,
            };
            framer.frame(&mut self.carry);
            position.link = framer.link;
            position.bytes += self.carry.len() as u64;
            write_full(&*segment.file, &self.carry, BLOCK_BYTES as u64).map_err(refused)?;
            // Crash argument 4: from here on the copies count, and the originals don't.
            sync(&segment, Site::LogCarried)?;
            self.carry = Vec::new();
        }
        self.segments += 1;
        self.log_bytes += segment.bytes;
        self.position = position;
        self.synced = position.link.lsn;
        self.segment = Some(Arc::new(segment));
        self.appendable = true;
        self.doubtful = false;
        if is_carrying {
            // The next opening finds the copies proven, and need not copy them again.
            self.mark();
        }
        Ok(())
    }

    fn header_for(&self, spare: &Prepared) -> Header {
        Header {
            store: self.identity.store,
            branch: self.identity.branch,
            sequence: spare.sequence,
            epoch: self.identity.epoch,
            base: self.position.link.lsn.next(),
            predecessor: self.position,
            salt: self.salt.of(spare.sequence),
            carried: if self.carry.is_empty() {
                Lsn(0)
            } else {
                self.carried
            },
        }
    }

    /// Makes everything written durable, and before it the bodies that it refers to: crash argument 2 of [`crate::blob`].
    fn sync(&mut self, site: Site) -> Result<(), Fault> {
        if let Some(segment) = &self.segment {
            self.blobs.sync()?;
            sync(segment, site)?;
            self.synced = self.position.link.lsn;
        }
        Ok(())
    }

    /// Makes every appended batch durable. An error is final.
    pub(crate) fn sync_appended(&mut self) -> Result<(), Failure> {
        self.sync(Site::LogRecords).map_err(Fault::failure)
    }

    /// What another thread can sync meanwhile, if anything.
    pub(crate) fn sync_job(&self) -> Option<SyncJob> {
        let segment = self.segment.clone().filter(|_| self.needs_sync())?;
        Some(SyncJob {
            blobs: self.blobs.clone(),
            segment,
            lsn: self.position.link.lsn,
        })
    }

    /// A [`sync_job`](Self::sync_job) succeeded.
    pub(crate) fn sync_done(&mut self, lsn: Lsn) {
        self.synced = self.synced.max(lsn);
    }

    /// Writes down that everything so far is synced. It need not be synced itself, and may fail: the next batch then goes
    /// into a new segment.
    pub(crate) fn mark(&mut self) {
        if self.room(false) >= HEADER_BYTES as u64 {
            // A refused mark proves nothing and costs nothing, see above.
            let _ = self.write_control(Kind::DurableMark);
        }
    }

    /// May the segment be ended before it is full? Only if the next one is there: on a full disk, deletions go on in what is
    /// left of this one.
    pub(crate) fn may_cut(&self) -> Result<bool, Failure> {
        if self.appendable {
            self.spares.is_ready()
        } else {
            Ok(true)
        }
    }

    /// Ends the segment, and makes all of it durable: the log goes on in the next one, from the place returned. For a
    /// compaction, which gives up everything before it. Should it fail, no more was lost than the segment's unused end, and that
    /// is given back.
    pub(crate) fn cut(&mut self) -> Result<Cut, Failure> {
        self.settle()?;
        if self.doubtful {
            // Crash argument 3 of [`crate::compaction`]: a header that cuts it off, and a place behind that.
            self.begin_segment().map_err(Fault::failure)?;
        }
        let was_open = self.appendable;
        self.finish_segment().map_err(Fault::failure)?;
        self.sync(Site::LogBeforeCompaction)
            .map_err(Fault::failure)?;
        if was_open {
            self.trim();
        }
        Ok(self.position)
    }

    /// Gives back what the segment has reserved and does not need any more. It's only space: everything up to here is synced,
    /// zeros come after it.
    fn trim(&mut self) {
        let Some(segment) = &self.segment else {
            return;
        };
        if segment.file.set_len(self.position.bytes).is_ok() {
            let unused = segment.bytes.saturating_sub(self.position.bytes);
            self.log_bytes = self.log_bytes.saturating_sub(unused);
        }
    }

    /// What lies before this cut is in snapshots now. If nothing follows it, nothing need be said of it in the log, and its
    /// segment can go.
    pub(crate) fn rest_at(&mut self, cut: Cut) {
        if self.position == cut {
            (self.segment, self.clean) = (None, true);
        }
    }

    /// Syncs, and says in the log that it was closed, unless it says so already.
    pub(crate) fn close(&mut self) -> Result<(), Failure> {
        self.settle()?;
        self.sync(Site::LogBeforeClose).map_err(Fault::failure)?;
        let unfinished = self.segment.is_some() && !self.appendable;
        if unfinished || (self.segment.is_none() && !self.clean) {
            self.begin_segment().map_err(Fault::failure)?;
        }
        self.write_control(Kind::Close).map_err(Fault::failure)?;
        self.sync(Site::LogClosed).map_err(Fault::failure)?;
        self.appendable = false;
        self.trim();
        Ok(())
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Fault {
        match failure {
            Failure::Poisoned { path } => Fault::Poisoned(path),
            failure => Fault::Refused(failure),
        }
    }
}

impl Fault {
    fn failure(self) -> Failure {
        match self {
            Fault::Poisoned(path) => Failure::Poisoned { path },
            Fault::Refused(failure) => failure,
        }
    }
}

/// Crash argument 5: an error is final, whatever it is.
fn sync(segment: &Segment, site: Site) -> Result<(), Fault> {
    let mut lost = segment.lost.lock();
    *lost = *lost || segment.file.sync_data_at(site).is_err();
    if *lost {
        return Err(Fault::Poisoned(segment.path.clone()));
    }
    Ok(())
}

/// Salts and ids: from the operating system's randomness, or from a seed where runs must repeat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Salts(pub(crate) Option<u64>);

impl Salts {
    pub(crate) fn of(self, number: u64) -> u64 {
        match self.0 {
            Some(seed) => mix(seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
            None => {
                use std::hash::{BuildHasher, RandomState};
                RandomState::new().hash_one(number)
            }
        }
    }

    pub(crate) fn id(self, name: u64) -> Id {
        (u128::from(self.of(name)) << 64 | u128::from(self.of(name + 1))).to_le_bytes()
    }
}

/// The finalizer of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{self, Disk, Faults, Simulated};
    use std::path::Path;

    /// Appends, fails the sync that another thread makes, and goes on to a new segment before anyone was told.
    #[test]
    fn a_failed_sync_is_final_whoever_made_it() {
        let begin = |disk: &Simulated| {
            let directory = Path::new("log");
            disk.create_directory(directory).expect("there is a disk");
            let start = Start {
                identity: Identity {
                    store: Id::default(),
                    branch: Id::default(),
                    epoch: 1,
                },
                position: Cut::default(),
                carry: Vec::new(),
                carried: Lsn(0),
                clean: true,
            };
            let spares = Spares::new(Arc::new(disk.clone()), directory.into(), 1, 64 << 10);
            let blobs = Arc::new(Blobs::ephemeral(&crate::Options::default()));
            let mut writer = Writer::new(start, spares, Salts(Some(1)), blobs);
            let small = append(&mut writer, Lsn(1), 10);
            small.expect("there is a disk");
            writer
        };
        let healthy = Simulated::default();
        begin(&healthy);
        let number = healthy.trace().len() as u64;
        let disk = Simulated::new(Faults {
            errors: [(number, disk::Fault::Io)].into(),
            ..Faults::default()
        });
        let mut writer = begin(&disk);
        let job = writer.sync_job().expect("a record is not synced");
        assert!(matches!(job.run(), Err(Failure::Poisoned { .. })));
        let large = append(&mut writer, Lsn(2), 60 << 10);
        assert!(matches!(large, Err(Failure::Poisoned { .. })), "{large:?}");
    }

    fn append(writer: &mut Writer, lsn: Lsn, bytes: usize) -> Result<(), Failure> {
        let mut batch = Vec::new();
        record::append_unframed(&mut batch, lsn, |out| out.resize(out.len() + bytes, 1));
        writer.append(&mut batch, true)
    }
}
