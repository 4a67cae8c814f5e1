//! What is asked of a partition, and the answers. All of it is `Send`, so that it can cross the mesh to the shard that
//! owns the partition; record bytes move, they are not copied.

use bytes::Bytes;
use ringlog_core::log::{AbortedTransaction, AppendError, ProducerInfo};
use ringlog_core::reactor::Pieces;
use ringlog_core::record::BatchError;
use uuid::Uuid;

/// Names a partition for as long as its topic lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Never reused.
    pub topic_id: Uuid,
    /// From 0.
    pub partition_index: i32,
}

/// Where a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendOutcome {
    /// Offset of the first record.
    pub base_offset: i64,
    /// The broker's time for LogAppendTime, else -1.
    pub log_append_time_ms: i64,
    /// First offset still readable (inclusive).
    pub log_start_offset: i64,
}

/// What a reader wants to see of transactions: the wire's `isolation_level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Everything below the high watermark.
    Uncommitted,
    /// What is below the last stable offset, with the aborted transactions named.
    Committed,
}

impl Isolation {
    /// Of a request; all values but 1 are 0, as in Kafka.
    pub fn from_wire(isolation_level: i8) -> Self {
        if isolation_level == 1 { Self::Committed } else { Self::Uncommitted }
    }
}

/// A read from `offset` on.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest {
    /// First offset wanted (inclusive).
    pub offset: i64,
    /// Bound in bytes.
    pub max_bytes: usize,
    /// Return one whole batch even if it is larger.
    pub at_least_one_batch: bool,
    /// What the reader believes to be the leader epoch, -1 for nothing.
    pub current_leader_epoch: i32,
    /// What it wants to see of transactions.
    pub isolation: Isolation,
}

/// What was read.
#[derive(Debug, Clone)]
pub struct ReadOutcome {
    /// Whole batches.
    pub records: Pieces,
    /// End of what consumers may read (exclusive).
    pub high_watermark: i64,
    /// End of what is decided (exclusive). The high watermark where the reader did not ask for committed data.
    pub last_stable_offset: i64,
    /// First offset still readable (inclusive).
    pub log_start_offset: i64,
    /// Transactions whose records a reader of committed data must skip, by their first offset.
    pub aborted: Vec<AbortedTransaction>,
}

/// Asks to be told when the high watermark passes an offset.
#[derive(Debug, Clone, Copy)]
pub struct WatchRequest {
    /// Fires when the high watermark is greater, at once if it is already.
    pub high_watermark: i64,
    /// Names the watch for its end; unique per partition.
    pub watch: u64,
}

/// A question of ListOffsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetQuery {
    /// -1: the high watermark, or the last stable offset.
    Latest,
    /// -2 and -4: the log start offset.
    Earliest,
    /// -3: the record with the largest timestamp.
    MaxTimestamp,
    /// The first record at or after this time in milliseconds.
    AtOrAfter(i64),
}

/// One question with the epoch it was asked in.
#[derive(Debug, Clone, Copy)]
pub struct OffsetRequest {
    /// What is asked.
    pub query: OffsetQuery,
    /// What the asker believes to be the leader epoch, -1 for nothing.
    pub current_leader_epoch: i32,
    /// Which records count.
    pub isolation: Isolation,
}

/// The answer: offset and timestamp are -1 when no record fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetOutcome {
    /// The offset.
    pub offset: i64,
    /// The record's timestamp; -1 for `Latest` and `Earliest`.
    pub timestamp_ms: i64,
    /// Leader epoch of the offset.
    pub leader_epoch: i32,
}

/// Asks where the records of a leader epoch end.
#[derive(Debug, Clone, Copy)]
pub struct EpochEndRequest {
    /// The epoch.
    pub leader_epoch: i32,
    /// What the asker believes to be the leader epoch, -1 for nothing.
    pub current_leader_epoch: i32,
}

/// The largest leader epoch up to the one that was asked for, and the end of its records (exclusive); both -1 when
/// nothing is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch.
    pub leader_epoch: i32,
    /// Its end.
    pub end_offset: i64,
}

/// Why a partition did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PartitionError {
    /// This shard holds no such partition: deleted, or not created yet.
    #[error("no such partition")]
    Unknown,
    /// The request's leader epoch is older than the partition's.
    #[error("leader epoch is fenced")]
    FencedLeaderEpoch,
    /// The request's leader epoch is newer than the partition's.
    #[error("leader epoch is not known here")]
    UnknownLeaderEpoch,
    /// The offset lies before the log start or behind the high watermark.
    #[error("offset out of range")]
    OffsetOutOfRange,
    /// The batch was refused.
    #[error("append refused: {0:?}")]
    Append(AppendError),
    /// The batch was refused when it was opened.
    #[error("{0}")]
    Refused(BatchError),
    /// The batch at the offset is damaged on the disk.
    #[error("damaged batch")]
    Damaged,
    /// The reader does not know the codec of the batches.
    #[error("codec is not known to the reader")]
    UnknownCodec,
    /// The log cannot be read or written.
    #[error("storage error")]
    Storage,
    /// More waits than the partition takes.
    #[error("partition does not take more requests")]
    Busy,
}

impl PartitionError {
    /// Whether the partition takes no appends until the broker was started again, and may hold then what was refused now.
    pub fn is_until_restart(&self) -> bool {
        matches!(self, Self::Storage | Self::Append(AppendError::Stopped(_) | AppendError::MaybeAppended(_)))
    }
}

/// A request to a partition.
#[derive(Debug)]
pub enum PartitionRequest {
    /// Append one validated batch as the producer sent it.
    Append {
        /// The batch.
        batch: Bytes,
        /// For so long it may wait for room in the log.
        timeout_ms: i32,
    },
    /// Read.
    Read(ReadRequest),
    /// Watch the high watermark.
    Watch(WatchRequest),
    /// End a watch: it is answered now if it did not fire before. Has no reply of its own.
    Unwatch(u64),
    /// Look an offset up.
    Offset(OffsetRequest),
    /// Move the log start up to this offset; -1 is the high watermark.
    DeleteRecords(i64),
    /// Look the end of a leader epoch up.
    EpochEnd(EpochEndRequest),
    /// List the producers.
    Producers,
    /// Add up the bytes of its segments.
    Size,
}

/// The reply, of the same kind.
#[derive(Debug)]
pub enum PartitionReply {
    /// To Append: durable by the topic's class.
    Append(Result<AppendOutcome, PartitionError>),
    /// To Read.
    Read(Result<ReadOutcome, PartitionError>),
    /// To Watch: it fired, or the partition is gone.
    Watch,
    /// To Offset.
    Offset(Result<OffsetOutcome, PartitionError>),
    /// To DeleteRecords: the log start, durable.
    DeleteRecords(Result<i64, PartitionError>),
    /// To EpochEnd.
    EpochEnd(Result<EpochEnd, PartitionError>),
    /// To Producers.
    Producers(Result<Vec<ProducerInfo>, PartitionError>),
    /// To Size.
    Size(Result<u64, PartitionError>),
}

/// A request or a reply on the mesh.
#[derive(Debug)]
pub enum PartitionMessage {
    /// For a partition of the receiver.
    Request {
        /// Echoed in the reply.
        call: u32,
        /// Which partition.
        partition: TopicPartition,
        /// What to do.
        request: PartitionRequest,
    },
    /// The answer to a request of the receiver.
    Reply {
        /// As in the request.
        call: u32,
        /// The answer.
        reply: PartitionReply,
    },
}
