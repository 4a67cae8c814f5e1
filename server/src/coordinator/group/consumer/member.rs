//! A member of a consumer group, and its way to the target assignment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringlog_core::protocol::ErrorCode;
use uuid::Uuid;

use super::Assignment;
use super::heartbeat::LEAVE_STATIC_EPOCH;
use crate::config::ConsumerTimes;
use crate::coordinator::group::Protocol;

/// Where a member is on its way. The numbers stand in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// It has what it is to have at its epoch.
    Stable = 0,
    /// It must confirm that it gave partitions up.
    UnrevokedPartitions = 1,
    /// It waits for partitions that others have not given up yet.
    UnreleasedPartitions = 2,
}

impl MemberState {
    /// The state of a record; what is not known waits for everything anew.
    pub fn from_i8(state: i8) -> Self {
        match state {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            _ => Self::UnreleasedPartitions,
        }
    }
}

/// A member.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    pub member_id: Arc<str>,
    pub instance_id: Option<String>,
    pub rack_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub rebalance_timeout_ms: i32,
    pub topic_names: BTreeSet<String>,
    pub regex: Option<String>,
    pub assignor: Option<String>,
    pub member_epoch: i32,
    /// Accepted too, since the answer that raised the epoch may be lost.
    pub previous_member_epoch: i32,
    pub state: MemberState,
    pub assigned: Assignment,
    /// Told to give up, not confirmed yet.
    pub revoking: Assignment,
    /// Of each partition in `assigned` and `revoking`, the epoch in which the member got it (KIP-1251).
    pub assignment_epochs: BTreeMap<(Uuid, i32), i32>,
    /// What a member says that speaks the classic protocol.
    pub classic: Option<ClassicMetadata>,
    /// Monotonic time at which its session ends.
    pub session_deadline_ms: Option<i64>,
    /// Monotonic time by which it must have given up what it was told to; one of the classic protocol: by which it must
    /// have joined again, or asked for its assignment.
    pub rebalance_deadline_ms: Option<i64>,
}

/// The part of a classic join that is not in a heartbeat of KIP-848.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassicMetadata {
    pub session_timeout_ms: i32,
    /// In its order of preference.
    pub protocols: Vec<Protocol>,
}

impl Member {
    /// A member that has nothing yet.
    pub fn new(member_id: Arc<str>) -> Self {
        Self {
            member_id,
            instance_id: None,
            rack_id: None,
            client_id: String::new(),
            client_host: String::new(),
            rebalance_timeout_ms: -1,
            topic_names: BTreeSet::new(),
            regex: None,
            assignor: None,
            member_epoch: 0,
            previous_member_epoch: 0,
            state: MemberState::Stable,
            assigned: Assignment::new(),
            revoking: Assignment::new(),
            assignment_epochs: BTreeMap::new(),
            classic: None,
            session_deadline_ms: None,
            rebalance_deadline_ms: None,
        }
    }

    /// What it says of itself, as it counts in the bound of its group.
    pub fn size_bytes(&self) -> usize {
        let texts = [&self.instance_id, &self.rack_id, &self.regex, &self.assignor];
        let protocols = self.classic.iter().flat_map(|classic| &classic.protocols);
        self.member_id.len()
            + self.client_id.len()
            + self.client_host.len()
            + texts.into_iter().flatten().map(String::len).sum::<usize>()
            + self.topic_names.iter().map(String::len).sum::<usize>()
            + protocols.map(Protocol::size_bytes).sum::<usize>()
    }

    /// How long it may be silent.
    pub fn session_timeout_ms(&self, of_group: ConsumerTimes) -> i32 {
        self.classic.as_ref().map_or(of_group.session_timeout_ms, |classic| classic.session_timeout_ms)
    }

    /// What a client of its protocol is told that is not in its epoch.
    pub fn stale_epoch_code(&self) -> ErrorCode {
        match self.classic {
            Some(_) => ErrorCode::ILLEGAL_GENERATION,
            None => ErrorCode::STALE_MEMBER_EPOCH,
        }
    }

    /// Whether another may take over its instance id with a heartbeat: it has left for a while, or changes its protocol.
    pub fn is_released(&self) -> bool {
        self.member_epoch == LEAVE_STATIC_EPOCH || self.classic.is_some()
    }

    /// Whether it has arrived at an epoch.
    pub fn is_reconciled_to(&self, assignment_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.member_epoch == assignment_epoch
    }

