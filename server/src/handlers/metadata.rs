//! Metadata (api key 3), versions 0..=13. Brokers, topics, partitions and their leaders.
//!
//! v1 null is all topics   v4 auto creation   v7 leader epoch   v9 flexible   v10 topic ids   v12 look-up by id
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_TOPIC_EXCEPTION.
//!
//! A missing topic is created before the answer where that is asked for and allowed, so that no client ever sees a
//! partition without a leader.

use std::rc::Rc;

use ahash::{AHashMap, AHashSet};
use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use ringlog_core::wire::{Array, DecodeError};

use super::errors::create_topic_error;
use super::{Body, Context, Request};
use crate::coordinator::group::{OFFSETS_TOPIC, offsets_topic};
use crate::metadata::{ControlReply, ControlRequest, MetadataImage, NewTopic, TopicImage};

/// Answers, after missing topics were created.
pub fn handle(context: &Rc<Context>, request: Request) {
    let missing = match missing_topics(context, &request.body()) {
        Ok(missing) => missing,
        Err(error) => return request.close(&error),
    };
    if missing.is_empty() {
        return finish(context, request, &AHashMap::new());
    }
    let context_of_reply = Rc::clone(context);
    let topics = missing.iter().map(|name| new_topic(context, name)).collect();
    let creating = ControlRequest::CreateTopics { topics, validate_only: false };
    let reply = Box::new(move |reply| {
        let results = if let ControlReply::CreateTopics(results) = reply { results } else { Vec::new() };
        let refused: AHashMap<_, _> = missing
            .into_iter()
            .zip(results)
            .filter_map(|(name, result)| Some((name, create_topic_error(&result.err()?))))
            .collect();
        finish(&context_of_reply, request, &refused);
    });
    context.controller.request(creating, reply);
}

fn new_topic(context: &Context, name: &str) -> NewTopic {
    if name == OFFSETS_TOPIC {
        return offsets_topic(&context.settings.groups);
    }
    NewTopic { name: name.to_owned(), num_partitions: -1, replication_factor: -1, ..NewTopic::default() }
}

/// Names that are asked for, not there, and may be created.
fn missing_topics(context: &Context, encoded: &Body) -> Result<Vec<String>, DecodeError> {
    let body: MetadataRequest<'_> = encoded.decode()?;
    let image = context.metadata.image();
    if !body.allow_auto_topic_creation || !context.settings.auto_create_topics {
        return Ok(Vec::new());
    }
    let mut seen = AHashSet::new();
    let asked = body.topics.iter().flatten().filter_map(|topic| topic.name);
    let missing = asked.filter(|name| image.topic_by_name(name).is_none() && seen.insert(*name));
    Ok(missing.map(str::to_owned).collect())
}

fn finish(context: &Context, request: Request, refused: &AHashMap<String, ErrorCode>) {
    let encoded = request.body();
    let body: MetadataRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let image = context.metadata.image();
    // Version 0 has no null: an empty list asks for all topics.
    let all = match &body.topics {
        None => true,
        Some(topics) => request.api_version == 0 && topics.is_empty(),
    };
    let topics: Array<'_, MetadataResponseTopic<'_>> = match &body.topics {
        Some(topics) if !all => topics.iter().map(|asked| asked_topic(&image, &asked, refused)).collect(),
        _ => image.topics().map(|topic| known_topic(topic)).collect(),
    };
    let endpoint = context.endpoint(&request);
    let response = MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: context.settings.node_id,
            host: &endpoint.host,
            port: i32::from(endpoint.port),
            rack: context.settings.rack.as_deref(),
        }]
        .into(),
        cluster_id: Some(&context.cluster_id),
        controller_id: context.settings.node_id,
        topics,
        ..Default::default()
    };
    request.answer(&response, []);
}

fn asked_topic<'a>(
    image: &'a MetadataImage,
    asked: &MetadataRequestTopic<'a>,
    refused: &AHashMap<String, ErrorCode>,
) -> MetadataResponseTopic<'a> {
    let found = match asked.name {
        Some(name) => image.topic_by_name(name),
        None => image.topic(&asked.topic_id),
    };
    if let Some(topic) = found {
        return known_topic(topic);
    }
    let error_code = match asked.name {
        None => ErrorCode::UNKNOWN_TOPIC_ID,
        Some(name) => *refused.get(name).unwrap_or(&ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    };
    MetadataResponseTopic { error_code, name: asked.name, topic_id: asked.topic_id, ..Default::default() }
}

fn known_topic(topic: &TopicImage) -> MetadataResponseTopic<'_> {
    let partitions = topic.partitions.iter().zip(0..).map(|(partition, partition_index)| MetadataResponsePartition {
        partition_index,
        leader_id: partition.leader,
        leader_epoch: partition.leader_epoch,
        replica_nodes: (&partition.replicas[..]).into(),
        isr_nodes: (&partition.isr[..]).into(),
        ..Default::default()
    });
    MetadataResponseTopic {
        name: Some(&topic.name),
        topic_id: topic.topic_id,
        is_internal: topic.is_internal(),
        partitions: partitions.collect(),
        ..Default::default()
    }
}
