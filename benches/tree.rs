//! The engine's tree beside `imbl` and `BTreeMap`: time per operation, ratios, and bytes per item.
//!
//! Keys of 23 bytes that start alike, values of 64. The three take turns in each round, so that what else the machine does
//! hits all of them; the median round counts. Times are those on the processor, as they don't count the waits of a busy
//! machine. Memory is the resident set of a process of its own that holds nothing else.
//! `cargo bench -p cumulog-benches --bench tree -- ITEMS ROUNDS` takes other sizes.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Bound;
use std::process::Command;
use std::{env, fs};

use cumulog_engine::fuzzing::tree::{Batch, Builder, Tree};
use imbl::OrdSet;
use triomphe::ThinArc;

const VALUE: [u8; 64] = [7; 64];
/// A store publishes a root a commit; at high load it takes some transactions along.
const PUTS_A_CLONE: usize = 16;

/// Tells a process to hold this, and to print how much memory it takes.
const HOLD: &str = "CUMULOG_BENCH_TREE_HOLD";
const TREE: &str = "tree";

type Key = [u8; 23];

trait Map: Clone + Default {
    fn put(&mut self, key: &[u8], value: &[u8]);
    fn delete(&mut self, key: &[u8]);
    fn get(&self, key: &[u8]) -> Option<&[u8]>;
    /// Adds up something of every entry.
    fn scan(&self) -> usize;
    fn build<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self;

    /// Writes entries that come in any order, as replay does.
    fn replay(&mut self, keys: &[Key]) {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys.iter().for_each(|key| self.put(key, &VALUE));
    }
}

impl Map for Tree {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        let mut old = Vec::new();
        Tree::put(self, key, value, &mut old);
    }

    fn delete(&mut self, key: &[u8]) {
        let mut old = Vec::new();
        Tree::delete(self, key, &mut old);
    }

    fn get(&self, key: &[u8]) -> Option<&[u8]> {
        Tree::get(self, key)
    }

    fn scan(&self) -> usize {
        self.range(Bound::Unbounded, Bound::Unbounded)
            .map(|(key, value)| usize::from(key[22]) + usize::from(value[0]))
            .sum()
    }

    fn build<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Tree {
        let mut builder = <Builder>::default();
        entries.for_each(|(key, value)| builder.push(key, value));
        builder.finish()
    }

    fn replay(&mut self, keys: &[Key]) {
        let mut batch = Batch::default();
        keys.iter().for_each(|key| batch.put(key, &VALUE));
        batch.apply_to(self);
    }
}

/// An entry behind one pointer, as the engine had it.
#[derive(Clone)]
struct Entry(ThinArc<u32, u8>);

impl Entry {
    fn new(key: &[u8], value: &[u8]) -> Entry {
        let mut bytes = [0; 256];
        bytes[..key.len()].copy_from_slice(key);
        bytes[key.len()..key.len() + value.len()].copy_from_slice(value);
        let bytes = &bytes[..key.len() + value.len()];
        Entry(ThinArc::from_header_and_slice(key.len() as u32, bytes))
    }

    fn pair(&self) -> (&[u8], &[u8]) {
        self.0.slice.split_at(self.0.header.header as usize)
    }
}

impl Borrow<[u8]> for Entry {
    fn borrow(&self) -> &[u8] {
        self.pair().0
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.pair().0 == other.pair().0
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        self.pair().0.cmp(other.pair().0)
    }
}

impl Map for OrdSet<Entry> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.insert(Entry::new(key, value));
    }

    fn delete(&mut self, key: &[u8]) {
        self.remove(key);
    }

    fn get(&self, key: &[u8]) -> Option<&[u8]> {
        OrdSet::get(self, key).map(|entry| entry.pair().1)
    }

    fn scan(&self) -> usize {
        self.iter()
            .map(|entry| usize::from(entry.pair().0[22]) + usize::from(entry.pair().1[0]))
            .sum()
    }

    fn build<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> OrdSet<Entry> {
        entries.map(|(key, value)| Entry::new(key, value)).collect()
    }
}

impl Map for BTreeMap<Box<[u8]>, Box<[u8]>> {
    fn put(&mut self, key: &[u8], value: &[u8]) {
        self.insert(key.into(), value.into());
    }

    fn delete(&mut self, key: &[u8]) {
        self.remove(key);
    }

    fn get(&self, key: &[u8]) -> Option<&[u8]> {
        BTreeMap::get(self, key).map(|value| &**value)
    }

    fn scan(&self) -> usize {
        self.iter()
            .map(|(key, value)| usize::from(key[22]) + usize::from(value[0]))
            .sum()
    }

    fn build<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        entries
            .map(|(key, value)| (key.into(), value.into()))
            .collect()
    }
}

fn key(number: u64) -> Key {
    let mut key = *b"123456789012/eu/0000000";
    // An odd factor: each number gets a key of its own, and neighbours are far apart.
    let bytes = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    key[15..].copy_from_slice(&bytes);
    key
}

const WORKLOADS: [&str; 9] = [
    "put, random",
    "put, over a clone",
    "put, ascending",
    "get, random",
    "scan",
    "build, ascending",
    "replay, random",
    "delete, random",
    "drop",
];

