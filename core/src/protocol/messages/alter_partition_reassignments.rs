//! AlterPartitionReassignments (API key 45), versions 0..=1.
//!
//! v1 allow_replication_factor_change (KIP-860)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 0..)]
pub struct AlterPartitionReassignmentsRequest<'a> {
    #[field(versions = 0.., default = 60_000)] pub timeout_ms: i32,
    #[field(versions = 1.., default = true)] pub allow_replication_factor_change: bool,
    #[field(versions = 0..)] pub topics: Array<'a, ReassignableTopic<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReassignableTopic<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, ReassignablePartition<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReassignablePartition<'a> {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub replicas: Option<Array<'a, i32>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 0..)]
pub struct AlterPartitionReassignmentsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 1.., default = true)] pub allow_replication_factor_change: bool,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub responses: Array<'a, ReassignableTopicResponse<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReassignableTopicResponse<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, ReassignablePartitionResponse<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReassignablePartitionResponse<'a> {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
}
