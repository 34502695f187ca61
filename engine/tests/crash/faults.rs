//! Disks that fail without crashing: full, unreadable, unable to sync.
//!
//! The oracle: an operation that can't be done is an error that names its reason, nothing acknowledged is lost, nothing
//! refused is kept, and readers go on.

use std::collections::BTreeMap;
use std::time::Duration;

use cumulog_engine::disk::{Crash, Fault, Faults, Loss, Operation, OperationKind, Simulated};
use cumulog_engine::{Durability, Error};

use crate::life::{At, Plan, Session, describe, files_but_lock};
use crate::model::{State, Transaction, apply};

/// Long enough for the log to try again what failed.
const PAUSE: Duration = Duration::from_secs(1);

/// The operations of the whole workload on a disk without faults.
fn operations(plan: &Plan) -> Vec<Operation> {
    let disk = Simulated::default();
    let life = plan.live(&disk, 0, 0, usize::MAX, true);
    assert_eq!(
        (life.acknowledged, life.error),
        (plan.transactions.len(), None)
    );
    disk.trace()
}

/// Commits every transaction, whatever became of those before it, and keeps a model of those that were acknowledged.
/// Returns that and the errors.
fn commit_all(session: &mut Session, transactions: &[Transaction]) -> (State, Vec<Error>) {
    let mut state = State::new();
    let mut errors = Vec::new();
    for transaction in transactions {
        session.pause(PAUSE);
        match session.commit(transaction) {
            Ok(()) => apply(transaction, &mut state),
            Err(error) => errors.push(error),
        }
        assert!(
            session.state() == state,
            "readers see what was acknowledged, after {errors:?}"
        );
    }
    (state, errors)
}

/// Runs the workload on a disk that has no more space, or no more than `faults` leave; then there is space again.
fn check_full(plan: &Plan, faults: Faults) {
    let _at = At(format!("{faults:?}"));
    let disk = Simulated::new(faults);
    let state = match plan.open(&disk) {
        Err(error) => {
            assert!(
                matches!(error, Error::NoSpace { .. }),
                "{}",
                describe(&error)
            );
            disk.set_space(None);
            State::new()
        }
        Ok(mut session) => {
            let (mut state, errors) = commit_all(&mut session, &plan.transactions);
            for error in &errors {
                let known = matches!(error, Error::NoSpace { .. } | Error::Uncertain { .. });
                assert!(known, "{}", describe(error));
            }
            disk.set_space(None);
            session.pause(PAUSE);
            let last = &plan.transactions[0];
            session
                .commit(last)
                .unwrap_or_else(|error| panic!("space again: {}", describe(&error)));
            apply(last, &mut state);
            assert!(session.state() == state);
            state
        }
    };
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    let session = plan
        .open(&disk)
        .unwrap_or_else(|error| panic!("reopened: {}", describe(&error)));
    assert!(session.state() == state, "found again");
}

#[test]
fn a_disk_that_gets_full_refuses_and_goes_on_once_there_is_space() {
    let plan = Plan::new(Durability::Power);
    for number in 0..operations(&plan).len() as u64 {
        check_full(
            &plan,
            Faults {
                full_from: Some(number),
                ..Faults::default()
            },
        );
    }
}

#[test]
fn a_disk_of_any_size_keeps_what_it_acknowledged() {
    let plan = Plan::new(Durability::Power);
    for kilobytes in 0..80 {
        check_full(
            &plan,
            Faults {
                space_bytes: Some(kilobytes * 1024 + kilobytes * 13),
                ..Faults::default()
            },
        );
    }
}

/// A write that takes in less than it was given is either finished or refused.
#[test]
fn a_short_write_is_no_loss() {
    let plan = Plan::new(Durability::Power);
    for number in 0..operations(&plan).len() as u64 {
        for bytes in [1, 33, 700] {
            let errors = BTreeMap::from([(number, Fault::Short(bytes))]);
            check_full(
                &plan,
                Faults {
                    errors,
                    ..Faults::default()
                },
            );
        }
    }
}

