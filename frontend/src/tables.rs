//! All tables of all services, for who treats them alike: the check that every row decodes, the fuzz target for rows.

use std::{cell::RefCell, cmp::Ordering, collections::BTreeMap, ops::Bound};

use cumulog_engine::{
    BlobId, FindingKind, Key, Read as _, Report, Row, RowError, Space, Table, Verified, View,
};

use crate::services;

/// Is shown each table of a service.
pub(crate) trait TableVisitor {
    /// A table.
    fn on<K: Key, V: Row>(&self, table: Table<K, V>);

    /// A key space whose rows have a form of their own.
    fn raw(&self, space: Space, decode: fn(&[u8]) -> Result<(), RowError>);
}

/// Adds to the report what only services can know: rows that do not decode, key spaces that nobody knows, and references to
/// bodies that do not add up.
pub(crate) fn check(verified: &mut Verified) {
    let Verified {
        report,
        view,
        spaces,
        ..
    } = verified;
    let check = Check {
        view,
        bad: RefCell::default(),
        known: RefCell::default(),
    };
    services::each_table(&check);
    let (bad, known) = (check.bad.into_inner(), check.known.into_inner());
    let all_decode = bad.is_empty();
    for (space, key, reason) in bad {
        report.add_row(space, &key, reason);
    }
    let unknown = |id: &&u32| **id > ENGINE_SPACE_MAX && !known.contains(id);
    for id in spaces.iter().filter(unknown) {
        add_stranger(report, *id, view.count(Space::new(*id, "")));
    }
    // Of rows that are missing, nobody knows what they refer to.
    if all_decode && report.refusal.is_none() {
        check_references(report, view);
    }
}

/// Key spaces up to here are the engine's own, which checks them itself.
const ENGINE_SPACE_MAX: u32 = 0xff;

fn add_stranger(report: &mut Report, id: u32, rows: usize) {
    if rows > 0 {
        let reason = format!("no service of this version knows key space {id:#06x} ({rows} rows)");
        report.add(FindingKind::Unknown, reason);
    }
}

/// Each body is kept exactly as long as something refers to it, so what it counts must be what there is.
fn check_references(report: &mut Report, view: &View) {
    let mut counts: BTreeMap<BlobId, u64> = BTreeMap::new();
    // A row that does not decode was found by the engine.
    let blobs = view.blobs().flatten();
    let stored: BTreeMap<BlobId, u64> = blobs.map(|blob| (blob.id, blob.references)).collect();
    services::each_reference(view, &mut |space, key, id| {
        if !stored.contains_key(&id) {
            let reason = format!("it refers to blob {:016x}, which is not there", id.0);
            report.add_row(space, key, reason);
        }
        *counts.entry(id).or_default() += 1;
    });
    for (id, stored) in stored {
        let found = counts.get(&id).copied().unwrap_or(0);
        let reason = format!(
            "blob {:016x} counts {stored} references, there are {found}",
            id.0
        );
        match stored.cmp(&found) {
            Ordering::Equal => {}
            // It goes before the last of those that refer to it.
            Ordering::Less => report.add(FindingKind::Row, reason),
            // It never goes.
            Ordering::Greater => report.add(FindingKind::Leftover, reason),
        }
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

    use cumulog_engine::{Options, Store, Txn, disk::Simulated, verify};
    use std::{path::Path, sync::Arc};

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

    /// What verify says of a directory in which this was done.
    fn verified(work: impl FnOnce(&Store, &mut Txn)) -> Vec<(FindingKind, String)> {
        let (disk, directory) = (Arc::new(Simulated::default()), Path::new("data"));
        let (store, _) =
            Store::open(disk.clone(), directory, Options::default()).expect("it opens");
        let done = store.commit(|txn| {
            work(&store, txn);
            Ok::<_, ()>(())
        });
        done.wait().expect("there is space").expect("it succeeds");
        store.close().expect("it closes");
        drop(store);
        let mut verified = verify(disk, directory).expect("it can be read");
        check(&mut verified);
        let findings = verified.report.findings.into_iter();
        findings
            .map(|finding| {
                let row = finding.row.map_or(String::new(), |(space, key)| {
                    format!("{space} {}: ", key.escape_ascii())
                });
                (finding.kind, row + &finding.reason)
            })
            .collect()
    }

    #[test]
    fn rows_that_nobody_can_read_are_named_by_key() {
        let found = verified(|_, txn| {
            txn.put(Space::new(0x0102, "s3/objects"), b"not a key", b"\xc0");
            txn.put(Space::new(0x0201, "dynamodb/items"), b"k", b"not an item");
            // An event whose keys are no item.
            let record = b"\x96\x01\xa6Remove\xc2\xc4\x01k\xc0\xc0";
            txn.put(Space::new(0x0209, "dynamodb/records"), b"k", record);
            txn.put(Space::new(0x7777, "future/things"), b"k", b"v");
        });
        let (kinds, texts): (Vec<_>, Vec<_>) = found.into_iter().unzip();
        assert_eq!(
            kinds,
            [
                FindingKind::Row,
                FindingKind::Row,
                FindingKind::Row,
                FindingKind::Unknown
            ]
        );
        assert!(texts[0].starts_with("dynamodb/items k: "), "{texts:?}");
        assert!(texts[1].starts_with("dynamodb/records k: "), "{texts:?}");
        assert!(texts[2].starts_with("s3/objects not a key: "), "{texts:?}");
        assert!(texts[3].contains("0x7777 (1 rows)"), "{texts:?}");
    }

    #[test]
    fn a_body_that_nothing_refers_to_is_told() {
        let found = verified(|store, txn| {
            let mut writer = store.blob_writer(Space::new(0x0102, "s3/objects"));
            writer.write(b"small").expect("it stays in its row");
            let blob = writer.finish().expect("it stays in its row");
            txn.attach(&blob).expect("it is new");
        });
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, FindingKind::Leftover);
        assert!(
            found[0].1.contains("counts 1 references, there are 0"),
            "{found:?}"
        );
    }
}
