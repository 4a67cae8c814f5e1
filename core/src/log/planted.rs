//! Bugs planted on purpose, each one a rule of `docs/log-format.md` that is broken: the tests and the simulation must find
//! every one of them.
//!
//! Built only for tests (the feature `planted-bugs`, which no release has). Without it nothing can be planted, and
//! [`is_planted`] is a constant.

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

#[cfg(any(test, feature = "planted-bugs"))]
mod planting {
    use std::cell::Cell;

    use super::PlantedBug;

    thread_local! {
        static PLANTED: Cell<Option<PlantedBug>> = const { Cell::new(None) };
    }

    /// A bug that is there, on this thread, until this is dropped.
    #[derive(Debug)]
    #[must_use = "dropping it takes the bug away"]
    pub struct Planting(());

    impl Planting {
        /// Plants a bug; `None` plants nothing.
        pub fn new(bug: Option<PlantedBug>) -> Self {
            PLANTED.set(bug);
            Self(())
        }
    }

    impl Drop for Planting {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }

    /// Whether `bug` was planted on this thread.
    pub(crate) fn is_planted(bug: PlantedBug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(any(test, feature = "planted-bugs"))]
pub use planting::Planting;
#[cfg(any(test, feature = "planted-bugs"))]
pub(crate) use planting::is_planted;

/// Nothing is planted here.
#[cfg(not(any(test, feature = "planted-bugs")))]
pub(crate) const fn is_planted(_: PlantedBug) -> bool {
    false
}
