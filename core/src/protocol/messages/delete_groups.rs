//! DeleteGroups (API key 42), versions 0..=2.
//!
//! v2 flexible

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 2..)]
pub struct DeleteGroupsRequest<'a> {
    #[field(versions = 0..)] pub groups_names: Array<'a, &'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 2..)]
pub struct DeleteGroupsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub results: Array<'a, DeletableGroupResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeletableGroupResult<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub error_code: ErrorCode,
}
