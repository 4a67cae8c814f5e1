//! CreateTopics (API key 19), versions 2..=7.
//!
//! v4 -1 for the broker's default of partitions and replicas (KIP-464)   v5 flexible, the configuration in the response (KIP-525)   v7 topic_id

use ringlog_derive::Message;
use uuid::Uuid;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 2..=7, flexible = 5..)]
pub struct CreateTopicsRequest<'a> {
    #[field(versions = 0..)] pub topics: Array<'a, CreatableTopic<'a>>,
    #[field(versions = 0.., default = 60_000)] pub timeout_ms: i32,
    #[field(versions = 1..)] pub validate_only: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatableTopic<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub num_partitions: i32,
    #[field(versions = 0..)] pub replication_factor: i16,
    #[field(versions = 0..)] pub assignments: Array<'a, CreatableReplicaAssignment<'a>>,
    #[field(versions = 0..)] pub configs: Array<'a, CreatableTopicConfig<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatableReplicaAssignment<'a> {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub broker_ids: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatableTopicConfig<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub value: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 2..=7, flexible = 5..)]
pub struct CreateTopicsResponse<'a> {
    #[field(versions = 2..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub topics: Array<'a, CreatableTopicResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatableTopicResult<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 7..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 1..)] pub error_message: Option<&'a str>,
    #[field(versions = 5.., tag = 0)] pub topic_config_error_code: ErrorCode,
    #[field(versions = 5.., default = -1)] pub num_partitions: i32,
    #[field(versions = 5.., default = -1)] pub replication_factor: i16,
    #[field(versions = 5.., default = Some(Array::default()))] pub configs: Option<Array<'a, CreatableTopicConfigs<'a>>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct CreatableTopicConfigs<'a> {
    #[field(versions = 5..)] pub name: &'a str,
    #[field(versions = 5..)] pub value: Option<&'a str>,
    #[field(versions = 5..)] pub read_only: bool,
    #[field(versions = 5.., default = -1)] pub config_source: i8,
    #[field(versions = 5..)] pub is_sensitive: bool,
}
