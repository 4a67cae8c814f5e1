//! One partition, as records make and change it.
//!
//! Invariants: a new leader raises the leader epoch, every change the partition epoch.

use std::sync::Arc;

use ringlog_core::protocol::metadata::{PartitionChangeRecord, PartitionRecord};
use ringlog_core::wire::Array;
use smallvec::SmallVec;
use uuid::Uuid;

/// No leader.
pub const NO_LEADER: i32 = -1;
const LEADER_UNCHANGED: i32 = -2;
const RECOVERY_STATE_UNCHANGED: i8 = -1;

type BrokerIds = SmallVec<[i32; 2]>;

/// One partition of a topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartitionImage {
    /// Where its replicas are.
    pub placement: Arc<Placement>,
    /// The leader's node id, or [`NO_LEADER`].
    pub leader: i32,
    /// Counts leader changes.
    pub leader_epoch: i32,
    /// Counts all changes.
    pub partition_epoch: i32,
    /// 1 while a leader that was elected uncleanly recovers (KIP-704).
    pub leader_recovery_state: i8,
    /// While replicas move: a cluster of several nodes.
    pub reassignment: Option<Box<Reassignment>>,
}

/// The replicas of a partition. Partitions next to each other often have all of it in common: it is there once then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Brokers, preferred first.
    pub replicas: BrokerIds,
    /// In-sync replicas.
    pub isr: BrokerIds,
    /// Directory of each replica.
    pub directories: SmallVec<[Uuid; 1]>,
    /// KIP-966.
    pub eligible_leader_replicas: BrokerIds,
    /// KIP-966.
    pub last_known_elr: BrokerIds,
}

/// Replicas that come and go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reassignment {
    removing: BrokerIds,
    adding: BrokerIds,
}

impl Reassignment {
    fn into_image(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

fn ids(value: &Array<'_, i32>) -> BrokerIds {
    value.iter().collect()
}

fn replace(target: &mut BrokerIds, value: &Option<Array<'_, i32>>) {
    if let Some(value) = value {
        *target = ids(value);
    }
}

fn if_any(ids: &BrokerIds) -> Option<Array<'_, i32>> {
    (!ids.is_empty()).then(|| ids[..].into())
}

impl From<&PartitionRecord<'_>> for PartitionImage {
    fn from(record: &PartitionRecord<'_>) -> Self {
        let reassignment =
            Reassignment { removing: ids(&record.removing_replicas), adding: ids(&record.adding_replicas) };
        let placement = Placement {
            replicas: ids(&record.replicas),
            isr: ids(&record.isr),
            directories: record.directories.iter().collect(),
            eligible_leader_replicas: record.eligible_leader_replicas.iter().flatten().collect(),
            last_known_elr: record.last_known_elr.iter().flatten().collect(),
        };
        Self {
            placement: Arc::new(placement),
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            partition_epoch: record.partition_epoch,
            leader_recovery_state: record.leader_recovery_state,
            reassignment: reassignment.into_image(),
        }
    }
}

impl PartitionImage {
    /// A partition record that becomes this.
    pub(super) fn as_record(&self, topic_id: Uuid, partition_id: i32) -> PartitionRecord<'_> {
        let (placement, reassignment) = (&*self.placement, self.reassignment.as_deref());
        PartitionRecord {
            partition_id,
            topic_id,
            replicas: placement.replicas[..].into(),
            isr: placement.isr[..].into(),
            removing_replicas: reassignment.map_or_else(Array::default, |moving| moving.removing[..].into()),
            adding_replicas: reassignment.map_or_else(Array::default, |moving| moving.adding[..].into()),
            leader: self.leader,
            leader_recovery_state: self.leader_recovery_state,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            directories: placement.directories[..].into(),
            eligible_leader_replicas: if_any(&placement.eligible_leader_replicas),
            last_known_elr: if_any(&placement.last_known_elr),
        }
    }

    pub(super) fn apply(&mut self, change: &PartitionChangeRecord<'_>) {
        let placement = Arc::make_mut(&mut self.placement);
        replace(&mut placement.replicas, &change.replicas);
        replace(&mut placement.isr, &change.isr);
        replace(&mut placement.eligible_leader_replicas, &change.eligible_leader_replicas);
        replace(&mut placement.last_known_elr, &change.last_known_elr);
        if let Some(directories) = &change.directories {
            placement.directories = directories.iter().collect();
        }
        if change.removing_replicas.is_some() || change.adding_replicas.is_some() {
            let mut reassignment = self.reassignment.take().map_or_else(Reassignment::default, |moving| *moving);
            replace(&mut reassignment.removing, &change.removing_replicas);
            replace(&mut reassignment.adding, &change.adding_replicas);
            self.reassignment = reassignment.into_image();
        }
        if change.leader_recovery_state != RECOVERY_STATE_UNCHANGED {
            self.leader_recovery_state = change.leader_recovery_state;
        }
        if change.leader != LEADER_UNCHANGED {
            self.leader = change.leader;
            self.leader_epoch += 1;
        }
        self.partition_epoch += 1;
    }

    /// Has one placement with `other` if they are the same.
    pub(super) fn share_placement(&mut self, other: &Self) {
        if self.placement == other.placement {
            self.placement = Arc::clone(&other.placement);
        }
    }

    pub(super) fn has_elr(&self) -> bool {
        !self.placement.eligible_leader_replicas.is_empty() || !self.placement.last_known_elr.is_empty()
    }

    /// No replica counts as one that may lead any more without being in sync (a change, if there were such).
    pub(super) fn clear_elr(&mut self) {
        if self.has_elr() {
            let placement = Arc::make_mut(&mut self.placement);
            placement.eligible_leader_replicas.clear();
            placement.last_known_elr.clear();
            self.partition_epoch += 1;
        }
    }
}
