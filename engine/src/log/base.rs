//! Where the log starts: with nothing, or with the snapshots that a compaction left.

use super::recovery::corrupt;
use super::segment::{Cut, Header, Id};
use crate::disk::Disk;
use crate::error::Error;
use crate::manifest::{self, Manifest, Named};
use crate::root::{Contents, Root};
use crate::snapshot;
use crate::snapshot::reader::Reader;
use crate::tree::Builder;
use std::io;
use std::path::Path;

/// The state that the first segment's records are applied to.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) manifest: Option<Manifest>,
    pub(super) root: Root,
}

impl Base {
    /// Reads the manifest and every snapshot that it names.
    pub(super) fn read(disk: &dyn Disk, directory: &Path) -> Result<Base, Error> {
        let manifest = manifest::read(disk, directory)?;
        let mut root = Root::default();
        if let Some(manifest) = &manifest {
            root.lsn = manifest.lsn();
            for named in &manifest.snapshots {
                let contents = load(disk, directory, manifest, named, None)?;
                root.install(named.space, contents);
            }
        }
        Ok(Base { manifest, root })
    }

    /// Without the state, for who knows that it can be read.
    pub(super) fn without_state(disk: &dyn Disk, directory: &Path) -> Result<Base, Error> {
        Ok(Base {
            manifest: manifest::read(disk, directory)?,
            root: Root::default(),
        })
    }

    /// As much of it as can be read, and all that is wrong with the rest.
    pub(super) fn salvage(disk: &dyn Disk, directory: &Path) -> (Base, Vec<Error>) {
        let mut errors = Vec::new();
        let manifest = manifest::read(disk, directory).unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let mut root = Root::default();
        if let Some(manifest) = &manifest {
            root.lsn = manifest.lsn();
            for named in &manifest.snapshots {
                let mut damages = Vec::new();
                match load(disk, directory, manifest, named, Some(&mut damages)) {
                    Ok(contents) => root.install(named.space, contents),
                    Err(error) => damages.push(error),
                }
                errors.append(&mut damages);
            }
        }
        (Base { manifest, root }, errors)
    }

    /// The log goes on from here.
    pub(super) fn cut(&self) -> Cut {
        self.manifest
            .as_ref()
            .map_or(Cut::default(), |manifest| manifest.cut)
    }

    /// Store and branch.
    pub(super) fn ids(&self) -> Option<(Id, Id)> {
        self.manifest
            .as_ref()
            .map(|manifest| (manifest.store, manifest.branch))
    }

    pub(super) fn epoch(&self) -> u64 {
        self.manifest.as_ref().map_or(0, |manifest| manifest.epoch)
    }

    pub(super) fn entries(&self) -> u64 {
        self.manifest.as_ref().map_or(0, Manifest::entries)
    }

    /// Case V: is this the header of the first segment after the cut?
    pub(super) fn refuse_if_unrelated(&self, path: &Path, header: &Header) -> Result<(), Error> {
        let reason = match self.ids() {
            Some(ids) if ids != (header.store, header.branch) => "it belongs to another store",
            Some(_) if header.predecessor != self.cut() => {
                "it does not follow the snapshots that MANIFEST names"
            }
            None if header.predecessor != self.cut() => {
                "it is the first segment, but not the log's start"
            }
            _ => return Ok(()),
        };
        Err(corrupt(path, 0, self.root.lsn.next(), reason))
    }

    /// Case T, where there is no segment: a first compaction leaves the whole log in place until its manifest is durable.
    pub(super) fn refuse_if_lost(&self, disk: &dyn Disk, directory: &Path) -> Result<(), Error> {
        if self.manifest.is_some() {
            return Ok(());
        }
        let snapshots = directory.join(snapshot::DIRECTORY_NAME);
        let names = match disk.list(&snapshots) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            listed => listed.map_err(Error::io("list", &snapshots))?,
        };
        if !names.iter().any(|name| snapshot::named(name).is_some()) {
            return Ok(());
        }
        let reason = "it is missing, and so is the log, but there are snapshots";
        Err(corrupt(
            &manifest::path(directory),
            0,
            self.root.lsn,
            reason,
        ))
    }
}

/// A key space out of its snapshot, which must be what the manifest says. With `damages`, goes on behind what is damaged:
/// they get all of it.
fn load(
    disk: &dyn Disk,
    directory: &Path,
    manifest: &Manifest,
    named: &Named,
    mut damages: Option<&mut Vec<Error>>,
) -> Result<Contents, Error> {
    let origin = manifest.origin(named);
    let path = origin.path(&directory.join(snapshot::DIRECTORY_NAME));
    let mut reader = Reader::open(disk, &path, &origin)?;
    let mut builder = Builder::default();
    let mut is_damaged = false;
    loop {
        let error = match reader.block(|key, value| builder.push(key, value)) {
            Ok(true) => continue,
            Ok(false) => break,
            Err(error) => error,
        };
        // The end lacks what was damaged before.
        if is_damaged && reader.is_at_footer() {
            break;
        }
        match &mut damages {
            None => return Err(error),
            Some(damages) => damages.push(error),
        }
        is_damaged = true;
        if !reader.skip()? {
            break;
        }
    }
    let found = (reader.summary(), reader.file_bytes());
    if !is_damaged && found != (named.summary, named.file_bytes) {
        let reason = "it is whole, but not the one that MANIFEST names";
        return Err(corrupt(&path, 0, named.lsn, reason));
    }
    Ok(Contents {
        entries: builder.finish(),
        changed: named.lsn,
    })
}
