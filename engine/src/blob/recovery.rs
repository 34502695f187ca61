//! Blobs at opening: which unproven records to believe, and which files to remove.

use super::home::{Home, Name, name};
use super::row::{DURABLE, Place, Row};
use super::{Blobs, PIECE_BYTES};
use crate::disk::{Access, File, Site, read_full, write_full};
use crate::error::{Error, Failure};
use crate::key::Key as _;
use crate::log::record;
use crate::root::Root;
use crate::store::Lsn;
use crate::wire::{self, Effect};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A blob that came with an unproven record, and whose body was not synced before.
struct Doubtful {
    row: Row,
    /// The record that attached it.
    from: Lsn,
    /// The record that deleted it.
    until: Lsn,
}

impl Doubtful {
    fn lives_at(&self, lsn: Lsn) -> bool {
        self.from <= lsn && lsn < self.until
    }
}

/// Reads them off unproven records, by id and the record that attached them: one that was moved since is there twice.
fn doubtful(records: &[u8]) -> BTreeMap<(u64, Lsn), Doubtful> {
    let space = DURABLE.rows.space().id;
    let mut blobs = BTreeMap::<(u64, Lsn), Doubtful>::new();
    let end = |blobs: &mut BTreeMap<(u64, Lsn), Doubtful>, id: u64, lsn: Lsn| {
        let ours = blobs.range_mut((id, Lsn(0))..=(id, Lsn(u64::MAX)));
        let living = ours.filter(|(_, blob)| blob.lives_at(lsn));
        living.for_each(|(_, blob)| blob.until = lsn);
    };
    for (lsn, payload) in record::unframed_records(records) {
        let decoded = wire::decode(payload, |effect| match effect {
            Effect::Put {
                space: at,
                key,
                value,
            } if at == space => {
                let (Some(id), Ok(row)) = (id_of(key), rmp_serde::from_slice::<Row>(value)) else {
                    return;
                };
                end(&mut blobs, id, lsn);
                let until = Lsn(u64::MAX);
                if !row.synced {
                    let from = lsn;
                    blobs.insert((id, lsn), Doubtful { row, from, until });
                }
            }
            Effect::Delete { space: at, key } if at == space => {
                id_of(key)
                    .into_iter()
                    .for_each(|id| end(&mut blobs, id, lsn));
            }
            Effect::Clear => {
                let living = blobs.values_mut().filter(|blob| blob.lives_at(lsn));
                living.for_each(|blob| blob.until = lsn);
            }
            _ => {}
        });
        debug_assert!(decoded.is_ok(), "they were replayed");
    }
    blobs
}

fn id_of(mut key: &[u8]) -> Option<u64> {
    u64::decode(&mut key).filter(|_| key.is_empty())
}

impl Blobs {
    /// Crash argument 3: the last one of these unproven `records`, which end at `last`, up to which every blob of the state
    /// is whole. Those before them are proven.
    pub(crate) fn whole_until(&self, records: &[u8], last: Lsn) -> Result<Lsn, Error> {
        let mut whole_until = last;
        let mut doubtful = doubtful(records);
        // Going back may bring blobs to life that were deleted later.
        while let Some(((id, _), blob)) = doubtful
            .iter()
            .find(|(_, blob)| blob.lives_at(whole_until))
            .map(|(key, _)| *key)
            .and_then(|key| doubtful.remove_entry(&key))
        {
            if !self.is_whole(id, blob.row)? {
                whole_until = blob.from.previous();
            }
        }
        Ok(whole_until)
    }

