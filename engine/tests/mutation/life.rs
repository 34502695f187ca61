//! A life of a store: rows and bodies come and go, the log is compacted, the store is closed. Every change takes one LSN, so
//! a number of transactions says which state it is.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use cumulog_engine::disk::Simulated;
use cumulog_engine::{
    BlobId, Durability, Error, Options, PIECE_BYTES, Pace, Recovery, Space, Store, Table, Txn, View,
};

use crate::stepped::{Stepped, released};

/// How the reason begins if the store does not open.
pub(crate) const REFUSED: &str = "does not open";

const DIRECTORY: &str = "data/cumulog";

/// The blob's id (0: none), the content's length and byte, and the content if there is no blob.
type Row = (u64, u64, u8, Vec<u8>);

const ROWS: Table<(String,), Row> = Table::new(Space::new(0x1000, "test/rows"));

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// A row of so many bytes.
    Put(&'static str, u64),
    /// A row that refers to a body of so many bytes.
    Body(&'static str, u64),
    Delete(&'static str),
    /// A row of one byte, and in a transaction of its own but the same write, one of so many.
    Pair(&'static str, u64),
    /// So much time that the log syncs and marks by itself.
    Pause,
    Compact,
    Close,
}

impl Step {
    fn transactions(self) -> u64 {
        match self {
            Step::Put(..) | Step::Body(..) | Step::Delete(_) => 1,
            Step::Pair(..) => 2,
            Step::Pause | Step::Compact | Step::Close => 0,
        }
    }
}

/// Length and byte of each content.
type State = BTreeMap<String, (u64, u8)>;

/// The states after 0, 1, 2, … transactions.
pub(crate) fn states(steps: &[Step]) -> Vec<State> {
    let mut states = vec![State::new()];
    let mut add = |change: &dyn Fn(&mut State, u8)| {
        let mut state = states[states.len() - 1].clone();
        change(&mut state, states.len() as u8);
        states.push(state);
    };
    let put = |name: &str, bytes| {
        let name = name.to_owned();
        move |state: &mut State, byte| {
            state.insert(name.clone(), (bytes, byte));
        }
    };
    for step in steps {
        match *step {
            Step::Put(name, bytes) | Step::Body(name, bytes) => add(&put(name, bytes)),
            Step::Pair(name, bytes) => {
                add(&put(name, 1));
                add(&put(name, bytes));
            }
            Step::Delete(name) => add(&|state, _| {
                state.remove(name);
            }),
            Step::Pause | Step::Compact | Step::Close => {}
        }
    }
    states
}

/// How far a life came: numbers of transactions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    /// So many survive a loss of power.
    pub(crate) promised: u64,
    /// There are no more: those after it were refused, or never asked for.
    pub(crate) submitted: u64,
    /// Was the store closed?
    pub(crate) closed: bool,
}

fn open(disk: &Simulated, durability: Durability) -> Result<(Stepped, Recovery), Error> {
    let options = Options {
        durability,
        segment_bytes: 8 << 10,
        compaction_bytes_min: u64::MAX,
        seed: Some(1),
        owner: "test".to_owned(),
        ..Options::default()
    };
    Stepped::open(disk, DIRECTORY, options)
}

/// What the store says would survive a loss of power.
fn promised(store: &Store, durability: Durability) -> u64 {
    match durability {
        Durability::Power => store.view().lsn().0,
        _ => store.status().synced.0,
    }
}

/// Does what is left of `steps` in a directory of which `before` is known, until one can't be done.
pub(crate) fn live(disk: &Simulated, durability: Durability, steps: &[Step], before: Life) -> Life {
    let seen = Cell::new(before.promised);
    let mut look = |store: &Store| seen.set(seen.get().max(promised(store, durability)));
    let mut life = before;
    if let Ok((mut stepped, _)) = open(disk, durability) {
        life.submitted = life.submitted.max(stepped.store.view().lsn().0);
        look(&stepped.store);
        stepped.settle_by_steps(&mut look);
        go_on(&mut stepped, disk, steps, &mut life, &mut look);
    }
    life.promised = if life.closed {
        life.submitted
    } else {
        seen.get()
    };
    life
}

fn go_on(
    stepped: &mut Stepped,
    disk: &Simulated,
    steps: &[Step],
    life: &mut Life,
    look: &mut impl FnMut(&Store),
) {
    let held = stepped.store.view().lsn().0;
    let mut number = 0;
    for step in steps {
        number += step.transactions();
        if number <= held {
            continue;
        }
        let step = match *step {
            // Of a pair, one may be there.
            Step::Pair(name, bytes) if held + 1 == number => Step::Put(name, bytes),
            step => step,
        };
        match perform(stepped, step, number as u8, look) {
            // A body may fail before its transaction.
            Err(Error::NoSpace { .. } | Error::Io { .. }) if !disk.crashed() => return,
            Err(_) => return life.submitted = life.submitted.max(number),
            Ok(()) => look(&stepped.store),
        }
        life.submitted = life.submitted.max(number);
        life.closed = step == Step::Close;
    }
}

fn perform(
    stepped: &mut Stepped,
    step: Step,
    byte: u8,
    look: &mut impl FnMut(&Store),
) -> Result<(), Error> {
    match step {
        Step::Put(name, bytes) => commit(stepped, look, |txn| put(txn, name, bytes, byte)),
        Step::Pair(name, bytes) => {
            let first = stepped.store.commit(|txn| put(txn, name, 1, byte - 1));
            commit(stepped, look, |txn| put(txn, name, bytes, byte))?;
            released(first)?
        }
        Step::Body(name, bytes) => {
            let mut writer = stepped.store.blob_writer(ROWS.space());
            writer.write(&vec![byte; bytes as usize])?;
            let blob = writer.finish()?;
            commit(stepped, look, |txn| {
                release(txn, name)?;
                let id = txn.attach(&blob)?;
                let row = (id.0, bytes, byte, Vec::new());
                ROWS.put(txn, &(name.to_owned(),), &row);
                Ok(())
            })
        }
        Step::Delete(name) => commit(stepped, look, |txn| {
            release(txn, name)?;
            ROWS.delete(txn, &(name.to_owned(),));
            Ok(())
        }),
        Step::Pause => {
            (0..3).for_each(|_| stepped.pause(Duration::from_millis(300)));
            Ok(())
        }
        Step::Compact => {
            let compacting = stepped.store.compact(Pace::Full);
            stepped.settle_by_steps(look);
            compacting.wait().map(drop)
        }
        Step::Close => stepped.close(),
    }
}

fn commit(
    stepped: &mut Stepped,
    look: &mut impl FnMut(&Store),
    change: impl FnOnce(&mut Txn) -> Result<(), Error>,
) -> Result<(), Error> {
    let pending = stepped.store.commit(change);
    stepped.settle_by_steps(look);
    released(pending)?
}

fn put(txn: &mut Txn, name: &str, bytes: u64, byte: u8) -> Result<(), Error> {
    release(txn, name)?;
    let row = (0, bytes, byte, vec![byte; bytes as usize]);
    ROWS.put(txn, &(name.to_owned(),), &row);
    Ok(())
}

fn release(txn: &mut Txn, name: &str) -> Result<(), Error> {
    match ROWS.get(txn, &(name.to_owned(),))? {
        Some((id, ..)) if id != 0 => txn.release(BlobId(id)),
        _ => Ok(()),
    }
}

/// Why what a crash left is not what was promised, if so.
pub(crate) fn judge(
    found: &Simulated,
    durability: Durability,
    states: &[State],
    life: Life,
) -> Result<(), String> {
    let opened = open(found, durability);
    let (stepped, recovery) = opened.map_err(|error| format!("{REFUSED}: {error}"))?;
    if life.closed && !recovery.clean {
        return Err("was closed, and does not say so".to_owned());
    }
    let view = stepped.store.view();
    let held = view.lsn().0;
    if !(life.promised..=life.submitted).contains(&held) {
        return Err(format!("finds {held} transactions of {}", life.promised));
    }
    let state = audited(&view)?;
    if state != states[held as usize] {
        return Err(format!(
            "finds another state than after {held} transactions"
        ));
    }
    Ok(())
}

/// What a view shows, with all bodies.
fn audited(view: &View) -> Result<State, String> {
    let mut state = State::new();
    for row in ROWS.scan(view, &()) {
        let ((name,), (id, bytes, byte, content)) = row.map_err(|error| error.to_string())?;
        let is_whole = match id {
            0 => content == vec![byte; bytes as usize],
            id => {
                body_is_whole(view, BlobId(id), bytes, byte).map_err(|error| error.to_string())?
            }
        };
        if !is_whole {
            return Err(format!("{name} has another content"));
        }
        state.insert(name, (bytes, byte));
    }
    Ok(state)
}

fn body_is_whole(view: &View, id: BlobId, bytes: u64, byte: u8) -> Result<bool, Error> {
    let reader = view.open_blob(id)?;
    let mut found = 0;
    for index in 0..bytes.div_ceil(PIECE_BYTES as u64) {
        let piece = reader.piece(index)?;
        found += piece.iter().filter(|found| **found == byte).count() as u64;
    }
    Ok(found == bytes && reader.bytes() == bytes)
}
