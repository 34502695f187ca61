//! The store over a simulated disk, driven by hand.

use super::*;
use crate::disk::{Crash, Faults, Loss, Simulated};
use crate::{Next, Read};
use std::ops::Bound;
use std::time::{Duration, Instant};

const SPACE: Space = Space::new(0x100, "test/space");
const PASSING: Space = Space::new(0x200, "test/passing");

/// A store on a disk, and what drives its log.
struct Lab {
    store: Store,
    driver: Driver,
    recovery: Recovery,
    now: Instant,
}

fn options(durability: Durability) -> Options {
    Options {
        durability,
        ephemeral_spaces: vec![PASSING],
        segment_bytes: 64 << 10,
        seed: Some(1),
        ..Options::default()
    }
}

impl Lab {
    fn open(disk: &Simulated) -> Lab {
        Lab::open_with(disk, options(Durability::Power))
    }

    fn open_with(disk: &Simulated, options: Options) -> Lab {
        Lab::try_open(disk, options).expect("it opens")
    }

    fn try_open(disk: &Simulated, options: Options) -> Result<Lab, Error> {
        let disk = Arc::new(disk.clone());
        let (store, driver, recovery) = Store::open_stepped(disk, Path::new("data"), options)?;
        Ok(Lab {
            store,
            driver,
            recovery,
            now: Instant::now(),
        })
    }

    /// Does all there is to do now.
    fn settle(&mut self) {
        while self.driver.step(self.now) == Next::Again {}
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<Option<Lsn>, Error> {
        let done = self.queue(key, value);
        let lsn = done.lsn();
        self.settle();
        done.wait().map(|_| lsn)
    }

    fn queue(&self, key: &str, value: &[u8]) -> Pending<Result<(), ()>> {
        self.store.commit(|txn| {
            txn.put(SPACE, key.as_bytes(), value);
            Ok(())
        })
    }

    fn keys(&self) -> String {
        keys(&self.store.view(), SPACE)
    }

    fn close(mut self) {
        self.store.shared.begin_close();
        self.settle();
        self.store.close().expect("it closes");
    }
}

fn keys(read: &impl Read, space: Space) -> String {
    let range = read.range(space, Bound::Unbounded, Bound::Unbounded);
    let keys: Vec<_> = range
        .map(|(key, _)| String::from_utf8_lossy(key).into_owned())
        .collect();
    keys.join(" ")
}

#[test]
fn what_was_acknowledged_is_there_after_a_close_a_kill_and_a_power_cut() {
    for crash in [
        None,
        Some(Crash::Process(255)),
        Some(Crash::Power(Loss::All)),
    ] {
        let disk = Simulated::default();
        let mut lab = Lab::open(&disk);
        lab.put("a", b"1").expect("there is a disk");
        lab.put("b", b"2").expect("there is a disk");
        let disk = match crash {
            None => {
                lab.close();
                disk
            }
            Some(crash) => disk.restart(crash, Faults::default()),
        };
        let mut lab = Lab::open(&disk);
        assert_eq!(lab.keys(), "a b", "{crash:?}");
        assert_eq!(lab.recovery.clean, crash.is_none());
        assert_eq!((lab.recovery.lsn, lab.recovery.records), (Lsn(2), 2));
        assert_eq!(lab.put("c", b"3").expect("there is a disk"), Some(Lsn(3)));
        lab.close();
        assert_eq!(Lab::open(&disk).keys(), "a b c");
    }
}
