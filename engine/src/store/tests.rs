//! The store over a simulated disk, driven by hand.

mod compaction;
mod hooked;

use super::*;
use crate::disk::{Crash, Fault, Faults, Loss, OperationKind, Real, Simulated};
use crate::{Next, Read};
use hooked::Hooked;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

const SPACE: Space = Space::new(0x100, "test/space");
const PASSING: Space = Space::new(0x200, "test/passing");

/// A store on a disk, and what drives its log.
struct Lab {
    store: Store,
    driver: Driver,
    recovery: Recovery,
    now: Instant,
}

fn options(durability: Durability) -> Options {
    Options {
        durability,
        ephemeral_spaces: vec![PASSING],
        segment_bytes: 64 << 10,
        seed: Some(1),
        ..Options::default()
    }
}

impl Lab {
    fn open(disk: &Simulated) -> Lab {
        Lab::open_with(disk, options(Durability::Power))
    }

    fn open_with(disk: &Simulated, options: Options) -> Lab {
        Lab::try_open(disk, options).expect("it opens")
    }

    fn try_open(disk: &Simulated, options: Options) -> Result<Lab, Error> {
        Lab::try_open_on(Arc::new(disk.clone()), options)
    }

    /// Slow work goes to threads, and the log itself is still driven by hand.
    fn in_background(disk: Hooked) -> Lab {
        let options = Options {
            seed: None,
            sync_delay: Duration::ZERO,
            ..options(Durability::Process)
        };
        let mut lab = Lab::try_open_on(Arc::new(disk), options).expect("it opens");
        lab.driver.go_to_background().expect("there are threads");
        lab
    }

    fn try_open_on(disk: Arc<dyn Disk>, options: Options) -> Result<Lab, Error> {
        let (store, driver, recovery) = Store::open_stepped(disk, Path::new("data"), options)?;
        Ok(Lab {
            store,
            driver,
            recovery,
            now: Instant::now(),
        })
    }

    /// Does all there is to do now.
    fn settle(&mut self) {
        while self.driver.step(self.now) == Next::Again {}
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<Option<Lsn>, Error> {
        let done = self.queue(key, value);
        let lsn = done.lsn();
        self.settle();
        done.wait().map(|_| lsn)
    }

    fn queue(&self, key: &str, value: &[u8]) -> Pending<Result<(), ()>> {
        self.store.commit(|txn| {
            txn.put(SPACE, key.as_bytes(), value);
            Ok(())
        })
    }

    fn keys(&self) -> String {
        keys(&self.store.view(), SPACE)
    }

    fn close(mut self) {
        self.store.shared.begin_close();
        self.settle();
        self.store.close().expect("it closes");
    }
}

fn keys(read: &impl Read, space: Space) -> String {
    let range = read.range(space, Bound::Unbounded, Bound::Unbounded);
    let keys: Vec<_> = range
        .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
        .collect();
    keys.join(" ")
}

#[test]
fn what_was_acknowledged_is_there_after_a_close_a_kill_and_a_power_cut() {
    for crash in [
        None,
        Some(Crash::Process(255)),
        Some(Crash::Power(Loss::All)),
    ] {
        let disk = Simulated::default();
        let mut lab = Lab::open(&disk);
        lab.put("a", b"1").expect("there is a disk");
        lab.put("b", b"2").expect("there is a disk");
        let disk = match crash {
            None => {
                lab.close();
                disk
            }
            Some(crash) => disk.restart(crash, Faults::default()),
        };
        let mut lab = Lab::open(&disk);
        assert_eq!(lab.keys(), "a b", "{crash:?}");
        assert_eq!(lab.recovery.clean, crash.is_none());
        assert_eq!((lab.recovery.lsn, lab.recovery.records), (Lsn(2), 2));
        assert_eq!(lab.put("c", b"3").expect("there is a disk"), Some(Lsn(3)));
        lab.close();
        assert_eq!(Lab::open(&disk).keys(), "a b c");
    }
}

/// The number that the next disk operation of this kind will have, seen by doing `work` on a copy of the disk.
fn next_operation(disk: &Simulated, kind: OperationKind, work: impl FnOnce(&Simulated)) -> u64 {
    let copy = disk.restart(Crash::Power(Loss::None), Faults::default());
    work(&copy);
    let found = copy
        .trace()
        .into_iter()
        .rfind(|operation| operation.kind == kind);
    found.expect("the work does that").number
}

/// Poll once, without waiting.
fn is_ready<T>(pending: &mut Pending<T>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(pending).poll(&mut context).is_ready()
}

#[test]
fn nobody_sees_or_is_told_what_is_not_yet_durable() {
    let mut lab = Lab::open(&Simulated::default());
    let mut write = lab.queue("a", b"1");
    let mut refused = lab.store.commit(|txn| match txn.get(SPACE, b"a") {
        Some(_) => Err("there already"),
        None => Ok(()),
    });
    let mut read = lab.store.commit(|txn| Ok::<_, ()>(keys(txn, SPACE)));
    assert_eq!(lab.keys(), "");
    assert!(!is_ready(&mut write) && !is_ready(&mut refused) && !is_ready(&mut read));
    lab.settle();
    assert_eq!(lab.keys(), "a");
    assert_eq!(
        refused.wait().expect("there is a disk"),
        Err("there already")
    );
    assert_eq!(read.wait().expect("there is a disk"), Ok("a".to_string()));
    let mut after = lab.store.commit(|txn| Ok::<_, ()>(keys(txn, SPACE)));
    assert!(
        is_ready(&mut after),
        "all that it read was published before"
    );
}

#[test]
fn waiters_and_callbacks_are_served_in_log_order_after_publication() {
    let mut lab = Lab::open(&Simulated::default());
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..3 {
        let (order, store) = (order.clone(), lab.store.clone());
        let pending = lab.store.commit(|txn| {
            txn.put(SPACE, &[b'a' + number], b"");
            txn.on_publish(move || order.lock().push((number, keys(&store.view(), SPACE))));
            Ok::<_, ()>(())
        });
        drop(pending);
    }
    let dropped = lab.store.commit(|txn| {
        let order = order.clone();
        txn.on_publish(move || order.lock().push((9, String::new())));
        Err::<(), ()>(())
    });
    assert!(order.lock().is_empty());
    lab.settle();
    assert_eq!(dropped.wait().expect("there is a disk"), Err(()));
    let expected: Vec<_> = (0..3).map(|number| (number, "a b c".to_string())).collect();
    assert_eq!(*order.lock(), expected);
}

#[test]
fn a_dropped_wait_cancels_nothing() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    drop(lab.queue("a", b"1"));
    lab.settle();
    lab.close();
    assert_eq!(Lab::open(&disk).keys(), "a");
}

