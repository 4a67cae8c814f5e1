//! ConsumerGroupHeartbeat (api key 68), versions 0..=1. A member of a consumer group (KIP-848) joins, stays, learns what
//! it has, and leaves.
//!
//! v1 regular expressions, member ids made by clients
//! Errors: UNKNOWN_MEMBER_ID, FENCED_MEMBER_EPOCH, UNRELEASED_INSTANCE_ID, FENCED_INSTANCE_ID, UNSUPPORTED_ASSIGNOR,
//! INVALID_REGULAR_EXPRESSION, GROUP_MAX_SIZE_REACHED, GROUP_ID_NOT_FOUND, INVALID_REQUEST,
//! UNSUPPORTED_VERSION where the feature group.version is not on, and those of the coordinator.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    ConsumerGroupHeartbeatAssignment, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    ConsumerGroupHeartbeatTopicPartitions,
};
use uuid::Uuid;

use super::errors::unavailable;
use super::{Context, GROUP_VERSION, Request};
use crate::coordinator::group::{Assignment, ConsumerHeartbeat, GroupError, GroupReply, GroupRequest};

const MEMBER_ID_VERSION: i16 = 1;

/// Asks the group's coordinator.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: ConsumerGroupHeartbeatRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let owned = body.topic_partitions.as_ref().map(|topics| {
        let mut owned = Assignment::new();
        for topic in topics {
            owned.entry(topic.topic_id).or_default().extend(&topic.partitions);
        }
        owned
    });
    let heartbeat = ConsumerHeartbeat {
        group_id: body.group_id.to_owned(),
        member_id: body.member_id.to_owned(),
        knows_own_member_id: request.api_version >= MEMBER_ID_VERSION,
        member_epoch: body.member_epoch,
        instance_id: body.instance_id.map(str::to_owned),
        rack_id: body.rack_id.map(str::to_owned),
        client_id: request.client_id(),
        client_host: request.client_host(),
        rebalance_timeout_ms: body.rebalance_timeout_ms,
        topic_names: body.subscribed_topic_names.as_ref().map(|names| names.iter().map(str::to_owned).collect()),
        regex: body.subscribed_topic_regex.map(str::to_owned),
        assignor: body.server_assignor.map(str::to_owned),
        owned,
        random_id: Uuid::from_u64_pair(context.reactor.random_u64(), context.reactor.random_u64()),
    };
    if context.metadata.image().feature(GROUP_VERSION) < 1 {
        return finish(request, GroupReply::Unavailable(ErrorCode::UNSUPPORTED_VERSION));
    }
    let reply = Box::new(move |reply| finish(request, reply));
    context.groups.request(body.group_id, GroupRequest::ConsumerHeartbeat(heartbeat), reply);
}

fn finish(request: Request, reply: GroupReply) {
    let reply = match reply {
        GroupReply::ConsumerHeartbeat(reply) => reply,
        other => Err(unavailable(&other)),
    };
    let response = match &reply {
        Err(GroupError { error_code, message }) => ConsumerGroupHeartbeatResponse {
            error_code: *error_code,
            error_message: Some(message.as_str()).filter(|message| !message.is_empty()),
            ..Default::default()
        },
        Ok(reply) => ConsumerGroupHeartbeatResponse {
            member_id: Some(&reply.member_id),
            member_epoch: reply.member_epoch,
            heartbeat_interval_ms: reply.heartbeat_interval_ms,
            assignment: reply.assignment.as_ref().map(assignment),
            ..Default::default()
        },
    };
    request.answer(&response, []);
}

fn assignment(assignment: &Assignment) -> ConsumerGroupHeartbeatAssignment<'_> {
    let topics = assignment.iter().map(|(topic_id, partitions)| ConsumerGroupHeartbeatTopicPartitions {
        topic_id: *topic_id,
        partitions: partitions.iter().copied().collect(),
    });
    ConsumerGroupHeartbeatAssignment { topic_partitions: topics.collect() }
}
