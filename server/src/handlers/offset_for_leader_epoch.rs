//! OffsetForLeaderEpoch (api key 23), versions 2..=4. Where the records of a leader epoch end.
//!
//! v3 replica_id   v4 flexible
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, KAFKA_STORAGE_ERROR.

use std::rc::Rc;

use ringlog_core::protocol::messages::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartitionResult,
    OffsetForLeaderTopicResult,
};
use ringlog_core::wire::DecodeError;

use super::questions::{Answers, Questions};
use super::{Body, Context, Request};
use crate::partition::{EpochEnd, EpochEndRequest, PartitionReply, PartitionRequest};

/// Asks every partition, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    match ask(context, &request.body()) {
        Ok(questions) => questions.finish(context, request, finish),
        Err(error) => request.close(&error),
    }
}

fn ask(context: &Context, encoded: &Body) -> Result<Questions<EpochEnd>, DecodeError> {
    let body: OffsetForLeaderEpochRequest<'_> = encoded.decode()?;
    let image = context.metadata.image();
    let count = body.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut questions = Questions::new(count, |reply| match reply {
        PartitionReply::EpochEnd(found) => Some(found),
        _ => None,
    });
    for topic in &body.topics {
        let found = image.topic_by_name(topic.topic).map(|topic| &**topic);
        for asked in &topic.partitions {
            let request =
                EpochEndRequest { leader_epoch: asked.leader_epoch, current_leader_epoch: asked.current_leader_epoch };
            questions.ask(context, found, asked.partition, PartitionRequest::EpochEnd(request));
        }
    }
    Ok(questions)
}

fn finish(request: Request, found: Answers<EpochEnd>) {
    let encoded = request.body();
    let body: OffsetForLeaderEpochRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let mut next = found.iter();
    let mut result = |partition| match next.next().expect("one per partition") {
        Ok(EpochEnd { leader_epoch, end_offset }) => OffsetForLeaderPartitionResult {
            partition,
            leader_epoch: *leader_epoch,
            end_offset: *end_offset,
            ..Default::default()
        },
        Err(error_code) => OffsetForLeaderPartitionResult { partition, error_code: *error_code, ..Default::default() },
    };
    let topics = body.topics.iter().map(|topic| OffsetForLeaderTopicResult {
        topic: topic.topic,
        partitions: topic.partitions.iter().map(|asked| result(asked.partition)).collect(),
    });
    request.answer(&OffsetForLeaderEpochResponse { topics: topics.collect(), ..Default::default() }, []);
}