/// One failure of the disk, at the operation with this number; whether there was one.
fn check_failure(plan: &Plan, number: u64) -> bool {
    let _at = At(format!("operation {number}"));
    let errors = BTreeMap::from([(number, Fault::Io)]);
    let disk = Simulated::new(Faults {
        errors,
        ..Faults::default()
    });
    let Ok(mut session) = plan.open(&disk) else {
        let disk = disk.restart(Crash::Process(0), Faults::default());
        let life = plan.live(&disk, 0, 0, usize::MAX, true);
        assert_eq!(
            (life.acknowledged, life.error),
            (plan.transactions.len(), None),
        );
        return true;
    };
    let mut count = plan
        .transactions
        .iter()
        .take_while(|transaction| session.commit(transaction).is_ok())
        .count();
    let poisoned = session.store.status().poisoned;
    let trace = disk.trace();
    let Some(operation) = trace.get(number as usize) else {
        return false;
    };
    let _at = At(operation.to_string());
    // A spare that can't be synced, or its name, is given up, and another made under another name.
    let written = |earlier: &Operation| {
        earlier.kind == OperationKind::WriteAt && earlier.path == operation.path
    };
    if operation.kind == OperationKind::SyncData && trace[..number as usize].iter().any(written) {
        assert!(poisoned, "a failed sync is final");
    }
    if poisoned {
        let error = session.commit(&plan.transactions[0]).expect_err("poisoned");
        assert!(
            matches!(error, Error::Poisoned { .. }),
            "{}",
            describe(&error)
        );
    } else if let Some(refused) = plan.transactions.get(count) {
        session.pause(PAUSE);
        session.commit(refused).expect("the failure is over");
        count += 1;
    }
    assert!(
        session.state() == plan.states[count],
        "readers go on, and see no more"
    );
    drop(session);
    for crash in [
        Crash::Process(0),
        Crash::Power(Loss::All),
        Crash::Power(Loss::None),
        Crash::Power(Loss::Torn(0)),
    ] {
        let _at = At(format!("{crash:?}"));
        let disk = disk.restart(crash, Faults::default());
        // The one that failed may be there or not.
        let most = (count + 1).min(plan.transactions.len());
        let life = plan.live(&disk, count, most, 2, true);
        assert_eq!(life.error, None);
    }
    true
}

#[test]
fn a_failing_disk_loses_nothing_that_was_acknowledged() {
    let plan = Plan::new(Durability::Power);
    let count = (0..)
        .take_while(|number| check_failure(&plan, *number))
        .count();
    assert!(count > 50, "only {count} operations");
}

/// Opens a directory whose disk fails at an operation that reads, at each of them in turn.
#[test]
fn an_unreadable_file_is_never_taken_for_a_shorter_log() {
    let plan = Plan::new(Durability::Power);
    let disk = Simulated::default();
    plan.live(&disk, 0, 0, usize::MAX, false);
    let disk = disk.restart(Crash::Power(Loss::None), Faults::default());
    let files = files_but_lock(&disk);
    for step in 0.. {
        let errors = BTreeMap::from([(step, Fault::Io)]);
        let disk = disk.restart(
            Crash::Process(0),
            Faults {
                errors,
                ..Faults::default()
            },
        );
        let result = plan.open(&disk);
        let trace = disk.trace();
        let Some(operation) = trace.get(step as usize) else {
            return;
        };
        if !operation.kind.is_read() && operation.kind != OperationKind::Lock {
            continue;
        }
        match result {
            Ok(session) => assert!(Some(&session.state()) == plan.states.last(), "{operation}"),
            Err(error) => {
                assert!(matches!(error, Error::Io { .. }), "{}", describe(&error));
                assert!(files_but_lock(&disk) == files, "refused, but changed files");
            }
        }
        let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
        let session = plan
            .open(&disk)
            .unwrap_or_else(|error| panic!("later: {}", describe(&error)));
        assert!(Some(&session.state()) == plan.states.last(), "later");
    }
}

