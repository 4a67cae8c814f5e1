//! Replay of the log into a [`Coordinator`]: records, and the markers that end transactions.

use std::sync::Arc;

use ringlog_core::protocol::consumer_offsets::{CoordinatorRecord, ForeignKey};

use super::Coordinator;
use super::classic::ClassicGroup;
use super::consumer::ConsumerGroup;
use super::foreign::ForeignGroup;
use super::members::{Group, Members};

impl Coordinator {
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
                group.members = Members::Classic(ClassicGroup::from_record(Arc::from(key.group), value));
            }
            CoordinatorRecord::GroupMetadata(key, None) => {
                if let Some(group) = self.groups.get_mut(key.group)
                    && matches!(group.members, Members::Classic(_))
                {
                    group.members = Members::Classic(ClassicGroup::new(Arc::from(key.group)));
                    self.forget_if_vacant(key.group);
                }
            }
            CoordinatorRecord::ConsumerGroupMetadata(key, None) => {
                if let Some(group) = self.groups.get_mut(key.group_id)
                    && matches!(group.members, Members::Consumer(_))
                {
                    group.members = Members::Classic(ClassicGroup::new(Arc::from(key.group_id)));
                    self.forget_if_vacant(key.group_id);
                }
            }
            CoordinatorRecord::ConsumerGroupMetadata(key, Some(_)) => self.replay_consumer(key.group_id, true, record),
            CoordinatorRecord::ConsumerGroupPartitionMetadata(key, value) => {
                self.replay_consumer(key.group_id, value.is_some(), record);
            }
            CoordinatorRecord::ConsumerGroupMemberMetadata(key, value) => {
                self.replay_consumer(key.group_id, value.is_some(), record);
            }
            CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(key, value) => {
                self.replay_consumer(key.group_id, value.is_some(), record);
            }
            CoordinatorRecord::ConsumerGroupTargetAssignmentMember(key, value) => {
                self.replay_consumer(key.group_id, value.is_some(), record);
            }
            CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(key, value) => {
                self.replay_consumer(key.group_id, value.is_some(), record);
            }
            CoordinatorRecord::ConsumerGroupRegularExpression(key, value) => {
                self.replay_consumer(key.group_id, value.is_some(), record);
            }
            CoordinatorRecord::Foreign(key, value) => self.replay_foreign(key, value.is_some()),
        }
    }

    /// A tombstone makes no group; a value does, for compaction may have left only part of what made it.
    fn replay_consumer(&mut self, group_id: &str, has_value: bool, record: &CoordinatorRecord<'_>) {
        let is_known = matches!(self.groups.get(group_id), Some(Group { members: Members::Consumer(_), .. }));
        if !is_known && !has_value {
            return;
        }
        let group = self.group_or_new(group_id);
        if !is_known {
            group.members = Members::Consumer(ConsumerGroup::new(Arc::from(group_id)));
        }
        if let Members::Consumer(group) = &mut group.members {
            group.replay(record);
        }
    }

    /// As of a consumer group; the tombstone of the group itself ends it.
    fn replay_foreign(&mut self, key: &ForeignKey<'_>, has_value: bool) {
        let is_its =
            |members: &Members| matches!(members, Members::Foreign(group) if group.group_type() == key.group_type);
        let is_known = self.groups.get(key.group_id).is_some_and(|group| is_its(&group.members));
        if !is_known && !has_value {
            return;
        }
        let group = self.group_or_new(key.group_id);
        if key.is_group_metadata() && !has_value {
            group.members = Members::Classic(ClassicGroup::new(Arc::from(key.group_id)));
            return self.forget_if_vacant(key.group_id);
        }
        if !is_known {
            group.members = Members::Foreign(ForeignGroup::new(key.group_type));
        }
        if let Members::Foreign(group) = &mut group.members {
            group.replay(key, has_value);
        }
    }

    /// Replays the marker that ends a transaction.
    pub fn replay_marker(&mut self, producer_id: i64, is_commit: bool) {
        self.position += 1;
        for group in self.groups.values_mut() {
            group.offsets.replay_marker(producer_id, is_commit);
        }
        self.groups.retain(|_, group| !group.is_vacant());
    }
}
