//! ConsumerGroupHeartbeat: joining, moving towards the target, leaving.

use std::collections::BTreeSet;
use std::sync::Arc;

use ringlog_core::protocol::ErrorCode;
use uuid::Uuid;

use super::assignor::{Assignor, MemberSpec};
use super::member::{Member, MemberState};
use super::{Assignment, ConsumerGroup, subscription};
use crate::coordinator::group::members::GROUP_BYTES_MAX;
use crate::coordinator::group::planted::{PlantedBug, is_planted};
use crate::coordinator::group::{ConsumerHeartbeat, ConsumerHeartbeatReply, GroupError, Turn};

const JOIN_EPOCH: i32 = 0;
const LEAVE_EPOCH: i32 = -1;
/// A static member goes for a while: its partitions stay its own until its session ends.
pub(super) const LEAVE_STATIC_EPOCH: i32 = -2;

fn refused<T>(error_code: ErrorCode, message: impl Into<String>) -> Result<T, GroupError> {
    Err(GroupError { error_code, message: message.into() })
}

impl ConsumerHeartbeat {
    /// Whether it opens a membership, so that the group may be made for it.
    pub fn is_join(&self) -> bool {
        self.member_epoch == JOIN_EPOCH
    }

    /// What can be said without the group. `is_known`: whether a member subscribes by this expression.
    pub fn check(&self, is_known: impl Fn(&str) -> bool) -> Result<(), GroupError> {
        let invalid = |message: &str| refused(ErrorCode::INVALID_REQUEST, message);
        let is_blank = |text: &Option<String>| text.as_ref().is_some_and(|text| text.trim().is_empty());
        if self.group_id.trim().is_empty() {
            return invalid("The group id must not be empty.");
        }
        if is_blank(&self.instance_id) || is_blank(&self.rack_id) {
            return invalid("Instance id and rack id must not be empty.");
        }
        let needs_member_id = self.knows_own_member_id || self.member_epoch != JOIN_EPOCH;
        if needs_member_id && self.member_id.is_empty() {
            return invalid("The member id must not be empty.");
        }
        match self.member_epoch {
            JOIN_EPOCH if self.rebalance_timeout_ms == -1 => {
                return invalid("The rebalance timeout must be given when a member joins.");
            }
            JOIN_EPOCH if self.owned.as_ref().is_none_or(|owned| !owned.is_empty()) => {
                return invalid("A member that joins must say that it has no partitions.");
            }
            JOIN_EPOCH if self.topic_names.is_none() && self.regex.is_none() => {
                return invalid("A member that joins must say what it subscribes to.");
            }
            LEAVE_STATIC_EPOCH if self.instance_id.is_none() => {
                return invalid("A static member that leaves must give its instance id.");
            }
            ..=-3 => return invalid("The member epoch is not valid."),
            _ => {}
        }
        if let Some(name) = &self.assignor
            && Assignor::from_name(name).is_none()
        {
            let message = format!("The assignor {name} is not there; uniform and range are.");
            return refused(ErrorCode::UNSUPPORTED_ASSIGNOR, message);
        }
        let is_valid = |expression: &str| {
            expression.is_empty() || is_known(expression) || subscription::compile(expression).is_some()
        };
        match self.regex.as_deref() {
            Some(expression) if !is_valid(expression) => {
                refused(ErrorCode::INVALID_REGULAR_EXPRESSION, format!("{expression} is not a regular expression."))
            }
            _ => Ok(()),
        }
    }
}

