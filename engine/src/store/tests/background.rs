//! What the log leaves to other threads, and how it is woken.

use super::*;

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
        let (gate, opened) = (Mutex::new(Some(gate)), Mutex::new(opened));
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
                    // It fails while the sync is under way, which ends from now on.
                    drop(gate.lock().take());
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
        let refused = lab.put("b", &[2; 2000]).expect_err("its write fails");
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
