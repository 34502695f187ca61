//! Reading a file from front to back through one buffer, so that memory stays small however long it is.

use crate::disk::{File, read_full};
use std::io;
use std::sync::Arc;

/// How much is read at a time.
const BYTES: usize = 1 << 20;

/// A part of a file in memory.
#[derive(Debug)]
pub(crate) struct Window {
    file: Arc<dyn File>,
    /// The file's length.
    bytes: u64,
    buffer: Vec<u8>,
    filled: usize,
    start: u64,
}

impl Window {
    pub(crate) fn new(file: Arc<dyn File>, bytes: u64) -> Window {
        Window {
            file,
            bytes,
            buffer: Vec::new(),
            filled: 0,
            start: 0,
        }
    }

    /// At least `bytes` bytes from `offset` on, and whatever follows in memory; fewer only where the file ends.
    pub(crate) fn at(&mut self, offset: u64, bytes: usize) -> io::Result<&[u8]> {
        let skip = offset
            .checked_sub(self.start)
            .and_then(|skip| usize::try_from(skip).ok());
        if let Some(skip) = skip.filter(|skip| skip.saturating_add(bytes) <= self.filled) {
            return Ok(&self.buffer[skip..self.filled]);
        }
        let left = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = bytes.max(BYTES).min(left);
        if self.buffer.len() < wanted {
            self.buffer = vec![0; wanted];
        }
        self.filled = read_full(&*self.file, &mut self.buffer, offset)?;
        self.start = offset;
        Ok(&self.buffer[..self.filled])
    }
}
