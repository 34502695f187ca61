//! The same commits, reads and openings by the engine and by other embedded stores.
//!
//! `peers [peers-commit] [peers-read] [peers-open] [--quick] [--directory DIR] [--out FILE]`
//!
//! Every store gets what its documentation recommends for many threads that each commit small transactions, and otherwise
//! its defaults; `subjects/` says for each what that is and what its levels of durability guarantee. All of them take turns
//! in one run, with the raw system calls between them.

mod commit;
mod open;
mod read;
mod subjects;

use std::error::Error;

use cumulog_benches::settings::Settings;

fn main() -> Result<(), Box<dyn Error>> {
    Settings::from_command_line()?.run(&[
        ("peers-commit", commit::bench),
        ("peers-read", read::bench),
        ("peers-open", open::bench),
    ])
}
