//! The committed offsets of one group, and those of transactions that are still open.
//!
//! Invariant: a transactional commit counts only from its commit marker on, and then only if no later commit of the
//! same partition was there before the marker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::consumer_offsets::{CoordinatorRecord, OffsetCommitKey, OffsetCommitValue};
use uuid::Uuid;

use super::{CommitOffsets, PartitionOffset, Turn};

/// Offsets of one group; more are refused.
const OFFSETS_MAX: usize = 1_000_000;

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Next offset to be read.
    pub offset: i64,
    /// Of the last record read, -1 if it is not known.
    pub leader_epoch: i32,
    /// The client's own note.
    pub metadata: Box<str>,
    /// Wall clock of the commit.
    pub commit_timestamp_ms: i64,
    /// Wall clock of the end, where the client asked for one; else -1.
    pub expire_timestamp_ms: i64,
    /// Nil if it was not known.
    pub topic_id: Uuid,
    /// Place among all records of the coordinator, in replay order.
    position: u64,
}

impl CommittedOffset {
    /// Whether it was committed for this topic, as far as both are known: a topic may have been deleted and created anew.
    pub fn is_of(&self, topic_id: Uuid) -> bool {
        self.topic_id.is_nil() || topic_id.is_nil() || self.topic_id == topic_id
    }
}

impl PartitionOffset {
    /// The answer for one partition; without an offset it is -1.
    pub fn new(partition_index: i32, offset: Option<&CommittedOffset>, error_code: ErrorCode) -> Self {
        Self {
            partition_index,
            offset: offset.map_or(-1, |found| found.offset),
            leader_epoch: offset.map_or(-1, |found| found.leader_epoch),
            metadata: offset.map(|found| found.metadata.to_string()).unwrap_or_default(),
            error_code,
        }
    }
}

type ByPartition<T> = BTreeMap<Arc<str>, BTreeMap<i32, T>>;

/// The offsets of one group.
#[derive(Debug, Default)]
pub struct Offsets {
    committed: ByPartition<CommittedOffset>,
    count: usize,
    /// Of open transactions, by producer id.
    pending: BTreeMap<i64, ByPartition<CommittedOffset>>,
}

impl Offsets {
    /// Whether there is nothing, committed or pending.
    pub fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.pending.is_empty()
    }

    /// The committed offset of a partition.
    pub fn committed(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.committed.get(topic)?.get(&partition)
    }

    /// All committed offsets.
    pub fn topics(&self) -> impl Iterator<Item = (&Arc<str>, &BTreeMap<i32, CommittedOffset>)> {
        self.committed.iter()
    }

    /// Whether an open transaction may replace the offset of a partition.
    pub fn is_pending(&self, topic: &str, partition: i32) -> bool {
        self.pending.values().any(|topics| topics.get(topic).is_some_and(|found| found.contains_key(&partition)))
    }

    /// Every partition that has an offset, committed or pending.
    pub fn partitions(&self) -> BTreeSet<(Arc<str>, i32)> {
        let all = std::iter::once(&self.committed).chain(self.pending.values());
        all.flatten().flat_map(|(topic, found)| found.keys().map(|partition| (Arc::clone(topic), *partition))).collect()
    }

    /// The partitions of a topic that have an offset, committed or pending. Those of another topic of this name are not
    /// among them.
    pub fn partitions_of(&self, topic: &str, topic_id: Uuid) -> BTreeSet<i32> {
        let all = std::iter::once(&self.committed).chain(self.pending.values());
        let found = all.filter_map(|topics| topics.get(topic)).flatten();
        found.filter(|(_, offset)| offset.is_of(topic_id)).map(|(partition, _)| *partition).collect()
    }

    /// Commits what fits: a code for each partition.
    pub fn commit(&mut self, request: &CommitOffsets, position: &mut u64, turn: &mut Turn<'_>) -> Vec<ErrorCode> {
        let now_ms = turn.now.wall_ms;
        let expire_timestamp = match request.retention_time_ms {
            retention_ms if retention_ms >= 0 => now_ms.saturating_add(retention_ms),
            _ => -1,
        };
        let mut codes = Vec::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                if partition.metadata.encode_utf16().count() > turn.settings.offset_metadata_max_bytes {
                    codes.push(ErrorCode::OFFSET_METADATA_TOO_LARGE);
                    continue;
                }
                let (name, index) = (topic.topic_name.as_str(), partition.partition_index);
                if self.count >= OFFSETS_MAX && self.committed(name, index).is_none() {
                    codes.push(ErrorCode::INVALID_COMMIT_OFFSET_SIZE);
                    continue;
                }
                let key = OffsetCommitKey { group: &request.group_id, topic: name, partition: index };
                let value = OffsetCommitValue {
                    offset: partition.offset,
                    leader_epoch: partition.leader_epoch,
                    metadata: &partition.metadata,
                    commit_timestamp: now_ms,
                    expire_timestamp,
                    topic_id: topic.topic_id,
                };
                *position += 1;
                self.replay(&key, &value, -1, *position);
                turn.record(&CoordinatorRecord::OffsetCommit(key, Some(value)));
                codes.push(ErrorCode::NONE);
            }
        }
        codes
    }

    /// Removes the offset of a partition, committed or pending, if there is one.
    pub fn delete(&mut self, group_id: &str, topic: &str, partition: i32, turn: &mut Turn<'_>) {
        if self.committed(topic, partition).is_none() && !self.is_pending(topic, partition) {
            return;
        }
        let key = OffsetCommitKey { group: group_id, topic, partition };
        self.replay_tombstone(&key);
        turn.record(&CoordinatorRecord::OffsetCommit(key, None));
    }

    /// Replays a commit; `producer_id` is that of its batch, -1 outside of a transaction.
    pub fn replay(
        &mut self,
        key: &OffsetCommitKey<'_>,
        value: &OffsetCommitValue<'_>,
        producer_id: i64,
        position: u64,
    ) {
        let offset = CommittedOffset {
            offset: value.offset,
            leader_epoch: value.leader_epoch,
            metadata: value.metadata.into(),
            commit_timestamp_ms: value.commit_timestamp,
            expire_timestamp_ms: value.expire_timestamp,
            topic_id: value.topic_id,
            position,
        };
        if producer_id < 0 {
            self.count += usize::from(put(&mut self.committed, key.topic, key.partition, offset));
        } else {
            put(self.pending.entry(producer_id).or_default(), key.topic, key.partition, offset);
        }
    }

    /// Replays a tombstone.
    pub fn replay_tombstone(&mut self, key: &OffsetCommitKey<'_>) {
        self.count -= usize::from(take(&mut self.committed, key.topic, key.partition));
        self.pending.retain(|_, topics| {
            take(topics, key.topic, key.partition);
            !topics.is_empty()
        });
    }

    /// Replays the marker that ends a transaction.
    pub fn replay_marker(&mut self, producer_id: i64, is_commit: bool) {
        let Some(topics) = self.pending.remove(&producer_id) else { return };
        if !is_commit {
            return;
        }
        for (topic, partitions) in topics {
            for (partition, offset) in partitions {
                if self.committed(&topic, partition).is_none_or(|earlier| earlier.position < offset.position) {
                    self.count += usize::from(put(&mut self.committed, &topic, partition, offset));
                }
            }
        }
    }
}

