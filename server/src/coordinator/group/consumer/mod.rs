//! The consumer group protocol (KIP-848): members heartbeat, the coordinator assigns.
//!
//! A change of members, subscriptions or topics raises the group epoch; the first heartbeat after that, and after the
//! assignment interval, computes the target assignment of that epoch, so that a storm of joins computes few of them; each
//! member then moves towards it by itself, first giving up what it must.
//!
//! Invariants:
//! - A partition has one owner: it is given to a member only when no member holds it, and a member holds what it was
//!   told to revoke until it confirms.
//! - Members of the classic protocol are members like others: their generation is their epoch.
//! - `member_epoch <= assignment_epoch <= group_epoch`.
//! - Everything here but the deadlines comes from records, by the same setters live and in replay.

pub mod assignor;
mod classic;
mod handover;
mod heartbeat;
mod member;
mod re2;
mod record;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ahash::AHashMap;
use ringlog_core::protocol::ErrorCode;
use uuid::Uuid;

use self::member::{Member, MemberState};
use self::subscription::Subscriptions;
use super::{
    CommitOffsets, CommitTopic, ConsumerGroupDescription, ConsumerMemberDescription, GroupListing, TopicPartitionNames,
    Topics, Turn,
};

/// The group epoch and the assignment epoch before the first member joins, as in Kafka.
const FIRST_EPOCH: i32 = 1;

/// Partitions by topic id.
pub type Assignment = BTreeMap<Uuid, BTreeSet<i32>>;

/// A group of KIP-848.
#[derive(Debug)]
pub struct ConsumerGroup {
    group_id: Arc<str>,
    group_epoch: i32,
    /// Of the subscribed topics, as of `group_epoch`.
    metadata_hash: i64,
    assignment_epoch: i32,
    /// Wall clock at which the target of `assignment_epoch` was computed; 0 if it was not, or nobody knows.
    assignment_timestamp_ms: i64,
    members: BTreeMap<Arc<str>, Member>,
    /// What all members say of themselves.
    members_bytes: usize,
    subscriptions: Subscriptions,
    /// Member ids by instance id.
    static_members: AHashMap<String, Arc<str>>,
    /// What each member is to have at `assignment_epoch`.
    target: BTreeMap<Arc<str>, Assignment>,
    /// Who holds a partition, or has not confirmed yet that it gave it up.
    owners: AHashMap<(Uuid, i32), Arc<str>>,
    /// Regular expressions and subscription metadata that a Kafka broker left in the log.
    resolved_regexes: BTreeSet<String>,
    has_partition_metadata: bool,
    /// The version of the topics that `metadata_hash` was last compared with.
    topics_version: Option<i64>,
}

impl ConsumerGroup {
    /// Without members.
    pub fn new(group_id: Arc<str>) -> Self {
        Self {
            group_id,
            group_epoch: FIRST_EPOCH,
            metadata_hash: 0,
            assignment_epoch: FIRST_EPOCH,
            assignment_timestamp_ms: 0,
            members: BTreeMap::new(),
            members_bytes: 0,
            subscriptions: Subscriptions::default(),
            static_members: AHashMap::new(),
            target: BTreeMap::new(),
            owners: AHashMap::new(),
            resolved_regexes: BTreeSet::new(),
            has_partition_metadata: false,
            topics_version: None,
        }
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether forgetting it loses nothing.
    pub fn is_vacant(&self) -> bool {
        self.is_empty() && self.group_epoch == FIRST_EPOCH
    }

    /// Kafka's name of the state.
    pub fn state_name(&self) -> &'static str {
        if self.is_empty() {
            "Empty"
        } else if self.group_epoch > self.assignment_epoch {
            "Assigning"
        } else if self.members.values().any(|member| !member.is_reconciled_to(self.assignment_epoch)) {
            "Reconciling"
        } else {
            "Stable"
        }
    }

    /// One row of ListGroups.
    pub fn listing(&self) -> GroupListing {
        GroupListing {
            group_id: self.group_id.to_string(),
            protocol_type: "consumer".to_owned(),
            state: self.state_name(),
            group_type: "consumer",
        }
    }