    fn is_whole(&self, id: u64, row: Row) -> Result<bool, Error> {
        let read = || {
            let body = self.open(id, row)?;
            (0..body.row().piece_count()).try_for_each(|index| body.piece(index).map(drop))
        };
        match read() {
            Ok(()) => Ok(true),
            Err(Error::DamagedBlob { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Crash argument 3: makes the bodies durable that these unproven records refer to, before the log vouches for them.
    pub(crate) fn renew(&self, records: &[u8]) -> Result<(), Failure> {
        let Some(home) = &self.home else {
            return Ok(());
        };
        let living = doubtful(records);
        let living = living
            .iter()
            .filter(|(_, blob)| blob.until == Lsn(u64::MAX));
        let paths: BTreeSet<PathBuf> = living
            .filter_map(|((id, _), blob)| match blob.row.place {
                Place::File => Some(home.blob_path(*id)),
                Place::Pack(pack, _) => Some(home.pack_path(pack)),
                Place::Inline(_) | Place::Spill(_) => None,
            })
            .collect();
        if paths.is_empty() {
            return Ok(());
        }
        paths.iter().try_for_each(|path| home.renew(path))?;
        home.sync_names()
    }

    /// Takes over the packs of the recovered state. With `sweep`, removes what no row refers to: only when no crash can
    /// bring back a row that `root` lacks (crash argument 4).
    pub(crate) fn take_over(&self, root: &Root, sweep: bool) -> Result<(), Error> {
        let Some(home) = &self.home else {
            return Ok(());
        };
        let mut files = BTreeSet::new();
        for row in DURABLE.rows.scan(root, &()) {
            let ((id,), row) = row?;
            match row.place {
                Place::File => drop(files.insert(id)),
                Place::Pack(pack, offset) => home.packs.lock().add(pack, offset, row.bytes),
                Place::Inline(_) | Place::Spill(_) => {}
            }
        }
        if sweep {
            home.sweep(&files);
        }
        Ok(())
    }
}

impl Home {
    /// Removes the files that no row refers to, and cuts packs after their last row. What can't be removed only takes
    /// space, and is no reason not to open.
    fn sweep(&self, files: &BTreeSet<u64>) {
        // There is no directory before the first file.
        let names = self.disk.list(self.directory()).unwrap_or_default();
        for text in names {
            let path = self.directory().join(&text);
            match name(&text) {
                Some(Name::Blob(id)) if !files.contains(&id) => self.remove(&path),
                Some(Name::Pack(id)) => match self.packs.lock().usage(id) {
                    None => self.remove(&path),
                    Some(usage) => self.cut(&path, usage.bytes),
                },
                Some(Name::Temporary) => self.remove(&path),
                Some(Name::Blob(_)) | None => {}
            }
        }
    }

    /// Cuts off what stands after the last row. It's only space, so an error changes nothing.
    fn cut(&self, path: &Path, bytes: u64) {
        let longer = |file: &dyn File| file.len().is_ok_and(|length| length > bytes);
        if let Ok(file) = self.disk.open(path, Access::Write)
            && longer(&*file)
        {
            let _ = file.set_len(bytes);
        }
    }

    /// Puts a synced copy in a file's place. Until that is durable, either one will be found, and both are whole.
    fn renew(&self, path: &Path) -> Result<(), Failure> {
        let mut copy = path.as_os_str().to_owned();
        copy.push(".tmp");
        let copy = PathBuf::from(copy);
        // An earlier opening may have left it.
        self.remove(&copy);
        let copied = self.copy(path, &copy);
        if let Err(Failure::NoSpace { .. }) = copied {
            self.remove(&copy);
            let file = self
                .disk
                .open(path, Access::Write)
                .map_err(Failure::io("open", path))?;
            return file
                .sync_data_at(Site::BlobInPlace)
                .map_err(Failure::io("sync", path));
        }
        copied?;
        self.disk
            .rename(&copy, path)
            .map_err(Failure::io("rename", &copy))
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<(), Failure> {
        let source = self
            .disk
            .open(from, Access::Read)
            .map_err(Failure::io("open", from))?;
        let target = self.disk.create(to).map_err(Failure::io("create", to))?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut offset = 0;
        loop {
            let count =
                read_full(&*source, &mut piece, offset).map_err(Failure::io("read", from))?;
            if count == 0 {
                break;
            }
            write_full(&*target, &piece[..count], offset).map_err(Failure::io("write", to))?;
            offset += count as u64;
        }
        target
            .sync_data_at(Site::BlobCopied)
            .map_err(Failure::io("sync", to))
    }

    fn sync_names(&self) -> Result<(), Failure> {
        let parent = self.directory().parent();
        let parent = parent.expect("it is below the store's");
        for (directory, site) in [
            (self.directory(), Site::BlobCopyName),
            (parent, Site::BlobCopyDirectory),
        ] {
            self.disk
                .sync_directory_at(directory, site)
                .map_err(Failure::io("sync", directory))?;
        }
        Ok(())
    }
}
