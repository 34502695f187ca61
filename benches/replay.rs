//! How fast a store opens: items and bytes per second, beside `crc32fast` alone over the same bytes.
//!
//! The log holds one row a record, inserted in random order. Its files are in the page cache, so this measures the
//! processor; the control reads the same files through a small buffer and checksums them, which no recovery can do
//! without.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cumulog_engine::disk::Real;
use cumulog_engine::{Durability, Options, Recovery, Space, Store};

const ROWS: Space = Space::new(0x1000, "bench/rows");
/// About this much of values is written, in as many rows as that makes.
const VALUE_BYTES_ALL: usize = 48 << 20;
/// At most this many rows.
const ROWS_MAX: usize = 200_000;

fn open(directory: &Path) -> (Store, Recovery) {
    let options = Options {
        durability: Durability::Process,
        ..Options::default()
    };
    Store::open(Arc::new(Real::new()), directory, options).expect("open")
}

/// A directory with `rows` rows of `value_bytes`, closed.
fn prepare(directory: &Path, rows: u64, value_bytes: usize) {
    let (store, _) = open(directory);
    let value = vec![7; value_bytes];
    let mut last = None;
    for row in 0..rows {
        // An odd factor: every row gets a key of its own, and neighbours are far apart.
        let key = row.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        last = Some(store.commit(|txn| {
            txn.put(ROWS, &key, &value);
            Ok::<(), Infallible>(())
        }));
    }
    let Ok(()) = last
        .expect("there are rows")
        .wait()
        .expect("the disk works");
    store.close().expect("close");
}

/// The time to read and checksum every file of the log, and their bytes.
fn checksum(directory: &Path) -> (Duration, u64) {
    let start = Instant::now();
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    for path in walk(directory) {
        let mut file = File::open(path).expect("open");
        let mut hasher = crc32fast::Hasher::new();
        loop {
            let count = file.read(&mut buffer).expect("read");
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            bytes += count as u64;
        }
        std::hint::black_box(hasher.finalize());
    }
    (start.elapsed(), bytes)
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("list") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            files.extend(walk(&path))
        } else {
            files.push(path)
        }
    }
    files
}

fn bench_one(c: &mut Criterion, value_bytes: usize) {
    let rows = (VALUE_BYTES_ALL / value_bytes).min(ROWS_MAX) as u64;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temporary directory");
    let path = directory.path().join("store");
    prepare(&path, rows, value_bytes);
    let mut replayed = (Duration::ZERO, 0);
    let mut control = (Duration::ZERO, 0);
    c.benchmark_group("replay")
        .throughput(Throughput::Elements(rows))
        .bench_function(format!("{rows} rows of {value_bytes} bytes"), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut elapsed = Duration::ZERO;
                for _ in 0..iterations {
                    let start = Instant::now();
                    let (store, recovery) = open(&path);
                    let time = start.elapsed();
                    elapsed += time;
                    replayed = (replayed.0 + time, replayed.1 + recovery.bytes);
                    assert_eq!(store.view().count(ROWS) as u64, rows);
                    store.close().expect("close");
                    drop(store);
                    let (time, bytes) = checksum(&path);
                    control = (control.0 + time, control.1 + bytes);
                }
                elapsed
            });
        });
    if replayed.1 > 0 {
        let rate = |(time, bytes): (Duration, u64)| bytes as f64 / time.as_secs_f64() / 1e9;
        let (engine, raw) = (rate(replayed), rate(control));
        let share = 100.0 * engine / raw;
        println!(
            "                        {engine:.2} GB/s; read and crc32fast alone: {raw:.2} GB/s ({share:.0} %)\n"
        );
    }
}

fn bench(c: &mut Criterion) {
    for value_bytes in [64, 1 << 10, 16 << 10] {
        bench_one(c, value_bytes);
    }
}

criterion_group! {
    name = replay;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(5));
    targets = bench
}
criterion_main!(replay);