/// Nanoseconds an item of each workload.
fn measure<M: Map>(keys: &[Key], sorted: &[Key], clones: bool) -> Vec<f64> {
    let mut results = Vec::new();
    let mut time = |work: &mut dyn FnMut()| {
        let start = processor_ns();
        work();
        results.push((processor_ns() - start) as f64 / keys.len() as f64);
    };
    let mut map = M::default();
    time(&mut || keys.iter().for_each(|key| map.put(key, &VALUE)));
    let mut published = M::default();
    time(&mut || {
        for (count, key) in keys.iter().rev().enumerate() {
            if clones && count % PUTS_A_CLONE == 0 {
                published = map.clone();
            }
            map.put(key, &VALUE);
        }
    });
    drop(published);
    let mut ascending = M::default();
    time(&mut || sorted.iter().for_each(|key| ascending.put(key, &VALUE)));
    drop(ascending);
    time(&mut || {
        keys.iter()
            .for_each(|key| assert!(black_box(map.get(key)).is_some()))
    });
    time(&mut || assert!(black_box(map.scan()) > 0));
    let mut built = None;
    time(&mut || built = Some(M::build(sorted.iter().map(|key| (&key[..], &VALUE[..])))));
    let mut replayed = M::default();
    time(&mut || replayed.replay(keys));
    drop(replayed);
    time(&mut || keys.iter().for_each(|key| map.delete(key)));
    time(&mut || drop(built.take()));
    results
}

/// How long this thread ran.
fn processor_ns() -> u64 {
    let times = fs::read_to_string("/proc/thread-self/schedstat").expect("this is Linux");
    let running = times.split(' ').next().and_then(|time| time.parse().ok());
    running.expect("the first is the time on the processor")
}

/// The bytes an item that a process holds which holds nothing else of note.
fn held(name: &str, items: usize) -> String {
    let output = Command::new(env::current_exe().expect("a benchmark has a path"))
        .arg(items.to_string())
        .env(HOLD, name)
        .output()
        .expect("it runs");
    String::from_utf8(output.stdout).expect("it prints a number")
}

fn hold(name: &str, items: usize) {
    let before = resident();
    let report = |memory: Option<u64>| {
        let bytes = (resident() - before) as f64 / items as f64;
        let own = memory.map_or(String::new(), |memory| {
            format!(" ({:.1} by its own count)", memory as f64 / items as f64)
        });
        print!("{bytes:.1}{own}");
    };
    let keys = || (0..items as u64).map(key);
    match name {
        TREE => {
            let mut map = <Tree>::default();
            keys().for_each(|key| Map::put(&mut map, &key, &VALUE));
            report(Some(map.memory_bytes()));
        }
        "imbl" => {
            let mut map = OrdSet::default();
            keys().for_each(|key| Map::put(&mut map, &key, &VALUE));
            report(None);
        }
        "BTreeMap" => {
            let mut map = BTreeMap::default();
            keys().for_each(|key| Map::put(&mut map, &key, &VALUE));
            report(None);
        }
        _ => {
            let sequence = |number: usize| {
                let mut key = key(0);
                key[15..].copy_from_slice(&(number as u64).to_be_bytes());
                key
            };
            let mut map = <Builder>::default();
            (0..items).for_each(|number| map.push(&sequence(number), &VALUE));
            report(Some(map.finish().memory_bytes()));
        }
    }
}

fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/statm").expect("this is Linux");
    let pages = status
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("the second is the resident set") * 4096
}

fn median(rounds: &[Vec<f64>], workload: usize) -> f64 {
    let mut all: Vec<f64> = rounds.iter().map(|round| round[workload]).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn main() {
    let numbers: Vec<usize> = env::args().filter_map(|arg| arg.parse().ok()).collect();
    let items = numbers.first().copied().unwrap_or(1_000_000);
    if let Ok(name) = env::var(HOLD) {
        return hold(&name, items);
    }
    let keys: Vec<Key> = (0..items as u64).map(key).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    let mut all = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..numbers.get(1).copied().unwrap_or(5) {
        all[0].push(measure::<Tree>(&keys, &sorted, true));
        all[1].push(measure::<OrdSet<Entry>>(&keys, &sorted, true));
        all[2].push(measure::<BTreeMap<_, _>>(&keys, &sorted, false));
    }
    println!("{items} items of 23 + 64 bytes; ns an item\n");
    println!(
        "{:20} {:>8} {:>8} {:>8}   imbl/tree  BTreeMap/tree",
        "", "tree", "imbl", "BTreeMap"
    );
    for (at, name) in WORKLOADS.iter().enumerate() {
        let [tree, imbl, btree] = [0, 1, 2].map(|map| median(&all[map], at));
        let (a, b) = (imbl / tree, btree / tree);
        println!("{name:20} {tree:8.0} {imbl:8.0} {btree:8.0}   {a:9.2}  {b:13.2}");
    }
    println!("\nbytes an item, resident");
    for name in [TREE, "tree, built", "imbl", "BTreeMap"] {
        println!("{name:20} {:>8}", held(name, items));
    }
}
