//! Bodies put and got, by size, beside files written and read.
//!
//! A put streams a body into the store, attaches it in a transaction and waits for that; at most [`BODIES`] are there at a
//! time. The control creates a file and writes the same body; for `power` it syncs the file and the directory. A get reads
//! a body to its end, as it is in the page cache; its control reads the control's file. One client.

use std::collections::VecDeque;
use std::error::Error;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use cumulog_benches::clients;
use cumulog_benches::results::{Row, Section};
use cumulog_benches::settings::Settings;
use cumulog_benches::spread::Spread;
use cumulog_engine::disk::Real;
use cumulog_engine::{BlobId, Durability, Store};

use crate::store::{DURABILITIES, ROWS, name, open_on};

const BODY_BYTES: [usize; 4] = [16 << 10, 256 << 10, 4 << 20, 64 << 20];
/// How many bodies are kept; older ones are released as new ones come.
const BODIES: usize = 4;
/// Bodies come and go in pieces of this size, as from a socket.
const PIECE_BYTES: usize = 64 << 10;

pub(crate) fn bench(settings: &Settings, section: &mut Section) -> Result<(), Box<dyn Error>> {
    for durability in DURABILITIES {
        for body_bytes in BODY_BYTES {
            let directory = settings.scratch()?;
            let subject = Subject {
                store: open_on(Real::new(), directory.path(), durability),
                bodies: VecDeque::new(),
            };
            let control = Control::new(directory.path(), durability == Durability::Power)?;
            let row = measure(settings, subject, control, &vec![7; body_bytes]);
            section.push(
                row.at("durability", name(durability))
                    .at("body_bytes", body_bytes),
            );
        }
    }
    Ok(())
}

fn measure(settings: &Settings, mut subject: Subject, mut control: Control, body: &[u8]) -> Row {
    let mut buffer = vec![0; PIECE_BYTES];
    let mut rates: [Vec<f64>; 4] = Default::default();
    let rate = |operation: &mut dyn FnMut()| {
        let round = clients::one(settings.turn() / 2, |_| operation());
        round.per_second() * body.len() as f64 / 1e6
    };
    for _ in 0..settings.rounds() {
        rates[0].push(rate(&mut || subject.put(body)));
        rates[1].push(rate(&mut || control.put(body)));
        rates[2].push(rate(&mut || subject.get(body.len())));
        rates[3].push(rate(&mut || control.get(body.len(), &mut buffer)));
    }
    let [put, raw_put, get, raw_get] = rates;
    subject.store.close().expect("close");
    Row::default()
        .figure("put_of_file", Spread::ratio(&put, &raw_put))
        .figure("get_of_file", Spread::ratio(&get, &raw_get))
        .figure("put_mb_per_second", Spread::of(put))
        .figure("get_mb_per_second", Spread::of(get))
        .figure("file_put_mb_per_second", Spread::of(raw_put))
        .figure("file_get_mb_per_second", Spread::of(raw_get))
}

struct Subject {
    store: Store,
    bodies: VecDeque<BlobId>,
}

impl Subject {
    fn put(&mut self, body: &[u8]) {
        let mut writer = self.store.blob_writer(ROWS);
        for piece in body.chunks(PIECE_BYTES) {
            writer.write(piece).expect("write");
        }
        let blob = writer.finish().expect("finish");
        let is_enough = self.bodies.len() >= BODIES;
        let old = self.bodies.pop_front_if(|_| is_enough);
        let attached = self.store.commit(|txn| {
            if let Some(old) = old {
                txn.release(old)?;
            }
            txn.attach(&blob)
        });
        let id = attached.wait().expect("the disk works").expect("attach");
        self.bodies.push_back(id);
    }

    fn get(&self, body_bytes: usize) {
        let id = *self.bodies.back().expect("one was put");
        let reader = self.store.view().open_blob(id).expect("open");
        let mut bytes = 0;
        for index in 0.. {
            let piece = reader.piece(index).expect("read");
            if piece.is_empty() {
                break;
            }
            bytes += piece.len();
        }
        assert_eq!(bytes, body_bytes);
    }
}

/// Files by themselves.
struct Control {
    directory: PathBuf,
    sync: bool,
    next: usize,
}

impl Control {
    fn new(directory: &Path, sync: bool) -> std::io::Result<Self> {
        let directory = directory.join("control");
        fs::create_dir(&directory)?;
        Ok(Control {
            directory,
            sync,
            next: 0,
        })
    }

    fn path(&self, number: usize) -> PathBuf {
        self.directory.join(number.to_string())
    }

    fn put(&mut self, body: &[u8]) {
        let mut file = File::create_new(self.path(self.next)).expect("create");
        for piece in body.chunks(PIECE_BYTES) {
            file.write_all(piece).expect("write");
        }
        if self.sync {
            file.sync_data().expect("sync");
            let directory = File::open(&self.directory).expect("open");
            directory.sync_all().expect("sync");
        }
        if let Some(old) = self.next.checked_sub(BODIES) {
            fs::remove_file(self.path(old)).expect("remove");
        }
        self.next += 1;
    }

    fn get(&self, body_bytes: usize, buffer: &mut [u8]) {
        let mut file = File::open(self.path(self.next - 1)).expect("open");
        let mut bytes = 0;
        loop {
            match file.read(buffer).expect("read") {
                0 => break,
                count => bytes += count,
            }
        }
        assert_eq!(bytes, body_bytes);
    }
}
