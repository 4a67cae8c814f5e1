//! OffsetCommit (api key 8), versions 2..=10. Durable in the topic's class before it is answered.
//!
//! v5 no retention time   v6 leader epoch   v7 instance id   v8 flexible   v9 member epoch   v10 topic ids
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, OFFSET_METADATA_TOO_LARGE, UNKNOWN_MEMBER_ID,
//! ILLEGAL_GENERATION, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS, GROUP_ID_NOT_FOUND, and those of the coordinator.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use super::errors::unexpected_group_reply;
use super::{Context, Request};
use crate::coordinator::group::{CommitOffsets, CommitPartition, CommitTopic, GroupReply, GroupRequest};
use crate::metadata::MetadataImage;

const MEMBER_EPOCH_VERSION: i16 = 9;
const TOPIC_ID_VERSION: i16 = 10;

/// Sends what names an existing partition to the coordinator.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: OffsetCommitRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let by_id = request.api_version >= TOPIC_ID_VERSION;
    let (topics, refused) = split(&context.metadata.image(), &body, by_id);
    let commit = CommitOffsets {
        group_id: body.group_id.to_owned(),
        member_id: body.member_id.to_owned(),
        group_instance_id: body.group_instance_id.map(str::to_owned),
        generation_id: body.generation_id_or_member_epoch,
        retention_time_ms: body.retention_time_ms,
        knows_member_epochs: request.api_version >= MEMBER_EPOCH_VERSION,
        topics,
    };
    let reply = Box::new(move |reply| finish(request, reply, &refused));
    context.groups.request(body.group_id, GroupRequest::CommitOffsets(commit), reply);
}

/// What the coordinator gets, and for each partition of the request why it does not get it.
fn split(
    image: &MetadataImage,
    body: &OffsetCommitRequest<'_>,
    by_id: bool,
) -> (Vec<CommitTopic>, Vec<Option<ErrorCode>>) {
    let (mut topics, mut refused) = (Vec::new(), Vec::new());
    for asked in &body.topics {
        let found = if by_id { image.topic(&asked.topic_id) } else { image.topic_by_name(asked.name) };
        let Some(topic) = found else {
            let error = if by_id { ErrorCode::UNKNOWN_TOPIC_ID } else { ErrorCode::UNKNOWN_TOPIC_OR_PARTITION };
            refused.extend(asked.partitions.iter().map(|_| Some(error)));
            continue;
        };
        let mut partitions = Vec::new();
        for partition in &asked.partitions {
            let is_known = usize::try_from(partition.partition_index).is_ok_and(|at| at < topic.partitions.len());
            refused.push((!is_known).then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
            if is_known {
                partitions.push(CommitPartition {
                    partition_index: partition.partition_index,
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: partition.committed_metadata.unwrap_or_default().to_owned(),
                });
            }
        }
        topics.push(CommitTopic { topic_name: topic.name.to_string(), topic_id: topic.topic_id, partitions });
    }
    (topics, refused)
}

fn finish(request: Request, reply: GroupReply, refused: &[Option<ErrorCode>]) {
    let encoded = request.body();
    let body: OffsetCommitRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let committed = match reply {
        GroupReply::CommitOffsets(committed) => committed,
        other => Err(unexpected_group_reply(&other)),
    };
    let mut codes = committed.as_ref().map(|codes| codes.iter()).map_err(|error| *error);
    let mut refused = refused.iter();
    let mut next_code = || match (refused.next(), &mut codes) {
        (Some(Some(error)), _) => *error,
        (_, Err(error)) => *error,
        (_, Ok(codes)) => *codes.next().expect("a code for each partition that was sent"),
    };
    let topics = body.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| OffsetCommitResponsePartition {
            partition_index: partition.partition_index,
            error_code: next_code(),
        });
        OffsetCommitResponseTopic { name: topic.name, topic_id: topic.topic_id, partitions: partitions.collect() }
    });
    request.answer(&OffsetCommitResponse { topics: topics.collect(), ..Default::default() }, []);
}
