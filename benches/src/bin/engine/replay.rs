//! How fast a store opens from its log: rows and bytes per second, beside a checksum and a copy of the same bytes.
//!
//! The log holds one row a record, inserted in random order. Its files are in the page cache, so this measures the
//! processor. One control reads the same files through a small buffer and checksums them, which no recovery can do without;
//! the other copies as many bytes in memory.

use std::error::Error;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::{Duration, Instant};

use cumulog_benches::disk::files;
use cumulog_benches::results::{Row, Section};
use cumulog_benches::rows::Rows;
use cumulog_benches::settings::Settings;
use cumulog_benches::spread::Spread;

use crate::store::{ROWS, path, prepare, reopen};

const VALUE_BYTES: [usize; 5] = [16, 64, 256, 1 << 10, 16 << 10];
/// About this much of values is written, in as many rows as that makes.
const VALUE_BYTES_ALL: usize = 128 << 20;
const ROWS_MAX: usize = 500_000;
const BUFFER_BYTES: usize = 1 << 20;

pub(crate) fn bench(settings: &Settings, section: &mut Section) -> Result<(), Box<dyn Error>> {
    for value_bytes in VALUE_BYTES {
        let count = (VALUE_BYTES_ALL / value_bytes).min(ROWS_MAX) / settings.either(1, 10);
        section.push(measure(settings, value_bytes, count as u64)?);
    }
    Ok(())
}

fn measure(settings: &Settings, value_bytes: usize, count: u64) -> Result<Row, Box<dyn Error>> {
    let directory = settings.scratch()?;
    let rows = Rows::distinct(value_bytes, count);
    prepare(directory.path(), &rows);
    let (mut items, mut replay, mut crc, mut copy) = (vec![], vec![], vec![], vec![]);
    for _ in 0..settings.rounds() {
        let (store, recovery, time) = reopen(directory.path());
        items.push(recovery.records as f64 / time.as_secs_f64());
        replay.push(gigabytes_per_second(recovery.bytes, time));
        assert_eq!(store.view().count(ROWS) as u64, count);
        store.close()?;
        drop(store);
        let (bytes, time) = checksum(&path(directory.path()))?;
        crc.push(gigabytes_per_second(bytes, time));
        copy.push(gigabytes_per_second(bytes, copy_time(bytes)));
    }
    Ok(Row::default()
        .at("value_bytes", value_bytes)
        .at("rows", count)
        .figure("rows_per_second", Spread::of(items))
        .figure("gb_per_second", Spread::of(replay.clone()))
        .figure("crc_gb_per_second", Spread::of(crc.clone()))
        .figure("copy_gb_per_second", Spread::of(copy.clone()))
        .figure("of_crc", Spread::ratio(&replay, &crc))
        .figure("of_copy", Spread::ratio(&replay, &copy)))
}

fn gigabytes_per_second(bytes: u64, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e9
}

/// The bytes of all files, and the time that it takes to read and checksum them.
fn checksum(directory: &Path) -> io::Result<(u64, Duration)> {
    let start = Instant::now();
    let mut bytes = 0;
    let mut buffer = vec![0; BUFFER_BYTES];
    for path in files(directory)? {
        let mut file = File::open(path)?;
        let mut hasher = crc32fast::Hasher::new();
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            bytes += count as u64;
        }
        black_box(hasher.finalize());
    }
    Ok((bytes, start.elapsed()))
}

/// The time that it takes to copy as many bytes to memory that is there already.
fn copy_time(bytes: u64) -> Duration {
    let from = vec![7; 32 << 20];
    let mut to = vec![1; from.len()];
    let start = Instant::now();
    let mut left = bytes as usize;
    while left > 0 {
        let count = left.min(from.len());
        to[..count].copy_from_slice(black_box(&from[..count]));
        black_box(&mut to);
        left -= count;
    }
    start.elapsed()
}
