//! Produce (api key 0), versions 3..=13. Appends one batch per partition and answers when each is acked.
//!
//! v7 zstd   v8 record errors   v9 flexible   v10 current leader   v13 topic ids
//! Errors: UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_REQUIRED_ACKS, those of batch validation, those of
//! idempotent producers, KAFKA_STORAGE_ERROR, REQUEST_TIMED_OUT (no room in the log for `timeout_ms`).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::messages::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
    TopicProduceResponse,
};
use ringlog_core::record::{ProduceRules, validate_produce};
use ringlog_core::wire::{DecodeError, Records};

use super::errors::{batch_error, partition_error};
use super::{Body, Context, Request};
use crate::metadata::TopicImage;
use crate::partition::{AppendOutcome, PartitionError, PartitionReply, PartitionRequest, TopicPartition};
use crate::quota::QuotaKind;

/// One partition's result.
#[derive(Debug, Clone)]
struct Outcome {
    error: ErrorCode,
    message: Option<String>,
    appended: AppendOutcome,
}

const NOT_APPENDED: AppendOutcome = AppendOutcome { base_offset: -1, log_append_time_ms: -1, log_start_offset: -1 };

/// A request whose partitions have not all answered.
struct Pending {
    request: Cell<Option<Request>>,
    acks: i16,
    outcomes: RefCell<Vec<Option<Outcome>>>,
    missing: Cell<usize>,
}

/// Stage 1: checks and hands each batch to its partition.
pub fn handle(context: &Rc<Context>, mut request: Request) {
    let (acks, timeout_ms, batches) = match plan(context, &request) {
        Ok(planned) => planned,
        Err(error) => return request.close(&error),
    };
    if context.limits.has(QuotaKind::Produce) {
        let (client_id, now) = (request.client_id(), context.reactor.now());
        let bytes = request.size_bytes() as u64;
        request.throttle(context.limits.record(QuotaKind::Produce, &client_id, now, bytes));
    }
    if batches.is_empty() {
        return finish(request, acks, Vec::new());
    }
    let pending = Rc::new(Pending {
        request: Cell::new(Some(request)),
        acks,
        outcomes: RefCell::new(vec![None; batches.len()]),
        missing: Cell::new(batches.len()),
    });
    for (at, batch) in batches.into_iter().enumerate() {
        let pending = Rc::clone(&pending);
        match batch {
            Err(refused) => pending.put(at, refused),
            Ok(Append { owner, partition, batch, rules }) => {
                let reply = Box::new(move |reply| {
                    let PartitionReply::Append(result) = reply else {
                        unreachable!("an append is answered by an append")
                    };
                    pending.put(at, Outcome::from(result));
                });
                match rules {
                    None => {
                        let append = PartitionRequest::Append { batch, timeout_ms };
                        context.router.request(owner, partition, append, reply);
                    }
                    Some(rules) => {
                        context.recompressor.append(owner, partition, batch, timeout_ms, &rules, reply);
                    }
                }
            }
        }
    }
}

type Planned = Result<Append, Outcome>;

/// A batch on its way to its partition.
struct Append {
    owner: u16,
    partition: TopicPartition,
    batch: Bytes,
    /// By way of the recompressor, which checks it.
    rules: Option<Box<ProduceRules>>,
}

