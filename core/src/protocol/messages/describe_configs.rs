//! DescribeConfigs (API key 32), versions 1..=4.
//!
//! v3 types and documentation   v4 flexible

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=4, flexible = 4..)]
pub struct DescribeConfigsRequest<'a> {
    #[field(versions = 0..)] pub resources: Array<'a, DescribeConfigsResource<'a>>,
    #[field(versions = 1..)] pub include_synonyms: bool,
    #[field(versions = 3..)] pub include_documentation: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeConfigsResource<'a> {
    #[field(versions = 0..)] pub resource_type: i8,
    #[field(versions = 0..)] pub resource_name: &'a str,
    #[field(versions = 0..)] pub configuration_keys: Option<Array<'a, &'a str>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=4, flexible = 4..)]
pub struct DescribeConfigsResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub results: Array<'a, DescribeConfigsResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeConfigsResult<'a> {
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub resource_type: i8,
    #[field(versions = 0..)] pub resource_name: &'a str,
    #[field(versions = 0..)] pub configs: Array<'a, DescribeConfigsResourceResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeConfigsResourceResult<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub value: Option<&'a str>,
    #[field(versions = 0..)] pub read_only: bool,
    #[field(versions = 1.., default = -1)] pub config_source: i8,
    #[field(versions = 0..)] pub is_sensitive: bool,
    #[field(versions = 1..)] pub synonyms: Array<'a, DescribeConfigsSynonym<'a>>,
    #[field(versions = 3..)] pub config_type: i8,
    #[field(versions = 3.., default = Some(""))] pub documentation: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeConfigsSynonym<'a> {
    #[field(versions = 1..)] pub name: &'a str,
    #[field(versions = 1..)] pub value: Option<&'a str>,
    #[field(versions = 1..)] pub source: i8,
}
