//! All that threads do to each other on the way from a commit to its publication, under a scheduler that decides at every
//! lock, wait and disk operation who goes on.
//!
//! The store is the real one with all its threads: the log's, the committers that help it, the background syncs, the
//! preparation of segments, compactions, the gravedigger. Below it is the simulated disk, which makes errors where a scenario says so, and
//! whose content is looked at while all of them are at work. Time passes only when somebody waits for it; then it may pass
//! before anything else happens, or after all of it.
//!
//! What must hold in every schedule:
//!
//! - nobody waits for ever: the scheduler reports it if nobody can go on (no wake-up is lost, nothing deadlocks);
//! - an acknowledged commit is seen by every view that is taken later, views never go back, and show whole transactions;
//! - whatever a view shows, and so all that is acknowledged, is found by who opens the disk as a crash now would leave it;
//! - an answer made from a state comes only once views show that state, also if it changes nothing;
//! - what fails takes everything with it that was built on it, and nothing else: the numbers that transactions count have no
//!   gap;
//! - a panic of a closure or a callback hurts nobody else; callbacks run once, in order;
//! - what is written gets synced within its time, though nobody does anything more;
//! - closing drains: all that was acknowledged is there afterwards, and the log says that it was closed;
//! - a body is there as long as a view shows it, and no file is left behind.
//!
//! # Why shuttle
//!
//! loom tries every schedule, which is for a few atomics; here are six threads and hundreds of lock operations. shuttle draws
//! schedules, at random or by PCT (priorities that change at a few random points, which finds what needs few preemptions with
//! a known probability); it is kept by those who check S3's storage nodes with it. `shuttle-parking_lot` follows an older
//! parking_lot, so `engine/src/sync` puts shuttle behind the few types that are used.
//!
//! # That it can fail
//!
//! Each of these bugs, planted in a copy, is found within the schedules of a short run:
//!
//! | planted | found as |
//! |---|---|
//! | the root is published before the batch is written | shown, and lost |
//! | a committer that helped does not look again after it let go of the driver | deadlock, in `nobody_leaves_a_commit_behind` |
//! | a committer that leaves a batch to the log does not wake it | deadlock |
//! | a wake-up is forgotten by who goes to sleep, instead of by who woke up | never synced |
//! | the log is not told of the first deadline | never synced |
//! | a failure leaves the batch behind it in the queue | acknowledged, not seen |
//! | a failure does not take the head back | refused, and seen |
//! | a failure does not wake who waits for room | deadlock |
//! | waiters are told before the root is shown | acknowledged, not seen |
//! | a transaction that changes nothing does not wait | told of what nobody may know yet |
//! | the gravedigger does not ask for views | a missing body |
//!
//! `cargo test -p cumulog-engine --features shuttle --test interleavings` runs some hundred schedules of each scenario, as
//! `./test` does; `CUMULOG_SCHEDULES=100000` as many, `SHUTTLE_RANDOM_SEED=2` others. A failure prints the schedule, and shuttle's
//! documentation says how to replay it.

mod bodies;
mod scenario;

use std::time::Duration;

use bodies::Bodies;
use cumulog_engine::Durability;
use scenario::{Scenario, Trouble};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, Runner};

/// So that every run makes the same; `SHUTTLE_RANDOM_SEED` makes others.
const SEED: u64 = 1;

/// How many preemptions PCT places.
const DEPTH: usize = 3;

fn schedules() -> usize {
    let count = std::env::var("CUMULOG_SCHEDULES");
    count.map_or(100, |count| count.parse().expect("a number"))
}

fn run(scheduler: impl Scheduler + 'static, scenario: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // What an unoptimised build puts there.
    config.stack_size = 1 << 20;
    Runner::new(scheduler, config).run(scenario);
}

fn check(scenario: impl Fn() + Clone + Send + Sync + 'static) {
    check_times(1, scenario);
}

fn check_times(times: usize, scenario: impl Fn() + Clone + Send + Sync + 'static) {
    let count = times * schedules();
    let random = RandomScheduler::new_from_seed(SEED, count);
    run(random, scenario.clone());
    run(PctScheduler::new_from_seed(SEED, DEPTH, count), scenario);
}

const NO_TROUBLE: Scenario = Scenario {
    durability: Durability::Process,
    trouble: Trouble::None,
    clients: 3,
    commits: 3,
    is_bare: false,
    sync_delay: Duration::ZERO,
    mark_delay: Duration::ZERO,
};

#[test]
fn committers_that_help_lose_nothing() {
    check(|| NO_TROUBLE.run());
}

/// Who finds another one writing leaves its commit to that one. As little happens beside that as can, since a few places are
/// all there are to go wrong.
#[test]
fn nobody_leaves_a_commit_behind() {
    let scenario = Scenario {
        clients: 2,
        commits: 1,
        is_bare: true,
        ..NO_TROUBLE
    };
    check_times(5, move || scenario.run());
}

#[test]
fn committers_that_share_a_sync_lose_nothing() {
    let scenario = Scenario {
        durability: Durability::Power,
        ..NO_TROUBLE
    };
    check(move || scenario.run());
}

#[test]
fn a_failing_write_takes_everything_behind_it_along() {
    for durability in [Durability::Process, Durability::Power] {
        for trouble in [Trouble::Error, Trouble::Full] {
            let scenario = Scenario {
                durability,
                trouble,
                ..NO_TROUBLE
            };
            check(move || scenario.run());
        }
    }
}

#[test]
fn closing_drains() {
    for durability in [Durability::Process, Durability::Power] {
        let scenario = Scenario {
            durability,
            trouble: Trouble::Close,
            ..NO_TROUBLE
        };
        check(move || scenario.run());
    }
}

#[test]
fn commits_and_a_compaction_take_nothing_from_each_other() {
    for durability in [Durability::Process, Durability::Power] {
        for trouble in [Trouble::Compact, Trouble::CompactWithError] {
            let scenario = Scenario {
                durability,
                trouble,
                clients: 2,
                ..NO_TROUBLE
            };
            check(move || scenario.run());
        }
    }
}

#[test]
fn a_body_stays_for_those_who_see_it() {
    for durability in [Durability::Process, Durability::Power] {
        let bodies = Bodies {
            durability,
            clients: 2,
            changes: 3,
        };
        check(move || bodies.run());
    }
}
