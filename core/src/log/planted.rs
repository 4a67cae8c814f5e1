//! Bugs planted on purpose, each one a rule of `docs/log-format.md` that is broken: the tests and the simulation must find
//! every one of them.

pub(crate) use crate::planting::is_planted;

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedBug {
    /// An entry is acked when its own write is complete, whatever the earlier ones are.
    AckBeforePrefix,
    /// The commit log is written without RWF_DSYNC.
    NoDsync,
    /// The last block is written again with more entries.
    BlockRewritten,
    /// A file of the commit log is used again before its release is durable.
    ReusedBeforeReleaseIsDurable,
    /// The commit log is released past batches that are not in their segment yet.
    ReleasedUnwritten,
    /// Recovery takes what an earlier use of a file, or an earlier log, left behind.
    GenerationNotChecked,
    /// Recovery trusts no synced point, and cuts what the commit log does not hold.
    CutBelowSyncedPoint,
    /// What was not in a commit log becomes a promise without a sync: replayed, or kept of class page-cache.
    PromisedWithoutSync,
    /// A start believes what the page cache shows, also of another one than was written through.
    AnyPageCacheBelieved,
    /// A partition's folder gets its first segment without `partition.metadata`.
    PartitionMetadataLate,
    /// After a failed sync of segments only the log whose error was seen stops; the others are synced again.
    FailedSyncRepeated,
    /// Compaction drops the batch that holds the last sequence of a producer.
    LastOfProducerDropped,
    /// A cleaned segment takes its place before the segments that it replaces are durably gone.
    SwapUnordered,
    /// Compaction trusts a cleaned segment that was not synced.
    CleanedNotSynced,
    /// Compaction cleans segments that are not synced yet.
    UnsyncedCleaned,
}
