//! The state machine of one partition of `__consumer_offsets`: its groups, their offsets, and the time that passes.
//!
//! Invariants:
//! - Live order is replay order: each record is in the state before the next request is looked at.
//! - A group that replay would not bring back (no generation, no offset, nobody on the way) is forgotten at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use ahash::AHashMap;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::consumer_offsets::CoordinatorRecord;

use super::classic::{ClassicGroup, State};
use super::offsets::Offsets;
use super::{
    CommitOffsets, DeleteOffsets, FetchOffsets, GroupDescription, GroupListing, GroupReply, GroupRequest, JoinGroup,
    JoinReply, ListGroups, Now, Output, PartitionOffset, Token, TopicOffsets, Turn,
};
use crate::config::GroupSettings;

/// Groups of one coordinator; more are refused.
const GROUPS_MAX: usize = 1_000_000;

/// The groups of one partition.
#[derive(Debug)]
pub struct Coordinator {
    settings: Arc<GroupSettings>,
    groups: AHashMap<Arc<str>, Group>,
    /// When to look at which group; an entry that is not the group's `wake_at_ms` is stale.
    wakes: BinaryHeap<Reverse<(i64, Arc<str>)>>,
    /// When offsets are looked through for what has expired.
    expiry_at_ms: Option<i64>,
    /// Records replayed or written.
    position: u64,
}

#[derive(Debug)]
struct Group {
    classic: ClassicGroup,
    offsets: Offsets,
    wake_at_ms: Option<i64>,
}

impl Group {
    fn new(group_id: Arc<str>) -> Self {
        Self { classic: ClassicGroup::new(group_id), offsets: Offsets::default(), wake_at_ms: None }
    }
}

impl Coordinator {
    /// Without groups.
    pub fn new(settings: Arc<GroupSettings>) -> Self {
        Self { settings, groups: AHashMap::new(), wakes: BinaryHeap::new(), expiry_at_ms: None, position: 0 }
    }

    /// Replays a record of the log; `producer_id` is that of its batch if it is of a transaction, else -1.
    pub fn replay(&mut self, record: &CoordinatorRecord<'_>, producer_id: i64) {
        self.position += 1;
        match record {
            CoordinatorRecord::OffsetCommit(key, Some(value)) => {
                let position = self.position;
                self.group_or_new(key.group).offsets.replay(key, value, producer_id, position);
            }
            CoordinatorRecord::OffsetCommit(key, None) => {
                if let Some(group) = self.groups.get_mut(key.group) {
                    group.offsets.replay_tombstone(key);
                    self.forget_if_vacant(key.group);
                }
            }
            CoordinatorRecord::GroupMetadata(key, Some(value)) => {
                let group = self.group_or_new(key.group);
                group.classic = ClassicGroup::from_record(Arc::from(key.group), value);
            }
            CoordinatorRecord::GroupMetadata(key, None) => {
                if let Some(group) = self.groups.get_mut(key.group) {
                    group.classic = ClassicGroup::new(Arc::from(key.group));
                    self.forget_if_vacant(key.group);
                }
            }
            CoordinatorRecord::ConsumerGroupMetadata(..)
            | CoordinatorRecord::ConsumerGroupPartitionMetadata(..)
            | CoordinatorRecord::ConsumerGroupMemberMetadata(..)
            | CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(..)
            | CoordinatorRecord::ConsumerGroupTargetAssignmentMember(..)
            | CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(..)
            | CoordinatorRecord::ConsumerGroupRegularExpression(..) => {}
        }
    }

    /// Replays the marker that ends a transaction.
    pub fn replay_marker(&mut self, producer_id: i64, is_commit: bool) {
        self.position += 1;
        for group in self.groups.values_mut() {
            group.offsets.replay_marker(producer_id, is_commit);
        }
        self.groups.retain(|_, group| !(group.classic.is_vacant() && group.offsets.is_empty()));
    }

    /// The log is replayed: members get a session each, time begins to count.
    pub fn on_loaded(&mut self, now: Now, output: &mut Output) {
        self.expiry_at_ms = Some(now.monotonic_ms + self.settings.offsets_retention_check_interval_ms);
        for group_id in self.groups.keys().cloned().collect::<Vec<_>>() {
            self.with_group(&group_id, now, output, |group, turn| group.classic.on_loaded(turn));
        }
    }

