use super::*;
use crate::disk::read_full;

/// A file with the bytes `old`, synced in every way.
fn disk_with(path: &str, old: &[u8], faults: Faults) -> (Simulated, Arc<dyn File>) {
    let disk = Simulated::default();
    let file = disk.create(Path::new(path)).expect("create");
    write(&*file, old, 0).expect("write");
    file.sync_data().expect("sync");
    disk.sync_directory(Path::new("")).expect("sync directory");
    let disk = disk.restart(Crash::Power(Loss::All), faults);
    let file = disk.open(Path::new(path), Access::Write).expect("open");
    (disk, file)
}

fn write(file: &dyn File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(&[IoSlice::new(bytes)], offset)
}

fn crash(disk: &Simulated, loss: Loss) -> Simulated {
    disk.restart(Crash::Power(loss), Faults::default())
}

fn read(disk: &Simulated, path: &str) -> Option<Vec<u8>> {
    disk.files().remove(Path::new(path))
}

/// Writes `ab` over `old`, lengthening it by one byte, and loses power.
fn check_loss(loss: Loss, expected: &[u8]) {
    let (disk, file) = disk_with("file", b"--", Faults::default());
    write(&*file, b"a", 0).expect("change 0");
    write(&*file, b"bc", 1).expect("change 1, the length, and 2, the bytes");
    assert_eq!(disk.unsynced(), 3);
    assert_eq!(
        read(&crash(&disk, loss), "file").as_deref(),
        Some(expected),
        "{loss:?}"
    );
}

#[test]
fn a_power_loss_takes_any_unsynced_change() {
    check_loss(Loss::None, b"abc");
    check_loss(Loss::All, b"--");
    check_loss(Loss::One(0), b"-bc");
    check_loss(Loss::One(1), b"ab");
    check_loss(Loss::One(2), b"a-\0");
    check_loss(Loss::Prefix(1), b"a-");
    check_loss(Loss::Prefix(2), b"a-\0");
    check_loss(Loss::Zeros, b"\0\0\0");
}

#[test]
fn synced_bytes_stay_through_any_loss() {
    let (disk, file) = disk_with("file", &[b'-'; 2000], Faults::default());
    write(&*file, &[b'x'; 1000], 300).expect("write");
    let mut sectors = BTreeSet::new();
    for seed in 0..100 {
        for loss in [Loss::Torn(seed), Loss::Garbage(seed)] {
            let found = read(&crash(&disk, loss), "file").expect("file");
            assert_eq!(
                (&found[..300], &found[1300..]),
                (&[b'-'; 300][..], &[b'-'; 700][..]),
                "{loss:?}"
            );
            sectors.insert(found[600..700].to_vec());
        }
    }
    for byte in *b"-x\0" {
        assert!(sectors.contains(&vec![byte; 100]));
    }
    assert!(sectors.len() > 100, "most of the noise differs by seed");
}

#[test]
fn a_sync_keeps_what_came_before_it() {
    let (disk, file) = disk_with("file", b"--", Faults::default());
    write(&*file, b"abc", 0).expect("write");
    file.sync_data().expect("sync");
    write(&*file, b"d", 0).expect("write");
    assert_eq!(
        read(&crash(&disk, Loss::All), "file").expect("file"),
        b"abc"
    );
    assert_eq!(read(&disk, "file").expect("file"), b"dbc");
}

/// The names after losing power, the second of three changes to names lost.
fn check_names(name_order: NameOrder, expected: &[&str]) {
    let disk = Simulated::new(Faults {
        name_order,
        ..Faults::default()
    });
    for path in ["a", "b", "c"] {
        disk.create(Path::new(path)).expect("create");
    }
    let found = disk.restart(
        Crash::Power(Loss::One(1)),
        Faults {
            name_order,
            ..Faults::default()
        },
    );
    assert_eq!(
        found.list(Path::new("")).expect("list"),
        expected,
        "{name_order:?}"
    );
}

#[test]
fn a_journal_keeps_a_prefix_of_the_names() {
    check_names(NameOrder::Any, &["a", "c"]);
    check_names(NameOrder::Prefix, &["a"]);
}

#[test]
fn syncing_a_directory_keeps_its_names_only() {
    let disk = Simulated::default();
    for path in ["a/deep", "b"] {
        disk.create_directory(Path::new(path)).expect("directory");
    }
    for path in ["a/1", "a/deep/2", "b/3"] {
        disk.create(Path::new(path)).expect("create");
    }
    disk.sync_directory(Path::new("a")).expect("sync");
    let found = crash(&disk, Loss::All);
    assert!(
        found.files().is_empty(),
        "the name of `a` itself was not synced"
    );
    disk.sync_directory(Path::new("")).expect("sync");
    let found = crash(&disk, Loss::All);
    assert_eq!(
        found.files().into_keys().collect::<Vec<_>>(),
        [Path::new("a/1")]
    );
    assert_eq!(found.list(Path::new("")).expect("list"), ["a", "b"]);
    assert_eq!(found.list(Path::new("b")).expect("list"), [""; 0]);
}

