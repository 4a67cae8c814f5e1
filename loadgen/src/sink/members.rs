//! What the sink answers about members of groups: each is alone in its group, leads it, and never dies.

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
    LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use ringlog_core::wire::Array;

use super::Fault;
use super::request::Request;

/// From this version on a new member is given its id first (KIP-394).
const ID_FIRST_FROM: i16 = 4;
const GENERATION: i32 = 1;
/// The id of every new member: no two are in one group.
const MEMBER_ID: &str = "member";

pub(super) fn join(request: &mut Request<'_, '_>) -> Option<()> {
    let body: JoinGroupRequest<'_> = request.body()?;
    let is_named = !body.member_id.is_empty() || request.header.api_version < ID_FIRST_FROM;
    let protocol = body.protocols.iter().next()?;
    let member = JoinGroupResponseMember { member_id: MEMBER_ID, group_instance_id: None, metadata: protocol.metadata };
    let response = JoinGroupResponse {
        throttle_time_ms: 0,
        error_code: if is_named { ErrorCode::NONE } else { ErrorCode::MEMBER_ID_REQUIRED },
        generation_id: if is_named { GENERATION } else { -1 },
        protocol_type: Some(body.protocol_type),
        protocol_name: Some(protocol.name),
        leader: if is_named { MEMBER_ID } else { "" },
        skip_assignment: false,
        member_id: MEMBER_ID,
        members: Array::from(if is_named { vec![member] } else { Vec::new() }),
    };
    request.answer(&response)
}

pub(super) fn sync(request: &mut Request<'_, '_>) -> Option<()> {
    let body: SyncGroupRequest<'_> = request.body()?;
    let own = body.assignments.iter().find(|part| part.member_id == body.member_id);
    let assignment: &[u8] = match request.fault {
        Some(Fault::WrongAssignment) => b"of another member",
        _ => own.map_or(&[], |part| part.assignment),
    };
    let response = SyncGroupResponse {
        throttle_time_ms: 0,
        error_code: ErrorCode::NONE,
        protocol_type: body.protocol_type,
        protocol_name: body.protocol_name,
        assignment,
    };
    request.answer(&response)
}

pub(super) fn heartbeat(request: &mut Request<'_, '_>) -> Option<()> {
    request.body::<HeartbeatRequest<'_>>()?;
    let error_code = if request.fault == Some(Fault::Error) { ErrorCode::UNKNOWN_MEMBER_ID } else { ErrorCode::NONE };
    request.answer(&HeartbeatResponse { throttle_time_ms: 0, error_code })
}

pub(super) fn leave(request: &mut Request<'_, '_>) -> Option<()> {
    request.body::<LeaveGroupRequest<'_>>()?;
    let response = LeaveGroupResponse { throttle_time_ms: 0, error_code: ErrorCode::NONE, members: Array::default() };
    request.answer(&response)
}
