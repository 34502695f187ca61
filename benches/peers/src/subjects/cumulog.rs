//! Ours. A client is a thread here, as for the others, although the engine does better with tasks.

use std::path::Path;
use std::sync::Arc;

use cumulog_benches::rows::Rows;
use cumulog_engine::disk::Real;
use cumulog_engine::{Durability, Options, Pending, Read as _, Space, Store};

use super::{Level, Subject};

const ROWS: Space = Space::new(0x1000, "bench/rows");

struct Cumulog(Store);

pub(super) fn open(directory: &Path, level: Level) -> Box<dyn Subject> {
    let durability = match level {
        Level::Power => Durability::Power,
        Level::Process => Durability::Process,
        Level::None => Durability::None,
    };
    let options = Options {
        durability,
        ..Options::default()
    };
    Box::new(Cumulog(match level {
        Level::None => Store::ephemeral(options),
        _ => {
            Store::open(Arc::new(Real::new()), directory, options)
                .expect("open")
                .0
        }
    }))
}

impl Cumulog {
    fn commit(&self, key: &[u8], value: &[u8]) -> Pending<Result<(), ()>> {
        self.0.commit(|txn| {
            txn.put(ROWS, key, value);
            Ok(())
        })
    }
}

impl Subject for Cumulog {
    fn put(&self, key: &[u8], value: &[u8]) {
        let done = self.commit(key, value).wait().expect("commit");
        done.expect("it does not fail");
    }

    fn load(&self, rows: &Rows) {
        let mut last = None;
        for number in 0..rows.keys() {
            last = Some(self.commit(&rows.key(number), rows.value(number)));
        }
        let done = last.expect("there are rows").wait().expect("commit");
        done.expect("it does not fail");
    }

    fn get(&self, _: u64, key: &[u8]) -> Option<usize> {
        self.0.view().get(ROWS, key).map(<[u8]>::len)
    }
}
