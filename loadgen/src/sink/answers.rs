//! What the sink answers to each request.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ringlog_core::protocol::messages::{
    ApiVersion, ApiVersionsResponse, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse, EpochEndOffset,
    FetchRequest, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, ListOffsetsPartitionResponse,
    ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse, MetadataRequest, MetadataResponse,
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic, PartitionData, PartitionProduceResponse,
    ProduceRequest, ProduceResponse, SnapshotId, TopicProduceResponse,
};
use ringlog_core::protocol::{ApiKey, ErrorCode, RequestHeader};
use ringlog_core::record::{BatchBuilder, BatchHeader, NewRecord, patch_base_offset_and_epoch};
use ringlog_core::wire::{Array, Reader, Records};
use uuid::Uuid;

use super::groups::{Committed, find_coordinator};
use super::kept::Kept;
use super::request::Request;
use super::{Fault, SinkConfig, members};

pub(super) const NODE_ID: i32 = 1;
/// Records and bytes of the batch that every fetch gets.
const BATCH_RECORDS: usize = 16;
const RECORD_BYTES: usize = 1_000;
/// Each partition pretends to hold so many records.
const END_OFFSET: i64 = 16_000;
/// Highest versions in which topics go by their names.
const APIS: [(ApiKey, i16, i16); 13] = [
    (ApiKey::Produce, 3, 12),
    (ApiKey::Fetch, 4, 12),
    (ApiKey::ListOffsets, 1, 9),
    (ApiKey::Metadata, 1, 9),
    (ApiKey::ApiVersions, 0, 0),
    (ApiKey::CreateTopics, 2, 6),
    (ApiKey::FindCoordinator, 0, 6),
    (ApiKey::OffsetCommit, 2, 9),
    (ApiKey::OffsetFetch, 1, 9),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
];

/// What may be held back and be wrong.
const LOAD: [ApiKey; 6] =
    [ApiKey::Produce, ApiKey::Fetch, ApiKey::OffsetCommit, ApiKey::OffsetFetch, ApiKey::SyncGroup, ApiKey::Heartbeat];

/// The topics of a sink.
#[derive(Debug)]
pub struct Topics {
    address: SocketAddr,
    /// The next offset by partition.
    topics: BTreeMap<String, Vec<i64>>,
    committed: Committed,
    /// What was produced, if it is kept.
    kept: Option<Kept>,
    batch: Vec<u8>,
    fault: Option<(Fault, u64)>,
    answers: u64,
}

impl Topics {
    /// None so far.
    pub fn new(address: SocketAddr, config: &SinkConfig) -> Self {
        let value: Vec<u8> = (0..RECORD_BYTES).map(|index| (index * 31) as u8).collect();
        let mut builder = BatchBuilder::new();
        (0..BATCH_RECORDS).for_each(|_| builder.push(NewRecord { value: Some(&value), ..NewRecord::default() }));
        let batch = builder.build();
        Self {
            address,
            topics: BTreeMap::new(),
            committed: Committed::default(),
            kept: config.keep.then(Kept::default),
            batch,
            fault: config.fault,
            answers: 0,
        }
    }

    /// Appends the answer to one frame (none with acks=0), and tells whether it was one of [`LOAD`]. Nothing if the frame
    /// cannot be read, or if the fault says so: then the connection is closed.
    pub(super) fn answer(&mut self, frame: &[u8], out: &mut Vec<u8>) -> Option<bool> {
        let mut body = Reader::new(frame);
        let header = RequestHeader::decode(&mut body).ok()?;
        let is_load = LOAD.contains(&header.api_key);
        self.answers += u64::from(is_load);
        let fault =
            self.fault.filter(|(_, every)| is_load && self.answers.is_multiple_of(*every)).map(|(fault, _)| fault);
        if fault == Some(Fault::Close) {
            return None;
        }
        let request = &mut Request { header, fault, body, out };
        match header.api_key {
            ApiKey::ApiVersions => api_versions(request)?,
            ApiKey::Metadata => self.metadata(request)?,
            ApiKey::CreateTopics => self.create_topics(request)?,
            ApiKey::ListOffsets => self.list_offsets(request)?,
            ApiKey::Produce => self.produce(request)?,
            ApiKey::Fetch => self.fetch(request)?,
            ApiKey::FindCoordinator => find_coordinator(request, self.address)?,
            ApiKey::OffsetCommit => self.committed.commit(request)?,
            ApiKey::OffsetFetch => self.committed.fetch(request)?,
            ApiKey::JoinGroup => members::join(request)?,
            ApiKey::SyncGroup => members::sync(request)?,
            ApiKey::Heartbeat => members::heartbeat(request)?,
            ApiKey::LeaveGroup => members::leave(request)?,
            _ => return None,
        }
        Some(is_load)
    }

