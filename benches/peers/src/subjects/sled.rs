//! sled: a log-structured tree. `flush` after each commit for `power`; threads that flush at once share the work.
//!
//! On Linux its flush is a `sync_file_range`, which neither empties the disk's own cache nor syncs the file's length: weaker
//! than what the others do for `power`. By default it flushes every 500 ms, and what is written in between is in the
//! process's memory, lost with it.

use std::path::Path;

use cumulog_benches::rows::Rows;
use sled::Db;

use super::{Level, Subject};

struct Sled {
    rows: Db,
    flush: bool,
}

pub(super) fn open(directory: &Path, level: Level) -> Box<dyn Subject> {
    Box::new(Sled {
        rows: sled::open(directory).expect("open"),
        flush: level == Level::Power,
    })
}

impl Subject for Sled {
    fn put(&self, key: &[u8], value: &[u8]) {
        self.rows.insert(key, value).expect("insert");
        if self.flush {
            self.rows.flush().expect("flush");
        }
    }

    fn load(&self, rows: &Rows) {
        for number in 0..rows.keys() {
            self.rows
                .insert(rows.key(number), rows.value(number))
                .expect("insert");
        }
        self.rows.flush().expect("flush");
    }

    fn get(&self, _: u64, key: &[u8]) -> Option<usize> {
        self.rows.get(key).expect("get").map(|value| value.len())
    }
}
