//! Too little space, memory or room in the queue.

use super::*;

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
