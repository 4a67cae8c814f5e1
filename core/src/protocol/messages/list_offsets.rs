//! ListOffsets (API key 2), versions 1..=11.
//!
//! v2 isolation_level   v4 current_leader_epoch (KIP-320)   v6 flexible   v7 max timestamp (KIP-734)   v8, v9, v11 tiered storage   v10 timeout_ms (KIP-1075)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=11, flexible = 6..)]
pub struct ListOffsetsRequest<'a> {
    #[field(versions = 0..)] pub replica_id: i32,
    #[field(versions = 2..)] pub isolation_level: i8,
    #[field(versions = 0..)] pub topics: Array<'a, ListOffsetsTopic<'a>>,
    #[field(versions = 10..)] pub timeout_ms: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ListOffsetsTopic<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, ListOffsetsPartition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct ListOffsetsPartition {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 4.., default = -1)] pub current_leader_epoch: i32,
    #[field(versions = 0..)] pub timestamp: i64,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=11, flexible = 6..)]
pub struct ListOffsetsResponse<'a> {
    #[field(versions = 2..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub topics: Array<'a, ListOffsetsTopicResponse<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ListOffsetsTopicResponse<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, ListOffsetsPartitionResponse>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct ListOffsetsPartitionResponse {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 1.., default = -1)] pub timestamp: i64,
    #[field(versions = 1.., default = -1)] pub offset: i64,
    #[field(versions = 4.., default = -1)] pub leader_epoch: i32,
}