fn plan(context: &Context, request: &Request) -> Result<(i16, i32, Vec<Planned>), DecodeError> {
    let encoded = request.body();
    let body: ProduceRequest<'_> = encoded.decode()?;
    let metadata = context.metadata.image();
    let mut planned = Vec::new();
    for topic_data in &body.topic_data {
        let topic_data: TopicProduceData<'_> = topic_data;
        let topic = if request.api_version >= 13 {
            metadata.topic(&topic_data.topic_id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)
        } else {
            metadata.topic_by_name(topic_data.name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        };
        for data in &topic_data.partition_data {
            planned.push(match (&topic, body.acks) {
                (_, i16::MIN..=-2 | 2..) => Err(Outcome::refused(ErrorCode::INVALID_REQUIRED_ACKS)),
                (Err(error), _) => Err(Outcome::refused(*error)),
                (Ok(topic), _) if topic.is_internal() => Err(Outcome::refused(ErrorCode::INVALID_TOPIC_EXCEPTION)),
                (Ok(topic), -1..=1) => plan_partition(context, &encoded, request.api_version, topic, &data),
            });
        }
    }
    Ok((body.acks, body.timeout_ms, planned))
}

fn plan_partition(
    context: &Context,
    body: &Body,
    api_version: i16,
    topic: &TopicImage,
    data: &PartitionProduceData<'_>,
) -> Planned {
    let owner = context
        .metadata
        .owner(topic, data.index)
        .ok_or_else(|| Outcome::refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))?;
    let bytes = data.records.as_ref().map_or(&[][..], Records::bytes);
    let rules = ProduceRules { zstd: api_version >= 7, ..context.metadata.produce_rules(topic) };
    let partition = TopicPartition { topic_id: topic.topic_id, partition_index: data.index };
    let is_recompressed = rules.recompression.is_some_and(|to| to.is_due(bytes));
    if !is_recompressed {
        validate_produce(bytes, &rules, context.reactor.wall_clock_ms())
            .map_err(|error| Outcome { message: Some(error.to_string()), ..Outcome::refused(batch_error(&error)) })?;
    }
    let goes_by = is_recompressed || context.recompressor.is_before(partition);
    Ok(Append { owner, partition, batch: body.share(bytes), rules: goes_by.then(|| Box::new(rules)) })
}

impl Outcome {
    fn refused(error: ErrorCode) -> Self {
        Self { error, message: None, appended: NOT_APPENDED }
    }
}

impl From<Result<AppendOutcome, PartitionError>> for Outcome {
    fn from(result: Result<AppendOutcome, PartitionError>) -> Self {
        match result {
            Ok(appended) => Self { error: ErrorCode::NONE, message: None, appended },
            Err(error) => Self { message: Some(error.to_string()), ..Self::refused(partition_error(&error, false)) },
        }
    }
}

impl Pending {
    fn put(&self, at: usize, outcome: Outcome) {
        let before = self.outcomes.borrow_mut()[at].replace(outcome);
        assert!(before.is_none(), "a partition answers once");
        self.missing.set(self.missing.get() - 1);
        if self.missing.get() == 0 {
            let request = self.request.take().expect("finished once");
            finish(request, self.acks, self.outcomes.take().into_iter().flatten().collect());
        }
    }
}

/// Stage 2: one result per partition, in the order of the request.
fn finish(request: Request, acks: i16, outcomes: Vec<Outcome>) {
    if acks == 0 {
        return match outcomes.iter().find(|outcome| outcome.error != ErrorCode::NONE) {
            // The client gets no answer to read an error from: the end of the connection makes it look again.
            Some(failed) => request.close(&format!("{:?} with acks=0", failed.error)),
            None => request.answer_nothing(),
        };
    }
    let encoded = request.body();
    let body: ProduceRequest<'_> = match encoded.decode() {
        Ok(body) => body,
        Err(error) => return request.close(&error),
    };
    let mut outcomes = outcomes.iter();
    let responses = body
        .topic_data
        .iter()
        .map(|topic| TopicProduceResponse {
            name: topic.name,
            topic_id: topic.topic_id,
            partition_responses: topic
                .partition_data
                .iter()
                .map(|data| partition_response(data.index, outcomes.next().expect("an outcome per partition")))
                .collect(),
        })
        .collect();
    let throttle_time_ms = request.throttle_time_ms();
    request.answer(&ProduceResponse { responses, throttle_time_ms, ..Default::default() }, []);
}

fn partition_response(index: i32, outcome: &Outcome) -> PartitionProduceResponse<'_> {
    PartitionProduceResponse {
        index,
        error_code: outcome.error,
        base_offset: outcome.appended.base_offset,
        log_append_time_ms: outcome.appended.log_append_time_ms,
        log_start_offset: outcome.appended.log_start_offset,
        error_message: outcome.message.as_deref(),
        ..Default::default()
    }
}
