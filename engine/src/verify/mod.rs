//! Checking a data directory without opening it: reads only, changes no byte, and goes on after the first damage.
//!
//! Whether an opening would refuse is asked of recovery itself ([`Report::refusal`]), so the two can't disagree. Recovery
//! stops at the first damage; what else there is, [`crate::log::recovery`]'s survey finds with recovery's own readers of
//! manifest, snapshots and segments, file by file, and [`crate::blob`]'s by reading every body. The state that comes out of it ([`Verified::view`]) is for
//! callers who know what the rows mean, and can add what they find ([`Report::add_row`]).
//!
//! # Limits
//!
//! What no checksum covers and nobody reads can't be told: zeros and garbage behind a seal, a close record or a cut, the
//! text in `LOCK`. That a snapshot holds what the log before it held can't be told once that is gone: it is held against its
//! own checksums, counts and hash, and against those that the manifest has of it. Without the newest files a directory is an older one, and healthy, unless what remains names them.

mod finding;
#[cfg(test)]
mod tests;

pub use finding::{Finding, FindingKind};

use crate::blob::Blobs;
use crate::blob::garbage::Pin;
use crate::disk::{Disk, Lock, LockError};
use crate::error::Error;
use crate::log;
use crate::log::recovery::{Found, Survey, recover, survey};
use crate::root::{Root, Space, View};
use crate::store::{LOCK_FILE, Lsn, Options};
use crate::txn::Logged;
use crate::{blob, manifest, snapshot};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is in a data directory, and what is wrong with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The directory.
    pub directory: PathBuf,
    /// Why an opening would refuse; `None`: it would not.
    pub refusal: Option<String>,
    /// The last transaction that could be read.
    pub lsn: Lsn,
    /// Snapshots that make up the state before the log.
    pub snapshots: u64,
    /// Their bytes.
    pub snapshot_bytes: u64,
    /// How many transactions of the log were read.
    pub records: u64,
    /// Their bytes.
    pub record_bytes: u64,
    /// Segment files that were used.
    pub segments: u64,
    /// How many rows the state has.
    pub rows: u64,
    /// How many bodies of blobs were read, of those that are not in rows.
    pub bodies: u64,
    /// Their bytes.
    pub body_bytes: u64,
    /// All there is to say: manifest, snapshots, log, blobs, then rows; within a file by offset.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Is nothing damaged? Remains of crashes are no damage.
    pub fn is_healthy(&self) -> bool {
        self.damages() == 0
    }

    /// How many findings are damage.
    pub fn damages(&self) -> usize {
        let damages = self.findings.iter();
        damages.filter(|finding| finding.kind.is_damage()).count()
    }

    /// Adds that a row does not decode, for who knows what it should be.
    pub fn add_row(&mut self, space: Space, key: &[u8], reason: String) {
        self.findings.push(Finding::row(space, key, reason));
    }

    /// Adds something that concerns no row in particular.
    pub fn add(&mut self, kind: FindingKind, reason: String) {
        self.findings.push(Finding::new(kind, "", reason));
    }
}

/// A directory that was looked at.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verified {
    /// What was found.
    pub report: Report,
    /// The state; where the log is damaged, as much of it as can be read.
    pub view: View,
    /// The ids of all key spaces that ever held something.
    pub spaces: Vec<u32>,
    /// Nobody opens the directory as long as this is held.
    _lock: Option<Box<dyn Lock>>,
}

/// Checks a data directory, all of it.
///
/// # Errors
///
/// It is none, or a process holds it. What is wrong inside it stands in the report.
pub fn verify(disk: Arc<dyn Disk>, directory: &Path) -> Result<Verified, Error> {
    let log_directory = directory.join(log::DIRECTORY_NAME);
    disk.list(&log_directory)
        .map_err(Error::io("list", &log_directory))?;
    let lock = lock(&*disk, directory)?;
    let options = Options::default();
    let blobs = Blobs::durable(disk.clone(), directory, &options);
    let judged = judge(&*disk, directory, &blobs);
    let surveyed = survey(&*disk, directory, judged.is_err())?;
    let (mut report, root) = put_together(directory, judged, surveyed);
    report.findings.extend(strangers(&*disk, directory)?);
    Ok(finish(report, root, blobs, lock))
}

