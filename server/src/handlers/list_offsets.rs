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

use super::errors::partition_error;
use super::gather::Gather;
use super::{Body, Context, Request};
use crate::partition::{
    Isolation, OffsetOutcome, OffsetQuery, OffsetRequest, PartitionReply, PartitionRequest, TopicPartition,
};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;
const UNKNOWN: OffsetOutcome = OffsetOutcome { offset: -1, timestamp_ms: -1, leader_epoch: -1 };

type Found = Result<OffsetOutcome, ErrorCode>;

/// Asks every partition, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    let found = match ask(context, &request.body(), request.api_version) {
        Ok(found) => found,
        Err(error) => return request.close(&error),
    };
    context.reactor.spawn(async move {
        let found = found.all().await;
        finish(request, &found);
    });
}

fn ask(context: &Context, encoded: &Body, api_version: i16) -> Result<Gather<Found>, DecodeError> {
    let body: ListOffsetsRequest<'_> = encoded.decode()?;
    let isolation = Isolation::from_wire(body.isolation_level);
    let metadata = context.metadata.image();
    let count = body.topics.iter().map(|topic| topic.partitions.len()).sum();
    let gather = Gather::new(count);
    let mut at = 0;
    for topic in &body.topics {
        let found = metadata.topic_by_name(topic.name);
        for partition in &topic.partitions {
            let place = found.and_then(|topic| {
                let owner = context.metadata.owner(topic, partition.partition_index)?;
                Some((owner, TopicPartition { topic_id: topic.topic_id, partition_index: partition.partition_index }))
            });
            let answer = gather.clone();
            match (place, query(partition.timestamp, api_version)) {
                (None, _) => answer.put(at, Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
                (_, Err(error)) => answer.put(at, Err(error)),
                (_, Ok(None)) => answer.put(at, Ok(UNKNOWN)),
                (Some((owner, name)), Ok(Some(query))) => {
                    let asked =
                        OffsetRequest { query, current_leader_epoch: epoch(&partition, api_version), isolation };
                    let reply = Box::new(move |reply| {
                        let PartitionReply::Offset(found) = reply else {
                            unreachable!("an offset request is answered by an offset")
                        };
                        answer.put(at, found.map_err(|error| partition_error(&error, false)));
                    });
                    context.router.request(owner, name, PartitionRequest::Offset(asked), reply);
                }
            }
            at += 1;
        }
    }
    Ok(gather)
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

fn finish(request: Request, found: &[Found]) {
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

fn response(partition_index: i32, found: &Found) -> ListOffsetsPartitionResponse {
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