impl ConsumerGroup {
    /// Handles a heartbeat that has passed [`ConsumerHeartbeat::check`].
    pub fn heartbeat(
        &mut self,
        request: &ConsumerHeartbeat,
        turn: &mut Turn<'_>,
    ) -> Result<ConsumerHeartbeatReply, GroupError> {
        if matches!(request.member_epoch, LEAVE_EPOCH | LEAVE_STATIC_EPOCH) {
            return self.leave(request, turn);
        }
        let member_id = self.find_or_join(request, turn)?;
        let assigned_before = self.members[&member_id].assigned.clone();
        let is_changed = self.update_member(&member_id, request, turn).or_else(|error_code| {
            refused(error_code, "The members of the group have too long names, subscriptions or metadata.")
        })?;
        self.raise_group_epoch(is_changed, turn);
        self.update_target(turn);
        self.reconcile(&member_id, is_changed, request.owned.as_ref(), turn);
        let deadline = turn.wake_after(turn.consumer_times.session_timeout_ms);
        let member = self.members.get_mut(&member_id).expect("found above");
        member.session_deadline_ms = Some(deadline);
        let is_full = request.is_join()
            || request.rebalance_timeout_ms != -1
                && (request.topic_names.is_some() || request.regex.is_some())
                && request.owned.is_some();
        Ok(ConsumerHeartbeatReply {
            member_id: member_id.to_string(),
            member_epoch: member.member_epoch,
            heartbeat_interval_ms: turn.consumer_times.heartbeat_interval_ms,
            assignment: (is_full || member.assigned != assigned_before).then(|| member.assigned.clone()),
        })
    }

    /// The member, after its epoch was checked; a new one is made.
    fn find_or_join(&mut self, request: &ConsumerHeartbeat, turn: &mut Turn<'_>) -> Result<Arc<str>, GroupError> {
        let instance_id = request.instance_id.as_deref();
        let holder = instance_id.and_then(|instance_id| self.static_members.get(instance_id)).cloned();
        let is_known = self.members.contains_key(request.member_id.as_str());
        if request.is_join() && !is_known {
            if holder.is_none() && self.members.len() >= turn.settings.consumer_max_size {
                return refused(ErrorCode::GROUP_MAX_SIZE_REACHED, "The group is full.");
            }
            let member_id: Arc<str> = match request.member_id.as_str() {
                "" => request.random_id.hyphenated().to_string().into(),
                member_id => member_id.into(),
            };
            match holder {
                Some(holder) if !self.members[&holder].is_released() => {
                    return refused(ErrorCode::UNRELEASED_INSTANCE_ID, "The instance id is in use by another member.");
                }
                Some(holder) => self.replace_static_member(&holder, &member_id, turn),
                None => self.set_member(Member::new(Arc::clone(&member_id))),
            }
            return Ok(member_id);
        }
        if let Some(instance_id) = instance_id {
            match &holder {
                None => {
                    return refused(ErrorCode::UNKNOWN_MEMBER_ID, format!("Instance id {instance_id} is not known."));
                }
                Some(holder) if **holder != *request.member_id => {
                    return refused(ErrorCode::FENCED_INSTANCE_ID, "Another member has taken the instance id over.");
                }
                Some(_) => {}
            }
        }
        let Some(member) = self.members.get(request.member_id.as_str()) else {
            let message = format!("Member {} is not in the group.", request.member_id);
            return refused(ErrorCode::UNKNOWN_MEMBER_ID, message);
        };
        let is_subset = |owned: &Assignment| {
            owned.iter().all(|(topic_id, partitions)| {
                member.assigned.get(topic_id).is_some_and(|assigned| partitions.is_subset(assigned))
            })
        };
        let is_late =
            request.member_epoch == member.previous_member_epoch && request.owned.as_ref().is_some_and(is_subset);
        if request.is_join() || request.member_epoch == member.member_epoch || is_late {
            return Ok(Arc::clone(&member.member_id));
        }
        let message = format!("The member's epoch is {}, not {}.", member.member_epoch, request.member_epoch);
        refused(ErrorCode::FENCED_MEMBER_EPOCH, message)
    }

    /// Takes over what the member says about itself; whether it subscribes to something else now.
    fn update_member(
        &mut self,
        member_id: &str,
        request: &ConsumerHeartbeat,
        turn: &mut Turn<'_>,
    ) -> Result<bool, ErrorCode> {
        let before = &self.members[member_id];
        let mut member = before.clone();
        member.client_id.clone_from(&request.client_id);
        member.client_host.clone_from(&request.client_host);
        let take = |into: &mut Option<String>, value: &Option<String>| {
            if value.is_some() {
                into.clone_from(value);
            }
        };
        take(&mut member.instance_id, &request.instance_id);
        take(&mut member.rack_id, &request.rack_id);
        take(&mut member.assignor, &request.assignor);
        take(&mut member.regex, &request.regex);
        // An empty expression ends the subscription by expression.
        member.regex = member.regex.filter(|expression| !expression.is_empty());
        member.classic = None;
        if request.rebalance_timeout_ms >= 0 {
            member.rebalance_timeout_ms = request.rebalance_timeout_ms;
        }
        if let Some(names) = &request.topic_names {
            member.topic_names = names.iter().cloned().collect();
        }
        self.replace_member(member, turn)
    }

