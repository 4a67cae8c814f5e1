//! InitProducerId (API key 22), versions 0..=5.
//!
//! v2 flexible   v3 producer_id and producer_epoch to resume with (KIP-360)   v4 PRODUCER_FENCED   v5 transactions v2 (KIP-890)

use ringlog_derive::Message;

use crate::protocol::ErrorCode;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=5, flexible = 2..)]
pub struct InitProducerIdRequest<'a> {
    #[field(versions = 0..)] pub transactional_id: Option<&'a str>,
    #[field(versions = 0..)] pub transaction_timeout_ms: i32,
    #[field(versions = 3.., default = -1)] pub producer_id: i64,
    #[field(versions = 3.., default = -1)] pub producer_epoch: i16,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=5, flexible = 2..)]
pub struct InitProducerIdResponse {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0.., default = -1)] pub producer_id: i64,
    #[field(versions = 0..)] pub producer_epoch: i16,
}
