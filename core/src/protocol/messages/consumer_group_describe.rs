//! ConsumerGroupDescribe (API key 69), versions 0..=1.
//!
//! v1 member_type (KIP-1099)

use ringlog_derive::Message;
use uuid::Uuid;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 0..)]
pub struct ConsumerGroupDescribeRequest<'a> {
    #[field(versions = 0..)] pub group_ids: Array<'a, &'a str>,
    #[field(versions = 0..)] pub include_authorized_operations: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 0..)]
pub struct ConsumerGroupDescribeResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub groups: Array<'a, ConsumerGroupDescribedGroup<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerGroupDescribedGroup<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub group_state: &'a str,
    #[field(versions = 0..)] pub group_epoch: i32,
    #[field(versions = 0..)] pub assignment_epoch: i32,
    #[field(versions = 0..)] pub assignor_name: &'a str,
    #[field(versions = 0..)] pub members: Array<'a, ConsumerGroupDescribeMember<'a>>,
    #[field(versions = 0.., default = i32::MIN)] pub authorized_operations: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerGroupDescribeMember<'a> {
    #[field(versions = 0..)] pub member_id: &'a str,
    #[field(versions = 0..)] pub instance_id: Option<&'a str>,
    #[field(versions = 0..)] pub rack_id: Option<&'a str>,
    #[field(versions = 0..)] pub member_epoch: i32,
    #[field(versions = 0..)] pub client_id: &'a str,
    #[field(versions = 0..)] pub client_host: &'a str,
    #[field(versions = 0..)] pub subscribed_topic_names: Array<'a, &'a str>,
    #[field(versions = 0..)] pub subscribed_topic_regex: Option<&'a str>,
    #[field(versions = 0..)] pub assignment: ConsumerGroupDescribeAssignment<'a>,
    #[field(versions = 0..)] pub target_assignment: ConsumerGroupDescribeAssignment<'a>,
    #[field(versions = 1.., default = -1)] pub member_type: i8,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerGroupDescribeTopicPartitions<'a> {
    #[field(versions = 0..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub topic_name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerGroupDescribeAssignment<'a> {
    #[field(versions = 0..)] pub topic_partitions: Array<'a, ConsumerGroupDescribeTopicPartitions<'a>>,
}
