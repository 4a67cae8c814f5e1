//! What a shard tells when it is asked.

use std::sync::Arc;

use hdrhistogram::Histogram;

use super::{RequestTimes, TopicCounts};

/// One shard at one moment.
#[derive(Debug, Clone, Default)]
pub struct ShardSnapshot {
    /// Processor time of its thread, in nanoseconds.
    pub cpu_ns: u64,
    /// Requests of its connections.
    pub requests: Vec<RequestTimes>,
    /// Topics with partitions on it.
    pub topics: Vec<(Arc<str>, TopicCounts)>,
    /// Partitions that it leads.
    pub partitions_count: usize,
    /// Each of them, where the asker wants them.
    pub partitions: Vec<PartitionSnapshot>,
    /// Committed offsets of the groups that it coordinates, where the asker wants them.
    pub committed: Vec<CommittedSnapshot>,
    /// Microseconds of each durable write of its commit log; `None` while it starts.
    pub commit_log_writes_us: Option<Histogram<u64>>,
    /// Its looks for damage on the disk.
    pub scrubbed: ScrubCounts,
    /// On shard 0: the metadata.
    pub metadata: Option<MetadataSnapshot>,
}

/// What was looked at since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScrubCounts {
    /// Passes over all logs that came to their end.
    pub passes: u64,
    /// Bytes.
    pub bytes: u64,
    /// Logs that have damaged batches now.
    pub damaged_logs: usize,
}

/// One partition.
#[derive(Debug, Clone)]
pub struct PartitionSnapshot {
    /// Its topic.
    pub topic: Arc<str>,
    /// From 0.
    pub partition_index: i32,
    /// First readable offset (inclusive).
    pub log_start_offset: i64,
    /// End of what consumers may read (exclusive).
    pub high_watermark: i64,
    /// Bytes and number of its segments; `None` while the log was not needed since the start.
    pub stored: Option<(u64, usize)>,
}

/// An offset that a group has committed.
#[derive(Debug, Clone)]
pub struct CommittedSnapshot {
    /// The group.
    pub group_id: Arc<str>,
    /// The topic.
    pub topic: Arc<str>,
    /// From 0.
    pub partition_index: i32,
    /// Next offset to be read.
    pub offset: i64,
}

/// The metadata as shard 0 has it.
#[derive(Debug, Clone, Default)]
pub struct MetadataSnapshot {
    /// Names, and how many partitions each has.
    pub topics: Vec<(Arc<str>, usize)>,
    /// End of the metadata log (exclusive).
    pub end_offset: i64,
    /// Epoch of the controller.
    pub leader_epoch: i32,
}