#[test]
fn a_closure_that_fails_or_panics_leaves_no_trace() {
    let mut lab = Lab::open(&Simulated::default());
    for key in ["a", "ab", "b"] {
        lab.put(key, b"old").expect("there is a disk");
    }
    let mess = |txn: &mut Txn| {
        txn.put(SPACE, b"a", b"new");
        txn.put(SPACE, b"c", b"new");
        assert!(txn.delete(SPACE, b"b"));
        assert_eq!(txn.delete_prefix(SPACE, b"a"), 2);
        txn.put(SPACE, b"a", b"newer");
        assert_eq!(keys(txn, SPACE), "a c");
        txn.clear();
        txn.put(SPACE, b"d", b"newest");
    };
    let failed = lab.store.commit(|txn| {
        mess(txn);
        Err::<(), _>("no")
    });
    assert_eq!(failed.wait().expect("nothing is queued"), Err("no"));
    let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
        lab.store.commit(|txn| -> Result<(), ()> {
            mess(txn);
            panic!("a bug in a handler");
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(lab.put("e", b"").expect("there is a disk"), Some(Lsn(4)));
    assert_eq!(lab.keys(), "a ab b e");
    assert_eq!(lab.store.view().get(SPACE, b"a"), Some(&b"old"[..]));
}

#[test]
fn a_failed_sync_poisons_writes_for_good_and_reads_go_on() {
    let before = Simulated::default();
    let mut lab = Lab::open(&before);
    lab.put("a", b"1").expect("there is a disk");
    lab.close();
    let work = |disk: &Simulated| {
        let mut lab = Lab::open(disk);
        lab.put("b", b"2").expect("there is a disk");
        let _ = lab.put("c", b"3");
    };
    let number = next_operation(&before, OperationKind::SyncData, work);
    let errors = [(number, Fault::Io)].into();
    let disk = before.restart(
        Crash::Power(Loss::None),
        Faults {
            errors,
            ..Faults::default()
        },
    );
    let mut lab = Lab::open(&disk);
    lab.put("b", b"2").expect("there is a disk");
    let mut write = lab.queue("c", b"3");
    let read = lab.store.commit(|txn| Ok::<_, ()>(keys(txn, SPACE)));
    assert!(!is_ready(&mut write));
    lab.settle();
    assert!(matches!(write.wait(), Err(Error::Poisoned { .. })));
    assert!(
        matches!(read.wait(), Err(Error::Poisoned { .. })),
        "it saw what may be lost"
    );
    assert!(matches!(lab.put("d", b"4"), Err(Error::Poisoned { .. })));
    assert_eq!(lab.keys(), "a b");
    let read = lab.store.commit(|txn| Ok::<_, ()>(keys(txn, SPACE)));
    assert_eq!(
        read.wait().expect("it saw what is published"),
        Ok("a b".to_string())
    );
    assert!(lab.store.status().poisoned);
    lab.store.shared.begin_close();
    lab.settle();
    assert!(matches!(lab.store.close(), Err(Error::Poisoned { .. })));
    drop(lab);
    let lab = Lab::open(&disk.restart(Crash::Power(Loss::All), Faults::default()));
    assert_eq!(lab.keys(), "a b");
}

#[test]
fn a_short_write_refuses_its_batch_and_the_log_goes_on_elsewhere() {
    for fault in [Fault::Io, Fault::Full, Fault::Short(100)] {
        let before = Simulated::default();
        let mut lab = Lab::open(&before);
        lab.put("a", b"1").expect("there is a disk");
        let number = before.trace().len() as u64 + 1;
        drop(lab);
        // The same again, with the fault in the write of what comes next.
        let errors: BTreeMap<u64, Fault> = match fault {
            Fault::Short(_) => [(number - 1, fault), (number, Fault::Full)].into(),
            fault => [(number - 1, fault)].into(),
        };
        let disk = Simulated::new(Faults {
            errors,
            ..Faults::default()
        });
        let mut lab = Lab::open(&disk);
        lab.put("a", b"1").expect("there is a disk");
        let (first, second) = (lab.queue("b", &[7; 64]), lab.queue("c", b"3"));
        lab.settle();
        let failure = first.wait().expect_err("its write failed");
        assert!(
            matches!(failure, Error::NoSpace { .. } | Error::Io { .. }),
            "{failure}"
        );
        assert!(second.wait().is_err());
        assert_eq!(lab.keys(), "a");
        // What was refused is cut off for good, whatever of it reached the disk.
        for crash in [
            Crash::Process(255),
            Crash::Power(Loss::None),
            Crash::Power(Loss::All),
        ] {
            assert_eq!(
                Lab::open(&disk.restart(crash, Faults::default())).keys(),
                "a",
                "{fault:?} {crash:?}"
            );
        }
        assert_eq!(
            lab.put("d", b"4").expect("the next segment takes it"),
            Some(Lsn(2))
        );
        lab.close();
        assert_eq!(Lab::open(&disk).keys(), "a d");
    }
}

#[test]
fn on_a_full_disk_deletes_go_on_and_with_space_again_everything_does() {
    for value_bytes in [100, 8 << 10, 50 << 10, 100 << 10] {
        let disk = Simulated::default();
        let mut lab = Lab::open(&disk);
        let value = vec![1; value_bytes];
        lab.put("a", &value).expect("there is space");
        lab.put("b", &value).expect("there is space");
        disk.set_space(Some(200 << 10));
        let full = (0..10_000).find_map(|number| lab.put(&format!("c{number}"), &value).err());
        assert!(matches!(full, Some(Error::NoSpace { .. })), "{full:?}");
        assert!(lab.store.status().lacks_space);
        let deleted = lab.store.commit(|txn| Ok::<_, ()>(txn.delete(SPACE, b"a")));
        lab.settle();
        assert_eq!(deleted.wait().expect("that needs no space"), Ok(true));
        let smaller = lab.put("b", b"smaller").expect("nor does that");
        assert!(smaller.is_some());
        disk.set_space(None);
        lab.pass(Duration::from_secs(1));
        lab.put("d", &value).expect("there is space again");
        let keys = lab.keys();
        lab.close();
        assert_eq!(Lab::open(&disk).keys(), keys);
        assert!(keys.starts_with("b ") && keys.ends_with(" d"), "{keys}");
    }
}

/// The same without a log, with one, and in a key space that is not logged.
#[test]
fn beyond_its_memory_a_store_takes_what_makes_it_smaller_and_reads_go_on() {
    let limited = Options {
        memory_bytes_max: Some(100 << 10),
        ..options(Durability::Process)
    };
    let disk = Arc::new(Simulated::default());
    let open = |options: &Options| {
        let opened = Store::open(disk.clone(), Path::new("data"), options.clone());
        opened.expect("it opens").0
    };
    for (durable, space) in [(false, SPACE), (true, PASSING), (true, SPACE)] {
        let store = if durable {
            open(&limited)
        } else {
            Store::ephemeral(limited.clone())
        };
        let put = |key: u32, bytes: usize| {
            let value = vec![1; bytes];
            let done = store.commit(|txn| {
                txn.put(space, &key.to_be_bytes(), &value);
                Ok::<_, ()>(())
            });
            done.wait().map(drop)
        };
        let count = (0..1000).take_while(|key| put(*key, 500).is_ok()).count() as u32;
        assert!((150..200).contains(&count), "{count}");
        match put(count, 500) {
            Err(Error::NoMemory { bytes, bytes_max }) => assert!(bytes > bytes_max),
            other => panic!("{other:?}"),
        }
        let status = store.status();
        // What was refused may leave two half-full pages where there was one.
        let full = (90 << 10..104 << 10).contains(&status.memory_bytes);
        assert!(status.lacks_memory && full, "{status:?}");
        assert_eq!(store.view().count(space) as u32, count);
        put(0, 500).expect("it is no larger");
        put(0, 100).expect("it is smaller");
        put(1, 5000).expect_err("it is larger");
        let noted = store.commit(|txn| {
            txn.even_if_full();
            txn.put(space, b"note", &[1; 600]);
            Ok::<_, ()>(())
        });
        assert_eq!(noted.wait().expect("it may"), Ok(()));
        let delete = |from: u32, to: u32| {
            let done = store.commit(|txn| {
                Ok::<_, ()>((from..to).all(|key| txn.delete(space, &key.to_be_bytes())))
            });
            assert_eq!(done.wait().expect("that needs no memory"), Ok(true));
        };
        delete(0, count / 2);
        assert!(!store.status().lacks_memory);
        put(count, 500).expect("there is room again");
        delete(count / 2, count);
        store.reset().wait().expect("that needs no memory");
        for key in 0..count {
            put(key, 500).expect("there is room again");
        }
        store.close().expect("it closes");
    }
    let smaller = Options {
        memory_bytes_max: Some(10 << 10),
        ..limited
    };
    let store = open(&smaller);
    let (before, keys) = (store.status().memory_bytes, store.view().count(SPACE));
    assert!(before > 10 << 10 && keys > 100);
    let deleted = store.commit(|txn| Ok::<_, ()>(txn.delete(SPACE, &7u32.to_be_bytes())));
    assert_eq!(deleted.wait().expect("that needs no memory"), Ok(true));
    let put = store.commit(|txn| {
        txn.put(SPACE, b"new", b"");
        Ok::<_, ()>(())
    });
    assert!(matches!(put.wait(), Err(Error::NoMemory { .. })));
}

#[test]
fn a_full_disk_opens_and_can_be_read() {
    let before = Simulated::default();
    let mut lab = Lab::open_with(&before, options(Durability::Process));
    lab.put("a", b"1").expect("there is a disk");
    let spare = Path::new("data/log/000000000002.log");
    for (space, takes) in [(Some(0), false), (None, true)] {
        let disk = before.restart(Crash::Process(255), Faults::default());
        disk.remove(spare).expect("it was prepared");
        disk.set_space(space);
        let mut lab = Lab::open(&disk);
        assert_eq!(lab.keys(), "a");
        assert_eq!(lab.put("b", b"2").is_ok(), takes);
        assert_eq!(lab.keys(), if takes { "a b" } else { "a" });
        disk.set_space(None);
        lab.pass(Duration::from_secs(1));
        lab.put("c", b"3").expect("there is space again");
        let keys = lab.keys();
        assert_eq!(
            Lab::open(&disk.restart(Crash::Power(Loss::All), Faults::default())).keys(),
            keys
        );
    }
}

#[test]
fn whatever_fails_after_a_full_opening_keeps_what_was_carried() {
    let before = Simulated::default();
    let mut lab = Lab::open_with(&before, options(Durability::Process));
    lab.put("a", b"1").expect("there is a disk");
    for number in 0.. {
        let faults = Faults {
            errors: [(number, Fault::Io)].into(),
            ..Faults::default()
        };
        let disk = before.restart(Crash::Process(255), faults);
        let removed = disk.remove(Path::new("data/log/000000000002.log"));
        disk.set_space(Some(0));
        let Some(Ok(mut lab)) = removed
            .ok()
            .map(|()| Lab::try_open(&disk, options(Durability::Power)))
        else {
            continue;
        };
        disk.set_space(None);
        // The fault may hit any of them.
        for key in ["b", "c"] {
            let _ = lab.put(key, b"1");
        }
        let keys = lab.keys();
        assert!(keys.starts_with('a'), "operation {number}: {keys}");
        for crash in [Crash::Process(255), Crash::Power(Loss::All)] {
            let after = Lab::open(&disk.restart(crash, Faults::default())).keys();
            assert!(
                keys.split(' ').all(|key| after.contains(key)),
                "operation {number}, {crash:?}: {after} instead of {keys}"
            );
        }
        if disk.trace().len() as u64 <= number {
            return;
        }
    }
}

#[test]
fn after_a_refused_write_the_log_has_nothing_to_hurry_for() {
    let before = Simulated::default();
    let mut lab = Lab::open_with(&before, options(Durability::Process));
    lab.put("a", b"1").expect("there is a disk");
    let disk = Simulated::new(Faults {
        errors: [(before.trace().len() as u64, Fault::Io)].into(),
        ..Faults::default()
    });
    let mut lab = Lab::open_with(&disk, options(Durability::Process));
    lab.put("a", b"1").expect("there is a disk");
    assert!(matches!(lab.put("b", b"2"), Err(Error::Io { .. })));
    lab.pass(Duration::from_secs(1));
    match lab.driver.step(lab.now) {
        Next::Wait(deadline) => assert!(deadline.is_none_or(|at| at > lab.now), "{deadline:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_nudge_between_looking_and_sleeping_is_not_lost() {
    let mut lab = Lab::open(&Simulated::default());
    lab.settle();
    lab.store.shared.nudge();
    lab.settle();
    let deadline = Instant::now() + Duration::from_secs(60);
    lab.store.shared.wait_for_work(Some(deadline));
    assert!(Instant::now() < deadline);
}

/// As when a committer that helps finds a bug in the log: the thread sleeps, and the batch is lost in the unwinding.
#[test]
fn a_log_that_gives_up_tells_those_who_wait_and_ends() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    let mut pending = lab.queue("a", b"1");
    drop(lab.store.shared.next_task());
    let mut read = lab.store.commit(|txn| Ok::<_, ()>(keys(txn, SPACE)));
    lab.driver.give_up();
    assert!(is_ready(&mut pending) && is_ready(&mut read));
    assert!(matches!(pending.wait(), Err(Error::Poisoned { .. })));
    assert!(matches!(read.wait(), Err(Error::Poisoned { .. })));
    lab.store.shared.wait_for_work(None);
    assert_eq!(lab.driver.step(lab.now), Next::Closed);
    assert!(matches!(lab.store.close(), Err(Error::Poisoned { .. })));
    assert!(matches!(
        lab.queue("b", b"2").wait(),
        Err(Error::Closed | Error::Poisoned { .. })
    ));
    let _again = Lab::open(&disk);
}

/// Is this the thread that syncs in the background?
fn is_sync(kind: OperationKind) -> bool {
    kind == OperationKind::SyncData && thread::current().name() == Some("cumulog-sync")
}

/// A disk whose background syncs wait until the sender is gone, and then do this.
fn gated(
    disk: &Simulated,
    then: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> (Hooked, mpsc::Sender<()>) {
    let (gate, opened) = mpsc::channel();
    let opened = Mutex::new(opened);
    let hooked = Hooked::new(disk, move |kind, _| {
        if !is_sync(kind) {
            return Ok(());
        }
        let _ = opened.lock().recv();
        then()
    });
    (hooked, gate)
}

/// The log's thread looks once when it is nudged, so the end of a sync must be said before. Here nobody can be nudged.
#[test]
fn an_idle_log_soon_knows_that_its_sync_is_done() {
    let (disk, gate) = gated(&Simulated::default(), || Ok(()));
    let mut lab = Lab::in_background(disk);
    lab.put("a", b"1").expect("there is a disk");
    lab.settle();
    assert_eq!(lab.driver.status().synced, Lsn(0));
    let nobody_else = lab.store.shared.hold();
    drop(gate);
    let begun = Instant::now();
    while lab.driver.status().synced < Lsn(1) {
        assert!(begun.elapsed() < Duration::from_secs(10));
        lab.driver.collect_sync(lab.now);
        thread::yield_now();
    }
    drop(nobody_else);
}

#[test]
fn a_sync_that_panics_is_noticed_without_waiting_for_other_work() {
    let disk = Simulated::default();
    let (hooked, gate) = gated(&disk, || panic!("a bug in the disk"));
    let mut lab = Lab::in_background(hooked);
    lab.put("a", b"1").expect("there is a disk");
    // The next spare is ready, and has said so: nothing else wakes the log.
    let spare = Path::new("data/log/000000000002.log");
    while !disk.files().contains_key(spare) {
        thread::yield_now();
    }
    let soon = Instant::now() + Duration::from_millis(100);
    lab.store.shared.wait_for_work(Some(soon));
    lab.settle();
    drop(gate);
    let deadline = Instant::now() + Duration::from_secs(10);
    // The spare's word may come late.
    while !lab.store.status().poisoned {
        lab.store.shared.wait_for_work(Some(deadline));
        assert!(Instant::now() < deadline);
        lab.settle();
    }
}

/// The batch fails while another thread syncs what was before it.
#[test]
fn a_write_that_fails_half_way_during_a_sync_takes_nothing_along() {
    for sync_fails in [false, true] {
        let disk = Simulated::default();
        let (gate, opened) = mpsc::channel::<()>();
        let opened = Mutex::new(opened);
        let (begun, has_begun) = mpsc::channel::<()>();
        let full = Arc::new(AtomicBool::new(false));
        let is_full = full.clone();
        let hooked = Hooked::new(&disk, move |kind, path| match kind {
            OperationKind::SyncData if is_sync(kind) => {
                let _ = begun.send(());
                let _ = opened.lock().recv();
                if sync_fails {
                    return Err(io::Error::other("a bad disk"));
                }
                Ok(())
            }
            OperationKind::WriteAt if path.ends_with("000000000001.log.tmp") => {
                if is_full.load(Ordering::Relaxed) {
                    return Err(io::Error::other("a bad sector"));
                }
                Ok(())
            }
            _ => Ok(()),
        });
        let mut lab = Lab::in_background(hooked);
        lab.put("a", b"1").expect("there is a disk");
        has_begun.recv().expect("it is due at once");
        full.store(true, Ordering::Relaxed);
        let opener = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(gate);
        });
        let refused = lab.put("b", &[2; 2000]).expect_err("its write fails");
        opener.join().expect("it opens the gate");
        let is_poisoned = matches!(refused, Error::Poisoned { .. });
        assert_eq!(is_poisoned, sync_fails, "{refused}");
        lab.settle();
        let status = lab.store.status();
        assert_eq!(status.poisoned, sync_fails);
        assert!(status.synced <= status.head, "{status:?}");
        assert_eq!(lab.keys(), "a");
        let killed = disk.restart(Crash::Process(255), Faults::default());
        assert_eq!(Lab::open(&killed).keys(), "a");
        if !sync_fails {
            lab.put("c", b"3").expect("the next segment takes it");
            let unplugged = disk.restart(Crash::Power(Loss::All), Faults::default());
            assert!(Lab::open(&unplugged).keys().starts_with('a'));
        }
    }
}

/// The first half of the batch was synced on the way to the segment where the second half failed.
#[test]
fn what_failed_half_way_is_never_called_synced() {
    let fail_in_the_second_segment = |faults| {
        let disk = Simulated::new(faults);
        let mut lab = Lab::open_with(&disk, options(Durability::Process));
        lab.put("a", b"1").expect("there is a disk");
        let value = [2; 40 << 10];
        let (first, second) = (lab.queue("b", &value), lab.queue("c", &value));
        lab.settle();
        let _ = (first.wait(), second.wait());
        (lab, disk)
    };
    let (_, healthy) = fail_in_the_second_segment(Faults::default());
    let second = Path::new("data/log/000000000002.log");
    let trace = healthy.trace();
    let write = trace.iter().rfind(|operation| {
        let is_write = operation.kind == OperationKind::WriteAt;
        is_write && operation.path == second && operation.bytes > 40 << 10
    });
    let write = write.expect("the batch does not fit one segment").number;
    let after = (write + 1..write + 20).map(|number| (number, Fault::Full));
    let (lab, _) = fail_in_the_second_segment(Faults {
        errors: after.chain([(write, Fault::Io)]).collect(),
        ..Faults::default()
    });
    let status = lab.store.status();
    assert_eq!((status.head, status.synced), (Lsn(1), Lsn(1)));
}

#[test]
fn a_left_over_spare_that_cannot_be_used_is_left_alone() {
    let before = Simulated::default();
    let mut lab = Lab::open(&before);
    lab.put("a", b"1").expect("there is a disk");
    lab.close();
    let spare = Path::new("data/log/000000000002.log");
    assert!(before.files()[spare].iter().all(|byte| *byte == 0));
    let hooked = Hooked::new(&before, move |kind, path| {
        if kind == OperationKind::Open && path == spare {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(())
    });
    let opened = Lab::try_open_on(Arc::new(hooked), options(Durability::Power));
    let mut lab = opened.expect("it opens");
    lab.put("b", b"2").expect("another file takes it");
    lab.close();
    assert_eq!(Lab::open(&before).keys(), "a b");
}

#[test]
fn a_wait_for_room_keeps_one_waker_however_often_it_is_polled() {
    struct Nobody;
    impl std::task::Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let options = Options {
        queue_bytes_max: 10,
        ..options(Durability::Power)
    };
    let lab = Lab::open_with(&Simulated::default(), options);
    drop(lab.queue("a", &[1; 100]));
    let (mut admission, nobody) = (lab.store.admission(), Arc::new(Nobody));
    let waker = Waker::from(nobody.clone());
    for _ in 0..100 {
        let polled = Pin::new(&mut admission).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    assert_eq!(Arc::strong_count(&nobody), 3, "ours, the waker, its clone");
    drop(admission);
    assert_eq!(Arc::strong_count(&nobody), 2);
}

#[test]
fn ephemeral_key_spaces_are_published_in_order_and_not_logged() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    let put_passing = |lab: &Lab, key: &str| {
        lab.store.commit(|txn| {
            txn.put(PASSING, key.as_bytes(), b"");
            Ok::<_, ()>(())
        })
    };
    let mut alone = put_passing(&lab, "first");
    assert!(is_ready(&mut alone), "nothing is before it");
    assert_eq!(alone.lsn(), None);
    let write = lab.queue("a", b"1");
    let mut behind = put_passing(&lab, "second");
    assert!(!is_ready(&mut behind), "it saw what isn't durable yet");
    assert_eq!(keys(&lab.store.view(), PASSING), "first");
    lab.settle();
    behind
        .wait()
        .expect("there is a disk")
        .expect("it succeeds");
    write.wait().expect("there is a disk").expect("it succeeds");
    assert_eq!(keys(&lab.store.view(), PASSING), "first second");
    lab.close();
    let lab = Lab::open(&disk);
    assert_eq!(
        (
            lab.keys().as_str(),
            keys(&lab.store.view(), PASSING).as_str()
        ),
        ("a", "")
    );
    assert_eq!(lab.recovery.records, 1);
}

#[test]
fn a_full_queue_makes_committers_wait() {
    let mut lab = Lab::open_with(
        &Simulated::default(),
        Options {
            queue_bytes_max: 100,
            ..options(Durability::Power)
        },
    );
    let admitted = |lab: &Lab| {
        let mut admission = lab.store.admission();
        Pin::new(&mut admission)
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    };
    assert!(admitted(&lab));
    let first = lab.queue("a", &[1; 100]);
    assert!(!admitted(&lab));
    let store = lab.store.clone();
    let second = thread::spawn(move || {
        store.commit(|txn| {
            txn.put(SPACE, b"b", b"");
            Ok::<_, ()>(())
        })
    });
    lab.settle();
    first.wait().expect("there is a disk").expect("it succeeds");
    assert!(admitted(&lab));
    let second = second.join().expect("it was admitted");
    lab.settle();
    second
        .wait()
        .expect("there is a disk")
        .expect("it succeeds");
    assert_eq!(lab.keys(), "a b");
}

#[test]
fn a_transaction_that_fits_no_record_is_refused_before_it_counts() {
    let value = vec![0; 16 << 20];
    for (store, mut lab) in [
        (Store::ephemeral(Options::default()), None),
        (
            Lab::open(&Simulated::default()).store,
            Some(Lab::open(&Simulated::default())),
        ),
    ] {
        let store = lab.as_ref().map_or(store, |lab| lab.store.clone());
        let refused = store.commit(|txn| {
            txn.put(SPACE, b"a", &value);
            Ok::<_, ()>(())
        });
        assert!(matches!(refused.wait(), Err(Error::TooLarge { .. })));
        let taken = store.commit(|txn| {
            txn.put(SPACE, b"a", &value[..15 << 20]);
            Ok::<_, ()>(())
        });
        assert_eq!(taken.lsn(), Some(Lsn(1)));
        if let Some(lab) = &mut lab {
            lab.settle();
        }
        taken.wait().expect("it fits").expect("it succeeds");
    }
}

#[test]
fn process_durability_acknowledges_after_the_write_and_syncs_soon_after() {
    let disk = Simulated::default();
    let mut lab = Lab::open_with(&disk, options(Durability::Process));
    lab.put("a", b"1").expect("there is a disk");
    lab.put("b", b"2").expect("there is a disk");
    assert_eq!(lab.store.status().synced, Lsn(0));
    let killed = disk.restart(Crash::Process(255), Faults::default());
    assert_eq!(Lab::open(&killed).keys(), "a b");
    lab.pass(Duration::from_millis(99));
    assert_eq!(lab.store.status().synced, Lsn(2));
    let unplugged = disk.restart(Crash::Power(Loss::All), Faults::default());
    assert_eq!(Lab::open(&unplugged).keys(), "a b");
}

#[test]
fn an_idle_log_says_that_all_of_it_is_synced_so_nothing_is_carried_over() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    lab.put("a", b"1").expect("there is a disk");
    let files = disk.files().len();
    lab.pass(Duration::from_millis(20));
    let killed = disk.restart(Crash::Process(255), Faults::default());
    let lab = Lab::open(&killed);
    assert_eq!((lab.keys().as_str(), lab.recovery.clean), ("a", false));
    assert!(
        !killed
            .trace()
            .iter()
            .any(|operation| operation.kind == OperationKind::WriteAt)
    );
    assert_eq!(killed.files().len(), files);
}

#[test]
fn the_log_goes_on_from_segment_to_segment() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    let value = [5; 3000];
    for number in 0..100 {
        lab.put(&format!("{number:03}"), &value)
            .expect("there is a disk");
    }
    lab.put("large", &[6; 200 << 10])
        .expect("larger than a segment");
    // A batch over several segments.
    let queued: Vec<_> = (100..200)
        .map(|number| lab.queue(&format!("{number:03}"), &value))
        .collect();
    lab.settle();
    for pending in queued {
        pending
            .wait()
            .expect("there is a disk")
            .expect("it succeeds");
    }
    let keys = lab.keys();
    assert!(lab.store.status().segments > 5);
    for crash in [Crash::Process(255), Crash::Power(Loss::All)] {
        let lab = Lab::open(&disk.restart(crash, Faults::default()));
        assert_eq!(lab.keys(), keys);
        assert_eq!(lab.recovery.lsn, Lsn(201));
    }
}

#[test]
fn a_reset_empties_everything_in_one_transaction() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    lab.put("a", b"1").expect("there is a disk");
    let reset = lab.store.reset();
    lab.settle();
    assert_eq!(reset.lsn(), Some(Lsn(2)));
    reset.wait().expect("there is a disk");
    assert_eq!(lab.keys(), "");
    lab.put("b", b"2").expect("there is a disk");
    lab.close();
    assert_eq!(Lab::open(&disk).keys(), "b");
}

