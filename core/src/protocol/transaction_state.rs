//! The records of `__transaction_state`: TransactionLogKey (version 0) and TransactionLogValue, versions 0..=1. Key and
//! value begin with their version as int16.
//!
//! v1 flexible (KIP-890). Its tagged fields are skipped.
#![expect(missing_docs, reason = "the fields carry Kafka's names and are described in its definitions")]

use ringlog_derive::Message;

use crate::wire::Array;

#[rustfmt::skip]
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0)]
pub struct TransactionLogKey<'a> {
    #[field(versions = 0..)] pub transactional_id: &'a str,
}

#[rustfmt::skip]
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=1, flexible = 1..)]
pub struct TransactionLogValue<'a> {
    #[field(versions = 0..)] pub producer_id: i64,
    #[field(versions = 0..)] pub producer_epoch: i16,
    #[field(versions = 0..)] pub transaction_timeout_ms: i32,
    #[field(versions = 0..)] pub transaction_status: i8,
    #[field(versions = 0.., nullable = 0..)] pub transaction_partitions: Option<Array<'a, PartitionsSchema<'a>>>,
    #[field(versions = 0..)] pub transaction_last_update_timestamp_ms: i64,
    #[field(versions = 0..)] pub transaction_start_timestamp_ms: i64,
}

#[rustfmt::skip]
#[derive(Debug, Clone, PartialEq, Message)]
pub struct PartitionsSchema<'a> {
    #[field(versions = 0..)] pub topic: &'a str,
    #[field(versions = 0..)] pub partition_ids: Array<'a, i32>,
}