/// Whether it is new.
fn put(into: &mut ByPartition<CommittedOffset>, topic: &str, partition: i32, offset: CommittedOffset) -> bool {
    match into.get_mut(topic) {
        Some(partitions) => partitions.insert(partition, offset).is_none(),
        None => {
            into.insert(topic.into(), BTreeMap::from([(partition, offset)]));
            true
        }
    }
}

/// Whether it was there.
fn take(from: &mut ByPartition<CommittedOffset>, topic: &str, partition: i32) -> bool {
    let Some(partitions) = from.get_mut(topic) else { return false };
    let was_there = partitions.remove(&partition).is_some();
    if partitions.is_empty() {
        from.remove(topic);
    }
    was_there
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: OffsetCommitKey<'static> = OffsetCommitKey { group: "g", topic: "t", partition: 0 };

    fn value(offset: i64) -> OffsetCommitValue<'static> {
        OffsetCommitValue { offset, metadata: "", ..Default::default() }
    }

    fn committed(offsets: &Offsets) -> Option<i64> {
        offsets.committed("t", 0).map(|found| found.offset)
    }

    #[test]
    fn a_transaction_counts_at_its_commit_marker_and_not_over_a_later_commit() {
        let mut offsets = Offsets::default();
        offsets.replay(&KEY, &value(5), 7, 1);
        assert_eq!((committed(&offsets), offsets.is_pending("t", 0), offsets.count), (None, true, 0));
        offsets.replay_marker(7, true);
        assert_eq!((committed(&offsets), offsets.is_pending("t", 0), offsets.count), (Some(5), false, 1));

        offsets.replay(&KEY, &value(6), 7, 2);
        offsets.replay(&KEY, &value(9), -1, 3);
        offsets.replay_marker(7, true);
        assert_eq!(committed(&offsets), Some(9));

        offsets.replay(&KEY, &value(10), 8, 4);
        offsets.replay_marker(8, false);
        assert_eq!((committed(&offsets), offsets.is_pending("t", 0)), (Some(9), false));
    }

    #[test]
    fn a_tombstone_removes_committed_and_pending() {
        let mut offsets = Offsets::default();
        offsets.replay(&KEY, &value(5), -1, 1);
        offsets.replay(&KEY, &value(6), 7, 2);
        assert_eq!(offsets.partitions().len(), 1);
        offsets.replay_tombstone(&KEY);
        offsets.replay_marker(7, true);
        assert!(offsets.is_empty());
        assert_eq!(offsets.count, 0);
    }
}
