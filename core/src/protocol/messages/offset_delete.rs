//! OffsetDelete (API key 47), versions 0.
//!
//! Never flexible.

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct OffsetDeleteRequest<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub topics: Array<'a, OffsetDeleteRequestTopic<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetDeleteRequestTopic<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, OffsetDeleteRequestPartition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct OffsetDeleteRequestPartition {
    #[field(versions = 0..)] pub partition_index: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct OffsetDeleteResponse<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub topics: Array<'a, OffsetDeleteResponseTopic<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct OffsetDeleteResponseTopic<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, OffsetDeleteResponsePartition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct OffsetDeleteResponsePartition {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
}