    /// Handles a request; it is answered in `output`, at once or by a later call.
    pub fn handle(&mut self, request: GroupRequest, token: Token, now: Now, output: &mut Output) {
        let reply = match request {
            GroupRequest::Join(request) => return self.join(request, token, now, output),
            GroupRequest::Sync(request) => {
                let group_id = request.group_id.clone();
                let found =
                    self.with_group(&group_id, now, output, |group, turn| group.classic.sync(request, token, turn));
                match found {
                    Some(()) => return,
                    None => GroupReply::Sync(Err(ErrorCode::UNKNOWN_MEMBER_ID)),
                }
            }
            GroupRequest::Heartbeat(request) => {
                let heartbeat = |group: &mut Group, turn: &mut Turn<'_>| group.classic.heartbeat(&request, turn);
                let code = self.with_group(&request.group_id, now, output, heartbeat);
                GroupReply::Heartbeat(code.unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID))
            }
            GroupRequest::Leave(request) => {
                let leave = |group: &mut Group, turn: &mut Turn<'_>| group.classic.leave(&request, turn);
                let codes = self.with_group(&request.group_id, now, output, leave);
                GroupReply::Leave(codes.ok_or(ErrorCode::UNKNOWN_MEMBER_ID))
            }
            GroupRequest::CommitOffsets(request) => {
                GroupReply::CommitOffsets(self.commit_offsets(&request, now, output))
            }
            GroupRequest::FetchOffsets(request) => GroupReply::FetchOffsets(Ok(self.fetch_offsets(&request))),
            GroupRequest::DeleteOffsets(request) => {
                GroupReply::DeleteOffsets(self.delete_offsets(&request, now, output))
            }
            GroupRequest::Describe(group_id) => GroupReply::Describe(self.describe(&group_id)),
            GroupRequest::List(request) => GroupReply::List(Ok(self.list(&request))),
            GroupRequest::Delete(group_id) => GroupReply::Delete(self.delete(&group_id, now, output)),
        };
        output.replies.push((token, reply));
    }

    /// When [`on_time`](Self::on_time) wants to be called, on the monotonic clock.
    pub fn wake_at_ms(&self) -> Option<i64> {
        let group = self.wakes.peek().map(|Reverse((at, _))| *at);
        group.into_iter().chain(self.expiry_at_ms).min()
    }

    /// Does what is due.
    pub fn on_time(&mut self, now: Now, output: &mut Output) {
        while let Some(Reverse((at, _))) = self.wakes.peek()
            && *at <= now.monotonic_ms
        {
            let Some(Reverse((at, group_id))) = self.wakes.pop() else { break };
            match self.groups.get_mut(&group_id) {
                Some(group) if group.wake_at_ms == Some(at) => group.wake_at_ms = None,
                _ => continue,
            }
            self.with_group(&group_id, now, output, |group, turn| group.classic.on_time(turn));
        }
        if self.expiry_at_ms.is_some_and(|at| at <= now.monotonic_ms) {
            self.expiry_at_ms = Some(now.monotonic_ms + self.settings.offsets_retention_check_interval_ms);
            self.expire_offsets(now, output);
        }
    }

    fn join(&mut self, request: JoinGroup, token: Token, now: Now, output: &mut Output) {
        let settings = Arc::clone(&self.settings);
        let timeouts = settings.min_session_timeout_ms..=settings.max_session_timeout_ms;
        let is_known = self.groups.contains_key(request.group_id.as_str());
        let refused = if request.group_id.is_empty() {
            Some(ErrorCode::INVALID_GROUP_ID)
        } else if !timeouts.contains(&request.session_timeout_ms) {
            Some(ErrorCode::INVALID_SESSION_TIMEOUT)
        } else if !is_known && !request.member_id.is_empty() {
            Some(ErrorCode::UNKNOWN_MEMBER_ID)
        } else if !is_known && self.groups.len() >= GROUPS_MAX {
            Some(ErrorCode::GROUP_MAX_SIZE_REACHED)
        } else {
            None
        };
        if let Some(error_code) = refused {
            let reply = JoinReply::refusal(&request.member_id, error_code);
            return output.replies.push((token, GroupReply::Join(reply)));
        }
        let group_id = request.group_id.clone();
        self.group_or_new(&group_id);
        self.with_group(&group_id, now, output, |group, turn| group.classic.join(request, token, turn));
    }

    fn commit_offsets(
        &mut self,
        request: &CommitOffsets,
        now: Now,
        output: &mut Output,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        if !self.groups.contains_key(request.group_id.as_str()) {
            if request.generation_id >= 0 {
                let is_new = request.knows_group_id_not_found;
                return Err(if is_new { ErrorCode::GROUP_ID_NOT_FOUND } else { ErrorCode::ILLEGAL_GENERATION });
            }
            if self.groups.len() >= GROUPS_MAX {
                return Err(ErrorCode::INVALID_COMMIT_OFFSET_SIZE);
            }
            self.group_or_new(&request.group_id);
        }
        let mut position = self.position;
        let commit = |group: &mut Group, turn: &mut Turn<'_>| {
            group.classic.check_commit(request, turn)?;
            Ok(group.offsets.commit(request, &mut position, turn))
        };
        let codes = self.with_group(&request.group_id, now, output, commit);
        self.position = position;
        codes.expect("it is there, or was made above")
    }

    fn fetch_offsets(&self, request: &FetchOffsets) -> Vec<TopicOffsets> {
        let offsets = self.groups.get(request.group_id.as_str()).map(|group| &group.offsets);
        let fetch = |topic: &str, partition_index: i32| {
            let unstable =
                request.require_stable && offsets.is_some_and(|found| found.is_pending(topic, partition_index));
            PartitionOffset::new(
                partition_index,
                offsets.filter(|_| !unstable).and_then(|found| found.committed(topic, partition_index)),
                if unstable { ErrorCode::UNSTABLE_OFFSET_COMMIT } else { ErrorCode::NONE },
            )
        };
        match &request.topics {
            Some(topics) => topics
                .iter()
                .map(|(topic, partitions)| TopicOffsets {
                    topic_name: topic.clone(),
                    partitions: partitions.iter().map(|partition| fetch(topic, *partition)).collect(),
                })
                .collect(),
            None => offsets
                .into_iter()
                .flat_map(Offsets::topics)
                .map(|(topic, partitions)| TopicOffsets {
                    topic_name: topic.to_string(),
                    partitions: partitions.keys().map(|partition| fetch(topic, *partition)).collect(),
                })
                .collect(),
        }
    }

    fn delete_offsets(
        &mut self,
        request: &DeleteOffsets,
        now: Now,
        output: &mut Output,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let delete = |group: &mut Group, turn: &mut Turn<'_>| {
            if group.classic.state() != State::Empty && !group.classic.is_consumer_protocol() {
                return Err(ErrorCode::NON_EMPTY_GROUP);
            }
            let mut codes = Vec::new();
            for (topic, partitions) in &request.topics {
                let is_subscribed = group.classic.is_subscribed_to(topic);
                for partition in partitions {
                    if is_subscribed {
                        codes.push(ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
                        continue;
                    }
                    group.offsets.delete(&request.group_id, topic, *partition, turn);
                    codes.push(ErrorCode::NONE);
                }
            }
            Ok(codes)
        };
        self.with_group(&request.group_id, now, output, delete).unwrap_or(Err(ErrorCode::GROUP_ID_NOT_FOUND))
    }

    fn describe(&self, group_id: &str) -> Result<GroupDescription, ErrorCode> {
        let group = self.groups.get(group_id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
        Ok(group.classic.description())
    }

    fn list(&self, request: &ListGroups) -> Vec<GroupListing> {
        let is_asked = |asked: &[String], value: &str| {
            asked.is_empty() || asked.iter().any(|asked| asked.eq_ignore_ascii_case(value))
        };
        let listings = self.groups.values().map(|group| group.classic.listing());
        listings
            .filter(|listing| is_asked(&request.states, listing.state) && is_asked(&request.types, listing.group_type))
            .collect()
    }

    fn delete(&mut self, group_id: &str, now: Now, output: &mut Output) -> ErrorCode {
        let delete = |group: &mut Group, turn: &mut Turn<'_>| {
            if group.classic.state() != State::Empty {
                return ErrorCode::NON_EMPTY_GROUP;
            }
            for (topic, partition) in group.offsets.partitions() {
                group.offsets.delete(group_id, &topic, partition, turn);
            }
            turn.record(&ClassicGroup::tombstone(group_id));
            group.classic = ClassicGroup::new(Arc::from(group_id));
            ErrorCode::NONE
        };
        self.with_group(group_id, now, output, delete).unwrap_or(ErrorCode::GROUP_ID_NOT_FOUND)
    }

    /// Removes offsets past their retention, and empty groups that have none left.
    fn expire_offsets(&mut self, now: Now, output: &mut Output) {
        let retention_ms = self.settings.offsets_retention_ms;
        for group_id in self.groups.keys().cloned().collect::<Vec<_>>() {
            self.with_group(&group_id, now, output, |group, turn| {
                let Group { classic, offsets, .. } = group;
                offsets.expire(&group_id, retention_ms, classic, turn);
                if offsets.is_empty() && classic.state() == State::Empty && classic.has_generation() {
                    turn.record(&ClassicGroup::tombstone(&group_id));
                    *classic = ClassicGroup::new(Arc::clone(&group_id));
                }
            });
        }
    }

    fn group_or_new(&mut self, group_id: &str) -> &mut Group {
        if !self.groups.contains_key(group_id) {
            let group_id: Arc<str> = group_id.into();
            self.groups.insert(Arc::clone(&group_id), Group::new(group_id));
        }
        self.groups.get_mut(group_id).expect("inserted above")
    }

    fn forget_if_vacant(&mut self, group_id: &str) {
        let is_vacant = |group: &Group| group.classic.is_vacant() && group.offsets.is_empty();
        if self.groups.get(group_id).is_some_and(is_vacant) {
            self.groups.remove(group_id);
        }
    }

    /// One step of a group that is there: afterwards it is woken when it wants to be, or forgotten.
    fn with_group<T>(
        &mut self,
        group_id: &str,
        now: Now,
        output: &mut Output,
        step: impl FnOnce(&mut Group, &mut Turn<'_>) -> T,
    ) -> Option<T> {
        let (key, _) = self.groups.get_key_value(group_id)?;
        let key = Arc::clone(key);
        let group = self.groups.get_mut(group_id)?;
        let mut turn = Turn::new(now, &self.settings, output);
        let result = step(group, &mut turn);
        if let Some(at) = turn.wake_at_ms
            && group.wake_at_ms.is_none_or(|queued| at < queued)
        {
            group.wake_at_ms = Some(at);
            self.wakes.push(Reverse((at, key)));
        }
        self.forget_if_vacant(group_id);
        Some(result)
    }
}
