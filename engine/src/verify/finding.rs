//! One thing to say of a data directory.

use crate::error::Error;
use crate::root::Space;
use crate::store::{Lsn, Torn};
use std::cmp::Ordering;
use std::path::PathBuf;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FindingKind {
    /// Bytes of the log that were proven durable no longer verify, or are missing.
    Damage,
    /// A body of a blob is not what was written.
    DamagedBody,
    /// A row does not decode, or contradicts another.
    Row,
    /// Written by a newer version.
    Newer,
    /// The operating system can't read it.
    Unreadable,
    /// What a crash left incomplete at the log's end.
    TornTail,
    /// Of no use any more, such as a segment that was never completed.
    Leftover,
    /// A body that no row refers to.
    Orphan,
    /// Not ours.
    Unknown,
}

impl FindingKind {
    /// Is something lost or out of reach? The others are remains that do no harm.
    pub fn is_damage(self) -> bool {
        use FindingKind::{Damage, DamagedBody, Newer, Row, Unreadable};
        matches!(self, Damage | DamagedBody | Row | Newer | Unreadable)
    }

    /// A name for machines.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::Damage => "damage",
            FindingKind::DamagedBody => "damaged body",
            FindingKind::Row => "row",
            FindingKind::Newer => "newer format",
            FindingKind::Unreadable => "unreadable",
            FindingKind::TornTail => "torn tail",
            FindingKind::Leftover => "leftover",
            FindingKind::Orphan => "orphan",
            FindingKind::Unknown => "unknown",
        }
    }

    /// What it means for whoever owns the directory.
    pub fn meaning(self) -> &'static str {
        match self {
            FindingKind::Damage => {
                "these bytes were durable once and are not what was written: the directory is not opened"
            }
            FindingKind::DamagedBody => {
                "reading this body fails; other bodies and rows are not concerned"
            }
            FindingKind::Row => "requests that need this row fail",
            FindingKind::Newer => "a newer version of cumulog wrote it: that version can read it",
            FindingKind::Unreadable => "the operating system could not read it: look at the disk",
            FindingKind::TornTail => {
                "a crash left it incomplete; it was never acknowledged, and is kept as evidence"
            }
            FindingKind::Leftover => "of no use any more; it does no harm",
            FindingKind::Orphan => "nothing refers to it; the next opening removes it",
            FindingKind::Unknown => "not cumulog's; it is left alone",
        }
    }
}

/// One thing to say, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The file.
    pub path: PathBuf,
    /// Where in the file it starts.
    pub offset: Option<u64>,
    /// How long it is.
    pub bytes: Option<u64>,
    /// The first transaction that is concerned.
    pub lsn: Option<Lsn>,
    /// The key space and the key of a row.
    pub row: Option<(String, Vec<u8>)>,
    /// What doesn't fit.
    pub reason: String,
}

impl Finding {
    pub(crate) fn new(
        kind: FindingKind,
        path: impl Into<PathBuf>,
        reason: impl Into<String>,
    ) -> Finding {
        Finding {
            kind,
            path: path.into(),
            offset: None,
            bytes: None,
            lsn: None,
            row: None,
            reason: reason.into(),
        }
    }

    pub(crate) fn at(mut self, offset: u64, bytes: Option<u64>) -> Finding {
        (self.offset, self.bytes) = (Some(offset), bytes);
        self
    }

    pub(crate) fn since(mut self, lsn: Lsn) -> Finding {
        // 0 is no transaction.
        self.lsn = (lsn > Lsn(0)).then_some(lsn);
        self
    }

    pub(crate) fn torn(torn: Torn) -> Finding {
        let reason = "an incomplete write, or bytes that were never synced";
        let finding = Finding::new(FindingKind::TornTail, torn.path, reason);
        finding.at(torn.offset, Some(torn.bytes))
    }

    pub(crate) fn row(space: Space, key: &[u8], reason: String) -> Finding {
        let mut finding = Finding::new(FindingKind::Row, "", reason);
        finding.row = Some((space.name.to_string(), key.to_vec()));
        finding
    }

    /// In the order in which a person follows: manifest, snapshots, log, blobs, the rest, rows; within a file by place.
    pub(crate) fn compare(&self, other: &Finding) -> Ordering {
        let by_file = (self.rank(), &self.path).cmp(&(other.rank(), &other.path));
        let place = |finding: &Finding| (finding.offset, finding.lsn);
        by_file.then_with(|| place(self).cmp(&place(other)))
    }

    fn rank(&self) -> usize {
        let parent = self.path.parent().and_then(|parent| parent.file_name());
        let name = self.path.file_name().unwrap_or_default();
        let is_manifest = name.to_string_lossy().starts_with("MANIFEST");
        match parent.and_then(|parent| parent.to_str()) {
            _ if self.path.as_os_str().is_empty() => 5,
            _ if is_manifest => 0,
            Some("snapshots") => 1,
            Some("log") => 2,
            Some("blobs") => 3,
            _ => 4,
        }
    }

    /// Do both say the same, maybe in other words?
    pub(crate) fn is_same(&self, other: &Finding) -> bool {
        let same_place = self.offset == other.offset || self.lsn == other.lsn;
        self.kind == other.kind && self.path == other.path && same_place
    }
}

impl From<&Error> for Finding {
    fn from(error: &Error) -> Finding {
        match error {
            Error::Corrupt {
                path,
                offset,
                lsn,
                reason,
            } => Finding::new(FindingKind::Damage, path, reason)
                .at(*offset, None)
                .since(*lsn),
            Error::DamagedBlob {
                path,
                offset,
                reason,
            } => Finding::new(FindingKind::DamagedBody, path, *reason).at(*offset, None),
            Error::NewerFormat {
                path,
                found,
                supported,
            } => {
                let reason = format!("it has format {found}, this version reads up to {supported}");
                Finding::new(FindingKind::Newer, path, reason)
            }
            Error::Io {
                action,
                path,
                source,
            } => Finding::new(
                FindingKind::Unreadable,
                path,
                format!("cannot {action} it: {source}"),
            ),
            Error::Row(error) => {
                let mut finding = Finding::new(FindingKind::Row, "", &error.reason);
                finding.row = Some((error.space.to_string(), Vec::new()));
                finding
            }
            other => Finding::new(FindingKind::Unreadable, "", other.to_string()),
        }
    }
}
