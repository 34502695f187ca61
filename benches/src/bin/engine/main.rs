//! Benchmarks of the engine, each beside a control in the same run.
//!
//! `engine [commit] [replay] [open] [compaction] [space] [memory] [blobs] [--quick] [--directory DIR] [--out FILE]`

mod blobs;
mod commit;
mod compaction;
mod memory;
mod open;
mod replay;
mod store;

use std::error::Error;

use cumulog_benches::memory::Counting;
use cumulog_benches::settings::Settings;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(case) = memory::Case::from_command_line()? {
        return case.run();
    }
    Settings::from_command_line()?.run(&[
        ("commit", commit::bench),
        ("replay", replay::bench),
        ("open", open::bench),
        ("compaction", compaction::pauses),
        ("space", compaction::space),
        ("memory", memory::bench),
        ("blobs", blobs::bench),
    ])
}
