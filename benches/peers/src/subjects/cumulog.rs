//! Ours. Its commits are futures, so clients are tasks on two threads, as in a server; beside that, threads as for the
//! others, which the kernel has to put to sleep and to wake for each commit that waits.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cumulog_benches::clients::{self, Round};
use cumulog_benches::rows::Rows;
use cumulog_engine::disk::Real;
use cumulog_engine::{Durability, Options, Pending, Read as _, Space, Store};

use tokio::runtime::Runtime;

use super::{Level, Subject};

const ROWS: Space = Space::new(0x1000, "bench/rows");

struct Cumulog {
    store: Store,
    /// Runs clients that are tasks.
    runtime: Option<Runtime>,
}

pub(super) fn open(directory: &Path, level: Level) -> Box<dyn Subject> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("start");
    Box::new(Cumulog {
        store: store(directory, level),
        runtime: Some(runtime),
    })
}

pub(super) fn open_for_threads(directory: &Path, level: Level) -> Box<dyn Subject> {
    Box::new(Cumulog {
        store: store(directory, level),
        runtime: None,
    })
}

fn store(directory: &Path, level: Level) -> Store {
    let durability = match level {
        Level::Power => Durability::Power,
        Level::Process => Durability::Process,
        Level::None => Durability::None,
    };
    let options = Options {
        durability,
        ..Options::default()
    };
    if level == Level::None {
        return Store::ephemeral(options);
    }
    let opened = Store::open(Arc::new(Real::new()), directory, options);
    opened.expect("open").0
}

fn commit(store: &Store, key: &[u8], value: &[u8]) -> Pending<Result<(), Infallible>> {
    store.commit(|txn| {
        txn.put(ROWS, key, value);
        Ok(())
    })
}

impl Subject for Cumulog {
    fn put(&self, key: &[u8], value: &[u8]) {
        let Ok(()) = commit(&self.store, key, value).wait().expect("commit");
    }

    fn commit(&self, clients: u64, time: Duration, rows: &Arc<Rows>) -> Round {
        let Some(runtime) = &self.runtime else {
            return clients::threads(clients, time, |number| {
                self.put(&rows.key(number), rows.value(number));
            });
        };
        let (store, rows) = (self.store.clone(), rows.clone());
        clients::tasks(runtime, clients, time, move |number| {
            let (store, rows) = (store.clone(), rows.clone());
            async move {
                store.admission().await;
                let pending = commit(&store, &rows.key(number), rows.value(number));
                let Ok(()) = pending.await.expect("commit");
            }
        })
    }

    fn load(&self, rows: &Rows) {
        let mut last = None;
        for number in 0..rows.keys() {
            last = Some(commit(&self.store, &rows.key(number), rows.value(number)));
        }
        let Ok(()) = last.expect("there are rows").wait().expect("commit");
    }

    fn get(&self, _: u64, key: &[u8]) -> Option<usize> {
        self.store.view().get(ROWS, key).map(<[u8]>::len)
    }
}
