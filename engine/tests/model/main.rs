//! The engine's whole public API beside a model of plain maps, in random sequences.
//!
//! A run is a list of steps on one directory (or in memory): transactions of all kinds, among them ones that fail or
//! panic, bodies of blobs, views that are held for long, time that passes, ends of all kinds and openings after them. After
//! every step, what readers see is held against the model, and after every opening what was found: it is a state that
//! was there once, whole, not older than what was promised, not newer than what was submitted.
//!
//! The runs of the first seeds are part of every test run; `CUMULOG_MODEL_SEEDS=100000` makes as many, and
//! `CUMULOG_MODEL_SEEDS=17..18` one of them. A failure prints its seed, and the shortest sequence found that fails.

mod run;
mod state;
#[path = "../stepped/mod.rs"]
mod stepped;
mod steps;
mod tables;

use std::ops::Range;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

/// A few seconds' worth.
const SEEDS: Range<u64> = 0..300;

fn seeds(variable: &str) -> Range<u64> {
    let Ok(text) = std::env::var(variable) else {
        return SEEDS;
    };
    let number = |text: &str| text.parse().expect("a number");
    match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => 0..number(&text),
    }
}

/// Checks what a seed makes of a strategy; shrinks what fails.
fn check<S: Strategy>(strategy: &S, seed: u64, test: impl Fn(S::Value)) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let done = TestRunner::new_with_rng(config, rng).run(strategy, |input| {
        test(input);
        Ok(())
    });
    match done {
        Ok(()) => {}
        Err(TestError::Fail(reason, input)) => panic!("seed {seed}: {reason}\n{input:?}"),
        Err(TestError::Abort(reason)) => panic!("seed {seed}: {reason}"),
    }
}

#[test]
fn any_sequence_of_calls_agrees_with_plain_maps() {
    let plan = steps::plan();
    for seed in seeds("CUMULOG_MODEL_SEEDS") {
        check(&plan, seed, |plan| run::Run::new(&plan).check());
    }
}

#[test]
fn any_use_of_a_table_agrees_with_a_map() {
    let steps = tables::steps();
    for seed in seeds("CUMULOG_MODEL_SEEDS") {
        check(&steps, seed, |steps| tables::check(&steps));
    }
}
