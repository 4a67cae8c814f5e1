//! Produce: requests are prebuilt, only the correlation id changes; batches are shared by all requests.
//!
//! Checked: every answer names the partitions that were asked for; no error; base offsets rise on a connection, and
//! the offsets of all connections never overlap.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use ringlog_core::protocol::messages::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use ringlog_core::protocol::{ApiKey, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::record::{BatchBuilder, NewRecord};
use ringlog_core::wire::{Array, DecodeError, Message, Reader, Records, Segment};

use super::{Answered, Leaving, Workload, readable, refused};
use crate::client::{Outgoing, SetupError, Target};
use crate::coverage::{Acknowledged, Inserted};
use crate::findings::Findings;
use crate::recorder::Volume;

/// Different batches in turn, so that not everything is one hot cache line.
const BATCHES: usize = 8;
/// Where the correlation id stands in a request frame: after length, API key and version.
const CORRELATION_ID_AT: usize = 8;
const TIMEOUT_MS: i32 = 30_000;

/// How requests look.
#[derive(Debug, Clone)]
pub struct ProduceSpec {
    /// Records in each batch.
    pub records_per_batch: usize,
    /// Bytes of each record's value.
    pub record_bytes: usize,
    /// Batches in each request, each of another partition.
    pub partitions_per_request: usize,
    /// 0, 1 or -1 for all.
    pub acks: i16,
    /// Of the payload.
    pub seed: u64,
}

/// The requests of one connection.
#[derive(Debug)]
pub struct Produce {
    requests: Arc<Requests>,
    next_template: usize,
    next_batch: usize,
    /// Behind the last base offset of each partition on this connection.
    expected: HashMap<i32, i64>,
}

/// What all connections to one broker share, on all threads.
#[derive(Debug)]
pub struct Requests {
    spec: ProduceSpec,
    version: i16,
    batches: Vec<Bytes>,
    templates: Vec<Template>,
    acknowledged: Acknowledged,
}

/// One request without its batches.
#[derive(Debug)]
struct Template {
    segments: Vec<Segment>,
    partitions: Vec<i32>,
}

impl Requests {
    /// Builds the batches, and one request per group of partitions.
    pub fn build(target: &Target, partitions: &[i32], spec: &ProduceSpec) -> Result<Arc<Self>, SetupError> {
        let version = target.versions.pick::<ProduceRequest<'_>>(ApiKey::Produce)?;
        let mut random = SmallRng::seed_from_u64(spec.seed);
        let batches: Vec<Bytes> = (0..BATCHES).map(|_| batch(spec, target.wall_clock_ms, &mut random)).collect();
        let templates = partitions
            .chunks(spec.partitions_per_request.max(1))
            .map(|chunk| Template::build(target, chunk, spec.acks, version, batches[0].len()))
            .collect::<Result<_, _>>()?;
        let acknowledged = Acknowledged::new(partitions.iter().copied());
        Ok(Arc::new(Self { spec: spec.clone(), version, batches, templates, acknowledged }))
    }

    /// Bytes of one batch.
    pub fn batch_size_bytes(&self) -> usize {
        self.batches[0].len()
    }
}

impl Template {
    fn build(
        target: &Target,
        partitions: &[i32],
        acks: i16,
        version: i16,
        size_bytes: usize,
    ) -> Result<Self, SetupError> {
        let data =
            |index: &i32| PartitionProduceData { index: *index, records: Some(Records::Elsewhere { size_bytes }) };
        let topic = TopicProduceData {
            name: &target.topic_name,
            topic_id: target.topic_id,
            partition_data: partitions.iter().map(data).collect(),
        };
        let topics = [topic];
        let request =
            ProduceRequest { transactional_id: None, acks, timeout_ms: TIMEOUT_MS, topic_data: Array::from(&topics) };
        let header = RequestHeader {
            api_key: ApiKey::Produce,
            api_version: version,
            correlation_id: 0,
            client_id: Some(crate::client::CLIENT_ID),
        };
        let segments = encode_request(Vec::new(), &header, &request)?.into_segments().collect();
        Ok(Self { segments, partitions: partitions.to_vec() })
    }
}

