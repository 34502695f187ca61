//! The one place that knows what time it is.
//!
//! Everything else is told: a handler reads `Call::now`, a wait asks for an absolute
//! time. Tests, and later the virtual clock, put another [`Clock`] in its place.

use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cumulog_shape::Timestamp;

/// A wait that a [`Clock`] ends.
pub(crate) type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Time, as services see it.
pub(crate) trait Clock: Send + Sync {
    /// The time now. It never runs backwards within a process, whatever the system's
    /// clock does, so that two transactions keep the order of their times.
    fn now(&self) -> Timestamp;

    /// Ends once [`now`](Clock::now) has reached `due`; at once if it already has.
    fn sleep_until(&self, due: Timestamp) -> Sleep;
}

/// The machine's clock.
#[derive(Default)]
pub(crate) struct SystemClock {
    latest_ms: AtomicI64,
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock set before 1970 stands at its beginning.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        let latest_ms = self.latest_ms.fetch_max(now_ms, Ordering::Relaxed);
        Timestamp(now_ms.max(latest_ms))
    }

    fn sleep_until(&self, due: Timestamp) -> Sleep {
        let wait_ms = u64::try_from(due.0.saturating_sub(self.now().0)).unwrap_or(0);
        Box::pin(tokio::time::sleep(Duration::from_millis(wait_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_does_not_run_backwards() {
        let clock = SystemClock::default();
        let later = Timestamp(clock.now().0 + 60_000);
        clock.latest_ms.store(later.0, Ordering::Relaxed);
        assert_eq!(clock.now(), later);
    }
}
