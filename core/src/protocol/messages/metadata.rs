//! Metadata (API key 3), versions 0..=13.
//!
//! v1 null topics mean all (in v0 an empty list does)   v4 allow_auto_topic_creation   v7 leader_epoch   v8 authorized operations (KIP-430)   v9 flexible
//! v10 topic ids (KIP-516)   v12 name may be null   v13 error_code (KIP-1102)

use ringlog_derive::Message;
use uuid::Uuid;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=13, flexible = 9..)]
pub struct MetadataRequest<'a> {
    #[field(versions = 0.., nullable = 1..)] pub topics: Option<Array<'a, MetadataRequestTopic<'a>>>,
    #[field(versions = 4.., default = true)] pub allow_auto_topic_creation: bool,
    #[field(versions = 8..=10)] pub include_cluster_authorized_operations: bool,
    #[field(versions = 8..)] pub include_topic_authorized_operations: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct MetadataRequestTopic<'a> {
    #[field(versions = 10..)] pub topic_id: Uuid,
    #[field(versions = 0.., nullable = 10..)] pub name: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=13, flexible = 9..)]
pub struct MetadataResponse<'a> {
    #[field(versions = 3..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub brokers: Array<'a, MetadataResponseBroker<'a>>,
    #[field(versions = 2..)] pub cluster_id: Option<&'a str>,
    #[field(versions = 1.., default = -1)] pub controller_id: i32,
    #[field(versions = 0..)] pub topics: Array<'a, MetadataResponseTopic<'a>>,
    #[field(versions = 8..=10, default = i32::MIN)] pub cluster_authorized_operations: i32,
    #[field(versions = 13..)] pub error_code: ErrorCode,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct MetadataResponseBroker<'a> {
    #[field(versions = 0..)] pub node_id: i32,
    #[field(versions = 0..)] pub host: &'a str,
    #[field(versions = 0..)] pub port: i32,
    #[field(versions = 1..)] pub rack: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct MetadataResponseTopic<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0.., nullable = 12..)] pub name: Option<&'a str>,
    #[field(versions = 10..)] pub topic_id: Uuid,
    #[field(versions = 1..)] pub is_internal: bool,
    #[field(versions = 0..)] pub partitions: Array<'a, MetadataResponsePartition<'a>>,
    #[field(versions = 8.., default = i32::MIN)] pub topic_authorized_operations: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct MetadataResponsePartition<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub leader_id: i32,
    #[field(versions = 7.., default = -1)] pub leader_epoch: i32,
    #[field(versions = 0..)] pub replica_nodes: Array<'a, i32>,
    #[field(versions = 0..)] pub isr_nodes: Array<'a, i32>,
    #[field(versions = 5..)] pub offline_replicas: Array<'a, i32>,
}
