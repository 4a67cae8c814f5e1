//! Before the load: the topic (created when missing), its partitions and their leaders.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ringlog_core::protocol::ApiKey;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse, ListOffsetsPartition,
    ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use ringlog_core::reactor::Reactor;
use ringlog_core::wire::{Array, DecodeError, EncodeError};
use uuid::Uuid;

use super::Versions;
use super::asker::{Asker, check, resolve_text};

/// How often a topic without leaders is asked for again, with a pause of `RETRY` in between.
const ATTEMPTS_MAX: usize = 300;
const RETRY: Duration = Duration::from_millis(100);
/// Timestamps of ListOffsets that stand for the ends of a log.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// Why a run could not start. The text has the cause in it, so that it is whole in the findings of a run; there is no
/// [`std::error::Error::source`] that would say it twice.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No such host.
    #[error("{0} is no address")]
    Address(String),
    /// The connection failed.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
    /// The broker refused.
    #[error("{what}: {code}{}", message.as_deref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Its answer.
        code: ErrorCode,
        /// In words.
        message: Option<String>,
    },
    /// The answer makes no sense.
    #[error("the answer cannot be read: {0}")]
    Decode(DecodeError),
    /// The request cannot be written.
    #[error("the request cannot be written: {0}")]
    Encode(EncodeError),
    /// No version in common.
    #[error("the broker has no version of {0} that this client has")]
    Version(&'static str),
    /// There is no such topic.
    #[error("topic {0} does not exist (give --partitions to create it)")]
    Missing(String),
    /// A commit before the run was refused.
    #[error("OffsetCommit: {0}")]
    NotCommitted(String),
    /// A member was given the part of another one.
    #[error("group {group_id}: member {member_id} was not given its own part")]
    Assignment {
        /// Its group.
        group_id: String,
        /// The member.
        member_id: String,
    },
    /// The topic has no leaders, or not enough partitions.
    #[error("topic {topic}: {reason}")]
    Topic {
        /// Its name.
        topic: String,
        /// What is missing.
        reason: String,
    },
}

impl From<DecodeError> for SetupError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<EncodeError> for SetupError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

/// The topic that is wanted.
#[derive(Debug, Clone, Default)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Partitions it is created with; without, it must exist.
    pub partitions: Option<i32>,
    /// Configuration it is created with.
    pub configs: Vec<(String, String)>,
    /// Ask for the ends of its logs too.
    pub with_offsets: bool,
}

impl TopicSpec {
    pub(super) fn has_no_leader(&self) -> SetupError {
        SetupError::Topic { topic: self.name.clone(), reason: "its partitions have no leaders".to_owned() }
    }
}

/// One partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub index: i32,
    /// Where its leader listens.
    pub leader: SocketAddr,
    /// First readable offset, if asked for.
    pub log_start_offset: i64,
    /// The offset behind the last readable one, if asked for.
    pub end_offset: i64,
}

/// A topic as a broker knows it.
#[derive(Debug)]
pub struct Topic {
    /// Nil if the broker has none.
    pub(super) id: Uuid,
    /// By number.
    pub(super) partitions: Vec<Partition>,
}

/// What the load is aimed at.
#[derive(Debug, Clone)]
pub struct Target {
    /// The broker that was asked.
    pub bootstrap: SocketAddr,
    /// The topic's name.
    pub topic_name: String,
    /// The topic's id, nil if the broker has none.
    pub topic_id: Uuid,
    /// By number, without a gap.
    pub partitions: Vec<Partition>,
    /// Of the bootstrap broker.
    pub versions: Versions,
    /// When it was asked, as records are stamped.
    pub wall_clock_ms: i64,
}

impl Target {
    /// The partitions of each broker.
    pub fn by_leader(&self) -> BTreeMap<SocketAddr, Vec<i32>> {
        let mut leaders = BTreeMap::<_, Vec<i32>>::new();
        for partition in &self.partitions {
            leaders.entry(partition.leader).or_default().push(partition.index);
        }
        leaders
    }
}

