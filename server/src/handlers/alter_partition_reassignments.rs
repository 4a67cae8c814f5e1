//! AlterPartitionReassignments (api key 45), versions 0..=1. A partition can only be where it is: on this broker.
//!
//! v1 allow_replication_factor_change
//! Errors: INVALID_REPLICA_ASSIGNMENT, NO_REASSIGNMENT_IN_PROGRESS, UNKNOWN_TOPIC_OR_PARTITION.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};

use super::{Context, Request};
use crate::metadata::TopicImage;

/// Answers at once.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: AlterPartitionReassignmentsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let image = context.metadata.image();
    let responses = body.topics.iter().map(|asked| {
        let topic = image.topic_by_name(asked.name);
        let partitions = asked.partitions.iter().map(|partition| {
            let (error_code, error_message) = match check(context, topic.map(|topic| &**topic), &partition) {
                Ok(()) => (ErrorCode::NONE, None),
                Err((error_code, text)) => (error_code, Some(text)),
            };
            ReassignablePartitionResponse { partition_index: partition.partition_index, error_code, error_message }
        });
        ReassignableTopicResponse { name: asked.name, partitions: partitions.collect() }
    });
    let response = AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: body.allow_replication_factor_change,
        responses: responses.collect(),
        ..Default::default()
    };
    request.answer(&response, []);
}

fn check(
    context: &Context,
    topic: Option<&TopicImage>,
    asked: &ReassignablePartition<'_>,
) -> Result<(), (ErrorCode, &'static str)> {
    if topic.and_then(|topic| context.metadata.owner(topic, asked.partition_index)).is_none() {
        return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "The topic or partition is not there."));
    }
    match &asked.replicas {
        None => Err((ErrorCode::NO_REASSIGNMENT_IN_PROGRESS, "No reassignment is in progress.")),
        Some(replicas) if replicas.iter().eq([context.settings.node_id]) => Ok(()),
        Some(_) => Err((
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            "This broker is the only one: it is every partition's replica.",
        )),
    }
}
