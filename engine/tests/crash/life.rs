//! One life of a store: open it, do a part of the workload, until it ends or the disk fails.
//!
//! The log is stepped by hand, at times made up, so one life does the same to the disk every time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use cumulog_engine::disk::Simulated;
use cumulog_engine::{Compacted, Durability, Error, Lsn, Options, Pace, Pending, Read, Store};

use crate::model::{
    EPHEMERAL, State, Transaction, perform, short_workload, state_of, states, workload,
};
use crate::stepped::{Stepped, answer, released};

/// Where the store is on every simulated disk.
pub(crate) const DIRECTORY: &str = "data/cumulog";

/// How many transactions are committed before the log gets to see them, over and over.
pub(crate) const BATCHES: [usize; 4] = [1, 2, 1, 3];

/// The workload and how the store is to run it.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) transactions: Vec<Transaction>,
    /// After 0, 1, 2, … of them.
    pub(crate) states: Vec<State>,
    pub(crate) options: Options,
    /// How much time passes after each batch: more than the log's timers, and it marks and syncs by itself.
    pub(crate) pause: Duration,
    pub(crate) compactions: Option<Compactions>,
}

/// When the store is compacted meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compactions {
    /// One is asked for before each of so many batches; the first one too.
    pub(crate) every: usize,
    /// How far one gets after each batch, besides what it takes to answer that.
    pub(crate) steps: usize,
}

/// What one life did: numbers of transactions, counted from the start of the workload.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    /// How many the store had when it opened; `None` if it did not.
    pub(crate) opened: Option<usize>,
    /// All up to here were acknowledged.
    pub(crate) acknowledged: usize,
    /// All up to here were shown to a reader.
    pub(crate) shown: usize,
    /// All up to here were reported as synced.
    pub(crate) synced: usize,
    /// None past here was submitted.
    pub(crate) submitted: usize,
    /// Why it ended early.
    pub(crate) error: Option<String>,
}

impl Life {
    fn unopened(known: usize, error: &Error) -> Self {
        let error = Some(describe(error));
        Life {
            opened: None,
            acknowledged: known,
            shown: known,
            synced: 0,
            submitted: known,
            error,
        }
    }

    fn opened(count: usize) -> Self {
        Life {
            opened: Some(count),
            acknowledged: count,
            shown: count,
            synced: 0,
            submitted: count,
            error: None,
        }
    }

    /// The fewest transactions that may be found after a crash.
    pub(crate) fn least(&self) -> usize {
        self.acknowledged.max(self.shown)
    }
}

/// Where a test is; told when it fails there.
pub(crate) struct At(pub(crate) String);

impl Drop for At {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("at {}", self.0);
        }
    }
}

/// An open store whose log is stepped by hand.
pub(crate) struct Session {
    stepped: Stepped,
    pub(crate) store: Store,
}

impl Session {
    /// Lets the log do what there is to do now.
    pub(crate) fn settle(&mut self) {
        self.stepped.settle();
    }

    /// Lets time pass.
    pub(crate) fn pause(&mut self, time: Duration) {
        self.stepped.pause(time);
    }

    /// Lets the log go on until all of these are answered, and some more steps.
    fn settle_only<T>(&mut self, pending: &mut [Pending<T>], more: usize) -> Vec<Result<T, Error>> {
        let mut results = Vec::new();
        for pending in pending {
            results.push(loop {
                match answer(pending) {
                    Some(result) => break result,
                    None => self.stepped.step(),
                };
            });
        }
        for _ in 0..more {
            self.stepped.step();
        }
        results
    }

    /// Commits one transaction.
    pub(crate) fn commit(&mut self, transaction: &Transaction) -> Result<(), Error> {
        let pending = submit(&self.store, transaction);
        self.settle();
        released(pending).map(|result| result.expect("the closure says so"))
    }

    /// Commits several transactions before the log gets to see them; tells of each its number, if it changed anything. With
    /// `steps`, the log goes no further than that after they are answered.
    pub(crate) fn commit_all(
        &mut self,
        batch: &[Transaction],
        steps: Option<usize>,
    ) -> Vec<(Option<Lsn>, Result<(), Error>)> {
        let mut pending: Vec<_> = batch
            .iter()
            .map(|transaction| submit(&self.store, transaction))
            .collect();
        let lsns: Vec<_> = pending.iter().map(Pending::lsn).collect();
        let results = match steps {
            None => {
                self.settle();
                pending.into_iter().map(released).collect()
            }
            Some(steps) => self.settle_only(&mut pending, steps),
        };
        let results = results
            .into_iter()
            .map(|result| result.map(|done| done.expect("the closure says so")));
        lsns.into_iter().zip(results).collect()
    }

    /// Asks for a compaction, which goes on with the log.
    pub(crate) fn begin_compaction(&mut self) {
        drop(self.store.compact(Pace::Full));
    }

    /// Compacts, and waits for that.
    pub(crate) fn compact(&mut self) -> Result<Compacted, Error> {
        let mut asked = self.store.compact(Pace::Full);
        self.settle();
        answer(&mut asked).expect("the log has nothing more to do")
    }

    pub(crate) fn state(&self) -> State {
        state_of(&self.store.view())
    }

    pub(crate) fn close(mut self) -> Result<(), Error> {
        self.stepped.close()
    }
}

