//! ListPartitionReassignments (API key 46), version 0.
//!
//! KIP-455

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ListPartitionReassignmentsRequest<'a> {
    #[field(versions = 0.., default = 60_000)] pub timeout_ms: i32,
    #[field(versions = 0..)] pub topics: Option<Array<'a, ListPartitionReassignmentsTopics<'a>>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ListPartitionReassignmentsTopics<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partition_indexes: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ListPartitionReassignmentsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub topics: Array<'a, OngoingTopicReassignment<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OngoingTopicReassignment<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, OngoingPartitionReassignment<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OngoingPartitionReassignment<'a> {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub replicas: Array<'a, i32>,
    #[field(versions = 0..)] pub adding_replicas: Array<'a, i32>,
    #[field(versions = 0..)] pub removing_replicas: Array<'a, i32>,
}
