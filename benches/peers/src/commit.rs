//! Commits per second and how long one takes, by level of durability and number of clients.
//!
//! A client commits one row and waits until it is as durable as the level says, then the next. Rows overwrite a state of at
//! most 64 MiB in random order. Within a level all stores take turns, and the raw control, one thread that writes as many
//! bytes and for `power` syncs them each time, has one, too.

use std::error::Error;
use std::sync::Arc;

use cumulog_benches::clients::Round;
use cumulog_benches::control::Control;
use cumulog_benches::results::{Row, Section};
use cumulog_benches::rows::Rows;
use cumulog_benches::settings::Settings;
use cumulog_benches::spread::Spread;

use crate::subjects::{CANDIDATES, Candidate, Level, OURS, Subject, versions};

const LOADS: [Load; 6] = [
    Load::of(256, 1),
    Load::of(256, 4),
    Load::of(256, 16),
    Load::of(256, 64),
    Load::of(256, 256),
    Load::of(16 << 10, 64),
];

struct Load {
    value_bytes: usize,
    clients: u64,
}

impl Load {
    const fn of(value_bytes: usize, clients: u64) -> Self {
        Load {
            value_bytes,
            clients,
        }
    }
}

pub(crate) fn bench(settings: &Settings, section: &mut Section) -> Result<(), Box<dyn Error>> {
    section.versions = versions();
    for level in Level::ALL {
        for load in &LOADS {
            for row in measure(settings, level, load)? {
                section.push(row);
            }
        }
    }
    Ok(())
}

/// A store and what its turns brought.
struct Contestant {
    candidate: Candidate,
    subject: Box<dyn Subject>,
    rates: Vec<f64>,
    all: Round,
}

fn measure(settings: &Settings, level: Level, load: &Load) -> Result<Vec<Row>, Box<dyn Error>> {
    let directory = settings.scratch()?;
    let rows = Arc::new(Rows::overwriting(load.value_bytes));
    let mut contestants = Vec::new();
    for candidate in CANDIDATES
        .iter()
        .filter(|candidate| candidate.level == level)
    {
        let directory = directory.path().join(candidate.name);
        std::fs::create_dir(&directory)?;
        contestants.push(Contestant {
            candidate: *candidate,
            subject: (candidate.open)(&directory, level),
            rates: Vec::new(),
            all: Round::default(),
        });
    }
    let mut control = Control::new(directory.path(), rows.row_bytes(), level == Level::Power);
    let mut control_rates = Vec::new();
    for round in 0..settings.rounds() {
        // Another order in each round: what one leaves to the disk, the next one feels.
        let mut order: Vec<usize> = (0..contestants.len()).collect();
        fastrand::Rng::with_seed(round as u64).shuffle(&mut order);
        for index in order {
            let contestant = &mut contestants[index];
            let round = contestant
                .subject
                .commit(load.clients, settings.turn(), &rows);
            contestant.rates.push(round.per_second());
            contestant.all.append(round);
        }
        control_rates.push(control.run(settings.turn() / 4).per_second());
    }
    let ours = contestants
        .iter()
        .find(|contestant| contestant.candidate.name == OURS)
        .map(|contestant| contestant.rates.clone())
        .unwrap_or_default();
    let figures = |contestant: &Contestant| contestant.figures(load, &ours, &control_rates);
    Ok(contestants.iter().map(figures).collect())
}

impl Contestant {
    fn figures(&self, load: &Load, ours: &[f64], control: &[f64]) -> Row {
        let [p50, p99, p999] = self.all.percentiles_us([0.5, 0.99, 0.999]);
        Row::default()
            .at("durability", self.candidate.level.name())
            .at("store", self.candidate.name)
            .at("setting", self.candidate.setting)
            .at("value_bytes", load.value_bytes)
            .at("clients", load.clients)
            .figure("per_second", Spread::of(self.rates.clone()))
            .figure("ratio", Spread::ratio(&self.rates, control))
            .figure("ours_over_it", Spread::ratio(ours, &self.rates))
            .figure("p50_us", p50)
            .figure("p99_us", p99)
            .figure("p999_us", p999)
    }
}
