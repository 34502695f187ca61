//! The blob files of a data directory, and when they are durable.
//!
//! ```text
//! DIRECTORY/blobs/0123456789abcdef.blob   one body, nothing else
//! DIRECTORY/blobs/0123456789abcdef.pack   bodies, one behind the other
//! DIRECTORY/blobs/….tmp                   a copy in the making, see [`super::recovery`]
//! DIRECTORY/blobs/0123456789abcdef.spill  has this name for a moment only, see [`super::spill`]
//! ```

use super::coalesced::Coalesced;
use super::pack::Packs;
use crate::disk::{Disk, File, Site};
use crate::error::Failure;
use crate::sync::Mutex;
use std::collections::BTreeMap;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const DIRECTORY_NAME: &str = "blobs";

/// As many files may wait for their sync; who writes the next one syncs them all.
const UNSYNCED_FILES_MAX: usize = 64;

/// What a file in the directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Blob(u64),
    Pack(u64),
    /// Of no use once its maker is gone.
    Temporary,
}

#[derive(Debug)]
pub(crate) struct Home {
    pub(super) disk: Arc<dyn Disk>,
    parent: PathBuf,
    directory: PathBuf,
    /// Is a body synced before the record that refers to it is written? Else before that record is synced.
    pub(super) syncs_first: bool,
    /// Does the directory exist?
    made: Mutex<bool>,
    names: Coalesced,
    pub(super) packs: Mutex<Packs>,
    unsynced: Mutex<Unsynced>,
    /// Held while a sync is under way, so that nobody takes for synced what another is about to sync.
    syncing: Mutex<()>,
    failed: Mutex<Option<PathBuf>>,
}

/// What the next sync has to cover.
#[derive(Debug, Default)]
struct Unsynced {
    files: BTreeMap<u64, (PathBuf, Arc<dyn File>)>,
    names: bool,
    directory: bool,
}

impl Home {
    pub(super) fn new(disk: Arc<dyn Disk>, parent: &Path, syncs_first: bool) -> Home {
        Home {
            disk,
            parent: parent.to_path_buf(),
            directory: parent.join(DIRECTORY_NAME),
            syncs_first,
            made: Mutex::default(),
            names: Coalesced::default(),
            packs: Mutex::default(),
            unsynced: Mutex::default(),
            syncing: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn blob_path(&self, id: u64) -> PathBuf {
        self.directory.join(format!("{id:016x}.blob"))
    }

    pub(super) fn pack_path(&self, id: u64) -> PathBuf {
        self.directory.join(format!("{id:016x}.pack"))
    }

    pub(super) fn spill_path(&self, id: u64) -> PathBuf {
        self.directory.join(format!("{id:016x}.spill"))
    }

    /// Creates a file, and the directory if need be.
    pub(super) fn create(&self, path: &Path) -> Result<Arc<dyn File>, Failure> {
        self.check()?;
        let mut made = self.made.lock();
        if !*made {
            self.disk
                .create_directory(&self.directory)
                .map_err(Failure::io("create", &self.directory))?;
            // An earlier run may have created it and been killed, so that it exists proves nothing.
            self.unsynced.lock().directory = true;
            if self.syncs_first {
                self.sync()?;
            }
            *made = true;
        }
        drop(made);
        self.disk.create(path).map_err(Failure::io("create", path))
    }

    /// Crash argument 1, for the name of a file that was created.
    pub(super) fn settle_name(&self) -> Result<(), Failure> {
        if !self.syncs_first {
            self.unsynced.lock().names = true;
            return Ok(());
        }
        let ticket = self.names.ticket();
        if self.names.cover(ticket, || {
            self.disk.sync_directory_at(&self.directory, Site::BlobName)
        }) {
            return Ok(());
        }
        // Other names may be lost with it, and no later sync would tell.
        Err(self.fail(self.directory.clone()))
    }

    /// Crash argument 1, for a file that is written.
    pub(super) fn settle_file(
        &self,
        id: u64,
        path: &Path,
        file: &Arc<dyn File>,
    ) -> Result<(), Failure> {
        if self.syncs_first {
            // Nothing refers to it yet: a failed sync is the end of this file only.
            file.sync_data_at(Site::BlobFile)
                .map_err(Failure::io("sync", path))?;
        } else {
            self.note_unsynced(id, path, file)?;
        }
        self.settle_name()
    }

    /// The next [`sync`](Self::sync) covers this file.
    pub(super) fn note_unsynced(
        &self,
        id: u64,
        path: &Path,
        file: &Arc<dyn File>,
    ) -> Result<(), Failure> {
        let mut unsynced = self.unsynced.lock();
        unsynced
            .files
            .insert(id, (path.to_path_buf(), file.clone()));
        let count = unsynced.files.len();
        drop(unsynced);
        if count > UNSYNCED_FILES_MAX {
            self.sync()?;
        }
        Ok(())
    }

    pub(super) fn forget_unsynced(&self, id: u64) {
        self.unsynced.lock().files.remove(&id);
    }

    /// Crash argument 2: makes every finished body durable. The log calls it before it syncs what refers to them.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        let _alone = self.syncing.lock();
        self.check()?;
        let unsynced = mem::take(&mut *self.unsynced.lock());
        for (path, file) in unsynced.files.values() {
            file.sync_data_at(Site::BlobsInBackground)
                .map_err(|_| self.fail(path.clone()))?;
        }
        let names = [
            (unsynced.names, &self.directory, Site::BlobNamesInBackground),
            (unsynced.directory, &self.parent, Site::BlobsDirectory),
        ];
        for (_, directory, site) in names.into_iter().filter(|(changed, ..)| *changed) {
            self.disk
                .sync_directory_at(directory, site)
                .map_err(|_| self.fail(directory.clone()))?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Failure> {
        match &*self.failed.lock() {
            Some(path) => Err(Failure::Poisoned { path: path.clone() }),
            None => Ok(()),
        }
    }

    /// A sync failed: for good, since a second one could succeed without having written anything.
    fn fail(&self, path: PathBuf) -> Failure {
        let path = self.failed.lock().get_or_insert(path).clone();
        Failure::Poisoned { path }
    }

    /// Removes a file that nothing refers to. If that fails it only takes space, and the next opening tries again.
    pub(super) fn remove(&self, path: &Path) {
        let _ = self.disk.remove(path);
    }
}

/// What the file of this name is; `None`: not ours.
pub(super) fn name(text: &str) -> Option<Name> {
    let (id, kind) = text.split_once('.')?;
    let ours = id.len() == 16
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let id = ours.then(|| u64::from_str_radix(id, 16).ok()).flatten()?;
    match kind {
        "blob" => Some(Name::Blob(id)),
        "pack" => Some(Name::Pack(id)),
        "spill" | "blob.tmp" | "pack.tmp" => Some(Name::Temporary),
        _ => None,
    }
}
