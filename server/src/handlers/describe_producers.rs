//! DescribeProducers (api key 61), version 0. Idempotent producers of partitions, and their open transactions.
//!
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, KAFKA_STORAGE_ERROR.

use std::rc::Rc;

use ringlog_core::log::ProducerInfo;
use ringlog_core::protocol::messages::{
    DescribeProducersPartition, DescribeProducersRequest, DescribeProducersResponse, DescribeProducersTopicResponse,
    DescribedProducer,
};
use ringlog_core::wire::DecodeError;

use super::questions::{Answers, Questions};
use super::{Body, Context, Request};
use crate::partition::{PartitionReply, PartitionRequest};

/// Asks every partition, then answers.
pub fn handle(context: &Rc<Context>, request: Request) {
    match ask(context, &request.body()) {
        Ok(questions) => questions.finish(context, request, finish),
        Err(error) => request.close(&error),
    }
}

fn ask(context: &Context, encoded: &Body) -> Result<Questions<Vec<ProducerInfo>>, DecodeError> {
    let body: DescribeProducersRequest<'_> = encoded.decode()?;
    let image = context.metadata.image();
    let count = body.topics.iter().map(|topic| topic.partition_indexes.len()).sum();
    let mut questions = Questions::new(count, |reply| match reply {
        PartitionReply::Producers(found) => Some(found),
        _ => None,
    });
    for topic in &body.topics {
        let found = image.topic_by_name(topic.name).map(|topic| &**topic);
        for partition_index in &topic.partition_indexes {
            questions.ask(context, found, partition_index, PartitionRequest::Producers);
        }
    }
    Ok(questions)
}

fn finish(request: Request, found: Answers<Vec<ProducerInfo>>) {
    let encoded = request.body();
    let body: DescribeProducersRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let mut next = found.iter();
    let mut result = |partition_index| match next.next().expect("one per partition") {
        Ok(producers) => DescribeProducersPartition {
            partition_index,
            active_producers: producers.iter().map(described).collect(),
            ..Default::default()
        },
        Err(error_code) => {
            DescribeProducersPartition { partition_index, error_code: *error_code, ..Default::default() }
        }
    };
    let topics = body.topics.iter().map(|topic| DescribeProducersTopicResponse {
        name: topic.name,
        partitions: topic.partition_indexes.iter().map(&mut result).collect(),
    });
    request.answer(&DescribeProducersResponse { topics: topics.collect(), ..Default::default() }, []);
}

fn described(producer: &ProducerInfo) -> DescribedProducer {
    DescribedProducer {
        producer_id: producer.producer_id,
        producer_epoch: i32::from(producer.producer_epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.transaction_first_offset.unwrap_or(-1),
    }
}
