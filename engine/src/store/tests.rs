//! The store over a simulated disk, driven by hand.

mod background;
mod compaction;
mod full;
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
