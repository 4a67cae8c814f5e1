//! OffsetFetch (API key 9), versions 1..=10.
//!
//! v2 null is all topics, error of the group   v5 leader epoch (KIP-320)   v6 flexible   v7 require_stable (KIP-447)   v8 several groups (KIP-709)
//! v9 member epoch (KIP-848)   v10 topic ids

use ringlog_derive::Message;
use uuid::Uuid;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=10, flexible = 6..)]
pub struct OffsetFetchRequest<'a> {
    #[field(versions = 0..=7)] pub group_id: &'a str,
    #[field(versions = 0..=7, nullable = 2..=7, default = Some(Array::default()))] pub topics: Option<Array<'a, OffsetFetchRequestTopic<'a>>>,
    #[field(versions = 8..)] pub groups: Array<'a, OffsetFetchRequestGroup<'a>>,
    #[field(versions = 7..)] pub require_stable: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchRequestTopic<'a> {
    #[field(versions = 0..=7)] pub name: &'a str,
    #[field(versions = 0..=7)] pub partition_indexes: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchRequestGroup<'a> {
    #[field(versions = 8..)] pub group_id: &'a str,
    #[field(versions = 9..)] pub member_id: Option<&'a str>,
    #[field(versions = 9.., default = -1)] pub member_epoch: i32,
    #[field(versions = 8.., default = Some(Array::default()))] pub topics: Option<Array<'a, OffsetFetchRequestTopics<'a>>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchRequestTopics<'a> {
    #[field(versions = 8..=9)] pub name: &'a str,
    #[field(versions = 10..)] pub topic_id: Uuid,
    #[field(versions = 8..)] pub partition_indexes: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=10, flexible = 6..)]
pub struct OffsetFetchResponse<'a> {
    #[field(versions = 3..)] pub throttle_time_ms: i32,
    #[field(versions = 0..=7)] pub topics: Array<'a, OffsetFetchResponseTopic<'a>>,
    #[field(versions = 2..=7)] pub error_code: ErrorCode,
    #[field(versions = 8..)] pub groups: Array<'a, OffsetFetchResponseGroup<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchResponseTopic<'a> {
    #[field(versions = 0..=7)] pub name: &'a str,
    #[field(versions = 0..=7)] pub partitions: Array<'a, OffsetFetchResponsePartition<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchResponsePartition<'a> {
    #[field(versions = 0..=7)] pub partition_index: i32,
    #[field(versions = 0..=7)] pub committed_offset: i64,
    #[field(versions = 5..=7, default = -1)] pub committed_leader_epoch: i32,
    #[field(versions = 0..=7, default = Some(""))] pub metadata: Option<&'a str>,
    #[field(versions = 0..=7)] pub error_code: ErrorCode,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchResponseGroup<'a> {
    #[field(versions = 8..)] pub group_id: &'a str,
    #[field(versions = 8..)] pub topics: Array<'a, OffsetFetchResponseTopics<'a>>,
    #[field(versions = 8..)] pub error_code: ErrorCode,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchResponseTopics<'a> {
    #[field(versions = 8..=9)] pub name: &'a str,
    #[field(versions = 10..)] pub topic_id: Uuid,
    #[field(versions = 8..)] pub partitions: Array<'a, OffsetFetchResponsePartitions<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetFetchResponsePartitions<'a> {
    #[field(versions = 8..)] pub partition_index: i32,
    #[field(versions = 8..)] pub committed_offset: i64,
    #[field(versions = 8.., default = -1)] pub committed_leader_epoch: i32,
    #[field(versions = 8.., default = Some(""))] pub metadata: Option<&'a str>,
    #[field(versions = 8..)] pub error_code: ErrorCode,
}
