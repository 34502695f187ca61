//! Locks, threads and time, as all of the engine uses them: parking_lot's and the system's.
//!
//! With the feature `shuttle` they are shuttle's, which decides at every one of them who runs next; for the test
//! `interleavings` and nothing else.

#[cfg(feature = "shuttle")]
mod scheduled;

#[cfg(feature = "shuttle")]
pub(crate) use scheduled::{Condvar, Mutex, MutexGuard, RwLock, atomic, mpsc, now, thread};

#[cfg(not(feature = "shuttle"))]
pub(crate) use {
    parking_lot::{Condvar, Mutex, MutexGuard, RwLock},
    std::sync::{atomic, mpsc},
    std::thread,
};

/// The time by which the log's deadlines are met.
#[cfg(not(feature = "shuttle"))]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}
