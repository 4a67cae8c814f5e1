//! `ringlog produce`: each line of standard input becomes a record, acked by all replicas in sync.
//!
//! What was read is sent when there are `BATCH_RECORDS_MAX` records or `BATCH_BYTES_MAX`, or when the input has no more
//! for now, so that a person sees each line acked and a pipe is sent in batches.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};

use ringlog_core::protocol::ApiKey;
use ringlog_core::protocol::messages::{PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData};
use ringlog_core::record::{BatchBuilder, Codec, NewRecord, partition_of};
use ringlog_core::wire::Records;
use serde::Serialize;

use super::client::{Cluster, TopicInfo, check};
use super::format::wall_clock_ms;
use super::output::print_json;
use super::{CommandError, check_partition};
use crate::config::{Compression, OutputFormat, ProduceOptions};

const BATCH_RECORDS_MAX: usize = 10_000;
const BATCH_BYTES_MAX: usize = 512 << 10;
const LINE_BYTES_MAX: u64 = 64 << 20;
/// The last that names topics instead of their ids.
const PRODUCE_VERSION_MAX: i16 = 12;
const ACKS_ALL: i16 = -1;
const TIMEOUT_MS: i32 = 30_000;

/// What was acked in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Acked {
    partition: i32,
    records: u64,
    first_offset: i64,
    last_offset: i64,
}

pub(super) fn run(options: &ProduceOptions) -> Result<(), CommandError> {
    let mut cluster = Cluster::enter(&options.cluster.bootstrap)?;
    let topic = cluster.topic(&options.topic)?;
    let mut producer = Producer::new(options, topic)?;
    let mut input = BufReader::with_capacity(BATCH_BYTES_MAX, io::stdin());
    let mut line = Vec::new();
    while input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? > 0 {
        if line.len() as u64 == LINE_BYTES_MAX {
            return Err(CommandError::Usage(format!("a line of {LINE_BYTES_MAX} bytes or more")));
        }
        producer.push(line.strip_suffix(b"\n").unwrap_or(&line))?;
        line.clear();
        if producer.is_full() || input.buffer().is_empty() {
            producer.flush(&mut cluster)?;
        }
    }
    producer.flush(&mut cluster)?;
    print(options, &producer.acked)
}

fn print(options: &ProduceOptions, acked: &BTreeMap<i32, Acked>) -> Result<(), CommandError> {
    let rows: Vec<&Acked> = acked.values().collect();
    if options.cluster.format == OutputFormat::Json {
        return Ok(print_json(&rows)?);
    }
    for Acked { partition, records, first_offset, last_offset } in rows {
        let topic = &options.topic;
        writeln!(io::stdout(), "{topic}-{partition}: {records} records, offsets {first_offset} to {last_offset}")?;
    }
    Ok(())
}

/// Records on their way.
struct Producer<'a> {
    options: &'a ProduceOptions,
    topic: TopicInfo,
    /// By partition.
    batches: BTreeMap<i32, BatchBuilder>,
    records: usize,
    /// Where the next record without a key goes; all of one send go to the same place.
    turn: usize,
    acked: BTreeMap<i32, Acked>,
}

impl<'a> Producer<'a> {
    fn new(options: &'a ProduceOptions, topic: TopicInfo) -> Result<Self, CommandError> {
        options.partition.map_or(Ok(()), |partition| check_partition(&topic, partition))?;
        Ok(Self { options, topic, batches: BTreeMap::new(), records: 0, turn: 0, acked: BTreeMap::new() })
    }

    fn push(&mut self, line: &[u8]) -> Result<(), CommandError> {
        let (key, value) = self.split(line)?;
        let partitions = &self.topic.partitions;
        let partition = match (self.options.partition, key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partitions[partition_of(key, partitions.len())].partition,
            (None, None) => partitions[self.turn % partitions.len()].partition,
        };
        let value = Some(value).filter(|value| !(value.is_empty() && self.options.empty_is_null));
        let headers: Vec<(&[u8], Option<&[u8]>)> =
            self.options.headers.iter().map(|(key, value)| (key.as_bytes(), Some(value.as_bytes()))).collect();
        let batch =
            self.batches.entry(partition).or_insert_with(|| BatchBuilder::new().codec(codec(self.options.compression)));
        batch.push(NewRecord { timestamp: wall_clock_ms(), key, value, headers: &headers });
        self.records += 1;
        Ok(())
    }

    fn split<'l>(&self, line: &'l [u8]) -> Result<(Option<&'l [u8]>, &'l [u8]), CommandError> {
        let Some(separator) = self.options.key_separator.as_deref().map(str::as_bytes) else { return Ok((None, line)) };
        let at = line.windows(separator.len().max(1)).position(|part| part == separator);
        let at = at.ok_or_else(|| {
            CommandError::Usage(format!("a line without the key separator: '{}'", String::from_utf8_lossy(line)))
        })?;
        Ok((Some(&line[..at]), &line[at + separator.len()..]))
    }

    fn is_full(&self) -> bool {
        self.records >= BATCH_RECORDS_MAX || self.batches.values().any(|batch| batch.size_bytes() >= BATCH_BYTES_MAX)
    }

    /// Sends what is there, and waits until it is acked.
    fn flush(&mut self, cluster: &mut Cluster) -> Result<(), CommandError> {
        for (partition, mut batch) in std::mem::take(&mut self.batches) {
            let records = batch.count() as u64;
            let base_offset = self.send(cluster, partition, &batch.build())?;
            let last_offset = base_offset + records as i64 - 1;
            let new = Acked { partition, records: 0, first_offset: base_offset, last_offset };
            let acked = self.acked.entry(partition).or_insert(new);
            acked.records += records;
            acked.last_offset = last_offset;
        }
        self.records = 0;
        self.turn += 1;
        Ok(())
    }

    fn send(&self, cluster: &mut Cluster, partition: i32, batch: &[u8]) -> Result<i64, CommandError> {
        let name = self.topic.name.as_str();
        let leader = self.topic.partition(partition).expect("batches are of partitions that there are").leader;
        let data = PartitionProduceData { index: partition, records: Some(Records::Bytes(batch)) };
        let topic = TopicProduceData { name, partition_data: vec![data].into(), ..Default::default() };
        let request = ProduceRequest {
            acks: ACKS_ALL,
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![topic].into(),
            ..Default::default()
        };
        let answer = cluster.ask_broker(leader, ApiKey::Produce, PRODUCE_VERSION_MAX, &request)?;
        let response: ProduceResponse<'_> = answer.decode()?;
        let mut base_offset = -1;
        for topic in &response.responses {
            for row in &topic.partition_responses {
                check(&format!("{name}-{partition}"), row.error_code, row.error_message)?;
                base_offset = row.base_offset;
            }
        }
        Ok(base_offset)
    }
}

fn codec(compression: Compression) -> Codec {
    match compression {
        Compression::None => Codec::None,
        Compression::Gzip => Codec::Gzip,
        Compression::Snappy => Codec::Snappy,
        Compression::Lz4 => Codec::Lz4,
        Compression::Zstd => Codec::Zstd,
    }
}