fn lock(disk: &dyn Disk, directory: &Path) -> Result<Option<Box<dyn Lock>>, Error> {
    let path = directory.join(LOCK_FILE);
    match disk.lock_shared(&path) {
        Ok(lock) => Ok(Some(lock)),
        // A copy may come without it.
        Err(LockError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(LockError::Io(error)) => Err(Error::io("lock", &path)(error)),
        Err(LockError::Held { owner }) => Err(Error::Locked {
            path: directory.to_path_buf(),
            owner,
        }),
    }
}

/// What an opening does before it changes anything.
fn judge(disk: &dyn Disk, directory: &Path, blobs: &Blobs) -> Result<Found, Error> {
    let logged = Logged::new(true, &[]);
    let found = recover(disk, directory, &logged.ephemeral, |records, last| {
        blobs.whole_until(records, last)
    })?;
    blobs.check_rows(&found.root)?;
    Ok(found)
}

/// What else is in the directory.
fn strangers(disk: &dyn Disk, directory: &Path) -> Result<Vec<Finding>, Error> {
    let names = disk.list(directory).map_err(Error::io("list", directory))?;
    let strangers = names.iter().filter(|name| !OURS.contains(&name.as_str()));
    let unknown = |name| Finding::new(FindingKind::Unknown, directory.join(name), "it is not ours");
    Ok(strangers.map(unknown).collect())
}

/// What an opening makes in a data directory.
const OURS: [&str; 6] = [
    LOCK_FILE,
    log::DIRECTORY_NAME,
    blob::DIRECTORY_NAME,
    snapshot::DIRECTORY_NAME,
    manifest::FILE_NAME,
    manifest::TEMPORARY_NAME,
];

fn put_together(
    directory: &Path,
    judged: Result<Found, Error>,
    surveyed: Survey,
) -> (Report, Root) {
    let mut report = Report {
        directory: directory.to_path_buf(),
        refusal: None,
        lsn: surveyed.root.lsn,
        snapshots: surveyed.snapshots,
        snapshot_bytes: surveyed.snapshot_bytes,
        records: surveyed.records,
        record_bytes: surveyed.bytes,
        segments: surveyed.segments,
        rows: 0,
        bodies: 0,
        body_bytes: 0,
        findings: surveyed.findings,
    };
    let root = match judged {
        Ok(found) => {
            report.lsn = found.report.lsn;
            // It knows more of the end: an incomplete body makes whole records part of the torn tail.
            report
                .findings
                .retain(|finding| finding.kind != FindingKind::TornTail);
            report.findings.extend(found.report.torn.map(Finding::torn));
            found.root
        }
        Err(error) => {
            report.refusal = Some(with_causes(&error));
            let finding = Finding::from(&error);
            if !report.findings.iter().any(|known| known.is_same(&finding)) {
                report.findings.push(finding);
            }
            surveyed.root
        }
    };
    (report, root)
}

fn finish(mut report: Report, root: Root, blobs: Blobs, lock: Option<Box<dyn Lock>>) -> Verified {
    let bodies = blobs.survey(&root, report.refusal.is_none());
    (report.bodies, report.body_bytes) = (bodies.count, bodies.bytes);
    report.findings.extend(bodies.findings);
    report.findings.sort_by(Finding::compare);
    let spaces: Vec<u32> = root.spaces().collect();
    let view = View {
        root: Arc::new(root),
        pin: Arc::new(Pin(Arc::new(blobs))),
    };
    let count = |space: &u32| view.count(Space::new(*space, "")) as u64;
    report.rows = spaces.iter().map(count).sum();
    Verified {
        report,
        view,
        spaces,
        _lock: lock,
    }
}

/// The error and all that caused it, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
