//! DeleteRecords (API key 21), versions 0..=2.
//!
//! v2 flexible

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 2..)]
pub struct DeleteRecordsRequest<'a> {
    #[field(versions = 0..)] pub topics: Array<'a, DeleteRecordsTopic<'a>>,
    #[field(versions = 0..)] pub timeout_ms: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeleteRecordsTopic<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, DeleteRecordsPartition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct DeleteRecordsPartition {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub offset: i64,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 2..)]
pub struct DeleteRecordsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub topics: Array<'a, DeleteRecordsTopicResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeleteRecordsTopicResult<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, DeleteRecordsPartitionResult>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct DeleteRecordsPartitionResult {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub low_watermark: i64,
    #[field(versions = 0..)] pub error_code: ErrorCode,
}
