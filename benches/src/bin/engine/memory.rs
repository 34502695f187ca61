//! Bytes of memory per row, by the allocator's count and by the kernel's, beside the bytes of key and value.
//!
//! Each case is a process of its own, so that no other has left it memory: rows in random order, committed one by one to a
//! store in memory, or found in a log.

use std::error::Error;
use std::process::Command;

use cumulog_benches::memory::{Counting, resident_bytes};
use cumulog_benches::results::{Row, Section};
use cumulog_benches::rows::Rows;
use cumulog_benches::settings::Settings;
use cumulog_engine::Durability;
use cumulog_engine::disk::Real;

use crate::store::{ROWS, fill, open_on, prepare, reopen};

const VALUE_BYTES: [usize; 4] = [16, 64, 256, 1 << 10];
const ROWS_COUNT: u64 = 500_000;
/// What the process's first argument is when it is a case.
const CASE: &str = "--memory-case";

pub(crate) fn bench(settings: &Settings, section: &mut Section) -> Result<(), Box<dyn Error>> {
    let count = ROWS_COUNT / settings.either(1, 10);
    for value_bytes in VALUE_BYTES {
        let rows = Rows::distinct(value_bytes, count);
        for how in ["committed", "recovered"] {
            let directory = settings.scratch()?;
            if how == "recovered" {
                prepare(directory.path(), &rows);
            }
            let output = Command::new(std::env::current_exe()?)
                .args([CASE, how])
                .args([value_bytes.to_string(), count.to_string()])
                .arg(directory.path())
                .output()?;
            let text = String::from_utf8(output.stdout)?;
            let (allocated, resident) = text.trim().split_once(' ').ok_or("no answer")?;
            let per_row = |bytes: &str| bytes.parse().map(|bytes: f64| bytes / count as f64);
            section.push(
                Row::default()
                    .at("value_bytes", value_bytes)
                    .at("rows", count)
                    .at("how", how)
                    .figure("raw_bytes", rows.row_bytes() as f64)
                    .figure("allocated_bytes", per_row(allocated)?)
                    .figure("resident_bytes", per_row(resident)?),
            );
        }
    }
    Ok(())
}

/// What the process of a case does.
pub(crate) struct Case {
    is_recovered: bool,
    rows: Rows,
    directory: std::path::PathBuf,
}

impl Case {
    pub(crate) fn from_command_line() -> Result<Option<Case>, Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [case, how, value_bytes, count, directory] = arguments.as_slice() else {
            return Ok(None);
        };
        if case != CASE {
            return Ok(None);
        }
        Ok(Some(Case {
            is_recovered: how == "recovered",
            rows: Rows::distinct(value_bytes.parse()?, count.parse()?),
            directory: directory.into(),
        }))
    }

    /// Prints the growth of both counts.
    pub(crate) fn run(self) -> Result<(), Box<dyn Error>> {
        let before = resident_bytes("self")?;
        Counting::start();
        let store = if self.is_recovered {
            reopen(&self.directory).0
        } else {
            let store = open_on(Real::new(), &self.directory, Durability::None);
            fill(&store, &self.rows, 0..self.rows.keys());
            store
        };
        assert_eq!(store.view().count(ROWS) as u64, self.rows.keys());
        let resident = resident_bytes("self")?.saturating_sub(before);
        println!("{} {resident}", Counting::bytes());
        Ok(())
    }
}
