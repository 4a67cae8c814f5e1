//! CreateTopics (api key 19), versions 2..=7. Durable, and served by its shards, before it is answered.
//!
//! v4 defaults with -1   v5 flexible, numbers in the answer   v7 topic id
//! Errors: TOPIC_ALREADY_EXISTS, INVALID_TOPIC_EXCEPTION, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR,
//! INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG, INVALID_REQUEST, POLICY_VIOLATION, KAFKA_STORAGE_ERROR;
//! THROTTLING_QUOTA_EXCEEDED from v6 on.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use ringlog_core::wire::Array;

use super::describe_configs::describe_new_topic;
use super::errors::create_topic_error;
use super::mutations::{EXCEEDED, within_quota};
use super::{Context, Request};
use crate::config::{DescribedConfig, DynamicConfigs};
use crate::metadata::{ControlReply, ControlRequest, CreateTopicError, CreatedTopic, NewTopic};

/// Asks the controller.
pub fn handle(context: &Rc<Context>, mut request: Request) {
    let encoded = request.body();
    let body: CreateTopicsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let topics: Vec<NewTopic> = body.topics.iter().map(|topic| new_topic(&topic)).collect();
    let is_strict = request.api_version >= 6;
    let within = within_quota(context, &mut request, is_strict, topics.iter().map(|topic| partitions(context, topic)));
    let topics = topics.into_iter().zip(&within).filter_map(|(topic, within)| within.then_some(topic)).collect();
    let asked = ControlRequest::CreateTopics { topics, validate_only: body.validate_only };
    let answering = Rc::clone(context);
    context.controller.request(asked, Box::new(move |reply| finish(&answering, request, &within, reply)));
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

/// Of a topic that can be made: one of this name is no change.
fn partitions(context: &Context, topic: &NewTopic) -> usize {
    if context.metadata.image().topic_by_name(&topic.name).is_some() {
        return 0;
    }
    match (topic.assignments.len(), topic.num_partitions) {
        (0, -1) => context.settings.num_partitions as usize,
        (0, count) => usize::try_from(count).unwrap_or(0),
        (count, _) => count,
    }
}

fn finish(context: &Context, request: Request, within: &[bool], reply: ControlReply) {
    let encoded = request.body();
    let body: CreateTopicsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let mut results = match reply {
        ControlReply::CreateTopics(results) => Some(results.into_iter()),
        _ => None,
    };
    let outcomes: Vec<Outcome> = within.iter().map(|within| Outcome::of(*within, results.as_mut())).collect();
    let image = context.metadata.image();
    let set: Vec<DynamicConfigs> = body.topics.iter().map(|topic| set_configs(&topic)).collect();
    let described: Vec<_> = set.iter().map(|set| describe_new_topic(context, &image, set)).collect();
    let topics = body.topics.iter().zip(&outcomes).zip(&described);
    let topics = topics.map(|((topic, outcome), described)| topic_result(&topic, outcome, described)).collect();
    let throttle_time_ms = request.throttle_time_ms();
    request.answer(&CreateTopicsResponse { throttle_time_ms, topics }, []);
}

enum Outcome {
    Created(CreatedTopic),
    Refused(ErrorCode, Option<String>),
}

impl Outcome {
    fn of(within: bool, results: Option<&mut std::vec::IntoIter<Result<CreatedTopic, CreateTopicError>>>) -> Self {
        if !within {
            return Self::Refused(ErrorCode::THROTTLING_QUOTA_EXCEEDED, Some(EXCEEDED.to_owned()));
        }
        match results.map(|results| results.next().expect("a result for each that was asked")) {
            Some(Ok(created)) => Self::Created(created),
            Some(Err(error)) => Self::Refused(create_topic_error(&error), Some(error.to_string())),
            None => Self::Refused(ErrorCode::KAFKA_STORAGE_ERROR, None),
        }
    }
}

fn topic_result<'a>(
    topic: &CreatableTopic<'a>,
    outcome: &'a Outcome,
    described: &'a [DescribedConfig<'_>],
) -> CreatableTopicResult<'a> {
    match outcome {
        Outcome::Created(created) => CreatableTopicResult {
            name: topic.name,
            topic_id: created.topic_id,
            num_partitions: created.num_partitions,
            replication_factor: created.replication_factor,
            configs: Some(configs(described)),
            ..Default::default()
        },
        Outcome::Refused(error_code, message) => CreatableTopicResult {
            name: topic.name,
            error_code: *error_code,
            error_message: message.as_deref(),
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
