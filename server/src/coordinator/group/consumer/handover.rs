//! A consumer group made of a classic one, and what a classic one is made of.

use std::sync::Arc;

use ringlog_core::protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use ringlog_core::wire::DecodeError;

use super::classic::{assignment_bytes, by_topic_id, subscribed};
use super::member::{ClassicMetadata, Member};
use super::{Assignment, ConsumerGroup};
use crate::coordinator::group::handover::{Handover, HandoverMember};
use crate::coordinator::group::{Topics, Turn};

/// Why a classic group cannot become a consumer group.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    #[error("the metadata of its members cannot be read: {0}")]
    Malformed(#[from] DecodeError),
    #[error("a custom assignor keeps data in its assignments, which would be lost")]
    CustomAssignor,
}

impl ConsumerGroup {
    /// The group of these members, each of which has what it had. Nothing is recorded yet.
    pub fn from_handover(group_id: Arc<str>, handover: Handover, topics: &dyn Topics) -> Result<Self, HandoverError> {
        let mut group = Self::new(group_id);
        group.set_epoch(handover.generation_id, 0);
        group.assignment_epoch = handover.generation_id;
        for member in handover.members {
            let member = member_of(member, handover.generation_id, topics)?;
            group.set_target(Arc::clone(&member.member_id), member.assigned.clone());
            group.set_member(member);
        }
        Ok(group)
    }

    /// Records the whole group, and begins the sessions of its members.
    pub fn begin(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            member.session_deadline_ms = Some(turn.wake_after(member.session_timeout_ms(turn.consumer_times)));
        }
        for member in self.members.values() {
            self.record_member(member, turn);
        }
        self.record_epoch(turn);
        for (member_id, target) in &self.target {
            self.record_target(member_id, Some(target), turn);
        }
        self.record_assignment_epoch(turn);
        for member in self.members.values() {
            self.record_current(member, turn);
        }
    }

    /// Whether it has members, and all of them speak the classic protocol.
    pub fn is_classic(&self) -> bool {
        !self.members.is_empty() && self.members.values().all(|member| member.classic.is_some())
    }

    /// How many members there are.
    pub fn members_count(&self) -> usize {
        self.members.len()
    }

    /// What a classic group is made of. Each member has what it holds, also what it has not confirmed yet to have given
    /// up, and not its target as in Kafka: if the group changes back before all have joined again, that would be taken
    /// for what they hold. The generation is the epoch at which members have arrived, so that they may still commit
    /// while they join again.
    pub fn handover(&self, topics: &dyn Topics) -> Handover {
        let hand_over = |member: &Member| {
            let classic = member.classic.clone()?;
            let metadata = classic.protocols.first().map(|protocol| protocol.metadata.clone()).unwrap_or_default();
            let version = ConsumerProtocolSubscription::from_bytes(&metadata).map_or(0, |(version, _)| version);
            Some(HandoverMember {
                member_id: Arc::clone(&member.member_id),
                group_instance_id: member.instance_id.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                session_timeout_ms: classic.session_timeout_ms,
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                protocols: classic.protocols,
                assignment: assignment_bytes(&member.held_by_topic(), version, topics),
            })
        };
        let members = self.members.values().filter_map(hand_over).collect();
        Handover { generation_id: self.assignment_epoch, members }
    }
}

fn member_of(member: HandoverMember, generation_id: i32, topics: &dyn Topics) -> Result<Member, HandoverError> {
    let metadata = member.protocols.first().map(|protocol| protocol.metadata.clone()).unwrap_or_default();
    let (_, subscription) = ConsumerProtocolSubscription::from_bytes(&metadata)?;
    let mut assigned = Assignment::new();
    // One that has never synced has none.
    if !member.assignment.is_empty() {
        let (_, assignment) = ConsumerProtocolAssignment::from_bytes(&member.assignment)?;
        if assignment.user_data.is_some_and(|user_data| !user_data.is_empty()) {
            return Err(HandoverError::CustomAssignor);
        }
        assigned = by_topic_id(&assignment.assigned_partitions, topics);
    }
    let made = Member {
        instance_id: member.group_instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        rebalance_timeout_ms: member.rebalance_timeout_ms.max(0),
        member_epoch: generation_id,
        previous_member_epoch: generation_id,
        assigned,
        classic: Some(ClassicMetadata { session_timeout_ms: member.session_timeout_ms, protocols: member.protocols }),
        ..Member::new(member.member_id)
    };
    let assignment_epochs = made.held().map(|partition| (partition, generation_id)).collect();
    Ok(subscribed(Member { assignment_epochs, ..made }, &subscription))
}
