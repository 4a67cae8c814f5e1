//! The classic group protocol: members join, the leader assigns, all sync, heartbeats keep them in.
//!
//! A group that only commits offsets is an empty group without a protocol type.
//!
//! Invariants:
//! - A generation has one leader and one protocol that all its members speak.
//! - Each waiting join or sync is answered once: when the phase ends, or when its member leaves or is replaced.
//! - `joining` counts the members that wait for the end of the join phase.

mod handover;
mod join;
mod member;
mod rebalance;
mod record;
mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ahash::AHashMap;
use ringlog_core::protocol::ErrorCode;

use self::member::Member;
use super::{GroupDescription, GroupListing, MemberDescription, Protocol};

/// Members that were told their id and have not joined with it yet, per group; more are told to try again.
const PENDING_MEMBERS_MAX: usize = 10_000;
/// Where a group is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No members.
    Empty,
    /// Waits for members to join.
    PreparingRebalance,
    /// Waits for the leader's assignment.
    CompletingRebalance,
    /// Every member has its assignment or can ask for it.
    Stable,
}

impl State {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A classic group.
#[derive(Debug)]
pub struct ClassicGroup {
    group_id: Arc<str>,
    state: State,
    /// The join phase began with an empty group and waits for `group.initial.rebalance.delay.ms`.
    is_initial_rebalance: bool,
    /// Wall clock of the last change of `state`; `None` if a record did not say.
    state_timestamp_ms: Option<i64>,
    generation_id: i32,
    protocol_type: Option<String>,
    protocol_name: Option<String>,
    leader: Option<Arc<str>>,
    members: BTreeMap<Arc<str>, Member>,
    /// Member ids by instance id.
    static_members: AHashMap<String, Arc<str>>,
    /// Members by protocol name.
    supported: AHashMap<String, usize>,
    /// Told their id, not joined yet: until this monotonic time.
    pending: BTreeMap<Arc<str>, i64>,
    joining: usize,
    /// Members of this generation that have not synced yet.
    not_synced: BTreeSet<Arc<str>>,
    /// End of the join phase.
    join_deadline_ms: Option<i64>,
    /// What is left of the initial delay after `join_deadline_ms`.
    initial_left_ms: i32,
    /// A member came since the initial delay was last extended.
    has_new_member: bool,
    /// End of the sync phase.
    sync_deadline_ms: Option<i64>,
    /// What the members subscribe to, where the protocol is `consumer` and could be read.
    subscribed_topics: Option<BTreeSet<String>>,
    /// Of all members' protocols.
    metadata_bytes: usize,
}

impl ClassicGroup {
    /// An empty group without a protocol.
    pub fn new(group_id: Arc<str>) -> Self {
        Self {
            group_id,
            state: State::Empty,
            is_initial_rebalance: false,
            state_timestamp_ms: None,
            generation_id: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: BTreeMap::new(),
            static_members: AHashMap::new(),
            supported: AHashMap::new(),
            pending: BTreeMap::new(),
            joining: 0,
            not_synced: BTreeSet::new(),
            join_deadline_ms: None,
            initial_left_ms: 0,
            has_new_member: false,
            sync_deadline_ms: None,
            subscribed_topics: None,
            metadata_bytes: 0,
        }
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether forgetting it loses nothing: no member, none on its way, and never a generation.
    pub fn is_vacant(&self) -> bool {
        self.state == State::Empty && self.pending.is_empty() && self.generation_id == 0
    }

    /// One row of ListGroups.
    pub fn listing(&self) -> GroupListing {
        GroupListing {
            group_id: self.group_id.to_string(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            state: self.state.name(),
            group_type: "classic",
        }
    }

    /// What DescribeGroups shows: metadata of a stable group alone, assignments as long as they stand.
    pub fn description(&self) -> GroupDescription {
        let is_stable = self.state == State::Stable;
        let protocol = self.protocol_name.as_deref().filter(|_| is_stable);
        let describe = |member: &Member| MemberDescription {
            member_id: member.member_id.to_string(),
            group_instance_id: member.group_instance_id.clone(),
            client_id: member.client_id.clone(),
            client_host: member.client_host.clone(),
            metadata: protocol.map(|protocol| member.metadata(protocol)).unwrap_or_default(),
            assignment: member.assignment.clone(),
        };
        GroupDescription {
            state: self.state.name(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_name: protocol.unwrap_or_default().to_owned(),
            members: self.members.values().map(describe).collect(),
        }
    }

    /// Whether the group reads the topic, as far as that can be known.
    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.subscribed_topics {
            Some(topics) => topics.contains(topic),
            None => self.is_consumer_protocol() && self.state != State::Empty,
        }
    }

    /// Whether the members are consumers, whose metadata the coordinator can read.
    pub fn is_consumer_protocol(&self) -> bool {
        self.protocol_type.as_deref() == Some("consumer")
    }

    /// From when on the retention of an offset counts, given the time of its commit; `None`: it does not expire now.
    pub fn retention_base_ms(&self, commit_timestamp_ms: i64) -> Option<i64> {
        match (&self.protocol_type, self.state) {
            (None, _) => Some(commit_timestamp_ms),
            (Some(_), State::Empty) => Some(self.state_timestamp_ms.unwrap_or(commit_timestamp_ms)),
            (Some(_), State::Stable) if self.is_consumer_protocol() && self.subscribed_topics.is_some() => {
                Some(commit_timestamp_ms)
            }
            (Some(_), _) => None,
        }
    }

    /// Whether this member, if it says an instance id, is the one that holds it.
    fn check_member(&self, member_id: &str, group_instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = group_instance_id {
            return match self.static_members.get(instance_id) {
                None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(holder) if **holder != *member_id => Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => Ok(()),
            };
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    /// Whether a member with these protocols can be one of the group.
    fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        // Without members, while the initial delay lasts, anything is.
        let speakers = |protocol: &Protocol| self.supported.get(&protocol.name).copied().unwrap_or(0);
        let spoken_by_all = |protocol: &Protocol| speakers(protocol) == self.members.len();
        self.protocol_type.as_deref() == Some(protocol_type) && protocols.iter().any(spoken_by_all)
    }

    /// The protocol that most members prefer among those that all speak.
    fn select_protocol(&self) -> Option<String> {
        let is_candidate = |name: &str| self.supported.get(name) == Some(&self.members.len());
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let preferred = member.protocols.iter().find(|protocol| is_candidate(&protocol.name));
            *votes.entry(&preferred?.name).or_default() += 1;
        }
        let (name, _) = votes.into_iter().max_by_key(|(_, count)| *count)?;
        Some(name.to_owned())
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    fn leader_id(&self) -> String {
        self.leader.as_deref().unwrap_or_default().to_owned()
    }

    /// The longest time that a member may need to join again.
    fn rebalance_timeout_ms(&self) -> i32 {
        self.members.values().map(|member| member.rebalance_timeout_ms).max().unwrap_or(0)
    }

    fn count_protocols(&mut self, protocols: &[Protocol], is_added: bool) {
        for protocol in protocols {
            if is_added {
                *self.supported.entry(protocol.name.clone()).or_default() += 1;
                self.metadata_bytes += protocol.size_bytes();
            } else {
                self.metadata_bytes -= protocol.size_bytes();
                let count = self.supported.get_mut(&protocol.name).expect("counted when it was added");
                *count -= 1;
                if *count == 0 {
                    self.supported.remove(&protocol.name);
                }
            }
        }
    }

    /// Adds a member; the first one leads.
    fn insert_member(&mut self, member: Member) {
        if self.members.is_empty() {
            self.protocol_type = Some(member.protocol_type.clone());
        }
        self.leader.get_or_insert_with(|| Arc::clone(&member.member_id));
        if let Some(instance_id) = &member.group_instance_id {
            self.static_members.insert(instance_id.clone(), Arc::clone(&member.member_id));
        }
        self.count_protocols(&member.protocols, true);
        self.joining += usize::from(member.awaiting_join.is_some());
        self.pending.remove(&member.member_id);
        self.members.insert(Arc::clone(&member.member_id), member);
    }

    /// Removes a member; another one leads if it did. What it waits for must have been answered.
    fn remove_member(&mut self, member_id: &str) -> Option<Member> {
        self.pending.remove(member_id);
        self.not_synced.remove(member_id);
        let member = self.members.remove(member_id)?;
        self.count_protocols(&member.protocols, false);
        self.joining -= usize::from(member.awaiting_join.is_some());
        if let Some(instance_id) = &member.group_instance_id {
            self.static_members.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    fn transition_to(&mut self, state: State, wall_ms: i64) {
        self.is_initial_rebalance = self.state == State::Empty && state == State::PreparingRebalance;
        self.state = state;
        self.state_timestamp_ms = Some(wall_ms);
    }
}
