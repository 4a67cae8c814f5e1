//! A member of a classic group.

use std::sync::Arc;

use bytes::Bytes;

use crate::coordinator::group::{JoinGroup, JoinedMember, Protocol, Token};

/// A member.
#[derive(Debug)]
pub struct Member {
    pub member_id: Arc<str>,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: String,
    /// In its order of preference.
    pub protocols: Vec<Protocol>,
    /// From the leader of this generation.
    pub assignment: Bytes,
    /// Waits for the end of the join phase.
    pub awaiting_join: Option<Token>,
    /// Waits for the leader's assignment.
    pub awaiting_sync: Option<Token>,
    /// In its first join phase: it does not know its id yet and cannot send heartbeats.
    pub is_new: bool,
    /// Monotonic time at which its session ends; `None` while what it waits for keeps it alive.
    pub session_deadline_ms: Option<i64>,
}

impl Member {
    /// A member that waits for the end of its first join phase.
    pub fn new(member_id: Arc<str>, request: JoinGroup, token: Token) -> Self {
        Self {
            member_id,
            group_instance_id: request.group_instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: request.rebalance_timeout_ms,
            protocol_type: request.protocol_type,
            protocols: request.protocols,
            assignment: Bytes::new(),
            awaiting_join: Some(token),
            awaiting_sync: None,
            is_new: true,
            session_deadline_ms: None,
        }
    }

    /// Whether what it waits for keeps it alive. A new member's join does not: its client may be gone.
    pub fn is_alive_by_waiting(&self) -> bool {
        !self.is_new && (self.awaiting_join.is_some() || self.awaiting_sync.is_some())
    }

    /// Its metadata for a protocol.
    pub fn metadata(&self, protocol_name: &str) -> Bytes {
        let protocol = self.protocols.iter().find(|protocol| protocol.name == protocol_name);
        protocol.map(|protocol| protocol.metadata.clone()).unwrap_or_default()
    }

    /// The member as the leader sees it.
    pub fn joined(&self, protocol_name: Option<&str>) -> JoinedMember {
        JoinedMember {
            member_id: self.member_id.to_string(),
            group_instance_id: self.group_instance_id.clone(),
            metadata: protocol_name.map(|name| self.metadata(name)).unwrap_or_default(),
        }
    }
}
