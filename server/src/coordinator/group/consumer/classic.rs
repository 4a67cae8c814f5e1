//! Members of a consumer group that speak the classic protocol, while the group changes over (KIP-848).
//!
//! To its client such a member follows a leader that it never sees: it joins with what it holds, is given the assignment
//! of its epoch by the next sync, and REBALANCE_IN_PROGRESS makes it join again to move on.

use std::sync::Arc;

use bytes::Bytes;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, ConsumerProtocolTopicPartition,
};

use super::member::{ClassicMetadata, Member, MemberState};
use super::{Assignment, ConsumerGroup};
use crate::config::MigrationPolicy;
use crate::coordinator::group::{
    Heartbeat, JoinGroup, JoinReply, LeaveGroup, Protocol, SyncGroup, SyncReply, Topics, Turn,
};

/// The type of the protocols whose bytes the coordinator reads.
pub const CONSUMER_PROTOCOL: &str = "consumer";

impl ConsumerGroup {
    /// JoinGroup: the member is told its epoch as its generation.
    pub fn classic_join(&mut self, request: JoinGroup, turn: &mut Turn<'_>) -> JoinReply {
        let member_id = request.member_id.clone();
        self.try_classic_join(request, turn).unwrap_or_else(|(new_id, error_code)| {
            JoinReply::refusal(new_id.as_deref().unwrap_or(&member_id), error_code)
        })
    }

    /// A refusal may tell the member its id.
    fn try_classic_join(
        &mut self,
        request: JoinGroup,
        turn: &mut Turn<'_>,
    ) -> Result<JoinReply, (Option<String>, ErrorCode)> {
        let refused = |error_code| (None, error_code);
        let inconsistent = || refused(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        if turn.settings.migration_policy == MigrationPolicy::Disabled {
            return Err(inconsistent());
        }
        let holder = request.group_instance_id.as_ref().and_then(|instance_id| self.static_members.get(instance_id));
        let is_known = holder.is_some() || self.members.contains_key(request.member_id.as_str());
        if !is_known && self.members.len() >= turn.settings.consumer_max_size {
            return Err(refused(ErrorCode::GROUP_MAX_SIZE_REACHED));
        }
        if !self.supports(&request.protocol_type, &request.protocols) {
            return Err(inconsistent());
        }
        // All protocols of a consumer carry the same subscription.
        let preferred = request.protocols.first().ok_or_else(inconsistent)?.clone();
        let (_, subscription) =
            ConsumerProtocolSubscription::from_bytes(&preferred.metadata).map_err(|_| inconsistent())?;
        let random_id = request.random_id.hyphenated().to_string();
        if request.member_id.is_empty() && request.group_instance_id.is_none() && request.requires_known_member_id {
            return Err((Some(random_id), ErrorCode::MEMBER_ID_REQUIRED));
        }
        let member_id = self.find_or_add_classic(&request, random_id, turn).map_err(refused)?;
        let rebalance_timeout_ms = request.rebalance_timeout_ms.max(0);
        let member = Member {
            instance_id: request.group_instance_id,
            client_id: request.client_id,
            client_host: request.client_host,
            rebalance_timeout_ms,
            classic: Some(ClassicMetadata {
                session_timeout_ms: request.session_timeout_ms,
                protocols: request.protocols,
            }),
            ..subscribed(self.members[&member_id].clone(), &subscription)
        };
        let is_changed = self.replace_member(member, turn).map_err(refused)?;
        self.raise_group_epoch(is_changed, turn);
        self.update_target(turn);
        let owned = by_topic_id(&subscription.owned_partitions, turn.topics);
        self.reconcile(&member_id, is_changed, Some(&owned), turn);
        self.renew_classic_session(&member_id, turn);
        self.members.get_mut(&member_id).expect("joined above").rebalance_deadline_ms =
            Some(turn.wake_after(rebalance_timeout_ms));
        Ok(JoinReply {
            error_code: ErrorCode::NONE,
            generation_id: self.members[&member_id].member_epoch,
            protocol_type: Some(CONSUMER_PROTOCOL.to_owned()),
            protocol_name: Some(preferred.name),
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_string(),
            members: Vec::new(),
        })
    }

    /// Whether a member with these protocols can join beside the classic members that there are.
    fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        let spoken_by_all = |protocol: &Protocol| {
            let mut classic = self.members.values().filter_map(|member| member.classic.as_ref());
            classic.all(|classic| classic.protocols.iter().any(|other| other.name == protocol.name))
        };
        protocol_type == CONSUMER_PROTOCOL && protocols.iter().any(spoken_by_all)
    }

