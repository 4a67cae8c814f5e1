//! The state machine of one partition of `__consumer_offsets`: its groups, their offsets, and the time that passes.
//!
//! Invariants:
//! - Live order is replay order: each record is in the state before the next request is looked at.
//! - A group that replay would not bring back (no generation, no offset, nobody on the way) is forgotten at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use ahash::AHashMap;
use ringlog_core::protocol::ErrorCode;
use uuid::Uuid;

use super::members::{Group, Members};
use super::offsets::Offsets;
use super::{
    CommitOffsets, ConsumerGroupDescription, ConsumerHeartbeat, ConsumerHeartbeatReply, DeleteOffsets, FetchOffsets,
    FetchTopic, GroupDescription, GroupError, GroupListing, GroupReply, GroupRequest, JoinGroup, JoinReply, ListGroups,
    Now, Output, PartitionOffset, Token, TopicOffsets, Topics, Turn,
};
use crate::config::{DynamicConfigs, GroupSettings};
use crate::meters::CommittedSnapshot;

/// Configs by group id.
pub type GroupConfigs = BTreeMap<String, DynamicConfigs>;

/// Groups of one coordinator; more are refused.
const GROUPS_MAX: usize = 1_000_000;

/// What surrounds a step: the time, the topics, and the configs of groups.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// When it happens.
    pub now: Now,
    /// The topics that there are.
    pub topics: &'a dyn Topics,
    /// What is set for groups.
    pub configs: &'a GroupConfigs,
    /// `group.consumer.assignment.interval.ms` as it is set now.
    pub assignment_interval_ms: i32,
}

/// The groups of one partition.
#[derive(Debug)]
pub struct Coordinator {
    settings: Arc<GroupSettings>,
    pub(super) groups: AHashMap<Arc<str>, Group>,
    /// When to look at which group; an entry that is not the group's `wake_at_ms` is stale.
    wakes: BinaryHeap<Reverse<(i64, Arc<str>)>>,
    /// When offsets are looked through for what has expired.
    expiry_at_ms: Option<i64>,
    /// Records replayed or written.
    pub(super) position: u64,
}

impl Coordinator {
    /// Without groups.
    pub fn new(settings: Arc<GroupSettings>) -> Self {
        Self { settings, groups: AHashMap::new(), wakes: BinaryHeap::new(), expiry_at_ms: None, position: 0 }
    }

    /// The committed offsets of all groups, in no order.
    pub fn committed(&self) -> impl Iterator<Item = CommittedSnapshot> {
        let of_topic = |group_id: &Arc<str>, topic: &Arc<str>, partition_index: i32, offset: i64| CommittedSnapshot {
            group_id: Arc::clone(group_id),
            topic: Arc::clone(topic),
            partition_index,
            offset,
        };
        self.groups.iter().flat_map(move |(group_id, group)| {
            group.offsets.topics().flat_map(move |(topic, partitions)| {
                partitions.iter().map(move |(index, committed)| of_topic(group_id, topic, *index, committed.offset))
            })
        })
    }

    /// The log is replayed: members get a session each, time begins to count.
    pub fn on_loaded(&mut self, at: Scene<'_>, output: &mut Output) {
        self.expiry_at_ms = Some(at.now.monotonic_ms + self.settings.offsets_retention_check_interval_ms);
        for group_id in self.group_ids(|_| true) {
            self.with_group(&group_id, at, output, |group, turn| group.on_loaded(turn));
        }
    }

