//! Compactions, driven by hand.

use super::*;
use crate::{Compacted, Compacting, Pace};

impl Lab {
    fn compact(&mut self) -> Result<Compacted, Error> {
        let done = self.store.compact(Pace::Full);
        self.settle();
        done.wait()
    }

    fn put_many(&mut self, space: Space, count: u32, value_bytes: usize) {
        for number in 0..count {
            let done = self.store.commit(|txn| {
                txn.put(
                    space,
                    &number.to_be_bytes(),
                    &vec![number as u8; value_bytes],
                );
                Ok::<_, ()>(())
            });
            self.settle();
            done.wait().expect("there is a disk").expect("it succeeds");
        }
    }

    fn snapshot(&self) -> Lsn {
        self.store.status().compactions.snapshot
    }
}

const OTHER: Space = Space::new(0x300, "test/other");

fn snapshots(disk: &Simulated) -> Vec<String> {
    let files = disk.files().into_keys();
    let snapshots = files.filter(|path| path.starts_with("data/snapshots"));
    snapshots
        .map(|path| {
            path.file_name()
                .expect("a file")
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}

#[test]
fn a_compaction_keeps_the_state_and_frees_the_log() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    for _ in 0..5 {
        lab.put_many(SPACE, 40, 1000);
    }
    let before = lab.store.status();
    let done = lab.compact().expect("there is a disk");
    let after = lab.store.status();
    assert_eq!((done.lsn, after.compactions.snapshot), (Lsn(200), Lsn(200)));
    assert!((40_000..50_000).contains(&done.written_bytes), "{done:?}");
    // What the last segment had reserved came back before.
    assert!(
        (220_000..=before.log_bytes).contains(&done.freed_bytes),
        "{done:?}"
    );
    assert_eq!((after.log_bytes, after.segments), (0, 0));
    assert_eq!(after.compactions.completed, 1);
    let keys = lab.keys();
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    let mut lab = Lab::open(&disk);
    assert_eq!(lab.keys(), keys);
    assert_eq!((lab.recovery.snapshot, lab.recovery.records), (Lsn(200), 0));
    assert_eq!(lab.put("next", b"1").expect("it goes on"), Some(Lsn(201)));
}

#[test]
fn unchanged_key_spaces_keep_their_files() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    lab.put_many(OTHER, 3, 10);
    lab.put("a", b"1").expect("there is a disk");
    lab.compact().expect("there is a disk");
    assert_eq!(
        snapshots(&disk),
        ["00000100-000000000004.snap", "00000300-000000000004.snap"]
    );
    lab.put("b", b"1").expect("there is a disk");
    // Rolled back: it may count as a change, but only of its own key space.
    let refused = lab.store.commit(|txn| {
        txn.put(SPACE, b"x", b"1");
        Err::<(), _>(())
    });
    refused
        .wait()
        .expect("it is read only")
        .expect_err("refused");
    lab.compact().expect("there is a disk");
    assert_eq!(
        snapshots(&disk),
        ["00000100-000000000005.snap", "00000300-000000000004.snap"]
    );
    // Nothing to do, whatever was rolled back.
    let nothing = lab.compact().expect("there is a disk");
    assert_eq!((nothing.lsn, nothing.written_bytes), (Lsn(5), 0));
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    let mut lab = Lab::open(&disk);
    assert_eq!(lab.keys(), "a b");
    assert_eq!(lab.store.view().count(OTHER), 3);
    // Known also to the next run.
    lab.put("c", b"1").expect("there is a disk");
    lab.compact().expect("there is a disk");
    assert_eq!(
        snapshots(&disk),
        ["00000100-000000000006.snap", "00000300-000000000004.snap"]
    );
}

