//! A coordinator with its log in memory and a clock that is moved by hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::consumer_offsets::CoordinatorRecord;
use uuid::Uuid;

use crate::config::GroupSettings;
use crate::coordinator::group::{
    Assignment, CommitOffsets, CommitPartition, CommitTopic, ConsumerHeartbeat, Coordinator, FetchOffsets, FetchTopic,
    GroupConfigs, GroupReply, GroupRequest, Heartbeat, JoinGroup, JoinReply, LeaveGroup, NewGroupRecord, Now, Output,
    Protocol, Scene, SyncGroup, SyncReply, Token, Topics,
};

/// The group of most tests.
pub const GROUP: &str = "group";

/// Topics with their number of partitions; a topic's id is its place.
#[derive(Debug, Default)]
pub struct TestTopics {
    pub topics: Vec<(&'static str, i32)>,
    pub version: i64,
}

impl TestTopics {
    pub fn set(&mut self, topics: &[(&'static str, i32)]) {
        self.topics = topics.to_vec();
        self.version += 1;
    }

    fn at(&self, topic_id: Uuid) -> Option<&(&'static str, i32)> {
        self.topics.get(topic_id.as_u128() as usize - 1)
    }
}

impl Topics for TestTopics {
    fn version(&self) -> i64 {
        self.version
    }

    fn id(&self, name: &str) -> Option<Uuid> {
        let at = self.topics.iter().position(|(other, _)| *other == name)?;
        Some(Uuid::from_u128(at as u128 + 1))
    }

    fn name(&self, topic_id: Uuid) -> Option<String> {
        self.at(topic_id).map(|(name, _)| (*name).to_owned())
    }

    fn partitions_count(&self, topic_id: Uuid) -> Option<i32> {
        self.at(topic_id).map(|(_, count)| *count)
    }

    fn for_each(&self, call: &mut dyn FnMut(&str, Uuid, bool)) {
        for ((name, _), at) in self.topics.iter().zip(1..) {
            call(name, Uuid::from_u128(at), name.starts_with("__"));
        }
    }
}

/// A coordinator in a test.
pub struct Harness {
    pub settings: Arc<GroupSettings>,
    pub coordinator: Coordinator,
    pub now: Now,
    pub topics: TestTopics,
    pub configs: GroupConfigs,
    /// None, unless a test says more: targets are computed at once.
    pub assignment_interval_ms: i32,
    /// What was appended, in order.
    pub log: Vec<NewGroupRecord>,
    /// Answers that were given and not taken yet.
    pub replies: BTreeMap<Token, GroupReply>,
    /// What the leader of a classic group gives to the member of this id and place; its own id, unless a test says more.
    pub assignment_of: fn(&str, usize) -> Bytes,
    next_token: u64,
}

impl Harness {
    pub fn new(settings: GroupSettings) -> Self {
        let settings = Arc::new(settings);
        let mut harness = Self {
            coordinator: Coordinator::new(Arc::clone(&settings)),
            settings,
            now: Now { monotonic_ms: 1000, wall_ms: 1_700_000_000_000 },
            topics: TestTopics::default(),
            configs: GroupConfigs::new(),
            assignment_interval_ms: 0,
            log: Vec::new(),
            replies: BTreeMap::new(),
            assignment_of: |member_id, _| Bytes::copy_from_slice(member_id.as_bytes()),
            next_token: 0,
        };
        harness.reload();
        harness
    }

    /// No initial delay: a group forms as soon as its first member has joined.
    pub fn without_delay() -> Self {
        Self::new(GroupSettings { initial_rebalance_delay_ms: 0, ..GroupSettings::default() })
    }

    pub fn send(&mut self, request: GroupRequest) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.step(|coordinator, at, output| coordinator.handle(request, token, at, output));
        token
    }

    fn step(&mut self, step: impl FnOnce(&mut Coordinator, Scene<'_>, &mut Output)) {
        let mut output = Output::default();
        let at = Scene {
            now: self.now,
            topics: &self.topics,
            configs: &self.configs,
            assignment_interval_ms: self.assignment_interval_ms,
        };
        step(&mut self.coordinator, at, &mut output);
        self.log.extend(output.records);
        for (token, reply) in output.replies {
            assert!(self.replies.insert(token, reply).is_none(), "a request is answered once");
        }
    }

    /// Sends, and takes the answer that comes at once.
    pub fn ask(&mut self, request: GroupRequest) -> GroupReply {
        let token = self.send(request);
        self.replies.remove(&token).expect("answered at once")
    }

    /// Moves the clock to each wake-up until `ms` have passed.
    pub fn pass(&mut self, ms: i64) {
        let end_ms = self.now.monotonic_ms + ms;
        while let Some(at) = self.coordinator.wake_at_ms().filter(|at| *at <= end_ms) {
            self.move_clock(at.max(self.now.monotonic_ms));
            self.step(Coordinator::on_time);
        }
        self.move_clock(end_ms);
    }

    /// A topic is deleted.
    pub fn forget_topic(&mut self, topic: &str, topic_id: Uuid) {
        let topic = (topic.to_owned(), topic_id);
        self.step(|coordinator, at, output| coordinator.forget_topics(&[topic], at, output));
    }

    fn move_clock(&mut self, monotonic_ms: i64) {
        self.now.wall_ms += monotonic_ms - self.now.monotonic_ms;
        self.now.monotonic_ms = monotonic_ms;
    }

    /// The broker starts again: everything in memory is gone, the log is replayed.
    pub fn reload(&mut self) {
        self.coordinator = Coordinator::new(Arc::clone(&self.settings));
        for NewGroupRecord { key, value } in &self.log {
            let record = CoordinatorRecord::decode(key, value.as_deref()).expect("own bytes").expect("own type");
            self.coordinator.replay(&record, -1);
        }
        self.step(Coordinator::on_loaded);
    }

    pub fn take_join(&mut self, token: Token) -> Option<JoinReply> {
        match self.replies.remove(&token)? {
            GroupReply::Join(reply) => Some(reply),
            other => panic!("{other:?}"),
        }
    }

    pub fn take_sync(&mut self, token: Token) -> Option<Result<SyncReply, ErrorCode>> {
        match self.replies.remove(&token)? {
            GroupReply::Sync(reply) => Some(reply),
            other => panic!("{other:?}"),
        }
    }

    /// A new dynamic member joins in two steps; the token of the second.
    pub fn join_new(&mut self) -> (String, Token) {
        let reply = self.ask(GroupRequest::Join(join("", &["range"])));
        let GroupReply::Join(JoinReply { error_code: ErrorCode::MEMBER_ID_REQUIRED, member_id, .. }) = reply else {
            panic!("{reply:?}")
        };
        let token = self.send(GroupRequest::Join(join(&member_id, &["range"])));
        (member_id, token)
    }

    /// The leader assigns.
    pub fn sync_leader(&mut self, reply: &JoinReply) -> Token {
        let of = |(at, member_id): (usize, &String)| (member_id.clone(), (self.assignment_of)(member_id, at));
        let assignments = reply.members.iter().map(|member| &member.member_id).enumerate().map(of).collect();
        self.send(GroupRequest::Sync(SyncGroup { assignments, ..sync(&reply.member_id, reply.generation_id) }))
    }

    /// A stable group of `count` members: their ids, the leader's first, and the generation.
    pub fn stable_group(&mut self, count: usize) -> (Vec<String>, i32) {
        let mut members = vec![self.join_new()];
        self.pass(0);
        for _ in 1..count {
            let member = self.join_new();
            members.push(member);
            // The others join again when their heartbeat says so.
            for at in 0..members.len() - 1 {
                let member_id = members[at].0.clone();
                if self.take_join(members[at].1).is_some() || !self.replies.contains_key(&members[at].1) {
                    members[at].1 = self.send(GroupRequest::Join(join(&member_id, &["range"])));
                }
            }
        }
        let replies: Vec<JoinReply> =
            members.iter().map(|(_, token)| self.take_join(*token).expect("all have joined")).collect();
        let leader = replies.iter().find(|reply| reply.member_id == reply.leader).expect("a leader").clone();
        self.sync_leader(&leader);
        let mut ids: Vec<String> = members.into_iter().map(|(member_id, _)| member_id).collect();
        ids.sort_by_key(|member_id| *member_id != leader.leader);
        for member_id in &ids[1..] {
            self.send(GroupRequest::Sync(sync(member_id, leader.generation_id)));
        }
        self.replies.clear();
        (ids, leader.generation_id)
    }

    /// A stable classic group of one member, in a broker with an initial delay.
    pub fn stable_group_after_delay(&mut self) -> (String, i32) {
        let (member_id, token) = self.join_new();
        self.pass(i64::from(self.settings.initial_rebalance_delay_ms));
        let reply = self.take_join(token).expect("the delay is over");
        self.sync_leader(&reply);
        self.replies.clear();
        (member_id, reply.generation_id)
    }

    pub fn heartbeat(&mut self, member_id: &str, generation_id: i32) -> ErrorCode {
        let request = Heartbeat {
            group_id: GROUP.to_owned(),
            generation_id,
            member_id: member_id.to_owned(),
            group_instance_id: None,
        };
        match self.ask(GroupRequest::Heartbeat(request)) {
            GroupReply::Heartbeat(code) => code,
            other => panic!("{other:?}"),
        }
    }

    pub fn leave(&mut self, member_id: &str, instance_id: Option<&str>) -> ErrorCode {
        let members = vec![(member_id.to_owned(), instance_id.map(str::to_owned))];
        match self.ask(GroupRequest::Leave(LeaveGroup { group_id: GROUP.to_owned(), members })) {
            GroupReply::Leave(Ok(codes)) => codes[0],
            GroupReply::Leave(Err(code)) => code,
            other => panic!("{other:?}"),
        }
    }

    pub fn commit(&mut self, request: CommitOffsets) -> Result<Vec<ErrorCode>, ErrorCode> {
        match self.ask(GroupRequest::CommitOffsets(request)) {
            GroupReply::CommitOffsets(committed) => committed,
            other => panic!("{other:?}"),
        }
    }

    /// The committed offset of partition 0 of topic `t`.
    pub fn committed(&mut self) -> i64 {
        self.fetch(None, -1, Uuid::nil()).expect("anyone may ask")
    }

    /// The same, as a member asks for it, or for a topic of this id.
    pub fn fetch(&mut self, member_id: Option<&str>, member_epoch: i32, topic_id: Uuid) -> Result<i64, ErrorCode> {
        let topic = FetchTopic { topic_name: "t".to_owned(), topic_id, partitions: vec![0] };
        let fetch = FetchOffsets {
            group_id: GROUP.to_owned(),
            member_id: member_id.map(str::to_owned),
            member_epoch,
            require_stable: false,
            topics: Some(vec![topic]),
        };
        match self.ask(GroupRequest::FetchOffsets(fetch)) {
            GroupReply::FetchOffsets(topics) => topics.map(|topics| topics[0].partitions[0].offset),
            other => panic!("{other:?}"),
        }
    }

    pub fn state(&mut self) -> &'static str {
        match self.ask(GroupRequest::Describe(GROUP.to_owned())) {
            GroupReply::Describe(Ok(description)) => description.state,
            GroupReply::Describe(Err(error)) if error.error_code == ErrorCode::GROUP_ID_NOT_FOUND => "Dead",
            other => panic!("{other:?}"),
        }
    }
}

/// A join of the group with these protocols.
pub fn join(member_id: &str, protocols: &[&str]) -> JoinGroup {
    thread_local! {
        static NEXT_ID: std::cell::Cell<u128> = const { std::cell::Cell::new(0) };
    }
    let protocol = |name: &&str| Protocol { name: (*name).to_owned(), metadata: subscription(&["t"]) };
    JoinGroup {
        group_id: GROUP.to_owned(),
        member_id: member_id.to_owned(),
        group_instance_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".to_owned(),
        protocols: protocols.iter().map(protocol).collect(),
        requires_known_member_id: true,
        knows_skip_assignment: true,
        random_id: Uuid::from_u128(NEXT_ID.replace(NEXT_ID.get() + 1)),
    }
}

/// A follower's sync.
pub fn sync(member_id: &str, generation_id: i32) -> SyncGroup {
    SyncGroup { group_id: GROUP.to_owned(), generation_id, member_id: member_id.to_owned(), ..SyncGroup::default() }
}

/// The topic id that [`commit`] names.
pub const COMMITTED_TOPIC: Uuid = Uuid::from_u128(7);

/// A commit of partition 0 of topic `t`.
pub fn commit(member_id: &str, generation_id: i32, offset: i64) -> CommitOffsets {
    let partition = CommitPartition { partition_index: 0, offset, leader_epoch: 3, metadata: "note".to_owned() };
    let topic = CommitTopic { topic_name: "t".to_owned(), topic_id: COMMITTED_TOPIC, partitions: vec![partition] };
    CommitOffsets {
        group_id: GROUP.to_owned(),
        member_id: member_id.to_owned(),
        group_instance_id: None,
        generation_id,
        retention_time_ms: -1,
        knows_member_epochs: true,
        topics: vec![topic],
    }
}

/// A consumer's metadata, version 0: these topics and no user data.
pub fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    bytes.into()
}

/// A join that says that its member holds partitions of topic `t`: version 1 of the metadata.
pub fn owning(mut request: JoinGroup, partitions: &[i32]) -> JoinGroup {
    for protocol in &mut request.protocols {
        let mut bytes = subscription(&["t"]).to_vec();
        bytes[1] = 1;
        bytes.extend(&topic_partitions("t", partitions));
        protocol.metadata = bytes.into();
    }
    request
}

/// A consumer's assignment, version 0: partitions of one topic and no user data.
pub fn assignment(topic: &str, partitions: &[i32]) -> Bytes {
    [&[0, 0], &topic_partitions(topic, partitions)[..], &(-1i32).to_be_bytes()].concat().into()
}

fn topic_partitions(topic: &str, partitions: &[i32]) -> Vec<u8> {
    let mut bytes = 1i32.to_be_bytes().to_vec();
    bytes.extend((topic.len() as i16).to_be_bytes());
    bytes.extend(topic.as_bytes());
    bytes.extend((partitions.len() as i32).to_be_bytes());
    bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
    bytes
}

/// A heartbeat of the consumer protocol: a join says everything, others nothing.
pub fn heartbeat_848(member_id: &str, member_epoch: i32) -> ConsumerHeartbeat {
    let is_join = member_epoch == 0;
    ConsumerHeartbeat {
        group_id: GROUP.to_owned(),
        member_id: member_id.to_owned(),
        knows_own_member_id: true,
        member_epoch,
        instance_id: None,
        rack_id: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        rebalance_timeout_ms: if is_join { 60_000 } else { -1 },
        topic_names: is_join.then(|| vec!["t".to_owned()]),
        regex: None,
        assignor: None,
        owned: is_join.then(Assignment::new),
        random_id: Uuid::nil(),
    }
}
