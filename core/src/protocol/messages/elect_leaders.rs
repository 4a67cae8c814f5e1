//! ElectLeaders (API key 43), versions 0..=2.
//!
//! v1 unclean elections (KIP-460)   v2 flexible

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 2..)]
pub struct ElectLeadersRequest<'a> {
    #[field(versions = 1..)] pub election_type: i8,
    #[field(versions = 0..)] pub topic_partitions: Option<Array<'a, ElectLeadersTopic<'a>>>,
    #[field(versions = 0.., default = 60_000)] pub timeout_ms: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ElectLeadersTopic<'a> {
    #[field(versions = 0..)] pub topic: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 2..)]
pub struct ElectLeadersResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 1..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub replica_election_results: Array<'a, ReplicaElectionResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReplicaElectionResult<'a> {
    #[field(versions = 0..)] pub topic: &'a str,
    #[field(versions = 0..)] pub partition_result: Array<'a, ElectLeadersPartitionResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ElectLeadersPartitionResult<'a> {
    #[field(versions = 0..)] pub partition_id: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
}