#[test]
fn what_is_emptied_or_reset_has_no_snapshot() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    lab.put_many(OTHER, 3, 10);
    lab.put("a", b"1").expect("there is a disk");
    lab.compact().expect("there is a disk");
    let emptied = lab.store.commit(|txn| {
        txn.delete_prefix(OTHER, b"");
        Ok::<_, ()>(())
    });
    lab.settle();
    emptied
        .wait()
        .expect("there is a disk")
        .expect("it succeeds");
    lab.compact().expect("there is a disk");
    assert_eq!(snapshots(&disk), ["00000100-000000000004.snap"]);
    let reset = lab.store.reset();
    lab.settle();
    reset.wait().expect("there is a disk");
    lab.compact().expect("there is a disk");
    assert!(snapshots(&disk).is_empty());
    lab.put("a", b"2").expect("there is a disk");
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    let mut lab = Lab::open(&disk);
    assert_eq!((lab.keys().as_str(), lab.recovery.lsn), ("a", Lsn(7)));
    // Reset and filled again since its snapshot, in another run.
    let reset = lab.store.reset();
    lab.settle();
    reset.wait().expect("there is a disk");
    lab.put("z", b"2").expect("there is a disk");
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    let mut lab = Lab::open(&disk);
    lab.compact().expect("there is a disk");
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    assert_eq!(Lab::open(&disk).keys(), "z");
}

/// Key spaces that are logged in one run, not in the next, and again in a third.
#[test]
fn key_spaces_that_are_ephemeral_for_a_while_come_back() {
    let with = |spaces: Vec<Space>| Options {
        ephemeral_spaces: spaces,
        ..options(Durability::Power)
    };
    let disk = Simulated::default();
    let mut lab = Lab::open_with(&disk, with(vec![]));
    lab.put("a", b"1").expect("there is a disk");
    lab.put_many(OTHER, 2, 10);
    lab.compact().expect("there is a disk");
    lab.put("b", b"1").expect("there is a disk");
    let disk = disk.restart(Crash::Process(255), Faults::default());
    let mut lab = Lab::open_with(&disk, with(vec![SPACE]));
    assert_eq!(
        (lab.keys().as_str(), lab.store.view().count(OTHER)),
        ("", 2)
    );
    lab.put("passing", b"1").expect("there is a disk");
    lab.put_many(OTHER, 1, 20);
    lab.compact().expect("there is a disk");
    lab.put_many(OTHER, 1, 30);
    lab.compact().expect("there is a disk");
    let disk = disk.restart(Crash::Process(255), Faults::default());
    let mut lab = Lab::open_with(&disk, with(vec![]));
    assert_eq!(
        (lab.keys().as_str(), lab.store.view().count(OTHER)),
        ("a b", 2)
    );
    lab.compact().expect("there is a disk");
    // A reset takes what is hidden, too.
    let disk = disk.restart(Crash::Process(255), Faults::default());
    let mut lab = Lab::open_with(&disk, with(vec![SPACE]));
    let reset = lab.store.reset();
    lab.settle();
    reset.wait().expect("there is a disk");
    lab.compact().expect("there is a disk");
    let disk = disk.restart(Crash::Process(255), Faults::default());
    assert_eq!(Lab::open_with(&disk, with(vec![])).keys(), "");
}

/// Commits between all steps of it.
#[test]
fn commits_go_on_while_a_compaction_runs() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    lab.put_many(SPACE, 30, 20_000);
    let mut done = lab.store.compact(Pace::Gentle);
    let mut keys = Vec::new();
    let mut context = Context::from_waker(Waker::noop());
    while Pin::new(&mut done).poll(&mut context).is_pending() {
        let key = format!("while {:03}", keys.len());
        let put = lab.queue(&key, &[1; 300]);
        keys.push(key);
        assert_eq!(lab.driver.step(lab.now), Next::Again);
        drop(put);
    }
    assert!(keys.len() > 15, "{}", keys.len());
    lab.settle();
    assert_eq!(lab.snapshot(), Lsn(30));
    let expected = lab.keys();
    assert!(expected.ends_with(&keys.join(" ")));
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    let lab = Lab::open(&disk);
    assert_eq!(lab.keys(), expected);
    assert_eq!(lab.recovery.records, keys.len() as u64);
}

