//! SyncGroup (api key 14), versions 0..=5. The member's assignment, once the leader has brought it.
//!
//! v3 instance id   v4 flexible   v5 protocol type and name
//! Errors: UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, INCONSISTENT_GROUP_PROTOCOL, FENCED_INSTANCE_ID, REBALANCE_IN_PROGRESS,
//! and those of the coordinator.

use std::rc::Rc;

use bytes::Bytes;
use ringlog_core::protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::errors::unexpected_group_reply;
use super::{Context, Request};
use crate::coordinator::group::{GroupReply, GroupRequest, SyncGroup};

/// Asks the group's coordinator.
pub fn handle(context: &Rc<Context>, mut request: Request) {
    let encoded = request.body();
    let body: SyncGroupRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let assignments = body
        .assignments
        .iter()
        .map(|assignment| (assignment.member_id.to_owned(), Bytes::copy_from_slice(assignment.assignment)));
    let sync = SyncGroup {
        group_id: body.group_id.to_owned(),
        generation_id: body.generation_id,
        member_id: body.member_id.to_owned(),
        group_instance_id: body.group_instance_id.map(str::to_owned),
        protocol_type: body.protocol_type.map(str::to_owned),
        protocol_name: body.protocol_name.map(str::to_owned),
        assignments: assignments.collect(),
    };
    request.release_body();
    let reply = Box::new(move |reply| finish(request, reply));
    context.groups.request(body.group_id, GroupRequest::Sync(sync), reply);
}

fn finish(request: Request, reply: GroupReply) {
    let synced = match reply {
        GroupReply::Sync(synced) => synced,
        other => Err(unexpected_group_reply(&other)),
    };
    let response = match &synced {
        Ok(reply) => SyncGroupResponse {
            protocol_type: reply.protocol_type.as_deref(),
            protocol_name: reply.protocol_name.as_deref(),
            assignment: &reply.assignment,
            ..Default::default()
        },
        Err(error_code) => SyncGroupResponse { error_code: *error_code, ..Default::default() },
    };
    request.answer(&response, []);
}
