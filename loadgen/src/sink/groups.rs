//! What the sink answers about groups: it is the coordinator of all of them and keeps the last commit.

use std::collections::HashMap;
use std::net::SocketAddr;

use ringlog_core::protocol::messages::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse, OffsetCommitRequest, OffsetCommitRequestPartition,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic, OffsetFetchRequest,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use ringlog_core::protocol::{ErrorCode, RequestHeader};
use ringlog_core::wire::{Array, Message, Reader};
use uuid::Uuid;

use super::Fault;
use super::answers::{NODE_ID, encode};

/// Offsets by group, topic and partition.
#[derive(Debug, Default)]
pub(super) struct Committed(HashMap<String, HashMap<(String, i32), i64>>);

impl Committed {
    pub(super) fn commit(
        &mut self,
        header: &RequestHeader<'_>,
        reader: &mut Reader<'_>,
        fault: Option<Fault>,
    ) -> Option<Vec<u8>> {
        let request = OffsetCommitRequest::decode(reader, header.api_version).ok()?;
        if !self.0.contains_key(request.group_id) {
            self.0.insert(request.group_id.to_owned(), HashMap::new());
        }
        let group = self.0.get_mut(request.group_id)?;
        let error_code = if fault == Some(Fault::Error) { ErrorCode::NOT_COORDINATOR } else { ErrorCode::NONE };
        let is_kept = error_code.is_none() && fault != Some(Fault::ForgetCommit);
        let mut topics = Vec::new();
        for topic in &request.topics {
            let mut answer = |partition: OffsetCommitRequestPartition<'_>| {
                let partition_index = partition.partition_index;
                if is_kept {
                    group.insert((topic.name.to_owned(), partition_index), partition.committed_offset);
                }
                OffsetCommitResponsePartition { partition_index, error_code }
            };
            let partitions = topic.partitions.iter().map(&mut answer).collect();
            topics.push(OffsetCommitResponseTopic { name: topic.name, topic_id: Uuid::nil(), partitions });
        }
        encode(header, &OffsetCommitResponse { throttle_time_ms: 0, topics: Array::from(topics) })
    }

    fn offset(&self, group_id: &str, topic: &str, partition: i32) -> i64 {
        let found = self.0.get(group_id).and_then(|group| group.get(&(topic.to_owned(), partition)));
        found.copied().unwrap_or(-1)
    }

    pub(super) fn fetch(&self, header: &RequestHeader<'_>, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
        let request = OffsetFetchRequest::decode(reader, header.api_version).ok()?;
        let mut topics = Vec::new();
        for topic in request.topics.iter().flatten() {
            let partition = |partition_index| OffsetFetchResponsePartition {
                partition_index,
                committed_offset: self.offset(request.group_id, topic.name, partition_index),
                committed_leader_epoch: -1,
                metadata: None,
                error_code: ErrorCode::NONE,
            };
            let partitions = topic.partition_indexes.iter().map(partition).collect();
            topics.push(OffsetFetchResponseTopic { name: topic.name, partitions });
        }
        let mut groups = Vec::new();
        for group in &request.groups {
            let mut topics = Vec::new();
            for topic in group.topics.iter().flatten() {
                let partition = |partition_index| OffsetFetchResponsePartitions {
                    partition_index,
                    committed_offset: self.offset(group.group_id, topic.name, partition_index),
                    committed_leader_epoch: -1,
                    metadata: None,
                    error_code: ErrorCode::NONE,
                };
                let partitions = topic.partition_indexes.iter().map(partition).collect();
                topics.push(OffsetFetchResponseTopics { name: topic.name, topic_id: Uuid::nil(), partitions });
            }
            let error_code = ErrorCode::NONE;
            groups.push(OffsetFetchResponseGroup { group_id: group.group_id, topics: Array::from(topics), error_code });
        }
        let error_code = ErrorCode::NONE;
        let (topics, groups) = (Array::from(topics), Array::from(groups));
        encode(header, &OffsetFetchResponse { throttle_time_ms: 0, topics, error_code, groups })
    }
}

/// It is the sink itself.
pub(super) fn find_coordinator(
    header: &RequestHeader<'_>,
    reader: &mut Reader<'_>,
    address: SocketAddr,
) -> Option<Vec<u8>> {
    let request = FindCoordinatorRequest::decode(reader, header.api_version).ok()?;
    let host = address.ip().to_string();
    let port = i32::from(address.port());
    let coordinator = |key| Coordinator {
        key,
        node_id: NODE_ID,
        host: &host,
        port,
        error_code: ErrorCode::NONE,
        error_message: None,
    };
    let response = FindCoordinatorResponse {
        throttle_time_ms: 0,
        error_code: ErrorCode::NONE,
        error_message: None,
        node_id: NODE_ID,
        host: &host,
        port,
        coordinators: request.coordinator_keys.iter().map(coordinator).collect(),
    };
    encode(header, &response)
}
