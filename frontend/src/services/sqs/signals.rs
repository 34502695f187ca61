//! Who waits for messages, and what wakes them.
//!
//! A long poll looks at the published state, and if there is nothing waits for two things: a signal of its queue and the
//! time at which the next message is due. A transaction that makes messages visible, or due sooner, signals once it is
//! published.
//!
//! # Why no wake-up is lost
//!
//! A waiter is entered before it looks, and a signal comes after what it announces can be seen. So either the waiter
//! sees the change or it is signalled.
//!
//! A message that can be had now wakes one waiter, the one that waits longest; if that one goes away, the wake-up passes
//! on to the next. A message that is due later must not wake anybody by itself, unless it is due before the time that
//! the waiters know of: then all are woken to look again. That time is kept in `known_due_ms`. A waiter that has looked
//! sets it, if nothing was announced meanwhile; else it looks again.

use super::rows::{QueueId, TimeMs};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The waiters of all queues.
#[derive(Default)]
pub(crate) struct Signals {
    queues: Mutex<HashMap<QueueId, Arc<Signal>>>,
}

/// What a transaction did for those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wake {
    /// Messages that can be had now.
    pub(crate) ready: usize,
    /// The soonest time at which others can.
    pub(crate) due_ms: TimeMs,
}

impl Default for Wake {
    fn default() -> Self {
        Wake {
            ready: 0,
            due_ms: TimeMs::MAX,
        }
    }
}

#[derive(Default)]
struct Signal {
    notify: Notify,
    known: Mutex<Known>,
}

struct Known {
    /// How often something was announced.
    epoch: u64,
    /// No waiter sleeps longer than until then.
    due_ms: TimeMs,
    waiters: usize,
}

impl Default for Known {
    fn default() -> Self {
        Known {
            epoch: 0,
            due_ms: TimeMs::MAX,
            waiters: 0,
        }
    }
}

impl Signals {
    /// Enters a waiter for a queue.
    pub(crate) fn waiter(self: &Arc<Self>, queue: QueueId) -> Waiter {
        let mut queues = self.queues.lock();
        let signal = Arc::clone(queues.entry(queue).or_default());
        signal.known.lock().waiters += 1;
        Waiter {
            signals: Arc::clone(self),
            queue,
            signal,
        }
    }

    /// Announces a published change of a queue.
    pub(crate) fn announce(&self, queue: QueueId, wake: Wake) {
        let Some(signal) = self.queues.lock().get(&queue).cloned() else {
            return;
        };
        let waiters = {
            let mut known = signal.known.lock();
            known.epoch += 1;
            if wake.due_ms < known.due_ms {
                known.due_ms = wake.due_ms;
                drop(known);
                return signal.notify.notify_waiters();
            }
            known.waiters
        };
        for _ in 0..wake.ready.min(waiters) {
            signal.notify.notify_one();
        }
    }

    /// Wakes all waiters of a queue: it is gone, or its settings changed.
    pub(crate) fn wake_all(&self, queue: QueueId) {
        self.announce(
            queue,
            Wake {
                ready: 0,
                due_ms: TimeMs::MIN,
            },
        );
    }
}

/// One who waits for messages of a queue.
pub(crate) struct Waiter {
    signals: Arc<Signals>,
    queue: QueueId,
    signal: Arc<Signal>,
}

impl Waiter {
    /// The next signal. Must be enabled before the waiter looks.
    pub(crate) fn signal(&self) -> Notified<'_> {
        self.signal.notify.notified()
    }

    /// To be read before the waiter looks.
    pub(crate) fn epoch(&self) -> u64 {
        self.signal.known.lock().epoch
    }

    /// Says until when the waiter sleeps. `false`: something was announced since `epoch`, look again.
    pub(crate) fn sleeps_until(&self, epoch: u64, due_ms: TimeMs) -> bool {
        let mut known = self.signal.known.lock();
        let current = known.epoch == epoch;
        if current {
            known.due_ms = due_ms;
        }
        current
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut queues = self.signals.queues.lock();
        let mut known = self.signal.known.lock();
        known.waiters -= 1;
        if known.waiters == 0 {
            queues.remove(&self.queue);
        }
    }
}
