//! OffsetForLeaderEpoch (API key 23), versions 2..=4.
//!
//! v3 replica_id   v4 flexible

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 2..=4, flexible = 4..)]
pub struct OffsetForLeaderEpochRequest<'a> {
    #[field(versions = 3.., default = -2)] pub replica_id: i32,
    #[field(versions = 0..)] pub topics: Array<'a, OffsetForLeaderTopic<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetForLeaderTopic<'a> {
    #[field(versions = 0..)] pub topic: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, OffsetForLeaderPartition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct OffsetForLeaderPartition {
    #[field(versions = 0..)] pub partition: i32,
    #[field(versions = 2.., default = -1)] pub current_leader_epoch: i32,
    #[field(versions = 0..)] pub leader_epoch: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 2..=4, flexible = 4..)]
pub struct OffsetForLeaderEpochResponse<'a> {
    #[field(versions = 2..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub topics: Array<'a, OffsetForLeaderTopicResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetForLeaderTopicResult<'a> {
    #[field(versions = 0..)] pub topic: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, OffsetForLeaderPartitionResult>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct OffsetForLeaderPartitionResult {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub partition: i32,
    #[field(versions = 1.., default = -1)] pub leader_epoch: i32,
    #[field(versions = 0.., default = -1)] pub end_offset: i64,
}
