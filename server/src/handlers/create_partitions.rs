//! CreatePartitions (api key 37), versions 0..=3. Durable, and served by their shards, before it is answered.
//!
//! v2 flexible
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, INVALID_REQUEST, POLICY_VIOLATION,
//! KAFKA_STORAGE_ERROR; THROTTLING_QUOTA_EXCEEDED from v3 on.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};

use super::errors::create_partitions_error;
use super::mutations::{EXCEEDED, within_quota};
use super::{Context, Request};
use crate::metadata::{ControlReply, ControlRequest, NewPartitions};

/// Asks the controller.
pub fn handle(context: &Rc<Context>, mut request: Request) {
    let encoded = request.body();
    let body: CreatePartitionsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let is_strict = request.api_version >= 3;
    let within = within_quota(context, &mut request, is_strict, body.topics.iter().map(|topic| added(context, &topic)));
    let asked = body.topics.iter().zip(&within).filter(|(_, within)| **within);
    let topics = asked.map(|(topic, _)| new_partitions(&topic)).collect();
    let asked = ControlRequest::CreatePartitions { topics, validate_only: body.validate_only };
    context.controller.request(asked, Box::new(move |reply| finish(request, &within, reply)));
}

fn new_partitions(topic: &CreatePartitionsTopic<'_>) -> NewPartitions {
    let assignments = topic.assignments.as_ref();
    NewPartitions {
        topic_name: topic.name.to_owned(),
        count: topic.count,
        assignments: assignments.map(|all| all.iter().map(|one| one.broker_ids.iter().collect()).collect()),
    }
}

fn added(context: &Context, topic: &CreatePartitionsTopic<'_>) -> usize {
    let image = context.metadata.image();
    let there = image.topic_by_name(topic.name).map(|known| known.partitions.len());
    there.map_or(0, |there| usize::try_from(topic.count).unwrap_or(0).saturating_sub(there))
}

fn finish(request: Request, within: &[bool], reply: ControlReply) {
    let encoded = request.body();
    let body: CreatePartitionsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let asked = within.iter().filter(|within| **within).count();
    let results: Vec<(ErrorCode, Option<String>)> = match reply {
        ControlReply::CreatePartitions(results) => {
            let result = |error| (create_partitions_error(&error), Some(error.to_string()));
            results.into_iter().map(|done| done.map_or_else(result, |()| (ErrorCode::NONE, None))).collect()
        }
        _ => vec![(ErrorCode::KAFKA_STORAGE_ERROR, None); asked],
    };
    let mut results = results.into_iter();
    let results: Vec<(ErrorCode, Option<String>)> = within
        .iter()
        .map(|within| match within {
            true => results.next().expect("a result for each that was asked"),
            false => (ErrorCode::THROTTLING_QUOTA_EXCEEDED, Some(EXCEEDED.to_owned())),
        })
        .collect();
    let results = body.topics.iter().zip(&results).map(|(topic, (error_code, message))| CreatePartitionsTopicResult {
        name: topic.name,
        error_code: *error_code,
        error_message: message.as_deref(),
    });
    let (results, throttle_time_ms) = (results.collect(), request.throttle_time_ms());
    request.answer(&CreatePartitionsResponse { throttle_time_ms, results }, []);
}
