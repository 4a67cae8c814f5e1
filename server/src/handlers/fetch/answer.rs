//! The answer of a fetch: all of its partitions, or those of which there is something to tell.

use std::ops::Range;

use ringlog_core::protocol::messages::{AbortedTransaction, FetchResponse, FetchableTopicResponse, PartitionData};
use ringlog_core::reactor::Pieces;
use ringlog_core::wire::Records;

use super::targets::{Targets, TopicKey};
use super::wait::{Outcomes, record_bytes};
use crate::handlers::Request;
use crate::handlers::errors::partition_error;
use crate::partition::{self, Isolation, PartitionError, ReadOutcome};

/// Of which partitions an answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Of all.
    All,
    /// Of those whose answer differs from what the reader knows.
    Changes,
}

/// Answers with the outcome of each target.
pub fn answer(
    request: Request,
    session_id: i32,
    targets: &mut Targets,
    outcomes: Outcomes,
    told: Told,
    isolation: Isolation,
) {
    assert_eq!(targets.len(), outcomes.len());
    let mut partitions: Vec<PartitionData<'_>> = Vec::with_capacity(1);
    let mut topics: Vec<(usize, Range<usize>)> = Vec::with_capacity(1);
    let mut records: Vec<Pieces> = Vec::new();
    let mut last_with_records = None;
    for (at, outcome) in outcomes.into_iter().enumerate() {
        let is_changed = targets.tell(at, &outcome);
        if told == Told::Changes && !is_changed {
            continue;
        }
        let (key, _) = targets.get(at);
        match topics.last_mut() {
            Some((first, range)) if targets.get(*first).0.topic == key.topic => range.end += 1,
            _ => topics.push((at, partitions.len()..partitions.len() + 1)),
        }
        partitions.push(partition_data(key.partition_index, &outcome, targets.by_id(), isolation));
        if let Ok(read) = outcome
            && !read.records.is_empty()
        {
            records.push(read.records);
            last_with_records = Some(at);
        }
    }
    let topic = |(at, range): &(usize, Range<usize>)| {
        let partitions = partitions[range.clone()].into();
        match &targets.get(*at).0.topic {
            TopicKey::Id(topic_id) => FetchableTopicResponse { topic: "", topic_id: *topic_id, partitions },
            TopicKey::Name(name) => FetchableTopicResponse { topic: name, partitions, ..Default::default() },
        }
    };
    let responses = topics.iter().map(topic).collect();
    let throttle_time_ms = request.throttle_time_ms();
    request.answer(&FetchResponse { session_id, responses, throttle_time_ms, ..Default::default() }, records);
    if let Some(at) = last_with_records {
        targets.begin_behind(at);
    }
}

fn partition_data(
    partition_index: i32,
    outcome: &Result<ReadOutcome, PartitionError>,
    by_id: bool,
    isolation: Isolation,
) -> PartitionData<'static> {
    match outcome {
        Ok(read) => PartitionData {
            partition_index,
            high_watermark: read.high_watermark,
            last_stable_offset: read.last_stable_offset,
            aborted_transactions: match isolation {
                Isolation::Uncommitted => None,
                Isolation::Committed => Some(read.aborted.iter().map(aborted_transaction).collect()),
            },
            log_start_offset: read.log_start_offset,
            records: Some(match record_bytes(read) {
                0 => Records::Bytes(&[]),
                size_bytes => Records::Elsewhere { size_bytes },
            }),
            ..Default::default()
        },
        Err(error) => PartitionData {
            partition_index,
            error_code: partition_error(error, by_id),
            high_watermark: -1,
            records: Some(Records::Bytes(&[])),
            ..Default::default()
        },
    }
}

fn aborted_transaction(aborted: &partition::AbortedTransaction) -> AbortedTransaction {
    AbortedTransaction { producer_id: aborted.producer_id, first_offset: aborted.first_offset }
}
