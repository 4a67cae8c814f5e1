//! LeaveGroup (api key 13), versions 0..=5. Removes members: itself, or (from version 3 on) several.
//!
//! v3 several members, by member id or instance id   v4 flexible   v5 reason
//! Errors: UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID, and those of the coordinator.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse};

use super::errors::unexpected_group_reply;
use super::{Context, Request};
use crate::coordinator::group::{GroupReply, GroupRequest, LeaveGroup};

/// Versions below name one member, without a list.
const BATCH_VERSION: i16 = 3;

/// Asks the group's coordinator.
pub fn handle(context: &Rc<Context>, request: Request) {
    let encoded = request.body();
    let body: LeaveGroupRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let members = if request.api_version >= BATCH_VERSION {
        let named = body.members.iter();
        named.map(|member| (member.member_id.to_owned(), member.group_instance_id.map(str::to_owned))).collect()
    } else {
        vec![(body.member_id.to_owned(), None)]
    };
    let leave = LeaveGroup { group_id: body.group_id.to_owned(), members };
    let reply = Box::new(move |reply| finish(request, reply));
    context.groups.request(body.group_id, GroupRequest::Leave(leave), reply);
}

fn finish(request: Request, reply: GroupReply) {
    let encoded = request.body();
    let body: LeaveGroupRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let left = match reply {
        GroupReply::Leave(left) => left,
        other => Err(unexpected_group_reply(&other)),
    };
    let response = match left {
        Err(error_code) => LeaveGroupResponse { error_code, ..Default::default() },
        Ok(codes) if request.api_version < BATCH_VERSION => {
            LeaveGroupResponse { error_code: codes.first().copied().unwrap_or(ErrorCode::NONE), ..Default::default() }
        }
        Ok(codes) => {
            let members = body.members.iter().zip(codes).map(|(member, error_code)| MemberResponse {
                member_id: member.member_id,
                group_instance_id: member.group_instance_id,
                error_code,
            });
            LeaveGroupResponse { members: members.collect(), ..Default::default() }
        }
    };
    request.answer(&response, []);
}
