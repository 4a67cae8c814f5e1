//! LeaveGroup (API key 13), versions 0..=5.
//!
//! v3 several members (KIP-345)   v4 flexible   v5 reason (KIP-800)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=5, flexible = 4..)]
pub struct LeaveGroupRequest<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..=2)] pub member_id: &'a str,
    #[field(versions = 3..)] pub members: Array<'a, MemberIdentity<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct MemberIdentity<'a> {
    #[field(versions = 3..)] pub member_id: &'a str,
    #[field(versions = 3..)] pub group_instance_id: Option<&'a str>,
    #[field(versions = 5..)] pub reason: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=5, flexible = 4..)]
pub struct LeaveGroupResponse<'a> {
    #[field(versions = 1..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 3..)] pub members: Array<'a, MemberResponse<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct MemberResponse<'a> {
    #[field(versions = 3..)] pub member_id: &'a str,
    #[field(versions = 3.., default = Some(""))] pub group_instance_id: Option<&'a str>,
    #[field(versions = 3..)] pub error_code: ErrorCode,
}
