//! Typed tables beside a map with typed keys: the order of keys, scans by prefix and range from both ends.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use cumulog_engine::{Options, Read, RowError, Space, Store, Table, Txn};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

type Key = (String, u32);

const TABLE: Table<Key, u64> = Table::new(Space::new(0x1000, "test/table"));

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Put(Key, u64),
    Delete(Key),
    DeletePrefix(Option<String>),
    Get(Key),
    Scan(Option<String>, Bound<Key>),
    ScanRange(Bound<Key>, Bound<Key>),
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    // A name that is the start of another, with the bytes that keys escape.
    let name = select(vec!["", "a", "ab", "a\0", "a\0b", "b", "é"]).prop_map(str::to_owned);
    let key = (name.clone(), select(vec![0, 1, 255, 256, u32::MAX]));
    let bound = prop_oneof![
        Just(Bound::Unbounded),
        key.clone().prop_map(Bound::Included),
        key.clone().prop_map(Bound::Excluded),
    ];
    let prefix = prop::option::of(name);
    let step = prop_oneof![
        6 => (key.clone(), any::<u64>()).prop_map(|(key, row)| Step::Put(key, row)),
        2 => key.clone().prop_map(Step::Delete),
        1 => prefix.clone().prop_map(Step::DeletePrefix),
        2 => key.prop_map(Step::Get),
        3 => (prefix, bound.clone()).prop_map(|(prefix, after)| Step::Scan(prefix, after)),
        3 => (bound.clone(), bound).prop_map(|(from, to)| Step::ScanRange(from, to)),
    ];
    vec(step, 1..80)
}

/// In one transaction, and once more by a reader.
pub(crate) fn check(steps: &[Step]) {
    let store = Store::ephemeral(Options::default());
    let mut model = BTreeMap::new();
    let done = store.commit(|txn| {
        steps.iter().for_each(|step| perform(step, txn, &mut model));
        Ok::<_, Infallible>(())
    });
    let Ok(()) = done.wait().expect("it is in memory");
    let view = store.view();
    steps.iter().for_each(|step| look(step, &view, &model));
    assert_eq!(view.count(TABLE.space()), model.len());
}

fn perform(step: &Step, txn: &mut Txn, model: &mut BTreeMap<Key, u64>) {
    match step {
        Step::Put(key, row) => {
            TABLE.put(txn, key, row);
            model.insert(key.clone(), *row);
        }
        Step::Delete(key) => {
            assert_eq!(TABLE.delete(txn, key), model.remove(key).is_some());
        }
        Step::DeletePrefix(prefix) => {
            let before = model.len();
            model.retain(|(name, _), _| prefix.as_ref().is_some_and(|prefix| name != prefix));
            let deleted = match prefix {
                Some(prefix) => TABLE.delete_prefix(txn, &(prefix.clone(),)),
                None => TABLE.delete_prefix(txn, &()),
            };
            assert_eq!(deleted, (before - model.len()) as u64);
        }
        look_only => look(look_only, txn, model),
    }
}

fn look(step: &Step, read: &impl Read, model: &BTreeMap<Key, u64>) {
    match step {
        Step::Put(key, _) | Step::Delete(key) | Step::Get(key) => {
            let row = TABLE.get(read, key).expect("it decodes");
            assert_eq!(row, model.get(key).copied());
            assert_eq!(TABLE.contains(read, key), row.is_some());
        }
        Step::DeletePrefix(prefix) => {
            look(&Step::Scan(prefix.clone(), Bound::Unbounded), read, model)
        }
        Step::Scan(prefix, after) => {
            let bounds = (after.as_ref(), Bound::Unbounded);
            let expected = between(model, bounds)
                .filter(|((name, _), _)| prefix.as_ref().is_none_or(|prefix| name == prefix));
            let scan = match prefix {
                Some(prefix) => TABLE.scan_from(read, &(prefix.clone(),), after.as_ref()),
                None => TABLE.scan_from(read, &(), after.as_ref()),
            };
            compare(scan, expected.collect());
        }
        Step::ScanRange(from, to) => {
            let scan = TABLE.scan_range(read, from.as_ref(), to.as_ref());
            compare(scan, between(model, (from.as_ref(), to.as_ref())).collect());
        }
    }
}

/// As `BTreeMap::range`, which panics where the bounds cross.
fn between<'a>(
    model: &'a BTreeMap<Key, u64>,
    (from, to): (Bound<&'a Key>, Bound<&'a Key>),
) -> impl Iterator<Item = (Key, u64)> + 'a {
    let above = move |key: &Key| match from {
        Bound::Included(from) => key >= from,
        Bound::Excluded(from) => key > from,
        Bound::Unbounded => true,
    };
    let below = move |key: &Key| match to {
        Bound::Included(to) => key <= to,
        Bound::Excluded(to) => key < to,
        Bound::Unbounded => true,
    };
    let rows = model.iter().map(|(key, row)| (key.clone(), *row));
    rows.filter(move |(key, _)| above(key) && below(key))
}

/// From both ends in turn.
fn compare(
    mut scan: impl DoubleEndedIterator<Item = Result<(Key, u64), RowError>>,
    expected: Vec<(Key, u64)>,
) {
    let mut expected = expected.into_iter();
    loop {
        let front = scan.next().map(|row| row.expect("it decodes"));
        assert_eq!(front, expected.next());
        let back = scan.next_back().map(|row| row.expect("it decodes"));
        assert_eq!(back, expected.next_back());
        if back.is_none() {
            return;
        }
    }
}
