//! CreatePartitions (api key 37), versions 0..=3. Durable, and served by their shards, before it is answered.
//!
//! v2 flexible
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT, INVALID_REQUEST, POLICY_VIOLATION,
//! KAFKA_STORAGE_ERROR.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
};

use super::errors::create_partitions_error;
use super::{Context, Request};
use crate::metadata::{ControlReply, ControlRequest, NewPartitions};

/// Asks the controller.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: CreatePartitionsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let topics = body.topics.iter().map(|topic| new_partitions(&topic)).collect();
    let asked = ControlRequest::CreatePartitions { topics, validate_only: body.validate_only };
    context.controller.request(asked, Box::new(move |reply| finish(request, reply)));
}

fn new_partitions(topic: &CreatePartitionsTopic<'_>) -> NewPartitions {
    let assignments = topic.assignments.as_ref();
    NewPartitions {
        topic_name: topic.name.to_owned(),
        count: topic.count,
        assignments: assignments.map(|all| all.iter().map(|one| one.broker_ids.iter().collect()).collect()),
    }
}

fn finish(request: Request, reply: ControlReply) {
    let encoded = request.body();
    let body: CreatePartitionsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let results: Vec<(ErrorCode, Option<String>)> = match reply {
        ControlReply::CreatePartitions(results) => {
            let result = |error| (create_partitions_error(&error), Some(error.to_string()));
            results.into_iter().map(|done| done.map_or_else(result, |()| (ErrorCode::NONE, None))).collect()
        }
        _ => vec![(ErrorCode::KAFKA_STORAGE_ERROR, None); body.topics.len()],
    };
    let results = body.topics.iter().zip(&results).map(|(topic, (error_code, message))| CreatePartitionsTopicResult {
        name: topic.name,
        error_code: *error_code,
        error_message: message.as_deref(),
    });
    request.answer(&CreatePartitionsResponse { results: results.collect(), ..Default::default() }, []);
}
