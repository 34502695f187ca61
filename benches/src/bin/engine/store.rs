//! Stores to measure.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cumulog_benches::rows::Rows;
use cumulog_engine::disk::{Disk, Real};
use cumulog_engine::{Durability, Options, Pending, Recovery, Space, Store};

/// Where rows go.
pub(crate) const ROWS: Space = Space::new(0x1000, "bench/rows");

pub(crate) const DURABILITIES: [Durability; 3] =
    [Durability::None, Durability::Process, Durability::Power];

/// As in the documentation.
pub(crate) fn name(durability: Durability) -> String {
    format!("{durability:?}").to_lowercase()
}

pub(crate) fn options(durability: Durability) -> Options {
    Options {
        durability,
        ..Options::default()
    }
}

/// In memory if nothing is to survive, else in a directory below `directory`.
pub(crate) fn open_on(disk: impl Disk, directory: &Path, durability: Durability) -> Store {
    if durability == Durability::None {
        return Store::ephemeral(options(durability));
    }
    let opened = Store::open(Arc::new(disk), &path(directory), options(durability));
    opened.expect("open").0
}

/// Where [`open_on`] has a store.
pub(crate) fn path(directory: &Path) -> std::path::PathBuf {
    directory.join("store")
}

/// Without compactions that nobody asked for.
pub(crate) fn left_alone(durability: Durability) -> Options {
    Options {
        compaction_bytes_min: u64::MAX,
        ..options(durability)
    }
}

/// Opens what is there, and tells the time that it took.
pub(crate) fn reopen(directory: &Path) -> (Store, Recovery, Duration) {
    let start = Instant::now();
    let options = left_alone(Durability::Process);
    let opened = Store::open(Arc::new(Real::new()), &path(directory), options);
    let (store, recovery) = opened.expect("open");
    (store, recovery, start.elapsed())
}

/// Leaves a closed store of these rows, all of them in its log, one a record.
pub(crate) fn prepare(directory: &Path, rows: &Rows) {
    let (store, ..) = reopen(directory);
    fill(&store, rows, 0..rows.keys());
    store.close().expect("close");
}

/// Commits one row.
pub(crate) fn put(store: &Store, rows: &Rows, number: u64) -> Pending<Result<(), Infallible>> {
    store.commit(|txn| {
        txn.put(ROWS, &rows.key(number), rows.value(number));
        Ok(())
    })
}

/// Commits rows, one a transaction, and waits for the last.
pub(crate) fn fill(store: &Store, rows: &Rows, numbers: std::ops::Range<u64>) {
    let mut last = None;
    for number in numbers {
        last = Some(put(store, rows, number));
    }
    if let Some(last) = last {
        let Ok(()) = last.wait().expect("the disk works");
    }
}
