//! A consumer group as records of `__consumer_offsets`: the setters that live and replay share, and the records.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ringlog_core::protocol::consumer_offsets::{
    AssignedTopicPartitions, ClassicMemberMetadata, ClassicProtocol, ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue, ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey, ConsumerGroupMetadataValue, ConsumerGroupPartitionMetadataKey,
    ConsumerGroupRegularExpressionKey, ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue, ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue, CoordinatorRecord, TargetTopicPartitions,
};
use ringlog_core::wire::Array;
use uuid::Uuid;

use super::member::{ClassicMetadata, Member, MemberState};
use super::{Assignment, ConsumerGroup};
use crate::coordinator::group::{Protocol, Turn};

impl ConsumerGroup {
    /// Replays a record of this group that is no tombstone of the whole group.
    pub fn replay(&mut self, record: &CoordinatorRecord<'_>) {
        match record {
            CoordinatorRecord::ConsumerGroupMetadata(_, Some(value)) => {
                self.set_epoch(value.epoch, value.metadata_hash)
            }
            CoordinatorRecord::ConsumerGroupPartitionMetadata(_, value) => {
                self.has_partition_metadata = value.is_some()
            }
            CoordinatorRecord::ConsumerGroupMemberMetadata(key, Some(value)) => {
                self.replay_member(key.member_id, value)
            }
            CoordinatorRecord::ConsumerGroupMemberMetadata(key, None) => self.remove_member(key.member_id),
            CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(_, value) => {
                (self.assignment_epoch, self.assignment_timestamp_ms) =
                    value.as_ref().map_or((0, 0), |value| (value.assignment_epoch, value.assignment_timestamp));
            }
            CoordinatorRecord::ConsumerGroupTargetAssignmentMember(key, Some(value)) => {
                let topics = value.topic_partitions.iter();
                let target = topics.map(|topic| (topic.topic_id, topic.partitions.iter().collect())).collect();
                self.set_target(key.member_id.into(), target);
            }
            CoordinatorRecord::ConsumerGroupTargetAssignmentMember(key, None) => {
                self.target.remove(key.member_id);
            }
            CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(key, value) => {
                self.replay_current(key.member_id, value.as_ref());
            }
            CoordinatorRecord::ConsumerGroupRegularExpression(key, value) => {
                let expression = key.regular_expression;
                match value {
                    Some(_) => _ = self.resolved_regexes.insert(expression.to_owned()),
                    None => _ = self.resolved_regexes.remove(expression),
                }
            }
            CoordinatorRecord::ConsumerGroupMetadata(_, None)
            | CoordinatorRecord::OffsetCommit(..)
            | CoordinatorRecord::GroupMetadata(..)
            | CoordinatorRecord::Foreign(..) => {}
        }
    }

    fn replay_member(&mut self, member_id: &str, value: &ConsumerGroupMemberMetadataValue<'_>) {
        let member = self.members.get(member_id).cloned().unwrap_or_else(|| Member::new(member_id.into()));
        self.set_member(Member {
            instance_id: value.instance_id.map(str::to_owned),
            rack_id: value.rack_id.map(str::to_owned),
            client_id: value.client_id.to_owned(),
            client_host: value.client_host.to_owned(),
            rebalance_timeout_ms: value.rebalance_timeout_ms,
            topic_names: value.subscribed_topic_names.iter().map(str::to_owned).collect(),
            regex: value.subscribed_topic_regex.filter(|regex| !regex.is_empty()).map(str::to_owned),
            assignor: value.server_assignor.map(str::to_owned),
            classic: value.classic_member_metadata.as_ref().map(classic_metadata),
            ..member
        });
    }

    fn replay_current(&mut self, member_id: &str, value: Option<&ConsumerGroupCurrentMemberAssignmentValue<'_>>) {
        let Some(member) = self.members.get(member_id).cloned() else { return };
        self.set_member(match value {
            Some(value) => Member {
                member_epoch: value.member_epoch,
                previous_member_epoch: value.previous_member_epoch,
                state: MemberState::from_i8(value.state),
                assigned: assignment_of(&value.assigned_partitions),
                revoking: assignment_of(&value.partitions_pending_revocation),
                assignment_epochs: epochs_of(value),
                ..member
            },
            None => Member {
                assigned: Assignment::new(),
                revoking: Assignment::new(),
                assignment_epochs: BTreeMap::new(),
                ..member
            },
        });
    }

