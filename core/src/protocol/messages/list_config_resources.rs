//! ListConfigResources (API key 74), versions 0..=1.
//!
//! v0 client metrics only   v1 resource types (KIP-1142)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 0..)]
pub struct ListConfigResourcesRequest<'a> {
    #[field(versions = 1..)] pub resource_types: Array<'a, i8>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 0..)]
pub struct ListConfigResourcesResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub config_resources: Array<'a, ListedConfigResource<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct ListedConfigResource<'a> {
    #[field(versions = 0..)] pub resource_name: &'a str,
    #[field(versions = 1.., default = 16)] pub resource_type: i8,
}
