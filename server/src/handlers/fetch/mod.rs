//! Fetch (api key 1), versions 4..=18. Returns record batches up to the high watermark, at once or when there are
//! enough.
//!
//! v5 log start offset   v7 fetch sessions (KIP-227; always answered with session id 0: none)   v9 current leader epoch
//! (KIP-320)   v12 flexible   v13 topic ids   v15 replica state tagged
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, OFFSET_OUT_OF_RANGE, FENCED_LEADER_EPOCH,
//! UNKNOWN_LEADER_EPOCH, FETCH_SESSION_ID_NOT_FOUND, KAFKA_STORAGE_ERROR.

mod wait;

use std::future::Future;
use std::rc::Rc;
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    AbortedTransaction, FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};
use ringlog_core::reactor::{Instant, Pieces};
use ringlog_core::wire::{DecodeError, Records};

use self::wait::{Bounds, Outcomes, Room, Target, record_bytes};
use super::errors::partition_error;
use super::{Body, Context, Request};
use crate::partition::{self, Isolation, PartitionError, ReadOutcome, ReadRequest, TopicPartition};

/// The session epoch of a client that wants none.
const FINAL_EPOCH: i32 = -1;

/// Answers at once where it can, else waits in a task of its own.
pub fn handle(context: &Rc<Context>, request: Request) {
    let (targets, bounds) = match plan(context, &request.body(), request.api_version) {
        Ok(Ok(planned)) => planned,
        Ok(Err(error)) => {
            return request.answer(&FetchResponse { error_code: error, ..Default::default() }, []);
        }
        Err(error) => return request.close(&error),
    };
    // Now and not in the task: the connection's next requests have to see what this one will hold.
    let mut room = Room::take(request.responder(), &targets, bounds.max_bytes);
    let context_of_task = Rc::clone(context);
    let mut answering = Box::pin(async move {
        let Context { reactor, router, .. } = &*context_of_task;
        let outcomes = wait::fetch(reactor, router, &targets, bounds, request.responder(), &mut room).await;
        finish(request, &targets, outcomes);
    });
    // Nobody is woken by this look: a task that has to wait is polled again when it is spawned.
    if answering.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())).is_pending() {
        context.reactor.spawn(answering);
    }
}

type Planned = Result<(Vec<Target>, Bounds), ErrorCode>;

fn plan(context: &Context, encoded: &Body, api_version: i16) -> Result<Planned, DecodeError> {
    let body: FetchRequest<'_> = encoded.decode()?;
    if body.session_id != 0 && body.session_epoch != FINAL_EPOCH {
        return Ok(Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND));
    }
    let isolation = Isolation::from_wire(body.isolation_level);
    let metadata = context.metadata.image();
    let mut targets = Vec::new();
    for topic in &body.topics {
        let found =
            if api_version >= 13 { metadata.topic(&topic.topic_id) } else { metadata.topic_by_name(topic.topic) };
        for partition in &topic.partitions {
            let place = found.and_then(|topic| {
                let owner = context.metadata.owner(topic, partition.partition)?;
                Some((owner, TopicPartition { topic_id: topic.topic_id, partition_index: partition.partition }))
            });
            targets.push(Target {
                place: place.ok_or(PartitionError::Unknown),
                read: read_request(&partition, isolation),
            });
        }
    }
    let now = context.reactor.now().0;
    let wait = Duration::from_millis(u64::try_from(body.max_wait_ms).unwrap_or(0)).as_nanos() as u64;
    Ok(Ok((
        targets,
        Bounds {
            min_bytes: usize::try_from(body.min_bytes).unwrap_or(0),
            max_bytes: usize::try_from(body.max_bytes).unwrap_or(0).min(context.settings.fetch_max_bytes as usize),
            deadline: Instant(now.saturating_add(wait)),
        },
    )))
}

fn read_request(partition: &FetchPartition, isolation: Isolation) -> ReadRequest {
    ReadRequest {
        offset: partition.fetch_offset,
        max_bytes: usize::try_from(partition.partition_max_bytes).unwrap_or(0),
        at_least_one_batch: false,
        current_leader_epoch: partition.current_leader_epoch,
        isolation,
    }
}

fn finish(request: Request, targets: &[Target], outcomes: Outcomes) {
    let encoded = request.body();
    let body: FetchRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    assert_eq!(targets.len(), outcomes.len());
    let by_id = request.api_version >= 13;
    let isolation = Isolation::from_wire(body.isolation_level);
    let mut next = outcomes.iter();
    let responses = body
        .topics
        .iter()
        .map(|topic| FetchableTopicResponse {
            topic: topic.topic,
            topic_id: topic.topic_id,
            partitions: topic
                .partitions
                .iter()
                .map(|partition| {
                    partition_data(partition.partition, next.next().expect("one per partition"), by_id, isolation)
                })
                .collect(),
        })
        .collect();
    let response = FetchResponse { responses, ..Default::default() };
    let records: Vec<Pieces> = outcomes
        .iter()
        .flatten()
        .map(|outcome| outcome.records.clone())
        .filter(|records| !records.is_empty())
        .collect();
    request.answer(&response, records);
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
