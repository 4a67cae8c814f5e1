//! DescribeTopicPartitions (api key 75), version 0. Topics with their partitions, a page at a time.
//!
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic, NextCursor,
};

use super::{Context, Request};
use crate::metadata::{PartitionImage, Placement, TopicImage, check_topic_name};

/// Partitions of one page, as in Kafka (`max.request.partition.size.limit`).
const PAGE_PARTITIONS_MAX: usize = 2000;

/// Answers at once.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: DescribeTopicPartitionsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let image = context.metadata.image();
    let (from, first_index) =
        body.cursor.as_ref().map_or(("", 0), |cursor| (cursor.topic_name, cursor.partition_index));
    let mut names: Vec<&str> = match body.topics.is_empty() {
        true => image.topics().map(|topic| &*topic.name).collect(),
        false => body.topics.iter().map(|topic| topic.name).collect(),
    };
    names.sort_unstable();
    names.dedup();
    names.retain(|name| *name >= from);
    let limit = usize::try_from(body.response_partition_limit).unwrap_or_default().clamp(1, PAGE_PARTITIONS_MAX);
    let (mut topics, mut next_cursor, mut left) = (Vec::new(), None, limit);
    for name in names {
        let start = if name == from { usize::try_from(first_index).unwrap_or_default() } else { 0 };
        if left == 0 {
            next_cursor = Some(NextCursor { topic_name: name, partition_index: start as i32 });
            break;
        }
        let Some(topic) = image.topic_by_name(name) else {
            topics.push(missing(name));
            continue;
        };
        let shown = topic.partitions.len().saturating_sub(start).min(left);
        topics.push(page(topic, start, shown));
        left -= shown;
        if start + shown < topic.partitions.len() {
            next_cursor = Some(NextCursor { topic_name: name, partition_index: (start + shown) as i32 });
            break;
        }
    }
    let topics = topics.into();
    request.answer(&DescribeTopicPartitionsResponse { topics, next_cursor, ..Default::default() }, []);
}

fn missing(name: &str) -> DescribeTopicPartitionsResponseTopic<'_> {
    let error_code = match check_topic_name(name) {
        Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        Err(_) => ErrorCode::INVALID_TOPIC_EXCEPTION,
    };
    DescribeTopicPartitionsResponseTopic { error_code, name: Some(name), ..Default::default() }
}

fn page(topic: &TopicImage, start: usize, count: usize) -> DescribeTopicPartitionsResponseTopic<'_> {
    let partition = |(partition, index): (&'_ PartitionImage, usize)| {
        let Placement { replicas, isr, eligible_leader_replicas, last_known_elr, .. } = &*partition.placement;
        DescribeTopicPartitionsResponsePartition {
            partition_index: index as i32,
            leader_id: partition.leader,
            leader_epoch: partition.leader_epoch,
            replica_nodes: replicas.iter().copied().collect(),
            isr_nodes: isr.iter().copied().collect(),
            eligible_leader_replicas: Some(eligible_leader_replicas.iter().copied().collect()),
            last_known_elr: Some(last_known_elr.iter().copied().collect()),
            ..Default::default()
        }
    };
    DescribeTopicPartitionsResponseTopic {
        name: Some(&topic.name),
        topic_id: topic.topic_id,
        is_internal: topic.is_internal(),
        partitions: topic.partitions.iter().zip(0..).skip(start).take(count).map(partition).collect(),
        ..Default::default()
    }
}
