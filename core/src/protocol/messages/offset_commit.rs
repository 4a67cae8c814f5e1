//! OffsetCommit (API key 8), versions 2..=10.
//!
//! v5 no retention time   v6 leader epoch (KIP-320)   v7 group_instance_id (KIP-345)   v8 flexible   v9 member epoch (KIP-848)   v10 topic ids

use ringlog_derive::Message;
use uuid::Uuid;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 2..=10, flexible = 8..)]
pub struct OffsetCommitRequest<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 1.., default = -1)] pub generation_id_or_member_epoch: i32,
    #[field(versions = 1..)] pub member_id: &'a str,
    #[field(versions = 7..)] pub group_instance_id: Option<&'a str>,
    #[field(versions = 2..=4, default = -1)] pub retention_time_ms: i64,
    #[field(versions = 0..)] pub topics: Array<'a, OffsetCommitRequestTopic<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetCommitRequestTopic<'a> {
    #[field(versions = 0..=9)] pub name: &'a str,
    #[field(versions = 10..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub partitions: Array<'a, OffsetCommitRequestPartition<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetCommitRequestPartition<'a> {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub committed_offset: i64,
    #[field(versions = 6.., default = -1)] pub committed_leader_epoch: i32,
    #[field(versions = 0.., default = Some(""))] pub committed_metadata: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 2..=10, flexible = 8..)]
pub struct OffsetCommitResponse<'a> {
    #[field(versions = 3..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub topics: Array<'a, OffsetCommitResponseTopic<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetCommitResponseTopic<'a> {
    #[field(versions = 0..=9)] pub name: &'a str,
    #[field(versions = 10..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub partitions: Array<'a, OffsetCommitResponsePartition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct OffsetCommitResponsePartition {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
}
