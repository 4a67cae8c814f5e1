//! Before the load: versions, the topic (created when missing), its partitions and their leaders.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::time::Duration;

use ringlog_core::protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
    CreateTopicsResponse, ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use ringlog_core::protocol::{ApiKey, ErrorCode, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::reactor::{Parts, Reactor, Socket};
use ringlog_core::wire::{Array, DecodeError, EncodeError, Message, Reader};
use uuid::Uuid;

use super::Frames;

/// What this client calls itself.
pub const CLIENT_ID: &str = "ringlog-loadgen";
/// How often a topic without leaders is asked for again, with a pause of `RETRY` in between.
const ATTEMPTS_MAX: usize = 300;
const RETRY: Duration = Duration::from_millis(100);
/// Timestamps of ListOffsets that stand for the ends of a log.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// Why a run could not start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// No such host.
    #[error("{0} is no address")]
    Address(String),
    /// The connection failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
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
    Decode(#[from] DecodeError),
    /// The request cannot be written.
    #[error("the request cannot be written: {0}")]
    Encode(#[from] EncodeError),
    /// No version in common.
    #[error("the broker has no version of {0} that this client has")]
    Version(&'static str),
    /// The topic has no leaders, or not enough partitions.
    #[error("topic {topic}: {reason}")]
    Topic {
        /// Its name.
        topic: String,
        /// What is missing.
        reason: String,
    },
}

/// The versions that a broker has, by API key.
#[derive(Debug, Clone, Default)]
pub struct Versions(HashMap<i16, RangeInclusive<i16>>);

impl Versions {
    /// The highest version of `M` that both sides have.
    pub fn pick<'a, M: Message<'a>>(&self, api_key: ApiKey) -> Result<i16, SetupError> {
        let missing = SetupError::Version(api_key.name());
        let Some(theirs) = self.0.get(&(api_key as i16)) else { return Err(missing) };
        let version = (*theirs.end()).min(*M::VERSIONS.end());
        if version >= *theirs.start() && version >= *M::VERSIONS.start() { Ok(version) } else { Err(missing) }
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

/// What the load is aimed at.
#[derive(Debug, Clone)]
pub struct Target {
    /// The topic's name.
    pub topic_name: String,
    /// Its id, nil if the broker has none.
    pub topic_id: Uuid,
    /// By number, without a gap.
    pub partitions: Vec<Partition>,
    /// Of the bootstrap broker.
    pub versions: Versions,
    /// When it was asked, as records are stamped.
    pub wall_clock_ms: i64,
}

/// Asks the broker, creates the topic when it is missing, and waits until each partition has a leader.
pub async fn prepare(reactor: &Reactor, bootstrap: &str, spec: &TopicSpec) -> Result<Target, SetupError> {
    let mut asker = Asker::connect(reactor, resolve(bootstrap)?).await?;
    let mut created = spec.partitions.is_none();
    for _ in 0..ATTEMPTS_MAX {
        match asker.topic(spec).await? {
            Found::Topic(topic_id, mut partitions) => {
                if spec.with_offsets {
                    asker.offsets(reactor, spec, &mut partitions).await?;
                }
                return Ok(Target {
                    topic_name: spec.name.clone(),
                    topic_id,
                    partitions,
                    versions: asker.versions,
                    wall_clock_ms: reactor.wall_clock_ms(),
                });
            }
            Found::NotYet => {}
            Found::Missing if created && spec.partitions.is_none() => {
                let reason = "it does not exist (give --partitions to create it)".to_owned();
                return Err(SetupError::Topic { topic: spec.name.clone(), reason });
            }
            Found::Missing if created => {}
            Found::Missing => {
                asker.create(spec).await?;
                created = true;
            }
        }
        reactor.sleep(RETRY).await;
    }
    Err(SetupError::Topic { topic: spec.name.clone(), reason: "its partitions have no leaders".to_owned() })
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

/// Connects, asks for versions and metadata as every new client does, and closes.
pub async fn greet(reactor: &Reactor, address: SocketAddr, topic_name: &str) -> Result<(), SetupError> {
    let mut asker = Asker::connect(reactor, address).await?;
    let spec = TopicSpec { name: topic_name.to_owned(), ..TopicSpec::default() };
    match asker.topic(&spec).await? {
        Found::Topic(..) => Ok(()),
        Found::NotYet | Found::Missing => Err(SetupError::Topic { topic: spec.name, reason: "it has gone".to_owned() }),
    }
}

fn resolve(address: &str) -> Result<SocketAddr, SetupError> {
    let found = address.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| SetupError::Address(address.to_owned()))
}

enum Found {
    Topic(Uuid, Vec<Partition>),
    NotYet,
    Missing,
}

/// A connection that asks one question at a time.
struct Asker {
    socket: Socket,
    frames: Frames,
    correlation_id: i32,
    versions: Versions,
}

impl Asker {
    async fn connect(reactor: &Reactor, address: SocketAddr) -> Result<Self, SetupError> {
        let failed = |source| SetupError::Io { what: format!("connect to {address}"), source };
        let socket = reactor.connect(address).await.map_err(failed)?;
        let frames = Frames::new(socket.clone());
        let mut asker = Self { socket, frames, correlation_id: 0, versions: Versions::default() };
        let request = ApiVersionsRequest { client_software_name: CLIENT_ID, client_software_version: "1" };
        asker.exchange(ApiKey::ApiVersions, 0, &request).await?;
        let response: ApiVersionsResponse<'_> = asker.answer(ApiKey::ApiVersions, 0)?;
        check("ApiVersions", response.error_code, None)?;
        let versions = response.api_keys.iter().map(|api| (api.api_key, api.min_version..=api.max_version)).collect();
        asker.versions = Versions(versions);
        Ok(asker)
    }

    async fn exchange<'a>(&mut self, api_key: ApiKey, version: i16, body: &impl Message<'a>) -> Result<(), SetupError> {
        self.correlation_id += 1;
        let header = RequestHeader {
            api_key,
            api_version: version,
            correlation_id: self.correlation_id,
            client_id: Some(CLIENT_ID),
        };
        let encoded = encode_request(Vec::new(), &header, body)?;
        let failed = |source| SetupError::Io { what: api_key.name().to_owned(), source };
        self.socket.send_all(Parts::from_iter([encoded.bytes.into()])).await.map_err(failed)?;
        match self.frames.advance().await.map_err(failed)? {
            true => Ok(()),
            false => Err(failed(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    fn answer<'a, M: Message<'a>>(&'a self, api_key: ApiKey, version: i16) -> Result<M, SetupError> {
        let mut reader = Reader::new(self.frames.frame());
        ResponseHeader::decode(&mut reader, api_key, version)?;
        Ok(M::decode(&mut reader, version)?)
    }

    async fn topic(&mut self, spec: &TopicSpec) -> Result<Found, SetupError> {
        let version = self.versions.pick::<MetadataRequest<'_>>(ApiKey::Metadata)?;
        let topics = [MetadataRequestTopic { topic_id: Uuid::nil(), name: Some(&spec.name) }];
        let request = MetadataRequest {
            topics: Some(Array::from(&topics)),
            allow_auto_topic_creation: false,
            include_cluster_authorized_operations: false,
            include_topic_authorized_operations: false,
        };
        self.exchange(ApiKey::Metadata, version, &request).await?;
        let response: MetadataResponse<'_> = self.answer(ApiKey::Metadata, version)?;
        let brokers: HashMap<i32, SocketAddr> = response
            .brokers
            .iter()
            .map(|broker| Ok((broker.node_id, resolve(&format!("{}:{}", broker.host, broker.port))?)))
            .collect::<Result<_, SetupError>>()?;
        let Some(topic) = response.topics.iter().next() else { return Ok(Found::Missing) };
        match topic.error_code {
            ErrorCode::NONE => {}
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => return Ok(Found::Missing),
            ErrorCode::LEADER_NOT_AVAILABLE => return Ok(Found::NotYet),
            code => return Err(SetupError::Refused { what: "Metadata", code, message: None }),
        }
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let Some(leader) = brokers.get(&partition.leader_id) else { return Ok(Found::NotYet) };
            let index = partition.partition_index;
            partitions.push(Partition { index, leader: *leader, log_start_offset: 0, end_offset: 0 });
        }
        partitions.sort_by_key(|partition| partition.index);
        if partitions.is_empty() || spec.partitions.is_some_and(|wanted| partitions.len() < wanted as usize) {
            let reason = format!("it exists with {} partitions", partitions.len());
            return Err(SetupError::Topic { topic: spec.name.clone(), reason });
        }
        partitions.truncate(spec.partitions.map_or(usize::MAX, |wanted| wanted as usize));
        Ok(Found::Topic(topic.topic_id, partitions))
    }

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
        self.exchange(ApiKey::CreateTopics, version, &request).await?;
        let response: CreateTopicsResponse<'_> = self.answer(ApiKey::CreateTopics, version)?;
        match response.topics.iter().next() {
            Some(topic) if topic.error_code == ErrorCode::TOPIC_ALREADY_EXISTS => Ok(()),
            Some(topic) => check("CreateTopics", topic.error_code, topic.error_message),
            None => Ok(()),
        }
    }

    /// Asks each leader for both ends of its logs.
    async fn offsets(
        &mut self,
        reactor: &Reactor,
        spec: &TopicSpec,
        partitions: &mut [Partition],
    ) -> Result<(), SetupError> {
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
        self.exchange(ApiKey::ListOffsets, version, &request).await?;
        let response: ListOffsetsResponse<'_> = self.answer(ApiKey::ListOffsets, version)?;
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

fn check(what: &'static str, code: ErrorCode, message: Option<&str>) -> Result<(), SetupError> {
    let refused = || SetupError::Refused { what, code, message: message.map(str::to_owned) };
    if code.is_none() { Ok(()) } else { Err(refused()) }
}
