//! Packs: files that many bodies of middling size share, so that each costs one sync and no name.
//!
//! A pack is only appended to, by the opening that created it. Ranges are reserved under a lock and written beside each
//! other. A pack goes once no blob uses any of it; ranges in between come back only with that. Compactions see to it, see
//! [`super::repack`].

use super::coalesced::Coalesced;
use super::home::Home;
use crate::disk::{File, Site, write_full};
use crate::error::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// How large a pack gets.
const PACK_BYTES_MAX: u64 = 64 << 20;

/// The pack that is appended to.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) id: u64,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    sync: Coalesced,
}

/// All packs.
#[derive(Debug, Default)]
pub(super) struct Packs {
    current: Option<Arc<Pack>>,
    usage: BTreeMap<u64, Usage>,
}

/// How much of a pack is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// The end of its last range.
    pub(super) bytes: u64,
    /// Of those, what blobs use, or may come to use.
    pub(super) live_bytes: u64,
}

impl Packs {
    pub(super) fn add(&mut self, pack: u64, offset: u64, bytes: u64) {
        let usage = self.usage.entry(pack).or_default();
        usage.bytes = usage.bytes.max(offset.saturating_add(bytes));
        usage.live_bytes = usage.live_bytes.saturating_add(bytes);
    }

    pub(super) fn usage(&self, pack: u64) -> Option<Usage> {
        self.usage.get(&pack).copied()
    }

    /// Bytes of packs that no blob uses.
    pub(super) fn garbage_bytes(&self) -> u64 {
        let garbage = |usage: &Usage| usage.bytes.saturating_sub(usage.live_bytes);
        self.usage.values().map(garbage).sum()
    }

    /// Those of which less than half is used: worth moving what is left to another.
    pub(super) fn sparse(&self) -> BTreeSet<u64> {
        let is_sparse = |(id, usage): &(&u64, &Usage)| {
            usage.live_bytes < usage.bytes / 2 && self.current(**id).is_none()
        };
        let sparse = self.usage.iter().filter(is_sparse);
        sparse.map(|(id, _)| *id).collect()
    }

    /// What moving them would give back.
    pub(super) fn sparse_bytes(&self) -> u64 {
        let usage = self.sparse().into_iter().filter_map(|id| self.usage(id));
        usage.map(|usage| usage.bytes - usage.live_bytes).sum()
    }

    /// The pack, if it is the one that is appended to.
    pub(super) fn current(&self, id: u64) -> Option<&Arc<Pack>> {
        self.current.as_ref().filter(|pack| pack.id == id)
    }

    /// Takes the pack out if nothing uses or will use it.
    fn take_unused(&mut self, pack: u64) -> bool {
        let unused = self.current(pack).is_none()
            && self.usage(pack).is_some_and(|usage| usage.live_bytes == 0);
        unused && self.usage.remove(&pack).is_some()
    }
}

impl Home {
    /// Stores a body in a pack, as durable as the store's commits are. Returns pack and offset.
    pub(super) fn append(
        &self,
        bytes: &[u8],
        new_id: impl FnOnce() -> u64,
    ) -> Result<(u64, u64), Failure> {
        let (pack, offset) = self.reserve(bytes.len() as u64, new_id)?;
        let written = write_full(&*pack.file, bytes, offset)
            .map_err(Failure::io("write", &pack.path))
            .and_then(|()| self.settle_range(&pack));
        if written.is_err() {
            self.free_range(pack.id, bytes.len() as u64);
        }
        written.map(|()| (pack.id, offset))
    }

    fn reserve(
        &self,
        bytes: u64,
        new_id: impl FnOnce() -> u64,
    ) -> Result<(Arc<Pack>, u64), Failure> {
        let mut packs = self.packs.lock();
        let current = packs.current.clone().filter(|pack| {
            let end = packs.usage(pack.id).map_or(0, |usage| usage.bytes);
            end + bytes <= PACK_BYTES_MAX && !pack.sync.failed()
        });
        let pack = match current {
            Some(pack) => pack,
            None => {
                let pack = Arc::new(self.create_pack(new_id())?);
                let full = packs.current.replace(pack.clone());
                if let Some(full) = full.filter(|full| packs.take_unused(full.id)) {
                    self.remove(&full.path);
                }
                pack
            }
        };
        let offset = packs.usage(pack.id).map_or(0, |usage| usage.bytes);
        packs.add(pack.id, offset, bytes);
        Ok((pack, offset))
    }

    fn create_pack(&self, id: u64) -> Result<Pack, Failure> {
        let path = self.pack_path(id);
        let file = self.create(&path)?;
        self.settle_name()?;
        Ok(Pack {
            id,
            path,
            file,
            sync: Coalesced::default(),
        })
    }

    /// Crash argument 1, for a range that was written.
    fn settle_range(&self, pack: &Pack) -> Result<(), Failure> {
        if !self.syncs_first {
            return self.note_unsynced(pack.id, &pack.path, &pack.file);
        }
        let ticket = pack.sync.ticket();
        if pack
            .sync
            .cover(ticket, || pack.file.sync_data_at(Site::BlobRange))
        {
            return Ok(());
        }
        // The ranges that earlier syncs covered are safe, and this pack takes no more.
        let error = io::Error::other("a sync of this file failed");
        Err(Failure::io("sync", &pack.path)(error))
    }

    /// Nobody uses so many bytes of a pack any more.
    pub(super) fn free_range(&self, pack: u64, bytes: u64) {
        let mut packs = self.packs.lock();
        if let Some(usage) = packs.usage.get_mut(&pack) {
            usage.live_bytes = usage.live_bytes.saturating_sub(bytes);
        }
        if packs.take_unused(pack) {
            drop(packs);
            self.forget_unsynced(pack);
            self.remove(&self.pack_path(pack));
        }
    }

    /// No longer appends to a pack. For the end of a store.
    pub(super) fn close_pack(&self) {
        let mut packs = self.packs.lock();
        let last = packs.current.take();
        if let Some(last) = last.filter(|last| packs.take_unused(last.id)) {
            drop(packs);
            self.forget_unsynced(last.id);
            self.remove(&last.path);
        }
    }
}
