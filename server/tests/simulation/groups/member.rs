//! A member of a group, over all its processes: each joins, holds partitions, commits, and leaves, crashes or stalls.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use ringlog_core::protocol::messages::{
    FindCoordinatorRequest, FindCoordinatorResponse, OffsetCommitRequest, OffsetCommitRequestPartition,
    OffsetCommitRequestTopic, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchRequestGroup,
    OffsetFetchRequestTopics, OffsetFetchResponse,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::reactor::Instant;
use uuid::Uuid;

use super::super::bench::Client;
use super::super::wire::Link;
use super::{LEASE, TOPIC, is_unavailable};

/// How a member speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Classic,
    /// KIP-848.
    Consumer,
}

/// What stays the same over a member's processes.
#[derive(Debug, Clone)]
pub struct MemberPlan {
    pub group: String,
    pub protocol: Protocol,
    /// Of a static member.
    pub instance_id: Option<String>,
}

/// One process.
pub struct Member {
    pub(super) client: Client,
    pub(super) plan: MemberPlan,
    pub(super) member_id: String,
    /// Or generation; 0 while it has none.
    pub(super) epoch: i32,
    pub(super) owned: BTreeSet<i32>,
    /// Virtual time until which it is a member for sure.
    pub(super) holds_until: u64,
    /// An answer may have been lost: say everything.
    pub(super) says_all: bool,
    /// What it has differs from what it told the coordinator last.
    pub(super) owes_owned: bool,
    /// When it sent the first heartbeat of the consumer protocol after the last answer without an error.
    pub(super) asks_since: Option<Instant>,
    /// As the coordinator names it.
    pub(super) topic_id: Uuid,
}

/// How a process ends.
enum End {
    Crash,
    Leave,
}

/// Starts it.
pub fn start(client: Client, plan: MemberPlan) {
    client.reactor.clone().spawn(async move {
        loop {
            let mut member = Member::new(client.clone(), plan.clone());
            member.live().await;
            member.give_up();
            client.pause(30_000).await;
        }
    });
}

/// Asks for the committed offsets of a group until they are told.
pub async fn verify(client: &Client, plan: &MemberPlan) {
    let member = Member::new(client.clone(), plan.clone());
    loop {
        let looked = async {
            let mut link = Link::connect(&client.reactor, client.bench.broker).await?;
            member.look(&mut link).await
        };
        match looked.await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => client.note(|| format!("verifier: {error}")),
        }
        client.pause(5_000).await;
    }
}

impl Member {
    fn new(client: Client, plan: MemberPlan) -> Self {
        // Of the classic protocol the coordinator names it.
        let member_id = match plan.protocol {
            Protocol::Classic => String::new(),
            Protocol::Consumer => format!("{:016x}", client.reactor.random_u64()),
        };
        Self {
            client,
            plan,
            member_id,
            epoch: 0,
            owned: BTreeSet::new(),
            holds_until: 0,
            says_all: true,
            owes_owned: false,
            asks_since: None,
            topic_id: Uuid::nil(),
        }
    }

    /// Lives over any number of connections.
    async fn live(&mut self) {
        loop {
            let (life, draining) = (self.client.bench.life.get(), self.client.bench.draining.get());
            match self.converse().await {
                Ok(End::Crash) => return self.client.note(|| format!("{} crashes", self.name())),
                Ok(End::Leave) => return self.client.note(|| format!("{} leaves", self.name())),
                Err(error) => {
                    self.client.note(|| format!("{}: {error}", self.name()));
                    let is_healthy = draining && life == self.client.bench.life.get();
                    assert!(!is_healthy || error.kind() != io::ErrorKind::TimedOut, "{} waits for ever", self.name());
                    self.says_all = true;
                }
            }
            self.client.pause(20_000).await;
        }
    }

    async fn converse(&mut self) -> io::Result<End> {
        let mut link = Link::connect(&self.client.reactor, self.client.bench.broker).await?;
        self.find_coordinator(&mut link).await?;
        loop {
            match self.plan.protocol {
                Protocol::Classic => self.beat_classic(&mut link).await?,
                Protocol::Consumer => self.beat_consumer(&mut link).await?,
            }
            if !self.client.bench.draining.get() {
                match self.client.below(100) {
                    0 => return Ok(End::Crash),
                    1..3 => {
                        self.leave(&mut link).await?;
                        return Ok(End::Leave);
                    }
                    // A long pause: it may be out, and does not know.
                    3..5 => self.client.pause(300_000).await,
                    _ => {}
                }
            }
            if self.client.one_in(2) {
                self.commit(&mut link).await?;
            }
            if self.client.one_in(6) {
                self.look(&mut link).await?;
            }
            self.client.pause(16_000).await;
        }
    }

    async fn leave(&mut self, link: &mut Link) -> io::Result<()> {
        let (member_id, is_member) = (self.member_id.clone(), self.epoch > 0);
        self.give_up();
        match self.plan.protocol {
            Protocol::Classic => self.leave_classic(link, &member_id).await,
            Protocol::Consumer if is_member => self.leave_consumer(link).await,
            Protocol::Consumer => Ok(()),
        }
    }

    /// Who it is to the model: a static member is the same in all its processes.
    pub(super) fn name(&self) -> &str {
        self.plan.instance_id.as_deref().unwrap_or(&self.member_id)
    }

    pub(super) fn now(&self) -> Instant {
        self.client.reactor.now()
    }

