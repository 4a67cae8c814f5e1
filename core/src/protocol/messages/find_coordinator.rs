//! FindCoordinator (API key 10), versions 0..=6.
//!
//! v1 key_type (transactions)   v3 flexible   v4 several keys (KIP-699)   v6 share groups (KIP-932)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=6, flexible = 3..)]
pub struct FindCoordinatorRequest<'a> {
    #[field(versions = 0..=3)] pub key: &'a str,
    #[field(versions = 1..)] pub key_type: i8,
    #[field(versions = 4..)] pub coordinator_keys: Array<'a, &'a str>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=6, flexible = 3..)]
pub struct FindCoordinatorResponse<'a> {
    #[field(versions = 1..)] pub throttle_time_ms: i32,
    #[field(versions = 0..=3)] pub error_code: ErrorCode,
    #[field(versions = 1..=3, default = Some(""))] pub error_message: Option<&'a str>,
    #[field(versions = 0..=3)] pub node_id: i32,
    #[field(versions = 0..=3)] pub host: &'a str,
    #[field(versions = 0..=3)] pub port: i32,
    #[field(versions = 4..)] pub coordinators: Array<'a, Coordinator<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Coordinator<'a> {
    #[field(versions = 4..)] pub key: &'a str,
    #[field(versions = 4..)] pub node_id: i32,
    #[field(versions = 4..)] pub host: &'a str,
    #[field(versions = 4..)] pub port: i32,
    #[field(versions = 4..)] pub error_code: ErrorCode,
    #[field(versions = 4.., default = Some(""))] pub error_message: Option<&'a str>,
}
