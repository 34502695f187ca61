//! A workload, crashed at every operation of the disk.

use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cumulog_engine::disk::{Crash, Faults, Loss, Operation, OperationKind, Simulated};
use cumulog_engine::{Durability, Pace};

use crate::session::{STEPS, Session, Step, audit_files, audited, states};

/// One way of crashing at every operation.
pub(crate) struct Ordeal {
    pub(crate) durability: Durability,
    pub(crate) steps: Vec<Step>,
    /// How the workload ends, and how the recovery from that, if it is to crash as well.
    pub(crate) cuts: Vec<Cut>,
    /// Time for the log to sync between the steps.
    pub(crate) pauses: bool,
    /// Are there compactions, each of which goes on for some of the steps?
    pub(crate) compacts: bool,
    /// What it begins with, and how many steps that holds.
    pub(crate) start: (Simulated, usize),
    pub(crate) known: RefCell<HashSet<(u64, usize, usize, usize)>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cut {
    Kill,
    Power,
}

/// What a life came to: numbers of steps.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Life {
    pub(crate) opened: bool,
    pub(crate) acknowledged: usize,
    pub(crate) synced: usize,
    pub(crate) submitted: usize,
}

impl Ordeal {
    pub(crate) fn new(durability: Durability, cuts: &[Cut]) -> Ordeal {
        Ordeal {
            durability,
            steps: STEPS.to_vec(),
            cuts: cuts.to_vec(),
            pauses: false,
            compacts: false,
            start: (Simulated::default(), 0),
            known: RefCell::default(),
        }
    }

    fn faults(&self, crash_at: Option<u64>) -> Faults {
        Faults {
            crash_at,
            ..Faults::default()
        }
    }

    /// Opens the store, which holds from `least` to `most` steps, and does up to `count` more, until the disk crashes.
    pub(crate) fn live(&self, disk: &Simulated, least: usize, most: usize, count: usize) -> Life {
        let Ok(mut session) = Session::open(disk, self.durability) else {
            assert!(disk.crashed(), "the disk is whole, and does not open");
            return Life {
                submitted: most,
                ..Life::default()
            };
        };
        if disk.crashed() {
            // What sweeps does not mind.
            return Life {
                submitted: most,
                ..Life::default()
            };
        }
        let state = audited(&session.store.view());
        let states = states(&self.steps);
        let held = (least..=most).rev().find(|held| states[*held] == state);
        let held = held.unwrap_or_else(|| {
            panic!("found {state:?}, which none of {least}..={most} steps leave")
        });
        audit_files(disk, &session.store);
        session.settle();
        let mut life = Life {
            opened: true,
            acknowledged: held,
            synced: held,
            submitted: held,
        };
        for (index, step) in self.steps.iter().enumerate().skip(held).take(count) {
            life.submitted += 1;
            if self.compacts && index % 2 == 0 {
                drop(session.store.compact(Pace::Full));
                for _ in 0..4 {
                    session.stepped.step();
                }
            }
            if session.step(index, *step).is_err() {
                assert!(disk.crashed(), "{step:?} fails on a disk that is whole");
                return life;
            }
            life.acknowledged += 1;
            if self.pauses {
                session.pause();
            }
            // Every step takes one LSN, but so does what a compaction moves.
            if !self.compacts {
                life.synced = life.synced.max(session.store.status().synced.0 as usize);
            }
        }
        life
    }

    pub(crate) fn check(&self) {
        let (start, held) = (&self.start.0, self.start.1);
        let whole = start.restart(Crash::Process(0), self.faults(None));
        let life = self.live(&whole, held, held, usize::MAX);
        assert_eq!(life.acknowledged, self.steps.len());
        for step in changes(&whole) {
            let disk = start.restart(Crash::Process(0), self.faults(Some(step)));
            let mut life = self.live(&disk, held, held, usize::MAX);
            if !life.opened {
                (life.acknowledged, life.synced) = (held, held);
            }
            self.check_outcomes(&disk, self.least(&life, 0), life.submitted, 0);
        }
    }

    /// What must be found after a crash at this depth.
    fn least(&self, life: &Life, depth: usize) -> usize {
        let promised = self.durability == Durability::Power || self.cuts[depth] == Cut::Kill;
        if promised {
            life.acknowledged
        } else {
            life.synced
        }
    }

    fn check_outcomes(&self, disk: &Simulated, least: usize, most: usize, depth: usize) {
        for crash in self.crashes(disk.unsynced(), depth) {
            let found = disk.restart(crash, self.faults(None));
            let key = (found.fingerprint(), least, most, depth);
            if !self.known.borrow_mut().insert(key) {
                continue;
            }
            let again = found.restart(Crash::Process(0), self.faults(None));
            let outcome = || self.check_recovery(&again, least, most, depth);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(outcome)) {
                eprintln!("at {}, {crash:?}, depth {depth}", last(disk));
                std::panic::resume_unwind(panic);
            }
        }
    }

    fn crashes(&self, unsynced: usize, depth: usize) -> Vec<Crash> {
        if self.cuts[depth] == Cut::Kill {
            return [0, 255, 128].map(Crash::Process).to_vec();
        }
        let mut losses = vec![Loss::All, Loss::None, Loss::Torn(0)];
        // The earlier ones are of operations before, at which it crashed as well.
        let last_few = unsynced.saturating_sub(6)..unsynced;
        if depth == 0 {
            losses.extend([Loss::Zeros, Loss::Garbage(0), Loss::Torn(1)]);
            losses.extend(last_few.clone().map(Loss::One));
            losses.extend(last_few.map(Loss::Prefix));
        }
        losses.into_iter().map(Crash::Power).collect()
    }

    fn check_recovery(&self, found: &Simulated, least: usize, most: usize, depth: usize) {
        let disk = found.restart(Crash::Process(0), self.faults(None));
        let life = self.live(&disk, least, most, 2);
        let held = life.acknowledged;
        // And again, as it was left.
        self.live(&disk, held, held, 0);
        if depth + 1 == self.cuts.len() {
            return;
        }
        let whole = found.restart(Crash::Process(0), self.faults(None));
        self.live(&whole, least, most, 1);
        for step in changes(&whole) {
            let disk = found.restart(Crash::Process(0), self.faults(Some(step)));
            let life = self.live(&disk, least, most, 1);
            let least = match life.opened {
                true => self.least(&life, depth + 1),
                // What was only in the cache, a loss of power can take until the store has opened.
                false
                    if self.durability == Durability::Process
                        && self.cuts[depth + 1] == Cut::Power =>
                {
                    0
                }
                false => least,
            };
            self.check_outcomes(&disk, least, life.submitted, depth + 1);
        }
    }
}

/// The operations that changed something. A crash at another leaves what a crash at the next of these leaves.
fn changes(disk: &Simulated) -> impl Iterator<Item = u64> {
    let trace = disk.trace().into_iter();
    trace
        .filter(|operation| !operation.kind.is_read() && operation.kind != OperationKind::Lock)
        .map(|operation| operation.number)
}

fn last(disk: &Simulated) -> Operation {
    disk.trace().pop().expect("it did something")
}