#[test]
fn a_closed_store_refuses_writes_and_lets_go_of_the_directory() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    lab.put("a", b"1").expect("there is a disk");
    match Lab::try_open(&disk, options(Durability::Power)).map(|_| ()) {
        Err(Error::Locked { owner, .. }) => assert!(owner.contains("process"), "{owner}"),
        other => panic!("{other:?}"),
    }
    lab.store.shared.begin_close();
    lab.settle();
    lab.store.close().expect("it closes");
    lab.store.close().expect("again is fine");
    assert!(matches!(lab.queue("b", b"").wait(), Err(Error::Closed)));
    assert_eq!(lab.keys(), "a", "reads go on");
    let again = Lab::open(&disk);
    assert!(again.recovery.clean);
}

#[test]
fn opening_and_closing_without_a_write_leaves_the_log_alone() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    lab.put("a", b"1").expect("there is a disk");
    lab.close();
    let used = |disk: &Simulated| {
        let mut files = disk.files();
        files.retain(|path, bytes| {
            path.starts_with("data/log") && bytes.iter().any(|byte| *byte != 0)
        });
        files
    };
    let (before, count) = (used(&disk), disk.files().len());
    for _ in 0..3 {
        let lab = Lab::open(&disk);
        assert!(lab.recovery.clean);
        lab.close();
    }
    assert!(used(&disk) == before);
    assert_eq!(disk.files().len(), count);
}