    /// Handles a request; it is answered in `output`, at once or by a later call.
    pub fn handle(&mut self, request: GroupRequest, token: Token, at: Scene<'_>, output: &mut Output) {
        if request.lacks_group_id() {
            return output.replies.push((token, GroupReply::Unavailable(ErrorCode::INVALID_GROUP_ID)));
        }
        let reply = match request {
            GroupRequest::Join(request) => return self.join(request, token, at, output),
            GroupRequest::Sync(request) => {
                let group_id = request.group_id.clone();
                let sync = |group: &mut Group, turn: &mut Turn<'_>| group.sync(request, token, turn);
                match self.with_group(&group_id, at, output, sync) {
                    Some(()) => return,
                    None => GroupReply::Sync(Err(ErrorCode::UNKNOWN_MEMBER_ID)),
                }
            }
            GroupRequest::Heartbeat(request) => {
                let heartbeat = |group: &mut Group, turn: &mut Turn<'_>| group.heartbeat(&request, turn);
                let code = self.with_group(&request.group_id, at, output, heartbeat);
                GroupReply::Heartbeat(code.unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID))
            }
            GroupRequest::Leave(request) => {
                let leave = |group: &mut Group, turn: &mut Turn<'_>| group.leave(&request, turn);
                let codes = self.with_group(&request.group_id, at, output, leave);
                GroupReply::Leave(codes.ok_or(ErrorCode::UNKNOWN_MEMBER_ID))
            }
            GroupRequest::CommitOffsets(request) => {
                GroupReply::CommitOffsets(self.commit_offsets(&request, at, output))
            }
            GroupRequest::FetchOffsets(request) => GroupReply::FetchOffsets(self.fetch_offsets(&request)),
            GroupRequest::DeleteOffsets(request) => {
                GroupReply::DeleteOffsets(self.delete_offsets(&request, at, output))
            }
            GroupRequest::Describe(group_id) => GroupReply::Describe(self.describe(&group_id)),
            GroupRequest::List(request) => GroupReply::List(Ok(self.list(&request))),
            GroupRequest::ConsumerHeartbeat(request) => {
                GroupReply::ConsumerHeartbeat(self.consumer_heartbeat(&request, at, output))
            }
            GroupRequest::ConsumerDescribe(group_id) => {
                GroupReply::ConsumerDescribe(self.describe_consumer(&group_id, at.topics))
            }
            GroupRequest::Delete(group_id) => GroupReply::Delete(self.delete(&group_id, at, output)),
        };
        output.replies.push((token, reply));
    }

    /// When [`on_time`](Self::on_time) wants to be called, on the monotonic clock.
    pub fn wake_at_ms(&self) -> Option<i64> {
        let group = self.wakes.peek().map(|Reverse((at, _))| *at);
        group.into_iter().chain(self.expiry_at_ms).min()
    }

    /// Does what is due.
    pub fn on_time(&mut self, at: Scene<'_>, output: &mut Output) {
        while let Some(Reverse((due, _))) = self.wakes.peek()
            && *due <= at.now.monotonic_ms
        {
            let Some(Reverse((due, group_id))) = self.wakes.pop() else { break };
            match self.groups.get_mut(&group_id) {
                Some(group) if group.wake_at_ms == Some(due) => group.wake_at_ms = None,
                _ => continue,
            }
            self.with_group(&group_id, at, output, |group, turn| group.on_time(turn));
        }
        if self.expiry_at_ms.is_some_and(|due| due <= at.now.monotonic_ms) {
            self.expiry_at_ms = Some(at.now.monotonic_ms + self.settings.offsets_retention_check_interval_ms);
            self.expire_offsets(at, output);
        }
    }

    /// Topics are gone: so are the offsets that were committed for them.
    pub fn forget_topics(&mut self, topics: &[(String, Uuid)], at: Scene<'_>, output: &mut Output) {
        let has_any =
            |group: &Group| topics.iter().any(|(topic, id)| !group.offsets.partitions_of(topic, *id).is_empty());
        for group_id in self.group_ids(has_any) {
            self.with_group(&group_id, at, output, |group, turn| {
                for (topic, topic_id) in topics {
                    for partition in group.offsets.partitions_of(topic, *topic_id) {
                        group.offsets.delete(&group_id, topic, partition, turn);
                    }
                }
            });
        }
    }

    fn join(&mut self, request: JoinGroup, token: Token, at: Scene<'_>, output: &mut Output) {
        let settings = Arc::clone(&self.settings);
        let timeouts = settings.min_session_timeout_ms..=settings.max_session_timeout_ms;
        let is_known = self.groups.contains_key(request.group_id.as_str());
        let refused = if !timeouts.contains(&request.session_timeout_ms) {
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
        let group_id: Arc<str> = request.group_id.as_str().into();
        self.group_or_new(&group_id);
        self.with_group(&group_id, at, output, |group, turn| group.join(&group_id, request, token, turn));
    }

    fn consumer_heartbeat(
        &mut self,
        request: &ConsumerHeartbeat,
        at: Scene<'_>,
        output: &mut Output,
    ) -> Result<ConsumerHeartbeatReply, GroupError> {
        request.check(|expression| match self.groups.get(request.group_id.as_str()) {
            Some(Group { members: Members::Consumer(group), .. }) => group.has_expression(expression),
            _ => false,
        })?;
        if !self.groups.contains_key(request.group_id.as_str()) {
            if !request.is_join() {
                return Err(GroupError::not_found(format!("Group {} is not there.", request.group_id)));
            }
            if self.groups.len() >= GROUPS_MAX {
                let message = "The coordinator has too many groups.".to_owned();
                return Err(GroupError { error_code: ErrorCode::GROUP_MAX_SIZE_REACHED, message });
            }
            self.group_or_new(&request.group_id);
        }
        let group_id: Arc<str> = request.group_id.as_str().into();
        let heartbeat = |group: &mut Group, turn: &mut Turn<'_>| group.consumer_heartbeat(&group_id, request, turn);
        self.with_group(&request.group_id, at, output, heartbeat).expect("it is there, or was made above")
    }

    fn commit_offsets(
        &mut self,
        request: &CommitOffsets,
        at: Scene<'_>,
        output: &mut Output,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        if !self.groups.contains_key(request.group_id.as_str()) {
            if request.generation_id >= 0 {
                let is_new = request.knows_member_epochs;
                return Err(if is_new { ErrorCode::GROUP_ID_NOT_FOUND } else { ErrorCode::ILLEGAL_GENERATION });
            }
            if self.groups.len() >= GROUPS_MAX {
                return Err(ErrorCode::INVALID_COMMIT_OFFSET_SIZE);
            }
            self.group_or_new(&request.group_id);
        }
        let mut position = self.position;
        let commit = |group: &mut Group, turn: &mut Turn<'_>| {
            group.check_commit(request, turn)?;
            Ok(group.offsets.commit(request, &mut position, turn))
        };
        let codes = self.with_group(&request.group_id, at, output, commit);
        self.position = position;
        codes.expect("it is there, or was made above")
    }

    fn fetch_offsets(&self, request: &FetchOffsets) -> Result<Vec<TopicOffsets>, ErrorCode> {
        let group = self.groups.get(request.group_id.as_str());
        match group.map(|group| &group.members) {
            Some(Members::Consumer(group)) => group.check_fetch(request.member_id.as_deref(), request.member_epoch)?,
            Some(Members::Foreign(group)) => group.check_fetch(request.member_id.as_deref(), request.member_epoch)?,
            Some(Members::Classic(_)) | None => {}
        }
        let offsets = group.map(|group| &group.offsets);
        let fetch = |topic: &str, topic_id: Uuid, partition_index: i32| {
            let unstable =
                request.require_stable && offsets.is_some_and(|found| found.is_pending(topic, partition_index));
            let committed = offsets.filter(|_| !unstable).and_then(|found| found.committed(topic, partition_index));
            PartitionOffset::new(
                partition_index,
                committed.filter(|offset| offset.is_of(topic_id)),
                if unstable { ErrorCode::UNSTABLE_OFFSET_COMMIT } else { ErrorCode::NONE },
            )
        };
        Ok(match &request.topics {
            Some(topics) => topics
                .iter()
                .map(|FetchTopic { topic_name, topic_id, partitions }| TopicOffsets {
                    topic_name: topic_name.clone(),
                    partitions: partitions.iter().map(|partition| fetch(topic_name, *topic_id, *partition)).collect(),
                })
                .collect(),
            None => offsets
                .into_iter()
                .flat_map(Offsets::topics)
                .map(|(topic, partitions)| TopicOffsets {
                    topic_name: topic.to_string(),
                    partitions: partitions.keys().map(|partition| fetch(topic, Uuid::nil(), *partition)).collect(),
                })
                .collect(),
        })
    }

    fn delete_offsets(
        &mut self,
        request: &DeleteOffsets,
        at: Scene<'_>,
        output: &mut Output,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let delete = |group: &mut Group, turn: &mut Turn<'_>| {
            group.check_delete_offsets()?;
            let mut codes = Vec::new();
            for (topic, partitions) in &request.topics {
                let is_subscribed = group.is_subscribed_to(topic);
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
        self.with_group(&request.group_id, at, output, delete).unwrap_or(Err(ErrorCode::GROUP_ID_NOT_FOUND))
    }

    fn describe(&self, group_id: &str) -> Result<GroupDescription, GroupError> {
        match self.groups.get(group_id).map(|group| &group.members) {
            Some(Members::Classic(group)) => Ok(group.description()),
            Some(Members::Consumer(_) | Members::Foreign(_)) => {
                Err(GroupError::not_found(format!("Group {group_id} is not a classic group.")))
            }
            None => Err(GroupError::not_found(format!("Group {group_id} not found."))),
        }
    }

    fn describe_consumer(&self, group_id: &str, topics: &dyn Topics) -> Result<ConsumerGroupDescription, GroupError> {
        match self.groups.get(group_id).map(|group| &group.members) {
            Some(Members::Consumer(group)) => Ok(group.description(topics)),
            Some(Members::Classic(_) | Members::Foreign(_)) => {
                Err(GroupError::not_found(format!("Group {group_id} is not a consumer group.")))
            }
            None => Err(GroupError::not_found(format!("Group {group_id} not found."))),
        }
    }

    fn list(&self, request: &ListGroups) -> Vec<GroupListing> {
        let is_asked = |asked: &[String], value: &str| {
            asked.is_empty() || asked.iter().any(|asked| asked.eq_ignore_ascii_case(value))
        };
        let listings = self.groups.iter().map(|(group_id, group)| group.listing(group_id));
        listings
            .filter(|listing| is_asked(&request.states, listing.state) && is_asked(&request.types, listing.group_type))
            .collect()
    }

    fn delete(&mut self, group_id: &str, at: Scene<'_>, output: &mut Output) -> ErrorCode {
        let delete = |group: &mut Group, turn: &mut Turn<'_>| {
            if !group.may_be_deleted() {
                return ErrorCode::NON_EMPTY_GROUP;
            }
            for (topic, partition) in group.offsets.partitions() {
                group.offsets.delete(group_id, &topic, partition, turn);
            }
            group.forget_members(&Arc::from(group_id), turn);
            ErrorCode::NONE
        };
        self.with_group(group_id, at, output, delete).unwrap_or(ErrorCode::GROUP_ID_NOT_FOUND)
    }

    /// Removes offsets past their retention, and empty groups that have none left.
    fn expire_offsets(&mut self, at: Scene<'_>, output: &mut Output) {
        let retention_ms = self.settings.offsets_retention_ms;
        for group_id in self.group_ids(|_| true) {
            self.with_group(&group_id, at, output, |group, turn| {
                for (topic, partition) in group.expired_offsets(retention_ms, turn.now.wall_ms) {
                    group.offsets.delete(&group_id, &topic, partition, turn);
                }
                if group.offsets.is_empty() && group.ends_with_its_offsets() {
                    group.forget_members(&group_id, turn);
                }
            });
        }
    }

    /// In an order that is always the same.
    fn group_ids(&self, is_wanted: impl Fn(&Group) -> bool) -> Vec<Arc<str>> {
        let wanted = self.groups.iter().filter(|(_, group)| is_wanted(group));
        let mut group_ids: Vec<_> = wanted.map(|(group_id, _)| Arc::clone(group_id)).collect();
        group_ids.sort_unstable();
        group_ids
    }

    pub(super) fn group_or_new(&mut self, group_id: &str) -> &mut Group {
        if !self.groups.contains_key(group_id) {
            let group_id: Arc<str> = group_id.into();
            self.groups.insert(Arc::clone(&group_id), Group::new(group_id));
        }
        self.groups.get_mut(group_id).expect("inserted above")
    }

    pub(super) fn forget_if_vacant(&mut self, group_id: &str) {
        if self.groups.get(group_id).is_some_and(Group::is_vacant) {
            self.groups.remove(group_id);
        }
    }

    /// One step of a group that is there: afterwards it changes its protocol if that is due, is woken when it wants to
    /// be, or forgotten.
    fn with_group<T>(
        &mut self,
        group_id: &str,
        at: Scene<'_>,
        output: &mut Output,
        step: impl FnOnce(&mut Group, &mut Turn<'_>) -> T,
    ) -> Option<T> {
        let (key, _) = self.groups.get_key_value(group_id)?;
        let key = Arc::clone(key);
        let group = self.groups.get_mut(group_id)?;
        let mut turn = Turn::new(at, at.configs.get(group_id), &self.settings, output);
        let result = step(group, &mut turn);
        group.downgrade_if_due(&key, &mut turn);
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
