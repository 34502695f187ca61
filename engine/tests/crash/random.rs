//! Long histories by seed: one directory through many lives, each with random transactions, faults and pauses, each ended
//! by a random crash.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cumulog_engine::disk::{
    Crash, Fault, Faults, Loss, NameOrder, Operation, OperationKind, Simulated,
};
use cumulog_engine::{Durability, Error, verify};

use crate::life::{At, DIRECTORY, Plan, Session, describe};
use crate::model::{Effect, SPACES, State, Transaction, apply, put};

const LIVES: usize = 10;
const BATCHES_MAX: u64 = 30;

/// The same numbers for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn transaction(&mut self) -> Transaction {
        (0..=self.below(4)).map(|_| self.effect()).collect()
    }

    fn effect(&mut self) -> Effect {
        let space = self.below(SPACES.len() as u64) as usize;
        let key = format!("{}/{}", self.below(3), self.below(8));
        let bytes = if self.one_in(10) {
            self.below(6000)
        } else {
            self.below(60)
        } as usize;
        match self.below(12) {
            0 => Effect::DeletePrefix(space, key.as_bytes()[..2].to_vec()),
            1 | 2 => Effect::Delete(space, key.into_bytes()),
            _ => put(space, key, vec![self.below(256) as u8; bytes]),
        }
    }

    fn faults(&mut self, name_order: NameOrder) -> Faults {
        let mut faults = Faults {
            name_order,
            ..Faults::default()
        };
        if !self.one_in(3) {
            faults.crash_at = Some(self.below(120));
        }
        if self.one_in(3) {
            let short = self.below(2000) as usize;
            let fault = [Fault::Io, Fault::Full, Fault::Short(short)][self.below(3) as usize];
            faults.errors.insert(self.below(100), fault);
        }
        if self.one_in(4) {
            faults.space_bytes = Some(self.below(60_000));
        }
        faults
    }

    fn crash(&mut self) -> Crash {
        if self.one_in(3) {
            return Crash::Process(self.below(256) as u8);
        }
        let seed = self.below(1000);
        let losses = [
            Loss::All,
            Loss::None,
            Loss::Prefix(seed as usize % 8),
            Loss::Garbage(seed),
            Loss::Zeros,
        ];
        Crash::Power(if self.one_in(2) {
            Loss::Torn(seed)
        } else {
            losses[self.below(5) as usize]
        })
    }
}

/// Whatever a crash leaves, it is no damage.
fn check_verified(disk: &Simulated) {
    let copy = Arc::new(disk.restart(Crash::Process(0), Faults::default()));
    // There may be no directory yet.
    if let Ok(verified) = verify(copy, Path::new(DIRECTORY)) {
        assert!(verified.report.is_healthy(), "{:#?}", verified.report);
    }
}

/// What the directory must hold.
struct History {
    plan: Plan,
    /// By the number of the last transaction.
    states: Vec<State>,
    /// What may follow them: of each batch since whose outcome nobody knows, the states after its transactions.
    uncertain: Vec<Vec<State>>,
    /// Up to here it survives a kill, and at `power` all else.
    acknowledged: usize,
    synced: usize,
    /// So much of what is acknowledged is left if the disk lied: of what an opening shows, none of that which it found in the
    /// cache.
    trusted: usize,
}

impl History {
    fn new(durability: Durability) -> Self {
        let mut plan = Plan::new(durability);
        // So that some begin by themselves.
        plan.options.compaction_bytes_min = 12_000;
        History {
            plan,
            states: vec![State::new()],
            uncertain: Vec::new(),
            acknowledged: 0,
            synced: 0,
            trusted: 0,
        }
    }

    /// Opens the directory as the last crash left it, and goes on until this one.
    fn live(&mut self, disk: &Simulated, random: &mut Random) {
        check_verified(disk);
        let mut session = match self.plan.open(disk) {
            Ok(session) => session,
            Err(error) => {
                let damaged = matches!(error, Error::Corrupt { .. } | Error::NewerFormat { .. });
                return assert!(!damaged, "{}", describe(&error));
            }
        };
        self.check_found(&session);
        for _ in 0..random.below(BATCHES_MAX) {
            let batch: Vec<_> = (0..=random.below(3))
                .map(|_| random.transaction())
                .collect();
            if random.one_in(5) {
                session.begin_compaction();
            }
            let steps = random.one_in(3).then(|| random.below(20) as usize);
            self.commit(&mut session, &batch, steps);
            if random.one_in(4) {
                session.pause(Duration::from_millis(random.below(300)));
            }
            self.synced = session.store.status().synced.0 as usize;
            if disk.crashed() {
                return;
            }
        }
        if random.one_in(2) {
            // Whether that succeeds or not, the crash comes.
            let _ = session.close();
        }
    }

