//! A connection that asks one question at a time: before the load, after it, and when the way was lost.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use ringlog_core::protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use ringlog_core::protocol::{ApiKey, ErrorCode, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::reactor::{Parts, Reactor, Socket};
use ringlog_core::wire::{Array, Message, Reader};
use uuid::Uuid;

use super::setup::{Partition, SetupError, Topic, TopicSpec};
use super::{Frames, Versions};

/// What this client calls itself.
pub const CLIENT_ID: &str = "ringlog-loadgen";
/// From this version on FindCoordinator takes several keys (KIP-699).
const SEVERAL_KEYS_FROM: i16 = 4;

/// Asks.
#[derive(Debug)]
pub struct Asker {
    address: SocketAddr,
    socket: Socket,
    frames: Frames,
    correlation_id: i32,
    pub(super) versions: Versions,
}

impl Asker {
    /// Connects and asks for versions.
    pub async fn connect(reactor: &Reactor, address: SocketAddr) -> Result<Self, SetupError> {
        let failed = |error| SetupError::Io { what: format!("connect to {address}"), error };
        let socket = reactor.connect(address).await.map_err(failed)?;
        let frames = Frames::new(socket.clone());
        let mut asker = Self { address, socket, frames, correlation_id: 0, versions: Versions::default() };
        asker.versions = asker.ask_versions().await?;
        Ok(asker)
    }

    /// Asks which versions the broker has.
    pub async fn ask_versions(&mut self) -> Result<Versions, SetupError> {
        let request = ApiVersionsRequest { client_software_name: CLIENT_ID, client_software_version: "1" };
        let response: ApiVersionsResponse<'_> = self.ask_in(ApiKey::ApiVersions, 0, &request).await?;
        check("ApiVersions", response.error_code, None)?;
        Ok(response.api_keys.iter().map(|api| (api.api_key, api.min_version..=api.max_version)).collect())
    }

    /// Whom it asks.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The versions that the broker has.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Sends a request in `version` and waits for the answer.
    pub async fn ask_in<'a, 'b, M: Message<'b>>(
        &'b mut self,
        api_key: ApiKey,
        version: i16,
        body: &impl Message<'a>,
    ) -> Result<M, SetupError> {
        self.correlation_id += 1;
        let header = RequestHeader {
            api_key,
            api_version: version,
            correlation_id: self.correlation_id,
            client_id: Some(CLIENT_ID),
        };
        let encoded = encode_request(Vec::new(), &header, body)?;
        self.exchange(api_key, encoded.bytes).await?;
        let mut reader = Reader::new(self.frames.frame());
        ResponseHeader::decode(&mut reader, api_key, version)?;
        Ok(M::decode(&mut reader, version)?)
    }

    /// Sends a whole frame and waits for the frame that answers it.
    pub async fn exchange(&mut self, api_key: ApiKey, frame: Vec<u8>) -> Result<&[u8], SetupError> {
        let failed = |error| SetupError::Io { what: api_key.name().to_owned(), error };
        self.socket.send_all(Parts::from_iter([frame.into()])).await.map_err(failed)?;
        match self.frames.advance().await.map_err(failed)? {
            true => Ok(self.frames.frame()),
            false => Err(failed(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// The topic as it is now, once all its partitions have leaders.
    pub async fn topic(&mut self, spec: &TopicSpec) -> Result<Option<Topic>, SetupError> {
        let version = self.versions.pick::<MetadataRequest<'_>>(ApiKey::Metadata)?;
        let topics = [MetadataRequestTopic { topic_id: Uuid::nil(), name: Some(&spec.name) }];
        let request = MetadataRequest {
            topics: Some(Array::from(&topics)),
            allow_auto_topic_creation: false,
            include_cluster_authorized_operations: false,
            include_topic_authorized_operations: false,
        };
        let response: MetadataResponse<'_> = self.ask_in(ApiKey::Metadata, version, &request).await?;
        let brokers: HashMap<i32, SocketAddr> = response
            .brokers
            .iter()
            .map(|broker| Ok((broker.node_id, resolve(broker.host, broker.port)?)))
            .collect::<Result<_, SetupError>>()?;
        let missing = || SetupError::Missing(spec.name.clone());
        let topic = response.topics.iter().next().ok_or_else(missing)?;
        match topic.error_code {
            ErrorCode::NONE => {}
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => return Err(missing()),
            ErrorCode::LEADER_NOT_AVAILABLE => return Ok(None),
            code => return Err(SetupError::Refused { what: "Metadata", code, message: None }),
        }
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let Some(leader) = brokers.get(&partition.leader_id) else { return Ok(None) };
            let index = partition.partition_index;
            partitions.push(Partition { index, leader: *leader, log_start_offset: 0, end_offset: 0 });
        }
        partitions.sort_by_key(|partition| partition.index);
        if partitions.is_empty() || spec.partitions.is_some_and(|wanted| partitions.len() < wanted as usize) {
            let reason = format!("it exists with {} partitions", partitions.len());
            return Err(SetupError::Topic { topic: spec.name.clone(), reason });
        }
        partitions.truncate(spec.partitions.map_or(usize::MAX, |wanted| wanted as usize));
        Ok(Some(Topic { id: topic.topic_id, partitions }))
    }

    /// Where the coordinator of a group is.
    pub async fn coordinator(&mut self, group_id: &str) -> Result<SocketAddr, SetupError> {
        let version = self.versions.pick::<FindCoordinatorRequest<'_>>(ApiKey::FindCoordinator)?;
        let keys = [group_id];
        let request = FindCoordinatorRequest { key: group_id, key_type: 0, coordinator_keys: Array::from(&keys) };
        let response: FindCoordinatorResponse<'_> = self.ask_in(ApiKey::FindCoordinator, version, &request).await?;
        let single = Coordinator {
            key: group_id,
            node_id: response.node_id,
            host: response.host,
            port: response.port,
            error_code: response.error_code,
            error_message: response.error_message,
        };
        let found = if version < SEVERAL_KEYS_FROM { Some(single) } else { response.coordinators.iter().next() };
        let Some(Coordinator { host, port, error_code, error_message, .. }) = found else {
            let code = ErrorCode::COORDINATOR_NOT_AVAILABLE;
            return Err(SetupError::Refused { what: "FindCoordinator", code, message: None });
        };
        check("FindCoordinator", error_code, error_message)?;
        resolve(host, port)
    }
}

/// The first address of a host.
pub fn resolve(host: &str, port: i32) -> Result<SocketAddr, SetupError> {
    resolve_text(&format!("{host}:{port}"))
}

/// The first address of `HOST:PORT`.
pub fn resolve_text(address: &str) -> Result<SocketAddr, SetupError> {
    let found = address.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| SetupError::Address(address.to_owned()))
}

/// An error code as an error.
pub fn check(what: &'static str, code: ErrorCode, message: Option<&str>) -> Result<(), SetupError> {
    let refused = || SetupError::Refused { what, code, message: message.map(str::to_owned) };
    if code.is_none() { Ok(()) } else { Err(refused()) }
}
