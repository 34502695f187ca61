//! Requests per second of the emulator, beside a minimal hyper server that answers 200 to everything.
//!
//! `requests --binary PATH [--connections 32] [--rounds 7] [--seconds 0.5] [--quick] [--out FILE]`
//!
//! Small requests of DynamoDB and SQS, on connections that are kept open, each waiting for its answer before it sends the
//! next. The load comes from one thread of this process; every server is a process of its own, the minimal one too. They
//! take turns in short rounds, so that a noisy machine disturbs all alike. Beside the rates stands the processor time that
//! the server took per request, which depends less on who else uses the machine.
//!
//! It also measures the time from start to the first answer on an empty directory, and the resident memory when idle.

mod client;
mod minimal;
mod server;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use client::{Load, Round};
use cumulog_benches::results::{Results, Row, Section};
use cumulog_benches::spread::Spread;
use server::Server;

struct Arguments {
    /// Be the minimal server, on this port.
    serve: Option<u16>,
    binary: PathBuf,
    connections: usize,
    rounds: usize,
    seconds: f64,
    quick: bool,
    out: Option<PathBuf>,
}

fn arguments() -> Result<Arguments, lexopt::Error> {
    use lexopt::prelude::*;
    let mut arguments = Arguments {
        serve: None,
        binary: PathBuf::from("target/release/cumulog"),
        connections: 32,
        rounds: 7,
        seconds: 0.5,
        quick: false,
        out: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("serve") => arguments.serve = Some(parser.value()?.parse()?),
            Long("binary") => arguments.binary = parser.value()?.into(),
            Long("connections") => arguments.connections = parser.value()?.parse()?,
            Long("rounds") => arguments.rounds = parser.value()?.parse()?,
            Long("seconds") => arguments.seconds = parser.value()?.parse()?,
            Long("quick") => arguments.quick = true,
            Long("out") => arguments.out = Some(parser.value()?.into()),
            other => return Err(other.unexpected()),
        }
    }
    if arguments.quick {
        arguments.rounds = 2;
        arguments.seconds = 0.1;
    }
    Ok(arguments)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    if let Some(port) = arguments.serve {
        return Ok(minimal::run(port)?);
    }
    let benches = [
        ("start", start as fn(&Arguments, &mut Section) -> _),
        ("requests", throughput),
    ];
    for (name, bench) in benches {
        println!("{name}");
        let directory = arguments.binary.canonicalize()?;
        let mut section = Section::begin(&directory, arguments.quick);
        bench(&arguments, &mut section)?;
        if let Some(out) = &arguments.out {
            Results::save(out, name, section)?;
        }
    }
    Ok(())
}

/// How a server is told what is to survive; nothing for one in memory.
const DURABILITIES: [(&str, Option<&str>); 3] = [
    ("ephemeral", None),
    ("process", Some("process")),
    ("power", Some("power")),
];

/// Ready time and idle memory, ephemeral and on an empty directory.
fn start(arguments: &Arguments, section: &mut Section) -> Result<(), Box<dyn Error>> {
    for (name, durability) in DURABILITIES {
        let mut ready = Vec::new();
        let mut resident = Vec::new();
        for _ in 0..arguments.rounds {
            let emulator = Server::emulator(&arguments.binary, durability)?;
            ready.push(emulator.ready.as_secs_f64() * 1e3);
            std::thread::sleep(Duration::from_millis(300));
            resident.push(emulator.resident_bytes()? as f64 / 1e6);
        }
        section.push(
            Row::default()
                .at("server", name)
                .figure("ready_ms", Spread::of(ready))
                .figure("idle_mb", Spread::of(resident)),
        );
    }
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
    fn all(&self, value: impl Fn(&Round) -> f64) -> Vec<f64> {
        self.rounds.iter().map(value).collect()
    }

    fn figures(&self, row: Row, bare: &Tally) -> Row {
        let rate = |tally: &Tally| tally.all(|round| round.per_second);
        let processor_us = self.processor_time.as_secs_f64() * 1e6 / self.requests as f64;
        row.figure("per_second", Spread::of(rate(self)))
            .figure("of_bare", Spread::ratio(&rate(self), &rate(bare)))
            .figure("p50_us", Spread::of(self.all(|round| round.median_us)))
            .figure("p99_us", Spread::of(self.all(|round| round.p99_us)))
            .figure("processor_us", processor_us)
    }
}

fn throughput(arguments: &Arguments, section: &mut Section) -> Result<(), Box<dyn Error>> {
    let mut servers = vec![("bare", Server::minimal()?)];
    for (name, durability) in DURABILITIES {
        let server = Server::emulator(&arguments.binary, durability)?;
        client::prepare(server.port)?;
        servers.push((name, server));
    }
    let time = Duration::from_secs_f64(arguments.seconds);
    for load in Load::ALL {
        let mut tallies: Vec<Tally> = servers.iter().map(|_| Tally::default()).collect();
        for _ in 0..arguments.rounds {
            for ((_, server), tally) in servers.iter().zip(&mut tallies) {
                let before = server.processor_time()?;
                let round = client::run(load, server.port, arguments.connections, time)?;
                tally.processor_time += server.processor_time()? - before;
                tally.requests += round.requests;
                tally.rounds.push(round);
            }
        }
        for ((name, _), tally) in servers.iter().zip(&tallies) {
            let row = Row::default()
                .at("request", format!("{load:?}"))
                .at("server", *name);
            section.push(tally.figures(row, &tallies[0]));
        }
    }
    Ok(())
}
