//! How long opening takes, by the number of rows, from a log and from a snapshot.
//!
//! Rows of 64 bytes, written in random order, one a transaction. Files are in the page cache.

use std::error::Error;
use std::path::Path;

use cumulog_benches::disk::bytes;
use cumulog_benches::results::{Row, Section};
use cumulog_benches::rows::Rows;
use cumulog_benches::settings::Settings;
use cumulog_benches::spread::Spread;
use cumulog_engine::Pace;

use crate::store::{ROWS, path, prepare, reopen};

const VALUE_BYTES: usize = 64;
const ROWS_COUNTS: [u64; 5] = [0, 1_000, 10_000, 100_000, 1_000_000];

pub(crate) fn bench(settings: &Settings, section: &mut Section) -> Result<(), Box<dyn Error>> {
    for count in ROWS_COUNTS.map(|count| count / settings.either(1, 10)) {
        let directory = settings.scratch()?;
        prepare(directory.path(), &Rows::distinct(VALUE_BYTES, count));
        section.push(measure(settings, directory.path(), "log", count)?);
        let (store, ..) = reopen(directory.path());
        store.compact(Pace::Full).wait()?;
        store.close()?;
        section.push(measure(settings, directory.path(), "snapshot", count)?);
    }
    Ok(())
}

fn measure(
    settings: &Settings,
    directory: &Path,
    from: &str,
    count: u64,
) -> Result<Row, Box<dyn Error>> {
    let disk_bytes = bytes(&path(directory))?;
    let mut times = Vec::new();
    for _ in 0..settings.rounds() {
        let (store, _, time) = reopen(directory);
        times.push(time.as_secs_f64() * 1e3);
        assert_eq!(store.view().count(ROWS) as u64, count);
        store.close()?;
    }
    Ok(Row::default()
        .at("from", from)
        .at("rows", count)
        .figure("open_ms", Spread::of(times))
        .figure("disk_mb", disk_bytes as f64 / 1e6))
}
