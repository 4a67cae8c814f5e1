//! A member of a classic consumer group: joins, is given its part, says that it is there, leaves.
//!
//! The part of each member is its own id, so that one which was given another's is seen.

use std::time::Duration;

use ringlog_core::protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, SyncGroupRequest, SyncGroupRequestAssignment,
    SyncGroupResponse,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::wire::Array;

use super::asker::check;
use super::{Asker, SetupError};

/// How long a member whose heartbeats are not what is measured lives without one.
pub const SESSION: Duration = Duration::from_secs(60);
/// Not `consumer`: what members say about themselves is only theirs to understand.
const PROTOCOL_TYPE: &str = "loadgen";
const PROTOCOL: &str = "own-id";

/// What JoinGroup gave.
#[derive(Debug, Clone)]
pub struct Joined {
    /// As the coordinator calls the member.
    pub member_id: String,
    /// Of the group.
    pub generation_id: i32,
    /// All members, for the one that leads; else empty.
    members: Vec<String>,
}

/// Whether the member has to join again.
pub fn is_rebalance(error: &SetupError) -> bool {
    const AGAIN: [ErrorCode; 2] = [ErrorCode::REBALANCE_IN_PROGRESS, ErrorCode::ILLEGAL_GENERATION];
    matches!(error, SetupError::Refused { code, .. } if AGAIN.contains(code))
}

impl Asker {
    /// Joins, with an id that the coordinator gives unless there is one.
    pub async fn join(&mut self, group_id: &str, member_id: &str, session: Duration) -> Result<Joined, SetupError> {
        match self.join_as(group_id, member_id, session).await? {
            (ErrorCode::MEMBER_ID_REQUIRED, named) => {
                let (code, joined) = self.join_as(group_id, &named.member_id, session).await?;
                check("JoinGroup", code, None).map(|()| joined)
            }
            (code, joined) => check("JoinGroup", code, None).map(|()| joined),
        }
    }

    async fn join_as(
        &mut self,
        group_id: &str,
        member_id: &str,
        session: Duration,
    ) -> Result<(ErrorCode, Joined), SetupError> {
        let version = self.versions().pick::<JoinGroupRequest<'_>>(ApiKey::JoinGroup)?;
        let protocols = [JoinGroupRequestProtocol { name: PROTOCOL, metadata: &[] }];
        let session_timeout_ms = i32::try_from(session.as_millis()).unwrap_or(i32::MAX);
        let request = JoinGroupRequest {
            group_id,
            session_timeout_ms,
            rebalance_timeout_ms: session_timeout_ms,
            member_id,
            group_instance_id: None,
            protocol_type: PROTOCOL_TYPE,
            protocols: Array::from(&protocols),
            reason: None,
        };
        let response: JoinGroupResponse<'_> = self.ask_in(ApiKey::JoinGroup, version, &request).await?;
        let joined = Joined {
            member_id: response.member_id.to_owned(),
            generation_id: response.generation_id,
            members: response.members.iter().map(|member| member.member_id.to_owned()).collect(),
        };
        Ok((response.error_code, joined))
    }

    /// Waits for the part that the leading member deals, and is that member if the join said so.
    pub async fn sync(&mut self, group_id: &str, joined: &Joined) -> Result<(), SetupError> {
        let version = self.versions().pick::<SyncGroupRequest<'_>>(ApiKey::SyncGroup)?;
        let Joined { member_id, generation_id, members } = joined;
        let part = |member_id: &String| (member_id.clone(), member_id.as_bytes().to_vec());
        let parts: Vec<(String, Vec<u8>)> = members.iter().map(part).collect();
        let assignments =
            parts.iter().map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment });
        let request = SyncGroupRequest {
            group_id,
            generation_id: *generation_id,
            member_id,
            group_instance_id: None,
            protocol_type: Some(PROTOCOL_TYPE),
            protocol_name: Some(PROTOCOL),
            assignments: assignments.collect(),
        };
        let response: SyncGroupResponse<'_> = self.ask_in(ApiKey::SyncGroup, version, &request).await?;
        check("SyncGroup", response.error_code, None)?;
        if response.assignment != member_id.as_bytes() {
            return Err(SetupError::Assignment { group_id: group_id.to_owned(), member_id: member_id.clone() });
        }
        Ok(())
    }

    /// Says that the member is there.
    pub async fn heartbeat(&mut self, group_id: &str, joined: &Joined) -> Result<(), SetupError> {
        let version = self.versions().pick::<HeartbeatRequest<'_>>(ApiKey::Heartbeat)?;
        let Joined { member_id, generation_id, .. } = joined;
        let request = HeartbeatRequest { group_id, generation_id: *generation_id, member_id, group_instance_id: None };
        let response: HeartbeatResponse = self.ask_in(ApiKey::Heartbeat, version, &request).await?;
        check("Heartbeat", response.error_code, None)
    }

    /// Leaves the group.
    pub async fn leave(&mut self, group_id: &str, joined: &Joined) -> Result<(), SetupError> {
        let version = self.versions().pick::<LeaveGroupRequest<'_>>(ApiKey::LeaveGroup)?;
        let member_id = joined.member_id.as_str();
        let members = [MemberIdentity { member_id, group_instance_id: None, reason: None }];
        let request = LeaveGroupRequest { group_id, member_id, members: Array::from(&members) };
        let response: LeaveGroupResponse<'_> = self.ask_in(ApiKey::LeaveGroup, version, &request).await?;
        check("LeaveGroup", response.error_code, None)
    }
}
