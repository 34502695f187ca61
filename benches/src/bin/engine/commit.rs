//! Commits per second and how long one takes, by durability, value and clients, beside the raw system calls.
//!
//! A client commits one row and waits until it is acknowledged, then the next; clients are tasks on two threads. Rows
//! overwrite a state of at most 64 MiB in random order. The control is one thread that writes as many bytes, for `power`
//! with an `fdatasync` after each; for `none` it puts the same rows into a `BTreeMap`. Every turn of the
//! engine is followed by one of its control.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cumulog_benches::clients::{self, Round};
use cumulog_benches::control::Control;
use cumulog_benches::disk::CountingDisk;
use cumulog_benches::results::{Row, Section};
use cumulog_benches::rows::Rows;
use cumulog_benches::settings::Settings;
use cumulog_benches::spread::Spread;
use cumulog_engine::{Durability, Store};
use tokio::runtime::Runtime;

use crate::store::{DURABILITIES, name, open_on, put};

const CLIENTS: [u64; 5] = [1, 4, 16, 64, 256];
const VALUE_BYTES: [usize; 3] = [64, 1 << 10, 16 << 10];
/// The time of a control's turn.
const CONTROL_SHARE: f64 = 0.25;

pub(crate) fn bench(settings: &Settings, section: &mut Section) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()?;
    for durability in DURABILITIES {
        for value_bytes in VALUE_BYTES {
            let directory = settings.scratch()?;
            let mut subject = Subject::new(directory.path(), durability, value_bytes);
            let mut tallies = CLIENTS.map(|_| Tally::default());
            for _ in 0..settings.rounds() {
                for (clients, tally) in CLIENTS.into_iter().zip(&mut tallies) {
                    subject.take_turn(&runtime, clients, settings.turn(), tally);
                }
            }
            subject.store.close()?;
            for (clients, tally) in CLIENTS.into_iter().zip(tallies) {
                let row = Row::default()
                    .at("durability", name(durability))
                    .at("value_bytes", value_bytes)
                    .at("clients", clients);
                section.push(tally.figures(row));
            }
        }
    }
    Ok(())
}

/// A store and its control.
struct Subject {
    store: Store,
    disk: CountingDisk,
    rows: Arc<Rows>,
    control: Raw,
}

type Map = BTreeMap<[u8; 8], Box<[u8]>>;

/// What the engine is held against.
enum Raw {
    Calls(Control),
    Map(Map),
}

/// What the turns of one number of clients brought.
#[derive(Default)]
struct Tally {
    rates: Vec<f64>,
    control_rates: Vec<f64>,
    all: Round,
    writes: u64,
    syncs: u64,
}

impl Subject {
    fn new(directory: &Path, durability: Durability, value_bytes: usize) -> Self {
        let disk = CountingDisk::default();
        let rows = Rows::overwriting(value_bytes);
        let control = match durability {
            Durability::None => Raw::Map(Map::new()),
            _ => Raw::Calls(Control::new(
                directory,
                rows.row_bytes(),
                durability == Durability::Power,
            )),
        };
        Subject {
            store: open_on(disk.clone(), directory, durability),
            disk,
            rows: Arc::new(rows),
            control,
        }
    }

    fn take_turn(&mut self, runtime: &Runtime, clients: u64, time: Duration, tally: &mut Tally) {
        let before = (self.disk.writes(), self.disk.syncs());
        let (store, rows) = (self.store.clone(), self.rows.clone());
        let round = clients::tasks(runtime, clients, time, move |number| {
            let (store, rows) = (store.clone(), rows.clone());
            async move {
                store.admission().await;
                let Ok(()) = put(&store, &rows, number).await.expect("the disk works");
            }
        });
        tally.writes += self.disk.writes() - before.0;
        tally.syncs += self.disk.syncs() - before.1;
        tally.rates.push(round.per_second());
        tally.all.append(round);
        let control = self.control.run(&self.rows, time.mul_f64(CONTROL_SHARE));
        tally.control_rates.push(control.per_second());
    }
}

impl Raw {
    fn run(&mut self, rows: &Rows, time: Duration) -> Round {
        match self {
            Raw::Calls(control) => control.run(time),
            Raw::Map(map) => clients::one(time, |number| {
                map.insert(rows.key(number), rows.value(number).into());
            }),
        }
    }
}

impl Tally {
    fn figures(&self, row: Row) -> Row {
        let [p50, p99, p999] = self.all.percentiles_us([0.5, 0.99, 0.999]);
        let commits = self.all.operations() as f64;
        row.figure("per_second", Spread::of(self.rates.clone()))
            .figure("control_per_second", Spread::of(self.control_rates.clone()))
            .figure("ratio", Spread::ratio(&self.rates, &self.control_rates))
            .figure("p50_us", p50)
            .figure("p99_us", p99)
            .figure("p999_us", p999)
            .figure("commits_per_write", commits / self.writes as f64)
            .figure("commits_per_sync", commits / self.syncs as f64)
    }
}
