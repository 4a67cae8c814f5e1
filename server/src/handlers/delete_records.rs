//! DeleteRecords (api key 21), versions 0..=2. Moves the log start up; durable before it is answered.
//!
//! v2 flexible
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, OFFSET_OUT_OF_RANGE, POLICY_VIOLATION, KAFKA_STORAGE_ERROR.

use std::rc::Rc;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use ringlog_core::wire::DecodeError;

use super::errors::partition_error;
use super::gather::Gather;
use super::{Body, Context, Request};
use crate::metadata::TopicImage;
use crate::partition::{PartitionReply, PartitionRequest, TopicPartition};

const HIGH_WATERMARK: i64 = -1;

type Moved = Result<i64, ErrorCode>;

/// Asks every partition, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    let moved = match ask(context, &request.body()) {
        Ok(moved) => moved,
        Err(error) => return request.close(&error),
    };
    context.reactor.spawn(async move {
        let moved = moved.all().await;
        finish(request, &moved);
    });
}

fn ask(context: &Context, encoded: &Body) -> Result<Gather<Moved>, DecodeError> {
    let body: DeleteRecordsRequest<'_> = encoded.decode()?;
    let image = context.metadata.image();
    let gather = Gather::new(body.topics.iter().map(|topic| topic.partitions.len()).sum());
    let mut at = 0;
    for topic in &body.topics {
        let found = image.topic_by_name(topic.name);
        for partition in &topic.partitions {
            let answer = gather.clone();
            match place(context, found.map(|topic| &**topic), partition.partition_index, partition.offset) {
                Err(error) => answer.put(at, Err(error)),
                Ok((owner, name)) => {
                    let reply = Box::new(move |reply| {
                        let PartitionReply::DeleteRecords(moved) = reply else {
                            unreachable!("a deletion is answered by a deletion")
                        };
                        answer.put(at, moved.map_err(|error| partition_error(&error, false)));
                    });
                    context.router.request(owner, name, PartitionRequest::DeleteRecords(partition.offset), reply);
                }
            }
            at += 1;
        }
    }
    Ok(gather)
}

fn place(
    context: &Context,
    topic: Option<&TopicImage>,
    partition_index: i32,
    offset: i64,
) -> Result<(u16, TopicPartition), ErrorCode> {
    let topic = topic.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let owner = context.metadata.owner(topic, partition_index).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    // As in Kafka, a topic that is only compacted keeps what its keys say.
    if !context.metadata.topic_config(topic).log.is_deleted {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    if offset < HIGH_WATERMARK {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    Ok((owner, TopicPartition { topic_id: topic.topic_id, partition_index }))
}

fn finish(request: Request, moved: &[Moved]) {
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