#[test]
fn a_close_says_so_even_if_this_run_wrote_nothing() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    lab.put("a", b"1").expect("there is a disk");
    lab.pass(Duration::from_secs(1));
    let disk = disk.restart(Crash::Process(255), Faults::default());
    let lab = Lab::open(&disk);
    assert!(!lab.recovery.clean);
    lab.close();
    assert!(Lab::open(&disk).recovery.clean);
}

#[test]
fn a_cut_stays_or_is_damage_when_its_header_rots() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    lab.put("a", b"1").expect("there is a disk");
    let number = disk.trace().len() as u64;
    // The write is done, and reported as failed.
    let errors = [(number - 1, Fault::Short(48)), (number, Fault::Io)].into();
    let faults = Faults {
        errors,
        ..Faults::default()
    };
    let disk = Simulated::new(faults);
    let mut lab = Lab::open(&disk);
    lab.put("a", b"1").expect("there is a disk");
    let (first, second) = (lab.queue("b", b"2"), lab.queue("c", b"3"));
    lab.settle();
    assert!(first.wait().is_err() && second.wait().is_err());
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    assert_eq!(
        Lab::open(&disk.restart(Crash::Process(255), Faults::default())).keys(),
        "a"
    );
    disk.flip(Path::new("data/log/000000000002.log"), 500)
        .expect("it is there");
    assert!(matches!(
        Lab::try_open(&disk, options(Durability::Power)),
        Err(Error::Corrupt { .. })
    ));
}