    /// Puts what a member says now in the place of what it said before; whether it subscribes to something else. What the
    /// group has no room for is refused, and a new member is out.
    pub(super) fn replace_member(&mut self, member: Member, turn: &mut Turn<'_>) -> Result<bool, ErrorCode> {
        let before = &self.members[&member.member_id];
        let is_new = before.rebalance_timeout_ms == -1;
        let is_changed = is_new || member.topic_names != before.topic_names || member.regex != before.regex;
        if is_new || member != *before {
            let (size_before, size) = (before.size_bytes(), member.size_bytes());
            if size > size_before && self.members_bytes - size_before + size > GROUP_BYTES_MAX {
                if is_new {
                    self.remove_member(&member.member_id);
                }
                return Err(ErrorCode::GROUP_MAX_SIZE_REACHED);
            }
            self.record_member(&member, turn);
            self.set_member(member);
        }
        Ok(is_changed)
    }

    /// Raises the group epoch when members, subscriptions or topics have changed.
    pub(super) fn raise_group_epoch(&mut self, is_changed: bool, turn: &mut Turn<'_>) {
        let version = turn.topics.version();
        if !is_changed && self.topics_version == Some(version) {
            return;
        }
        self.subscriptions.resolve(turn.topics, self.topics_version != Some(version));
        self.topics_version = Some(version);
        let metadata_hash = self.subscriptions.hash(turn.topics);
        if is_changed || metadata_hash != self.metadata_hash {
            self.set_epoch(self.group_epoch + 1, metadata_hash);
            self.record_epoch(turn);
        }
    }

    /// Whether the group has changed since its target was computed.
    fn is_target_stale(&self) -> bool {
        self.group_epoch > self.assignment_epoch
    }

    /// Whether a heartbeat would compute a new target now: the last one is old enough. A wall clock that went back
    /// keeps nobody waiting.
    pub(super) fn is_target_due(&self, turn: &Turn<'_>) -> bool {
        let age_ms = turn.now.wall_ms - self.assignment_timestamp_ms;
        let is_young = (0..i64::from(turn.assignment_interval_ms)).contains(&age_ms);
        self.is_target_stale() && (self.assignment_timestamp_ms == 0 || !is_young)
    }

    /// Computes the target of a new group epoch if that is due, and records what changes.
    pub(super) fn update_target(&mut self, turn: &mut Turn<'_>) {
        if !self.is_target_due(turn) {
            return;
        }
        let of_member = |member: &Member| self.subscriptions.of_member(member, turn.topics);
        let subscriptions: Vec<BTreeSet<Uuid>> = self.members.values().map(of_member).collect();
        let members: Vec<MemberSpec<'_>> = self
            .members
            .values()
            .zip(&subscriptions)
            .map(|(member, subscribed)| MemberSpec {
                member_id: &member.member_id,
                instance_id: member.instance_id.as_deref(),
                subscribed,
                current: self.target.get(&member.member_id),
            })
            .collect();
        let partitions_count = |topic_id| turn.topics.partitions_count(topic_id).unwrap_or(0);
        let assignments = self.preferred_assignor().assign(&members, &partitions_count);
        let member_ids: Vec<Arc<str>> = self.members.keys().cloned().collect();
        for (member_id, assignment) in member_ids.into_iter().zip(assignments) {
            if self.target.get(&member_id) != Some(&assignment) {
                self.record_target(&member_id, Some(&assignment), turn);
                self.set_target(member_id, assignment);
            }
        }
        (self.assignment_epoch, self.assignment_timestamp_ms) = (self.group_epoch, turn.now.wall_ms);
        self.record_assignment_epoch(turn);
    }

