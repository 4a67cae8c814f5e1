//! DescribeTopicPartitions (API key 75), version 0.
//!
//! Pages of topics with a cursor (KIP-966)

use ringlog_derive::Message;
use uuid::Uuid;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct DescribeTopicPartitionsRequest<'a> {
    #[field(versions = 0..)] pub topics: Array<'a, DescribeTopicPartitionsTopic<'a>>,
    #[field(versions = 0.., default = 2000)] pub response_partition_limit: i32,
    #[field(versions = 0..)] pub cursor: Option<Cursor<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeTopicPartitionsTopic<'a> {
    #[field(versions = 0..)] pub name: &'a str,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Cursor<'a> {
    #[field(versions = 0..)] pub topic_name: &'a str,
    #[field(versions = 0..)] pub partition_index: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct DescribeTopicPartitionsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub topics: Array<'a, DescribeTopicPartitionsResponseTopic<'a>>,
    #[field(versions = 0..)] pub next_cursor: Option<NextCursor<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeTopicPartitionsResponseTopic<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub name: Option<&'a str>,
    #[field(versions = 0..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub is_internal: bool,
    #[field(versions = 0..)] pub partitions: Array<'a, DescribeTopicPartitionsResponsePartition<'a>>,
    #[field(versions = 0.., default = i32::MIN)] pub topic_authorized_operations: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct NextCursor<'a> {
    #[field(versions = 0..)] pub topic_name: &'a str,
    #[field(versions = 0..)] pub partition_index: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeTopicPartitionsResponsePartition<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub leader_id: i32,
    #[field(versions = 0.., default = -1)] pub leader_epoch: i32,
    #[field(versions = 0..)] pub replica_nodes: Array<'a, i32>,
    #[field(versions = 0..)] pub isr_nodes: Array<'a, i32>,
    #[field(versions = 0..)] pub eligible_leader_replicas: Option<Array<'a, i32>>,
    #[field(versions = 0..)] pub last_known_elr: Option<Array<'a, i32>>,
    #[field(versions = 0..)] pub offline_replicas: Array<'a, i32>,
}