    /// Whether a member reads the topic.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.subscriptions.contains(topic)
    }

    /// Whether a member subscribes by this expression, so that it is one.
    pub fn has_expression(&self, expression: &str) -> bool {
        self.subscriptions.has_expression(expression)
    }

    /// What ConsumerGroupDescribe shows.
    pub fn description(&self, topics: &dyn Topics) -> ConsumerGroupDescription {
        let names = |assignment: &Assignment| -> Vec<TopicPartitionNames> {
            let known = assignment.iter().filter_map(|(topic_id, partitions)| {
                let topic_name = topics.name(*topic_id)?;
                Some(TopicPartitionNames {
                    topic_id: *topic_id,
                    topic_name,
                    partitions: partitions.iter().copied().collect(),
                })
            });
            known.collect()
        };
        let describe = |member: &Member| ConsumerMemberDescription {
            member_id: member.member_id.to_string(),
            instance_id: member.instance_id.clone(),
            rack_id: member.rack_id.clone(),
            member_epoch: member.member_epoch,
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            subscribed_topic_names: member.topic_names.iter().cloned().collect(),
            subscribed_topic_regex: member.regex.clone(),
            is_classic: member.classic.is_some(),
            assigned: names(&member.held_by_topic()),
            target: self.target.get(&member.member_id).map(names).unwrap_or_default(),
        };
        ConsumerGroupDescription {
            state: self.state_name(),
            group_epoch: self.group_epoch,
            assignment_epoch: self.assignment_epoch,
            assignor_name: self.preferred_assignor().name(),
            members: self.members.values().map(describe).collect(),
        }
    }

    /// Whether an offset commit fits the group.
    pub fn check_commit(&self, request: &CommitOffsets) -> Result<(), ErrorCode> {
        if request.generation_id < 0 && self.is_empty() {
            return Ok(());
        }
        let member = self.members.get(request.member_id.as_str()).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member.classic.is_none() && !request.knows_member_epochs {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        let epoch = request.generation_id;
        let had = |topic: &CommitTopic| {
            topic.partitions.iter().all(|partition| member.had_since(epoch, topic.topic_id, partition.partition_index))
        };
        let fits = epoch == member.member_epoch || request.topics.iter().all(had);
        if fits { Ok(()) } else { Err(member.stale_epoch_code()) }
    }

    /// Whether an offset fetch fits: one of a member names its epoch; who names neither member nor epoch may always ask.
    pub fn check_fetch(&self, member_id: Option<&str>, member_epoch: i32) -> Result<(), ErrorCode> {
        if member_id.is_none() && member_epoch < 0 {
            return Ok(());
        }
        let member = member_id.and_then(|member_id| self.members.get(member_id)).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if member_epoch == member.member_epoch { Ok(()) } else { Err(member.stale_epoch_code()) }
    }

    /// After a restart every member gets a full session to be heard again.
    pub fn on_loaded(&mut self, turn: &mut Turn<'_>) {
        for member in self.members.values_mut() {
            member.session_deadline_ms = Some(turn.wake_after(member.session_timeout_ms(turn.consumer_times)));
            if member.state == MemberState::UnrevokedPartitions {
                member.rebalance_deadline_ms = Some(turn.wake_after(member.rebalance_timeout_ms));
            }
        }
    }

    /// Removes members whose session, or whose part in a rebalance, took too long; asks to be woken for what comes next.
    pub fn on_time(&mut self, turn: &mut Turn<'_>) {
        let now_ms = turn.now.monotonic_ms;
        let deadline =
            |member: &Member| member.session_deadline_ms.into_iter().chain(member.rebalance_deadline_ms).min();
        let late = self.members.values().filter(|member| deadline(member).is_some_and(|deadline| deadline <= now_ms));
        for member_id in late.map(|member| Arc::clone(&member.member_id)).collect::<Vec<_>>() {
            self.fence(&member_id, turn);
        }
        turn.wake_at_ms = self.members.values().filter_map(deadline).min();
    }
}
