//! What the benchmarks share.
//!
//! `./bench` runs them all; its header says how to run some. The programs:
//!
//! - `engine` (`src/bin/engine`): commits, replay, opening, compaction, memory and blobs;
//! - `peers` (`peers/`, a workspace of its own): the same commits, reads and openings by other embedded stores;
//! - `requests` (`src/bin/requests`): the emulator's requests beside those of a bare HTTP server;
//! - `report` (`src/bin/report`): the tables and plots of `docs/`, from what the others measured.
//!
//! Absolute numbers of a shared machine say little, so every benchmark measures a control or a peer in the same run, in
//! rounds that take turns, and tells the ratio: median and range over the rounds.

pub mod clients;
pub mod control;
pub mod disk;
pub mod machine;
pub mod memory;
pub mod results;
pub mod rows;
pub mod settings;
pub mod spread;
