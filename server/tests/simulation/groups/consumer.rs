//! The consumer protocol (KIP-848): heartbeats say what has changed, and what was given up is confirmed by the next.

use std::collections::BTreeSet;
use std::io;

use ringlog_core::protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, ConsumerGroupHeartbeatTopicPartitions,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};

use super::super::wire::Link;
use super::member::Member;
use super::{REBALANCE_TIMEOUT_MS, TOPIC, is_unavailable};

const VERSION: i16 = 1;
const LEAVES: i32 = -1;
/// A static member, which comes back.
const LEAVES_FOR_A_WHILE: i32 = -2;

impl Member {
    /// One heartbeat, which is a join if it has no epoch.
    pub(super) async fn beat_consumer(&mut self, link: &mut Link) -> io::Result<()> {
        let says_all = self.epoch == 0 || self.says_all;
        let partitions = self.owned.iter().copied().collect();
        let held = ConsumerGroupHeartbeatTopicPartitions { topic_id: self.topic_id, partitions };
        let held = if self.owned.is_empty() { Vec::new() } else { vec![held] };
        let sent = self.now();
        let asks_since = *self.asks_since.get_or_insert(sent);
        let request = ConsumerGroupHeartbeatRequest {
            group_id: &self.plan.group,
            member_id: &self.member_id,
            member_epoch: self.epoch,
            instance_id: self.plan.instance_id.as_deref(),
            rack_id: None,
            rebalance_timeout_ms: if says_all { REBALANCE_TIMEOUT_MS } else { -1 },
            subscribed_topic_names: says_all.then(|| vec![TOPIC].into()),
            subscribed_topic_regex: None,
            server_assignor: None,
            topic_partitions: (says_all || self.owes_owned).then(|| held.into()),
        };
        let answer = link.call(ApiKey::ConsumerGroupHeartbeat, VERSION, &request).await?;
        let answer: ConsumerGroupHeartbeatResponse<'_> = answer.decode();
        match answer.error_code {
            ErrorCode::NONE => {}
            code => {
                self.on_heartbeat_error(code).await;
                return Ok(());
            }
        }
        (self.says_all, self.owes_owned, self.asks_since) = (false, false, None);
        let mut owned = self.owned.clone();
        if let Some(assignment) = &answer.assignment {
            owned = BTreeSet::new();
            for topic in &assignment.topic_partitions {
                self.topic_id = topic.topic_id;
                owned.extend(&topic.partitions);
            }
        }
        let gives_up = !self.owned.is_subset(&owned);
        if gives_up && self.client.one_in(2) {
            // Records in hand are worked off first.
            self.client.pause(20_000).await;
        }
        self.owes_owned = self.owned != owned;
        self.epoch = answer.member_epoch;
        // For that it has its rebalance timeout from when it was told first: in Kafka, too, asking again does not extend it.
        self.hold(owned, if gives_up { asks_since } else { sent });
        Ok(())
    }

    /// As after a lost answer: what the coordinator would have said may be in its log, and is not said again by itself.
    async fn on_heartbeat_error(&mut self, code: ErrorCode) {
        self.says_all = true;
        self.client.note(|| format!("{} of {}: {code}", self.name(), self.plan.group));
        match code {
            ErrorCode::FENCED_MEMBER_EPOCH | ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::GROUP_ID_NOT_FOUND => {
                self.give_up();
            }
            ErrorCode::FENCED_INSTANCE_ID => {
                self.give_up();
                self.member_id = format!("{:016x}", self.client.reactor.random_u64());
            }
            // Its earlier process was not heard to leave, and its session is not over.
            ErrorCode::UNRELEASED_INSTANCE_ID => {}
            code if is_unavailable(code) => self.wait_for_coordinator().await,
            code => panic!("{} of {}: {code}", self.name(), self.plan.group),
        }
    }

    pub(super) async fn leave_consumer(&self, link: &mut Link) -> io::Result<()> {
        let request = ConsumerGroupHeartbeatRequest {
            group_id: &self.plan.group,
            member_id: &self.member_id,
            member_epoch: if self.plan.instance_id.is_some() { LEAVES_FOR_A_WHILE } else { LEAVES },
            instance_id: self.plan.instance_id.as_deref(),
            ..ConsumerGroupHeartbeatRequest::default()
        };
        link.call(ApiKey::ConsumerGroupHeartbeat, VERSION, &request).await.map(drop)
    }
}
