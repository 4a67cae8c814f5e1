//! What a log and a store are told from outside: names, durability class, sizes.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::commit_log::CommitLogConfig;
use super::direct::DirectConfig;
use crate::record::TimestampType;

/// Names a log within its shard's store: dense, never reused while the store lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogKey(pub u32);

/// What an ack promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Acked means that it survives a power cut (commit log).
    Sync,
    /// Acked means handed to the operating system, as Apache Kafka does by default.
    PageCache,
}

/// Settings of one log, by the names of Kafka's topic configs.
#[derive(Debug, Clone, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment never grows beyond this.
    pub segment_bytes: u32,
    /// `segment.ms`: longest span between a segment's first batch and a later one, by their timestamps.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: segments end up to this much earlier, so that those of many logs do not end at once.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: how large an index may grow before the segment rolls.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: log bytes between two index entries.
    pub index_interval_bytes: u32,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `cleanup.policy` has `delete` in it.
    pub is_deleted: bool,
    /// `retention.ms`; -1 is no bound.
    pub retention_ms: i64,
    /// `retention.bytes`; -1 is no bound.
    pub retention_bytes: i64,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// `cleanup.policy` has `compact` in it.
    pub is_compacted: bool,
    /// `min.cleanable.dirty.ratio`: the log is cleaned when more than this part of it was not cleaned before.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: segments with a record that is younger are not cleaned.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: a log with a segment that waits for longer is cleaned whatever its dirty ratio is.
    pub max_compaction_lag_ms: i64,
    /// `flush.messages`: of class page-cache, the append that leaves this many records unsynced is acked when they are.
    pub flush_messages: i64,
    /// `flush.ms`: of class page-cache, records are synced after this time at the latest.
    pub flush_ms: i64,
    /// `preallocate`: a new segment gets its room on the disk at once.
    pub preallocate: bool,
    /// `delete.retention.ms`: how long a tombstone can be read after all that it deletes is gone.
    pub delete_retention_ms: i64,
}

impl LogConfig {
    /// Longest span of a segment: a compacted log ends it in time for `max.compaction.lag.ms`.
    pub(crate) fn segment_ms_max(&self) -> i64 {
        match self.is_compacted {
            true => self.segment_ms.min(self.max_compaction_lag_ms.max(0)),
            false => self.segment_ms,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            timestamp_type: TimestampType::CreateTime,
            is_deleted: true,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            file_delete_delay_ms: 60_000,
            is_compacted: false,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            preallocate: false,
            delete_retention_ms: 24 * 3_600_000,
        }
    }
}

/// One partition's log as metadata knows it. What all logs of a topic have in common is there once.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSpec {
    /// Name of the topic; a checked one, it becomes part of a folder's name.
    pub topic_name: Arc<str>,
    /// Id of the topic; tells a topic from an earlier one of the same name.
    pub topic_id: Uuid,
    /// Number of the partition.
    pub partition_index: i32,
    /// Durability class.
    pub durability: Durability,
    /// Sizes and times.
    pub config: Rc<LogConfig>,
}

impl LogSpec {
    /// Name of the partition's folder in the log directory.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.topic_name, self.partition_index)
    }
}

/// How long idempotent producers that do not write are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerExpiry {
    /// `producer.id.expiration.ms`.
    pub expiration: Duration,
    /// `producer.id.expiration.check.interval.ms`: the least time between two looks at the producers of a log.
    pub check_interval: Duration,
}

impl Default for ProducerExpiry {
    fn default() -> Self {
        Self { expiration: Duration::from_secs(24 * 3_600), check_interval: Duration::from_secs(600) }
    }
}

/// Bounds of a store.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Most descriptors of segment and index files held open.
    pub open_files_max: usize,
    /// A partition's tail is written to its segment from this size on, about so much at a time (class sync).
    pub tail_flush_bytes: usize,
    /// A tail is written past the page cache from this size on, if it is written before it has the one above.
    pub late_bytes_min: usize,
    /// Bound on the memory of writes past the page cache that are under way behind the commit log.
    pub late_memory_bytes_max: usize,
    /// Most bytes in tails of the whole shard before the oldest are written.
    pub dirty_bytes_max: usize,
    /// Tails written in a turn for the commit log's sake, or as many as got a batch in it. A log's first one makes its folder
    /// and files: some 35 us, and 1 ms on ext4 that has just removed many.
    pub due_tails_per_turn: usize,
    /// Which batches of class sync go past the commit log.
    pub direct: DirectConfig,
    /// Sizes of the shard's commit log.
    pub commit_log: CommitLogConfig,
    /// From so many logs on that have something in the commit logs after a crash, a start does not write it into their
    /// segments, which each log needs when it is first used.
    pub carried_logs_min: usize,
    /// When producers are forgotten.
    pub producer_expiry: ProducerExpiry,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            open_files_max: 512,
            tail_flush_bytes: 256 << 10,
            late_bytes_min: 64 << 10,
            late_memory_bytes_max: 4 << 20,
            dirty_bytes_max: 16 << 20,
            due_tails_per_turn: 8,
            direct: DirectConfig::default(),
            commit_log: CommitLogConfig::default(),
            carried_logs_min: 1,
            producer_expiry: ProducerExpiry::default(),
        }
    }
}
