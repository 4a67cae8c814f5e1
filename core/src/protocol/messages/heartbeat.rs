//! Heartbeat (API key 12), versions 0..=4.
//!
//! v3 group_instance_id (KIP-345)   v4 flexible

use ringlog_derive::Message;

use crate::protocol::ErrorCode;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=4, flexible = 4..)]
pub struct HeartbeatRequest<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub generation_id: i32,
    #[field(versions = 0..)] pub member_id: &'a str,
    #[field(versions = 3..)] pub group_instance_id: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
#[message(versions = 0..=4, flexible = 4..)]
pub struct HeartbeatResponse {
    #[field(versions = 1..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
}
