//! DescribeLogDirs (API key 35), versions 1..=5.
//!
//! v2 flexible   v3 error_code   v4 sizes of the volume (KIP-827)   v5 cordoned directories (KIP-1066)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=5, flexible = 2..)]
pub struct DescribeLogDirsRequest<'a> {
    #[field(versions = 0..)] pub topics: Option<Array<'a, DescribableLogDirTopic<'a>>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribableLogDirTopic<'a> {
    #[field(versions = 0..)] pub topic: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=5, flexible = 2..)]
pub struct DescribeLogDirsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 3..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub results: Array<'a, DescribeLogDirsResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeLogDirsResult<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub log_dir: &'a str,
    #[field(versions = 0..)] pub topics: Array<'a, DescribeLogDirsTopic<'a>>,
    #[field(versions = 4.., default = -1)] pub total_bytes: i64,
    #[field(versions = 4.., default = -1)] pub usable_bytes: i64,
    #[field(versions = 5..)] pub is_cordoned: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeLogDirsTopic<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, DescribeLogDirsPartition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct DescribeLogDirsPartition {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub partition_size: i64,
    #[field(versions = 0..)] pub offset_lag: i64,
    #[field(versions = 0..)] pub is_future_key: bool,
}
