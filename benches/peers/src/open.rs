//! How long it takes to open a store that was closed in good order and to read one row, and what it takes on disk.
//!
//! Files are in the page cache. Ours reads everything into memory, which the others need not.

use std::error::Error;
use std::time::Instant;

use cumulog_benches::disk::bytes;
use cumulog_benches::results::{Row, Section};
use cumulog_benches::rows::Rows;
use cumulog_benches::settings::Settings;
use cumulog_benches::spread::Spread;

use crate::subjects::{one_each, versions};

const VALUE_BYTES: usize = 64;
const ROWS_COUNT: u64 = 500_000;

pub(crate) fn bench(settings: &Settings, section: &mut Section) -> Result<(), Box<dyn Error>> {
    section.versions = versions();
    let rows = Rows::distinct(VALUE_BYTES, ROWS_COUNT / settings.either(1, 10));
    let directory = settings.scratch()?;
    for candidate in one_each() {
        let directory = directory.path().join(candidate.name);
        std::fs::create_dir(&directory)?;
        (candidate.open)(&directory, candidate.level).load(&rows);
        let disk_bytes = bytes(&directory)?;
        let mut times = Vec::new();
        for _ in 0..settings.rounds() {
            let start = Instant::now();
            let subject = (candidate.open)(&directory, candidate.level);
            assert_eq!(subject.get(0, &rows.key(1)), Some(VALUE_BYTES));
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        section.push(
            Row::default()
                .at("store", candidate.name)
                .at("rows", rows.keys())
                .at("value_bytes", VALUE_BYTES)
                .figure("open_ms", Spread::of(times))
                .figure("disk_mb", disk_bytes as f64 / 1e6),
        );
    }
    Ok(())
}