    fn check_found(&mut self, session: &Session) {
        let found = session.store.view().lsn().0 as usize;
        let state = session.state();
        assert!(
            found >= self.acknowledged,
            "found {found} transactions of {}",
            self.acknowledged
        );
        if found >= self.states.len() {
            let index = found - self.states.len();
            let fits = |states: &Vec<State>| states.get(index) == Some(&state);
            let followed = std::mem::take(&mut self.uncertain).into_iter().find(fits);
            self.states
                .extend(followed.expect("found transactions that nobody committed"));
        }
        assert!(
            state == self.states[found],
            "found {found} transactions, but not their state"
        );
        self.states.truncate(found + 1);
        self.uncertain.clear();
        self.acknowledged = found;
        self.synced = session.store.status().synced.0 as usize;
    }

    fn commit(&mut self, session: &mut Session, batch: &[Transaction], steps: Option<usize>) {
        let mut state = self.states[self.acknowledged].clone();
        let mut uncertain = Vec::new();
        for (transaction, (lsn, result)) in batch.iter().zip(session.commit_all(batch, steps)) {
            match result {
                Ok(()) => apply(transaction, &mut state),
                Err(Error::NoSpace { .. }) => continue,
                Err(_) => apply(transaction, &mut state),
            }
            // What changes nothing takes no number.
            if lsn.is_none() {
                continue;
            }
            if result.is_err() {
                uncertain.push(state.clone());
            } else {
                self.states.push(state.clone());
                self.acknowledged += 1;
                // Whatever comes after what was found, the copies of that come first.
                self.trusted = self.acknowledged;
                self.uncertain.clear();
            }
        }
        self.uncertain.push(uncertain);
        assert!(
            session.state() == self.states[self.acknowledged],
            "readers see what was acknowledged"
        );
    }

    /// What `crash` leaves of the promises. The limit that `log/mod.rs` documents: if a sync of the same bytes failed before,
    /// and the disk kept the opening from copying them, a loss of power takes what was only shown.
    fn survive(&mut self, crash: Crash, lied: bool) {
        if matches!(crash, Crash::Power(_)) {
            if lied {
                self.acknowledged = self.trusted;
            }
            self.trusted = self.acknowledged;
        }
        if self.plan.options.durability == Durability::Process && matches!(crash, Crash::Power(_)) {
            self.acknowledged = self.acknowledged.min(self.synced);
        }
    }
}

/// Whether a sync of bytes failed. A recovery then has to copy what it covered, and a full disk may keep it from that.
fn bytes_failed(disk: &Simulated) -> bool {
    let failed = |operation: &Operation| {
        operation.kind == OperationKind::SyncData && disk.failed(operation.number)
    };
    disk.trace().iter().any(failed)
}

/// Whether a sync of names failed. File systems give up then, until the machine starts anew: another process on the same
/// one could not tell which names will stay.
fn names_failed(disk: &Simulated) -> bool {
    let failed = |operation: &Operation| {
        operation.kind == OperationKind::SyncDirectory && disk.failed(operation.number)
    };
    disk.trace().iter().any(failed)
}

fn check(durability: Durability, seed: u64) {
    let mut random = Random(seed);
    let name_order = if seed.is_multiple_of(2) {
        NameOrder::Any
    } else {
        NameOrder::Prefix
    };
    let mut history = History::new(durability);
    let mut faults = random.faults(name_order);
    let mut disk = Simulated::new(faults.clone());
    let mut tainted = false;
    for life in 0..LIVES {
        let _at = At(format!("seed {seed}, life {life}"));
        history.live(&disk, &mut random);
        let crash = if names_failed(&disk) {
            Crash::Power(Loss::Torn(seed))
        } else {
            random.crash()
        };
        let is_limited = faults.space_bytes.is_some() || !faults.errors.is_empty();
        history.survive(crash, tainted && is_limited);
        tainted = (tainted || bytes_failed(&disk)) && matches!(crash, Crash::Process(_));
        faults = random.faults(name_order);
        disk = disk.restart(crash, faults.clone());
    }
}

/// The first hundred, or as many as `CUMULOG_CRASH_SEEDS` says.
fn seeds() -> Range<u64> {
    let count =
        std::env::var("CUMULOG_CRASH_SEEDS").map_or(100, |count| count.parse().expect("a number"));
    0..count
}

#[test]
fn histories_at_power_keep_what_was_acknowledged() {
    seeds().for_each(|seed| check(Durability::Power, seed));
}

#[test]
fn histories_at_process_keep_what_was_synced() {
    seeds().for_each(|seed| check(Durability::Process, seed));
}
