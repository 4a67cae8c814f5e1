//! Fetch (API key 1), versions 4..=18.
//!
//! v5 log_start_offset   v7 sessions (KIP-227)   v9 current_leader_epoch (KIP-320)   v11 rack_id (KIP-392)   v12 flexible, diverging epoch
//! v13 topic ids (KIP-516)   v15 replica_state (KIP-903)   v16 node_endpoints (KIP-951)   v17 replica_directory_id (KIP-853)
//! v18 high_watermark of a follower (KIP-1166)

use ringlog_derive::Message;
use uuid::Uuid;

use crate::protocol::ErrorCode;
use crate::protocol::messages::{LeaderIdAndEpoch, NodeEndpoint};
use crate::wire::{Array, Records};

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 4..=18, flexible = 12..)]
pub struct FetchRequest<'a> {
    #[field(versions = 12.., tag = 0)] pub cluster_id: Option<&'a str>,
    #[field(versions = 0..=14, default = -1)] pub replica_id: i32,
    #[field(versions = 15.., tag = 1)] pub replica_state: ReplicaState,
    #[field(versions = 0..)] pub max_wait_ms: i32,
    #[field(versions = 0..)] pub min_bytes: i32,
    #[field(versions = 3.., default = i32::MAX)] pub max_bytes: i32,
    #[field(versions = 4..)] pub isolation_level: i8,
    #[field(versions = 7..)] pub session_id: i32,
    #[field(versions = 7.., default = -1)] pub session_epoch: i32,
    #[field(versions = 0..)] pub topics: Array<'a, FetchTopic<'a>>,
    #[field(versions = 7..)] pub forgotten_topics_data: Array<'a, ForgottenTopic<'a>>,
    #[field(versions = 11..)] pub rack_id: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct ReplicaState {
    #[field(versions = 15.., default = -1)] pub replica_id: i32,
    #[field(versions = 15.., default = -1)] pub replica_epoch: i64,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchTopic<'a> {
    #[field(versions = 0..=12)] pub topic: &'a str,
    #[field(versions = 13..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub partitions: Array<'a, FetchPartition>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchPartition {
    #[field(versions = 0..)] pub partition: i32,
    #[field(versions = 9.., default = -1)] pub current_leader_epoch: i32,
    #[field(versions = 0..)] pub fetch_offset: i64,
    #[field(versions = 12.., default = -1)] pub last_fetched_epoch: i32,
    #[field(versions = 5.., default = -1)] pub log_start_offset: i64,
    #[field(versions = 0..)] pub partition_max_bytes: i32,
    #[field(versions = 17.., tag = 0)] pub replica_directory_id: Uuid,
    #[field(versions = 18.., tag = 1, default = i64::MAX)] pub high_watermark: i64,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ForgottenTopic<'a> {
    #[field(versions = 7..=12)] pub topic: &'a str,
    #[field(versions = 13..)] pub topic_id: Uuid,
    #[field(versions = 7..)] pub partitions: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 4..=18, flexible = 12..)]
pub struct FetchResponse<'a> {
    #[field(versions = 1..)] pub throttle_time_ms: i32,
    #[field(versions = 7..)] pub error_code: ErrorCode,
    #[field(versions = 7..)] pub session_id: i32,
    #[field(versions = 0..)] pub responses: Array<'a, FetchableTopicResponse<'a>>,
    #[field(versions = 16.., tag = 0)] pub node_endpoints: Array<'a, NodeEndpoint<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct FetchableTopicResponse<'a> {
    #[field(versions = 0..=12)] pub topic: &'a str,
    #[field(versions = 13..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub partitions: Array<'a, PartitionData<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionData<'a> {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub high_watermark: i64,
    #[field(versions = 4.., default = -1)] pub last_stable_offset: i64,
    #[field(versions = 5.., default = -1)] pub log_start_offset: i64,
    #[field(versions = 12.., tag = 0)] pub diverging_epoch: EpochEndOffset,
    #[field(versions = 12.., tag = 1)] pub current_leader: LeaderIdAndEpoch,
    #[field(versions = 12.., tag = 2)] pub snapshot_id: SnapshotId,
    #[field(versions = 4..)] pub aborted_transactions: Option<Array<'a, AbortedTransaction>>,
    #[field(versions = 11.., default = -1)] pub preferred_read_replica: i32,
    #[field(versions = 0..)] pub records: Option<Records<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct EpochEndOffset {
    #[field(versions = 12.., default = -1)] pub epoch: i32,
    #[field(versions = 12.., default = -1)] pub end_offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct SnapshotId {
    #[field(versions = 0.., default = -1)] pub end_offset: i64,
    #[field(versions = 0.., default = -1)] pub epoch: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct AbortedTransaction {
    #[field(versions = 4..)] pub producer_id: i64,
    #[field(versions = 4..)] pub first_offset: i64,
}