    fn metadata(&self, request: &mut Request<'_, '_>) -> Option<()> {
        let body: MetadataRequest<'_> = request.body()?;
        let topic = |name| {
            let known = self.topics.get(name);
            let partition = |index| MetadataResponsePartition {
                error_code: ErrorCode::NONE,
                partition_index: index,
                leader_id: NODE_ID,
                leader_epoch: 0,
                replica_nodes: Array::from(&[NODE_ID]),
                isr_nodes: Array::from(&[NODE_ID]),
                offline_replicas: Array::default(),
            };
            MetadataResponseTopic {
                error_code: known.map_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, |_| ErrorCode::NONE),
                name: Some(name),
                topic_id: Uuid::nil(),
                is_internal: false,
                partitions: (0..known.map_or(0, Vec::len) as i32).map(partition).collect(),
                topic_authorized_operations: i32::MIN,
            }
        };
        let host = self.address.ip().to_string();
        let broker =
            MetadataResponseBroker { node_id: NODE_ID, host: &host, port: self.address.port().into(), rack: None };
        let response = MetadataResponse {
            throttle_time_ms: 0,
            brokers: Array::from(vec![broker]),
            cluster_id: None,
            controller_id: NODE_ID,
            topics: body.topics.iter().flatten().filter_map(|wanted| wanted.name).map(topic).collect(),
            cluster_authorized_operations: i32::MIN,
            error_code: ErrorCode::NONE,
        };
        request.answer(&response)
    }

    fn create_topics(&mut self, request: &mut Request<'_, '_>) -> Option<()> {
        let body: CreateTopicsRequest<'_> = request.body()?;
        let mut results = Vec::new();
        for topic in &body.topics {
            let count = usize::try_from(topic.num_partitions).unwrap_or(1).min(100_000);
            self.topics.entry(topic.name.to_owned()).or_insert_with(|| vec![0; count]);
            results.push(CreatableTopicResult {
                name: topic.name,
                topic_id: Uuid::nil(),
                error_code: ErrorCode::NONE,
                error_message: None,
                topic_config_error_code: ErrorCode::NONE,
                num_partitions: topic.num_partitions,
                replication_factor: 1,
                configs: None,
            });
        }
        request.answer(&CreateTopicsResponse { throttle_time_ms: 0, topics: Array::from(results) })
    }

    fn list_offsets(&self, request: &mut Request<'_, '_>) -> Option<()> {
        let body: ListOffsetsRequest<'_> = request.body()?;
        let mut topics = Vec::new();
        for topic in &body.topics {
            let answer = |asked: ringlog_core::protocol::messages::ListOffsetsPartition| ListOffsetsPartitionResponse {
                partition_index: asked.partition_index,
                error_code: ErrorCode::NONE,
                timestamp: -1,
                offset: if asked.timestamp == -2 { 0 } else { self.end_offset(topic.name, asked.partition_index) },
                leader_epoch: 0,
            };
            topics.push(ListOffsetsTopicResponse {
                name: topic.name,
                partitions: topic.partitions.iter().map(answer).collect(),
            });
        }
        request.answer(&ListOffsetsResponse { throttle_time_ms: 0, topics: Array::from(topics) })
    }

    fn end_offset(&self, topic: &str, partition: i32) -> i64 {
        let next = self.topics.get(topic).and_then(|offsets| offsets.get(usize::try_from(partition).ok()?));
        if self.kept.is_some() { next.copied().unwrap_or(0) } else { END_OFFSET }
    }

    fn produce(&mut self, request: &mut Request<'_, '_>) -> Option<()> {
        let (fault, kept) = (request.fault, &mut self.kept);
        let mut answers: Vec<(&str, Vec<_>)> = Vec::new();
        let version = request.header.api_version;
        let acks = ProduceRequest::read_partitions(&mut request.body, version, |name, _, data| {
            let offsets = self.topics.get_mut(name);
            let next = offsets.and_then(|offsets| offsets.get_mut(usize::try_from(data.index).ok()?));
            let batch = data.records.map(|records| records.bytes()).unwrap_or_default();
            let count = BatchHeader::parse(batch).ok().map(|header| header.record_count());
            let (error_code, base_offset) = match (next, count) {
                _ if fault == Some(Fault::Error) => (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1),
                (None, _) => (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, -1),
                (_, None) => (ErrorCode::CORRUPT_MESSAGE, -1),
                (Some(next), Some(count)) => {
                    let base_offset = *next;
                    let kept = kept.as_mut().filter(|_| fault != Some(Fault::ForgetBatch));
                    if kept.is_none_or(|kept| kept.append(name, data.index, base_offset, batch)) {
                        *next += if fault == Some(Fault::RepeatOffset) { 0 } else { i64::from(count) };
                        (ErrorCode::NONE, base_offset)
                    } else {
                        (ErrorCode::KAFKA_STORAGE_ERROR, -1)
                    }
                }
            };
            let answer = produced(data.index, error_code, base_offset);
            match answers.last_mut() {
                Some((last, partitions)) if *last == name => partitions.push(answer),
                _ => answers.push((name, vec![answer])),
            }
        });
        if acks.ok()? == 0 {
            return Some(());
        }
        let topic = |(name, partitions)| TopicProduceResponse {
            name,
            topic_id: Uuid::nil(),
            partition_responses: Array::from(partitions),
        };
        let responses = answers.into_iter().map(topic).collect();
        request.answer(&ProduceResponse { responses, throttle_time_ms: 0, node_endpoints: Array::default() })
    }

    fn fetch(&self, request: &mut Request<'_, '_>) -> Option<()> {
        let (body, fault): (FetchRequest<'_>, _) = (request.body()?, request.fault);
        let topic = body.topics.iter().next()?;
        let asked = topic.partitions.iter().next()?;
        let records = match &self.kept {
            Some(kept) => {
                let bytes_max = usize::try_from(asked.partition_max_bytes).unwrap_or(0);
                kept.read(topic.topic, asked.partition, asked.fetch_offset, bytes_max)
            }
            None => self.batches(asked.fetch_offset, asked.partition_max_bytes, fault),
        };
        let error_code = if fault == Some(Fault::Error) { ErrorCode::NOT_LEADER_OR_FOLLOWER } else { ErrorCode::NONE };
        let partitions = [PartitionData {
            partition_index: asked.partition,
            error_code,
            high_watermark: END_OFFSET,
            last_stable_offset: END_OFFSET,
            log_start_offset: 0,
            diverging_epoch: EpochEndOffset { epoch: -1, end_offset: -1 },
            current_leader: NO_LEADER,
            snapshot_id: SnapshotId { end_offset: -1, epoch: -1 },
            aborted_transactions: None,
            preferred_read_replica: -1,
            records: Some(Records::Bytes(&records)),
        }];
        let responses = [FetchableTopicResponse {
            topic: topic.topic,
            topic_id: Uuid::nil(),
            partitions: Array::from(&partitions),
        }];
        let response = FetchResponse {
            throttle_time_ms: 0,
            error_code: ErrorCode::NONE,
            session_id: 0,
            responses: Array::from(&responses),
            node_endpoints: Array::default(),
        };
        request.answer(&response)
    }

    /// Whole batches from the one that holds `offset` on, at least one.
    fn batches(&self, offset: i64, bytes_max: i32, fault: Option<Fault>) -> Vec<u8> {
        let records = BATCH_RECORDS as i64;
        let first = offset / records;
        let count =
            (bytes_max.max(0) as usize / self.batch.len()).clamp(1, (END_OFFSET / records - first).max(1) as usize);
        let mut bytes = Vec::with_capacity(count * self.batch.len());
        for index in 0..count as i64 {
            let start = bytes.len();
            bytes.extend_from_slice(&self.batch);
            let skipped = i64::from(fault == Some(Fault::SkipBatch) && index > 0);
            patch_base_offset_and_epoch(&mut bytes[start..], (first + index + skipped) * records, 0);
        }
        if let (Some(Fault::FlipBit), Some(last)) = (fault, bytes.last_mut()) {
            *last ^= 1;
        }
        bytes
    }
}

fn produced<'a>(index: i32, error_code: ErrorCode, base_offset: i64) -> PartitionProduceResponse<'a> {
    PartitionProduceResponse {
        index,
        error_code,
        base_offset,
        log_append_time_ms: -1,
        log_start_offset: 0,
        record_errors: Array::default(),
        error_message: None,
        current_leader: NO_LEADER,
    }
}

const NO_LEADER: LeaderIdAndEpoch = LeaderIdAndEpoch { leader_id: -1, leader_epoch: -1 };

fn api_versions(request: &mut Request<'_, '_>) -> Option<()> {
    let apis = APIS.map(|(key, min_version, max_version)| ApiVersion { api_key: key as i16, min_version, max_version });
    let response = ApiVersionsResponse {
        error_code: ErrorCode::NONE,
        api_keys: Array::from(&apis),
        throttle_time_ms: 0,
        supported_features: Array::default(),
        finalized_features_epoch: -1,
        finalized_features: Array::default(),
        zk_migration_ready: false,
    };
    request.answer(&response)
}
