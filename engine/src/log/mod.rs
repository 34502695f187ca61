//! The write-ahead log: append-only segments of checksummed records.
//!
//! ```text
//! DIRECTORY/LOCK                       held for the life of the process
//! DIRECTORY/log/000000000001.log …     segments, see [`segment`]: a header block, then records, see [`record`]
//! DIRECTORY/log/000000000007.log.tmp   a spare in preparation
//! DIRECTORY/MANIFEST                   since the first compaction: where the log starts, see [`crate::manifest`]
//! DIRECTORY/snapshots/….snap           the state there, a file for each key space, see [`crate::snapshot`]
//! ```
//!
//! The sequencer hands over batches of transactions in LSN order. [`writer`] appends a batch with one write, syncs it as
//! the durability says, and only then is its state published and its callers answered ([`driver`]). A full segment is
//! sealed and the log goes on in the next, which was prepared ahead: zero-filled and synced under another name, then
//! renamed. Nothing is ever written twice at one place, nothing is cut off or repaired.
//!
//! A compaction ([`crate::compaction`]) seals the segment early, at a *cut*, and replaces all that lies before it by
//! snapshots of the state there. Recovery ([`recovery`]) reads those, and replays the segments from the one on that names
//! the cut as its predecessor's end.
//!
//! # Why a crash loses no acknowledged record
//!
//! 1. *Acknowledged records are a prefix.* Records are written in LSN order, and a sync covers every earlier byte of its
//!    file. A segment's header is written only after a sync of its predecessor covered the cut that the header names.
//! 2. *A segment's header is synced before its first record is written.* So a file with records and without a valid header
//!    is damaged, whatever happened. A header without records may still be lost, so no other header builds on it.
//! 3. *What was synced can be told from what was not.* Every record says how far the log was known synced when it was
//!    written. An invalid record at or below such a mark is damage, and recovery refuses without writing. Above all marks
//!    it is a torn tail, which nobody was promised.
//! 4. *Bytes that were never proven synced are not trusted.* After a failed sync the kernel may hold pages that it counts
//!    as written and that are not: a file may read well and be lost at the next power cut. So recovery copies what lies
//!    past the last proven record into a new segment and syncs that before it serves. The old bytes stay where they are,
//!    as evidence. Until all of the copies are there, the new segment isn't part of the log, so a crash in between leaves
//!    the old one in charge. If there is no space for the copy, it waits for the first write, and the old segment is
//!    synced instead.
//! 5. *A failed sync poisons the log.* Retrying could succeed without writing what was lost.
//! 6. *A refused transaction stays refused.* After a failed write, part of the batch may be whole on disk. The next
//!    segment's header cuts it off, and only once that header is synced are the callers told that nothing happened.
//! 7. *What a compaction removes is in snapshots.* All before the cut is synced when the cut is made, and the segments there
//!    are removed only once snapshots of exactly that state, and the manifest that names them, are durable. Before that, the
//!    cut is one end of a segment like any other. The whole argument stands in [`crate::compaction`].
//!
//! # Limits
//!
//! A compaction removes evidence, too: torn bytes that an earlier crash left go with their segment.
//!
//! Rot in the last records before a crash, those that no later record proves, looks like a torn tail. A mark after 20 ms
//! of idling and the record at closing keep that window small. CRC-32 finds accidents, not tampering.
//!
//! On a full disk a recovery can only sync what it can't copy. If an earlier sync of the same bytes failed and the process
//! was killed then, that sync may lie, and a loss of power takes what was shown. Writing the bytes once more where they
//! stand would be worse: a crash could tear what was acknowledged.

mod base;
pub(crate) mod driver;
pub(crate) mod record;
pub(crate) mod recovery;
pub(crate) mod segment;
pub(crate) mod spare;
pub(crate) mod thread;
pub(crate) mod window;
pub(crate) mod writer;

/// Where the segments are in a data directory.
pub(crate) const DIRECTORY_NAME: &str = "log";
