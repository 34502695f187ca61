//! Writing a snapshot, block by block.

use super::{
    BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, ENTRY_HEADER_BYTES, FOOTER_BYTES, Origin, Summary,
    block_hasher, digest, u32_at,
};
use crate::disk::{Disk, File, Site, write_full};
use crate::error::Failure;
use crc_fast::Digest;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A snapshot in the making. What is pushed goes to the disk a block at a time, when the caller says so.
pub(crate) struct Writer {
    file: Arc<dyn File>,
    path: PathBuf,
    header_crc: u32,
    /// How much of the file is written.
    offset: u64,
    /// The block in the making, and before the first one the file's header.
    buffer: Vec<u8>,
    /// Where the block starts in the buffer.
    start: usize,
    /// How many entries it has.
    count: u32,
    summary: Summary,
    digest: Digest,
}

impl Writer {
    /// Starts a new file, in place of what an earlier try may have left there.
    pub(crate) fn create(disk: &dyn Disk, path: &Path, origin: &Origin) -> Result<Writer, Failure> {
        let file = match disk.create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                disk.remove(path).and_then(|()| disk.create(path))
            }
            created => created,
        };
        let header = origin.encode();
        let mut writer = Writer {
            file: file.map_err(Failure::io("create", path))?,
            path: path.to_path_buf(),
            header_crc: u32_at(&header, 60),
            offset: 0,
            buffer: header.to_vec(),
            start: 0,
            count: 0,
            summary: Summary::default(),
            digest: digest(),
        };
        writer.begin_block();
        Ok(writer)
    }

    fn begin_block(&mut self) {
        self.start = self.buffer.len();
        self.count = 0;
        self.buffer.resize(self.start + BLOCK_HEADER_BYTES, 0);
    }

    /// Is there room for this entry in the block?
    pub(crate) fn fits(&self, key: &[u8], value: &[u8]) -> bool {
        let payload = self.buffer.len() - self.start - BLOCK_HEADER_BYTES;
        self.count == 0 || payload + ENTRY_HEADER_BYTES + key.len() + value.len() <= BLOCK_BYTES_MAX
    }

    /// Adds an entry that fits, and that sorts after all before it.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        let length = |bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).expect("a transaction is bounded far below");
            length.to_le_bytes()
        };
        self.buffer.extend_from_slice(&length(key));
        self.buffer.extend_from_slice(&length(value));
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(value);
        self.count += 1;
        self.summary.count += 1;
        self.summary.bytes += (key.len() + value.len()) as u64;
    }

    /// Writes the block, if it has entries.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        let payload = &self.buffer[self.start + BLOCK_HEADER_BYTES..];
        self.digest.update(payload);
        self.seal_block();
        self.write()?;
        self.begin_block();
        Ok(())
    }

    /// Completes the header of the block.
    fn seal_block(&mut self) {
        let offset = self.offset + self.start as u64;
        let block = &mut self.buffer[self.start..];
        let bytes = (block.len() - BLOCK_HEADER_BYTES) as u32;
        block[4..8].copy_from_slice(&bytes.to_le_bytes());
        block[8..12].copy_from_slice(&self.count.to_le_bytes());
        let mut hasher = block_hasher(self.header_crc, offset);
        hasher.update(&block[4..]);
        block[..4].copy_from_slice(&hasher.finalize().to_le_bytes());
    }

    fn write(&mut self) -> Result<(), Failure> {
        write_full(&*self.file, &self.buffer, self.offset)
            .map_err(Failure::io("write", &self.path))?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// How much is written.
    pub(crate) fn bytes(&self) -> u64 {
        self.offset
    }

    /// Makes what is written durable. After a failure the file is of no use any more.
    pub(crate) fn sync(&self, site: Site) -> Result<(), Failure> {
        self.file
            .sync_data_at(site)
            .map_err(Failure::io("sync", &self.path))
    }

    /// Writes the footer. The file is whole then, but not synced.
    pub(crate) fn finish(&mut self) -> Result<Summary, Failure> {
        self.flush()?;
        self.summary.hash = self.digest.finalize();
        let Summary { count, bytes, hash } = self.summary;
        let fields = [count, bytes, hash].map(u64::to_le_bytes);
        debug_assert_eq!(fields.as_flattened().len(), FOOTER_BYTES);
        self.buffer.extend_from_slice(fields.as_flattened());
        self.seal_block();
        self.write()?;
        Ok(self.summary)
    }
}
