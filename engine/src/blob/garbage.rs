//! What happens to bodies that have no row any more.
//!
//! A body waits until the deletion of its row is synced, and until no view is left that shows the row (crash argument 4 in
//! [`super`]). Views hold a [`Pin`]. Publishing a state that lacks a blob of the one before changes the pin: the dead body
//! waits for the end of the old one. Pins end in any order, so the dead are looked at in the order of their deletion.

use super::row::{Place, Row};
use super::{Blobs, Spill};
use crate::store::Lsn;
use crate::sync::atomic::Ordering;
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Condvar, Mutex};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};

/// Keeps the bodies of all rows that its view shows.
#[derive(Debug)]
pub(crate) struct Pin(pub(crate) Arc<Blobs>);

impl Drop for Pin {
    fn drop(&mut self) {
        self.0.look();
    }
}

/// A body without a row.
#[derive(Debug)]
pub(crate) enum Dead {
    File(u64),
    Range { pack: u64, bytes: u64 },
    Spilled(Vec<u32>),
}

impl Dead {
    pub(super) fn of(id: u64, row: Row) -> Option<Dead> {
        match row.place {
            Place::Inline(_) => None,
            Place::File => Some(Dead::File(id)),
            Place::Pack(pack, _) => Some(Dead::Range {
                pack,
                bytes: row.bytes,
            }),
            Place::Spill(blocks) => Some(Dead::Spilled(blocks)),
        }
    }
}

#[derive(Debug)]
pub(super) struct Graveyard {
    graves: Mutex<Graves>,
    /// The gravedigger waits here.
    work: Condvar,
}

#[derive(Debug, Default)]
struct Graves {
    /// In the order of their deletion.
    released: VecDeque<Grave>,
    /// Never had a row.
    discarded: Vec<Dead>,
    synced: Lsn,
    digger: Digger,
}

#[derive(Debug)]
struct Grave {
    /// The state that lacks it first.
    lsn: Lsn,
    /// Those who see older ones.
    pin: Weak<Pin>,
    dead: Vec<Dead>,
}

/// Who removes the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Digger {
    /// Whoever ends the wait. For memory, where it costs nothing.
    #[default]
    Anyone,
    /// Who calls [`Blobs::collect`].
    Stepped,
    /// A thread, as removing a large file takes its time.
    Thread,
    Stopped,
}

impl Graveyard {
    pub(super) fn at_once() -> Graveyard {
        Graveyard {
            graves: Mutex::default(),
            work: Condvar::new(),
        }
    }

    pub(super) fn stepped() -> Graveyard {
        let graveyard = Graveyard::at_once();
        graveyard.graves.lock().digger = Digger::Stepped;
        graveyard
    }
}

impl Graves {
    fn next(&mut self) -> Option<Vec<Dead>> {
        if !self.discarded.is_empty() {
            return Some(std::mem::take(&mut self.discarded));
        }
        let without_log = self.digger == Digger::Anyone;
        let first = self.released.front()?;
        let done = (without_log || first.lsn <= self.synced) && first.pin.strong_count() == 0;
        done.then(|| self.released.pop_front().map(|grave| grave.dead))?
    }
}

impl Blobs {
    /// The state of `lsn` is published and lacks these bodies; `pin` keeps them for those who see older ones.
    pub(crate) fn retire(&self, lsn: Lsn, pin: &Arc<Pin>, dead: Vec<Dead>) {
        // There will be room again; who writes next will see.
        self.full.store(false, Ordering::Relaxed);
        let pin = Arc::downgrade(pin);
        let mut graves = self.graveyard.graves.lock();
        graves.released.push_back(Grave { lsn, pin, dead });
    }

    /// Nothing ever referred to this body, nor can a crash make it so.
    pub(super) fn discard(&self, dead: Dead) {
        self.graveyard.graves.lock().discarded.push(dead);
        self.look();
    }

    /// All up to here is synced.
    pub(crate) fn synced(&self, lsn: Lsn) {
        let mut graves = self.graveyard.graves.lock();
        if graves.synced < lsn {
            graves.synced = lsn;
            if graves.digger == Digger::Thread && !graves.released.is_empty() {
                self.graveyard.work.notify_one();
            }
        }
    }

    /// Something may be done about the dead.
    fn look(&self) {
        let digger = self.graveyard.graves.lock().digger;
        match digger {
            Digger::Anyone => self.collect(),
            Digger::Thread => {
                self.graveyard.work.notify_one();
            }
            Digger::Stepped | Digger::Stopped => {}
        }
    }

    /// Removes what can go.
    pub(crate) fn collect(&self) {
        loop {
            let next = self.graveyard.graves.lock().next();
            match next {
                Some(dead) => dead.into_iter().for_each(|dead| self.bury(dead)),
                None => return,
            }
        }
    }

    fn bury(&self, dead: Dead) {
        match (dead, &self.home) {
            (Dead::Spilled(blocks), _) => Spill::free(&self.spill, &blocks),
            (Dead::File(id), Some(home)) => {
                home.forget_unsynced(id);
                home.remove(&home.blob_path(id));
            }
            (Dead::Range { pack, bytes }, Some(home)) => home.free_range(pack, bytes),
            (Dead::File(_) | Dead::Range { .. }, None) => {}
        }
    }

    /// From now on a thread collects.
    pub(crate) fn in_background(self: &Arc<Self>) -> io::Result<JoinHandle<()>> {
        let blobs = self.clone();
        self.graveyard.graves.lock().digger = Digger::Thread;
        thread::Builder::new()
            .name("cumulog-blobs".into())
            .spawn(move || blobs.run())
    }

    fn run(&self) {
        let mut graves = self.graveyard.graves.lock();
        while graves.digger == Digger::Thread {
            match graves.next() {
                Some(dead) => {
                    drop(graves);
                    dead.into_iter().for_each(|dead| self.bury(dead));
                    graves = self.graveyard.graves.lock();
                }
                None => self.graveyard.work.wait(&mut graves),
            }
        }
    }

    /// Removes what can go, and nothing more after that: the next opening sweeps.
    pub(crate) fn stop(&self) {
        self.collect();
        if let Some(home) = &self.home {
            home.close_pack();
        }
        self.graveyard.graves.lock().digger = Digger::Stopped;
        self.graveyard.work.notify_one();
    }
}
