//! Removing what a manifest made superfluous.

use crate::disk::{Access, Disk, Site};
use crate::error::{Error, Failure};
use crate::log;
use crate::log::segment::sequence_of;
use crate::manifest::{self, Manifest};
use crate::snapshot;
use std::path::{Path, PathBuf};

/// Files that are to go, one after the other.
pub(crate) struct Sweep {
    left: Vec<PathBuf>,
    outcome: Outcome,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) freed_bytes: u64,
    /// Segments that could not be removed, and take space until the next sweep.
    pub(crate) segments_left: u64,
    pub(crate) bytes_left: u64,
}

impl Sweep {
    /// Of what this manifest, which must be durable, doesn't name.
    pub(crate) fn new(disk: &dyn Disk, directory: &Path, manifest: &Manifest) -> Sweep {
        let found = Leftovers::find(disk, directory, Some(manifest));
        Sweep {
            left: [found.temporary, found.superseded].concat(),
            outcome: Outcome::default(),
        }
    }

    /// Removes one; says whether there was one. A failure is no reason to stop: it only takes space.
    pub(crate) fn step(&mut self, disk: &dyn Disk) -> bool {
        let Some(path) = self.left.pop() else {
            return false;
        };
        let length = disk.open(&path, Access::Read).and_then(|file| file.len());
        let bytes = length.unwrap_or(0);
        if disk.remove(&path).is_ok() {
            self.outcome.freed_bytes += bytes;
        } else if path.extension().is_some_and(|kind| kind == "log") {
            self.outcome.segments_left += 1;
            self.outcome.bytes_left += bytes;
        }
        true
    }

    /// There is no time for the rest.
    pub(crate) fn give_up(&mut self) {
        self.left.clear();
    }

    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// Files that don't belong to the store.
#[derive(Debug, Default)]
struct Leftovers {
    /// In the making when someone was killed. No manifest ever names one.
    temporary: Vec<PathBuf>,
    /// The manifest makes them superfluous; an earlier one may name them.
    superseded: Vec<PathBuf>,
}

impl Leftovers {
    /// What can't be listed is left for another time.
    fn find(disk: &dyn Disk, directory: &Path, manifest: Option<&Manifest>) -> Leftovers {
        let mut found = Leftovers::default();
        found.add_from(disk, directory, |name| {
            (name == manifest::TEMPORARY_NAME).then_some(true)
        });
        found.add_from(disk, &directory.join(snapshot::DIRECTORY_NAME), |name| {
            if snapshot::is_temporary(name) {
                return Some(true);
            }
            let (space, lsn) = snapshot::named(name)?;
            let belongs = manifest.is_some_and(|manifest| manifest.names(space, lsn));
            (!belongs).then_some(false)
        });
        let cut = manifest.map_or(0, |manifest| manifest.cut.sequence);
        found.add_from(disk, &directory.join(log::DIRECTORY_NAME), |name| {
            sequence_of(name).filter(|sequence| *sequence <= cut)?;
            Some(false)
        });
        found
    }

    /// `judge` says of a file whether it is temporary; `None`: it stays.
    fn add_from(
        &mut self,
        disk: &dyn Disk,
        directory: &Path,
        judge: impl Fn(&str) -> Option<bool>,
    ) {
        for name in disk.list(directory).unwrap_or_default() {
            match judge(&name) {
                Some(true) => self.temporary.push(directory.join(name)),
                Some(false) => self.superseded.push(directory.join(name)),
                None => {}
            }
        }
    }
}

/// Removes what an earlier run left behind. `manifest` is the one that was read, which may not be the one on the disk.
///
/// # Errors
///
/// Names in the directory may be lost.
pub(crate) fn at_opening(
    disk: &dyn Disk,
    directory: &Path,
    manifest: Option<&Manifest>,
) -> Result<(), Error> {
    let mut leftovers = Leftovers::find(disk, directory, manifest);
    // Nobody prepares a segment yet, so one in the making is of an earlier run, which gave it a number that may be taken.
    leftovers.add_from(disk, &directory.join(log::DIRECTORY_NAME), |name| {
        name.ends_with(".log.tmp").then_some(true)
    });
    let remove = |paths: Vec<PathBuf>| paths.iter().for_each(|path| drop(disk.remove(path)));
    remove(leftovers.temporary);
    if leftovers.superseded.is_empty() {
        return Ok(());
    }
    // Without a manifest there never was one: whoever wrote those snapshots didn't get so far.
    let certain = match manifest {
        Some(manifest) => is_made_durable(disk, directory, manifest)?,
        None => true,
    };
    if certain {
        remove(leftovers.superseded);
    }
    Ok(())
}

/// Crash argument 6 of [`super`]: writes the manifest anew, so that it is the one that a crash finds. Says whether it is.
fn is_made_durable(disk: &dyn Disk, directory: &Path, manifest: &Manifest) -> Result<bool, Error> {
    let renewed = manifest::prepare(disk, directory, manifest)
        .and_then(|()| manifest::replace(disk, directory));
    match renewed {
        Ok(()) => {}
        // On a full disk what was swept would give room again. A sync of the name as it is is the best there is.
        Err(Failure::NoSpace { .. }) => {
            let _ = disk.remove(&manifest::temporary_path(directory));
        }
        Err(_) => return Ok(false),
    }
    disk.sync_directory_at(directory, Site::ManifestRenewed)
        .map_err(Error::io("sync", directory))?;
    Ok(true)
}