/// Queues a transaction, with a change that is not logged.
fn submit(store: &Store, transaction: &Transaction) -> Pending<Result<(), ()>> {
    store.commit(|txn| {
        perform(transaction, txn);
        txn.put(EPHEMERAL, b"key", b"value");
        Ok(())
    })
}

impl Plan {
    pub(crate) fn new(durability: Durability) -> Self {
        let transactions = workload();
        let states = states(&transactions);
        Plan {
            transactions,
            states,
            options: options(durability),
            pause: Duration::ZERO,
            compactions: None,
        }
    }

    /// A short workload with compactions in it.
    pub(crate) fn compacting(durability: Durability, every: usize, steps: usize) -> Self {
        let transactions = short_workload();
        Plan {
            states: states(&transactions),
            transactions,
            compactions: Some(Compactions { every, steps }),
            ..Plan::new(durability)
        }
    }

    pub(crate) fn open(&self, disk: &Simulated) -> Result<Session, Error> {
        let (stepped, recovery) = Stepped::open(disk, DIRECTORY, self.options.clone())?;
        let store = stepped.store.clone();
        assert_eq!(store.view().lsn(), recovery.lsn);
        Ok(Session { stepped, store })
    }

    /// The number of transactions, from `least` to `most`, after which the state is `found`.
    ///
    /// # Panics
    /// If there is none: that is the finding of the whole test.
    pub(crate) fn prefix(&self, found: &State, least: usize, most: usize) -> usize {
        let fits = |count: &usize| self.states[*count] == *found;
        (least..=most)
            .find(fits)
            .unwrap_or_else(|| match (0..self.states.len()).find(fits) {
                Some(count) => {
                    panic!("found the state after {count} transactions, expected {least}..={most}")
                }
                None => panic!(
                    "found a state that never was, with {} entries; expected {least}..={most}",
                    found.len()
                ),
            })
    }

    /// Opens the store, which holds from `least` to `most` transactions, and commits up to `count` of the next ones, each
    /// batch acknowledged before the next; then closes it if `close` says so. Ends at the first error.
    pub(crate) fn live(
        &self,
        disk: &Simulated,
        least: usize,
        most: usize,
        count: usize,
        close: bool,
    ) -> Life {
        let mut session = match self.open(disk) {
            Ok(session) => session,
            Err(error) => return Life::unopened(least, &error),
        };
        assert_eq!(
            session.store.view().get(EPHEMERAL, b"key"),
            None,
            "what is not logged does not survive"
        );
        let mut life = Life::opened(self.prefix(&session.state(), least, most));
        if self.compactions.is_none() {
            session.settle();
        }
        let mut rest = self
            .transactions
            .iter()
            .skip(life.submitted)
            .take(count)
            .collect::<Vec<_>>();
        for (number, size) in BATCHES.into_iter().cycle().enumerate() {
            if rest.is_empty() {
                break;
            }
            if let Some(plan) = self.compactions
                && number % plan.every == 0
            {
                session.begin_compaction();
            }
            let later = rest.split_off(size.min(rest.len()));
            if let Err(error) = self.commit(&mut session, &rest, &mut life) {
                life.error = Some(describe(&error));
                return life;
            }
            rest = later;
        }
        if self.compactions.is_some() && count > 0 {
            session.settle();
            if disk.crashed() {
                life.error = Some("crashed".to_owned());
                return life;
            }
        }
        if close && let Err(error) = session.close() {
            life.error = Some(describe(&error));
        }
        life
    }

    fn commit(
        &self,
        session: &mut Session,
        batch: &[&Transaction],
        life: &mut Life,
    ) -> Result<(), Error> {
        let mut pending: Vec<_> = batch
            .iter()
            .map(|transaction| submit(&session.store, transaction))
            .collect();
        // Refused, but the answer was made from what is not durable yet.
        let mut refused = session.store.commit(|txn| {
            perform(&self.transactions[0], txn);
            Err::<(), ()>(())
        });
        let unanswered = answer(&mut refused).is_none();
        assert!(
            unanswered || session.store.status().poisoned,
            "answered too early"
        );
        assert!(
            session.state() == self.states[life.shown],
            "shown before it is durable"
        );
        life.submitted += batch.len();
        let results = match self.compactions {
            None => {
                session.settle();
                pending.into_iter().map(released).collect()
            }
            Some(plan) => session.settle_only(&mut pending, plan.steps),
        };
        let result = results.into_iter().collect::<Result<Vec<_>, _>>();
        if result.is_ok() {
            life.acknowledged = life.submitted;
        }
        life.shown = self.prefix(
            &session.state(),
            life.acknowledged.max(life.shown),
            life.submitted,
        );
        result?;
        if !self.pause.is_zero() {
            session.pause(self.pause);
        }
        // Every transaction takes one number.
        life.synced = session.store.status().synced.0 as usize;
        Ok(())
    }
}

/// All that a refused opening must leave as it is; the lock names its last owner.
pub(crate) fn files_but_lock(disk: &Simulated) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = disk.files();
    files.retain(|path, _| !path.ends_with("LOCK"));
    files
}

/// An error with its causes.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Small segments, so that the workload rotates them; a seed, so that every run writes the same.
pub(crate) fn options(durability: Durability) -> Options {
    Options {
        durability,
        ephemeral_spaces: vec![EPHEMERAL],
        segment_bytes: 8 << 10,
        seed: Some(1),
        owner: "test".to_owned(),
        ..Options::default()
    }
}