/// A full disk has no space for the copies that a recovery makes of what was not synced.
#[test]
fn what_a_full_disk_shows_after_a_kill_survives_power_loss() {
    let plan = Plan::new(Durability::Power);
    for number in 0..operations(&plan).len() as u64 {
        let _at = At(format!("operation {number}"));
        let disk = Simulated::new(Faults {
            crash_at: Some(number),
            ..Faults::default()
        });
        let life = plan.live(&disk, 0, 0, usize::MAX, false);
        let full = Faults {
            space_bytes: Some(0),
            ..Faults::default()
        };
        let disk = disk.restart(Crash::Process(255), full);
        let shown = plan.live(&disk, life.least(), life.submitted, 0, false);
        let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
        let life = plan.live(&disk, shown.least(), life.submitted, 2, true);
        assert_eq!(life.error, None);
    }
}

/// The limit that `log/mod.rs` documents: a sync fails and gives its bytes up, the process is killed, and the disk is so full
/// that the recovery can't copy what it finds in the cache. It shows that, syncs it in its place, and that sync lies. Then the
/// power fails: what was shown may be lost. What was acknowledged is not, and what is left is whole.
#[test]
fn a_lying_sync_and_a_full_disk_lose_no_more_than_what_was_shown() {
    let plan = Plan::new(Durability::Power);
    let mut lost = 0;
    for sync in operations(&plan) {
        if sync.kind != OperationKind::SyncData {
            continue;
        }
        let _at = At(sync.to_string());
        let disk = Simulated::new(Faults {
            errors: [(sync.number, Fault::Io)].into(),
            ..Faults::default()
        });
        let life = plan.live(&disk, 0, 0, usize::MAX, false);
        let full = Faults {
            space_bytes: Some(0),
            ..Faults::default()
        };
        let disk = disk.restart(Crash::Process(255), full);
        let shown = plan.live(&disk, life.least(), life.submitted, 0, false);
        for loss in [
            Loss::All,
            Loss::None,
            Loss::Zeros,
            Loss::Torn(0),
            Loss::Torn(1),
        ] {
            let _at = At(format!("{loss:?}"));
            let found = disk.restart(Crash::Power(loss), Faults::default());
            let last = plan.live(&found, life.acknowledged, life.submitted, 2, true);
            assert_eq!(last.error, None);
            lost += usize::from(last.opened < shown.opened);
        }
    }
    assert!(
        lost > 0,
        "the limit is none: log/mod.rs need not document it"
    );
}

/// The short workload with compactions, some of which fail; what is acknowledged is kept whatever becomes of them.
mod compacting {
    use super::*;

    fn plan() -> Plan {
        Plan::compacting(Durability::Power, 2, 5)
    }

    /// Commits every transaction beside compactions, as far as the disk allows. Returns what was acknowledged.
    fn commit_beside(session: &mut Session, plan: &Plan) -> State {
        let mut state = State::new();
        for (number, transaction) in plan.transactions.iter().enumerate() {
            if number % 2 == 1 {
                session.begin_compaction();
            }
            if session.commit(transaction).is_ok() {
                apply(transaction, &mut state);
            }
            assert!(
                session.state() == state,
                "readers see what was acknowledged"
            );
            session.pause(PAUSE);
        }
        state
    }

    /// Now that nothing fails any more.
    fn check_compacts(session: &mut Session, state: &State) {
        session
            .compact()
            .unwrap_or_else(|error| panic!("{}", describe(&error)));
        let compactions = session.store.status().compactions;
        assert_eq!((compactions.running, compactions.error), (false, None));
        assert!(session.state() == *state);
    }

