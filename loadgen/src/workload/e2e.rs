//! End to end: one record per request, which carries its number and its instants, and a reader at the end of the log.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::protocol::messages::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use ringlog_core::protocol::{ApiKey, RequestHeader, ResponseHeader, encode_request};
use ringlog_core::record::{BatchBuilder, Batches, NewRecord};
use ringlog_core::wire::{Array, DecodeError, Message, Reader, Records};

use super::fetch_one::{FetchOne, FetchTarget, Fetched};
use super::{Answered, Leaving, Workload, readable, refused};
use crate::client::{CLIENT_ID, Outgoing, Partition, SetupError, Target};
use crate::findings::Findings;
use crate::recorder::{Recorder, Timing, Volume};

/// Number, planned and sent.
const STAMP: usize = 24;
const PRODUCE_TIMEOUT_MS: i32 = 30_000;
const FETCH_WAIT_MS: i32 = 500;
const FETCH_BYTES_MAX: i32 = 1 << 20;

/// Produces marked records to the first partition.
#[derive(Debug)]
pub struct Mark {
    topic_name: String,
    topic_id: uuid::Uuid,
    partition: i32,
    wall_clock_ms: i64,
    version: i16,
    acks: i16,
    value: Vec<u8>,
    /// Records sent so far.
    pub sent: u64,
}

impl Mark {
    /// Records of about `record_bytes`, which are at least 24.
    pub fn new(target: &Target, record_bytes: usize, acks: i16) -> Result<Self, SetupError> {
        Ok(Self {
            topic_name: target.topic_name.clone(),
            topic_id: target.topic_id,
            partition: first(target)?.index,
            wall_clock_ms: target.wall_clock_ms,
            version: target.versions.pick::<ProduceRequest<'_>>(ApiKey::Produce)?,
            acks,
            value: vec![b'x'; record_bytes.max(STAMP)],
            sent: 0,
        })
    }

    fn batch(&mut self, leaving: &Leaving) -> Vec<u8> {
        let fields = [self.sent, leaving.planned.as_nanos() as u64, leaving.sent.as_nanos() as u64];
        for (into, field) in self.value.chunks_exact_mut(8).zip(fields) {
            into.copy_from_slice(&field.to_be_bytes());
        }
        self.sent += 1;
        let timestamp = self.wall_clock_ms + leaving.sent.as_millis() as i64;
        let mut builder = BatchBuilder::new();
        builder.push(NewRecord { timestamp, value: Some(&self.value), ..NewRecord::default() });
        builder.build()
    }

    fn check(&self, frame: &[u8], findings: &mut Findings) -> Result<Answered, DecodeError> {
        let mut reader = Reader::new(frame);
        ResponseHeader::decode(&mut reader, ApiKey::Produce, self.version)?;
        let response = ProduceResponse::decode(&mut reader, self.version)?;
        let mut answered = Answered::Done(Volume::default());
        for topic in &response.responses {
            for partition in topic.partition_responses.iter().filter(|partition| !partition.error_code.is_none()) {
                let index = partition.index;
                answered = refused(partition.error_code, findings, || format!("partition {index}"));
            }
        }
        Ok(answered)
    }
}

impl Workload for Mark {
    type Ticket = ();

    fn request(&mut self, leaving: Leaving, out: &mut Outgoing) {
        let batch = self.batch(&leaving);
        let partitions = [PartitionProduceData { index: self.partition, records: Some(Records::Bytes(&batch)) }];
        let topics = [TopicProduceData {
            name: &self.topic_name,
            topic_id: self.topic_id,
            partition_data: Array::from(&partitions),
        }];
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.acks,
            timeout_ms: PRODUCE_TIMEOUT_MS,
            topic_data: Array::from(&topics),
        };
        let header = RequestHeader {
            api_key: ApiKey::Produce,
            api_version: self.version,
            correlation_id: leaving.correlation_id,
            client_id: Some(CLIENT_ID),
        };
        let encoded = encode_request(Vec::with_capacity(256), &header, &request).expect("nothing is null or too long");
        out.copy(&encoded.bytes);
    }

    fn answer(&mut self, (): (), _: Duration, frame: &[u8], findings: &mut Findings) -> Answered {
        readable(self.check(frame, findings), findings)
    }

    fn has_answers(&self) -> bool {
        self.acks != 0
    }
}

