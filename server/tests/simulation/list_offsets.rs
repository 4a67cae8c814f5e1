//! Asks a broker where a partition starts or ends.

use std::io;

use ringlog_core::protocol::messages::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use ringlog_core::protocol::{ApiKey, ErrorCode};

use super::wire::Link;

/// Timestamps that ask for the ends.
pub const LATEST: i64 = -1;
pub const EARLIEST: i64 = -2;

/// The answer's error and offset.
pub async fn list_offset(
    link: &mut Link,
    topic_name: &str,
    partition_index: i32,
    timestamp: i64,
) -> io::Result<(ErrorCode, i64)> {
    let partition = ListOffsetsPartition { partition_index, current_leader_epoch: -1, timestamp };
    let topic = ListOffsetsTopic { name: topic_name, partitions: vec![partition].into() };
    let request = ListOffsetsRequest { replica_id: -1, isolation_level: 0, topics: vec![topic].into(), timeout_ms: 0 };
    let answer = link.call(ApiKey::ListOffsets, 7, &request).await?;
    let answer: ListOffsetsResponse<'_> = answer.decode();
    let topic = answer.topics.iter().next().expect("one topic was asked");
    let result = topic.partitions.iter().next().expect("one partition was asked");
    Ok((result.error_code, result.offset))
}