    /// An answer to what was sent at `sent` says, or confirms, that it has this.
    pub(super) fn hold(&mut self, owned: BTreeSet<i32>, sent: Instant) {
        let until = sent.0 + LEASE.as_nanos() as u64;
        self.client.note(|| format!("{} of {} in epoch {}: {owned:?}", self.name(), self.plan.group, self.epoch));
        let mut model = self.client.bench.groups.borrow_mut();
        model.holds(&self.plan.group, self.name(), self.epoch, &owned, until, self.now().0);
        drop(model);
        (self.owned, self.holds_until) = (owned, until);
    }

    /// It reads nothing until it is given something again.
    pub(super) fn give_up(&mut self) {
        self.client.bench.groups.borrow_mut().holds_nothing(&self.plan.group, self.name());
        (self.epoch, self.owes_owned, self.says_all) = (0, false, true);
        self.owned.clear();
    }

    async fn find_coordinator(&self, link: &mut Link) -> io::Result<()> {
        let keys = vec![&*self.plan.group].into();
        let request = FindCoordinatorRequest { key: "", key_type: 0, coordinator_keys: keys };
        let answer = link.call(ApiKey::FindCoordinator, 4, &request).await?;
        let answer: FindCoordinatorResponse<'_> = answer.decode();
        match answer.coordinators.iter().next().expect("one group was asked").error_code {
            ErrorCode::NONE => Ok(()),
            code if is_unavailable(code) => Err(io::Error::other("no coordinator")),
            code => panic!("FindCoordinator: {code}"),
        }
    }

    /// Commits some of what it has.
    async fn commit(&mut self, link: &mut Link) -> io::Result<()> {
        let partitions: Vec<i32> = self.owned.iter().copied().filter(|_| self.client.one_in(2)).collect();
        if partitions.is_empty() {
            return Ok(());
        }
        let of_partition = |&partition_index: &i32| OffsetCommitRequestPartition {
            partition_index,
            committed_offset: self.client.bench.groups.borrow_mut().commits(
                &self.plan.group,
                self.name(),
                self.epoch,
                partition_index,
            ),
            committed_leader_epoch: -1,
            committed_metadata: None,
        };
        let sent: Vec<_> = partitions.iter().map(of_partition).collect();
        let topic = OffsetCommitRequestTopic { name: TOPIC, topic_id: Uuid::nil(), partitions: sent[..].into() };
        let request = OffsetCommitRequest {
            group_id: &self.plan.group,
            generation_id_or_member_epoch: self.epoch,
            member_id: &self.member_id,
            group_instance_id: self.plan.instance_id.as_deref(),
            retention_time_ms: -1,
            topics: vec![topic].into(),
        };
        let answer = link.call(ApiKey::OffsetCommit, 9, &request).await?;
        let answer: OffsetCommitResponse<'_> = answer.decode();
        let topic = answer.topics.iter().next().expect("one topic was sent");
        let mut model = self.client.bench.groups.borrow_mut();
        for (asked, result) in sent.iter().zip(&topic.partitions) {
            let (partition, offset) = (asked.partition_index, asked.committed_offset);
            self.client.note(|| {
                let (name, group) = (self.name(), &self.plan.group);
                format!("{name} of {group} commits {offset} of {partition}: {}", result.error_code)
            });
            match result.error_code {
                ErrorCode::NONE => model.committed(&self.plan.group, partition, offset),
                ErrorCode::UNKNOWN_MEMBER_ID
                | ErrorCode::ILLEGAL_GENERATION
                | ErrorCode::STALE_MEMBER_EPOCH
                | ErrorCode::REBALANCE_IN_PROGRESS
                | ErrorCode::FENCED_INSTANCE_ID
                | ErrorCode::GROUP_ID_NOT_FOUND
                // A leader may be faster than the one who creates the topic.
                | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => model.refused(&self.plan.group, partition, offset),
                // It may be there after the restart.
                code if is_unavailable(code) => {}
                code => panic!("OffsetCommit: {code}"),
            }
        }
        Ok(())
    }

    /// Asks what is committed, and compares it with the model. False if the coordinator does not tell now.
    async fn look(&self, link: &mut Link) -> io::Result<bool> {
        let acked = self.client.bench.groups.borrow_mut().acked(&self.plan.group);
        let partition_indexes = (0..acked.len() as i32).collect();
        let topic = OffsetFetchRequestTopics { name: TOPIC, topic_id: Uuid::nil(), partition_indexes };
        let group = OffsetFetchRequestGroup {
            group_id: &self.plan.group,
            member_id: None,
            member_epoch: -1,
            topics: Some(vec![topic].into()),
        };
        let request = OffsetFetchRequest { groups: vec![group].into(), ..OffsetFetchRequest::default() };
        let answer = link.call(ApiKey::OffsetFetch, 9, &request).await?;
        let answer: OffsetFetchResponse<'_> = answer.decode();
        let group = answer.groups.iter().next().expect("one group was asked");
        match group.error_code {
            ErrorCode::NONE => {}
            code if is_unavailable(code) => return Ok(false),
            code => panic!("OffsetFetch: {code}"),
        }
        let topic = group.topics.iter().next().expect("one topic was asked");
        let mut model = self.client.bench.groups.borrow_mut();
        for (result, acked) in topic.partitions.iter().zip(acked) {
            assert!(result.error_code.is_none(), "OffsetFetch: {}", result.error_code);
            model.sees(&self.plan.group, result.partition_index, result.committed_offset, acked);
        }
        Ok(true)
    }

    /// The coordinator is not there: a little later again.
    pub(super) async fn wait_for_coordinator(&self) {
        self.client.reactor.sleep(Duration::from_millis(5)).await;
    }
}
