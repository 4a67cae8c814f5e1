//! JoinGroup (API key 11), versions 0..=9.
//!
//! v1 rebalance_timeout_ms   v4 MEMBER_ID_REQUIRED (KIP-394)   v5 group_instance_id (KIP-345)   v6 flexible   v8 reason (KIP-800)   v9 skip_assignment (KIP-814)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=9, flexible = 6..)]
pub struct JoinGroupRequest<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub session_timeout_ms: i32,
    #[field(versions = 1.., default = -1)] pub rebalance_timeout_ms: i32,
    #[field(versions = 0..)] pub member_id: &'a str,
    #[field(versions = 5..)] pub group_instance_id: Option<&'a str>,
    #[field(versions = 0..)] pub protocol_type: &'a str,
    #[field(versions = 0..)] pub protocols: Array<'a, JoinGroupRequestProtocol<'a>>,
    #[field(versions = 8..)] pub reason: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct JoinGroupRequestProtocol<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub metadata: &'a [u8],
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=9, flexible = 6..)]
pub struct JoinGroupResponse<'a> {
    #[field(versions = 2..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0.., default = -1)] pub generation_id: i32,
    #[field(versions = 7..)] pub protocol_type: Option<&'a str>,
    #[field(versions = 0.., nullable = 7.., default = Some(""))] pub protocol_name: Option<&'a str>,
    #[field(versions = 0..)] pub leader: &'a str,
    #[field(versions = 9..)] pub skip_assignment: bool,
    #[field(versions = 0..)] pub member_id: &'a str,
    #[field(versions = 0..)] pub members: Array<'a, JoinGroupResponseMember<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct JoinGroupResponseMember<'a> {
    #[field(versions = 0..)] pub member_id: &'a str,
    #[field(versions = 5..)] pub group_instance_id: Option<&'a str>,
    #[field(versions = 0..)] pub metadata: &'a [u8],
}
