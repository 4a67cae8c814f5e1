//! ListOffsets (api key 2), versions 1..=11. The offset at the start, at the end, or for a time.
//!
//! v4 leader epoch   v6 flexible   v7 max timestamp   v8 earliest local   v9 last tiered   v11 earliest pending upload
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, UNSUPPORTED_VERSION.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use ringlog_core::wire::DecodeError;

use super::questions::{Answers, Questions};
use super::{Body, Context, Request};
use crate::partition::{Isolation, OffsetOutcome, OffsetQuery, OffsetRequest, PartitionReply, PartitionRequest};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
const UNKNOWN: OffsetOutcome = OffsetOutcome { offset: -1, timestamp_ms: -1, leader_epoch: -1 };

/// Asks every partition, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    match ask(context, &request.body(), request.api_version) {
        Ok(questions) => questions.finish(context, request, finish),
        Err(error) => request.close(&error),
    }
}

fn ask(context: &Context, encoded: &Body, api_version: i16) -> Result<Questions<OffsetOutcome>, DecodeError> {
    let body: ListOffsetsRequest<'_> = encoded.decode()?;
    let isolation = Isolation::from_wire(body.isolation_level);
    let image = context.metadata.image();
    let count = body.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut questions = Questions::new(count, |reply| match reply {
        PartitionReply::Offset(found) => Some(found),
        _ => None,
    });
    for topic in &body.topics {
        let found = image.topic_by_name(topic.name).map(|topic| &**topic);
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let is_there = found.is_some_and(|topic| context.metadata.owner(topic, index).is_some());
            match query(partition.timestamp, api_version) {
                Err(error) if is_there => questions.answer(Err(error)),
                Ok(None) if is_there => questions.answer(Ok(UNKNOWN)),
                Ok(Some(query)) => {
                    let current_leader_epoch = epoch(&partition, api_version);
                    let asked = OffsetRequest { query, current_leader_epoch, isolation };
                    questions.ask(context, found, index, PartitionRequest::Offset(asked));
                }
                _ => questions.answer(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
            }
        }
    }
    Ok(questions)
}

/// What a timestamp asks for; `None` where the answer is known to be "nothing" (no tiered storage here).
fn query(timestamp: i64, api_version: i16) -> Result<Option<OffsetQuery>, ErrorCode> {
    match timestamp {
        LATEST => Ok(Some(OffsetQuery::Latest)),
        EARLIEST => Ok(Some(OffsetQuery::Earliest)),
        MAX_TIMESTAMP if api_version >= 7 => Ok(Some(OffsetQuery::MaxTimestamp)),
        EARLIEST_LOCAL if api_version >= 8 => Ok(Some(OffsetQuery::Earliest)),
        LATEST_TIERED if api_version >= 9 => Ok(None),
        EARLIEST_PENDING_UPLOAD if api_version >= 11 => Ok(None),
        0.. => Ok(Some(OffsetQuery::AtOrAfter(timestamp))),
        _ => Err(ErrorCode::UNSUPPORTED_VERSION),
    }
}

fn epoch(partition: &ListOffsetsPartition, api_version: i16) -> i32 {
    if api_version >= 4 { partition.current_leader_epoch } else { -1 }
}

fn finish(request: Request, found: Answers<OffsetOutcome>) {
    let encoded = request.body();
    let body: ListOffsetsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let mut next = found.iter();
    let topics = body
        .topics
        .iter()
        .map(|topic| ListOffsetsTopicResponse {
            name: topic.name,
            partitions: topic
                .partitions
                .iter()
                .map(|partition| response(partition.partition_index, next.next().expect("one per partition")))
                .collect(),
        })
        .collect();
    request.answer(&ListOffsetsResponse { topics, ..Default::default() }, []);
}

fn response(partition_index: i32, found: &Result<OffsetOutcome, ErrorCode>) -> ListOffsetsPartitionResponse {
    let (error, outcome) = match found {
        Ok(outcome) => (ErrorCode::NONE, *outcome),
        Err(error) => (*error, UNKNOWN),
    };
    ListOffsetsPartitionResponse {
        partition_index,
        error_code: error,
        timestamp: outcome.timestamp_ms,
        offset: outcome.offset,
        leader_epoch: outcome.leader_epoch,
    }
}