fn batch(spec: &ProduceSpec, wall_clock_ms: i64, random: &mut SmallRng) -> Bytes {
    let mut value = vec![0; spec.record_bytes];
    let mut builder = BatchBuilder::new();
    for _ in 0..spec.records_per_batch.max(1) {
        random.fill_bytes(&mut value);
        builder.push(NewRecord { timestamp: wall_clock_ms, value: Some(&value), ..NewRecord::default() });
    }
    builder.build().into()
}

impl Produce {
    /// Connection `index` of `count`: they start at different partitions.
    pub fn new(requests: &Arc<Requests>, index: usize, count: usize) -> Self {
        let next_template = index * requests.templates.len() / count.max(1);
        Self { requests: Arc::clone(requests), next_template, next_batch: index % BATCHES, expected: HashMap::new() }
    }

    fn check(&mut self, ticket: usize, frame: &[u8], findings: &mut Findings) -> Result<Answered, DecodeError> {
        let requests = Arc::clone(&self.requests);
        let mut reader = Reader::new(frame);
        ResponseHeader::decode(&mut reader, ApiKey::Produce, requests.version)?;
        let response = ProduceResponse::decode(&mut reader, requests.version)?;
        let asked = &requests.templates[ticket].partitions;
        let mut answered = Answered::Done(self.request_volume(ticket));
        for topic in &response.responses {
            for partition in &topic.partition_responses {
                let index = partition.index;
                if !asked.contains(&index) {
                    findings.problem("partition not asked for", || format!("partition {index}"));
                } else if !partition.error_code.is_none() {
                    let message = partition.error_message.unwrap_or("no message");
                    answered = refused(partition.error_code, findings, || format!("partition {index}: {message}"));
                } else {
                    self.acked(index, partition.base_offset, findings);
                }
            }
        }
        Ok(answered)
    }

    fn acked(&mut self, partition: i32, base_offset: i64, findings: &mut Findings) {
        let end = base_offset + self.requests.spec.records_per_batch.max(1) as i64;
        let expected = self.expected.entry(partition).or_default();
        if base_offset < *expected {
            let text = || format!("partition {partition}: base offset {base_offset} after {expected}");
            findings.problem("offset not rising", text);
        } else {
            let text = || format!("partition {partition}: base offset {base_offset}");
            match self.requests.acknowledged.insert(partition, base_offset, end) {
                Inserted::New => {}
                Inserted::Overlap => findings.problem("offset twice", text),
                Inserted::Full => findings.problem("too many gaps to follow", text),
            }
        }
        *expected = end;
    }
}

impl Workload for Produce {
    type Ticket = usize;

    fn request(&mut self, leaving: Leaving, out: &mut Outgoing) -> usize {
        let ticket = self.next_template;
        self.next_template = (ticket + 1) % self.requests.templates.len();
        let mut first = true;
        for segment in &self.requests.templates[ticket].segments {
            match segment {
                Segment::Bytes(bytes) if std::mem::take(&mut first) => {
                    let (before, after) = bytes.split_at(CORRELATION_ID_AT);
                    out.copy(before);
                    out.copy(&leaving.correlation_id.to_be_bytes());
                    out.copy(&after[size_of::<i32>()..]);
                }
                Segment::Bytes(bytes) => out.copy(bytes),
                Segment::Elsewhere { .. } => {
                    out.share(&self.requests.batches[self.next_batch]);
                    self.next_batch = (self.next_batch + 1) % BATCHES;
                }
            }
        }
        ticket
    }

    fn answer(&mut self, ticket: usize, _: Duration, frame: &[u8], findings: &mut Findings) -> Answered {
        readable(self.check(ticket, frame, findings), findings)
    }

    fn has_answers(&self) -> bool {
        self.requests.spec.acks != 0
    }

    fn request_volume(&self, ticket: usize) -> Volume {
        let batches = self.requests.templates[ticket].partitions.len();
        Volume {
            records: (batches * self.requests.spec.records_per_batch.max(1)) as u64,
            bytes: (batches * self.requests.batch_size_bytes()) as u64,
        }
    }
}
