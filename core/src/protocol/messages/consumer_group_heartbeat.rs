//! ConsumerGroupHeartbeat (API key 68), versions 0..=1.
//!
//! v1 regular expressions, the member makes its own id (KIP-1082)

use ringlog_derive::Message;
use uuid::Uuid;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 0..)]
pub struct ConsumerGroupHeartbeatRequest<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub member_id: &'a str,
    #[field(versions = 0..)] pub member_epoch: i32,
    #[field(versions = 0..)] pub instance_id: Option<&'a str>,
    #[field(versions = 0..)] pub rack_id: Option<&'a str>,
    #[field(versions = 0.., default = -1)] pub rebalance_timeout_ms: i32,
    #[field(versions = 0..)] pub subscribed_topic_names: Option<Array<'a, &'a str>>,
    #[field(versions = 1..)] pub subscribed_topic_regex: Option<&'a str>,
    #[field(versions = 0..)] pub server_assignor: Option<&'a str>,
    #[field(versions = 0..)] pub topic_partitions: Option<Array<'a, ConsumerGroupHeartbeatTopicPartitions<'a>>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerGroupHeartbeatTopicPartitions<'a> {
    #[field(versions = 0..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub partitions: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 0..)]
pub struct ConsumerGroupHeartbeatResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub member_id: Option<&'a str>,
    #[field(versions = 0..)] pub member_epoch: i32,
    #[field(versions = 0..)] pub heartbeat_interval_ms: i32,
    #[field(versions = 0..)] pub assignment: Option<ConsumerGroupHeartbeatAssignment<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ConsumerGroupHeartbeatAssignment<'a> {
    #[field(versions = 0..)] pub topic_partitions: Array<'a, ConsumerGroupHeartbeatTopicPartitions<'a>>,
}
