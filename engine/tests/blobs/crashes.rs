//! Crashes at every operation, and again at every operation of the recovery.

use cumulog_engine::Durability;

use crate::ordeal::{Cut, Ordeal};
use crate::session::{Delete, LARGE, PACKED, Put, STEPS, Share};

#[test]
fn power_loss_keeps_every_acknowledged_body() {
    Ordeal::new(Durability::Power, &[Cut::Power]).check();
}

#[test]
fn a_kill_keeps_every_acknowledged_body() {
    Ordeal::new(Durability::Process, &[Cut::Kill]).check();
}

/// What was acknowledged without a sync may be lost, but no row is left without its body.
#[test]
fn power_loss_leaves_no_row_without_its_body() {
    Ordeal::new(Durability::Process, &[Cut::Power]).check();
}

#[test]
fn power_loss_keeps_what_was_synced_in_the_background() {
    let mut ordeal = Ordeal::new(Durability::Process, &[Cut::Power]);
    ordeal.pauses = true;
    ordeal.check();
}

/// A recovery finds bodies in the cache that were never synced. It vouches for none that a loss of power could take.
#[test]
fn power_loss_during_recovery_leaves_no_row_without_its_body() {
    let mut ordeal = Ordeal::new(Durability::Process, &[Cut::Kill, Cut::Power]);
    ordeal.steps = vec![Put("a", PACKED), Put("b", LARGE), Share("a", "c")];
    ordeal.check();
}

/// And during the recovery from that.
#[test]
fn power_loss_again_keeps_every_acknowledged_body() {
    let mut ordeal = Ordeal::new(Durability::Power, &[Cut::Power, Cut::Power]);
    ordeal.steps = vec![Put("a", PACKED), Delete("a")];
    ordeal.check();
}

#[test]
fn power_loss_beside_compactions_keeps_every_acknowledged_body() {
    let ordeal = Ordeal {
        compacts: true,
        steps: STEPS[..4].to_vec(),
        ..Ordeal::new(Durability::Power, &[Cut::Power])
    };
    ordeal.check();
}
