//! Heartbeat, LeaveGroup, offset commits of members, and what happens when time passes.

use ringlog_core::protocol::ErrorCode;

use super::{ClassicGroup, State};
use crate::coordinator::group::{CommitOffsets, Heartbeat, LeaveGroup, Turn};

impl ClassicGroup {
    /// Heartbeat: the member learns whether it must join again.
    pub fn heartbeat(&mut self, request: &Heartbeat, turn: &mut Turn<'_>) -> ErrorCode {
        if let Err(error_code) = self.check_member(&request.member_id, request.group_instance_id.as_deref()) {
            return error_code;
        }
        if request.generation_id != self.generation_id {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        self.renew_session(&request.member_id, turn);
        match self.state {
            State::Empty => ErrorCode::UNKNOWN_MEMBER_ID,
            State::PreparingRebalance => ErrorCode::REBALANCE_IN_PROGRESS,
            State::CompletingRebalance | State::Stable => ErrorCode::NONE,
        }
    }

    /// LeaveGroup: a code for each member.
    pub fn leave(&mut self, request: &LeaveGroup, turn: &mut Turn<'_>) -> Vec<ErrorCode> {
        let leave = |(member_id, instance_id): &(String, Option<String>)| {
            self.leave_one(member_id, instance_id.as_deref(), turn).err().unwrap_or(ErrorCode::NONE)
        };
        let codes: Vec<ErrorCode> = request.members.iter().map(leave).collect();
        if codes.contains(&ErrorCode::NONE) {
            self.on_members_gone(turn);
        }
        codes
    }

    fn leave_one(&mut self, member_id: &str, instance_id: Option<&str>, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        if member_id.is_empty() {
            // An administrator removes a static member by its instance id.
            let holder = instance_id.and_then(|instance_id| self.static_members.get(instance_id)).cloned();
            self.remove_member_answered(&holder.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?, turn);
        } else if self.pending.remove(member_id).is_none() {
            self.check_member(member_id, instance_id)?;
            self.remove_member_answered(member_id, turn);
        }
        Ok(())
    }

    fn on_members_gone(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(turn),
            State::PreparingRebalance => self.complete_join_if_ready(turn),
            State::Empty => {}
        }
    }

    /// Whether an offset commit fits the group; one of a member renews its session.
    pub fn check_commit(&mut self, request: &CommitOffsets, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        if request.generation_id < 0 && self.state == State::Empty {
            return Ok(());
        }
        let is_member =
            request.generation_id >= 0 || !request.member_id.is_empty() || request.group_instance_id.is_some();
        if !is_member {
            return if self.state == State::Empty { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) };
        }
        self.check_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation_id {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        if self.state == State::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        self.renew_session(&request.member_id, turn);
        Ok(())
    }

    /// The member lives: its session begins anew. Other than in Kafka so it does, too, when a member of the generation joins
    /// or syncs again: its client counts from there how long it may read what it was told.
    pub(super) fn renew_session(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.session_deadline_ms = Some(turn.wake_after(member.session_timeout_ms));
        }
    }

    /// After a restart every member that the log knows gets a full session to be heard again. Members without a leader
    /// were a consumer group, and have not rebalanced since.
    pub fn on_loaded(&mut self, turn: &mut Turn<'_>) {
        for member_id in self.members.keys().cloned().collect::<Vec<_>>() {
            self.renew_session(&member_id, turn);
        }
        let was_handed_over = self.leader.is_none() && !self.members.is_empty();
        if was_handed_over || self.members.len() > turn.settings.max_size {
            self.prepare_rebalance(turn);
        }
    }

    /// Does what is due, and asks to be woken for what comes next.
    pub fn on_time(&mut self, turn: &mut Turn<'_>) {
        let now_ms = turn.now.monotonic_ms;
        let is_due = |deadline: Option<i64>| deadline.is_some_and(|deadline| deadline <= now_ms);
        if is_due(self.join_deadline_ms) {
            self.on_join_deadline(turn);
        }
        if is_due(self.sync_deadline_ms) {
            self.on_sync_deadline(turn);
        }
        self.expire_sessions(turn);
        turn.wake_at_ms = self.next_deadline_ms();
    }

    fn expire_sessions(&mut self, turn: &mut Turn<'_>) {
        let now_ms = turn.now.monotonic_ms;
        let before = self.pending.len() + self.members.len();
        self.pending.retain(|_, deadline| *deadline > now_ms);
        let mut gone = Vec::new();
        for member in self.members.values_mut() {
            if member.session_deadline_ms.is_some_and(|deadline| deadline <= now_ms) {
                member.session_deadline_ms = None;
                if !member.is_alive_by_waiting() {
                    gone.push(member.member_id.clone());
                }
            }
        }
        for member_id in gone {
            self.remove_member_answered(&member_id, turn);
        }
        if self.pending.len() + self.members.len() < before {
            self.on_members_gone(turn);
        }
    }

    fn next_deadline_ms(&self) -> Option<i64> {
        let sessions = self.members.values().filter_map(|member| member.session_deadline_ms);
        let pending = self.pending.values().copied();
        sessions.chain(pending).chain(self.join_deadline_ms).chain(self.sync_deadline_ms).min()
    }
}
