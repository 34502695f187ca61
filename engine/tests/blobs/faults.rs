//! Damaged and missing bodies, full and failing disks.

use cumulog_engine::disk::{Crash, Fault, Faults, Loss, Simulated};
use cumulog_engine::{BlobId, Durability, Error, PIECE_BYTES, Pace};

use crate::session::{
    INLINE, LARGE, NAMES, PACKED, Session, audit_files, audited, body, content, files, furnished,
    names,
};

#[test]
fn a_damaged_body_is_an_error_and_the_others_are_fine() {
    for offset in [0, 1, PACKED - 1, LARGE - 700, LARGE - 1] {
        let disk = Simulated::default();
        furnished(&disk).close();
        for path in files(&disk).into_keys() {
            disk.flip(&path, offset * 8 + 3).expect("it is there");
        }
        let session = Session::open(&disk, Durability::Power).expect("the log is whole");
        let view = session.store.view();
        body(&view, "inline").expect("it is whole");
        let check = |name: &str, bytes: u64| match body(&view, name) {
            Err(Error::DamagedBlob { .. }) => assert!(offset < bytes),
            Err(other) => panic!("{other}"),
            Ok(_) => assert!(
                offset >= bytes,
                "{name} is served with byte {offset} damaged"
            ),
        };
        check("packed", PACKED);
        check("large", LARGE);
        let large = names(&view)["large"].0;
        let reader = view.open_blob(BlobId(large)).expect("it opens");
        let second_is_whole = reader.piece(1).is_ok();
        assert_eq!(second_is_whole, offset < PIECE_BYTES as u64);
    }
}

#[test]
fn a_missing_body_is_an_error_and_the_others_are_fine() {
    use cumulog_engine::disk::Disk as _;
    let disk = Simulated::default();
    furnished(&disk).close();
    for path in files(&disk).into_keys() {
        disk.remove(&path).expect("it is there");
    }
    let session = Session::open(&disk, Durability::Power).expect("the log is whole");
    let view = session.store.view();
    body(&view, "inline").expect("it is whole");
    for name in ["packed", "large"] {
        let error = body(&view, name).expect_err("its file is gone");
        assert!(error.to_string().contains("the file is missing"), "{error}");
    }
}

#[test]
fn a_full_disk_refuses_bodies_and_takes_them_again_once_there_is_space() {
    let disk = Simulated::default();
    let mut session = furnished(&disk);
    disk.set_space(Some(LARGE / 2));
    let error = session.put(NAMES, "more", 7, LARGE).expect_err("no space");
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert!(session.store.status().lacks_space);
    session.settle();
    audited(&session.store.view());
    audit_files(&disk, &session.store);
    session.delete("large").expect("a deletion needs no space");
    session.pause();
    session
        .put(NAMES, "more", 7, LARGE)
        .expect("there is space");
    assert!(!session.store.status().lacks_space);
    audited(&session.store.view());
}

/// An error of the disk while a body comes in fails that body, not the store; nothing acknowledged is lost.
#[test]
fn a_failing_disk_loses_no_acknowledged_body() {
    let clean = Simulated::default();
    drop(furnished(&clean));
    let count = clean.trace().len() as u64;
    for number in 0..count {
        for fault in [Fault::Io, Fault::Full, Fault::Short(5)] {
            let disk = Simulated::new(Faults {
                errors: [(number, fault)].into(),
                ..Faults::default()
            });
            let mut kept = Vec::new();
            if let Ok(mut session) = Session::open(&disk, Durability::Power) {
                for (seed, bytes) in [INLINE, PACKED, LARGE, PACKED].into_iter().enumerate() {
                    let name = format!("{seed}");
                    if session.put(NAMES, &name, seed as u64, bytes).is_ok() {
                        kept.push(name);
                    }
                }
            }
            let found = disk.restart(Crash::Power(Loss::All), Faults::default());
            let session = Session::open(&found, Durability::Power).expect("a whole disk");
            let state = audited(&session.store.view());
            let lost: Vec<_> = kept
                .iter()
                .filter(|name| !state.contains_key(*name))
                .collect();
            assert!(lost.is_empty(), "lost {lost:?} by {fault:?} at {number}");
        }
    }
}

/// Neither at opening nor when a body is read is a failing disk taken for one that holds less.
#[test]
fn a_file_that_cannot_be_read_is_not_taken_for_a_missing_one() {
    let disk = Simulated::default();
    let mut session = furnished(&disk);
    let compacting = session.store.compact(Pace::Full);
    session.settle();
    compacting.wait().expect("a whole disk");
    session
        .put(NAMES, "later", 5, PACKED)
        .expect("a whole disk");
    let state = audited(&session.store.view());
    let disk = disk.restart(Crash::Power(Loss::None), Faults::default());
    for number in 0.. {
        let disk = disk.restart(
            Crash::Process(0),
            Faults {
                errors: [(number, Fault::Io)].into(),
                ..Faults::default()
            },
        );
        match Session::open(&disk, Durability::Power) {
            Ok(session) => {
                let view = session.store.view();
                for (name, (_, bytes, seed)) in names(&view) {
                    match body(&view, &name) {
                        Ok(body) => assert!(body[..] == content(seed, bytes)[..], "{name}"),
                        Err(Error::Io { .. }) => {}
                        Err(other) => panic!("operation {number}: {other}"),
                    }
                }
            }
            Err(Error::Io { .. } | Error::Poisoned { .. }) => {}
            Err(other) => panic!("operation {number}: {other}"),
        }
        let was_reached = disk.failed(number) && disk.trace().len() as u64 > number;
        let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
        let session = Session::open(&disk, Durability::Power).expect("a whole disk");
        assert!(
            audited(&session.store.view()) == state,
            "after operation {number}"
        );
        if !was_reached {
            assert!(number > 30, "only {number} operations");
            return;
        }
    }
}
