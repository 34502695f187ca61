//! How long a body stays, and what stays of those that nobody keeps.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cumulog_engine::disk::Simulated;
use cumulog_engine::{BlobId, Durability, PIECE_BYTES};

use crate::session::{
    INLINE, LARGE, NAMES, PACKED, SCRATCH, Session, audit_files, audited, content, files,
    furnished, names, read,
};
use crate::stepped::released;

/// A view shows what it showed, until it is dropped; then the files go.
#[test]
fn a_deleted_body_stays_for_those_who_see_it() {
    for durability in [Durability::Power, Durability::Process] {
        let disk = Simulated::default();
        let mut session = Session::open(&disk, durability).expect("a new disk");
        session.put(NAMES, "a", 0, LARGE).expect("a whole disk");
        session.put(NAMES, "b", 1, LARGE).expect("a whole disk");
        let view = session.store.view();
        let reader = view.open_blob(BlobId(names(&view)["a"].0)).expect("whole");
        session.delete("a").expect("a whole disk");
        session.pause();
        let later = session.store.view();
        session.delete("b").expect("a whole disk");
        session.pause();
        assert_eq!(files(&disk).len(), 2);
        audited(&view);
        drop(view);
        session.settle();
        assert_eq!(files(&disk).len(), 2, "a reader is left");
        assert!(read(&reader).expect("it is there")[..] == content(0, LARGE)[..]);
        drop(reader);
        session.settle();
        assert_eq!(files(&disk).len(), 1, "{durability:?}");
        audited(&later);
        drop(later);
        session.settle();
        assert_eq!(files(&disk).len(), 0);
    }
}

/// Not before: a crash could bring the row back.
#[test]
fn a_deleted_body_stays_until_the_deletion_is_synced() {
    let disk = Simulated::default();
    let mut session = Session::open(&disk, Durability::Process).expect("a new disk");
    session.put(NAMES, "a", 0, LARGE).expect("a whole disk");
    session.pause();
    session.delete("a").expect("a whole disk");
    session.settle();
    assert_eq!(files(&disk).len(), 1);
    session.pause();
    assert_eq!(files(&disk).len(), 0);
}

#[test]
fn what_no_transaction_attached_leaves_nothing() {
    let disk = Simulated::default();
    let mut session = furnished(&disk);
    let before = files(&disk);
    for bytes in [INLINE, PACKED, LARGE] {
        let mut writer = session.store.blob_writer(NAMES.space());
        writer.write(&content(9, bytes)).expect("a whole disk");
        drop(writer);
        let mut writer = session.store.blob_writer(NAMES.space());
        writer.write(&content(9, bytes)).expect("a whole disk");
        let blob = writer.finish().expect("a whole disk");
        let refused = session.store.commit(|txn| {
            txn.attach(&blob).expect("it is new");
            Err::<(), ()>(())
        });
        session.settle();
        assert_eq!(released(refused).expect("the log is whole"), Err(()));
        // It can be tried again.
        let id = session
            .commit(|txn| txn.attach(&blob))
            .expect("it is whole");
        session.commit(|txn| txn.release(id)).expect("it is there");
        session
            .commit(|txn| txn.attach(&blob))
            .expect_err("it is gone");
        drop(blob);
        session.settle();
    }
    let names = |files: BTreeMap<PathBuf, usize>| files.into_keys().collect::<Vec<_>>();
    assert_eq!(names(files(&disk)), names(before));
    assert_eq!(session.store.garbage().pack_bytes, PACKED);
    session.delete("packed").expect("a whole disk");
    session.close();
    let session = Session::open(&disk, Durability::Power).expect("a whole disk");
    assert_eq!(session.store.garbage().pack_bytes, 0);
    audit_files(&disk, &session.store);
}

#[test]
fn bodies_that_need_not_survive_leave_nothing() {
    let disk = Simulated::default();
    let mut session = furnished(&disk);
    let before = files(&disk);
    for (seed, bytes) in [INLINE, PACKED, LARGE, 3 * LARGE].into_iter().enumerate() {
        session
            .put(SCRATCH, &format!("{bytes}"), seed as u64, bytes)
            .expect("a whole disk");
        let view = session.store.view();
        let row = SCRATCH.get(&view, &(format!("{bytes}"),));
        let (id, ..) = row.expect("it decodes").expect("it is there");
        let reader = view.open_blob(BlobId(id)).expect("it is there");
        assert!(read(&reader).expect("it is whole")[..] == content(seed as u64, bytes)[..]);
    }
    assert_eq!(files(&disk), before);
    assert_eq!(
        session.store.garbage().spilled_bytes,
        6 * PIECE_BYTES as u64
    );
    session
        .put(SCRATCH, &format!("{LARGE}"), 9, 1)
        .expect("a whole disk");
    session.pause();
    assert_eq!(
        session.store.garbage().spilled_bytes,
        4 * PIECE_BYTES as u64
    );
    session.close();
    let session = Session::open(&disk, Durability::Power).expect("a whole disk");
    assert_eq!(audited(&session.store.view()).len(), 3);
    assert_eq!(SCRATCH.scan(&session.store.view(), &()).count(), 0);
}
