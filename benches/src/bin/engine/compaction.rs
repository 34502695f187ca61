//! What a compaction costs: time that commits lose to it, and space that the directory takes.
//!
//! *Pauses.* Four clients commit rows of 256 bytes, with a millisecond's rest after each, first alone and then while the
//! store compacts at its gentle pace; in between, a fifth of the rows is overwritten, so that there is something to do.
//! Compactions start by hand only.
//!
//! *Space.* Rows of 256 bytes are overwritten ten times over, in random order, with compactions when the store wants them;
//! what the directory takes is held against keys and values.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cumulog_benches::clients::{self, Round};
use cumulog_benches::disk;
use cumulog_benches::results::{Row, Section};
use cumulog_benches::rows::Rows;
use cumulog_benches::settings::Settings;
use cumulog_benches::spread::Spread;
use cumulog_engine::disk::Real;
use cumulog_engine::{Durability, Pace, Store};

use crate::store::{fill, left_alone, name, open_on, path, put};

const VALUE_BYTES: usize = 256;
const CLIENTS: u64 = 4;
const REST: Duration = Duration::from_millis(1);
/// How often the state is overwritten to see what space it takes, and how often one looks each time.
const OVERWRITES: u64 = 10;
const LOOKS: u64 = 8;

pub(crate) fn pauses(settings: &Settings, section: &mut Section) -> Result<(), Box<dyn Error>> {
    let rows = Rows::distinct(VALUE_BYTES, settings.either(200_000, 20_000));
    for durability in [Durability::Process, Durability::Power] {
        let directory = settings.scratch()?;
        let disk = Arc::new(Real::new());
        let (store, _) = Store::open(disk, &path(directory.path()), left_alone(durability))?;
        fill(&store, &rows, 0..rows.keys());
        let mut tally = Tally::default();
        for round in 0..settings.rounds() as u64 {
            fill(
                &store,
                &rows,
                round * rows.keys() / 5..(round + 1) * rows.keys() / 5,
            );
            tally.take_turn(settings, &store, &rows)?;
        }
        store.close()?;
        let row = Row::default()
            .at("durability", name(durability))
            .at("rows", rows.keys());
        section.push(tally.figures(row));
    }
    Ok(())
}

/// What each turn brought.
#[derive(Default)]
struct Tally {
    idle: Vec<Round>,
    during: Vec<Round>,
    compaction_ms: Vec<f64>,
    written_mb: Vec<f64>,
}

/// What is told of the commits of a turn.
type Figure = fn(&Round) -> f64;

impl Tally {
    fn take_turn(
        &mut self,
        settings: &Settings,
        store: &Store,
        rows: &Rows,
    ) -> Result<(), Box<dyn Error>> {
        let end = Instant::now() + settings.turn() * 2;
        self.idle.push(load(store, rows, |now| now < end));
        let is_done = AtomicBool::new(false);
        let (compacted, time) = thread::scope(|scope| {
            let compaction = scope.spawn(|| {
                let start = Instant::now();
                let compacted = store.compact(Pace::Gentle).wait();
                is_done.store(true, Ordering::Release);
                (compacted, start.elapsed())
            });
            self.during
                .push(load(store, rows, |_| !is_done.load(Ordering::Acquire)));
            compaction.join().expect("it does not panic")
        });
        self.compaction_ms.push(time.as_secs_f64() * 1e3);
        self.written_mb.push(compacted?.written_bytes as f64 / 1e6);
        Ok(())
    }

    fn figures(&self, row: Row) -> Row {
        let mut row = row
            .figure("compaction_ms", Spread::of(self.compaction_ms.clone()))
            .figure("written_mb", Spread::of(self.written_mb.clone()));
        let figures: [(&str, Figure); 3] = [
            ("p50", |round| round.percentiles_us([0.5])[0]),
            ("p99", |round| round.percentiles_us([0.99])[0]),
            ("longest", Round::longest_us),
        ];
        for (name, value) in figures {
            let idle: Vec<f64> = self.idle.iter().map(value).collect();
            let during: Vec<f64> = self.during.iter().map(value).collect();
            row = row
                .figure(&format!("{name}_ratio"), Spread::ratio(&during, &idle))
                .figure(&format!("{name}_idle_us"), Spread::of(idle))
                .figure(&format!("{name}_during_us"), Spread::of(during));
        }
        row
    }
}

fn load(store: &Store, rows: &Rows, goes_on: impl Fn(Instant) -> bool + Sync) -> Round {
    clients::threads_while(CLIENTS, goes_on, REST, |number| {
        let Ok(()) = put(store, rows, number).wait().expect("the disk works");
    })
}

pub(crate) fn space(settings: &Settings, section: &mut Section) -> Result<(), Box<dyn Error>> {
    let rows = Rows::distinct(VALUE_BYTES, settings.either(300_000, 20_000));
    let directory = settings.scratch()?;
    let store = open_on(Real::new(), directory.path(), Durability::Process);
    let live_bytes = rows.keys() * rows.row_bytes() as u64;
    let amplification = || -> std::io::Result<f64> {
        Ok(disk::bytes(&path(directory.path()))? as f64 / live_bytes as f64)
    };
    let mut most = 0f64;
    for look in 0..OVERWRITES * LOOKS {
        fill(
            &store,
            &rows,
            look * rows.keys() / LOOKS..(look + 1) * rows.keys() / LOOKS,
        );
        most = most.max(amplification()?);
    }
    let compactions = store.status().compactions.completed;
    store.compact(Pace::Full).wait()?;
    section.push(
        Row::default()
            .at("rows", rows.keys())
            .at("compactions", compactions)
            .figure("live_mb", live_bytes as f64 / 1e6)
            .figure("written_mb", (live_bytes * OVERWRITES) as f64 / 1e6)
            .figure("amplification_max", most)
            .figure("amplification_compacted", amplification()?),
    );
    Ok(store.close()?)
}