    fn check_found_again(plan: &Plan, disk: &Simulated, state: &State) {
        for crash in [
            Crash::Process(0),
            Crash::Power(Loss::All),
            Crash::Power(Loss::None),
            Crash::Power(Loss::Torn(0)),
        ] {
            let _at = At(format!("{crash:?}"));
            let disk = disk.restart(crash, Faults::default());
            let mut session = plan
                .open(&disk)
                .unwrap_or_else(|error| panic!("reopened: {}", describe(&error)));
            assert!(session.state() == *state, "found again");
            check_compacts(&mut session, state);
            let temporary = |path: &std::path::PathBuf| path.to_string_lossy().ends_with(".tmp");
            session.close().expect("the disk is whole");
            assert!(
                !disk.files().keys().any(temporary),
                "nothing is left behind"
            );
        }
    }

    fn check_full(faults: Faults) {
        let _at = At(format!("{faults:?}"));
        let plan = plan();
        let disk = Simulated::new(faults);
        let Ok(mut session) = plan.open(&disk) else {
            return;
        };
        let state = commit_beside(&mut session, &plan);
        check_found_again(&plan, &disk, &state);
        disk.set_space(None);
        session.pause(PAUSE);
        check_compacts(&mut session, &state);
        drop(session);
        check_found_again(&plan, &disk, &state);
    }

    #[test]
    fn a_disk_that_gets_full_keeps_what_it_acknowledged() {
        for number in 0..operations(&plan()).len() as u64 {
            check_full(Faults {
                full_from: Some(number),
                ..Faults::default()
            });
        }
    }

    #[test]
    fn a_disk_of_any_size_keeps_what_it_acknowledged() {
        for kilobytes in 0..70 {
            check_full(Faults {
                space_bytes: Some(kilobytes * 1024 + kilobytes * 13),
                ..Faults::default()
            });
        }
    }

    /// One read, write, sync, rename or other operation fails; whether there is one of this number.
    fn check_failure(number: u64) -> bool {
        let _at = At(format!("operation {number}"));
        let plan = plan();
        let errors = BTreeMap::from([(number, Fault::Io)]);
        let disk = Simulated::new(Faults {
            errors,
            ..Faults::default()
        });
        let Ok(mut session) = plan.open(&disk) else {
            return true;
        };
        let mut count = 0;
        for (index, transaction) in plan.transactions.iter().enumerate() {
            if index % 2 == 1 {
                session.begin_compaction();
            }
            if session.commit(transaction).is_err() {
                break;
            }
            count += 1;
        }
        let trace = disk.trace();
        let Some(operation) = trace.get(number as usize) else {
            return false;
        };
        let _at = At(operation.to_string());
        let poisoned = session.store.status().poisoned;
        let is_ours = |path: &std::path::Path| {
            let name = path.to_string_lossy();
            name.ends_with("snap.tmp") || name.ends_with("MANIFEST.tmp")
        };
        if is_ours(&operation.path) {
            assert!(!poisoned, "nothing refers to it");
        }
        let state = plan.states[count].clone();
        assert!(session.state() == state, "readers go on, and see no more");
        if poisoned {
            let error = session.compact().expect_err("poisoned");
            assert!(
                matches!(error, Error::Poisoned { .. }),
                "{}",
                describe(&error)
            );
        } else if operation.kind == OperationKind::SyncDirectory && operation.path.ends_with("log")
        {
            // Then no segment follows the present one, which therefore stays.
            let error = session.compact().expect_err("there is no spare");
            assert!(
                matches!(error, Error::Poisoned { .. }),
                "{}",
                describe(&error)
            );
        } else if count == plan.transactions.len() {
            session.pause(PAUSE);
            check_compacts(&mut session, &state);
        }
        drop(session);
        if count == plan.transactions.len() {
            // A failed sync may have lied to the next opening if the machine goes on.
            let disk = disk.restart(Crash::Power(Loss::Torn(number)), Faults::default());
            check_found_again(&plan, &disk, &state);
        } else {
            let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
            let life = plan.live(&disk, count, count + 1, 2, true);
            assert_eq!(life.error, None);
        }
        true
    }

    #[test]
    fn a_failing_disk_loses_nothing() {
        let count = (0..).take_while(|number| check_failure(*number)).count();
        assert!(count > 100, "only {count} operations");
    }
}