/// Asks the broker, creates the topic when it is missing, and waits until each partition has a leader.
pub async fn prepare(reactor: &Reactor, bootstrap: &str, spec: &TopicSpec) -> Result<Target, SetupError> {
    let address = resolve_text(bootstrap)?;
    let mut asker = Asker::connect(reactor, address).await?;
    let mut created = false;
    for _ in 0..ATTEMPTS_MAX {
        match asker.topic(spec).await {
            Ok(Some(mut topic)) => {
                // A leader of a new topic says so before it acts so: its offsets show that it is ready.
                let asked = match spec.with_offsets || created {
                    true => offsets(reactor, spec, &mut topic.partitions).await,
                    false => Ok(()),
                };
                match asked {
                    Err(SetupError::Refused { code, .. }) if is_not_ready(code) => {
                        reactor.sleep(RETRY).await;
                        continue;
                    }
                    asked => asked?,
                }
                return Ok(Target {
                    bootstrap: address,
                    topic_name: spec.name.clone(),
                    topic_id: topic.id,
                    partitions: topic.partitions,
                    versions: asker.versions,
                    wall_clock_ms: reactor.wall_clock_ms(),
                });
            }
            Ok(None) => {}
            Err(SetupError::Missing(_)) if created => {}
            Err(SetupError::Missing(_)) if spec.partitions.is_some() => {
                asker.create(spec).await?;
                created = true;
            }
            Err(error) => return Err(error),
        }
        reactor.sleep(RETRY).await;
    }
    Err(spec.has_no_leader())
}

fn is_not_ready(code: ErrorCode) -> bool {
    [ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::LEADER_NOT_AVAILABLE]
        .contains(&code)
}

/// Connects, asks for versions and metadata as every new client does, and closes.
pub async fn greet(reactor: &Reactor, address: SocketAddr, topic_name: &str) -> Result<(), SetupError> {
    let mut asker = Asker::connect(reactor, address).await?;
    let spec = TopicSpec { name: topic_name.to_owned(), ..TopicSpec::default() };
    asker.topic(&spec).await?.map(drop).ok_or_else(|| spec.has_no_leader())
}

/// Asks each leader for both ends of its logs.
pub async fn offsets(reactor: &Reactor, spec: &TopicSpec, partitions: &mut [Partition]) -> Result<(), SetupError> {
    let mut leaders: Vec<SocketAddr> = partitions.iter().map(|partition| partition.leader).collect();
    leaders.sort();
    leaders.dedup();
    for leader in leaders {
        let mut asker = Asker::connect(reactor, leader).await?;
        for timestamp in [EARLIEST, LATEST] {
            asker.offsets_at(spec, leader, partitions, timestamp).await?;
        }
    }
    Ok(())
}

impl Asker {
    async fn create(&mut self, spec: &TopicSpec) -> Result<(), SetupError> {
        let version = self.versions.pick::<CreateTopicsRequest<'_>>(ApiKey::CreateTopics)?;
        let configs: Vec<_> =
            spec.configs.iter().map(|(name, value)| CreatableTopicConfig { name, value: Some(value) }).collect();
        let topics = [CreatableTopic {
            name: &spec.name,
            num_partitions: spec.partitions.unwrap_or(1),
            replication_factor: 1,
            assignments: Array::default(),
            configs: Array::from(configs),
        }];
        let request = CreateTopicsRequest { topics: Array::from(&topics), timeout_ms: 60_000, validate_only: false };
        let response: CreateTopicsResponse<'_> = self.ask_in(ApiKey::CreateTopics, version, &request).await?;
        match response.topics.iter().next() {
            Some(topic) if topic.error_code == ErrorCode::TOPIC_ALREADY_EXISTS => Ok(()),
            Some(topic) => check("CreateTopics", topic.error_code, topic.error_message),
            None => Ok(()),
        }
    }

    async fn offsets_at(
        &mut self,
        spec: &TopicSpec,
        leader: SocketAddr,
        partitions: &mut [Partition],
        timestamp: i64,
    ) -> Result<(), SetupError> {
        let version = self.versions.pick::<ListOffsetsRequest<'_>>(ApiKey::ListOffsets)?;
        let asked = partitions.iter().filter(|partition| partition.leader == leader).map(|partition| {
            ListOffsetsPartition { partition_index: partition.index, current_leader_epoch: -1, timestamp }
        });
        let topics = [ListOffsetsTopic { name: &spec.name, partitions: asked.collect() }];
        let request =
            ListOffsetsRequest { replica_id: -1, isolation_level: 0, topics: Array::from(&topics), timeout_ms: 30_000 };
        let response: ListOffsetsResponse<'_> = self.ask_in(ApiKey::ListOffsets, version, &request).await?;
        for answer in response.topics.iter().flat_map(|topic| topic.partitions.iter().collect::<Vec<_>>()) {
            check("ListOffsets", answer.error_code, None)?;
            let found = partitions.iter_mut().find(|partition| partition.index == answer.partition_index);
            match found {
                Some(partition) if timestamp == EARLIEST => partition.log_start_offset = answer.offset,
                Some(partition) => partition.end_offset = answer.offset,
                None => {}
            }
        }
        Ok(())
    }
}
