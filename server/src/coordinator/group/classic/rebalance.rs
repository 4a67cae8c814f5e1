//! The two phases of a rebalance: members join, then the leader's assignment reaches them.

use bytes::Bytes;
use ringlog_core::protocol::ErrorCode;

use super::{ClassicGroup, State};
use crate::coordinator::group::members::GROUP_BYTES_MAX;
use crate::coordinator::group::planted::{PlantedBug, is_planted};
use crate::coordinator::group::{GroupReply, JoinReply, SyncGroup, SyncReply, Token, Turn};

impl ClassicGroup {
    /// Begins a rebalance, or ends the join phase of the one that is going on.
    pub(super) fn rebalance_or_complete_join(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Empty | State::CompletingRebalance | State::Stable => self.prepare_rebalance(turn),
            State::PreparingRebalance => self.complete_join_if_ready(turn),
        }
    }

    /// Begins the join phase. A group that was empty waits a while for more members.
    pub(super) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::CompletingRebalance {
            self.clear_assignments();
            self.answer_syncs(Some(ErrorCode::REBALANCE_IN_PROGRESS), turn);
        }
        self.not_synced.clear();
        self.sync_deadline_ms = None;
        self.transition_to(State::PreparingRebalance, turn.now.wall_ms);
        if self.is_initial_rebalance {
            let delay_ms = turn.settings.initial_rebalance_delay_ms;
            self.initial_left_ms = (self.rebalance_timeout_ms() - delay_ms).max(0);
            self.has_new_member = false;
            self.join_deadline_ms = Some(turn.wake_after(delay_ms));
        } else if self.has_all_joined() {
            self.complete_join(turn);
        } else {
            self.join_deadline_ms = Some(turn.wake_after(self.rebalance_timeout_ms()));
        }
    }

    fn has_all_joined(&self) -> bool {
        self.joining == self.members.len() && self.pending.is_empty()
    }

    /// Ends the join phase when nobody is missing, unless it is the initial delay that it waits for.
    pub(super) fn complete_join_if_ready(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::PreparingRebalance && !self.is_initial_rebalance && self.has_all_joined() {
            self.complete_join(turn);
        }
    }

    /// The time of the join phase is over: of the initial delay perhaps only a part.
    pub(super) fn on_join_deadline(&mut self, turn: &mut Turn<'_>) {
        if !(self.is_initial_rebalance && self.has_new_member && self.initial_left_ms > 0) {
            return self.complete_join(turn);
        }
        let delay_ms = turn.settings.initial_rebalance_delay_ms.min(self.initial_left_ms);
        self.initial_left_ms -= delay_ms;
        self.has_new_member = false;
        self.join_deadline_ms = Some(turn.wake_after(delay_ms));
    }

    /// Ends the join phase: who has not joined is out, a static member stays until its session ends.
    fn complete_join(&mut self, turn: &mut Turn<'_>) {
        self.join_deadline_ms = None;
        let late: Vec<_> = self.members.values().filter(|member| member.awaiting_join.is_none()).collect();
        let late: Vec<_> = late.into_iter().filter(|member| member.group_instance_id.is_none()).collect();
        for member_id in late.into_iter().map(|member| member.member_id.clone()).collect::<Vec<_>>() {
            self.remove_member(&member_id);
        }
        if !self.members.is_empty() && !self.elect_joined_leader() {
            // Only static members that are away: wait for their sessions.
            self.join_deadline_ms = Some(turn.wake_after(self.rebalance_timeout_ms()));
            return;
        }
        self.generation_id = self.generation_id.wrapping_add(1).max(1);
        self.protocol_name = self.select_protocol();
        self.refresh_subscribed_topics();
        self.not_synced.clear();
        if self.members.is_empty() {
            self.transition_to(State::Empty, turn.now.wall_ms);
            return self.record(turn);
        }
        self.transition_to(State::CompletingRebalance, turn.now.wall_ms);
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            let reply = self.join_reply(&member_id);
            self.answer_join(&member_id, reply, turn);
            self.renew_session(&member_id, turn);
            let member = self.members.get_mut(&member_id).expect("of the keys");
            member.is_new = false;
            self.not_synced.insert(member_id);
        }
        self.sync_deadline_ms = Some(turn.wake_after(self.rebalance_timeout_ms()));
    }

    /// A leader that did not join gives way to a member that did; false if there is none.
    fn elect_joined_leader(&mut self) -> bool {
        let has_joined =
            |member_id: &str| self.members.get(member_id).is_some_and(|member| member.awaiting_join.is_some());
        if self.leader.as_deref().is_some_and(has_joined) {
            return true;
        }
        let joined = self.members.values().find(|member| member.awaiting_join.is_some());
        match joined.map(|member| member.member_id.clone()) {
            Some(leader) => {
                self.leader = Some(leader);
                true
            }
            None => false,
        }
    }

    /// SyncGroup: answers now, or when the leader has brought the assignment.
    pub fn sync(&mut self, request: SyncGroup, token: Token, turn: &mut Turn<'_>) {
        if let Err(error_code) = self.check_sync(&request) {
            return turn.reply(token, GroupReply::Sync(Err(error_code)));
        }
        let member_id = request.member_id.as_str();
        match self.state {
            State::Empty => turn.reply(token, GroupReply::Sync(Err(ErrorCode::UNKNOWN_MEMBER_ID))),
            State::PreparingRebalance => turn.reply(token, GroupReply::Sync(Err(ErrorCode::REBALANCE_IN_PROGRESS))),
            State::CompletingRebalance => {
                self.not_synced.remove(member_id);
                let member = self.members.get_mut(member_id).expect("checked above");
                if let Some(older) = member.awaiting_sync.replace(token) {
                    turn.reply(older, GroupReply::Sync(Err(ErrorCode::REBALANCE_IN_PROGRESS)));
                }
                if self.is_leader(member_id) {
                    self.assign(request, turn);
                }
            }
            State::Stable => {
                self.not_synced.remove(member_id);
                self.renew_session(member_id, turn);
                let reply = self.sync_reply(self.members[member_id].assignment.clone());
                turn.reply(token, GroupReply::Sync(Ok(reply)));
            }
        }
    }

    fn check_sync(&self, request: &SyncGroup) -> Result<(), ErrorCode> {
        let differs = |said: &Option<String>, own: &Option<String>| said.is_some() && own.is_some() && said != own;
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            Err(ErrorCode::ILLEGAL_GENERATION)
        } else if differs(&request.protocol_type, &self.protocol_type)
            || differs(&request.protocol_name, &self.protocol_name)
        {
            Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)
        } else {
            Ok(())
        }
    }

    /// The leader's assignment: who is not in it gets an empty one.
    fn assign(&mut self, request: SyncGroup, turn: &mut Turn<'_>) {
        let size_bytes: usize = request.assignments.iter().map(|(_, assignment)| assignment.len()).sum();
        if size_bytes > GROUP_BYTES_MAX {
            self.answer_syncs(Some(ErrorCode::UNKNOWN_SERVER_ERROR), turn);
            return self.prepare_rebalance(turn);
        }
        self.clear_assignments();
        for (member_id, assignment) in request.assignments {
            if let Some(member) = self.members.get_mut(member_id.as_str()) {
                member.assignment = assignment;
            }
        }
        self.transition_to(State::Stable, turn.now.wall_ms);
        self.record(turn);
        if is_planted(PlantedBug::FollowersForgotten) {
            return;
        }
        self.answer_syncs(None, turn);
    }

    fn clear_assignments(&mut self) {
        self.members.values_mut().for_each(|member| member.assignment = Bytes::new());
    }

    /// Answers all that wait for the assignment, with it or with an error.
    fn answer_syncs(&mut self, error_code: Option<ErrorCode>, turn: &mut Turn<'_>) {
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            let member = &self.members[&member_id];
            if member.awaiting_sync.is_none() {
                continue;
            }
            let reply = match error_code {
                Some(error_code) => Err(error_code),
                None => Ok(self.sync_reply(member.assignment.clone())),
            };
            self.answer_sync(&member_id, reply, turn);
            self.renew_session(&member_id, turn);
        }
    }

    fn sync_reply(&self, assignment: Bytes) -> SyncReply {
        SyncReply { protocol_type: self.protocol_type.clone(), protocol_name: self.protocol_name.clone(), assignment }
    }

    /// Answers a member's sync, if it waits for one.
    pub(super) fn answer_sync(&mut self, member_id: &str, reply: Result<SyncReply, ErrorCode>, turn: &mut Turn<'_>) {
        let Some(token) = self.members.get_mut(member_id).and_then(|member| member.awaiting_sync.take()) else {
            return;
        };
        turn.reply(token, GroupReply::Sync(reply));
    }

    /// Removes a member; what it waits for is answered, so that its client, if it lives, joins anew.
    pub(super) fn remove_member_answered(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        self.answer_join(member_id, JoinReply::refusal("", ErrorCode::UNKNOWN_MEMBER_ID), turn);
        self.answer_sync(member_id, Err(ErrorCode::UNKNOWN_MEMBER_ID), turn);
        self.remove_member(member_id);
    }

    /// The time of the sync phase is over: who has not synced is out.
    pub(super) fn on_sync_deadline(&mut self, turn: &mut Turn<'_>) {
        self.sync_deadline_ms = None;
        if matches!(self.state, State::Empty | State::PreparingRebalance) || self.not_synced.is_empty() {
            return;
        }
        for member_id in std::mem::take(&mut self.not_synced) {
            self.remove_member_answered(&member_id, turn);
        }
        self.prepare_rebalance(turn);
    }
}