#[test]
fn concurrent_commits_are_serial_and_all_there_afterwards() {
    let levels = [Durability::None, Durability::Process, Durability::Power];
    for (durability, seed) in levels
        .into_iter()
        .flat_map(|level| [(level, None), (level, Some(1))])
    {
        let directory = tempfile::tempdir().expect("there is a disk");
        let open = || {
            let disk = Arc::new(Real::default());
            let options = Options {
                queue_bytes_max: 4096,
                seed,
                ..options(durability)
            };
            Store::open(disk, directory.path(), options)
                .expect("it opens")
                .0
        };
        let store = open();
        let increment = |txn: &mut Txn| {
            let count = txn
                .get(SPACE, b"count")
                .map_or(0, |count| u64::from_le_bytes(count.try_into().expect("8")));
            txn.put(SPACE, b"count", &(count + 1).to_le_bytes());
            Ok::<_, ()>(count + 1)
        };
        thread::scope(|scope| {
            for thread in 0..4u64 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..100u64 {
                        let count = store.commit(|txn| {
                            txn.put(SPACE, &(thread * 1000 + number).to_be_bytes(), b"");
                            increment(txn)
                        });
                        let count = count.wait().expect("there is a disk").expect("it succeeds");
                        let view = store.view();
                        let seen = view.get(SPACE, b"count").expect("it is there");
                        assert!(
                            u64::from_le_bytes(seen.try_into().expect("8")) >= count,
                            "acknowledged means seen"
                        );
                    }
                });
            }
        });
        assert_eq!(store.view().count(SPACE), 401);
        drop(store);
        let store = open();
        assert_eq!(
            store.view().get(SPACE, b"count"),
            Some(&400u64.to_le_bytes()[..])
        );
        assert_eq!(store.view().count(SPACE), 401);
        store.close().expect("it closes");
    }
}
