//! A group changes its protocol while its members live (KIP-848, `group.consumer.migration.policy`).
//!
//! A classic group becomes a consumer group when the first member of that protocol joins, and is a classic group again
//! when the last one has gone. The members that stay notice nothing but a rebalance.

use std::sync::Arc;

use bytes::Bytes;

use super::classic::ClassicGroup;
use super::consumer::ConsumerGroup;
use super::members::{Group, Members};
use super::{GroupError, Protocol, Turn};

/// What goes from the group of one protocol to that of the other.
#[derive(Debug)]
pub struct Handover {
    /// Or the epoch.
    pub generation_id: i32,
    /// All of the classic protocol.
    pub members: Vec<HandoverMember>,
}

/// One member.
#[derive(Debug)]
pub struct HandoverMember {
    pub member_id: Arc<str>,
    pub group_instance_id: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    /// In its order of preference.
    pub protocols: Vec<Protocol>,
    /// As the clients of the classic protocol read it; empty if it has none.
    pub assignment: Bytes,
}

impl Group {
    /// Makes a consumer group of a classic one with members.
    pub fn upgrade(&mut self, group_id: &Arc<str>, turn: &mut Turn<'_>) -> Result<(), GroupError> {
        let Members::Classic(classic) = &mut self.members else { return Ok(()) };
        let refused = |why: &str| Err(GroupError::not_found(format!("Group {group_id} stays a classic group: {why}.")));
        if !turn.settings.migration_policy.allows_upgrade() {
            return refused("group.consumer.migration.policy does not allow an upgrade");
        }
        if !classic.is_consumer_protocol() {
            return refused("its members are no consumers");
        }
        let handover = classic.handover();
        if handover.members.len() > turn.settings.consumer_max_size {
            return refused("it has more members than group.consumer.max.size");
        }
        let mut consumer = match ConsumerGroup::from_handover(Arc::clone(group_id), handover, turn.topics) {
            Ok(consumer) => consumer,
            Err(error) => return refused(&error.to_string()),
        };
        classic.dissolve(turn);
        consumer.begin(turn);
        self.members = Members::Consumer(consumer);
        Ok(())
    }

    /// Makes a classic group of a consumer group in which nobody speaks that protocol any more.
    pub fn downgrade_if_due(&mut self, group_id: &Arc<str>, turn: &mut Turn<'_>) {
        let Members::Consumer(consumer) = &self.members else { return };
        let is_due = consumer.is_classic()
            && turn.settings.migration_policy.allows_downgrade()
            && consumer.members_count() <= turn.settings.max_size;
        if is_due {
            let handover = consumer.handover(turn.topics);
            consumer.record_tombstones(turn);
            self.members = Members::Classic(ClassicGroup::from_handover(Arc::clone(group_id), handover, turn));
        }
    }
}
