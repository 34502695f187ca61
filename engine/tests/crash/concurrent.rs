//! Several clients at once, so that commits share writes and syncs, and a crash anywhere.
//!
//! Threads make the order of things different in every run; so the seed of a failure repeats the crash, not the run. The
//! oracle needs no order: every transaction counts the ones before it and notes its number, so what is found must be
//! the numbers 1 to n, each client's own in its order, none acknowledged missing.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use cumulog_engine::disk::{Crash, Faults, Loss, Simulated};
use cumulog_engine::{Durability, Error, Options, Read, Space, Store, Table};

use crate::life::{DIRECTORY, describe, options};

const TOTAL: Table<(), u64> = Table::new(Space::new(0x1000, "test/total"));
/// By client and the client's own count: the number in the whole, and bytes to fill the log.
const NOTES: Table<(u32, u64), (u64, Vec<u8>)> = Table::new(Space::new(0x1001, "test/notes"));

const CLIENTS: u32 = 4;
const COMMITS: u64 = 40;
const SEEDS: u64 = 150;

/// Commits until the disk fails; returns how many were acknowledged, and how many submitted.
fn client(store: &Store, client: u32) -> (u64, u64) {
    for count in 0..COMMITS {
        let pending = store.commit(|txn| {
            let number = TOTAL.get(txn, &()).expect("a number").unwrap_or(0) + 1;
            TOTAL.put(txn, &(), &number);
            NOTES.put(txn, &(client, count), &(number, vec![client as u8; 90]));
            Ok::<(), ()>(())
        });
        if pending.wait().is_err() {
            return (count, count + 1);
        }
    }
    (COMMITS, COMMITS)
}

fn run(store: &Store) -> Vec<(u64, u64)> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || client(store, number)))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("no client panics"))
            .collect()
    })
}

fn check_found(read: &impl Read, run: &[(u64, u64)], place: &str) {
    let mut numbers = Vec::new();
    for (client, (acknowledged, submitted)) in (0u32..).zip(run) {
        let notes: Vec<_> = NOTES
            .scan(read, &(client,))
            .collect::<Result<_, _>>()
            .expect("rows");
        let counts: Vec<u64> = notes.iter().map(|((_, count), _)| *count).collect();
        assert_eq!(
            counts,
            (0..counts.len() as u64).collect::<Vec<_>>(),
            "{place}: client {client} lacks one"
        );
        let found = counts.len() as u64;
        assert!(
            (*acknowledged..=*submitted).contains(&found),
            "{place}: client {client} has {found}, not {run:?}"
        );
        assert!(
            notes.is_sorted_by_key(|(_, (number, _))| *number),
            "{place}: client {client}'s order"
        );
        numbers.extend(notes.iter().map(|(_, (number, _))| *number));
    }
    numbers.sort_unstable();
    let total = TOTAL.get(read, &()).expect("a number").unwrap_or(0);
    assert_eq!(
        numbers,
        (1..=total).collect::<Vec<_>>(),
        "{place}: not a prefix"
    );
}

/// With a real log thread; without a seed it gets help from others, and from the clients.
fn open(disk: &Simulated, durability: Durability, seed: Option<u64>) -> Result<Store, Error> {
    let options = Options {
        seed,
        ..options(durability)
    };
    let (store, _) = Store::open(Arc::new(disk.clone()), Path::new(DIRECTORY), options)?;
    Ok(store)
}

/// What may be found: at `process`, loss of power takes what was only acknowledged.
fn promised(mut run: Vec<(u64, u64)>, durability: Durability, crash: Crash) -> Vec<(u64, u64)> {
    if durability == Durability::Process && matches!(crash, Crash::Power(_)) {
        run.iter_mut()
            .for_each(|(acknowledged, _)| *acknowledged = 0);
    }
    run
}

fn check(durability: Durability, crash: impl Fn(u64) -> Crash) {
    let mut acknowledged = 0;
    for seed in 0..SEEDS {
        let disk = Simulated::new(Faults {
            crash_at: Some(seed * 2),
            ..Faults::default()
        });
        let run = open(&disk, durability, (seed % 3 == 0).then_some(seed))
            .map_or_else(|_| vec![(0, 0); CLIENTS as usize], |store| run(&store));
        acknowledged += run
            .iter()
            .map(|(acknowledged, _)| acknowledged)
            .sum::<u64>();
        let crash = crash(seed);
        let place = format!("seed {seed}, {crash:?}, {:?}", disk.trace().last());
        let found = disk.restart(crash, Faults::default());
        let store = open(&found, durability, None)
            .unwrap_or_else(|error| panic!("{place}: {}", describe(&error)));
        check_found(&store.view(), &promised(run, durability, crash), &place);
    }
    assert!(
        acknowledged > SEEDS * COMMITS,
        "the crashes come too early to test anything"
    );
}

#[test]
fn clients_that_share_a_sync_lose_nothing_to_power_loss() {
    check(Durability::Power, |seed| {
        Crash::Power(if seed % 5 == 0 {
            Loss::All
        } else {
            Loss::Torn(seed)
        })
    });
}

#[test]
fn clients_that_share_a_write_lose_nothing_to_a_kill() {
    check(Durability::Process, |seed| {
        Crash::Process((seed * 37) as u8)
    });
}

#[test]
fn power_loss_leaves_a_prefix_of_what_clients_shared() {
    check(Durability::Process, |seed| Crash::Power(Loss::Torn(seed)));
}
