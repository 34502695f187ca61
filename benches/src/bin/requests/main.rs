//! Requests per second of the emulator, beside a minimal hyper server that answers 200 to everything.
//!
//! `requests --binary PATH [--connections 32] [--rounds 5] [--seconds 1]`
//!
//! Small requests of DynamoDB and SQS, on connections that are kept open, each waiting for its answer before it sends the
//! next. The load comes from one thread of this process; the minimal server has threads of its own here, as many as the
//! emulator has in its process. The servers take turns in short rounds, so that a noisy machine disturbs all alike; the
//! ratios are of medians over the rounds.
//!
//! It also measures the time from start to the first answer on an empty directory, and the resident memory when idle.

mod client;
mod emulator;
mod minimal;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use client::{Load, Round};
use emulator::Emulator;

struct Arguments {
    binary: PathBuf,
    connections: usize,
    rounds: usize,
    seconds: f64,
}

fn arguments() -> Result<Arguments, lexopt::Error> {
    use lexopt::prelude::*;
    let mut arguments = Arguments {
        binary: PathBuf::from("target/release/cumulog"),
        connections: 32,
        rounds: 5,
        seconds: 1.0,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("binary") => arguments.binary = parser.value()?.into(),
            Long("connections") => arguments.connections = parser.value()?.parse()?,
            Long("rounds") => arguments.rounds = parser.value()?.parse()?,
            Long("seconds") => arguments.seconds = parser.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    Ok(arguments)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    start_up(&arguments)?;
    throughput(&arguments)
}

/// Ready time and idle memory, ephemeral and on an empty directory.
fn start_up(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    for (name, options) in [
        ("ephemeral", None),
        ("process", Some("process")),
        ("power", Some("power")),
    ] {
        let mut ready = Vec::new();
        let mut resident = 0;
        for _ in 0..arguments.rounds.max(1) {
            let emulator = Emulator::start(&arguments.binary, options)?;
            ready.push(emulator.ready.as_secs_f64() * 1e3);
            std::thread::sleep(Duration::from_millis(300));
            resident = emulator.resident_bytes()?;
        }
        let longest = ready.iter().copied().fold(0.0, f64::max);
        println!(
            "{name:9}  ready after {:.1} ms (longest {longest:.1}), idle at {:.1} MB",
            median(&mut ready),
            resident as f64 / 1e6
        );
    }
    println!();
    Ok(())
}

fn throughput(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let minimal = minimal::start()?;
    let ephemeral = Emulator::start(&arguments.binary, None)?;
    let process = Emulator::start(&arguments.binary, Some("process"))?;
    let power = Emulator::start(&arguments.binary, Some("power"))?;
    let servers = [
        ("minimal", minimal),
        ("ephemeral", ephemeral.port),
        ("process", process.port),
        ("power", power.port),
    ];
    for (_, port) in &servers[1..] {
        client::prepare(*port)?;
    }
    let time = Duration::from_secs_f64(arguments.seconds);
    for load in Load::ALL {
        let mut rounds = vec![Vec::new(); servers.len()];
        for _ in 0..arguments.rounds.max(1) {
            for ((_, port), rounds) in servers.iter().zip(&mut rounds) {
                rounds.push(client::run(load, *port, arguments.connections, time)?);
            }
        }
        report(load, &servers.map(|(name, _)| name), &rounds);
    }
    Ok(())
}

fn report(load: Load, names: &[&str], rounds: &[Vec<Round>]) {
    println!("{load:?}");
    let mut rates = Vec::new();
    for (name, rounds) in names.iter().zip(rounds) {
        let rate = median(
            &mut rounds
                .iter()
                .map(|round| round.per_second)
                .collect::<Vec<_>>(),
        );
        let middle = median(
            &mut rounds
                .iter()
                .map(|round| round.median_us)
                .collect::<Vec<_>>(),
        );
        let slow = median(&mut rounds.iter().map(|round| round.p99_us).collect::<Vec<_>>());
        println!("  {name:9} {rate:8.0} requests/s   p50 {middle:6.0} µs   p99 {slow:6.0} µs");
        rates.push(rate);
    }
    println!(
        "  ephemeral ÷ minimal {:.0} %   process ÷ ephemeral {:.0} %   power ÷ ephemeral {:.0} %\n",
        100.0 * rates[1] / rates[0],
        100.0 * rates[2] / rates[1],
        100.0 * rates[3] / rates[1]
    );
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