#[test]
fn the_root_has_many_names() {
    let disk = Simulated::default();
    for path in ["a", "./b", "././c"] {
        disk.create(Path::new(path)).expect("create");
    }
    for root in ["", ".", "./"] {
        assert_eq!(disk.list(Path::new(root)).expect("list"), ["a", "b", "c"]);
        disk.sync_directory(Path::new(root)).expect("sync");
    }
}

#[test]
fn a_rename_is_all_or_nothing() {
    let (disk, _) = disk_with("a", b"new", Faults::default());
    let file = disk.create(Path::new("b")).expect("create");
    write(&*file, b"old", 0).expect("write");
    file.sync_data().expect("sync");
    disk.sync_directory(Path::new("")).expect("sync directory");
    disk.rename(Path::new("a"), Path::new("b")).expect("rename");
    let before = crash(&disk, Loss::All);
    assert_eq!(
        (read(&before, "a"), read(&before, "b")),
        (Some(b"new".to_vec()), Some(b"old".to_vec()))
    );
    let after = crash(&disk, Loss::None);
    assert_eq!(
        (read(&after, "a"), read(&after, "b")),
        (None, Some(b"new".to_vec()))
    );
    let error = disk
        .rename(Path::new("b"), Path::new("directory/b"))
        .expect_err("two directories");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_link_is_a_second_name() {
    let (disk, file) = disk_with("a", b"-", Faults::default());
    disk.link(Path::new("a"), Path::new("b")).expect("link");
    disk.remove(Path::new("a")).expect("remove");
    write(&*file, b"x", 0).expect("an open file is written under any name");
    assert_eq!(
        (read(&disk, "a"), read(&disk, "b")),
        (None, Some(b"x".to_vec()))
    );
    assert_eq!(
        disk.link(Path::new("a"), Path::new("c"))
            .expect_err("gone")
            .kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        disk.create(Path::new("b")).expect_err("taken").kind(),
        ErrorKind::AlreadyExists
    );
}

#[test]
fn a_failed_sync_drops_the_bytes_and_the_next_one_lies() {
    let errors = BTreeMap::from([(2, Fault::Io)]);
    let (disk, file) = disk_with(
        "file",
        b"-",
        Faults {
            errors,
            ..Faults::default()
        },
    );
    write(&*file, b"xy", 0).expect("write");
    assert_eq!(
        file.sync_data().expect_err("failed").raw_os_error(),
        Some(Errno::IO.raw_os_error())
    );
    assert_eq!(
        read(&disk, "file").expect("file"),
        b"xy",
        "readers still see the bytes"
    );
    file.sync_data().expect("lies");
    assert_eq!(
        read(&crash(&disk, Loss::None), "file").expect("file"),
        b"-\0",
        "only the length arrived"
    );
}

#[test]
fn a_failed_directory_sync_drops_the_names() {
    let disk = Simulated::new(Faults {
        errors: BTreeMap::from([(1, Fault::Io)]),
        ..Faults::default()
    });
    disk.create(Path::new("file")).expect("create");
    disk.sync_directory(Path::new("")).expect_err("failed");
    disk.sync_directory(Path::new("")).expect("lies");
    assert!(disk.open(Path::new("file"), Access::Read).is_ok());
    assert!(crash(&disk, Loss::None).files().is_empty());
}

#[test]
fn a_full_disk_takes_part_of_a_write_then_none() {
    let (disk, file) = disk_with(
        "file",
        b"--",
        Faults {
            space_bytes: Some(3),
            ..Faults::default()
        },
    );
    assert_eq!(write(&*file, b"abcdefgh", 0).expect("short"), 5);
    assert_eq!(
        write(&*file, b"f", 5).expect_err("full").kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(write(&*file, b"xx", 2).expect("has its space"), 2);
    assert_eq!(
        disk.create(Path::new("b")).expect_err("full").kind(),
        ErrorKind::StorageFull
    );
    disk.remove(Path::new("file")).expect("remove");
    let other = disk.create(Path::new("b")).expect("there is space again");
    other.allocate(6).expect_err("one too many");
    assert_eq!(other.len().expect("length"), 5);
}

#[test]
fn allocated_space_is_there_on_a_full_disk() {
    let (_, file) = disk_with(
        "file",
        b"--",
        Faults {
            full_from: Some(2),
            ..Faults::default()
        },
    );
    file.allocate(4).expect("in time");
    assert_eq!(write(&*file, b"abcdefgh", 0).expect("short"), 4);
}

#[test]
fn writes_can_be_short_or_fail_halfway() {
    let errors = BTreeMap::from([(1, Fault::Short(1)), (2, Fault::Io), (4, Fault::Full)]);
    let (disk, file) = disk_with(
        "file",
        b"----",
        Faults {
            errors,
            ..Faults::default()
        },
    );
    assert_eq!(write(&*file, b"ab", 0).expect("short"), 1);
    write(&*file, b"cd", 2).expect_err("fails");
    assert_eq!(read(&disk, "file").expect("file"), b"a-c-");
    write(&*file, b"e", 0).expect("works again");
    write(&*file, b"f", 0).expect_err("full");
    assert_eq!(read(&disk, "file").expect("file"), b"e-c-");
}

#[test]
fn a_read_can_fail() {
    let errors = BTreeMap::from([(1, Fault::Io)]);
    let (_, file) = disk_with(
        "file",
        b"abc",
        Faults {
            errors,
            ..Faults::default()
        },
    );
    file.read_at(&mut [0; 3], 0).expect_err("fails");
    let mut buffer = [0; 9];
    assert_eq!(read_full(&*file, &mut buffer, 1).expect("read"), 2);
    assert_eq!(&buffer[..2], b"bc");
}

/// Crashes at the write, the fourth operation: `done` of it is in the cache that the next process finds.
fn check_kill(done: u8, expected: &[u8]) {
    let (disk, file) = disk_with(
        "file",
        b"----",
        Faults {
            crash_at: Some(2),
            ..Faults::default()
        },
    );
    write(&*file, b"a", 0).expect("write");
    let error = write(&*file, b"bcd", 1).expect_err("killed");
    assert!(Simulated::is_crash(&error) && disk.crashed());
    assert!(Simulated::is_crash(&file.sync_data().expect_err("dead")));
    let found = disk.restart(Crash::Process(done), Faults::default());
    assert_eq!(read(&found, "file").expect("file"), expected, "{done}");
    assert_eq!(
        read(&crash(&found, Loss::All), "file").expect("file"),
        b"----",
        "still unsynced"
    );
}

#[test]
fn a_killed_process_leaves_the_cache() {
    check_kill(0, b"a---");
    check_kill(1, b"ab--");
    check_kill(128, b"abc-");
    check_kill(255, b"abcd");
}

#[test]
fn an_interrupted_operation_is_done_or_not() {
    let (disk, _) = disk_with(
        "file",
        b"",
        Faults {
            crash_at: Some(1),
            ..Faults::default()
        },
    );
    assert!(Simulated::is_crash(
        &disk.remove(Path::new("file")).expect_err("power cut")
    ));
    assert_eq!(disk.unsynced(), 1);
    assert!(read(&crash(&disk, Loss::All), "file").is_some());
    assert!(read(&crash(&disk, Loss::None), "file").is_none());
    assert!(read(&disk.restart(Crash::Process(0), Faults::default()), "file").is_some());
    assert!(
        read(
            &disk.restart(Crash::Process(255), Faults::default()),
            "file"
        )
        .is_none()
    );
}

#[test]
fn an_omitted_sync_does_nothing() {
    let omitted = Omission::new(|sync| sync.path == Path::new("file"));
    let (disk, file) = disk_with(
        "file",
        b"-",
        Faults {
            omitted: Some(omitted),
            ..Faults::default()
        },
    );
    write(&*file, b"x", 0).expect("write");
    file.sync_data().expect("says so");
    assert_eq!(read(&crash(&disk, Loss::All), "file").expect("file"), b"-");
}

#[test]
fn a_flipped_bit_is_there_before_and_after_a_restart() {
    let (disk, _) = disk_with("file", b"ab", Faults::default());
    disk.flip(Path::new("file"), 9).expect("flip");
    disk.flip(Path::new("file"), 99)
        .expect("past the end: nothing");
    assert_eq!(read(&disk, "file").expect("file"), b"a`");
    assert_eq!(read(&crash(&disk, Loss::All), "file").expect("file"), b"a`");
}

#[test]
fn a_lock_ends_with_its_guard_or_its_process() {
    let disk = Simulated::default();
    let path = Path::new("LOCK");
    let guard = disk.lock(path, "first").expect("lock");
    assert!(
        matches!(disk.lock(path, "second"), Err(LockError::Held { owner }) if owner == "first")
    );
    let next = disk.restart(Crash::Process(0), Faults::default());
    next.lock(path, "second").expect("the process is gone");
    drop(guard);
    disk.lock(path, "third").expect("released");
}

#[test]
fn the_trace_tells_what_was_asked() {
    let disk = Simulated::default();
    disk.create_directory(Path::new("log")).expect("directory");
    let file = disk.create(Path::new("log/a")).expect("create");
    file.allocate(100).expect("allocate");
    write(&*file, b"abc", 10).expect("write");
    disk.rename(Path::new("log/a"), Path::new("log/b"))
        .expect("rename");
    file.sync_data().expect("sync");
    let trace: Vec<String> = disk.trace().iter().map(ToString::to_string).collect();
    let expected = [
        "#0 CreateDirectory log",
        "#1 Create log/a",
        "#2 Allocate log/a 100",
        "#3 WriteAt log/a 10+3",
        "#4 Rename log/a",
        "#5 SyncData log/b",
    ];
    assert_eq!(trace, expected);
}
