//! What is asked about committed offsets, and the answers.

use ringlog_core::protocol::ErrorCode;
use uuid::Uuid;

/// Offsets to be committed.
#[derive(Debug, Clone, Default)]
pub struct CommitOffsets {
    /// The group.
    pub group_id: String,
    /// Empty for a consumer that is not a member.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
    /// -1 for a consumer that is not a member.
    pub generation_id: i32,
    /// How long to keep them; -1 is the broker's rule (clients before 2.1 ask for a time of their own).
    pub retention_time_ms: i64,
    /// The client knows member epochs and GROUP_ID_NOT_FOUND (version 9).
    pub knows_member_epochs: bool,
    /// What to commit.
    pub topics: Vec<CommitTopic>,
}

/// Offsets of one topic.
#[derive(Debug, Clone, Default)]
pub struct CommitTopic {
    /// Name.
    pub topic_name: String,
    /// Nil if it is not known.
    pub topic_id: Uuid,
    /// Each partition.
    pub partitions: Vec<CommitPartition>,
}

/// The offset of one partition.
#[derive(Debug, Clone, Default)]
pub struct CommitPartition {
    /// From 0.
    pub partition_index: i32,
    /// Next offset to be read.
    pub offset: i64,
    /// Of the last record read, -1 if it is not known.
    pub leader_epoch: i32,
    /// The client's own note.
    pub metadata: String,
}

/// Asks for committed offsets.
#[derive(Debug, Clone)]
pub struct FetchOffsets {
    /// The group.
    pub group_id: String,
    /// A member of a consumer group says which one it is.
    pub member_id: Option<String>,
    /// -1 for one that is not a member.
    pub member_epoch: i32,
    /// Refuse offsets that an open transaction may replace.
    pub require_stable: bool,
    /// Topics with partitions; `None` is all that have an offset.
    pub topics: Option<Vec<FetchTopic>>,
}

/// A topic whose offsets are asked for.
#[derive(Debug, Clone)]
pub struct FetchTopic {
    /// Name.
    pub topic_name: String,
    /// Nil if there is no such topic; else offsets of an earlier topic of this name are none.
    pub topic_id: Uuid,
    /// Partitions.
    pub partitions: Vec<i32>,
}

/// The offsets of one topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicOffsets {
    /// Name.
    pub topic_name: String,
    /// Each partition.
    pub partitions: Vec<PartitionOffset>,
}

/// The committed offset of one partition; offset and leader epoch are -1 when there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionOffset {
    /// From 0.
    pub partition_index: i32,
    /// Next offset to be read.
    pub offset: i64,
    /// Of the last record read.
    pub leader_epoch: i32,
    /// The client's own note.
    pub metadata: String,
    /// UNSTABLE_OFFSET_COMMIT, or none.
    pub error_code: ErrorCode,
}

/// Removes committed offsets.
#[derive(Debug, Clone, Default)]
pub struct DeleteOffsets {
    /// The group.
    pub group_id: String,
    /// Topics with partitions.
    pub topics: Vec<(String, Vec<i32>)>,
}
