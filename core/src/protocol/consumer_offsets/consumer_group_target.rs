//! ConsumerGroupTargetAssignmentMetadata (type 6) and ConsumerGroupTargetAssignmentMember (7): what a group of KIP-848 moves to.

use ringlog_derive::Message;
use uuid::Uuid;

use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct ConsumerGroupTargetAssignmentMetadataKey<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ConsumerGroupTargetAssignmentMetadataValue {
    #[field(versions = 0..)] pub assignment_epoch: i32,
    #[field(versions = 0.., tag = 0)] pub assignment_timestamp: i64,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct ConsumerGroupTargetAssignmentMemberKey<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub member_id: &'a str,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ConsumerGroupTargetAssignmentMemberValue<'a> {
    #[field(versions = 0..)] pub topic_partitions: Array<'a, TargetTopicPartitions<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct TargetTopicPartitions<'a> {
    #[field(versions = 0..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub partitions: Array<'a, i32>,
}
