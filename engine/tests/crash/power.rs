//! Crashes at every disk operation, of the workload and of the recovery.
//!
//! The oracle: whatever the crash did, the store opens and holds the workload's first L transactions, whole, where L is
//! at least what was acknowledged or shown to a reader, at most what was submitted. A crash during recovery changes
//! nothing about L. And the store goes on from there: it takes the next transactions, and keeps them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use cumulog_engine::Durability;
use cumulog_engine::disk::{Crash, Faults, Loss, NameOrder, Operation, Simulated};

use crate::life::{At, Life, Plan};

/// How many transactions a recovered store has to take.
const GO_ON: usize = 2;

/// How a run is cut off.
#[derive(Clone, Copy, PartialEq)]
enum Cut {
    /// The process is killed; the kernel's cache stays.
    Kill,
    /// The power fails.
    Power,
}

/// One way of crashing, with all that was found out so far.
struct Ordeal {
    plan: Plan,
    name_order: NameOrder,
    /// How the workload is cut off, and how the recovery from that.
    cuts: [Cut; 2],
    /// Disks that were recovered from already: how many transactions they hold, and how many crashes deep.
    known: RefCell<HashMap<u64, (usize, usize)>>,
}

impl Ordeal {
    fn new(durability: Durability, cuts: [Cut; 2], name_order: NameOrder) -> Self {
        Ordeal {
            plan: Plan::new(durability),
            name_order,
            cuts,
            known: RefCell::default(),
        }
    }

    fn faults(&self, crash_at: Option<u64>) -> Faults {
        Faults {
            crash_at,
            name_order: self.name_order,
            ..Faults::default()
        }
    }

    /// Crashes at every operation of the whole workload, in every way.
    fn check(&self) {
        for step in 0.. {
            let _at = At(format!("step {step}"));
            let disk = Simulated::new(self.faults(Some(step)));
            let life = self.plan.live(&disk, 0, 0, usize::MAX, true);
            if !disk.crashed() {
                assert_eq!(
                    (life.acknowledged, life.error),
                    (self.plan.transactions.len(), None)
                );
                return;
            }
            if !last(&disk).kind.is_read() {
                let least = if self.promises(0) {
                    life.least()
                } else {
                    life.synced
                };
                self.check_outcomes(&disk, least, &life, 0);
            }
        }
    }

    /// Whether what is acknowledged survives the cut at this depth.
    fn promises(&self, depth: usize) -> bool {
        self.plan.options.durability == Durability::Power || self.cuts[depth] == Cut::Kill
    }

    /// Recovers from every outcome of a crash.
    fn check_outcomes(&self, disk: &Simulated, least: usize, life: &Life, depth: usize) {
        for crash in self.crashes(disk.unsynced(), depth) {
            let _at = At(format!("{}, {crash:?}", last(disk)));
            let found = disk.restart(crash, self.faults(None));
            self.check_recovery(&found, least, life.submitted, depth);
        }
    }

    fn crashes(&self, unsynced: usize, depth: usize) -> Vec<Crash> {
        if self.cuts[depth] == Cut::Kill {
            return [0, 255, 128, 3].map(Crash::Process).to_vec();
        }
        let mut losses = vec![Loss::All, Loss::None, Loss::Torn(0), Loss::Torn(1)];
        if depth == 0 {
            losses.extend([Loss::Zeros, Loss::Garbage(0), Loss::Garbage(1)]);
            // Beside compactions, the earlier ones are left to the crashes at operations before.
            let first = match self.plan.compactions {
                Some(_) => unsynced.saturating_sub(6),
                None => 0,
            };
            losses.extend((first..unsynced).map(Loss::One));
            losses.extend((first.max(1)..unsynced).map(Loss::Prefix));
            losses.extend((2..8).map(Loss::Torn));
        }
        losses.into_iter().map(Crash::Power).collect()
    }

    /// Opens what a crash left, goes on, and finds it again; then crashes meanwhile.
    fn check_recovery(&self, found: &Simulated, least: usize, most: usize, depth: usize) {
        let fingerprint = found.fingerprint();
        let known = self.known.borrow().get(&fingerprint).copied();
        if let Some((count, checked)) = known {
            assert!(
                (least..=most).contains(&count),
                "found {count} transactions, expected {least}..={most}"
            );
            if checked <= depth {
                return;
            }
        }
        let disk = found.restart(Crash::Process(0), self.faults(None));
        let life = self.plan.live(&disk, least, most, GO_ON, depth == 0);
        assert_eq!(
            life.error, None,
            "the disk is whole, the store must open and go on"
        );
        let count = life.opened.expect("no error");
        {
            let _at = At("the next opening".to_owned());
            let again = self
                .plan
                .live(&disk, life.acknowledged, life.acknowledged, 0, false);
            assert_eq!(again.error, None);
        }
        self.known.borrow_mut().insert(fingerprint, (count, depth));
        if depth + 1 < self.cuts.len() {
            self.check_crashes_in_recovery(found, least, count, depth + 1);
        }
    }

