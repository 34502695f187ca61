//! Requests per second of the emulator, beside a minimal hyper server that answers 200 to everything.
//!
//! `requests --binary PATH [--connections 32] [--rounds 10] [--seconds 0.5]`
//!
//! Small requests of DynamoDB and SQS, on connections that are kept open, each waiting for its answer before it sends the
//! next. The load comes from one thread of this process; every server is a process of its own, the minimal one too. They
//! take turns in short rounds, so that a noisy machine disturbs all alike; rates are medians over the rounds. Beside them
//! stands the processor time that the server took per request, which depends less on who else uses the machine.
//!
//! It also measures the time from start to the first answer on an empty directory, and the resident memory when idle.

mod client;
mod minimal;
mod server;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use client::{Load, Round};
use server::Server;

struct Arguments {
    /// Be the minimal server, on this port.
    serve: Option<u16>,
    binary: PathBuf,
    connections: usize,
    rounds: usize,
    seconds: f64,
}

fn arguments() -> Result<Arguments, lexopt::Error> {
    use lexopt::prelude::*;
    let mut arguments = Arguments {
        serve: None,
        binary: PathBuf::from("target/release/cumulog"),
        connections: 32,
        rounds: 10,
        seconds: 0.5,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("serve") => arguments.serve = Some(parser.value()?.parse()?),
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
    if let Some(port) = arguments.serve {
        return Ok(minimal::run(port)?);
    }
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
            let emulator = Server::emulator(&arguments.binary, options)?;
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

/// What a server did under one kind of load.
#[derive(Default)]
struct Tally {
    rounds: Vec<Round>,
    requests: usize,
    processor_time: Duration,
}

impl Tally {
    fn per_second(&self) -> f64 {
        self.median(|round| round.per_second)
    }

    fn processor_us(&self) -> f64 {
        self.processor_time.as_secs_f64() * 1e6 / self.requests as f64
    }

    fn median(&self, value: impl Fn(&Round) -> f64) -> f64 {
        median(&mut self.rounds.iter().map(value).collect::<Vec<_>>())
    }
}

fn throughput(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let servers = [
        ("minimal", Server::minimal()?),
        ("ephemeral", Server::emulator(&arguments.binary, None)?),
        (
            "process",
            Server::emulator(&arguments.binary, Some("process"))?,
        ),
        ("power", Server::emulator(&arguments.binary, Some("power"))?),
    ];
    for (_, server) in &servers[1..] {
        client::prepare(server.port)?;
    }
    let time = Duration::from_secs_f64(arguments.seconds);
    for load in Load::ALL {
        let mut tallies = servers.each_ref().map(|_| Tally::default());
        for _ in 0..arguments.rounds.max(1) {
            for ((_, server), tally) in servers.iter().zip(&mut tallies) {
                let before = server.processor_time()?;
                let round = client::run(load, server.port, arguments.connections, time)?;
                tally.processor_time += server.processor_time()? - before;
                tally.requests += round.requests;
                tally.rounds.push(round);
            }
        }
        report(load, &servers.each_ref().map(|(name, _)| *name), &tallies);
    }
    Ok(())
}

fn report(load: Load, names: &[&str; 4], tallies: &[Tally; 4]) {
    println!("{load:?}");
    for (name, tally) in names.iter().zip(tallies) {
        println!(
            "  {name:9} {:8.0} requests/s   p50 {:6.0} µs   p99 {:6.0} µs   processor {:5.1} µs a request",
            tally.per_second(),
            tally.median(|round| round.median_us),
            tally.median(|round| round.p99_us),
            tally.processor_us(),
        );
    }
    let [minimal, ephemeral, process, power] = tallies;
    for (name, above, below) in [
        ("ephemeral ÷ minimal", ephemeral, minimal),
        ("process ÷ ephemeral", process, ephemeral),
        ("power ÷ ephemeral", power, ephemeral),
    ] {
        let rate = 100.0 * above.per_second() / below.per_second();
        let processor = 100.0 * below.processor_us() / above.processor_us();
        println!("  {name:20} {rate:4.0} % by the clock, {processor:4.0} % by processor time");
    }
    println!();
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