    /// What most members ask for.
    pub(super) fn preferred_assignor(&self) -> Assignor {
        let named = |assignor: Assignor| {
            let names = self.members.values().filter_map(|member| member.assignor.as_deref());
            names.filter(|name| Assignor::from_name(name) == Some(assignor)).count()
        };
        if named(Assignor::Range) > named(Assignor::Uniform) { Assignor::Range } else { Assignor::Uniform }
    }

    /// Moves a member a step towards its target; `is_changed`: it subscribes to something else now.
    pub(super) fn reconcile(
        &mut self,
        member_id: &str,
        is_changed: bool,
        owned: Option<&Assignment>,
        turn: &mut Turn<'_>,
    ) {
        let before = &self.members[member_id];
        let nothing = Assignment::new();
        let mut target = self.target.get(member_id).unwrap_or(&nothing);
        let still_subscribed: Assignment;
        if self.is_target_stale() {
            // The target was computed for what the member subscribed to before.
            let is_read = self.subscriptions.filter_of(before, turn.topics);
            let topics = target.iter().filter(|(topic_id, _)| is_read(topic_id));
            still_subscribed = topics.map(|(topic_id, partitions)| (*topic_id, partitions.clone())).collect();
            target = &still_subscribed;
        }
        let is_free = |topic_id, partition| {
            !self.owners.contains_key(&(topic_id, partition)) || is_planted(PlantedBug::GivenBeforeRevoked)
        };
        let mut member = before.reconciled(self.assignment_epoch, is_changed, target, owned, is_free);
        if member == *before {
            return;
        }
        member.rebalance_deadline_ms = match member.state {
            MemberState::UnrevokedPartitions => Some(turn.wake_after(member.rebalance_timeout_ms)),
            MemberState::Stable | MemberState::UnreleasedPartitions => None,
        };
        if !is_planted(PlantedBug::AssignmentNotRecorded) {
            self.record_current(&member, turn);
        }
        self.set_member(member);
    }

    pub(super) fn replace_static_member(&mut self, holder: &str, member_id: &Arc<str>, turn: &mut Turn<'_>) {
        let mut member = self.members[holder].clone();
        let target = self.target.get(holder).cloned().unwrap_or_default();
        self.record_removal(holder, turn);
        self.remove_member(holder);
        member.member_id = Arc::clone(member_id);
        (member.member_epoch, member.previous_member_epoch) = (0, 0);
        self.record_member(&member, turn);
        self.record_target(member_id, Some(&target), turn);
        self.record_current(&member, turn);
        self.set_target(Arc::clone(member_id), target);
        self.set_member(member);
    }

    fn leave(
        &mut self,
        request: &ConsumerHeartbeat,
        turn: &mut Turn<'_>,
    ) -> Result<ConsumerHeartbeatReply, GroupError> {
        let member_id = request.member_id.as_str();
        let holder = request.instance_id.as_deref().map(|instance_id| self.static_members.get(instance_id));
        match holder {
            Some(Some(holder)) if **holder != *member_id => {
                return refused(ErrorCode::FENCED_INSTANCE_ID, "Another member has taken the instance id over.");
            }
            Some(Some(_)) => {}
            Some(None) => return refused(ErrorCode::UNKNOWN_MEMBER_ID, "The instance id is not known."),
            None if self.members.contains_key(member_id) => {}
            None => {
                let message = format!("Member {member_id} is not in the group.");
                return refused(ErrorCode::UNKNOWN_MEMBER_ID, message);
            }
        }
        if request.member_epoch == LEAVE_STATIC_EPOCH {
            let mut member = self.members[member_id].clone();
            member.member_epoch = LEAVE_STATIC_EPOCH;
            member.revoking = Assignment::new();
            member.rebalance_deadline_ms = None;
            self.record_current(&member, turn);
            self.set_member(member);
        } else {
            self.fence(member_id, turn);
        }
        Ok(ConsumerHeartbeatReply {
            member_id: member_id.to_owned(),
            member_epoch: request.member_epoch,
            heartbeat_interval_ms: 0,
            assignment: None,
        })
    }

    /// Removes a member; the others are assigned anew with their next heartbeat.
    pub(super) fn fence(&mut self, member_id: &str, turn: &mut Turn<'_>) {
        self.record_removal(member_id, turn);
        self.remove_member(member_id);
        self.raise_group_epoch(true, turn);
    }
}
