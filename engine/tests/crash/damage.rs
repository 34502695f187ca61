//! Bits that flip at rest.
//!
//! The oracle: in bytes that were proven durable a flip is found, and refused with nothing changed; elsewhere it does not
//! matter. It never makes another state.

use std::path::Path;
use std::time::Duration;

use cumulog_engine::disk::{Crash, Faults, Loss, Simulated};
use cumulog_engine::{Durability, Error};

use crate::life::{BATCHES, Plan, describe, files_but_lock};
use crate::model::workload;

/// How many bytes past its last non-zero byte a file is looked at closely.
const MARGIN_BYTES: usize = 64;

/// Flips a bit of every `stride`th byte of a store that was `closed` or else lost power. Past `least` transactions the
/// last ones may be taken for torn.
fn check_flips(plan: &Plan, closed: bool, stride: usize, least: usize) {
    let disk = Simulated::default();
    let life = plan.live(&disk, 0, 0, usize::MAX, closed);
    assert_eq!(life.error, None);
    let disk = disk.restart(Crash::Power(Loss::None), Faults::default());
    let mut refused = 0;
    for (path, bytes) in &files_but_lock(&disk) {
        for byte in places(bytes).step_by(stride) {
            refused += usize::from(check_flip(plan, &disk, path, byte, least));
        }
    }
    assert!(refused * stride > 10_000, "only {refused} flips were found");
}

/// Every byte that means something, and some of the zeros.
fn places(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + MARGIN_BYTES)
        .min(bytes.len());
    (0..used).chain((used..bytes.len()).step_by(509))
}

/// Whether the flip was refused.
fn check_flip(plan: &Plan, disk: &Simulated, path: &Path, byte: usize, least: usize) -> bool {
    let bit = byte * 8 + byte % 7;
    let place = format!("bit {} of byte {byte} of {}", bit % 8, path.display());
    let disk = disk.restart(Crash::Power(Loss::None), Faults::default());
    disk.flip(path, bit as u64).expect("it exists");
    let before = files_but_lock(&disk);
    match plan.open(&disk) {
        Ok(session) => {
            let state = session.state();
            let most = plan.transactions.len();
            let fits = (least..=most).any(|count| plan.states[count] == state);
            assert!(fits, "{place}: opened with another state");
            false
        }
        Err(error) => {
            let known = matches!(error, Error::Corrupt { .. } | Error::NewerFormat { .. });
            assert!(known, "{place}: {}", describe(&error));
            assert!(
                files_but_lock(&disk) == before,
                "{place}: refused, but changed files"
            );
            true
        }
    }
}

#[test]
fn a_flipped_bit_in_a_closed_log_is_refused_or_harmless() {
    check_flips(&Plan::new(Durability::Power), true, 1, workload().len());
}

/// Nothing proves the last batch durable, if the power fails right after it was acknowledged.
#[test]
fn a_flipped_bit_after_a_crash_is_refused_or_harmless() {
    let unproven = BATCHES[BATCHES.len() - 1];
    check_flips(
        &Plan::new(Durability::Power),
        false,
        3,
        workload().len() - unproven,
    );
}

/// Some time later, the log has said that it is.
#[test]
fn a_flipped_bit_after_a_crash_when_idle_is_refused_or_harmless() {
    let plan = Plan {
        pause: Duration::from_millis(100),
        ..Plan::new(Durability::Power)
    };
    check_flips(&plan, false, 3, workload().len());
}
