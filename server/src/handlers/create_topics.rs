//! CreateTopics (api key 19), versions 2..=7. Durable, and served by its shards, before it is answered.
//!
//! v4 defaults with -1   v5 flexible, numbers in the answer   v7 topic id
//! Errors: TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR,
//! INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG, INVALID_REQUEST, POLICY_VIOLATION, KAFKA_STORAGE_ERROR.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use ringlog_core::wire::Array;

use super::describe_configs::describe_new_topic;
use super::errors::create_topic_error;
use super::{Context, Request};
use crate::config::{DescribedConfig, DynamicConfigs};
use crate::metadata::{ControlReply, ControlRequest, CreateTopicError, CreatedTopic, NewTopic};

/// Asks the controller.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: CreateTopicsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let topics = body.topics.iter().map(|topic| new_topic(&topic)).collect();
    let asked = ControlRequest::CreateTopics { topics, validate_only: body.validate_only };
    let answering = Rc::clone(context);
    context.controller.request(asked, Box::new(move |reply| finish(&answering, request, reply)));
}

fn new_topic(topic: &CreatableTopic<'_>) -> NewTopic {
    NewTopic {
        name: topic.name.to_owned(),
        num_partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|assignment| (assignment.partition_index, assignment.broker_ids.iter().collect()))
            .collect(),
        configs: topic.configs.iter().map(|config| (config.name.to_owned(), config.value.map(str::to_owned))).collect(),
    }
}

fn finish(context: &Context, request: Request, reply: ControlReply) {
    let encoded = request.body();
    let body: CreateTopicsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let results = match reply {
        ControlReply::CreateTopics(results) => Some(results),
        _ => None,
    };
    let messages: Vec<Option<String>> = match &results {
        Some(results) => results.iter().map(|result| result.as_ref().err().map(CreateTopicError::to_string)).collect(),
        None => Vec::new(),
    };
    let image = context.metadata.image();
    let set: Vec<DynamicConfigs> = body.topics.iter().map(|topic| set_configs(&topic)).collect();
    let described: Vec<_> = set.iter().map(|set| describe_new_topic(context, &image, set)).collect();
    let topics = body.topics.iter().enumerate().map(|(at, topic)| match &results {
        Some(results) => topic_result(&topic, &results[at], messages[at].as_deref(), &described[at]),
        None => {
            CreatableTopicResult { name: topic.name, error_code: ErrorCode::KAFKA_STORAGE_ERROR, ..Default::default() }
        }
    });
    request.answer(&CreateTopicsResponse { topics: topics.collect(), ..Default::default() }, []);
}

fn topic_result<'a>(
    topic: &CreatableTopic<'a>,
    result: &Result<CreatedTopic, CreateTopicError>,
    message: Option<&'a str>,
    described: &'a [DescribedConfig<'_>],
) -> CreatableTopicResult<'a> {
    match result {
        Ok(created) => CreatableTopicResult {
            name: topic.name,
            topic_id: created.topic_id,
            num_partitions: created.num_partitions,
            replication_factor: created.replication_factor,
            configs: Some(configs(described)),
            ..Default::default()
        },
        Err(error) => CreatableTopicResult {
            name: topic.name,
            error_code: create_topic_error(error),
            error_message: message,
            ..Default::default()
        },
    }
}

fn set_configs(topic: &CreatableTopic<'_>) -> DynamicConfigs {
    let set = topic.configs.iter().filter_map(|config| Some((config.name.to_owned(), config.value?.trim().to_owned())));
    set.collect()
}

/// Every key of the topic, set or not.
fn configs<'a>(described: &'a [DescribedConfig<'_>]) -> Array<'a, CreatableTopicConfigs<'a>> {
    let entry = |config: &'a DescribedConfig<'_>| CreatableTopicConfigs {
        name: config.name,
        value: config.value.as_deref(),
        config_source: config.source as i8,
        ..Default::default()
    };
    described.iter().map(entry).collect()
}
