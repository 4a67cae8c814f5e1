//! IncrementalAlterConfigs (API key 44), versions 0..=1.
//!
//! v1 flexible

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 1..)]
pub struct IncrementalAlterConfigsRequest<'a> {
    #[field(versions = 0..)] pub resources: Array<'a, IncrementalAlterConfigsResource<'a>>,
    #[field(versions = 0..)] pub validate_only: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct IncrementalAlterConfigsResource<'a> {
    #[field(versions = 0..)] pub resource_type: i8,
    #[field(versions = 0..)] pub resource_name: &'a str,
    #[field(versions = 0..)] pub configs: Array<'a, IncrementalAlterableConfig<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct IncrementalAlterableConfig<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub config_operation: i8,
    #[field(versions = 0..)] pub value: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 1..)]
pub struct IncrementalAlterConfigsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub responses: Array<'a, IncrementalAlterConfigsResourceResponse<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct IncrementalAlterConfigsResourceResponse<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub resource_type: i8,
    #[field(versions = 0..)] pub resource_name: &'a str,
}
