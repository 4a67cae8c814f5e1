//! DescribeGroups (API key 15), versions 0..=6.
//!
//! v3 authorized operations   v4 group_instance_id (KIP-345)   v5 flexible   v6 GROUP_ID_NOT_FOUND (KIP-1043)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=6, flexible = 5..)]
pub struct DescribeGroupsRequest<'a> {
    #[field(versions = 0..)] pub groups: Array<'a, &'a str>,
    #[field(versions = 3..)] pub include_authorized_operations: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=6, flexible = 5..)]
pub struct DescribeGroupsResponse<'a> {
    #[field(versions = 1..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub groups: Array<'a, DescribedGroup<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribedGroup<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 6..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub group_id: &'a str,
    #[field(versions = 0..)] pub group_state: &'a str,
    #[field(versions = 0..)] pub protocol_type: &'a str,
    #[field(versions = 0..)] pub protocol_data: &'a str,
    #[field(versions = 0..)] pub members: Array<'a, DescribedGroupMember<'a>>,
    #[field(versions = 3.., default = i32::MIN)] pub authorized_operations: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribedGroupMember<'a> {
    #[field(versions = 0..)] pub member_id: &'a str,
    #[field(versions = 4..)] pub group_instance_id: Option<&'a str>,
    #[field(versions = 0..)] pub client_id: &'a str,
    #[field(versions = 0..)] pub client_host: &'a str,
    #[field(versions = 0..)] pub member_metadata: &'a [u8],
    #[field(versions = 0..)] pub member_assignment: &'a [u8],
}
