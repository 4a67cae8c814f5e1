//! JoinGroup (api key 11), versions 0..=9. Answered when the group has formed.
//!
//! v1 rebalance timeout   v4 two steps   v5 instance id   v6 flexible   v7 protocol type   v9 skip assignment
//! Errors: MEMBER_ID_REQUIRED, UNKNOWN_MEMBER_ID, INCONSISTENT_GROUP_PROTOCOL, INVALID_SESSION_TIMEOUT, INVALID_GROUP_ID,
//! GROUP_MAX_SIZE_REACHED, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS, and those of the coordinator.

use std::rc::Rc;

use bytes::Bytes;
use ringlog_core::protocol::messages::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use uuid::Uuid;

use super::errors::unexpected_group_reply;
use super::{Context, Request};
use crate::coordinator::group::{GroupReply, GroupRequest, JoinGroup, JoinReply, Protocol};

const REBALANCE_TIMEOUT_VERSION: i16 = 1;
const KNOWN_MEMBER_ID_VERSION: i16 = 4;
const NULL_PROTOCOL_VERSION: i16 = 7;
const SKIP_ASSIGNMENT_VERSION: i16 = 9;

/// Asks the group's coordinator.
pub fn handle(context: &Rc<Context>, mut request: Request) {
    let encoded = request.body();
    let body: JoinGroupRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let rebalance_timeout_ms = if request.api_version >= REBALANCE_TIMEOUT_VERSION {
        body.rebalance_timeout_ms
    } else {
        body.session_timeout_ms
    };
    // Members are kept for long, the frame is not: their bytes are copied.
    let protocols = body.protocols.iter().map(|protocol| Protocol {
        name: protocol.name.to_owned(),
        metadata: Bytes::copy_from_slice(protocol.metadata),
    });
    let join = JoinGroup {
        group_id: body.group_id.to_owned(),
        member_id: body.member_id.to_owned(),
        group_instance_id: body.group_instance_id.map(str::to_owned),
        client_id: request.client_id(),
        client_host: request.client_host(),
        session_timeout_ms: body.session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type: body.protocol_type.to_owned(),
        protocols: protocols.collect(),
        requires_known_member_id: request.api_version >= KNOWN_MEMBER_ID_VERSION,
        knows_skip_assignment: request.api_version >= SKIP_ASSIGNMENT_VERSION,
        random_id: Uuid::from_u64_pair(context.reactor.random_u64(), context.reactor.random_u64()),
    };
    request.release_body();
    let reply = Box::new(move |reply| finish(request, reply));
    context.groups.request(body.group_id, GroupRequest::Join(join), reply);
}

fn finish(request: Request, reply: GroupReply) {
    let reply = match reply {
        GroupReply::Join(reply) => reply,
        other => JoinReply::refusal("", unexpected_group_reply(&other)),
    };
    let no_protocol = if request.api_version >= NULL_PROTOCOL_VERSION { None } else { Some("") };
    let members = reply.members.iter().map(|member| JoinGroupResponseMember {
        member_id: &member.member_id,
        group_instance_id: member.group_instance_id.as_deref(),
        metadata: &member.metadata,
    });
    let response = JoinGroupResponse {
        error_code: reply.error_code,
        generation_id: reply.generation_id,
        protocol_type: reply.protocol_type.as_deref(),
        protocol_name: reply.protocol_name.as_deref().or(no_protocol),
        leader: &reply.leader,
        skip_assignment: reply.skip_assignment,
        member_id: &reply.member_id,
        members: members.collect(),
        ..Default::default()
    };
    request.answer(&response, []);
}
