//! What the store must hold: the workload, and its states by plain maps.

use std::collections::BTreeMap;
use std::ops::Bound;

use cumulog_engine::{Read, Space, Txn};

/// A state: every entry of every key space that is logged.
pub(crate) type State = BTreeMap<(u32, Vec<u8>), Vec<u8>>;

/// The key spaces of the workload.
pub(crate) const SPACES: [Space; 3] = [
    Space::new(0x1000, "test/first"),
    Space::new(0x1001, "test/second"),
    Space::new(0xffff_ffff, "test/last"),
];

/// A key space that is not logged.
pub(crate) const EPHEMERAL: Space = Space::new(0x1002, "test/ephemeral");

/// One change of a transaction.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Put(usize, Vec<u8>, Vec<u8>),
    Delete(usize, Vec<u8>),
    DeletePrefix(usize, Vec<u8>),
}

/// A transaction: its changes in order.
pub(crate) type Transaction = Vec<Effect>;

pub(crate) fn put(space: usize, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Effect {
    Effect::Put(space, key.as_ref().to_vec(), value.as_ref().to_vec())
}

/// Transactions of many kinds, most of them so small that several share a sector, some larger than a page, one larger
/// than a small segment. Each leaves a state that no other leaves.
pub(crate) fn workload() -> Vec<Transaction> {
    let noise: Vec<u8> = (0..1500u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    vec![
        vec![put(0, "a", "1")],
        vec![
            put(0, "b", "2"),
            put(1, "a", "3"),
            put(2, "", "an empty key"),
        ],
        vec![put(1, "noise", &noise)],
        vec![
            Effect::Delete(0, b"a".to_vec()),
            put(0, "a/x", "4"),
            put(0, "a/y", "5"),
        ],
        vec![put(1, "zeros", vec![0; 700]), put(1, "empty", "")],
        (0..20)
            .map(|index| put(2, format!("many/{index}"), [index; 9]))
            .collect(),
        vec![
            Effect::DeletePrefix(0, b"a/".to_vec()),
            put(0, "a/z", "after the deletion"),
        ],
        vec![
            put(1, "noise", &noise[..1200]),
            put(1, "more noise", &noise[300..]),
        ],
        vec![put(2, "large", noise.repeat(3))],
        vec![Effect::DeletePrefix(2, b"many/1".to_vec())],
        vec![put(0, "b", "6")],
        vec![
            Effect::DeletePrefix(1, Vec::new()),
            Effect::DeletePrefix(2, Vec::new()),
            put(1, "left", "7"),
        ],
        vec![put(0, "a", "8"), put(2, "a", &noise)],
        vec![put(0, "a", "9")],
    ]
}

/// A shorter one, for when much else goes on: all key spaces change, and one rests for a while.
pub(crate) fn short_workload() -> Vec<Transaction> {
    let noise: Vec<u8> = (0..1500u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    vec![
        vec![put(0, "a", "1"), put(2, "rests", "2")],
        vec![put(0, "b", "2"), put(1, "a", &noise)],
        vec![Effect::Delete(0, b"a".to_vec()), put(0, "a/x", "4")],
        vec![put(1, "large", noise.repeat(3))],
        vec![
            Effect::DeletePrefix(1, Vec::new()),
            put(0, "b", noise.repeat(2)),
            put(2, "rests", "6"),
        ],
    ]
}

/// The states after 0, 1, 2, … of `transactions`.
pub(crate) fn states(transactions: &[Transaction]) -> Vec<State> {
    let mut states = vec![State::new()];
    for transaction in transactions {
        let mut state = states[states.len() - 1].clone();
        apply(transaction, &mut state);
        states.push(state);
    }
    states
}

/// What `transaction` does to the model.
pub(crate) fn apply(transaction: &Transaction, state: &mut State) {
    for effect in transaction {
        match effect {
            Effect::Put(space, key, value) => {
                state.insert((SPACES[*space].id, key.clone()), value.clone());
            }
            Effect::Delete(space, key) => {
                state.remove(&(SPACES[*space].id, key.clone()));
            }
            Effect::DeletePrefix(space, prefix) => {
                state.retain(|(id, key), _| *id != SPACES[*space].id || !key.starts_with(prefix));
            }
        }
    }
}

/// The same to the store.
pub(crate) fn perform(transaction: &Transaction, txn: &mut Txn) {
    for effect in transaction {
        match effect {
            Effect::Put(space, key, value) => txn.put(SPACES[*space], key, value),
            Effect::Delete(space, key) => {
                txn.delete(SPACES[*space], key);
            }
            Effect::DeletePrefix(space, prefix) => {
                txn.delete_prefix(SPACES[*space], prefix);
            }
        }
    }
}

/// All that a reader sees in the logged key spaces.
pub(crate) fn state_of(read: &impl Read) -> State {
    let entries = |space: Space| {
        let range = read.range(space, Bound::Unbounded, Bound::Unbounded);
        range.map(move |(key, value)| ((space.id, key.to_vec()), value.to_vec()))
    };
    SPACES.into_iter().flat_map(entries).collect()
}
