//! A short slice of fuzzing as a plain test: a target over its corpus, then over seeded mutations of it.
//!
//! Mutation number n is the same in every run, so a failure is found again; how many there are depends on the time that
//! they take. The long run, which looks where the code branches, is `cargo fuzz`: see `fuzz/README.md`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// How long the mutations of one target may take, unless `CUMULOG_FUZZ_SECONDS` says otherwise. At least [`ROUNDS_MIN`]
/// are tried even so.
const TIME: Duration = Duration::from_millis(800);
const ROUNDS_MIN: u64 = 100;

/// Mutations that make an input longer stop here.
const BYTES_MAX: usize = 4096;

/// Runs `target` over `fuzz/corpus/<name>/` and over mutations of what is there.
///
/// # Panics
///
/// When the target does, after printing the input; and when there is no corpus.
pub fn check(name: &str, target: fn(&[u8])) {
    let corpus = corpus(name);
    for input in &corpus {
        run(name, "from the corpus", target, input);
    }
    run(name, "empty", target, &[]);
    let (started, time) = (Instant::now(), time());
    for round in 0.. {
        if round >= ROUNDS_MIN && started.elapsed() > time {
            break;
        }
        let input = Mutator(round).mutation(&corpus);
        run(name, &format!("mutation {round}"), target, &input);
    }
}

fn time() -> Duration {
    let seconds = env::var("CUMULOG_FUZZ_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    seconds.map_or(TIME, Duration::from_secs)
}

/// Where the inputs of a target are.
pub fn corpus_directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(name)
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = corpus_directory(name);
    let entries = fs::read_dir(&directory)
        .unwrap_or_else(|error| panic!("no corpus in {}: {error}", directory.display()));
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the directory can be read").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", directory.display());
    paths
        .iter()
        .map(|path| fs::read(path).expect("corpus files can be read"))
        .collect()
}

fn run(name: &str, origin: &str, target: fn(&[u8]), input: &[u8]) {
    let _failure = Failure {
        name,
        origin,
        input,
    };
    target(input);
}

/// Prints the input when the target panics.
struct Failure<'a> {
    name: &'a str,
    origin: &'a str,
    input: &'a [u8],
}

impl Drop for Failure<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let (name, origin) = (self.name, self.origin);
            eprintln!(
                "target {name}, input {origin}: b\"{}\"",
                self.input.escape_ascii()
            );
        }
    }
}

/// A stream of choices out of a seed (SplitMix64).
struct Mutator(u64);

impl Mutator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Some place in `input`, and a short run of bytes from there.
    fn span(&mut self, input: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(input.len() + 1);
        let bytes = self.below(17).min(input.len() - start);
        start..start + bytes
    }

    fn mutation(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(4) {
            let other = &corpus[self.below(corpus.len())];
            self.change(&mut input, other);
        }
        input.truncate(BYTES_MAX.max(corpus.iter().map(Vec::len).max().unwrap_or(0)));
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        const INTERESTING: [u8; 12] = [
            0, 1, 0x7F, 0x80, 0xFF, b'"', b'\\', b'&', b'<', b'.', b'0', b'\n',
        ];
        let at = self.below(input.len());
        match self.below(8) {
            0 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            1 if !input.is_empty() => input[at] = self.next() as u8,
            2 if !input.is_empty() => input[at] = INTERESTING[self.below(INTERESTING.len())],
            3 => input.insert(at, INTERESTING[self.below(INTERESTING.len())]),
            4 => {
                let span = self.span(input);
                input.drain(span);
            }
            5 => {
                let copied = input[self.span(input)].to_vec();
                input.splice(at..at, copied);
            }
            6 => {
                let copied = other[self.span(other)].to_vec();
                let span = self.span(input);
                input.splice(span, copied);
            }
            _ => {
                let word =
                    [0, 1, u64::MAX, 1 << 31, 1 << 63, self.next()][self.below(6)].to_le_bytes();
                let count = 8.min(input.len() - at.min(input.len()));
                input[at..at + count].copy_from_slice(&word[..count]);
            }
        }
    }
}
