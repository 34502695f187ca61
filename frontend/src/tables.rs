//! All tables of all services, for who treats them alike: the check that every row decodes, the fuzz target for rows.

use std::{cell::RefCell, ops::Bound};

use cumulog_engine::{Key, Read as _, Report, Row, RowError, Space, Table, Verified, View};

use crate::services;

/// Is shown each table of a service.
pub(crate) trait TableVisitor {
    /// A table.
    fn on<K: Key, V: Row>(&self, table: Table<K, V>);

    /// A key space whose rows have a form of their own.
    fn raw(&self, space: Space, decode: fn(&[u8]) -> Result<(), RowError>);
}

/// Adds every row that does not decode to the report, and how many no service knows.
pub(crate) fn check(verified: &mut Verified) {
    let check = Check {
        view: &verified.view,
        bad: RefCell::default(),
        known: RefCell::default(),
    };
    services::each_table(&check);
    let (bad, known) = (check.bad.into_inner(), check.known.into_inner());
    for (space, key, reason) in bad {
        verified.report.add_row(space, &key, reason);
    }
    let strangers = verified.spaces.iter().filter(|id| !known.contains(id));
    let rows = |id: u32| verified.view.count(Space::new(id, "")) as u64;
    for id in strangers.copied().filter(|id| *id > ENGINE_SPACE_MAX) {
        add_stranger(&mut verified.report, id, rows(id));
    }
}

/// Key spaces up to here are the engine's own, which checks them itself.
const ENGINE_SPACE_MAX: u32 = 0xff;

fn add_stranger(report: &mut Report, id: u32, rows: u64) {
    if rows > 0 {
        let reason = format!("no service of this version knows key space {id:#06x} ({rows} rows)");
        report.add_unknown_space(reason);
    }
}

struct Check<'a> {
    view: &'a View,
    bad: RefCell<Vec<(Space, Vec<u8>, String)>>,
    known: RefCell<Vec<u32>>,
}

impl Check<'_> {
    fn add(&self, space: Space, key: &[u8], error: RowError) {
        let bad = (space, key.to_vec(), error.reason);
        self.bad.borrow_mut().push(bad);
    }

    fn entries(&self, space: Space) -> cumulog_engine::Range<'_> {
        self.known.borrow_mut().push(space.id);
        self.view.range(space, Bound::Unbounded, Bound::Unbounded)
    }
}

impl TableVisitor for Check<'_> {
    fn on<K: Key, V: Row>(&self, table: Table<K, V>) {
        let rows = table.scan(self.view, &());
        for ((key, _), row) in self.entries(table.space()).zip(rows) {
            if let Err(error) = row {
                self.add(table.space(), key, error);
            }
        }
    }

    fn raw(&self, space: Space, decode: fn(&[u8]) -> Result<(), RowError>) {
        for (key, row) in self.entries(space) {
            if let Err(error) = decode(row) {
                self.add(space, key, error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen(RefCell<Vec<u32>>);

    impl TableVisitor for Seen {
        fn on<K: Key, V: Row>(&self, table: Table<K, V>) {
            self.raw(table.space(), |_| Ok(()));
        }

        fn raw(&self, space: Space, _: fn(&[u8]) -> Result<(), RowError>) {
            self.0.borrow_mut().push(space.id);
        }
    }

    #[test]
    fn every_key_space_of_every_service_is_shown_once() {
        let seen = Seen::default();
        services::each_table(&seen);
        let mut shown = seen.0.into_inner();
        shown.sort_unstable();
        let owned = services::all();
        let owned = owned.iter().flat_map(|service| service.spaces);
        let mut owned: Vec<u32> = owned.map(|space| space.id).collect();
        owned.sort_unstable();
        assert_eq!(shown, owned);
    }
}
