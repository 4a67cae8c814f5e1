//! ConsumerGroupMetadata (type 3), ConsumerGroupPartitionMetadata (4, before 4.1) and ConsumerGroupRegularExpression (16): a group of KIP-848.

use ringlog_derive::Message;
use uuid::Uuid;

use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct ConsumerGroupMetadataKey<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ConsumerGroupMetadataValue {
    #[field(versions = 0..)] pub epoch: i32,
    #[field(versions = 0.., tag = 0)] pub metadata_hash: i64,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct ConsumerGroupPartitionMetadataKey<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ConsumerGroupPartitionMetadataValue<'a> {
    #[field(versions = 0..)] pub topics: Array<'a, TopicMetadata<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct TopicMetadata<'a> {
    #[field(versions = 0..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub topic_name: &'a str,
    #[field(versions = 0..)] pub num_partitions: i32,
    #[field(versions = 0..)] pub partition_metadata: Array<'a, PartitionMetadata<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionMetadata<'a> {
    #[field(versions = 0..)] pub partition: i32,
    #[field(versions = 0..)] pub racks: Array<'a, &'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct ConsumerGroupRegularExpressionKey<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub regular_expression: &'a str,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ConsumerGroupRegularExpressionValue<'a> {
    #[field(versions = 0..)] pub topics: Array<'a, &'a str>,
    #[field(versions = 0..)] pub version: i64,
    #[field(versions = 0..)] pub timestamp: i64,
}
