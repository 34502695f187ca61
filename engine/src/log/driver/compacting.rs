//! Compactions, as far as the log has to do with them: it makes the cut, and counts what is left.

use super::Driver;
use crate::compaction::Done;
use crate::compaction::trigger::Growth;
use crate::error::Failure;
use std::time::Instant;

/// What the status counts, at some moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    growth: Growth,
    segments: u64,
    log_bytes: u64,
}

impl Driver {
    /// Begins a compaction if one is due, and does a step of one that runs.
    pub(super) fn compact(&mut self, now: Instant) {
        if self.poisoned {
            return;
        }
        if let Some(ended) = self.compactor.step(now) {
            match ended {
                Ok(done) => self.compacted(&done),
                // Others rely on names in the directory too.
                Err(failure @ Failure::Poisoned { .. }) => return self.poison(&failure),
                Err(_) => {}
            }
            self.tell_of_compactions();
        }
        let may_cut = self.writer.may_cut();
        let log = self.growth();
        // A spare in preparation is waited for, as it will nudge the log.
        if may_cut != Ok(false) && self.compactor.is_wanted(now, log, &self.shared) {
            self.begin_compaction(may_cut, now);
            self.tell_of_compactions();
        }
    }

    fn begin_compaction(&mut self, may_cut: Result<bool, Failure>, now: Instant) {
        if let Err(failure) = may_cut {
            return self.compactor.failed(&failure, Some(now));
        }
        match self.writer.cut() {
            Ok(cut) => {
                self.at_next_cut = self.size();
                // Nothing is in flight: what is published is what is written.
                let view = self.shared.view();
                self.compactor.begin(&self.shared, cut, &view.root);
            }
            Err(failure) => {
                self.compactor.failed(&failure, Some(now));
                if matches!(failure, Failure::Poisoned { .. }) {
                    self.poison(&failure);
                }
            }
        }
    }

    fn tell_of_compactions(&mut self) {
        self.shared.set_log(self.status());
        self.shared.set_compactions(self.compactor.status());
        self.compactor.tell();
    }

    /// When to look again whether one is due.
    pub(super) fn compact_at(&self) -> Option<Instant> {
        self.compactor
            .look_at(self.growth())
            .filter(|_| !self.poisoned)
    }

    /// What the log has grown by since the cut of the last compaction.
    fn growth(&self) -> Growth {
        self.writer.growth.since(self.at_cut.growth)
    }

    /// The log ends, or takes nothing more.
    pub(super) fn stop_compacting(&mut self, why: &Failure) {
        let failure = self.compactor.stop(why);
        // Crash argument 5 of [`crate::compaction`].
        self.poisoned |= matches!(failure, Some(Failure::Poisoned { .. }));
        self.tell_of_compactions();
    }

    fn size(&self) -> Size {
        Size {
            growth: self.writer.growth,
            segments: self.writer.segments,
            log_bytes: self.writer.log_bytes,
        }
    }

    fn compacted(&mut self, done: &Done) {
        self.at_cut = self.at_next_cut;
        let gone = self.at_cut;
        self.writer.segments = self.writer.segments - gone.segments + done.sweep.segments_left;
        self.writer.log_bytes = self.writer.log_bytes - gone.log_bytes + done.sweep.bytes_left;
        (self.at_cut.segments, self.at_cut.log_bytes) = (0, 0);
        self.writer.rest_at(done.manifest.cut);
    }
}
