//! A classic group made of a consumer group, and what a consumer group is made of.

use std::sync::Arc;

use ringlog_core::protocol::ErrorCode;

use super::member::Member;
use super::{ClassicGroup, State};
use crate::coordinator::group::handover::{Handover, HandoverMember};
use crate::coordinator::group::{JoinReply, Turn};

impl ClassicGroup {
    /// What a consumer group is made of.
    pub fn handover(&self) -> Handover {
        let hand_over = |member: &Member| HandoverMember {
            member_id: Arc::clone(&member.member_id),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            session_timeout_ms: member.session_timeout_ms,
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            protocols: member.protocols.clone(),
            assignment: member.assignment.clone(),
        };
        Handover { generation_id: self.generation_id, members: self.members.values().map(hand_over).collect() }
    }

    /// The group is one no more: whoever waits joins anew, and its record goes.
    pub fn dissolve(&mut self, turn: &mut Turn<'_>) {
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            let refusal = JoinReply::refusal(&member_id, ErrorCode::REBALANCE_IN_PROGRESS);
            self.answer_join(&member_id, refusal, turn);
            self.answer_sync(&member_id, Err(ErrorCode::REBALANCE_IN_PROGRESS), turn);
        }
        turn.record(&Self::tombstone(&self.group_id));
    }

    /// The group of these members; it rebalances at once.
    pub fn from_handover(group_id: Arc<str>, handover: Handover, turn: &mut Turn<'_>) -> Self {
        let mut group = Self::new(group_id);
        for member in handover.members {
            group.insert_member(member_of(member));
        }
        group.generation_id = handover.generation_id;
        // The first to join; in the record that none is elected yet says that the rebalance is due.
        group.leader = None;
        group.protocol_name = group.select_protocol();
        group.refresh_subscribed_topics();
        group.transition_to(State::Stable, turn.now.wall_ms);
        group.record(turn);
        for member_id in group.members.keys().cloned().collect::<Vec<_>>() {
            group.renew_session(&member_id, turn);
        }
        group.prepare_rebalance(turn);
        group
    }
}

fn member_of(member: HandoverMember) -> Member {
    Member {
        member_id: member.member_id,
        group_instance_id: member.group_instance_id,
        client_id: member.client_id,
        client_host: member.client_host,
        session_timeout_ms: member.session_timeout_ms,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        protocol_type: "consumer".to_owned(),
        protocols: member.protocols,
        assignment: member.assignment,
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
        session_deadline_ms: None,
    }
}