    /// Puts a member in its place, and its partitions into its hands.
    pub(super) fn set_member(&mut self, member: Member) {
        self.release(&member.member_id);
        for partition in member.held() {
            self.owners.insert(partition, Arc::clone(&member.member_id));
        }
        if let Some(instance_id) = &member.instance_id {
            self.static_members.insert(instance_id.clone(), Arc::clone(&member.member_id));
        }
        // In this order, so that what is known of its expression stays.
        self.subscriptions.add(&member);
        self.members_bytes += member.size_bytes();
        if let Some(before) = self.members.insert(Arc::clone(&member.member_id), member) {
            self.members_bytes -= before.size_bytes();
            self.subscriptions.remove(&before);
        }
    }

    pub(super) fn remove_member(&mut self, member_id: &str) {
        self.release(member_id);
        self.target.remove(member_id);
        let Some(member) = self.members.remove(member_id) else { return };
        self.members_bytes -= member.size_bytes();
        self.subscriptions.remove(&member);
        if let Some(instance_id) = &member.instance_id
            && self.static_members.get(instance_id).is_some_and(|holder| **holder == *member_id)
        {
            self.static_members.remove(instance_id);
        }
    }

    /// Nobody holds the member's partitions any more.
    fn release(&mut self, member_id: &str) {
        let Some(member) = self.members.get(member_id) else { return };
        for partition in member.held() {
            if self.owners.get(&partition).is_some_and(|owner| **owner == *member_id) {
                self.owners.remove(&partition);
            }
        }
    }

    pub(super) fn set_target(&mut self, member_id: Arc<str>, assignment: Assignment) {
        self.target.insert(member_id, assignment);
    }

    pub(super) fn set_epoch(&mut self, group_epoch: i32, metadata_hash: i64) {
        (self.group_epoch, self.metadata_hash) = (group_epoch, metadata_hash);
    }

    pub(super) fn record_epoch(&self, turn: &mut Turn<'_>) {
        let key = ConsumerGroupMetadataKey { group_id: &self.group_id };
        let value = ConsumerGroupMetadataValue { epoch: self.group_epoch, metadata_hash: self.metadata_hash };
        turn.record(&CoordinatorRecord::ConsumerGroupMetadata(key, Some(value)));
    }

    pub(super) fn record_assignment_epoch(&self, turn: &mut Turn<'_>) {
        let key = ConsumerGroupTargetAssignmentMetadataKey { group_id: &self.group_id };
        let (assignment_epoch, assignment_timestamp) = (self.assignment_epoch, self.assignment_timestamp_ms);
        let value = ConsumerGroupTargetAssignmentMetadataValue { assignment_epoch, assignment_timestamp };
        turn.record(&CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(key, Some(value)));
    }

    pub(super) fn record_member(&self, member: &Member, turn: &mut Turn<'_>) {
        let key = ConsumerGroupMemberMetadataKey { group_id: &self.group_id, member_id: &member.member_id };
        let value = ConsumerGroupMemberMetadataValue {
            instance_id: member.instance_id.as_deref(),
            rack_id: member.rack_id.as_deref(),
            client_id: &member.client_id,
            client_host: &member.client_host,
            subscribed_topic_names: member.topic_names.iter().map(String::as_str).collect(),
            subscribed_topic_regex: member.regex.as_deref(),
            rebalance_timeout_ms: member.rebalance_timeout_ms,
            server_assignor: member.assignor.as_deref(),
            classic_member_metadata: member.classic.as_ref().map(|classic| ClassicMemberMetadata {
                session_timeout_ms: classic.session_timeout_ms,
                supported_protocols: classic.protocols.iter().map(classic_protocol).collect(),
            }),
        };
        turn.record(&CoordinatorRecord::ConsumerGroupMemberMetadata(key, Some(value)));
    }

    pub(super) fn record_target(&self, member_id: &str, target: Option<&Assignment>, turn: &mut Turn<'_>) {
        let key = ConsumerGroupTargetAssignmentMemberKey { group_id: &self.group_id, member_id };
        let value = target.map(|target| ConsumerGroupTargetAssignmentMemberValue {
            topic_partitions: target
                .iter()
                .map(|(topic_id, partitions)| TargetTopicPartitions {
                    topic_id: *topic_id,
                    partitions: partitions.iter().copied().collect(),
                })
                .collect(),
        });
        turn.record(&CoordinatorRecord::ConsumerGroupTargetAssignmentMember(key, value));
    }

