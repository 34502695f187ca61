//! fjall: a log-structured merge tree. Each commit is an insert, followed by `persist(SyncData)` for `power`: an insert by
//! another thread may come between the two and is then synced along, which a batch with a durability does not allow.
//!
//! `Buffer`, the default, is a `write(2)` for each commit: it survives the process's end.

use std::path::Path;

use cumulog_benches::rows::Rows;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::{Level, Subject};

struct Fjall {
    database: Database,
    rows: Keyspace,
    sync: bool,
}

pub(super) fn open(directory: &Path, level: Level) -> Box<dyn Subject> {
    let database = Database::builder(directory).open().expect("open");
    let rows = database
        .keyspace("rows", KeyspaceCreateOptions::default)
        .expect("create");
    Box::new(Fjall {
        database,
        rows,
        sync: level == Level::Power,
    })
}

impl Subject for Fjall {
    fn put(&self, key: &[u8], value: &[u8]) {
        self.rows.insert(key, value).expect("insert");
        if self.sync {
            self.database
                .persist(PersistMode::SyncData)
                .expect("persist");
        }
    }

    fn load(&self, rows: &Rows) {
        for number in 0..rows.keys() {
            self.rows
                .insert(rows.key(number), rows.value(number))
                .expect("insert");
        }
        self.database
            .persist(PersistMode::SyncData)
            .expect("persist");
    }

    fn get(&self, _: u64, key: &[u8]) -> Option<usize> {
        self.rows.get(key).expect("get").map(|value| value.len())
    }
}
