//! What the sink answers about groups: it is the coordinator of all of them and keeps the last commit.

use std::collections::HashMap;
use std::net::SocketAddr;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse, OffsetCommitRequest, OffsetCommitRequestPartition,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic, OffsetFetchRequest,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use ringlog_core::wire::Array;
use uuid::Uuid;

use super::Fault;
use super::answers::NODE_ID;
use super::request::Request;

/// Offsets by group, topic and partition.
#[derive(Debug, Default)]
pub(super) struct Committed(HashMap<String, HashMap<(String, i32), i64>>);

impl Committed {
    pub(super) fn commit(&mut self, request: &mut Request<'_, '_>) -> Option<()> {
        let (body, fault): (OffsetCommitRequest<'_>, _) = (request.body()?, request.fault);
        if !self.0.contains_key(body.group_id) {
            self.0.insert(body.group_id.to_owned(), HashMap::new());
        }
        let group = self.0.get_mut(body.group_id)?;
        let error_code = if fault == Some(Fault::Error) { ErrorCode::NOT_COORDINATOR } else { ErrorCode::NONE };
        let is_kept = error_code.is_none() && fault != Some(Fault::ForgetCommit);
        let mut topics = Vec::new();
        for topic in &body.topics {
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
        request.answer(&OffsetCommitResponse { throttle_time_ms: 0, topics: Array::from(topics) })
    }

    fn offset(&self, group_id: &str, topic: &str, partition: i32) -> i64 {
        let found = self.0.get(group_id).and_then(|group| group.get(&(topic.to_owned(), partition)));
        found.copied().unwrap_or(-1)
    }

    pub(super) fn fetch(&self, request: &mut Request<'_, '_>) -> Option<()> {
        let body: OffsetFetchRequest<'_> = request.body()?;
        let mut topics = Vec::new();
        for topic in body.topics.iter().flatten() {
            let partition = |partition_index| OffsetFetchResponsePartition {
                partition_index,
                committed_offset: self.offset(body.group_id, topic.name, partition_index),
                committed_leader_epoch: -1,
                metadata: None,
                error_code: ErrorCode::NONE,
            };
            let partitions = topic.partition_indexes.iter().map(partition).collect();
            topics.push(OffsetFetchResponseTopic { name: topic.name, partitions });
        }
        let mut groups = Vec::new();
        for group in &body.groups {
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
        request.answer(&OffsetFetchResponse { throttle_time_ms: 0, topics, error_code, groups })
    }
}

/// It is the sink itself.
pub(super) fn find_coordinator(request: &mut Request<'_, '_>, address: SocketAddr) -> Option<()> {
    let body: FindCoordinatorRequest<'_> = request.body()?;
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
        coordinators: body.coordinator_keys.iter().map(coordinator).collect(),
    };
    request.answer(&response)
}