    /// All partitions that it holds or has not confirmed to have given up.
    pub fn held(&self) -> impl Iterator<Item = (Uuid, i32)> + '_ {
        let all = self.assigned.iter().chain(&self.revoking);
        all.flat_map(|(topic_id, partitions)| partitions.iter().map(|partition| (*topic_id, *partition)))
    }

    /// The same, by topic.
    pub fn held_by_topic(&self) -> Assignment {
        let mut held = self.assigned.clone();
        for (topic_id, partitions) in &self.revoking {
            held.entry(*topic_id).or_default().extend(partitions);
        }
        held
    }

    /// The epoch in which it got a partition that it holds.
    pub fn has_had_since(&self, topic_id: Uuid, partition: i32) -> i32 {
        *self.assignment_epochs.get(&(topic_id, partition)).unwrap_or(&self.member_epoch)
    }

    /// Whether it may commit what it read of a partition while it was in `epoch`: it has had it since then at least, even if
    /// it has learned of a later epoch only now (KIP-1251).
    pub fn had_since(&self, epoch: i32, topic_id: Uuid, partition: i32) -> bool {
        let since = self.assignment_epochs.get(&(topic_id, partition));
        epoch < self.member_epoch && since.is_some_and(|since| *since <= epoch)
    }

    /// The next step towards the target. `is_changed`: the member subscribes to something else now; `owned`: what it says
    /// it holds, if it says so; `is_free`: no member holds this partition.
    pub fn reconciled(
        &self,
        assignment_epoch: i32,
        is_changed: bool,
        target: &Assignment,
        owned: Option<&Assignment>,
        is_free: impl Fn(Uuid, i32) -> bool,
    ) -> Self {
        match self.state {
            MemberState::Stable if self.member_epoch == assignment_epoch && !is_changed => self.clone(),
            MemberState::UnrevokedPartitions if holds_any(owned, &self.revoking) => {
                if is_changed {
                    self.revoking_more(target)
                } else {
                    self.clone()
                }
            }
            // One that has confirmed moves on even if the target has, too.
            MemberState::Stable | MemberState::UnrevokedPartitions | MemberState::UnreleasedPartitions => {
                self.next_step(assignment_epoch, target, owned, is_free)
            }
        }
    }

    fn next_step(
        &self,
        assignment_epoch: i32,
        target: &Assignment,
        owned: Option<&Assignment>,
        is_free: impl Fn(Uuid, i32) -> bool,
    ) -> Self {
        let (mut keeps, mut revoking) = (Assignment::new(), Assignment::new());
        for (topic_id, partitions) in &self.assigned {
            for partition in partitions {
                let is_kept = target.get(topic_id).is_some_and(|target| target.contains(partition));
                let into = if is_kept { &mut keeps } else { &mut revoking };
                into.entry(*topic_id).or_default().insert(*partition);
            }
        }
        if holds_any(owned, &revoking) {
            let state = MemberState::UnrevokedPartitions;
            return self.moved(state, self.member_epoch, keeps, revoking);
        }
        let mut waits = false;
        for (topic_id, partitions) in target {
            for partition in partitions {
                let is_held = self.assigned.get(topic_id).is_some_and(|held| held.contains(partition));
                // What it has just given up is held by nobody else.
                let was_revoked = self.revoking.get(topic_id).is_some_and(|held| held.contains(partition));
                if is_held || was_revoked || is_free(*topic_id, *partition) {
                    keeps.entry(*topic_id).or_default().insert(*partition);
                } else {
                    waits = true;
                }
            }
        }
        let state = if waits { MemberState::UnreleasedPartitions } else { MemberState::Stable };
        self.moved(state, assignment_epoch, keeps, Assignment::new())
    }

    /// It subscribes to less while it has not confirmed yet: it must give up that, too.
    fn revoking_more(&self, target: &Assignment) -> Self {
        let (mut keeps, mut revoking) = (self.assigned.clone(), self.revoking.clone());
        for (topic_id, partitions) in self.assigned.iter().filter(|(topic_id, _)| !target.contains_key(topic_id)) {
            keeps.remove(topic_id);
            revoking.entry(*topic_id).or_default().extend(partitions);
        }
        self.moved(MemberState::UnrevokedPartitions, self.member_epoch, keeps, revoking)
    }

    fn moved(&self, state: MemberState, member_epoch: i32, assigned: Assignment, revoking: Assignment) -> Self {
        let previous_member_epoch =
            if member_epoch == self.member_epoch { self.previous_member_epoch } else { self.member_epoch };
        let mut member = Self { state, member_epoch, previous_member_epoch, assigned, revoking, ..self.clone() };
        let since = |(topic_id, partition)| ((topic_id, partition), member.has_had_since(topic_id, partition));
        member.assignment_epochs = member.held().map(since).collect();
        member
    }
}

/// Whether the member still holds one of these, as far as it says; one that does not say may.
fn holds_any(owned: Option<&Assignment>, partitions: &Assignment) -> bool {
    let is_held = |topic_id: &Uuid, partition: &i32| match owned {
        None => true,
        Some(owned) => owned.get(topic_id).is_some_and(|held| held.contains(partition)),
    };
    partitions.iter().any(|(topic_id, partitions)| partitions.iter().any(|partition| is_held(topic_id, partition)))
}
