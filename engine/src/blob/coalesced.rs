//! One sync for many: who comes while one runs is covered by the next.

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};
use std::io;

/// Syncs of one file or directory.
#[derive(Debug, Default)]
pub(super) struct Coalesced {
    changes: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    covered: u64,
    failed: bool,
}

/// A change that returned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

impl Coalesced {
    /// For a change that has just returned.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket(self.changes.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// Syncs unless another's sync began after the change did. A failed one is final, for everybody.
    pub(super) fn cover(&self, ticket: Ticket, sync: impl FnOnce() -> io::Result<()>) -> bool {
        let mut state = self.state.lock();
        if state.failed || state.covered >= ticket.0 {
            return !state.failed;
        }
        // All changes up to here have returned, so the sync covers them.
        let changes = self.changes.load(Ordering::SeqCst);
        match sync() {
            Ok(()) => state.covered = changes,
            Err(_) => state.failed = true,
        }
        !state.failed
    }

    pub(super) fn failed(&self) -> bool {
        self.state.lock().failed
    }
}
