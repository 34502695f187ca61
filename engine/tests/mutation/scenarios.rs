//! What is done while a sync is missing. Together they come by every place that syncs.

use cumulog_engine::Durability;
use cumulog_engine::disk::{Crash, Fault, Faults, Operation, OperationKind, Simulated, Site};

use crate::life::{Life, Step, live};

use Step::{Body, Close, Compact, Delete, Pair, Pause, Put};

const PACKED: u64 = 9000;
const LARGE: u64 = (1 << 20) + 700;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) durability: Durability,
    /// First, on a disk without faults: so many of the steps, and then the process is killed.
    before: Before,
    pub(crate) steps: Vec<Step>,
    /// What else goes wrong meanwhile, by what is done without that.
    pub(crate) faults: fn(&[Operation]) -> Faults,
    /// Does a bit of the last header rot meanwhile? Then refusing to open is right, and all else as wrong as ever.
    pub(crate) rots: bool,
}

enum Before {
    Nothing,
    Steps(usize),
    /// Up to the first operation of this kind.
    Until(fn(&Operation) -> bool),
}

impl Scenario {
    /// The disk to start from, and what is known of it.
    pub(crate) fn start(&self) -> (Simulated, Life) {
        let disk = Simulated::default();
        let (steps, crash_at) = match self.before {
            Before::Nothing => return (disk, Life::default()),
            Before::Steps(count) => (&self.steps[..count], None),
            Before::Until(is_last) => {
                let whole = Simulated::default();
                live(&whole, self.durability, &self.steps, Life::default());
                let last = whole.trace().into_iter().find(is_last);
                (&self.steps[..], Some(last.expect("it comes").number))
            }
        };
        let disk = Simulated::new(Faults {
            crash_at,
            ..Faults::default()
        });
        let life = live(&disk, self.durability, steps, Life::default());
        (disk.restart(Crash::Process(255), Faults::default()), life)
    }
}

fn no_faults(_: &[Operation]) -> Faults {
    Faults::default()
}

fn full(_: &[Operation]) -> Faults {
    Faults {
        space_bytes: Some(0),
        ..Faults::default()
    }
}

/// A write of records fails half-way.
fn failing_write(trace: &[Operation]) -> Faults {
    let is_batch = |operation: &&Operation| {
        operation.kind == OperationKind::WriteAt
            && operation.offset > 4096
            && operation.bytes > 900
            && operation.path.extension().is_some_and(|kind| kind == "log")
    };
    let write = trace.iter().find(is_batch).expect("there is one");
    Faults {
        errors: [(write.number, Fault::Io)].into(),
        ..Faults::default()
    }
}

fn is_first_sync_of_records(operation: &Operation) -> bool {
    operation.site == Some(Site::LogRecords) || operation.site == Some(Site::LogInBackground)
}

fn is_rename_of_manifest(operation: &Operation) -> bool {
    operation.kind == OperationKind::Rename && operation.path.ends_with("MANIFEST.tmp")
}

fn is_after_manifest(operation: &Operation) -> bool {
    operation.kind == OperationKind::SyncDirectory && operation.site == Some(Site::ManifestName)
}

pub(crate) fn all() -> Vec<Scenario> {
    let rows = vec![
        Put("a", 10),
        Put("b", 1500),
        Put("c", 3000),
        Pause,
        Put("a", 2500),
        Put("d", 12_000),
        Delete("b"),
        Put("e", 5),
        Close,
    ];
    let unsynced = vec![
        Put("a", 10),
        Put("b", 900),
        Put("c", 20),
        Pause,
        Put("d", 5),
        Close,
    ];
    let bodies = vec![
        Body("p", PACKED),
        Body("q", PACKED),
        Put("a", 5),
        Body("p", PACKED),
        Delete("q"),
        Pause,
        Close,
    ];
    let large = vec![Body("l", LARGE), Put("a", 5), Pause, Close];
    let compacted = vec![
        Put("a", 3000),
        Put("b", 1500),
        Compact,
        Put("c", 2000),
        Put("a", 10),
        Compact,
        Put("d", 7),
        Close,
    ];
    let mut scenarios = Vec::new();
    let mut add = |name, durability, before, steps: &[Step], faults| {
        scenarios.push(Scenario {
            name,
            durability,
            before,
            steps: steps.to_vec(),
            faults,
            rots: false,
        });
    };
    let both = [Durability::Power, Durability::Process];
    for durability in both {
        add(
            "rows",
            durability,
            Before::Nothing,
            &rows,
            no_faults as fn(&[Operation]) -> Faults,
        );
        add(
            "rows after a kill",
            durability,
            Before::Steps(3),
            &unsynced,
            no_faults,
        );
        add(
            "a compaction",
            durability,
            Before::Nothing,
            &compacted,
            no_faults,
        );
        add(
            "bodies in packs",
            durability,
            Before::Nothing,
            &bodies,
            no_faults,
        );
        add(
            "bodies in packs after a kill",
            durability,
            Before::Steps(2),
            &bodies,
            no_faults,
        );
        add(
            "a large body",
            durability,
            Before::Nothing,
            &large,
            no_faults,
        );
        add(
            "a large body after a kill",
            durability,
            Before::Steps(2),
            &large,
            no_faults,
        );
        add(
            "a full disk after a kill",
            durability,
            Before::Steps(3),
            &unsynced,
            full,
        );
        add(
            "bodies on a full disk after a kill",
            durability,
            Before::Steps(2),
            &bodies,
            full,
        );
        add(
            "a full disk after a kill before the first sync",
            durability,
            Before::Until(is_first_sync_of_records),
            &unsynced,
            full,
        );
        add(
            "a failing write",
            durability,
            Before::Nothing,
            &rows,
            failing_write,
        );
        add(
            "a kill after a compaction's commit",
            durability,
            Before::Until(is_after_manifest),
            &compacted,
            no_faults,
        );
        add(
            "a kill during a compaction's commit",
            durability,
            Before::Until(is_rename_of_manifest),
            &compacted,
            no_faults,
        );
    }
    scenarios.push(Scenario {
        name: "a failing write, and a bad bit in the next header",
        durability: Durability::Power,
        before: Before::Nothing,
        steps: vec![Put("a", 10), Pair("b", 900), Close],
        faults: failing_write,
        rots: true,
    });
    scenarios
}
