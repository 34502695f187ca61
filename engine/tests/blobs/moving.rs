//! Bodies that a compaction moves out of packs that are mostly garbage.

use std::path::PathBuf;

use cumulog_engine::disk::{Crash, Faults, Loss, Simulated};
use cumulog_engine::{BlobId, Durability, Pace};

use crate::ordeal::{Cut, Ordeal};
use crate::session::{
    Delete, NAMES, PACKED, Put, Session, Share, Step, audit_files, audited, content, extension,
    files, read,
};

/// Most of a pack goes: what is left of it is moved.
const SPARSE_STEPS: [Step; 7] = [
    Put("a", PACKED),
    Put("b", PACKED * 3),
    Put("c", PACKED + 2),
    Delete("b"),
    Share("a", "d"),
    Put("e", PACKED),
    Delete("a"),
];

/// Nobody appends to the packs of an earlier run, so that they can be moved.
fn check_moving(durability: Durability, cut: Cut) {
    let mut ordeal = Ordeal {
        steps: SPARSE_STEPS.to_vec(),
        ..Ordeal::new(durability, &[cut])
    };
    let disk = Simulated::default();
    ordeal.live(&disk, 0, 0, 4);
    let session = Session::open(&disk, durability).expect("there is a disk");
    session.close();
    let is_pack = |path: &&PathBuf| extension(path) == "pack";
    let pack = files(&disk).into_keys().find(|path| is_pack(&path));
    ordeal.start = (disk.restart(Crash::Power(Loss::None), Faults::default()), 4);
    ordeal.compacts = true;
    ordeal.check();
    let moved = ordeal.start.0.restart(Crash::Process(0), Faults::default());
    ordeal.live(&moved, 4, 4, usize::MAX);
    assert!(
        !files(&moved).contains_key(&pack.expect("there was one")),
        "it is gone"
    );
}

#[test]
fn power_loss_while_bodies_are_moved_keeps_every_acknowledged_body() {
    check_moving(Durability::Power, Cut::Power);
}

#[test]
fn a_kill_while_bodies_are_moved_keeps_every_acknowledged_body() {
    check_moving(Durability::Process, Cut::Kill);
}

#[test]
fn power_loss_while_bodies_are_moved_leaves_no_row_without_its_body() {
    check_moving(Durability::Process, Cut::Power);
}

#[test]
fn a_compaction_moves_what_is_left_in_a_pack_that_is_mostly_garbage() {
    let disk = Simulated::default();
    let mut session = Session::open(&disk, Durability::Power).expect("there is a disk");
    for (seed, name) in (0..).zip(["a", "b", "c", "d"]) {
        session
            .put(NAMES, name, seed, PACKED)
            .expect("there is a disk");
    }
    let id = NAMES
        .get(&session.store.view(), &("a".into(),))
        .expect("it decodes")
        .expect("it is there")
        .0;
    session.close();
    let mut session = Session::open(&disk, Durability::Power).expect("there is a disk");
    for name in ["b", "c", "d"] {
        session.delete(name).expect("there is a disk");
    }
    let before = session.store.view();
    session
        .put(NAMES, "new", 9, PACKED)
        .expect("there is a disk");
    let reader = before.open_blob(BlobId(id)).expect("it is there");
    drop(session.store.compact(Pace::Full));
    session.settle();
    assert_eq!(audited(&session.store.view()).len(), 2);
    assert_eq!(files(&disk).len(), 2, "an older view shows the old place");
    assert_eq!(read(&reader).expect("it is whole"), content(0, PACKED)[..]);
    drop((before, reader));
    session.settle();
    assert_eq!(files(&disk).len(), 1);
    assert_eq!(session.store.garbage().pack_bytes, 0);
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    let session = Session::open(&disk, Durability::Power).expect("it is whole");
    assert_eq!(audited(&session.store.view()).len(), 2);
    audit_files(&disk, &session.store);
}
