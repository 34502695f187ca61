//! Clients: each asks for one thing, waits until it is done, then asks for the next.

use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

/// What clients did.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// In nanoseconds, one for each operation.
    latencies: Vec<u32>,
    elapsed: Duration,
}

impl Round {
    /// How many operations were done.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// Operations per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.operations() as f64 / self.elapsed.as_secs_f64()
    }

    /// Adds what was done after it.
    pub fn append(&mut self, mut later: Round) {
        self.latencies.append(&mut later.latencies);
        self.elapsed += later.elapsed;
    }

    /// The latencies in microseconds that these shares of the operations did not exceed.
    #[must_use]
    pub fn percentiles_us<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let last = latencies.len().saturating_sub(1);
        shares.map(|share| {
            let index = (latencies.len() as f64 * share) as usize;
            latencies
                .get(index.min(last))
                .map_or(f64::NAN, |nanoseconds| f64::from(*nanoseconds) / 1e3)
        })
    }

    /// The longest one, in microseconds.
    #[must_use]
    pub fn longest_us(&self) -> f64 {
        let longest = self.latencies.iter().max();
        longest.map_or(f64::NAN, |nanoseconds| f64::from(*nanoseconds) / 1e3)
    }

    fn record(&mut self, latency: Duration) {
        let nanoseconds = u32::try_from(latency.as_nanos()).unwrap_or(u32::MAX);
        self.latencies.push(nanoseconds);
    }
}

/// One operation after the other by this thread.
pub fn one(time: Duration, operation: impl FnMut(u64)) -> Round {
    let end = Instant::now() + time;
    repeat(|now| now < end, Duration::ZERO, operation)
}

/// Clients that are threads. `operation` gets a number that no other client gets, and blocks until it is done.
pub fn threads(clients: u64, time: Duration, operation: impl Fn(u64) + Sync) -> Round {
    let end = OnceLock::new();
    let goes_on = |now| now < *end.get_or_init(|| now + time);
    threads_while(clients, goes_on, Duration::ZERO, operation)
}

/// Clients that are threads, that stop when told to, and that rest after each operation.
pub fn threads_while(
    clients: u64,
    goes_on: impl Fn(Instant) -> bool + Sync,
    pause: Duration,
    operation: impl Fn(u64) + Sync,
) -> Round {
    let ready = Barrier::new(clients as usize + 1);
    let (ready, goes_on, operation) = (&ready, &goes_on, &operation);
    let client = |client: u64| {
        ready.wait();
        repeat(goes_on, pause, |number| {
            operation(number * clients + client)
        })
    };
    thread::scope(|scope| {
        let handles: Vec<_> = (0..clients)
            .map(|number| scope.spawn(move || client(number)))
            .collect();
        ready.wait();
        let start = Instant::now();
        let rounds = handles
            .into_iter()
            .map(|handle| handle.join().expect("no client panics"));
        merge(rounds, start)
    })
}

fn repeat(
    goes_on: impl Fn(Instant) -> bool,
    pause: Duration,
    mut operation: impl FnMut(u64),
) -> Round {
    let mut round = Round::default();
    let start = Instant::now();
    let mut now = start;
    while goes_on(now) {
        operation(round.operations());
        let done = Instant::now();
        round.record(done - now);
        now = done;
        if !pause.is_zero() {
            thread::sleep(pause);
            now = Instant::now();
        }
    }
    round.elapsed = start.elapsed();
    round
}

/// Clients that are tasks, as in a server. `operation` gets a number that no other client gets.
///
/// After each operation a client lets others run, as a server's connection does when it waits for its next request.
pub fn tasks<F>(
    runtime: &Runtime,
    clients: u64,
    time: Duration,
    operation: impl Fn(u64) -> F + Send + Sync + 'static,
) -> Round
where
    F: Future<Output = ()> + Send,
{
    let operation = Arc::new(operation);
    let start = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let operation = operation.clone();
            runtime.spawn(async move {
                let mut round = Round::default();
                let mut number = client;
                loop {
                    let asked = Instant::now();
                    if asked >= start + time {
                        return round;
                    }
                    operation(number).await;
                    round.record(asked.elapsed());
                    number += clients;
                    if clients > 1 {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    let rounds = tasks
        .into_iter()
        .map(|task| runtime.block_on(task).expect("no client panics"));
    merge(rounds, start)
}

fn merge(rounds: impl Iterator<Item = Round>, start: Instant) -> Round {
    let mut all = Round::default();
    rounds.for_each(|round| all.append(round));
    all.elapsed = start.elapsed();
    all
}
