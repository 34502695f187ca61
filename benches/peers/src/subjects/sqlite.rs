//! SQLite, by rusqlite, with a write-ahead log. There is one writer at a time: one connection behind a mutex, which is
//! cheaper than connections that find each other's lock and sleep. Each client reads by a connection of its own. Statements
//! are prepared once; the table is clustered by its key.
//!
//! `synchronous=FULL` syncs the log at each commit. `NORMAL` writes it, which survives the process's end, and syncs when the
//! log is moved to the table.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use cumulog_benches::rows::Rows;
use rusqlite::{Connection, OptionalExtension as _};

use super::{Level, Subject};

/// More clients than these share.
const READERS: usize = 4;
const PUT: &str = "INSERT OR REPLACE INTO rows VALUES (?1, ?2)";
const GET: &str = "SELECT value FROM rows WHERE key = ?1";

struct Sqlite {
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
}

pub(super) fn open(directory: &Path, level: Level) -> Box<dyn Subject> {
    let synchronous = match level {
        Level::Power => "FULL",
        _ => "NORMAL",
    };
    let connect = || {
        let connection = Connection::open(directory.join("sqlite")).expect("open");
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .expect("it is known");
        connection
            .pragma_update(None, "synchronous", synchronous)
            .expect("it is known");
        Mutex::new(connection)
    };
    let writer = connect();
    lock(&writer)
        .execute(
            "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID",
            (),
        )
        .expect("create");
    Box::new(Sqlite {
        writer,
        readers: (0..READERS).map(|_| connect()).collect(),
    })
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().expect("nobody panicked")
}

fn put(connection: &Connection, key: &[u8], value: &[u8]) {
    let mut statement = connection.prepare_cached(PUT).expect("prepare");
    statement.execute((key, value)).expect("insert");
}

impl Subject for Sqlite {
    fn put(&self, key: &[u8], value: &[u8]) {
        put(&lock(&self.writer), key, value);
    }

    fn load(&self, rows: &Rows) {
        let mut writer = lock(&self.writer);
        let transaction = writer.transaction().expect("begin");
        for number in 0..rows.keys() {
            put(&transaction, &rows.key(number), rows.value(number));
        }
        transaction.commit().expect("commit");
    }

    fn get(&self, client: u64, key: &[u8]) -> Option<usize> {
        let connection = lock(&self.readers[client as usize % READERS]);
        let mut statement = connection.prepare_cached(GET).expect("prepare");
        statement
            .query_row((key,), |row| Ok(row.get_ref(0)?.as_blob()?.len()))
            .optional()
            .expect("select")
    }
}
