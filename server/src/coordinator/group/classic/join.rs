//! JoinGroup: who may join, as what, and whether that begins a new generation.

use std::sync::Arc;

use ringlog_core::protocol::ErrorCode;

use super::member::Member;
use super::{ClassicGroup, PENDING_MEMBERS_MAX, State};
use crate::coordinator::group::members::GROUP_BYTES_MAX;
use crate::coordinator::group::{GroupReply, JoinGroup, JoinReply, Protocol, Token, Turn};

/// A new member whose client does not ask again within this time is removed, since it cannot send heartbeats yet.
const NEW_MEMBER_TIMEOUT_MS: i32 = 5 * 60 * 1000;
/// Characters of the client id that begin a member id.
const CLIENT_ID_CHARS_MAX: usize = 255;

impl ClassicGroup {
    /// Answers now, or when the join phase ends.
    pub fn join(&mut self, request: JoinGroup, token: Token, turn: &mut Turn<'_>) {
        let is_new = request.member_id.is_empty();
        let joined = if !self.has_room_for(&request.member_id, turn.settings.max_size) {
            self.remove_member_answered(&request.member_id, turn);
            Err((String::new(), ErrorCode::GROUP_MAX_SIZE_REACHED))
        } else if !self.supports(&request.protocol_type, &request.protocols) {
            Err((request.member_id, ErrorCode::INCONSISTENT_GROUP_PROTOCOL))
        } else if !self.has_bytes_for(&request) {
            Err((request.member_id, ErrorCode::GROUP_MAX_SIZE_REACHED))
        } else if is_new {
            self.join_new(request, token, turn)
        } else {
            self.join_existing(request, token, turn)
        };
        if let Err((member_id, error_code)) = joined {
            turn.reply(token, GroupReply::Join(JoinReply::refusal(&member_id, error_code)));
        }
    }

