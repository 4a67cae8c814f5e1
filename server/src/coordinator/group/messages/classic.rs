//! What is asked by members of the classic protocol, and about groups of it, and the answers.

use bytes::Bytes;
use ringlog_core::protocol::ErrorCode;
use uuid::Uuid;

/// Joins a group, or joins it again.
#[derive(Debug, Clone, Default)]
pub struct JoinGroup {
    /// The group.
    pub group_id: String,
    /// Empty for a new member.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
    /// Of the request header.
    pub client_id: String,
    /// As Java prints the peer's address: `/127.0.0.1`.
    pub client_host: String,
    /// A member that is not heard for this long is gone.
    pub session_timeout_ms: i32,
    /// How long the group waits for a member to join again.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect`, ...
    pub protocol_type: String,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// The client joins in two steps (version 4): a new member is told its id first.
    pub requires_known_member_id: bool,
    /// The client knows `skip_assignment` (version 9).
    pub knows_skip_assignment: bool,
    /// Makes the member id unique.
    pub random_id: Uuid,
}

/// A protocol that a member speaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Protocol {
    /// `range`, `cooperative-sticky`, ...
    pub name: String,
    /// For the leader of the group alone.
    pub metadata: Bytes,
}

impl Protocol {
    /// What it counts in the bound of its group.
    pub fn size_bytes(&self) -> usize {
        self.name.len() + self.metadata.len()
    }
}

/// What a member learns when the group has formed.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinReply {
    /// Success, or why not.
    pub error_code: ErrorCode,
    /// Of the group.
    pub generation_id: i32,
    /// Of the group.
    pub protocol_type: Option<String>,
    /// What all members speak.
    pub protocol_name: Option<String>,
    /// Member id of the leader.
    pub leader: String,
    /// The leader keeps the assignment that there is (KIP-814).
    pub skip_assignment: bool,
    /// The member's id.
    pub member_id: String,
    /// All members, for the leader alone.
    pub members: Vec<JoinedMember>,
}

impl JoinReply {
    /// A refusal.
    pub fn refusal(member_id: &str, error_code: ErrorCode) -> Self {
        Self {
            error_code,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        }
    }
}

/// A member as the leader sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
    /// Of the protocol that was chosen.
    pub metadata: Bytes,
}

/// Asks for the member's assignment; the leader brings those of all.
#[derive(Debug, Clone, Default)]
pub struct SyncGroup {
    /// The group.
    pub group_id: String,
    /// As learned from the join.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
    /// As learned from the join, `None` before version 5.
    pub protocol_type: Option<String>,
    /// As learned from the join, `None` before version 5.
    pub protocol_name: Option<String>,
    /// Assignments by member id, from the leader.
    pub assignments: Vec<(String, Bytes)>,
}

/// The member's assignment.
#[derive(Debug, Clone, PartialEq)]
pub struct SyncReply {
    /// Of the group.
    pub protocol_type: Option<String>,
    /// Of the group.
    pub protocol_name: Option<String>,
    /// From the leader.
    pub assignment: Bytes,
}

/// Keeps a member alive.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat {
    /// The group.
    pub group_id: String,
    /// As learned from the join.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
}

/// Removes members.
#[derive(Debug, Clone, Default)]
pub struct LeaveGroup {
    /// The group.
    pub group_id: String,
    /// Member id (empty: by instance id alone) and instance id.
    pub members: Vec<(String, Option<String>)>,
}

/// A group as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupDescription {
    /// Kafka's name of the state.
    pub state: &'static str,
    /// Empty for a group that only commits offsets.
    pub protocol_type: String,
    /// The protocol of a stable group.
    pub protocol_name: String,
    /// Its members.
    pub members: Vec<MemberDescription>,
}

/// A member as DescribeGroups shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberDescription {
    /// Its id.
    pub member_id: String,
    /// Static membership.
    pub group_instance_id: Option<String>,
    /// Of its request header.
    pub client_id: String,
    /// Where it joined from.
    pub client_host: String,
    /// Of the protocol of a stable group.
    pub metadata: Bytes,
    /// In a stable group.
    pub assignment: Bytes,
}