    fn check_crashes_in_recovery(
        &self,
        found: &Simulated,
        least: usize,
        count: usize,
        depth: usize,
    ) {
        // What was only in the cache, a loss of power can still take, until the store has opened.
        let kept = if self.cuts == [Cut::Kill, Cut::Power] {
            least
        } else {
            count
        };
        for step in 0.. {
            let _at = At(format!("step {step} of the recovery"));
            let disk = found.restart(Crash::Process(0), self.faults(Some(step)));
            let mut life = self.plan.live(&disk, count, count, GO_ON, false);
            if !disk.crashed() {
                return;
            }
            if last(&disk).kind.is_read() {
                continue;
            }
            let least = match life.opened {
                Some(_) if self.promises(depth) => life.least(),
                _ => life.synced.max(kept),
            };
            life.submitted = life.submitted.max(count);
            self.check_outcomes(&disk, least, &life, depth);
        }
    }
}

fn last(disk: &Simulated) -> Operation {
    disk.trace()
        .pop()
        .expect("a disk that crashed did something")
}

#[test]
fn power_loss_keeps_what_was_acknowledged_whatever_the_order_of_names() {
    Ordeal::new(Durability::Power, [Cut::Power; 2], NameOrder::Any).check();
}

#[test]
fn power_loss_keeps_what_was_acknowledged_with_a_journal_of_names() {
    Ordeal::new(Durability::Power, [Cut::Power; 2], NameOrder::Prefix).check();
}

#[test]
fn a_kill_keeps_what_was_acknowledged() {
    Ordeal::new(Durability::Process, [Cut::Kill; 2], NameOrder::Any).check();
}

#[test]
fn a_kill_keeps_what_was_synced() {
    Ordeal::new(Durability::Power, [Cut::Kill; 2], NameOrder::Any).check();
}

/// A recovery may find more in the cache than was synced. It shows nothing of it that a loss of power could still take.
#[test]
fn power_loss_after_a_kill_keeps_what_was_acknowledged() {
    Ordeal::new(Durability::Power, [Cut::Kill, Cut::Power], NameOrder::Any).check();
}

/// Compactions that run beside transactions, or between them, all over again in the recovery.
mod compacting {
    use super::*;

    fn check(plan: Plan, cuts: [Cut; 2], name_order: NameOrder) {
        let mut ordeal = Ordeal::new(plan.options.durability, cuts, name_order);
        ordeal.plan = plan;
        ordeal.check();
    }

    #[test]
    fn power_loss_beside_transactions() {
        let plan = Plan::compacting(Durability::Power, 2, 5);
        check(plan, [Cut::Power; 2], NameOrder::Any);
    }

    #[test]
    fn power_loss_between_transactions_with_a_journal_of_names() {
        let plan = Plan::compacting(Durability::Power, 2, 1000);
        check(plan, [Cut::Power; 2], NameOrder::Prefix);
    }

    #[test]
    fn a_kill() {
        let plan = Plan::compacting(Durability::Process, 2, 5);
        check(plan, [Cut::Kill; 2], NameOrder::Any);
    }

    #[test]
    fn power_loss_after_a_kill() {
        let plan = Plan::compacting(Durability::Power, 2, 7);
        check(plan, [Cut::Kill, Cut::Power], NameOrder::Any);
    }

    #[test]
    fn power_loss_of_what_was_not_synced() {
        let plan = Plan::compacting(Durability::Process, 2, 5);
        check(plan, [Cut::Power; 2], NameOrder::Any);
    }
}

/// What was acknowledged without a sync may be lost; what is found is whole, and in order.
#[test]
fn power_loss_leaves_a_prefix_of_what_was_not_synced() {
    Ordeal::new(Durability::Process, [Cut::Power; 2], NameOrder::Any).check();
}

/// With time between the batches, the log syncs by itself and says so.
#[test]
fn power_loss_keeps_what_was_synced_in_the_background() {
    let mut ordeal = Ordeal::new(Durability::Process, [Cut::Power; 2], NameOrder::Any);
    ordeal.plan.pause = Duration::from_millis(100);
    ordeal.check();
}
