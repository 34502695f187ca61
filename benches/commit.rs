//! Commits per second, by clients and durability, beside the raw system calls that the durability stands for.
//!
//! A client commits one row of 256 bytes and waits until it is acknowledged, then the next. The control is one thread
//! that does what one commit needs, a `pwrite` of as many bytes and, for `power`, an `fdatasync`, into a file that was
//! zero-filled before; every sample of the engine is followed by one of the control.

use std::convert::Infallible;
use std::io::IoSlice;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cumulog_benches::CountingDisk;
use cumulog_engine::disk::{Disk, File, Real};
use cumulog_engine::{Durability, Options, Space, Store};
use tokio::runtime::Runtime;

const ROWS: Space = Space::new(0x1000, "bench/rows");
const VALUE: [u8; 256] = [7; 256];
/// Keys repeat after this many commits, so that the state stays small.
const KEYS: u64 = 100_000;
/// What one commit writes: the row, its key and the record around them.
const RECORD_BYTES: usize = 320;
/// The control stays within a file of this size.
const CONTROL_BYTES: u64 = 64 << 20;
const CLIENTS: [u64; 4] = [1, 16, 64, 256];
/// How much of the time of a sample its control gets.
const CONTROL_SHARE: f64 = 0.25;

/// Operations and the time that they took.
#[derive(Clone, Copy, Default)]
struct Tally {
    operations: u64,
    elapsed: Duration,
}

impl Tally {
    fn add(&mut self, operations: u64, elapsed: Duration) {
        self.operations += operations;
        self.elapsed += elapsed;
    }

    fn per_second(self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }
}

/// `commits` in all, by `clients` that each wait for their last one.
fn commit(runtime: &Runtime, store: &Store, clients: u64, commits: u64) -> Duration {
    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let store = store.clone();
            runtime.spawn(async move {
                for number in (client..commits).step_by(clients as usize) {
                    let key = (number % KEYS).to_be_bytes();
                    store.admission().await;
                    let pending = store.commit(|txn| {
                        txn.put(ROWS, &key, &VALUE);
                        Ok::<(), Infallible>(())
                    });
                    let Ok(()) = pending.await.expect("the disk works");
                }
            })
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).expect("no client panics");
    }
    start.elapsed()
}

/// The same bytes by system calls alone.
struct Control {
    file: Arc<dyn File>,
    sync: bool,
    offset: u64,
    tally: Tally,
}

impl Control {
    fn new(directory: &Path, sync: bool) -> Self {
        let file = Real::new()
            .create(&directory.join("control"))
            .expect("create");
        file.allocate(CONTROL_BYTES).expect("allocate");
        file.sync_data().expect("sync");
        Control {
            file,
            sync,
            offset: 0,
            tally: Tally::default(),
        }
    }

    fn run(&mut self, time: Duration) {
        let record = [7; RECORD_BYTES];
        let start = Instant::now();
        let mut count = 0;
        while start.elapsed() < time {
            self.file
                .write_at(&[IoSlice::new(&record)], self.offset)
                .expect("write");
            if self.sync {
                self.file.sync_data().expect("sync");
            }
            self.offset =
                (self.offset + RECORD_BYTES as u64) % (CONTROL_BYTES - RECORD_BYTES as u64);
            count += 1;
        }
        self.tally.add(count, start.elapsed());
    }
}

fn open(durability: Durability, disk: &CountingDisk, directory: &Path) -> Store {
    let options = Options {
        durability,
        ..Options::default()
    };
    if durability == Durability::None {
        return Store::ephemeral(options);
    }
    let (store, _) =
        Store::open(Arc::new(disk.clone()), &directory.join("store"), options).expect("open");
    store
}

fn bench_one(c: &mut Criterion, runtime: &Runtime, durability: Durability, clients: u64) {
    let name = format!("{durability:?}").to_lowercase();
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("temporary directory");
    let disk = CountingDisk::default();
    let store = open(durability, &disk, directory.path());
    let mut control = Control::new(directory.path(), durability == Durability::Power);
    let mut tally = Tally::default();
    let before = (disk.writes(), disk.syncs());
    c.benchmark_group(format!("commit/{name}"))
        .throughput(Throughput::Elements(1))
        .bench_function(format!("{clients} clients"), |bencher| {
            bencher.iter_custom(|commits| {
                let elapsed = commit(runtime, &store, clients, commits);
                tally.add(commits, elapsed);
                if durability != Durability::None {
                    control.run(elapsed.mul_f64(CONTROL_SHARE));
                }
                elapsed
            });
        });
    let (writes, syncs) = (disk.writes() - before.0, disk.syncs() - before.1);
    store.close().expect("close");
    report(&name, clients, tally, control.tally, writes, syncs);
}

fn report(name: &str, clients: u64, tally: Tally, control: Tally, writes: u64, syncs: u64) {
    if tally.operations == 0 {
        return;
    }
    let rate = tally.per_second();
    print!("                        {name} × {clients}: {rate:.0} commits/s");
    if control.operations > 0 {
        let raw = control.per_second();
        let per_write = tally.operations as f64 / writes.max(1) as f64;
        let per_sync = tally.operations as f64 / syncs.max(1) as f64;
        print!(
            " = {:.2} × the control's {raw:.0}/s; {per_write:.1} commits per write, {per_sync:.1} per sync",
            rate / raw
        );
    }
    println!("\n");
}

fn bench(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("runtime");
    for durability in [Durability::None, Durability::Process, Durability::Power] {
        for clients in CLIENTS {
            bench_one(c, &runtime, durability, clients);
        }
    }
}

criterion_group! {
    name = commits;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = bench
}
criterion_main!(commits);
