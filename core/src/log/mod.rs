//! One partition's log in Apache Kafka's files, and the commit log that makes acks durable.
//!
//! [`LogStore`] is the door: all logs of one shard. Below it: `log` (one log) made of `segment`s, `append`, `read`, and the
//! `tail` of batches that are not in a segment file yet.
//!
//! The life of a log directory: [`mark_in_use`], [`start_log_dir`] (recovers after a crash), one [`LogStore`] per shard,
//! their `close`, [`finish_clean_stop`]. Without the last step the next start is one after a crash.

mod append;
mod carried;
mod checkpointer;
mod checkpoints;
mod class_sync;
mod cleaner;
pub mod commit_log;
mod config;
mod descriptors;
mod direct;
mod error;
mod failure;
mod flush;
mod header;
mod late_writes;
#[expect(clippy::module_inception, reason = "one partition's log, the folder's subject")]
mod log;
mod missing;
mod open;
mod open_aborted;
mod open_epochs;
mod page_cache;
mod planted;
mod read;
mod read_hints;
mod recovery;
mod refused;
mod retention;
mod scan;
mod scrub;
mod segment;
mod store;
mod synced_points;
mod tail;
mod timestamps;

pub use append::Appended;
pub use checkpoints::{ClosedLog, write_checkpoints};
pub use cleaner::{CleanError, CleanedSegment, CleanerConfig, Cleaning, Dirtiness, Pace};
pub use config::{Durability, LogConfig, LogKey, LogSpec, ProducerExpiry, StoreConfig};
pub use direct::DirectConfig;
pub use error::{AppendError, ReadError, StoreError};
pub use failure::LogDirFailure;
pub use missing::{MissingLog, missing_logs};
#[cfg(any(test, feature = "planted-bugs"))]
pub use planted::PlantedBug;
pub use recovery::{
    COMMIT_LOG_FOLDER, Recovered, finish_clean_stop, is_clean, mark_in_use, recover_log_dir, start_log_dir,
};
pub use scrub::{Damage, Scrub, Scrubbed};
pub use store::{ColdRead, Committed, FailedAppend, LogStore, ReadResult, Retired};

#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod store_tests;

mod checkpoint;
mod index_search;
mod leader_epoch_cache;
mod offset_index;
mod partition_metadata;
mod producer_state;
mod time_index;
mod transaction_index;

pub use checkpoint::{
    CLEAN_SHUTDOWN_FILE, CLEANER_OFFSET_FILE, CheckpointError, LOG_START_OFFSET_FILE, OffsetCheckpoint,
    RECOVERY_POINT_FILE, REPLICATION_OFFSET_FILE, decode_clean_shutdown, encode_clean_shutdown,
};
pub use leader_epoch_cache::{EpochEntry, LEADER_EPOCH_FILE, LeaderEpochCache, LeaderEpochMark};
pub use offset_index::{OFFSET_ENTRY_BYTES, OffsetEntry};
pub use partition_metadata::{
    PARTITION_METADATA_FILE, PartitionMetadataError, decode_partition_metadata, encode_partition_metadata,
};
pub use producer_state::{
    BATCHES_KEPT, ProducerBatch, ProducerInfo, ProducerState, ProducerUndo, SequenceCheck, SnapshotError,
    TransactionEnd,
};
pub use time_index::{TIME_ENTRY_BYTES, TimeEntry};
pub use transaction_index::{AbortedTransaction, TRANSACTION_ENTRY_BYTES};
