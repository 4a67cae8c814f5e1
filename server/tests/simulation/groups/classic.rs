//! The classic protocol as an eager consumer speaks it: before it joins it gives up all that it has.

use std::collections::BTreeSet;
use std::io;

use ringlog_core::protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, ConsumerProtocolTopicPartition,
};
use ringlog_core::protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
    LeaveGroupRequest, MemberIdentity, SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::wire::{Message, Writer};

use super::super::wire::Link;
use super::member::Member;
use super::{REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS, TOPIC, is_unavailable};

impl Member {
    /// A heartbeat; a join and a sync if it has no generation.
    pub(super) async fn beat_classic(&mut self, link: &mut Link) -> io::Result<()> {
        if self.epoch == 0 {
            return self.join(link).await;
        }
        let sent = self.now();
        let request = HeartbeatRequest {
            group_id: &self.plan.group,
            generation_id: self.epoch,
            member_id: &self.member_id,
            group_instance_id: self.plan.instance_id.as_deref(),
        };
        let answer = link.call(ApiKey::Heartbeat, 4, &request).await?;
        let answer: HeartbeatResponse = answer.decode();
        match answer.error_code {
            // It may come from a coordinator that does not know its members yet, as in Kafka: it says that the member has not
            // been put out since it was last heard, and nothing if that is so long ago that it may have been.
            ErrorCode::NONE if self.now().0 >= self.holds_until => self.give_up(),
            ErrorCode::NONE => self.hold(self.owned.clone(), sent),
            code => self.on_error(code).await,
        }
        Ok(())
    }

    async fn on_error(&mut self, code: ErrorCode) {
        self.client.note(|| format!("{} of {}: {code}", self.name(), self.plan.group));
        match code {
            ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::ILLEGAL_GENERATION => self.give_up(),
            ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_INSTANCE_ID => {
                self.give_up();
                self.member_id.clear();
            }
            code if is_unavailable(code) => self.wait_for_coordinator().await,
            code => panic!("{} of {}: {code}", self.name(), self.plan.group),
        }
    }

    async fn join(&mut self, link: &mut Link) -> io::Result<()> {
        let subscription = subscription();
        let protocol = JoinGroupRequestProtocol { name: "range", metadata: &subscription };
        let request = JoinGroupRequest {
            group_id: &self.plan.group,
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            member_id: &self.member_id,
            group_instance_id: self.plan.instance_id.as_deref(),
            protocol_type: "consumer",
            protocols: vec![protocol].into(),
            reason: None,
        };
        let answer = link.call(ApiKey::JoinGroup, 9, &request).await?;
        let answer: JoinGroupResponse<'_> = answer.decode();
        match answer.error_code {
            ErrorCode::NONE | ErrorCode::MEMBER_ID_REQUIRED => self.member_id = answer.member_id.to_owned(),
            code => {
                self.on_error(code).await;
                return Ok(());
            }
        }
        if answer.error_code.is_none() { self.sync(link, &answer).await } else { Ok(()) }
    }

    async fn sync(&mut self, link: &mut Link, joined: &JoinGroupResponse<'_>) -> io::Result<()> {
        let assignments =
            if joined.leader == joined.member_id && !joined.skip_assignment { self.assign(joined) } else { Vec::new() };
        let sent = self.now();
        let request = SyncGroupRequest {
            group_id: &self.plan.group,
            generation_id: joined.generation_id,
            member_id: joined.member_id,
            group_instance_id: self.plan.instance_id.as_deref(),
            protocol_type: joined.protocol_type,
            protocol_name: joined.protocol_name,
            assignments: assignments
                .iter()
                .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment })
                .collect(),
        };
        let answer = link.call(ApiKey::SyncGroup, 5, &request).await?;
        let answer: SyncGroupResponse<'_> = answer.decode();
        match answer.error_code {
            ErrorCode::NONE => {
                self.epoch = joined.generation_id;
                self.hold(partitions_of(answer.assignment), sent);
            }
            code => self.on_error(code).await,
        }
        Ok(())
    }

    /// What the leader brings: each partition to one of the members.
    fn assign(&self, joined: &JoinGroupResponse<'_>) -> Vec<(String, Vec<u8>)> {
        let partitions_count = self.client.bench.groups.borrow_mut().acked(&self.plan.group).len();
        let members: Vec<_> = joined.members.iter().collect();
        let of_member = |at: usize| {
            let partitions = (0..partitions_count).filter(|partition| partition % members.len() == at);
            let partitions: Vec<i32> = partitions.map(|partition| partition as i32).collect();
            let topic = ConsumerProtocolTopicPartition { topic: TOPIC, partitions: partitions[..].into() };
            let assignment = ConsumerProtocolAssignment { assigned_partitions: vec![topic].into(), user_data: None };
            assignment.to_bytes(0).expect("a short assignment")
        };
        members.iter().enumerate().map(|(at, member)| (member.member_id.to_owned(), of_member(at))).collect()
    }

    pub(super) async fn leave_classic(&self, link: &mut Link, member_id: &str) -> io::Result<()> {
        let group_instance_id = self.plan.instance_id.as_deref();
        let identity = MemberIdentity { member_id, group_instance_id, reason: None };
        let request = LeaveGroupRequest { group_id: &self.plan.group, member_id: "", members: vec![identity].into() };
        link.call(ApiKey::LeaveGroup, 5, &request).await.map(drop)
    }
}

/// As bytes, version 0.
fn subscription() -> Vec<u8> {
    let mut writer = Writer::with_buffer(Vec::new());
    writer.put_i16(0);
    let subscription = ConsumerProtocolSubscription {
        topics: vec![TOPIC].into(),
        user_data: None,
        owned_partitions: Default::default(),
        generation_id: -1,
        rack_id: None,
    };
    subscription.encode(&mut writer, 0);
    writer.finish().expect("a short subscription").bytes
}

/// None in no bytes.
fn partitions_of(assignment: &[u8]) -> BTreeSet<i32> {
    if assignment.is_empty() {
        return BTreeSet::new();
    }
    let (_, assignment) = ConsumerProtocolAssignment::from_bytes(assignment).expect("an assignment");
    let mut partitions = BTreeSet::new();
    for topic in &assignment.assigned_partitions {
        assert_eq!(topic.topic, TOPIC, "nobody asked for it");
        partitions.extend(&topic.partitions);
    }
    partitions
}
