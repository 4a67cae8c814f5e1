//! SyncGroup (API key 14), versions 0..=5.
//!
//! v3 group_instance_id (KIP-345)   v4 flexible   v5 protocol type and name (KIP-559)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=5, flexible = 4..)]
pub struct SyncGroupRequest<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub generation_id: i32,
    #[field(versions = 0..)] pub member_id: &'a str,
    #[field(versions = 3..)] pub group_instance_id: Option<&'a str>,
    #[field(versions = 5..)] pub protocol_type: Option<&'a str>,
    #[field(versions = 5..)] pub protocol_name: Option<&'a str>,
    #[field(versions = 0..)] pub assignments: Array<'a, SyncGroupRequestAssignment<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct SyncGroupRequestAssignment<'a> {
    #[field(versions = 0..)] pub member_id: &'a str,
    #[field(versions = 0..)] pub assignment: &'a [u8],
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=5, flexible = 4..)]
pub struct SyncGroupResponse<'a> {
    #[field(versions = 1..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 5..)] pub protocol_type: Option<&'a str>,
    #[field(versions = 5..)] pub protocol_name: Option<&'a str>,
    #[field(versions = 0..)] pub assignment: &'a [u8],
}
