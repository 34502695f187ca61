//! Reads of single rows in random order, each by a snapshot of its own as a request would take it.
//!
//! All rows fit into memory. Ours are there by design; the others may have to be fetched from their caches or from the
//! kernel's, and could hold more than memory has: these figures tell what that costs, not which store is better.

use std::error::Error;

use cumulog_benches::clients;
use cumulog_benches::results::{Row, Section};
use cumulog_benches::rows::Rows;
use cumulog_benches::settings::Settings;
use cumulog_benches::spread::Spread;

use crate::subjects::{Subject, one_each, versions};

const VALUE_BYTES: usize = 256;
const ROWS_COUNT: u64 = 100_000;
const CLIENTS: [u64; 2] = [1, 2];

pub(crate) fn bench(settings: &Settings, section: &mut Section) -> Result<(), Box<dyn Error>> {
    section.versions = versions();
    let rows = Rows::distinct(VALUE_BYTES, ROWS_COUNT / settings.either(1, 10));
    let directory = settings.scratch()?;
    let mut subjects = Vec::new();
    for candidate in one_each() {
        let directory = directory.path().join(candidate.name);
        std::fs::create_dir(&directory)?;
        let subject = (candidate.open)(&directory, candidate.level);
        subject.load(&rows);
        subjects.push((candidate.name, subject));
    }
    for clients in CLIENTS {
        let mut rates = vec![Vec::new(); subjects.len()];
        for _ in 0..settings.rounds() {
            for ((_, subject), rates) in subjects.iter().zip(&mut rates) {
                rates.push(read(settings, &**subject, clients, &rows));
            }
        }
        for ((name, _), rates) in subjects.iter().zip(rates) {
            section.push(
                Row::default()
                    .at("store", *name)
                    .at("clients", clients)
                    .at("value_bytes", VALUE_BYTES)
                    .figure("per_second", Spread::of(rates)),
            );
        }
    }
    Ok(())
}

fn read(settings: &Settings, subject: &dyn Subject, clients: u64, rows: &Rows) -> f64 {
    let round = clients::threads(clients, settings.turn() / 2, |number| {
        // Another order than the one they were written in.
        let key = rows.key(number.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32);
        assert_eq!(subject.get(number % clients, &key), Some(VALUE_BYTES));
    });
    round.per_second()
}
