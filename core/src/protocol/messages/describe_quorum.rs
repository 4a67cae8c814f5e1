//! DescribeQuorum (API key 55), versions 0..=2.
//!
//! v1 times of the last fetch   v2 directories and nodes (KIP-853)

use ringlog_derive::Message;
use uuid::Uuid;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 0..)]
pub struct DescribeQuorumRequest<'a> {
    #[field(versions = 0..)] pub topics: Array<'a, DescribeQuorumTopic<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeQuorumTopic<'a> {
    #[field(versions = 0..)] pub topic_name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, DescribeQuorumPartition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct DescribeQuorumPartition {
    #[field(versions = 0..)] pub partition_index: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 0..)]
pub struct DescribeQuorumResponse<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 2.., default = Some(""))] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub topics: Array<'a, DescribeQuorumTopicResponse<'a>>,
    #[field(versions = 2..)] pub nodes: Array<'a, QuorumNode<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeQuorumTopicResponse<'a> {
    #[field(versions = 0..)] pub topic_name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, DescribeQuorumPartitionResponse<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct QuorumNode<'a> {
    #[field(versions = 2..)] pub node_id: i32,
    #[field(versions = 2..)] pub listeners: Array<'a, QuorumListener<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeQuorumPartitionResponse<'a> {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 2.., default = Some(""))] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub leader_id: i32,
    #[field(versions = 0..)] pub leader_epoch: i32,
    #[field(versions = 0..)] pub high_watermark: i64,
    #[field(versions = 0..)] pub current_voters: Array<'a, QuorumReplicaState>,
    #[field(versions = 0..)] pub observers: Array<'a, QuorumReplicaState>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct QuorumListener<'a> {
    #[field(versions = 2..)] pub name: &'a str,
    #[field(versions = 2..)] pub host: &'a str,
    #[field(versions = 2..)] pub port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct QuorumReplicaState {
    #[field(versions = 0..)] pub replica_id: i32,
    #[field(versions = 2..)] pub replica_directory_id: Uuid,
    #[field(versions = 0..)] pub log_end_offset: i64,
    #[field(versions = 1.., default = -1)] pub last_fetch_timestamp: i64,
    #[field(versions = 1.., default = -1)] pub last_caught_up_timestamp: i64,
}
