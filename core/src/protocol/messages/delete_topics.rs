//! DeleteTopics (API key 20), versions 1..=6.
//!
//! v4 flexible   v5 error_message   v6 topic ids, by name or by id (KIP-516)

use ringlog_derive::Message;
use uuid::Uuid;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=6, flexible = 4..)]
pub struct DeleteTopicsRequest<'a> {
    #[field(versions = 6..)] pub topics: Array<'a, DeleteTopicState<'a>>,
    #[field(versions = 0..=5)] pub topic_names: Array<'a, &'a str>,
    #[field(versions = 0..)] pub timeout_ms: i32,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeleteTopicState<'a> {
    #[field(versions = 6..)] pub name: Option<&'a str>,
    #[field(versions = 6..)] pub topic_id: Uuid,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 1..=6, flexible = 4..)]
pub struct DeleteTopicsResponse<'a> {
    #[field(versions = 1..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub responses: Array<'a, DeletableTopicResult<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DeletableTopicResult<'a> {
    #[field(versions = 0.., nullable = 6..)] pub name: Option<&'a str>,
    #[field(versions = 6..)] pub topic_id: Uuid,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 5..)] pub error_message: Option<&'a str>,
}
