//! The stores, behind one trait.

mod cumulog;
mod fjall;
mod redb;
mod sled;
mod sqlite;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cumulog_benches::clients::{self, Round};
use cumulog_benches::rows::Rows;

/// An open store with one table of rows. Failures end the benchmark.
pub(crate) trait Subject: Sync {
    /// Commits one row, and returns when that is as durable as the level says.
    fn put(&self, key: &[u8], value: &[u8]);

    /// Lets clients commit one row after the other for a time. They are threads, if the store has no better kind.
    fn commit(&self, clients: u64, time: Duration, rows: &Arc<Rows>) -> Round {
        clients::threads(clients, time, |number| {
            self.put(&rows.key(number), rows.value(number));
        })
    }

    /// Commits many rows as fast as it can, and makes them durable.
    fn load(&self, rows: &Rows);

    /// Reads a row: the length of its value. Different clients may do so at once.
    fn get(&self, client: u64, key: &[u8]) -> Option<usize>;
}

/// What an acknowledged commit survives. Commits are compared within a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Loss of power.
    Power,
    /// The end of the process by any means.
    Process,
    /// Nothing, for some time.
    None,
}

impl Level {
    pub(crate) const ALL: [Level; 3] = [Level::Power, Level::Process, Level::None];

    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// A store at a level of durability.
#[derive(Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    pub(crate) level: Level,
    /// How the store calls it.
    pub(crate) setting: &'static str,
    /// Creates or opens the store in this directory.
    pub(crate) open: fn(&Path, Level) -> Box<dyn Subject>,
}

/// Ours, by tasks.
pub(crate) const OURS: &str = "cumulog";
/// Ours as the others are used.
const OURS_BY_THREADS: &str = "cumulog, threads";

pub(crate) const CANDIDATES: [Candidate; 14] = {
    const fn at(
        name: &'static str,
        level: Level,
        setting: &'static str,
        open: fn(&Path, Level) -> Box<dyn Subject>,
    ) -> Candidate {
        Candidate {
            name,
            level,
            setting,
            open,
        }
    }
    use Level::{None, Power, Process};
    [
        at(OURS, Power, "power", cumulog::open),
        at(OURS_BY_THREADS, Power, "power", cumulog::open_for_threads),
        at("fjall", Power, "persist(SyncData)", fjall::open),
        at("redb", Power, "Immediate", redb::open),
        at("SQLite", Power, "WAL, synchronous=FULL", sqlite::open),
        at("sled", Power, "flush", sled::open),
        at(OURS, Process, "process", cumulog::open),
        at(
            OURS_BY_THREADS,
            Process,
            "process",
            cumulog::open_for_threads,
        ),
        at("fjall", Process, "default (Buffer)", fjall::open),
        at("SQLite", Process, "WAL, synchronous=NORMAL", sqlite::open),
        at(OURS, None, "none", cumulog::open),
        at(OURS_BY_THREADS, None, "none", cumulog::open_for_threads),
        at("redb", None, "None", redb::open),
        at("sled", None, "default (flush every 500 ms)", sled::open),
    ]
};

/// Each store once, as durable as it gets.
pub(crate) fn one_each() -> impl Iterator<Item = &'static Candidate> {
    CANDIDATES
        .iter()
        .filter(|candidate| candidate.level == Level::Power && candidate.name != OURS_BY_THREADS)
}

/// The versions of the peers, as they were built.
pub(crate) fn versions() -> BTreeMap<String, String> {
    let lock = include_str!("../../Cargo.lock");
    let locked = |package: &str| {
        let after = lock
            .split_once(&format!("name = \"{package}\"\nversion = \""))?
            .1;
        Some(after.split_once('"')?.0.to_owned())
    };
    let of = |name: &str| (name.to_owned(), locked(name).unwrap_or_default());
    let mut versions = BTreeMap::from(["fjall", "redb", "rusqlite", "sled"].map(of));
    versions.insert("SQLite".to_owned(), rusqlite::version().to_owned());
    versions
}