    pub(super) fn record_current(&self, member: &Member, turn: &mut Turn<'_>) {
        let key = ConsumerGroupCurrentMemberAssignmentKey { group_id: &self.group_id, member_id: &member.member_id };
        let partitions = |assignment: &Assignment| -> Array<'_, AssignedTopicPartitions<'_>> {
            assignment
                .iter()
                .map(|(topic_id, partitions)| AssignedTopicPartitions {
                    topic_id: *topic_id,
                    partitions: partitions.iter().copied().collect(),
                    assignment_epochs: Some(
                        partitions.iter().map(|partition| member.has_had_since(*topic_id, *partition)).collect(),
                    ),
                })
                .collect()
        };
        let value = ConsumerGroupCurrentMemberAssignmentValue {
            member_epoch: member.member_epoch,
            previous_member_epoch: member.previous_member_epoch,
            state: member.state as i8,
            assigned_partitions: partitions(&member.assigned),
            partitions_pending_revocation: partitions(&member.revoking),
        };
        turn.record(&CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(key, Some(value)));
    }

    /// The tombstones of one member.
    pub(super) fn record_removal(&self, member_id: &str, turn: &mut Turn<'_>) {
        let group_id = &*self.group_id;
        let key = ConsumerGroupCurrentMemberAssignmentKey { group_id, member_id };
        turn.record(&CoordinatorRecord::ConsumerGroupCurrentMemberAssignment(key, None));
        self.record_target(member_id, None, turn);
        let key = ConsumerGroupMemberMetadataKey { group_id, member_id };
        turn.record(&CoordinatorRecord::ConsumerGroupMemberMetadata(key, None));
    }

    /// The tombstones of the whole group.
    pub fn record_tombstones(&self, turn: &mut Turn<'_>) {
        let group_id = &*self.group_id;
        for member_id in self.members.keys() {
            self.record_removal(member_id, turn);
        }
        for regular_expression in &self.resolved_regexes {
            let key = ConsumerGroupRegularExpressionKey { group_id, regular_expression };
            turn.record(&CoordinatorRecord::ConsumerGroupRegularExpression(key, None));
        }
        let key = ConsumerGroupTargetAssignmentMetadataKey { group_id };
        turn.record(&CoordinatorRecord::ConsumerGroupTargetAssignmentMetadata(key, None));
        if self.has_partition_metadata {
            let key = ConsumerGroupPartitionMetadataKey { group_id };
            turn.record(&CoordinatorRecord::ConsumerGroupPartitionMetadata(key, None));
        }
        let key = ConsumerGroupMetadataKey { group_id };
        turn.record(&CoordinatorRecord::ConsumerGroupMetadata(key, None));
    }
}

fn classic_protocol(protocol: &Protocol) -> ClassicProtocol<'_> {
    ClassicProtocol { name: &protocol.name, metadata: &protocol.metadata }
}

fn classic_metadata(value: &ClassicMemberMetadata<'_>) -> ClassicMetadata {
    let protocol = |protocol: ClassicProtocol<'_>| Protocol {
        name: protocol.name.to_owned(),
        metadata: Bytes::copy_from_slice(protocol.metadata),
    };
    ClassicMetadata {
        session_timeout_ms: value.session_timeout_ms,
        protocols: value.supported_protocols.iter().map(protocol).collect(),
    }
}

fn assignment_of<'a>(topics: &Array<'a, AssignedTopicPartitions<'a>>) -> Assignment {
    topics.iter().map(|topic| (topic.topic_id, topic.partitions.iter().collect())).collect()
}

/// Since when a member has each of its partitions; Kafka before 4.3 did not write it.
fn epochs_of(value: &ConsumerGroupCurrentMemberAssignmentValue<'_>) -> BTreeMap<(Uuid, i32), i32> {
    let mut epochs = BTreeMap::new();
    let (assigned, revoking) = (&value.assigned_partitions, &value.partitions_pending_revocation);
    for topic in assigned.iter().chain(revoking) {
        let mut since = topic.assignment_epochs.iter().flatten();
        for partition in &topic.partitions {
            epochs.insert((topic.topic_id, partition), since.next().unwrap_or(value.member_epoch));
        }
    }
    epochs
}
