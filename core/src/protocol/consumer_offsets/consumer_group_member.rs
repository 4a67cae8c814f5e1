//! ConsumerGroupMemberMetadata (type 5) and ConsumerGroupCurrentMemberAssignment (8): a member of a group of KIP-848.

use ringlog_derive::Message;
use uuid::Uuid;

use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct ConsumerGroupMemberMetadataKey<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub member_id: &'a str,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ConsumerGroupMemberMetadataValue<'a> {
    #[field(versions = 0.., default = Some(""))] pub instance_id: Option<&'a str>,
    #[field(versions = 0.., default = Some(""))] pub rack_id: Option<&'a str>,
    #[field(versions = 0..)] pub client_id: &'a str,
    #[field(versions = 0..)] pub client_host: &'a str,
    #[field(versions = 0..)] pub subscribed_topic_names: Array<'a, &'a str>,
    #[field(versions = 0.., default = Some(""))] pub subscribed_topic_regex: Option<&'a str>,
    #[field(versions = 0.., default = -1)] pub rebalance_timeout_ms: i32,
    #[field(versions = 0.., default = Some(""))] pub server_assignor: Option<&'a str>,
    #[field(versions = 0.., tag = 0, default = Some(ClassicMemberMetadata::default()))] pub classic_member_metadata: Option<ClassicMemberMetadata<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ClassicMemberMetadata<'a> {
    #[field(versions = 0..)] pub session_timeout_ms: i32,
    #[field(versions = 0..)] pub supported_protocols: Array<'a, ClassicProtocol<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ClassicProtocol<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub metadata: &'a [u8],
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct ConsumerGroupCurrentMemberAssignmentKey<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub member_id: &'a str,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct ConsumerGroupCurrentMemberAssignmentValue<'a> {
    #[field(versions = 0..)] pub member_epoch: i32,
    #[field(versions = 0..)] pub previous_member_epoch: i32,
    #[field(versions = 0..)] pub state: i8,
    #[field(versions = 0..)] pub assigned_partitions: Array<'a, AssignedTopicPartitions<'a>>,
    #[field(versions = 0..)] pub partitions_pending_revocation: Array<'a, AssignedTopicPartitions<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AssignedTopicPartitions<'a> {
    #[field(versions = 0..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub partitions: Array<'a, i32>,
    #[field(versions = 0.., tag = 0)] pub assignment_epochs: Option<Array<'a, i32>>,
}
