//! The brokers of a cluster, each asked when it is needed.

use std::collections::HashMap;
use std::time::Duration;

use ringlog_core::protocol::messages::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic, MetadataRequest,
    MetadataRequestTopic, MetadataResponse,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};
use ringlog_core::wire::Message;
use serde::Serialize;

use super::{Answer, ClientError, Connection, check};
use crate::config::IsolationLevel;

/// A version of Metadata that names topics and knows no new error fields.
const METADATA_VERSION_MAX: i16 = 12;

/// Looks for a new topic, five seconds long.
const LOOKS_MAX: usize = 50;

#[expect(clippy::disallowed_methods, reason = "a command has no reactor")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

/// A cluster, entered by one of its brokers.
pub(in crate::cli) struct Cluster {
    entrance: Connection,
    /// Where each broker is.
    addresses: HashMap<i32, String>,
    open: HashMap<i32, Connection>,
}

/// A topic as the metadata shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct TopicInfo {
    pub(in crate::cli) name: String,
    pub(in crate::cli) internal: bool,
    pub(in crate::cli) partitions: Vec<PartitionInfo>,
}

/// A partition as the metadata shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct PartitionInfo {
    pub(in crate::cli) partition: i32,
    pub(in crate::cli) leader: i32,
    pub(in crate::cli) leader_epoch: i32,
    pub(in crate::cli) replicas: Vec<i32>,
    pub(in crate::cli) isr: Vec<i32>,
}

impl TopicInfo {
    /// One of its partitions, if it has it.
    pub(in crate::cli) fn partition(&self, partition: i32) -> Option<&PartitionInfo> {
        self.partitions.iter().find(|known| known.partition == partition)
    }
}

impl Cluster {
    /// Connects to one broker, and learns of the others.
    pub(in crate::cli) fn enter(bootstrap: &str) -> Result<Self, ClientError> {
        let entrance = Connection::open(bootstrap)?;
        let mut cluster = Self { entrance, addresses: HashMap::new(), open: HashMap::new() };
        cluster.metadata(Some(&[]))?;
        Ok(cluster)
    }

    /// Asks the broker that was entered; it passes on what is for the controller.
    pub(in crate::cli) fn ask<'a, M: Message<'a>>(
        &mut self,
        api_key: ApiKey,
        version_max: i16,
        request: &M,
    ) -> Result<Answer, ClientError> {
        self.entrance.ask(api_key, version_max, request)
    }

    /// Asks one broker.
    pub(in crate::cli) fn ask_broker<'a, M: Message<'a>>(
        &mut self,
        broker_id: i32,
        api_key: ApiKey,
        version_max: i16,
        request: &M,
    ) -> Result<Answer, ClientError> {
        if !self.open.contains_key(&broker_id) {
            let address = self.addresses.get(&broker_id).ok_or_else(|| ClientError::Refused {
                what: format!("broker {broker_id}"),
                code: ErrorCode::LEADER_NOT_AVAILABLE,
                message: String::new(),
            })?;
            self.open.insert(broker_id, Connection::open(address)?);
        }
        self.open.get_mut(&broker_id).expect("opened above").ask(api_key, version_max, request)
    }

    /// All topics, by name.
    pub(in crate::cli) fn topics(&mut self) -> Result<Vec<TopicInfo>, ClientError> {
        let mut topics = self.metadata(None)?;
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// One topic that is there.
    pub(in crate::cli) fn topic(&mut self, name: &str) -> Result<TopicInfo, ClientError> {
        let topics = self.metadata(Some(&[name]))?;
        topics.into_iter().next().ok_or_else(|| ClientError::Confused("the broker".to_owned()))
    }

    /// Waits until a topic that was created can be used: brokers learn of it after the controller has answered.
    pub(in crate::cli) fn wait_for_topic(&mut self, name: &str) -> Result<(), ClientError> {
        for _ in 0..LOOKS_MAX {
            match self.topic(name) {
                Err(ClientError::Refused { code, .. }) if code.is_retriable() => pause(),
                looked_up => return looked_up.map(drop),
            }
        }
        self.topic(name).map(drop)
    }

    /// The offset of one partition at `timestamp`: -1 is the end for that isolation level, -2 the start; -1 where there
    /// is none.
    pub(in crate::cli) fn offset(
        &mut self,
        topic: &str,
        partition: &PartitionInfo,
        timestamp: i64,
        isolation_level: IsolationLevel,
    ) -> Result<i64, ClientError> {
        let asked = ListOffsetsPartition { partition_index: partition.partition, timestamp, ..Default::default() };
        let topics = vec![ListOffsetsTopic { name: topic, partitions: vec![asked].into() }];
        let isolation_level = isolation_level.wire();
        let request =
            ListOffsetsRequest { replica_id: -1, isolation_level, topics: topics.into(), ..Default::default() };
        let answer = self.ask_broker(partition.leader, ApiKey::ListOffsets, i16::MAX, &request)?;
        let response: ListOffsetsResponse<'_> = answer.decode()?;
        let found = response.topics.iter().flat_map(|topic| topic.partitions.iter().collect::<Vec<_>>()).next();
        let found = found.ok_or_else(|| ClientError::Confused("the leader".to_owned()))?;
        check(&format!("{topic}-{}", partition.partition), found.error_code, None)?;
        Ok(found.offset)
    }

    fn metadata(&mut self, names: Option<&[&str]>) -> Result<Vec<TopicInfo>, ClientError> {
        let asked = names.map(|names| {
            let names = names.iter().map(|name| Some(*name));
            names.map(|name| MetadataRequestTopic { name, ..Default::default() }).collect()
        });
        let request = MetadataRequest { topics: asked, allow_auto_topic_creation: false, ..MetadataRequest::default() };
        let answer = self.entrance.ask(ApiKey::Metadata, METADATA_VERSION_MAX, &request)?;
        let response: MetadataResponse<'_> = answer.decode()?;
        for broker in &response.brokers {
            let host = if broker.host.contains(':') { format!("[{}]", broker.host) } else { broker.host.to_owned() };
            self.addresses.insert(broker.node_id, format!("{host}:{}", broker.port));
        }
        let mut topics = Vec::new();
        for topic in &response.topics {
            let name = topic.name.unwrap_or_default().to_owned();
            check(&name, topic.error_code, None)?;
            let partition =
                |partition: ringlog_core::protocol::messages::MetadataResponsePartition<'_>| PartitionInfo {
                    partition: partition.partition_index,
                    leader: partition.leader_id,
                    leader_epoch: partition.leader_epoch,
                    replicas: partition.replica_nodes.iter().collect(),
                    isr: partition.isr_nodes.iter().collect(),
                };
            let mut partitions: Vec<PartitionInfo> = topic.partitions.iter().map(partition).collect();
            partitions.sort_by_key(|partition| partition.partition);
            topics.push(TopicInfo { name, internal: topic.is_internal, partitions });
        }
        Ok(topics)
    }
}
