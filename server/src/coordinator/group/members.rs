//! One group: its members, by either protocol, and its offsets.

use std::sync::Arc;

use ringlog_core::protocol::ErrorCode;

use super::classic::{ClassicGroup, State};
use super::consumer::ConsumerGroup;
use super::foreign::ForeignGroup;
use super::offsets::{CommittedOffset, Offsets};
use super::planted::{PlantedBug, is_planted};
use super::{
    CommitOffsets, ConsumerHeartbeat, ConsumerHeartbeatReply, GroupError, GroupListing, GroupReply, Heartbeat,
    JoinGroup, JoinReply, LeaveGroup, SyncGroup, Token, Turn,
};

/// What all members of one group say of themselves; in a classic group it, and the assignments, must fit into one record.
pub const GROUP_BYTES_MAX: usize = 32 << 20;

/// A group.
#[derive(Debug)]
pub struct Group {
    pub members: Members,
    pub offsets: Offsets,
    /// The wake-up that is queued for it.
    pub wake_at_ms: Option<i64>,
}

/// The members, by the protocol of the group. An empty group takes the protocol of the next one that joins; one with
/// members changes it in [`handover`](super::handover).
#[derive(Debug)]
pub enum Members {
    /// The classic protocol, or no members at all.
    Classic(ClassicGroup),
    /// KIP-848; members of the classic protocol may be among them.
    Consumer(ConsumerGroup),
    /// Of another protocol, without members here.
    Foreign(ForeignGroup),
}

impl Group {
    /// An empty one, which commits offsets at most.
    pub fn new(group_id: Arc<str>) -> Self {
        Self { members: Members::Classic(ClassicGroup::new(group_id)), offsets: Offsets::default(), wake_at_ms: None }
    }

    /// Whether replay would not bring it back, and nobody is on the way.
    pub fn is_vacant(&self) -> bool {
        let are_vacant = match &self.members {
            Members::Classic(group) => group.is_vacant(),
            Members::Consumer(group) => group.is_vacant(),
            Members::Foreign(_) => false,
        };
        are_vacant && self.offsets.is_empty()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        match &self.members {
            Members::Classic(group) => group.state() == State::Empty,
            Members::Consumer(group) => group.is_empty(),
            Members::Foreign(_) => true,
        }
    }

    /// Whether DeleteGroups removes it: a share group has state elsewhere that would be left.
    pub fn may_be_deleted(&self) -> bool {
        self.is_empty() && !matches!(self.members, Members::Foreign(ForeignGroup::Share))
    }

    /// Whether it goes when it has no offset left.
    pub fn ends_with_its_offsets(&self) -> bool {
        self.is_empty() && !matches!(self.members, Members::Foreign(_))
    }