    /// While a group rebalances, those that have joined count: it may have shrunk, or its bound may have.
    fn has_room_for(&self, member_id: &str, max_size: usize) -> bool {
        let member = self.members.get(member_id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                member.is_some_and(|member| member.awaiting_join.is_some()) || self.joining < max_size
            }
            State::CompletingRebalance | State::Stable => member.is_some() || self.members.len() < max_size,
        }
    }

    /// What a member says takes the place of what it, or its earlier self, said before.
    fn has_bytes_for(&self, request: &JoinGroup) -> bool {
        let size_bytes = |protocols: &[Protocol]| protocols.iter().map(Protocol::size_bytes).sum::<usize>();
        let instance_id = request.group_instance_id.as_deref().filter(|_| request.member_id.is_empty());
        let holder = instance_id.and_then(|instance_id| self.static_members.get(instance_id));
        let replaced = self.members.get(holder.map_or(request.member_id.as_str(), |holder| holder));
        let removed = replaced.map_or(0, |member| size_bytes(&member.protocols));
        self.metadata_bytes - removed + size_bytes(&request.protocols) <= GROUP_BYTES_MAX
    }

    fn join_new(&mut self, request: JoinGroup, token: Token, turn: &mut Turn<'_>) -> Result<(), (String, ErrorCode)> {
        let named_by = request.group_instance_id.as_deref().unwrap_or(&request.client_id);
        let name: String = named_by.chars().take(CLIENT_ID_CHARS_MAX).collect();
        let member_id: Arc<str> = format!("{name}-{}", request.random_id.hyphenated()).into();
        let instance_id = request.group_instance_id.as_deref();
        if let Some(holder) = instance_id.and_then(|instance_id| self.static_members.get(instance_id)).cloned() {
            self.replace_static_member(&holder, member_id, request, token, turn);
        } else if instance_id.is_some() || !request.requires_known_member_id {
            self.add_member(member_id, request, token, turn);
        } else if self.pending.len() >= PENDING_MEMBERS_MAX {
            return Err((String::new(), ErrorCode::COORDINATOR_NOT_AVAILABLE));
        } else {
            let deadline = turn.wake_after(request.session_timeout_ms);
            self.pending.insert(Arc::clone(&member_id), deadline);
            return Err((member_id.to_string(), ErrorCode::MEMBER_ID_REQUIRED));
        }
        Ok(())
    }

    fn join_existing(
        &mut self,
        request: JoinGroup,
        token: Token,
        turn: &mut Turn<'_>,
    ) -> Result<(), (String, ErrorCode)> {
        if let Some((member_id, _)) = self.pending.remove_entry(request.member_id.as_str()) {
            self.add_member(member_id, request, token, turn);
            return Ok(());
        }
        let refused = |error_code| (request.member_id.clone(), error_code);
        self.check_member(&request.member_id, request.group_instance_id.as_deref()).map_err(refused)?;
        let member =
            self.members.get(request.member_id.as_str()).ok_or_else(|| refused(ErrorCode::UNKNOWN_MEMBER_ID))?;
        let is_unchanged = member.protocols == request.protocols;
        match self.state {
            State::Empty => return Err(refused(ErrorCode::UNKNOWN_MEMBER_ID)),
            // It did not get the answer to its join, or it follows and nothing has changed.
            State::CompletingRebalance if is_unchanged => self.answer_current(&request.member_id, token, turn),
            State::Stable if is_unchanged && !self.is_leader(&request.member_id) => {
                self.answer_current(&request.member_id, token, turn);
            }
            State::PreparingRebalance | State::CompletingRebalance | State::Stable => {
                let member_id = Arc::clone(&member.member_id);
                self.update_member(&member_id, request, token, turn);
                self.rebalance_or_complete_join(turn);
            }
        }
        Ok(())
    }

    fn answer_current(&mut self, member_id: &str, token: Token, turn: &mut Turn<'_>) {
        self.renew_session(member_id, turn);
        turn.reply(token, GroupReply::Join(self.join_reply(member_id)));
    }

    fn add_member(&mut self, member_id: Arc<str>, request: JoinGroup, token: Token, turn: &mut Turn<'_>) {
        self.has_new_member |= self.state == State::PreparingRebalance && self.is_initial_rebalance;
        let mut member = Member::new(member_id, request, token);
        member.session_deadline_ms = Some(turn.wake_after(NEW_MEMBER_TIMEOUT_MS));
        self.insert_member(member);
        self.rebalance_or_complete_join(turn);
    }

    /// Takes over what a known member says in its new join, and keeps it waiting.
    fn update_member(&mut self, member_id: &str, request: JoinGroup, token: Token, turn: &mut Turn<'_>) {
        self.set_protocols(member_id, request.protocols);
        let member = self.members.get_mut(member_id).expect("looked up by the caller");
        member.session_timeout_ms = request.session_timeout_ms;
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        match member.awaiting_join.replace(token) {
            None => self.joining += 1,
            Some(older) => {
                let refusal = JoinReply::refusal(member_id, ErrorCode::REBALANCE_IN_PROGRESS);
                turn.reply(older, GroupReply::Join(refusal));
            }
        }
    }

    fn set_protocols(&mut self, member_id: &str, protocols: Vec<Protocol>) {
        self.count_protocols(&protocols, true);
        let member = self.members.get_mut(member_id).expect("looked up by the caller");
        let before = std::mem::replace(&mut member.protocols, protocols);
        self.count_protocols(&before, false);
    }

    /// A static member is there again: it takes over place and assignment of its earlier self, which is fenced.
    fn replace_static_member(
        &mut self,
        holder: &str,
        member_id: Arc<str>,
        request: JoinGroup,
        token: Token,
        turn: &mut Turn<'_>,
    ) {
        let leader_before = self.leader_id();
        let was_leader = self.is_leader(holder);
        self.answer_join(holder, JoinReply::refusal(holder, ErrorCode::FENCED_INSTANCE_ID), turn);
        self.answer_sync(holder, Err(ErrorCode::FENCED_INSTANCE_ID), turn);
        let mut member = self.remove_member(holder).expect("static members are members");
        member.member_id = Arc::clone(&member_id);
        member.client_id.clone_from(&request.client_id);
        member.client_host.clone_from(&request.client_host);
        member.is_new = false;
        self.insert_member(member);
        if was_leader {
            self.leader = Some(Arc::clone(&member_id));
        }
        let knows_skip_assignment = request.knows_skip_assignment;
        self.update_member(&member_id, request, token, turn);
        self.renew_session(&member_id, turn);
        match self.state {
            State::Stable if self.select_protocol() == self.protocol_name => {
                self.record(turn);
                let is_leader = self.is_leader(&member_id);
                let mut reply = self.join_reply(&member_id);
                if knows_skip_assignment {
                    reply.skip_assignment = is_leader;
                } else {
                    // It must not assign: the group goes on as it is.
                    (reply.leader, reply.members) = (leader_before, Vec::new());
                }
                self.answer_join(&member_id, reply, turn);
            }
            State::Stable => self.rebalance_or_complete_join(turn),
            // The leader may have the earlier id in hand.
            State::CompletingRebalance => self.prepare_rebalance(turn),
            State::PreparingRebalance | State::Empty => self.complete_join_if_ready(turn),
        }
    }

    /// What a member of the current generation is told.
    pub(super) fn join_reply(&self, member_id: &str) -> JoinReply {
        let protocol_name = self.protocol_name.as_deref();
        let members = if self.is_leader(member_id) {
            self.members.values().map(|member| member.joined(protocol_name)).collect()
        } else {
            Vec::new()
        };
        JoinReply {
            error_code: ErrorCode::NONE,
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader_id(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members,
        }
    }

    /// Answers a member's join, if it waits for one.
    pub(super) fn answer_join(&mut self, member_id: &str, reply: JoinReply, turn: &mut Turn<'_>) {
        let Some(token) = self.members.get_mut(member_id).and_then(|member| member.awaiting_join.take()) else {
            return;
        };
        self.joining -= 1;
        turn.reply(token, GroupReply::Join(reply));
    }
}
