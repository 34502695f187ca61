//! redb: a copy-on-write B-tree in a file. There is one writer at a time, for whom the others wait.
//!
//! `Immediate`, the default, syncs once per commit. A commit of durability `None` survives nothing until the next one that
//! is `Immediate`, also not the process's end; there is nothing between the two.

use std::path::Path;

use cumulog_benches::rows::Rows;
use redb::{Database, Durability, ReadableDatabase as _, Table, TableDefinition};

use super::{Level, Subject};

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

type RowsTable<'a> = Table<'a, &'static [u8], &'static [u8]>;

struct Redb {
    database: Database,
    durability: Durability,
}

pub(super) fn open(directory: &Path, level: Level) -> Box<dyn Subject> {
    let database = Database::create(directory.join("redb")).expect("open");
    let redb = Redb {
        database,
        durability: match level {
            Level::None => Durability::None,
            _ => Durability::Immediate,
        },
    };
    // Makes the table if there is none, so that reads find it.
    redb.write(Durability::Immediate, |_| {});
    Box::new(redb)
}

impl Redb {
    fn write(&self, durability: Durability, change: impl FnOnce(&mut RowsTable<'_>)) {
        let mut transaction = self.database.begin_write().expect("begin");
        transaction.set_durability(durability).expect("it is known");
        change(&mut transaction.open_table(ROWS).expect("open"));
        transaction.commit().expect("commit");
    }
}

impl Subject for Redb {
    fn put(&self, key: &[u8], value: &[u8]) {
        self.write(self.durability, |table| {
            table.insert(key, value).expect("insert");
        });
    }

    fn load(&self, rows: &Rows) {
        self.write(Durability::Immediate, |table| {
            for number in 0..rows.keys() {
                let key = rows.key(number);
                table
                    .insert(key.as_slice(), rows.value(number))
                    .expect("insert");
            }
        });
    }

    fn get(&self, _: u64, key: &[u8]) -> Option<usize> {
        let transaction = self.database.begin_read().expect("begin");
        let table = transaction.open_table(ROWS).expect("open");
        let value = table.get(key).expect("get");
        value.map(|value| value.value().len())
    }
}
