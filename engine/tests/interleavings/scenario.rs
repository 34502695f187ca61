//! What the threads do, and what must hold meanwhile and afterwards.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cumulog_engine::disk::{Crash, Fault, Faults, Loss, Simulated};
use cumulog_engine::{Durability, Error, Options, Pace, Pending, Read, Space, Store, Table, View};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::thread;

const DIRECTORY: &str = "data";

/// How many transactions there were, as each of them counts on.
const TOTAL: Table<(), u64> = Table::new(Space::new(0x1000, "test/total"));

/// By client and the client's own count: the number in the whole, and bytes to fill the log.
const NOTES: Table<Note, (u64, Vec<u8>)> = Table::new(Space::new(0x1001, "test/notes"));

const UNLOGGED: Space = Space::new(0x1002, "test/unlogged");

type Note = (u32, u64);

/// As many times others may go first.
const PATIENCE: u32 = 3000;

/// More operations of the disk than the opening takes.
const OPENING: u64 = 6;

/// What the threads are up to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trouble {
    None,
    /// An operation of the disk fails.
    Error,
    /// The disk gets full.
    Full,
    /// The store is closed while all are at work.
    Close,
    /// The log is compacted, twice.
    Compact,
    /// The log is compacted while an operation of the disk fails.
    CompactWithError,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) durability: Durability,
    pub(crate) trouble: Trouble,
    pub(crate) clients: u32,
    pub(crate) commits: u64,
    /// Does nobody do anything but commit, and nothing come to the aid of who is not woken?
    pub(crate) is_bare: bool,
    pub(crate) sync_delay: Duration,
    pub(crate) mark_delay: Duration,
}

/// What became known so far. Its lock is held for moments without a switch.
#[derive(Default)]
struct Known {
    acknowledged: BTreeSet<Note>,
    /// Refused for good.
    refused: BTreeSet<Note>,
    /// Whose callbacks ran, in that order.
    called: Vec<Note>,
}

#[derive(Clone)]
struct World {
    scenario: Scenario,
    disk: Simulated,
    store: Store,
    known: Arc<Mutex<Known>>,
}

impl Scenario {
    /// Without deadlines, nothing but being woken gets anybody on.
    pub(crate) fn run(mut self) {
        let delays = [Duration::ZERO, Duration::from_millis(80), Duration::MAX];
        self.sync_delay = delays[thread_rng().gen_range(0..3)];
        self.mark_delay = delays[thread_rng().gen_range(0..3)];
        if self.is_bare {
            (self.sync_delay, self.mark_delay) = (Duration::MAX, Duration::MAX);
        }
        let disk = Simulated::new(self.faults());
        let store = self.open(&disk).expect("it fails later");
        let world = World {
            scenario: self,
            disk,
            store,
            known: Arc::default(),
        };
        if self.is_bare {
            // Else the first commit wakes the log, which has a deadline to note, and so does the preparation of the next
            // segment once it is done.
            let first = (u32::MAX, 0);
            world.wait(first, world.write(first));
            (0..200).for_each(|_| thread::yield_now());
        }
        let clients =
            (0..self.clients).map(|client| world.spawn(move |world| world.client(client)));
        let mut threads: Vec<_> = clients.collect();
        if !self.is_bare {
            threads.push(world.spawn(World::reader));
        }
        if self.trouble == Trouble::Close {
            threads.push(world.spawn(|world| world.store.close().expect("the disk is whole")));
        }
        if matches!(self.trouble, Trouble::Compact | Trouble::CompactWithError) {
            threads.push(world.spawn(World::compact));
        }
        for thread in threads {
            thread.join().expect("no thread panics");
        }
        if matches!(self.trouble, Trouble::None | Trouble::Compact)
            && self.sync_delay != Duration::MAX
        {
            world.require_sync();
        }
        world.end();
    }

    fn may_fail(&self) -> bool {
        let troubles = [Trouble::Error, Trouble::Full, Trouble::CompactWithError];
        troubles.contains(&self.trouble)
    }

    fn faults(&self) -> Faults {
        let mut random = thread_rng();
        let mut faults = Faults::default();
        match self.trouble {
            Trouble::Error | Trouble::CompactWithError => {
                let fault = [Fault::Io, Fault::Full, Fault::Short(40)][random.gen_range(0..3)];
                faults.errors.insert(random.gen_range(OPENING..70), fault);
            }
            Trouble::Full => faults.full_from = Some(random.gen_range(OPENING..70)),
            Trouble::None | Trouble::Close | Trouble::Compact => {}
        }
        faults
    }

