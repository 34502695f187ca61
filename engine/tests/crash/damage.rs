//! Bits that flip at rest, and sectors that are lost.
//!
//! The oracle: in bytes that were proven durable damage is found, and refused with nothing changed; elsewhere it does not
//! matter. It never makes another state.

use std::path::Path;
use std::time::Duration;

use cumulog_engine::disk::{Crash, Faults, Loss, Simulated};
use cumulog_engine::{Durability, Error};

use crate::life::{At, BATCHES, Plan, describe, files_but_lock};
use crate::model::{short_workload, workload};

/// How many bytes past its last non-zero byte a file is looked at closely.
const MARGIN_BYTES: usize = 64;

const SECTOR_BYTES: usize = 512;

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
            let bit = (byte * 8 + byte % 7) as u64;
            let _at = At(format!("bit {bit} of {}", path.display()));
            refused += usize::from(check_damage(plan, &disk, path, [bit], least));
        }
    }
    // Every byte of a record counts, and there is not much beside records.
    let enough = plan.transactions.len() * 700;
    assert!(refused * stride > enough, "only {refused} flips were found");
}

/// The length without the zeros at the end.
fn used(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1)
}

/// Every byte that means something, and some of the zeros.
fn places(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let used = (used(bytes) + MARGIN_BYTES).min(bytes.len());
    (0..used).chain((used..bytes.len()).step_by(509))
}

/// Flips bits and opens the store; whether it refused.
fn check_damage(
    plan: &Plan,
    disk: &Simulated,
    path: &Path,
    bits: impl IntoIterator<Item = u64>,
    least: usize,
) -> bool {
    let disk = disk.restart(Crash::Power(Loss::None), Faults::default());
    bits.into_iter()
        .for_each(|bit| disk.flip(path, bit).expect("it exists"));
    let before = files_but_lock(&disk);
    match plan.open(&disk) {
        Ok(session) => {
            let state = session.state();
            let most = plan.transactions.len();
            let fits = (least..=most).any(|count| plan.states[count] == state);
            assert!(fits, "opened with another state");
            false
        }
        Err(error) => {
            let known = matches!(error, Error::Corrupt { .. } | Error::NewerFormat { .. });
            assert!(known, "{}", describe(&error));
            assert!(
                files_but_lock(&disk) == before,
                "refused, but changed files"
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

/// The manifest and what it names are proven to the last bit.
#[test]
fn a_flipped_bit_in_a_manifest_or_a_snapshot_is_refused_with_its_place() {
    let plan = Plan::compacting(Durability::Power, 2, 1000);
    let disk = Simulated::default();
    assert_eq!(plan.live(&disk, 0, 0, usize::MAX, true).error, None);
    let disk = disk.restart(Crash::Power(Loss::None), Faults::default());
    let mut refused = 0;
    for (path, bytes) in &files_but_lock(&disk) {
        let is_snapshot = path
            .extension()
            .is_some_and(|extension| extension == "snap");
        if !is_snapshot && !path.ends_with("MANIFEST") {
            continue;
        }
        for byte in (0..bytes.len()).step_by(if bytes.len() > 1000 { 7 } else { 1 }) {
            let bit = (byte * 8 + byte % 7) as u64;
            let _at = At(format!("bit {bit} of {}", path.display()));
            let damaged = disk.restart(Crash::Power(Loss::None), Faults::default());
            damaged.flip(path, bit).expect("it exists");
            match plan.open(&damaged).err().expect("it is damaged") {
                Error::Corrupt {
                    path: said,
                    offset,
                    lsn,
                    ..
                } => {
                    assert_eq!(said, *path);
                    assert!(offset <= byte as u64);
                    assert_eq!(lsn.0 > 0, is_snapshot);
                }
                error => panic!("{}", describe(&error)),
            }
            refused += 1;
        }
    }
    assert!(refused > 500, "only {refused} flips were found");
}

#[test]
fn a_flipped_bit_in_a_compacted_store_is_refused_or_harmless() {
    let plan = Plan::compacting(Durability::Power, 2, 5);
    check_flips(&plan, true, 1, short_workload().len());
}

/// Nothing outside of the last sector says that there was one. Every other is missed.
#[test]
fn a_lost_sector_in_a_closed_log_is_refused_or_harmless() {
    let plan = Plan::new(Durability::Power);
    let disk = Simulated::default();
    assert_eq!(plan.live(&disk, 0, 0, usize::MAX, true).error, None);
    let files = files_but_lock(&disk);
    let last = files
        .iter()
        .rfind(|(_, bytes)| used(bytes) > 0)
        .map(|(path, _)| path);
    let mut refused = 0;
    for (path, bytes) in &files {
        let known = used(bytes).next_multiple_of(SECTOR_BYTES)
            - if Some(path) == last { SECTOR_BYTES } else { 0 };
        for start in (0..known).step_by(SECTOR_BYTES) {
            let _at = At(format!("sector at {start} of {}", path.display()));
            let set = |bit: &u64| {
                bytes
                    .get(*bit as usize / 8)
                    .is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
            };
            let bits = (start as u64 * 8..(start + SECTOR_BYTES) as u64 * 8).filter(set);
            refused += usize::from(check_damage(&plan, &disk, path, bits, workload().len()));
        }
    }
    assert!(refused > 20, "only {refused} lost sectors were found");
}
