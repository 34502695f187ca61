//! Messages that were taken for a receiver who hung up before the answer.
//!
//! A commit can't be called back once it is queued: if the connection closes while it waits to be durable, its messages
//! are in flight with nobody to process them. They are put back at once, as if their visibility had been changed to 0,
//! so that a closed connection costs other receivers nothing but a receive count.

use super::ledger::Ledger;
use super::queue::Queue;
use super::rows::Number;
use super::signals::Signals;
use super::take::TakenMessage;
use super::visibility;
use crate::call::Call;
use parking_lot::Mutex;

/// Puts messages back when dropped before [`Undelivered::delivered`].
pub(super) struct Undelivered<'a> {
    call: &'a Call,
    queue: &'a Queue,
    /// Number and receipt of each message.
    taken: Mutex<Vec<(Number, u64)>>,
}

impl<'a> Undelivered<'a> {
    pub(super) fn new(call: &'a Call, queue: &'a Queue) -> Self {
        Undelivered {
            call,
            queue,
            taken: Mutex::default(),
        }
    }

    /// Notes what was taken.
    pub(super) fn note(&self, messages: &[TakenMessage]) {
        *self.taken.lock() = messages
            .iter()
            .map(|taken| (taken.number, taken.state.receipt))
            .collect();
    }

    /// The answer is on its way.
    pub(super) fn delivered(self) {
        self.taken.lock().clear();
    }
}

impl Drop for Undelivered<'_> {
    fn drop(&mut self) {
        let taken = std::mem::take(self.taken.get_mut());
        if taken.is_empty() {
            return;
        }
        let signals = self.call.state::<Signals>();
        let put_back = self.call.store().commit(|txn| {
            let now = self.call.clock().now().0;
            let mut ledger = Ledger::open(txn, self.queue, now)?;
            for (number, receipt) in taken {
                let state = ledger
                    .state(number)?
                    .filter(|state| state.receipt == receipt);
                if let Some(state) = state.filter(|state| state.visible_ms > now) {
                    visibility::move_to(&mut ledger, number, state, now)?;
                }
            }
            ledger.close(&signals);
            Ok::<_, super::error::SqsError>(())
        });
        // Nobody is left to tell; if it fails, the visibility timeout puts the messages back.
        drop(put_back);
    }
}