#[test]
fn a_compaction_starts_by_itself_when_there_is_garbage() {
    let disk = Simulated::default();
    let mut lab = Lab::open_with(
        &disk,
        Options {
            compaction_bytes_min: 20_000,
            ..options(Durability::Power)
        },
    );
    lab.put("a", &[1; 15_000]).expect("there is a disk");
    lab.pass(Duration::from_secs(1));
    lab.put("a", &[2; 15_000]).expect("there is a disk");
    assert_eq!(lab.snapshot(), Lsn(0), "half of it is live");
    lab.put("a", &[3; 10_000]).expect("there is a disk");
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.snapshot(), Lsn(3));
    // All was deleted by a small record.
    lab.put("a", &[4; 40_000]).expect("there is a disk");
    lab.compact().expect("there is a disk");
    assert_eq!(lab.store.status().compactions.completed, 2);
    let gone = lab.store.commit(|txn| Ok::<_, ()>(txn.delete(SPACE, b"a")));
    lab.pass(Duration::from_secs(1));
    gone.wait().expect("there is a disk").expect("it succeeds");
    assert_eq!((lab.snapshot(), snapshots(&disk).len()), (Lsn(5), 0));
    lab.pass(Duration::from_secs(100));
    assert_eq!(lab.store.status().compactions.completed, 3, "not again");
}

/// Without a log there is nothing to compact; a closed store says so.
#[test]
fn a_compaction_of_memory_does_nothing_and_of_a_closed_store_fails() {
    let store = Store::ephemeral(options(Durability::None));
    let done = store
        .compact(Pace::Full)
        .wait()
        .expect("there is nothing to do");
    assert_eq!((done.written_bytes, done.freed_bytes), (0, 0));
    let lab = Lab::open(&Simulated::default());
    let (store, asked) = (lab.store.clone(), lab.store.compact(Pace::Full));
    lab.close();
    let refused = |asked: Compacting| matches!(asked.wait(), Err(Error::Closed));
    assert!(refused(asked) && refused(store.compact(Pace::Full)));
}

/// Closed after each number of steps: what was made is gone, or it was done.
#[test]
fn closing_abandons_a_compaction_and_leaves_nothing_behind() {
    for steps in 0..30 {
        let disk = Simulated::default();
        let mut lab = Lab::open(&disk);
        lab.put_many(SPACE, 20, 20_000);
        let asked = lab.store.compact(Pace::Full);
        for _ in 0..steps {
            lab.driver.step(lab.now);
        }
        let keys = lab.keys();
        lab.close();
        let said = asked.wait();
        assert!(
            said.is_ok() || matches!(said, Err(Error::Closed)),
            "{said:?}"
        );
        let temporary = disk
            .files()
            .into_keys()
            .any(|path| path.to_string_lossy().ends_with(".tmp"));
        assert!(!temporary);
        let lab = Lab::open(&disk);
        assert_eq!(
            (lab.keys(), lab.recovery.clean),
            (keys, true),
            "step {steps}"
        );
        assert_eq!(
            snapshots(&disk).len(),
            usize::from(lab.recovery.snapshot == Lsn(20))
        );
    }
}

/// On a thread of its own, beside clients.
#[test]
fn a_compaction_in_the_background_loses_nothing() {
    let disk = Simulated::default();
    for pace in [Pace::Full, Pace::Gentle] {
        let options = Options {
            seed: None,
            ..options(Durability::Process)
        };
        let (store, _) =
            Store::open(Arc::new(disk.clone()), Path::new("data"), options).expect("it opens");
        let put = |number: u32| {
            let done = store.commit(|txn| {
                txn.put(
                    SPACE,
                    &(number % 500).to_be_bytes(),
                    &number.to_be_bytes().repeat(100),
                );
                Ok::<_, ()>(())
            });
            done.wait().expect("there is a disk").expect("it succeeds");
        };
        (0..500).for_each(put);
        let asked: Vec<_> = (0..3).map(|_| store.compact(pace)).collect();
        (500..1500).for_each(put);
        let last = asked
            .into_iter()
            .map(|asked| asked.wait().expect("there is a disk"))
            .last();
        let status = store.status();
        assert!(last.expect("there were three").lsn <= status.compactions.snapshot);
        assert!(status.compactions.completed >= 1);
        store.close().expect("it closes");
    }
    let lab = Lab::open(&disk);
    assert_eq!(lab.store.view().count(SPACE), 500);
    let view = lab.store.view();
    for (key, value) in view.range(SPACE, Bound::Unbounded, Bound::Unbounded) {
        let key = u32::from_be_bytes(key.try_into().expect("four bytes"));
        assert_eq!(value, (key + 1000).to_be_bytes().repeat(100));
    }
}

