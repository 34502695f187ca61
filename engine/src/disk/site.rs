//! The places in the engine that sync, by name: so that a test can leave out each of them, and must find what is lost.

macro_rules! sites {
    ($($name:ident $text:literal)*) => {
        /// A place in the engine that syncs a file or a directory. What the disk does is the same at all of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Site {
            $(#[doc = $text] $name,)*
        }

        impl Site {
            /// All of them.
            pub const ALL: &[Site] = &[$(Site::$name,)*];

            /// What would be lost without it.
            pub fn protects(self) -> &'static str {
                match self {
                    $(Site::$name => $text,)*
                }
            }
        }
    };
}

sites! {
    LogRecords "at `power`, the records of transactions that are acknowledged next"
    LogInBackground "at `process`, the records that the log then says are synced"
    LogBeforeHeader "all before the cut that the next segment's header names"
    LogHeader "a segment's header, before its first record"
    LogCarried "the copies of what was not proven, before they count instead of the originals"
    LogCutOff "should the header rot that cuts a refused batch off, the record that makes this damage"
    LogBeforeCompaction "the segment that a compaction is about to make superfluous"
    LogBeforeClose "the records before the one that says that the log was closed"
    LogClosed "the record that says so"
    LogInPlace "on a full disk, what was recovered and can't be copied"
    SpareZeros "a new segment's zeros, before it gets its name"
    SpareGrown "the zeros of one that had to grow"
    SpareName "a new segment's name"
    SpareParents "the names of the directories above the first segment"
    BlobFile "at `power`, a body of its own file, before a record refers to it"
    BlobRange "at `power`, a body in a pack, before a record refers to it"
    BlobName "at `power`, the name of such a file or pack"
    BlobsInBackground "at `process`, bodies, before the records that refer to them are synced"
    BlobNamesInBackground "at `process`, their names"
    BlobsDirectory "the name of the directory that they are in"
    BlobCopied "a copy of a body that was recovered and not proven"
    BlobInPlace "on a full disk, such a body, which can't be copied"
    BlobCopyName "the copy's name"
    BlobCopyDirectory "the name of the directory that it is in"
    SnapshotPart "nothing: spreads the writing, so that the log's syncs need not wait behind all of it"
    SnapshotFile "a snapshot, before it gets its name"
    SnapshotName "a snapshot's name, before a manifest names it"
    SnapshotDirectory "the name of the directory that snapshots are in"
    ManifestFile "a manifest, before it gets its name"
    ManifestName "a manifest's name, before anything is removed that it makes superfluous"
    ManifestRenewed "the name of the manifest that an opening found, before anything is removed"
}
