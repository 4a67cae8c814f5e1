//! ListGroups (API key 16), versions 0..=5.
//!
//! v3 flexible   v4 states_filter (KIP-518)   v5 types_filter (KIP-848)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=5, flexible = 3..)]
pub struct ListGroupsRequest<'a> {
    #[field(versions = 4..)] pub states_filter: Array<'a, &'a str>,
    #[field(versions = 5..)] pub types_filter: Array<'a, &'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=5, flexible = 3..)]
pub struct ListGroupsResponse<'a> {
    #[field(versions = 1..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub groups: Array<'a, ListedGroup<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ListedGroup<'a> {
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub protocol_type: &'a str,
    #[field(versions = 4..)] pub group_state: &'a str,
    #[field(versions = 5..)] pub group_type: &'a str,
}
