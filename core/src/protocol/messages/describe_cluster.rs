//! DescribeCluster (API key 60), versions 0..=2, flexible in all.
//!
//! v1 endpoint_type (KIP-919): 1 brokers, 2 controllers   v2 fenced brokers (KIP-1073)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 0..)]
pub struct DescribeClusterRequest {
    #[field(versions = 0..)] pub include_cluster_authorized_operations: bool,
    #[field(versions = 1.., default = 1)] pub endpoint_type: i8,
    #[field(versions = 2..)] pub include_fenced_brokers: bool,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=2, flexible = 0..)]
pub struct DescribeClusterResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 1.., default = 1)] pub endpoint_type: i8,
    #[field(versions = 0..)] pub cluster_id: &'a str,
    #[field(versions = 0.., default = -1)] pub controller_id: i32,
    #[field(versions = 0..)] pub brokers: Array<'a, DescribeClusterBroker<'a>>,
    #[field(versions = 0.., default = i32::MIN)] pub cluster_authorized_operations: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeClusterBroker<'a> {
    #[field(versions = 0..)] pub broker_id: i32,
    #[field(versions = 0..)] pub host: &'a str,
    #[field(versions = 0..)] pub port: i32,
    #[field(versions = 0..)] pub rack: Option<&'a str>,
    #[field(versions = 2..)] pub is_fenced: bool,
}
