//! Large bodies that need not survive: in a file without a name, so that it goes with the process however that ends.
//!
//! The file is cut into blocks of a piece each. Free ones are used again, lowest first, and cut off at the end.

use super::PIECE_BYTES;
use crate::disk::{Disk, File, write_full};
use crate::error::Failure;
use crate::sync::Mutex;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Spill {
    disk: Arc<dyn Disk>,
    /// Its name for the moment that it has one, and for messages.
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    file: Option<Arc<dyn File>>,
    free: BTreeSet<u32>,
    /// Blocks in use and free ones below them.
    count: u32,
}

impl Spill {
    pub(super) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Spill {
        Spill {
            disk,
            path,
            state: Mutex::default(),
        }
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(super) fn file(&self) -> Option<Arc<dyn File>> {
        self.state.lock().file.clone()
    }

    /// Writes a piece into a free block and returns that.
    pub(super) fn write(&self, piece: &[u8]) -> Result<u32, Failure> {
        let (file, block) = self.take()?;
        match write_full(&*file, piece, offset(block)) {
            Ok(()) => Ok(block),
            Err(error) => {
                self.free(&[block]);
                Err(Failure::io("write", &self.path)(error))
            }
        }
    }

    fn take(&self) -> Result<(Arc<dyn File>, u32), Failure> {
        let mut state = self.state.lock();
        let file = match &state.file {
            Some(file) => file.clone(),
            None => state.file.insert(self.create()?).clone(),
        };
        let block = state.free.pop_first().unwrap_or_else(|| {
            state.count += 1;
            state.count - 1
        });
        Ok((file, block))
    }

    fn create(&self) -> Result<Arc<dyn File>, Failure> {
        if let Some(parent) = self.path.parent() {
            self.disk
                .create_directory(parent)
                .map_err(Failure::io("create", parent))?;
        }
        let file = self
            .disk
            .create(&self.path)
            .map_err(Failure::io("create", &self.path))?;
        self.disk
            .remove(&self.path)
            .map_err(Failure::io("remove", &self.path))?;
        Ok(file)
    }

    pub(super) fn free(&self, blocks: &[u32]) {
        let mut state = self.state.lock();
        state.free.extend(blocks);
        let before = state.count;
        while state.count > 0 && state.free.last() == Some(&(state.count - 1)) {
            state.free.pop_last();
            state.count -= 1;
        }
        if let Some(file) = state.file.as_ref().filter(|_| state.count < before) {
            // It's only space: what stays is written over.
            let _ = file.set_len(offset(state.count));
        }
    }

    /// The bytes of the blocks that are in use.
    pub(super) fn bytes(&self) -> u64 {
        let state = self.state.lock();
        offset(state.count) - offset(state.free.len() as u32)
    }
}

pub(super) fn offset(block: u32) -> u64 {
    u64::from(block) * PIECE_BYTES as u64
}