    /// JoinGroup: answered now, or when the join phase of a classic group ends.
    pub fn join(&mut self, group_id: &Arc<str>, request: JoinGroup, token: Token, turn: &mut Turn<'_>) {
        let gives_way = match &self.members {
            Members::Classic(_) | Members::Foreign(ForeignGroup::Share) => false,
            Members::Consumer(group) => group.is_empty(),
            Members::Foreign(ForeignGroup::Streams { .. }) => true,
        };
        if gives_way {
            self.forget_members(group_id, turn);
        }
        match &mut self.members {
            Members::Classic(group) => group.join(request, token, turn),
            Members::Consumer(group) => {
                let reply = group.classic_join(request, turn);
                turn.reply(token, GroupReply::Join(reply));
            }
            Members::Foreign(_) => {
                let reply = JoinReply::refusal("", ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
                turn.reply(token, GroupReply::Join(reply));
            }
        }
    }

    /// SyncGroup: answered now, or when the leader of a classic group has brought the assignment.
    pub fn sync(&mut self, request: SyncGroup, token: Token, turn: &mut Turn<'_>) {
        match &mut self.members {
            Members::Classic(group) => group.sync(request, token, turn),
            Members::Consumer(group) => {
                let reply = group.classic_sync(&request, turn);
                turn.reply(token, GroupReply::Sync(reply));
            }
            Members::Foreign(_) => turn.reply(token, GroupReply::Sync(Err(ErrorCode::UNKNOWN_MEMBER_ID))),
        }
    }

    /// Heartbeat of the classic protocol.
    pub fn heartbeat(&mut self, request: &Heartbeat, turn: &mut Turn<'_>) -> ErrorCode {
        match &mut self.members {
            Members::Classic(group) => group.heartbeat(request, turn),
            Members::Consumer(group) => group.classic_heartbeat(request, turn),
            Members::Foreign(_) => ErrorCode::UNKNOWN_MEMBER_ID,
        }
    }

    /// LeaveGroup: a code for each member.
    pub fn leave(&mut self, request: &LeaveGroup, turn: &mut Turn<'_>) -> Vec<ErrorCode> {
        match &mut self.members {
            Members::Classic(group) => group.leave(request, turn),
            Members::Consumer(group) => group.classic_leave(request, turn),
            Members::Foreign(_) => vec![ErrorCode::UNKNOWN_MEMBER_ID; request.members.len()],
        }
    }

    /// ConsumerGroupHeartbeat, after its own checks. A join makes a consumer group of a classic one.
    pub fn consumer_heartbeat(
        &mut self,
        group_id: &Arc<str>,
        request: &ConsumerHeartbeat,
        turn: &mut Turn<'_>,
    ) -> Result<ConsumerHeartbeatReply, GroupError> {
        if request.is_join() && matches!(self.members, Members::Classic(_)) {
            if self.is_empty() {
                self.forget_members(group_id, turn);
                self.members = Members::Consumer(ConsumerGroup::new(Arc::clone(group_id)));
            } else {
                self.upgrade(group_id, turn)?;
            }
        }
        match &mut self.members {
            Members::Consumer(group) => group.heartbeat(request, turn),
            Members::Classic(_) | Members::Foreign(_) => {
                Err(GroupError::not_found(format!("Group {group_id} is not a consumer group.")))
            }
        }
    }

    /// Removes what an empty group has in the log beside its offsets.
    pub fn forget_members(&mut self, group_id: &Arc<str>, turn: &mut Turn<'_>) {
        match &self.members {
            Members::Classic(group) if group.is_vacant() => {}
            Members::Classic(_) => turn.record(&ClassicGroup::tombstone(group_id)),
            Members::Consumer(group) => group.record_tombstones(turn),
            Members::Foreign(group) => group.record_tombstones(group_id, turn),
        }
        self.members = Members::Classic(ClassicGroup::new(Arc::clone(group_id)));
    }

    /// One row of ListGroups.
    pub fn listing(&self, group_id: &str) -> GroupListing {
        match &self.members {
            Members::Classic(group) => group.listing(),
            Members::Consumer(group) => group.listing(),
            Members::Foreign(group) => group.listing(group_id),
        }
    }

    /// Whether the group reads the topic, as far as that can be known.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.members {
            Members::Classic(group) => group.is_subscribed_to(topic),
            Members::Consumer(group) => group.is_subscribed_to(topic),
            Members::Foreign(_) => false,
        }
    }

    /// From when on the retention of an offset counts; `None`: it does not expire now.
    fn retention_base_ms(&self, commit_timestamp_ms: i64) -> Option<i64> {
        match &self.members {
            Members::Classic(group) => group.retention_base_ms(commit_timestamp_ms),
            Members::Consumer(_) => Some(commit_timestamp_ms),
            Members::Foreign(_) => None,
        }
    }

    /// Whether an offset commit fits the group.
    pub fn check_commit(&mut self, request: &CommitOffsets, turn: &mut Turn<'_>) -> Result<(), ErrorCode> {
        if is_planted(PlantedBug::StaleCommitTaken) {
            return Ok(());
        }
        match &mut self.members {
            Members::Classic(group) => group.check_commit(request, turn),
            Members::Consumer(group) => group.check_commit(request),
            Members::Foreign(group) => group.check_commit(request),
        }
    }

    /// Whether offsets may be deleted; those of topics that are read never are.
    pub fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        match &self.members {
            Members::Classic(group) if group.state() != State::Empty && !group.is_consumer_protocol() => {
                Err(ErrorCode::NON_EMPTY_GROUP)
            }
            Members::Classic(_) | Members::Consumer(_) => Ok(()),
            Members::Foreign(group) => group.check_delete_offsets(),
        }
    }

    /// Offsets past their retention: not those of topics that the group reads, nor of open transactions.
    pub fn expired_offsets(&self, retention_ms: i64, now_ms: i64) -> Vec<(Arc<str>, i32)> {
        let is_expired = |offset: &CommittedOffset| match self.retention_base_ms(offset.commit_timestamp_ms) {
            Some(_) if offset.expire_timestamp_ms >= 0 => now_ms >= offset.expire_timestamp_ms,
            Some(base_ms) => now_ms.saturating_sub(base_ms) >= retention_ms,
            None => false,
        };
        let mut expired = Vec::new();
        for (topic, partitions) in self.offsets.topics() {
            let mut old = partitions.iter().filter(|(_, offset)| is_expired(offset)).peekable();
            if old.peek().is_some() && !self.is_subscribed_to(topic) {
                let stable = old.filter(|(partition, _)| !self.offsets.is_pending(topic, **partition));
                expired.extend(stable.map(|(partition, _)| (Arc::clone(topic), *partition)));
            }
        }
        expired
    }

    /// The log is replayed: sessions begin.
    pub fn on_loaded(&mut self, turn: &mut Turn<'_>) {
        match &mut self.members {
            Members::Classic(group) => group.on_loaded(turn),
            Members::Consumer(group) => group.on_loaded(turn),
            Members::Foreign(_) => {}
        }
    }

    /// Does what is due.
    pub fn on_time(&mut self, turn: &mut Turn<'_>) {
        match &mut self.members {
            Members::Classic(group) => group.on_time(turn),
            Members::Consumer(group) => group.on_time(turn),
            Members::Foreign(_) => {}
        }
    }
}