    fn open(&self, disk: &Simulated) -> Result<Store, Error> {
        let mut random = thread_rng();
        let options = Options {
            durability: self.durability,
            ephemeral_spaces: vec![UNLOGGED],
            queue_bytes_max: [200, 1000, 8 << 20][random.gen_range(0..3)],
            segment_bytes: 9 << 10,
            sync_delay: self.sync_delay,
            mark_delay: self.mark_delay,
            // Only when it is asked for: else there is always a deadline.
            compaction_bytes_min: u64::MAX,
            owner: "test".to_owned(),
            ..Options::default()
        };
        let (store, _) = Store::open(Arc::new(disk.clone()), Path::new(DIRECTORY), options)?;
        Ok(store)
    }
}

impl World {
    fn spawn(&self, body: impl FnOnce(&World) + Send + 'static) -> thread::JoinHandle<()> {
        let world = self.clone();
        thread::spawn(move || body(&world))
    }

    fn known<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.known.lock().expect("no panic"))
    }

    fn client(&self, client: u32) {
        if self.scenario.is_bare {
            let note = (client, 0);
            return self.wait(note, self.write(note));
        }
        let mut waiting = Vec::new();
        for count in 0..self.scenario.commits {
            match thread_rng().gen_range(0..10) {
                0 => self.fail(),
                1 => self.panic(),
                2 => self.look(),
                3 => self.write_unlogged(),
                _ => {}
            }
            if thread_rng().gen_bool(0.3) {
                shuttle::future::block_on(self.store.admission());
            }
            waiting.push(((client, count), self.write((client, count))));
            if thread_rng().gen_bool(0.6) {
                waiting
                    .drain(..)
                    .for_each(|(note, pending)| self.wait(note, pending));
            }
        }
        waiting
            .into_iter()
            .for_each(|(note, pending)| self.wait(note, pending));
    }

    fn write(&self, note: Note) -> Pending<Result<u64, ()>> {
        let known = self.known.clone();
        self.store.commit(|txn| {
            let number = total(txn) + 1;
            TOTAL.put(txn, &(), &number);
            NOTES.put(txn, &note, &(number, vec![note.0 as u8; 700]));
            txn.on_publish(|| resume_unwind(Box::new("a bug of a callback")));
            txn.on_publish(move || known.lock().expect("no panic").called.push(note));
            Ok(number)
        })
    }

    fn wait(&self, note: Note, pending: Pending<Result<u64, ()>>) {
        match pending.wait() {
            Ok(number) => {
                self.known(|known| known.acknowledged.insert(note));
                let view = self.store.view();
                let found = NOTES.get(&view, &note).expect("it decodes");
                let found = found.map(|(number, _)| number);
                assert_eq!(
                    found,
                    Some(number.expect("it succeeds")),
                    "acknowledged, not seen"
                );
            }
            Err(error) => self.failed(note, &error),
        }
    }

    fn failed(&self, note: Note, error: &Error) {
        let expected = match self.scenario.trouble {
            Trouble::None | Trouble::Compact => false,
            Trouble::Close => matches!(error, Error::Closed),
            Trouble::Error | Trouble::Full | Trouble::CompactWithError => true,
        };
        assert!(expected, "{error}");
        if !matches!(error, Error::Uncertain { .. } | Error::Poisoned { .. }) {
            self.known(|known| known.refused.insert(note));
        }
        let seen = NOTES.contains(&self.store.view(), &note);
        assert!(!seen, "refused, and seen: {error}");
    }

    /// A failing transaction tells of a state; that must be there to be seen.
    fn fail(&self) {
        let failing = self.store.commit(|txn| {
            let seen = total(txn);
            TOTAL.put(txn, &(), &(seen + 100));
            txn.on_publish(|| panic!("it was not published"));
            Err::<(), u64>(seen)
        });
        if let Ok(Err(seen)) = failing.wait() {
            assert!(
                total(&self.store.view()) >= seen,
                "told of what nobody may know yet"
            );
        }
    }

    fn look(&self) {
        let looking = self.store.commit(|txn| Ok::<u64, ()>(total(txn)));
        if let Ok(Ok(seen)) = looking.wait() {
            assert!(
                total(&self.store.view()) >= seen,
                "told of what nobody may know yet"
            );
        }
    }

    fn panic(&self) {
        let panicking = AssertUnwindSafe(|| {
            self.store.commit(|txn| -> Result<(), ()> {
                let seen = total(txn);
                TOTAL.put(txn, &(), &(seen + 100));
                resume_unwind(Box::new("a bug of a closure"));
            })
        });
        catch_unwind(panicking).expect_err("it panics");
    }

    fn write_unlogged(&self) {
        let seen = self.store.commit(|txn| {
            txn.put(UNLOGGED, b"key", b"value");
            Ok::<u64, ()>(total(txn))
        });
        if let Ok(Ok(seen)) = seen.wait() {
            let view = self.store.view();
            assert!(total(&view) >= seen && view.get(UNLOGGED, b"key").is_some());
        }
    }

    fn compact(&self) {
        for pace in [Pace::Full, Pace::Gentle] {
            let done = self.store.compact(pace).wait();
            let view = self.store.view();
            match done {
                Ok(compacted) => assert!(compacted.lsn <= view.lsn()),
                Err(error) => assert!(self.scenario.may_fail(), "{error}"),
            }
        }
    }

    /// Looks again and again; once, at how much of it survives.
    fn reader(&self) {
        let mut last = self.store.view();
        for look in 0..4 {
            let view = self.store.view();
            assert!(view.lsn() >= last.lsn(), "it went back");
            require_no_gap(&view);
            if look == 2 {
                let acknowledged = self.known(|known| known.acknowledged.clone());
                self.require_survival(&view, &acknowledged, self.crash());
            }
            require_no_gap(&last);
            last = view;
        }
    }

    fn crash(&self) -> Crash {
        match self.scenario.durability {
            Durability::Power => Crash::Power(Loss::All),
            Durability::Process | Durability::None => Crash::Process(0),
        }
    }

    /// Opens the disk as a crash now leaves it.
    fn found(&self, crash: Crash) -> (View, bool) {
        let disk = Arc::new(self.disk.restart(crash, Faults::default()));
        let options = Options {
            owner: "test".to_owned(),
            ..Options::default()
        };
        let (store, _driver, recovery) =
            Store::open_stepped(disk, Path::new(DIRECTORY), options).expect("the disk is whole");
        (store.view(), recovery.clean)
    }

    fn require_survival(&self, view: &View, acknowledged: &BTreeSet<Note>, crash: Crash) -> bool {
        // Before: what is refused only after the crash may be found.
        let refused = self.known(|known| known.refused.clone());
        let (found, clean) = self.found(crash);
        require_no_gap(&found);
        let (shown, found) = (notes(view), notes(&found));
        assert!(
            shown.is_subset(&found),
            "shown, and lost: {:?}",
            shown.difference(&found)
        );
        assert!(acknowledged.is_subset(&found), "acknowledged, and lost");
        assert!(found.is_disjoint(&refused), "refused, and found");
        clean
    }

    /// What is written is synced after a while, though nobody asks for anything.
    fn require_sync(&self) {
        let written = self.store.status().head;
        let is_synced = |_: &u32| {
            thread::yield_now();
            self.store.status().synced >= written || self.scenario.durability == Durability::None
        };
        assert!((0..PATIENCE).any(|turn| is_synced(&turn)), "never synced");
    }

    fn end(&self) {
        let closed = self.store.close();
        let view = self.store.view();
        require_no_gap(&view);
        let known = self.known(std::mem::take);
        self.known(|later| later.refused.clone_from(&known.refused));
        let shown = notes(&view);
        assert!(
            known.acknowledged.is_subset(&shown),
            "acknowledged, not seen"
        );
        assert!(shown.is_disjoint(&known.refused), "refused, and seen");
        assert_eq!(known.called.iter().copied().collect::<BTreeSet<_>>(), shown);
        let number = |note| {
            NOTES
                .get(&view, note)
                .expect("it decodes")
                .expect("shown")
                .0
        };
        let called: Vec<u64> = known.called.iter().map(number).collect();
        assert!(
            called.is_sorted_by(|one, next| one < next),
            "callbacks in another order"
        );
        match closed {
            Ok(()) => {
                let crash = Crash::Power(Loss::All);
                assert!(
                    self.require_survival(&view, &known.acknowledged, crash),
                    "not clean"
                );
            }
            Err(error) => {
                assert!(self.scenario.may_fail(), "{error}");
                self.require_survival(&view, &known.acknowledged, self.crash());
            }
        }
        let late = self.write((u32::MAX, 1)).wait();
        let refused = matches!(late, Err(Error::Closed | Error::Poisoned { .. }));
        assert!(refused, "{late:?}");
    }
}

fn total(read: &impl Read) -> u64 {
    TOTAL.get(read, &()).expect("it decodes").unwrap_or(0)
}

fn notes(view: &View) -> BTreeSet<Note> {
    let rows = NOTES.scan(view, &()).map(|row| row.expect("it decodes"));
    rows.map(|(note, _)| note).collect()
}

/// Every transaction built on all of those before it.
fn require_no_gap(view: &View) {
    let rows = NOTES.scan(view, &()).map(|row| row.expect("it decodes"));
    let mut numbers: Vec<u64> = rows.map(|(_, (number, _))| number).collect();
    numbers.sort_unstable();
    assert_eq!(
        numbers,
        (1..=total(view)).collect::<Vec<_>>(),
        "not a prefix"
    );
}
