//! What the sink answers about members of groups: each is alone in its group, leads it, and never dies.

use ringlog_core::protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
    LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use ringlog_core::protocol::{ErrorCode, RequestHeader};
use ringlog_core::wire::{Array, Message, Reader};

use super::Fault;
use super::answers::encode;

/// From this version on a new member is given its id first (KIP-394).
const ID_FIRST_FROM: i16 = 4;
const GENERATION: i32 = 1;
/// The id of every new member: no two are in one group.
const MEMBER_ID: &str = "member";

pub(super) fn join(header: &RequestHeader<'_>, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let request = JoinGroupRequest::decode(reader, header.api_version).ok()?;
    let is_named = !request.member_id.is_empty() || header.api_version < ID_FIRST_FROM;
    let protocol = request.protocols.iter().next()?;
    let member = JoinGroupResponseMember { member_id: MEMBER_ID, group_instance_id: None, metadata: protocol.metadata };
    let response = JoinGroupResponse {
        throttle_time_ms: 0,
        error_code: if is_named { ErrorCode::NONE } else { ErrorCode::MEMBER_ID_REQUIRED },
        generation_id: if is_named { GENERATION } else { -1 },
        protocol_type: Some(request.protocol_type),
        protocol_name: Some(protocol.name),
        leader: if is_named { MEMBER_ID } else { "" },
        skip_assignment: false,
        member_id: MEMBER_ID,
        members: Array::from(if is_named { vec![member] } else { Vec::new() }),
    };
    encode(header, &response)
}

pub(super) fn sync(header: &RequestHeader<'_>, reader: &mut Reader<'_>, fault: Option<Fault>) -> Option<Vec<u8>> {
    let request = SyncGroupRequest::decode(reader, header.api_version).ok()?;
    let own = request.assignments.iter().find(|part| part.member_id == request.member_id);
    let assignment: &[u8] = match fault {
        Some(Fault::WrongAssignment) => b"of another member",
        _ => own.map_or(&[], |part| part.assignment),
    };
    let response = SyncGroupResponse {
        throttle_time_ms: 0,
        error_code: ErrorCode::NONE,
        protocol_type: request.protocol_type,
        protocol_name: request.protocol_name,
        assignment,
    };
    encode(header, &response)
}

pub(super) fn heartbeat(header: &RequestHeader<'_>, reader: &mut Reader<'_>, fault: Option<Fault>) -> Option<Vec<u8>> {
    HeartbeatRequest::decode(reader, header.api_version).ok()?;
    let error_code = if fault == Some(Fault::Error) { ErrorCode::UNKNOWN_MEMBER_ID } else { ErrorCode::NONE };
    encode(header, &HeartbeatResponse { throttle_time_ms: 0, error_code })
}

pub(super) fn leave(header: &RequestHeader<'_>, reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    LeaveGroupRequest::decode(reader, header.api_version).ok()?;
    let response = LeaveGroupResponse { throttle_time_ms: 0, error_code: ErrorCode::NONE, members: Array::default() };
    encode(header, &response)
}
