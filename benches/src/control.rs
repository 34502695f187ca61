//! The same bytes by system calls alone.

use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cumulog_engine::disk::{Disk as _, File, Real};

use crate::clients::{self, Round};

/// The control stays within a file of this size.
const FILE_BYTES: u64 = 64 << 20;
/// What a log needs around a row: key space, lengths, a record's header.
const FRAME_BYTES: usize = 48;

/// One thread that does what one commit needs: a `pwrite` of as many bytes and, if asked for, an `fdatasync`, into a file
/// that was zero-filled before.
pub struct Control {
    file: Arc<dyn File>,
    record: Vec<u8>,
    sync: bool,
    offset: u64,
}

impl Control {
    /// Its file is in `directory`.
    #[must_use]
    pub fn new(directory: &Path, row_bytes: usize, sync: bool) -> Self {
        let path = directory.join(format!("control-{row_bytes}-{sync}"));
        let file = Real::new().create(&path).expect("create");
        file.allocate(FILE_BYTES).expect("allocate");
        file.sync_data().expect("sync");
        Control {
            file,
            record: vec![7; row_bytes + FRAME_BYTES],
            sync,
            offset: 0,
        }
    }

    /// Writes, and syncs, again and again.
    pub fn run(&mut self, time: Duration) -> Round {
        clients::one(time, |_| self.write())
    }

    fn write(&mut self) {
        let bytes = self.record.len() as u64;
        if self.offset + bytes > FILE_BYTES {
            self.offset = 0;
        }
        let record = IoSlice::new(&self.record);
        let written = self.file.write_at(&[record], self.offset);
        assert_eq!(written.expect("write"), self.record.len());
        if self.sync {
            self.file.sync_data().expect("sync");
        }
        self.offset += bytes;
    }
}
