//! OffsetFetch (api key 9), versions 1..=10. The committed offsets of one or, from version 8 on, several groups.
//!
//! v2 null is all topics   v5 leader epoch   v6 flexible   v7 require_stable   v8 several groups   v10 topic ids
//! Errors: UNSTABLE_OFFSET_COMMIT, UNKNOWN_TOPIC_ID, and those of the coordinator. A missing offset is -1, not an error.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use ringlog_core::wire::Array;
use uuid::Uuid;

use super::errors::unexpected_group_reply;
use super::gather::Gather;
use super::{Context, Request};
use crate::coordinator::group::{FetchOffsets, FetchTopic, GroupReply, GroupRequest, PartitionOffset, TopicOffsets};
use crate::metadata::MetadataImage;

/// Versions below ask for one group, without a list.
const BATCH_VERSION: i16 = 8;
const TOPIC_ID_VERSION: i16 = 10;

type Found = Result<Vec<TopicOffsets>, ErrorCode>;

/// Asks every group's coordinator, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: OffsetFetchRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let by_id = request.api_version >= TOPIC_ID_VERSION;
    let image = context.metadata.image();
    let asked: Vec<FetchOffsets> = if request.api_version >= BATCH_VERSION {
        body.groups.iter().map(|group| of_group(&image, &group, body.require_stable, by_id)).collect()
    } else {
        let named = |topic: OffsetFetchRequestTopic<'_>| fetch_topic(&image, topic.name, &topic.partition_indexes);
        let topics = body.topics.as_ref().map(|topics| topics.iter().map(named).collect());
        let (group_id, require_stable) = (body.group_id.to_owned(), body.require_stable);
        vec![FetchOffsets { group_id, member_id: None, member_epoch: -1, require_stable, topics }]
    };
    drop(image);
    let gather = Gather::new(asked.len());
    for (at, fetch) in asked.into_iter().enumerate() {
        let (answer, group_id) = (gather.clone(), fetch.group_id.clone());
        let reply = Box::new(move |reply| {
            let found = match reply {
                GroupReply::FetchOffsets(found) => found,
                other => Err(unexpected_group_reply(&other)),
            };
            answer.put(at, found);
        });
        context.groups.request(&group_id, GroupRequest::FetchOffsets(fetch), reply);
    }
    let context_of_reply = Rc::clone(context);
    context.reactor.spawn(async move {
        let found = gather.all().await;
        finish(&context_of_reply, request, &found);
    });
}

/// Topics whose id is not known are left out here and answered with an error.
fn of_group(
    image: &MetadataImage,
    group: &OffsetFetchRequestGroup<'_>,
    require_stable: bool,
    by_id: bool,
) -> FetchOffsets {
    let topics = group.topics.as_ref().map(|topics| {
        let named = topics.iter().filter_map(|topic| {
            let name = if by_id { &*image.topic(&topic.topic_id)?.name } else { topic.name };
            Some(fetch_topic(image, name, &topic.partition_indexes))
        });
        named.collect()
    });
    FetchOffsets {
        group_id: group.group_id.to_owned(),
        member_id: group.member_id.map(str::to_owned),
        member_epoch: group.member_epoch,
        require_stable,
        topics,
    }
}

fn fetch_topic(image: &MetadataImage, name: &str, partitions: &Array<'_, i32>) -> FetchTopic {
    let topic_id = image.topic_by_name(name).map(|topic| topic.topic_id).unwrap_or_default();
    FetchTopic { topic_name: name.to_owned(), topic_id, partitions: partitions.iter().collect() }
}

fn finish(context: &Context, request: Request, found: &[Found]) {
    let encoded = request.body();
    let body: OffsetFetchRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let response = if request.api_version >= BATCH_VERSION {
        let by_id = request.api_version >= TOPIC_ID_VERSION;
        let image = context.metadata.image();
        let groups = body.groups.iter().zip(found).map(|(group, found)| group_response(&image, &group, found, by_id));
        OffsetFetchResponse { groups: groups.collect(), ..Default::default() }
    } else {
        let error_code = found[0].as_ref().err().copied().unwrap_or_default();
        let topics = found[0].as_deref().unwrap_or_default().iter().map(|topic| OffsetFetchResponseTopic {
            name: &topic.topic_name,
            partitions: topic.partitions.iter().map(partition).collect(),
        });
        // Version 1 has no place for an error of the group.
        let topics = match (&body.topics, error_code) {
            (Some(topics), ErrorCode(1..)) if request.api_version < 2 => topics
                .iter()
                .map(|topic| OffsetFetchResponseTopic {
                    name: topic.name,
                    partitions: topic
                        .partition_indexes
                        .iter()
                        .map(|index| failed_partition(index, error_code))
                        .collect(),
                })
                .collect(),
            _ => topics.collect(),
        };
        OffsetFetchResponse { topics, error_code, ..Default::default() }
    };
    request.answer(&response, []);
}

fn group_response<'a>(
    image: &MetadataImage,
    group: &OffsetFetchRequestGroup<'a>,
    found: &'a Found,
    by_id: bool,
) -> OffsetFetchResponseGroup<'a> {
    let topics = match found {
        Err(error_code) => {
            return OffsetFetchResponseGroup {
                group_id: group.group_id,
                error_code: *error_code,
                ..Default::default()
            };
        }
        Ok(topics) => topics,
    };
    let topic_id = |name: &str| image.topic_by_name(name).map(|topic| topic.topic_id);
    let known = topics.iter().filter_map(|topic| {
        let topic_id = if by_id { topic_id(&topic.topic_name)? } else { Uuid::nil() };
        Some(OffsetFetchResponseTopics {
            name: &topic.topic_name,
            topic_id,
            partitions: topic.partitions.iter().map(partitions).collect(),
        })
    });
    let is_unknown = |topic: &OffsetFetchRequestTopics<'_>| by_id && image.topic(&topic.topic_id).is_none();
    let unknown = group.topics.iter().flatten().filter(is_unknown).map(|topic| OffsetFetchResponseTopics {
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(unknown_partition).collect(),
        ..Default::default()
    });
    let topics: Array<'_, _> = known.chain(unknown).collect();
    OffsetFetchResponseGroup { group_id: group.group_id, topics, ..Default::default() }
}

fn partition(offset: &PartitionOffset) -> OffsetFetchResponsePartition<'_> {
    OffsetFetchResponsePartition {
        partition_index: offset.partition_index,
        committed_offset: offset.offset,
        committed_leader_epoch: offset.leader_epoch,
        metadata: Some(&offset.metadata),
        error_code: offset.error_code,
    }
}

fn partitions(offset: &PartitionOffset) -> OffsetFetchResponsePartitions<'_> {
    OffsetFetchResponsePartitions {
        partition_index: offset.partition_index,
        committed_offset: offset.offset,
        committed_leader_epoch: offset.leader_epoch,
        metadata: Some(&offset.metadata),
        error_code: offset.error_code,
    }
}

fn failed_partition<'a>(partition_index: i32, error_code: ErrorCode) -> OffsetFetchResponsePartition<'a> {
    OffsetFetchResponsePartition { partition_index, committed_offset: -1, error_code, ..Default::default() }
}

fn unknown_partition<'a>(partition_index: i32) -> OffsetFetchResponsePartitions<'a> {
    let error_code = ErrorCode::UNKNOWN_TOPIC_ID;
    OffsetFetchResponsePartitions { partition_index, committed_offset: -1, error_code, ..Default::default() }
}
