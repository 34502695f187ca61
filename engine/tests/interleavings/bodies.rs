//! Bodies of blobs that come and go while others read them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cumulog_engine::disk::{Crash, Faults, Loss, Simulated};
use cumulog_engine::{BlobId, Durability, Error, Options, PIECE_BYTES, Space, Store, Table, View};
use shuttle::rand::{Rng as _, thread_rng};
use shuttle::thread;

const DIRECTORY: &str = "data";

/// By client: the blob's id, its length, and the byte that it consists of.
const BODIES: Table<(u32,), (u64, u64, u8)> = Table::new(Space::new(0x1000, "test/bodies"));

const PACKED: usize = 5000;
const LARGE: usize = PIECE_BYTES + 1;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bodies {
    pub(crate) durability: Durability,
    pub(crate) clients: u32,
    pub(crate) changes: u8,
}

impl Bodies {
    pub(crate) fn run(self) {
        let disk = Simulated::default();
        let delays = [Duration::ZERO, Duration::from_millis(80)];
        let options = Options {
            durability: self.durability,
            sync_delay: delays[thread_rng().gen_range(0..2)],
            owner: "test".to_owned(),
            ..Options::default()
        };
        let opened = Store::open(Arc::new(disk.clone()), Path::new(DIRECTORY), options);
        let (store, _) = opened.expect("an empty disk");
        let mut threads: Vec<_> = (0..self.clients)
            .map(|client| {
                let store = store.clone();
                thread::spawn(move || self.client(&store, client).expect("the disk is whole"))
            })
            .collect();
        let of_reader = store.clone();
        threads.push(thread::spawn(move || read(&of_reader)));
        threads
            .into_iter()
            .for_each(|thread| thread.join().expect("no thread panics"));
        store.close().expect("the disk is whole");
        require_whole(&store.view());
        require_no_orphans(&disk);
    }

    fn client(self, store: &Store, client: u32) -> Result<(), Error> {
        for number in 0..self.changes {
            let bytes = if thread_rng().gen_bool(0.05) {
                LARGE
            } else {
                PACKED
            };
            let byte = number * 16 + client as u8;
            let mut writer = store.blob_writer(BODIES.space());
            writer.write(&vec![byte; bytes])?;
            let blob = writer.finish()?;
            let done = store.commit(|txn| {
                if let Some((id, ..)) = BODIES.get(txn, &(client,))? {
                    txn.release(BlobId(id))?;
                }
                let id = txn.attach(&blob)?;
                BODIES.put(txn, &(client,), &(id.0, bytes as u64, byte));
                Ok::<_, Error>(())
            });
            done.wait()??;
        }
        Ok(())
    }
}

/// Holds each view while the next one comes.
fn read(store: &Store) {
    let mut held = store.view();
    for _ in 0..4 {
        let view = store.view();
        require_whole(&held);
        held = view;
    }
    require_whole(&held);
}

fn require_whole(view: &View) {
    for row in BODIES.scan(view, &()) {
        let (_, (id, bytes, byte)) = row.expect("it decodes");
        let reader = view.open_blob(BlobId(id)).expect("it is there");
        assert_eq!(reader.bytes(), bytes);
        let pieces = bytes.div_ceil(PIECE_BYTES as u64);
        for index in 0..pieces {
            let piece = reader.piece(index).expect("it is whole");
            assert!(piece.iter().all(|found| *found == byte), "another body");
        }
    }
}

/// The next opening leaves no file that has no row.
fn require_no_orphans(disk: &Simulated) {
    let disk = disk.restart(Crash::Power(Loss::All), Faults::default());
    let shared = Arc::new(disk.clone());
    let opened = Store::open_stepped(shared, Path::new(DIRECTORY), Options::default());
    let (store, _driver, recovery) = opened.expect("the disk is whole");
    assert!(recovery.clean);
    let view = store.view();
    require_whole(&view);
    let rows = BODIES
        .scan(&view, &())
        .map(|row| row.expect("it decodes").1);
    let large: BTreeSet<String> = rows
        .filter(|(_, bytes, _)| *bytes == LARGE as u64)
        .map(|(id, ..)| format!("data/blobs/{id:016x}.blob"))
        .collect();
    let files = disk
        .files()
        .into_keys()
        .map(|path| path.display().to_string());
    let found: BTreeSet<String> = files.filter(|path| path.ends_with(".blob")).collect();
    assert_eq!(found, large);
}
