//! DeleteRecords (api key 21), versions 0..=2. Moves the log start up; durable before it is answered.
//!
//! v2 flexible
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, OFFSET_OUT_OF_RANGE, POLICY_VIOLATION, KAFKA_STORAGE_ERROR.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};
use ringlog_core::wire::DecodeError;

use super::questions::{Answers, Questions};
use super::{Body, Context, Request};
use crate::metadata::TopicImage;
use crate::partition::{PartitionReply, PartitionRequest};

const HIGH_WATERMARK: i64 = -1;

/// Asks every partition, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    match ask(context, &request.body()) {
        Ok(questions) => questions.finish(context, request, finish),
        Err(error) => request.close(&error),
    }
}

fn ask(context: &Context, encoded: &Body) -> Result<Questions<i64>, DecodeError> {
    let body: DeleteRecordsRequest<'_> = encoded.decode()?;
    let image = context.metadata.image();
    let count = body.topics.iter().map(|topic| topic.partitions.len()).sum();
    let mut questions = Questions::new(count, |reply| match reply {
        PartitionReply::DeleteRecords(moved) => Some(moved),
        _ => None,
    });
    for topic in &body.topics {
        let found = image.topic_by_name(topic.name).map(|topic| &**topic);
        for partition in &topic.partitions {
            match refusal(context, found, &partition) {
                Some(error) => questions.answer(Err(error)),
                None => {
                    let request = PartitionRequest::DeleteRecords(partition.offset);
                    questions.ask(context, found, partition.partition_index, request);
                }
            }
        }
    }
    Ok(questions)
}

/// Why the partition's owner need not be asked.
fn refusal(context: &Context, topic: Option<&TopicImage>, partition: &DeleteRecordsPartition) -> Option<ErrorCode> {
    // One that is not there is told so first.
    let topic = topic.filter(|topic| context.metadata.owner(topic, partition.partition_index).is_some())?;
    // As in Kafka, a topic that is only compacted keeps what its keys say.
    if !context.metadata.topic_config(topic).log.is_deleted {
        return Some(ErrorCode::POLICY_VIOLATION);
    }
    (partition.offset < HIGH_WATERMARK).then_some(ErrorCode::OFFSET_OUT_OF_RANGE)
}

fn finish(request: Request, moved: Answers<i64>) {
    let encoded = request.body();
    let body: DeleteRecordsRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let mut next = moved.iter();
    let mut result = |partition_index| {
        let (low_watermark, error_code) = match next.next().expect("one per partition") {
            Ok(log_start_offset) => (*log_start_offset, ErrorCode::NONE),
            Err(error) => (-1, *error),
        };
        DeleteRecordsPartitionResult { partition_index, low_watermark, error_code }
    };
    let topics = body.topics.iter().map(|topic| DeleteRecordsTopicResult {
        name: topic.name,
        partitions: topic.partitions.iter().map(|partition| result(partition.partition_index)).collect(),
    });
    request.answer(&DeleteRecordsResponse { topics: topics.collect(), ..Default::default() }, []);
}
