//! DescribeProducers (API key 61), version 0.
//!
//! KIP-664

use ringlog_derive::Message;

use crate::protocol::ErrorCode;
use crate::wire::Array;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct DescribeProducersRequest<'a> {
    #[field(versions = 0..)] pub topics: Array<'a, DescribeProducersTopic<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeProducersTopic<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partition_indexes: Array<'a, i32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = 0..=0, flexible = 0..)]
pub struct DescribeProducersResponse<'a> {
    #[field(versions = 0..)] pub throttle_time_ms: i32,
    #[field(versions = 0..)] pub topics: Array<'a, DescribeProducersTopicResponse<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeProducersTopicResponse<'a> {
    #[field(versions = 0..)] pub name: &'a str,
    #[field(versions = 0..)] pub partitions: Array<'a, DescribeProducersPartition<'a>>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct DescribeProducersPartition<'a> {
    #[field(versions = 0..)] pub partition_index: i32,
    #[field(versions = 0..)] pub error_code: ErrorCode,
    #[field(versions = 0..)] pub error_message: Option<&'a str>,
    #[field(versions = 0..)] pub active_producers: Array<'a, DescribedProducer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Message)]
pub struct DescribedProducer {
    #[field(versions = 0..)] pub producer_id: i64,
    #[field(versions = 0..)] pub producer_epoch: i32,
    #[field(versions = 0.., default = -1)] pub last_sequence: i32,
    #[field(versions = 0.., default = -1)] pub last_timestamp: i64,
    #[field(versions = 0..)] pub coordinator_epoch: i32,
    #[field(versions = 0.., default = -1)] pub current_txn_start_offset: i64,
}
