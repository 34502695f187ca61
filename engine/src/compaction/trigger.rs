//! When a compaction is worth it.
//!
//! It is due when opening would replay for too long, or when more than half of what is on the disk is garbage. Never
//! because time has passed.
//!
//! Neither lets it write more, in the long run, than the log did: by the first rule it must not write more than the log
//! has grown. By the second it writes at most what is live, which is less than the garbage; and all garbage between two
//! compactions is what the log has grown by, plus by how much the live state has shrunk. So log and snapshots together take
//! at most twice the live state, or [`Options::compaction_bytes_min`](crate::Options) more than it, plus the segments that
//! are reserved and not yet full; while a compaction runs, its snapshots come on top.

use crate::manifest::Manifest;
use crate::root::Root;
use crate::snapshot;
use std::time::Duration;

/// What replaying takes, measured on one core of a small machine: a record with one small entry, and a byte of a large one.
const RECORD: Duration = Duration::from_nanos(600);
const BYTE_PICOS: u64 = 800;

/// An opening should not replay for longer.
const REPLAY_MAX: Duration = Duration::from_millis(250);

/// What the log has grown by since the cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Growth {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl Growth {
    pub(crate) fn since(self, earlier: Growth) -> Growth {
        Growth {
            records: self.records - earlier.records,
            bytes: self.bytes - earlier.bytes,
        }
    }

    fn replay(self) -> Duration {
        let picos = u128::from(self.bytes) * u128::from(BYTE_PICOS);
        let nanos = u128::from(self.records) * RECORD.as_nanos() + picos / 1000;
        Duration::from_nanos(nanos.try_into().unwrap_or(u64::MAX))
    }
}

/// What there is on the disk, and what of it is live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    log: Growth,
    snapshot_bytes: u64,
    live_bytes: u64,
    /// What a compaction would write.
    rewrite_bytes: u64,
}

impl Balance {
    pub(crate) fn of(
        log: Growth,
        last: Option<&Manifest>,
        root: &Root,
        ephemeral: &[u32],
    ) -> Balance {
        let mut balance = Balance {
            log,
            snapshot_bytes: last.map_or(0, Manifest::snapshot_bytes),
            ..Balance::default()
        };
        for (space, contents) in root.durable(ephemeral) {
            let bytes = snapshot::entries_bytes(&contents.entries);
            balance.live_bytes += bytes;
            if super::up_to_date(last, space, contents, root.lsn).is_none() {
                balance.rewrite_bytes += bytes;
            }
        }
        balance
    }

    /// Is a compaction due that gives back at least so many bytes?
    pub(crate) fn is_due(self, bytes_min: u64) -> bool {
        let on_disk = self.log.bytes.saturating_add(self.snapshot_bytes);
        let garbage = on_disk.saturating_sub(self.live_bytes);
        let slow = self.log.replay() > REPLAY_MAX && self.log.bytes >= self.rewrite_bytes;
        self.log.bytes.max(garbage) >= bytes_min && (slow || garbage > self.live_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn check(records: u64, log: u64, snapshots: u64, live: u64, rewrite: u64, due: bool) {
        let balance = Balance {
            log: Growth {
                records,
                bytes: log * MIB,
            },
            snapshot_bytes: snapshots * MIB,
            live_bytes: live * MIB,
            rewrite_bytes: rewrite * MIB,
        };
        assert_eq!(balance.is_due(8 * MIB), due, "{balance:?}");
    }

    #[test]
    fn a_small_log_is_left_alone() {
        check(0, 0, 0, 0, 0, false);
        check(10_000, 7, 0, 0, 0, false);
    }

    #[test]
    fn garbage_is_collected_once_it_is_half() {
        check(1000, 20, 0, 11, 11, false);
        check(1000, 20, 0, 9, 9, true);
        check(1000, 20, 100, 60, 10, false);
        check(1000, 20, 100, 59, 10, true);
        // All was deleted by one record.
        check(1, 0, 100, 0, 0, true);
    }

    #[test]
    fn a_long_replay_is_cut_short_if_that_writes_no_more_than_the_log_did() {
        check(1_000_000, 150, 0, 110, 110, true);
        check(1_000_000, 150, 1000, 1100, 1100, false);
        check(1_000_000, 150, 1000, 1100, 149, true);
        check(1000, 400, 0, 390, 390, true);
    }
}
