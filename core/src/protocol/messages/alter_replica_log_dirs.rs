//! AlterReplicaLogDirs (API key 34), versions 1..=2.
//!
//! v2 flexible

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=2, flexible = 2..)]
pub struct AlterReplicaLogDirsRequest<'a> {
    #[field(versions = 0..)] pub dirs: Array<'a, AlterReplicaLogDir<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterReplicaLogDir<'a> {
    #[field(versions = 0..)] pub path: &'a str,
    #[field(versions = 0..)] pub topics: Array<'a, AlterReplicaLogDirTopic<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterReplicaLogDirTopic<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=2, flexible = 2..)]
pub struct AlterReplicaLogDirsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub results: Array<'a, AlterReplicaLogDirTopicResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterReplicaLogDirTopicResult<'a> {
    #[field(versions = 0..)] pub topic_name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, AlterReplicaLogDirPartitionResult>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct AlterReplicaLogDirPartitionResult {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
}
