//! A classic group as a record of `__consumer_offsets`, and back.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ringlog_core::protocol::consumer_offsets::{
    CoordinatorRecord, GroupMetadataKey, GroupMetadataMember, GroupMetadataValue,
};
use ringlog_core::protocol::consumer_protocol::ConsumerProtocolSubscription;
use ringlog_core::wire::DecodeError;

use super::member::Member;
use super::{ClassicGroup, State};
use crate::coordinator::group::{Protocol, Turn};

impl ClassicGroup {
    /// Appends the group as it is.
    pub(super) fn record(&self, turn: &mut Turn<'_>) {
        let protocol_name = self.protocol_name.as_deref();
        let subscriptions: Vec<Bytes> =
            self.members.values().map(|member| member.metadata(protocol_name.unwrap_or_default())).collect();
        let members: Vec<GroupMetadataMember<'_>> = self
            .members
            .values()
            .zip(&subscriptions)
            .map(|(member, subscription)| GroupMetadataMember {
                member_id: &member.member_id,
                group_instance_id: member.group_instance_id.as_deref(),
                client_id: &member.client_id,
                client_host: &member.client_host,
                rebalance_timeout: member.rebalance_timeout_ms,
                session_timeout: member.session_timeout_ms,
                subscription,
                assignment: &member.assignment,
            })
            .collect();
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.as_deref().unwrap_or_default(),
            generation: self.generation_id,
            protocol: protocol_name,
            leader: self.leader.as_deref(),
            current_state_timestamp: self.state_timestamp_ms.unwrap_or(-1),
            members: members.into(),
        };
        turn.record(&CoordinatorRecord::GroupMetadata(GroupMetadataKey { group: &self.group_id }, Some(value)));
    }

    /// The group that a record says.
    pub fn from_record(group_id: Arc<str>, value: &GroupMetadataValue<'_>) -> Self {
        let mut group = Self::new(group_id);
        for member in &value.members {
            group.insert_member(member_of(&member, value));
        }
        group.state = if group.members.is_empty() { State::Empty } else { State::Stable };
        group.state_timestamp_ms = (value.current_state_timestamp >= 0).then_some(value.current_state_timestamp);
        group.generation_id = value.generation;
        group.protocol_type = Some(value.protocol_type).filter(|name| !name.is_empty()).map(str::to_owned);
        group.protocol_name = value.protocol.map(str::to_owned);
        group.leader = value.leader.map(Arc::from);
        group.refresh_subscribed_topics();
        group
    }

    /// The record that removes it.
    pub fn tombstone(group_id: &str) -> CoordinatorRecord<'_> {
        CoordinatorRecord::GroupMetadata(GroupMetadataKey { group: group_id }, None)
    }

    /// Reads what the members subscribe to, if they are consumers.
    pub(super) fn refresh_subscribed_topics(&mut self) {
        self.subscribed_topics = match &self.protocol_name {
            _ if !self.is_consumer_protocol() => None,
            Some(protocol) => {
                let topics = self.members.values().map(|member| subscription_topics(&member.metadata(protocol)));
                let all: Result<Vec<Vec<String>>, DecodeError> = topics.collect();
                all.ok().map(|topics| topics.into_iter().flatten().collect())
            }
            None if self.members.is_empty() => Some(BTreeSet::new()),
            None => None,
        };
    }
}

fn member_of(member: &GroupMetadataMember<'_>, value: &GroupMetadataValue<'_>) -> Member {
    let protocol = value.protocol.unwrap_or_default();
    let rebalance_timeout_ms =
        if member.rebalance_timeout >= 0 { member.rebalance_timeout } else { member.session_timeout };
    Member {
        member_id: member.member_id.into(),
        group_instance_id: member.group_instance_id.map(str::to_owned),
        client_id: member.client_id.to_owned(),
        client_host: member.client_host.to_owned(),
        session_timeout_ms: member.session_timeout,
        rebalance_timeout_ms,
        protocol_type: value.protocol_type.to_owned(),
        protocols: vec![Protocol { name: protocol.to_owned(), metadata: Bytes::copy_from_slice(member.subscription) }],
        assignment: Bytes::copy_from_slice(member.assignment),
        awaiting_join: None,
        awaiting_sync: None,
        is_new: false,
        session_deadline_ms: None,
    }
}

/// The topics in a consumer's metadata.
fn subscription_topics(metadata: &[u8]) -> Result<Vec<String>, DecodeError> {
    let (_, subscription) = ConsumerProtocolSubscription::from_bytes(metadata)?;
    Ok(subscription.topics.iter().map(str::to_owned).collect())
}