/// Reads marked records at the end of the first partition.
#[derive(Debug)]
pub struct Tail {
    topic: FetchTarget,
    partition: i32,
    next_offset: i64,
    warmup: Duration,
    /// Records received so far, which is the number of the next one.
    pub received: u64,
    /// From the plan of a record to its arrival.
    recorder: Rc<RefCell<Recorder>>,
}

impl Tail {
    /// From the end of the log as it was when the target was asked for it.
    pub fn new(target: &Target, warmup: Duration, recorder: Rc<RefCell<Recorder>>) -> Result<Self, SetupError> {
        let Partition { index, end_offset, .. } = first(target)?;
        Ok(Self {
            topic: FetchTarget::new(target)?,
            partition: index,
            next_offset: end_offset,
            warmup,
            received: 0,
            recorder,
        })
    }

    fn check(&mut self, answered: Duration, frame: &[u8], findings: &mut Findings) -> Result<Answered, DecodeError> {
        let records = match self.topic.records(self.partition, frame, findings)? {
            Fetched::Records(records) => records,
            Fetched::Refused(refused) => return Ok(refused),
        };
        for batch in Batches::new(records) {
            let (base_offset, next_offset) = (batch.base_offset(), self.next_offset);
            if base_offset != next_offset {
                findings.problem("offset gap", || format!("{base_offset}, expected {next_offset}"));
            }
            if !batch.is_crc_valid() {
                findings.problem("CRC", || format!("batch at {base_offset}"));
            }
            self.next_offset = batch.next_offset();
            let size_bytes = batch.bytes().len() as u64;
            for record in batch.records() {
                match record.ok().and_then(|record| read_stamp(record.value?)) {
                    Some(stamp) => self.note(stamp, answered, size_bytes, findings),
                    None => findings.problem("not our record", || format!("batch at {base_offset}")),
                }
            }
        }
        Ok(Answered::Done(Volume::default()))
    }

    fn note(&mut self, (number, planned, sent): Stamp, answered: Duration, size_bytes: u64, findings: &mut Findings) {
        if number != self.received {
            let kind = if number > self.received { "record lost" } else { "record again or out of order" };
            findings.problem(kind, || format!("record {number}, expected {}", self.received));
        }
        self.received = number + 1;
        if planned >= self.warmup {
            let volume = Volume { records: 1, bytes: size_bytes };
            self.recorder.borrow_mut().record(Timing { planned, sent, answered }, volume);
        }
    }
}

impl Workload for Tail {
    type Ticket = ();

    fn request(&mut self, leaving: Leaving, out: &mut Outgoing) {
        let (index, offset) = (self.partition, self.next_offset);
        let one = FetchOne { index, offset, bytes_max: FETCH_BYTES_MAX, wait_ms: FETCH_WAIT_MS };
        out.copy(&self.topic.request(leaving.correlation_id, &one));
    }

    fn answer(&mut self, (): (), answered: Duration, frame: &[u8], findings: &mut Findings) -> Answered {
        readable(self.check(answered, frame, findings), findings)
    }
}

/// Number, planned and sent.
type Stamp = (u64, Duration, Duration);

fn read_stamp(value: &[u8]) -> Option<Stamp> {
    let mut reader = Reader::new(value);
    let mut next = || reader.read_i64().ok().and_then(|field| u64::try_from(field).ok());
    Some((next()?, Duration::from_nanos(next()?), Duration::from_nanos(next()?)))
}

fn first(target: &Target) -> Result<Partition, SetupError> {
    target.partitions.first().copied().ok_or_else(|| {
        let reason = "it has no partition".to_owned();
        SetupError::Topic { topic: target.topic_name.clone(), reason }
    })
}
