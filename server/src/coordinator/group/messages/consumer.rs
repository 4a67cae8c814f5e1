//! What is asked by members of the consumer protocol (KIP-848), and about groups of it, and the answers.

use uuid::Uuid;

use crate::coordinator::group::Assignment;

/// A heartbeat of a member of a consumer group; what is `None` has not changed since the last one.
#[derive(Debug, Clone)]
pub struct ConsumerHeartbeat {
    /// The group.
    pub group_id: String,
    /// Made by the client from version 1 on.
    pub member_id: String,
    /// The client makes its member id (version 1).
    pub knows_own_member_id: bool,
    /// 0 to join, -1 to leave, -2 for a static member to leave for a while.
    pub member_epoch: i32,
    /// Static membership.
    pub instance_id: Option<String>,
    /// Where the client is.
    pub rack_id: Option<String>,
    /// Of the request header.
    pub client_id: String,
    /// As Java prints the peer's address.
    pub client_host: String,
    /// How long the member may take to give partitions up; -1 if that has not changed.
    pub rebalance_timeout_ms: i32,
    /// Topics by name.
    pub topic_names: Option<Vec<String>>,
    /// Topics by expression; empty for none any more.
    pub regex: Option<String>,
    /// The assignor that the member wants.
    pub assignor: Option<String>,
    /// The partitions that it holds.
    pub owned: Option<Assignment>,
    /// A member id, for a client that does not make one.
    pub random_id: Uuid,
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerHeartbeatReply {
    /// The member.
    pub member_id: String,
    /// Its epoch from now on.
    pub member_epoch: i32,
    /// When to send the next one.
    pub heartbeat_interval_ms: i32,
    /// What the member has from now on, if that has changed.
    pub assignment: Option<Assignment>,
}

/// A group as ConsumerGroupDescribe shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerGroupDescription {
    /// Kafka's name of the state.
    pub state: &'static str,
    /// Of members, subscriptions and topics.
    pub group_epoch: i32,
    /// Of the target assignment.
    pub assignment_epoch: i32,
    /// Its assignor.
    pub assignor_name: &'static str,
    /// Its members.
    pub members: Vec<ConsumerMemberDescription>,
}

/// A member as ConsumerGroupDescribe shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerMemberDescription {
    /// Its id.
    pub member_id: String,
    /// Static membership.
    pub instance_id: Option<String>,
    /// Where the client is.
    pub rack_id: Option<String>,
    /// Its epoch.
    pub member_epoch: i32,
    /// Of its request header.
    pub client_id: String,
    /// Where it heartbeats from.
    pub client_host: String,
    /// Topics by name.
    pub subscribed_topic_names: Vec<String>,
    /// Topics by expression.
    pub subscribed_topic_regex: Option<String>,
    /// It speaks the classic protocol.
    pub is_classic: bool,
    /// What it has, or has not confirmed to have given up.
    pub assigned: Vec<TopicPartitionNames>,
    /// What it is to have.
    pub target: Vec<TopicPartitionNames>,
}

/// Partitions of a topic that exists.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicPartitionNames {
    /// Its id.
    pub topic_id: Uuid,
    /// Its name.
    pub topic_name: String,
    /// Partitions.
    pub partitions: Vec<i32>,
}
