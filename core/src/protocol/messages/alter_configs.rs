//! AlterConfigs (API key 33), versions 0..=2.
//!
//! v2 flexible

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 2..)]
pub struct AlterConfigsRequest<'a> {
    #[field(versions = 0..)] pub resources: Array<'a, AlterConfigsResource<'a>>,
    #[field(versions = 0..)] pub validate_only: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterConfigsResource<'a> {
    #[field(versions = 0..)] pub resource_type: i8,
    #[field(versions = 0..)] pub resource_name: &'a str,
    #[field(versions = 0..)] pub configs: Array<'a, AlterableConfig<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterableConfig<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub value: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 2..)]
pub struct AlterConfigsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub responses: Array<'a, AlterConfigsResourceResponse<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct AlterConfigsResourceResponse<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub resource_type: i8,
    #[field(versions = 0..)] pub resource_name: &'a str,
}