    fn find_or_add_classic(
        &mut self,
        request: &JoinGroup,
        random_id: String,
        turn: &mut Turn<'_>,
    ) -> Result<Arc<str>, ErrorCode> {
        let is_new = request.member_id.is_empty();
        let member_id: Arc<str> = if is_new { random_id.into() } else { request.member_id.as_str().into() };
        let instance_id = request.group_instance_id.as_deref();
        match instance_id.map(|instance_id| self.static_members.get(instance_id).cloned()) {
            None if self.members.contains_key(&member_id) => {}
            None => self.set_member(Member::new(Arc::clone(&member_id))),
            Some(None) if is_new => self.set_member(Member::new(Arc::clone(&member_id))),
            Some(None) => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(Some(holder)) if is_new => self.replace_static_member(&holder, &member_id, turn),
            Some(Some(holder)) if holder != member_id => return Err(ErrorCode::FENCED_INSTANCE_ID),
            Some(Some(_)) => {}
        }
        Ok(member_id)
    }

    /// SyncGroup: the member's assignment of its epoch.
    pub fn classic_sync(&mut self, request: &SyncGroup, turn: &mut Turn<'_>) -> Result<SyncReply, ErrorCode> {
        let (member, classic) = self.classic_member(&request.member_id, request.group_instance_id.as_deref())?;
        let preferred = classic.protocols.first().ok_or(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)?.clone();
        if request.generation_id != member.member_epoch {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differs = |said: &Option<String>, own: &str| said.as_ref().is_some_and(|said| said != own);
        if differs(&request.protocol_type, CONSUMER_PROTOCOL) || differs(&request.protocol_name, &preferred.name) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        // One that must give partitions up is told by the sync of the epoch that it is in.
        if self.assignment_epoch > member.member_epoch && member.state != MemberState::UnrevokedPartitions {
            self.expect_join(&request.member_id, turn);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let (version, _) = ConsumerProtocolSubscription::from_bytes(&preferred.metadata)
            .map_err(|_| ErrorCode::INCONSISTENT_GROUP_PROTOCOL)?;
        let assignment = assignment_bytes(&member.assigned, version, turn.topics);
        self.renew_classic_session(&request.member_id, turn);
        self.members.get_mut(request.member_id.as_str()).expect("found above").rebalance_deadline_ms = None;
        Ok(SyncReply {
            protocol_type: Some(CONSUMER_PROTOCOL.to_owned()),
            protocol_name: Some(preferred.name),
            assignment,
        })
    }

    /// Heartbeat: the member learns whether joining again would bring it further.
    pub fn classic_heartbeat(&mut self, request: &Heartbeat, turn: &mut Turn<'_>) -> ErrorCode {
        let member = match self.classic_member(&request.member_id, request.group_instance_id.as_deref()) {
            Ok((member, _)) => member,
            Err(error_code) => return error_code,
        };
        if request.generation_id != member.member_epoch {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        let can_move = match member.state {
            MemberState::Stable => false,
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => !self.waits_for_others(member),
        };
        let must_join = member.member_epoch < self.assignment_epoch || can_move || self.is_target_due(turn);
        self.renew_classic_session(&request.member_id, turn);
        if !must_join {
            return ErrorCode::NONE;
        }
        self.expect_join(&request.member_id, turn);
        ErrorCode::REBALANCE_IN_PROGRESS
    }

    /// LeaveGroup: a code for each member, of whichever protocol: so administrators remove them.
    pub fn classic_leave(&mut self, request: &LeaveGroup, turn: &mut Turn<'_>) -> Vec<ErrorCode> {
        let mut codes = Vec::new();
        for (member_id, instance_id) in &request.members {
            let holder = instance_id.as_deref().and_then(|instance_id| self.static_members.get(instance_id));
            // An administrator removes a static member by its instance id.
            let member_id = holder.filter(|_| member_id.is_empty()).map_or(member_id.as_str(), |holder| holder);
            let member_id = member_id.to_owned();
            codes.push(match self.member(&member_id, instance_id.as_deref()) {
                Ok(_) => {
                    self.record_removal(&member_id, turn);
                    self.remove_member(&member_id);
                    ErrorCode::NONE
                }
                Err(error_code) => error_code,
            });
        }
        if codes.contains(&ErrorCode::NONE) {
            self.raise_group_epoch(true, turn);
        }
        codes
    }

    /// The member, if, where an instance id is said, it is the one that holds it.
    fn member(&self, member_id: &str, instance_id: Option<&str>) -> Result<&Member, ErrorCode> {
        if let Some(instance_id) = instance_id {
            let holder = self.static_members.get(instance_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            if **holder != *member_id {
                return Err(ErrorCode::FENCED_INSTANCE_ID);
            }
        }
        self.members.get(member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }

    /// The same, if it is one of the classic protocol.
    fn classic_member(
        &self,
        member_id: &str,
        instance_id: Option<&str>,
    ) -> Result<(&Member, &ClassicMetadata), ErrorCode> {
        let member = self.member(member_id, instance_id)?;
        let classic = member.classic.as_ref().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        Ok((member, classic))
    }

    /// Whether another member still holds something that this one is to have.
    fn waits_for_others(&self, member: &Member) -> bool {
        let target = self.target.get(&member.member_id).into_iter().flatten();
        let mut wanted = target.flat_map(|(topic_id, partitions)| partitions.iter().map(|at| (*topic_id, *at)));
        wanted.any(|partition| self.owners.get(&partition).is_some_and(|owner| *owner != member.member_id))
    }

    fn renew_classic_session(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        let member = self.members.get_mut(member_id).expect("found by the caller");
        member.session_deadline_ms = Some(turn.wake_after(member.session_timeout_ms(turn.consumer_times)));
    }

    /// The member has been told to join again: it has its rebalance timeout for that.
    fn expect_join(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        let member = self.members.get_mut(member_id).expect("found by the caller");
        if member.rebalance_deadline_ms.is_none() {
            member.rebalance_deadline_ms = Some(turn.wake_after(member.rebalance_timeout_ms));
        }
    }
}

/// The member with what its metadata says.
pub fn subscribed(member: Member, subscription: &ConsumerProtocolSubscription<'_>) -> Member {
    Member {
        topic_names: subscription.topics.iter().map(str::to_owned).collect(),
        regex: None,
        rack_id: subscription.rack_id.map(str::to_owned).or(member.rack_id),
        ..member
    }
}

/// Partitions of topics that exist.
pub fn by_topic_id<'a>(
    topic_partitions: impl IntoIterator<Item = ConsumerProtocolTopicPartition<'a>>,
    topics: &dyn Topics,
) -> Assignment {
    let mut assignment = Assignment::new();
    for ConsumerProtocolTopicPartition { topic, partitions } in topic_partitions {
        if let Some(topic_id) = topics.id(topic) {
            assignment.entry(topic_id).or_default().extend(partitions.iter());
        }
    }
    assignment
}

/// An assignment as the clients of the classic protocol read it.
pub fn assignment_bytes(assignment: &Assignment, version: i16, topics: &dyn Topics) -> Bytes {
    let names: Vec<(String, Vec<i32>)> = assignment
        .iter()
        .filter_map(|(topic_id, partitions)| Some((topics.name(*topic_id)?, partitions.iter().copied().collect())))
        .collect();
    let assigned_partitions = names
        .iter()
        .map(|(topic, partitions)| ConsumerProtocolTopicPartition { topic, partitions: partitions[..].into() })
        .collect();
    let assignment = ConsumerProtocolAssignment { assigned_partitions, user_data: None };
    assignment.to_bytes(version).expect("topic names are short").into()
}
