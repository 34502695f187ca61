//! Whether these tests would notice a sync that is missing: each is left out in turn, and a loss of power must then find
//! something lost.
//!
//! Not every single sync is missed: sometimes the next one makes up for it before anything hangs on it. But of each class,
//! that is by what was done to the file or directory before, some must be.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cumulog_engine::Durability;
use cumulog_engine::disk::{Crash, Faults, Loss, Omission, Operation, OperationKind, Simulated};

use crate::life::{Life, Plan};

/// A record without a payload.
const CONTROL_BYTES: u64 = 32;

/// One life on a disk as it was at `start`: what the store holds then, and how far it goes.
struct Stage<'a> {
    plan: &'a Plan,
    start: &'a Simulated,
    holds: usize,
    count: usize,
}

impl Stage<'_> {
    fn live(&self, faults: Faults) -> (Simulated, Life) {
        let disk = self.start.restart(Crash::Process(0), faults);
        let life = self
            .plan
            .live(&disk, self.holds, self.holds, self.count, true);
        (disk, life)
    }

    /// The classes of syncs, and whether any of each is missed.
    fn classes(&self) -> BTreeMap<&'static str, bool> {
        let (disk, life) = self.live(Faults::default());
        assert_eq!(life.error, None);
        let trace = disk.trace();
        let mut classes = BTreeMap::new();
        for sync in trace.iter().filter(|operation| operation.kind.is_sync()) {
            let missed = classes.entry(class(sync, &trace)).or_insert(false);
            *missed = *missed || self.misses(sync, &trace);
        }
        classes
    }

    /// Leaves out one sync, and loses power at every operation up to the next sync of the same, which makes up for it.
    fn misses(&self, sync: &Operation, trace: &[Operation]) -> bool {
        let same = |later: &&Operation| (later.kind, &later.path) == (sync.kind, &sync.path);
        let later = &trace[sync.number as usize + 1..];
        let end = later
            .iter()
            .find(same)
            .map_or(trace.len() as u64, |next| next.number);
        (sync.number + 1..=end).any(|step| self.fails_at(sync.number, step))
    }

    fn fails_at(&self, omitted: u64, step: u64) -> bool {
        let omitted = Some(Omission::new(move |sync| sync.number == omitted));
        let (disk, life) = self.live(Faults {
            crash_at: Some(step),
            omitted,
            ..Faults::default()
        });
        let least = life.least();
        let losses = [
            Loss::All,
            Loss::Zeros,
            Loss::Garbage(0),
            Loss::Torn(0),
            Loss::Torn(1),
            Loss::Torn(2),
        ];
        losses.into_iter().any(|loss| {
            let found = disk.restart(Crash::Power(loss), Faults::default());
            let recover = || {
                self.plan
                    .live(&found, least, life.submitted, 1, true)
                    .error
                    .is_some()
            };
            catch_unwind(AssertUnwindSafe(recover)).unwrap_or(true)
        })
    }
}

/// A sync by what it covers: the last change to the same file, or to a name in the same directory.
fn class(sync: &Operation, trace: &[Operation]) -> &'static str {
    let before = trace[..sync.number as usize].iter().rev();
    if sync.kind == OperationKind::SyncDirectory {
        let renamed = |operation: &Operation| {
            operation.kind == OperationKind::Rename && operation.path.parent() == Some(&sync.path)
        };
        return if before.clone().any(renamed) {
            "a segment's name"
        } else {
            "a directory's name"
        };
    }
    let writes = |kind| {
        matches!(
            kind,
            OperationKind::WriteAt | OperationKind::Allocate | OperationKind::Rename
        )
    };
    match before
        .into_iter()
        .find(|operation| operation.path == sync.path && writes(operation.kind))
    {
        Some(write) if write.kind != OperationKind::WriteAt => "a spare's zeros",
        Some(write) if write.offset == 0 => "a header",
        Some(write) if write.bytes == CONTROL_BYTES => "a seal or a mark",
        _ => "records",
    }
}

fn check(stage: &Stage<'_>, expected: &[&str]) {
    let missed = stage.classes();
    let missed: Vec<&str> = missed
        .iter()
        .filter(|(_, missed)| **missed)
        .map(|(class, _)| *class)
        .collect();
    assert_eq!(missed, expected);
}

#[test]
fn syncs_of_the_workload_are_missed_if_they_are_left_out() {
    let plan = Plan::new(Durability::Power);
    let start = Simulated::default();
    let stage = Stage {
        plan: &plan,
        start: &start,
        holds: 0,
        count: usize::MAX,
    };
    let classes = [
        "a directory's name",
        "a header",
        "a seal or a mark",
        "a segment's name",
        "a spare's zeros",
        "records",
    ];
    check(&stage, &classes);
}

/// After a kill, which leaves a cache that was not synced.
#[test]
fn syncs_of_the_recovery_are_missed_if_they_are_left_out() {
    let plan = Plan::new(Durability::Power);
    let disk = Simulated::default();
    let life = plan.live(&disk, 0, 0, 9, false);
    let start = disk.restart(Crash::Process(0), Faults::default());
    let stage = Stage {
        plan: &plan,
        start: &start,
        holds: life.acknowledged,
        count: 2,
    };
    check(
        &stage,
        &[
            "a header",
            "a seal or a mark",
            "a segment's name",
            "a spare's zeros",
            "records",
        ],
    );
}