/// Killed when the new manifest had its name, and nothing had made that durable yet.
#[test]
fn an_opening_makes_the_manifest_durable_before_it_removes_anything() {
    let disk = Simulated::default();
    let mut lab = Lab::open(&disk);
    lab.put_many(SPACE, 3, 10);
    let before = disk.restart(Crash::Power(Loss::None), Faults::default());
    let copy = before.restart(Crash::Power(Loss::None), Faults::default());
    Lab::open(&copy).compact().expect("there is a disk");
    let trace = copy.trace();
    let is_manifest = |operation: &&crate::disk::Operation| {
        operation.kind == OperationKind::Rename && operation.path.ends_with("MANIFEST.tmp")
    };
    let rename = trace.iter().find(is_manifest).expect("it is compacted");
    let killed = before.restart(
        Crash::Power(Loss::None),
        Faults {
            crash_at: Some(rename.number + 1),
            ..Faults::default()
        },
    );
    let mut lab = Lab::open(&killed);
    lab.compact().expect_err("it is killed");
    let killed = killed.restart(Crash::Process(0), Faults::default());
    assert!(killed.files().contains_key(Path::new("data/MANIFEST")));
    for steps in 0..10 {
        let disk = killed.restart(Crash::Process(0), Faults::default());
        let mut lab = Lab::open(&disk);
        let put = lab.queue("next", b"1");
        for _ in 0..steps {
            lab.driver.step(lab.now);
        }
        drop(put);
        for loss in [Loss::All, Loss::Torn(0), Loss::Torn(1), Loss::Torn(2)] {
            let disk = disk.restart(Crash::Power(loss), Faults::default());
            assert!(Lab::open(&disk).store.view().count(SPACE) >= 3);
        }
    }
}

/// Every try begins a new segment, and the disk has no room for the snapshot.
#[test]
fn compactions_that_find_no_room_leave_enough_for_deletions() {
    let disk = Simulated::default();
    let mut lab = Lab::open_with(
        &disk,
        Options {
            compaction_bytes_min: 1 << 10,
            ..options(Durability::Power)
        },
    );
    lab.put_many(SPACE, 40, 5000);
    lab.pass(Duration::from_secs(1));
    disk.set_space(Some(100 << 10));
    let keys = lab.store.view().count(SPACE) as u32;
    for number in 0..keys - 25 {
        let deleted = lab
            .store
            .commit(|txn| Ok::<_, ()>(txn.delete(SPACE, &number.to_be_bytes())));
        lab.settle();
        assert_eq!(deleted.wait().expect("a deletion"), Ok(true), "{number}");
        // Long enough for another try, each time.
        lab.pass(Duration::from_secs(1000));
        drop(lab.store.compact(Pace::Full));
        lab.settle();
    }
    assert!(
        lab.store
            .status()
            .compactions
            .error
            .is_some_and(|error| error.contains("no space"))
    );
    disk.set_space(None);
    lab.pass(Duration::from_secs(1));
    lab.compact().expect("there is room again");
    assert_eq!(lab.store.status().compactions.error, None);
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    assert_eq!(Lab::open(&disk).store.view().count(SPACE), 25);
}

/// It begins once the next segment is there, and is woken for that.
#[test]
fn a_compaction_waits_for_a_spare_that_is_in_preparation() {
    let disk = Simulated::default();
    let (gate, opened) = mpsc::channel::<()>();
    let opened = Mutex::new(opened);
    let hooked = Hooked::new(&disk, move |kind, path| {
        if kind == OperationKind::SyncData && path.ends_with("000000000002.log.tmp") {
            let _ = opened.lock().recv();
        }
        Ok(())
    });
    let mut lab = Lab::in_background(hooked);
    lab.put("a", b"1").expect("there is a disk");
    let mut asked = lab.store.compact(Pace::Full);
    lab.settle();
    assert!(!lab.store.status().compactions.running);
    drop(gate);
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut context = Context::from_waker(Waker::noop());
    while Pin::new(&mut asked).poll(&mut context).is_pending() {
        lab.store.shared.wait_for_work(Some(deadline));
        assert!(Instant::now() < deadline);
        lab.settle();
    }
    assert_eq!(lab.snapshot(), Lsn(1));
    lab.close();
    assert_eq!(Lab::open(&disk).keys(), "a");
}
