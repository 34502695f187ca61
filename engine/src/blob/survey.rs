//! All that is wrong with the bodies of blobs. For [`crate::verify`].

use super::home::{Home, Name, name};
use super::row::{DURABLE, Place, Row};
use super::{BlobId, Blobs};
use crate::disk::Access;
use crate::error::Error;
use crate::root::{Read, Root, Space};
use crate::table::{Row as AnyRow, Table};
use crate::verify::{Finding, FindingKind};
use std::collections::BTreeSet;
use std::ops::Bound;

/// What was read, and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) findings: Vec<Finding>,
    /// Bodies outside of rows, and their bytes.
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

impl Blobs {
    /// Does an opening understand all rows?
    pub(crate) fn check_rows(&self, root: &Root) -> Result<(), Error> {
        for row in DURABLE.rows.scan(root, &()) {
            row?;
        }
        Ok(())
    }

    /// Reads all bodies that the rows of `root` refer to. If that is the `whole` state, also finds what none refers to.
    pub(crate) fn survey(&self, root: &Root, whole: bool) -> Survey {
        let mut survey = Survey::default();
        let Some(home) = &self.home else {
            return survey;
        };
        let mut used = BTreeSet::new();
        let mut ids = BTreeSet::new();
        survey.rows(DURABLE.rows, root, |survey, (id,), row: Row| {
            ids.insert(id);
            used.extend(match row.place {
                Place::File => Some(Name::Blob(id)),
                Place::Pack(pack, _) => Some(Name::Pack(pack)),
                Place::Inline(_) | Place::Spill(_) => None,
            });
            self.check_body(survey, id, row, whole);
        });
        survey.rows(DURABLE.shares, root, |survey, (id,), _: u64| {
            if !ids.contains(&id) {
                let reason = format!("it counts references to blob {id:016x}, which is not there");
                let finding = Finding::row(DURABLE.shares.space(), &id.to_be_bytes(), reason);
                survey.findings.push(finding);
            }
        });
        if whole {
            survey.strangers(home, &used);
        }
        survey
    }

    fn check_body(&self, survey: &mut Survey, id: u64, row: Row, whole: bool) {
        let space = DURABLE.rows.space();
        match &row.place {
            Place::Inline(body) if body.len() as u64 == row.bytes => return,
            Place::Inline(body) => {
                let reason = format!("it has {} bytes of {}", body.len(), row.bytes);
                return survey
                    .findings
                    .push(Finding::row(space, &id.to_be_bytes(), reason));
            }
            Place::Spill(_) => {
                let reason = "it says that its body is in a file that no restart survives";
                let finding = Finding::row(space, &id.to_be_bytes(), reason.into());
                return survey.findings.push(finding);
            }
            Place::File | Place::Pack(..) => {}
        }
        survey.count += 1;
        survey.bytes = survey.bytes.saturating_add(row.bytes);
        if row.place == Place::File {
            survey.findings.extend(self.more_than_body(id, row.bytes));
        }
        let pieces = row.piece_count();
        let opened = self.open(id, row);
        // Without all of the log, it may well be that the blob was deleted.
        let is_lost = opened.is_err() && !whole;
        let errors = match opened {
            Ok(body) => (0..pieces)
                .filter_map(|index| body.piece(index).err())
                .collect(),
            Err(error) => vec![error],
        };
        survey.findings.extend(errors.iter().map(|error| {
            let mut finding = Finding::from(error);
            finding.reason = format!("{} (blob {:016x})", finding.reason, BlobId(id).0);
            if is_lost {
                finding
                    .reason
                    .push_str("; a record that is damaged may have deleted it");
            }
            finding
        }));
    }
}

impl Blobs {
    /// Bytes behind a body in a file of its own, which nobody reads.
    fn more_than_body(&self, id: u64, bytes: u64) -> Option<Finding> {
        let home = self.home.as_ref()?;
        let path = home.blob_path(id);
        // One that can't be opened or measured will be found when it is read.
        let file = home.disk.open(&path, Access::Read).ok()?;
        let more = file
            .len()
            .ok()?
            .checked_sub(bytes)
            .filter(|more| *more > 0)?;
        let finding = Finding::new(FindingKind::Leftover, path, "more than the body is in it");
        Some(finding.at(bytes, Some(more)))
    }
}

impl Survey {
    /// Every row of a table that decodes; says which don't.
    fn rows<V: AnyRow>(
        &mut self,
        table: Table<(u64,), V>,
        root: &Root,
        mut each: impl FnMut(&mut Survey, (u64,), V),
    ) {
        let space: Space = table.space();
        let entries = root.range(space, Bound::Unbounded, Bound::Unbounded);
        for ((key, _), row) in entries.zip(table.scan(root, &())) {
            match row {
                Ok((id, row)) => each(self, id, row),
                Err(error) => self.findings.push(Finding::row(space, key, error.reason)),
            }
        }
    }

    fn strangers(&mut self, home: &Home, used: &BTreeSet<Name>) {
        // There is no directory before the first file.
        for text in home.disk.list(home.directory()).unwrap_or_default() {
            let path = home.directory().join(&text);
            let finding = match name(&text) {
                Some(Name::Temporary) => {
                    Finding::new(FindingKind::Leftover, path, "a copy in the making")
                }
                Some(known) if used.contains(&known) => continue,
                Some(_) => Finding::new(FindingKind::Orphan, path, "no row refers to it"),
                None => Finding::new(FindingKind::Unknown, path, "it has no blob's name"),
            };
            self.findings.push(finding);
        }
    }
}
