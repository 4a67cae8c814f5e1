//! CreatePartitions (API key 37), versions 0..=3.
//!
//! v2 flexible   v3 throttling

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=3, flexible = 2..)]
pub struct CreatePartitionsRequest<'a> {
    #[field(versions = 0..)] pub topics: Array<'a, CreatePartitionsTopic<'a>>,
    #[field(versions = 0..)] pub timeout_ms: i32,
    #[field(versions = 0..)] pub validate_only: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatePartitionsTopic<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub count: i32,
    #[field(versions = 0..)] pub assignments: Option<Array<'a, CreatePartitionsAssignment<'a>>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatePartitionsAssignment<'a> {
    #[field(versions = 0..)] pub broker_ids: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=3, flexible = 2..)]
pub struct CreatePartitionsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub results: Array<'a, CreatePartitionsTopicResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatePartitionsTopicResult<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
}
