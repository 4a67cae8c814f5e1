//! Builds record batches: for the load generator, for the broker's own records and control batches, for tests.

use super::batch::{BATCH_OVERHEAD, CRC_FROM, Codec, LENGTH_PREFIX};
use super::compression::compress;
use super::crc::crc32c;
use crate::wire::{varlong_len, write_varlong};

/// One record to be written. The default is null in every part, at timestamp 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewRecord<'a> {
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
    /// Header keys and values.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
}

/// Collects records and writes them as one batch.
///
/// ```
/// use ringlog_core::record::{BatchBuilder, BatchView, Codec, NewRecord};
///
/// let mut builder = BatchBuilder::new().codec(Codec::Lz4).producer(7, 0, 0);
/// builder.push(NewRecord { timestamp: 1_700_000_000_000, value: Some(b"hello"), ..NewRecord::default() });
/// let bytes = builder.build();
/// assert_eq!(BatchView::parse(&bytes).unwrap().record_count(), 1);
/// ```
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    base_offset: i64,
    leader_epoch: i32,
    codec: Codec,
    level: Option<i32>,
    flags: i16,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
    /// Room for the header, then the records, uncompressed.
    bytes: Vec<u8>,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// No records, no codec, no producer; base offset 0 and no leader epoch, as a producer sends it.
    pub fn new() -> Self {
        Self {
            base_offset: 0,
            leader_epoch: -1,
            codec: Codec::None,
            level: None,
            flags: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            base_timestamp: -1,
            max_timestamp: -1,
            count: 0,
            bytes: vec![0; BATCH_OVERHEAD],
        }
    }

    /// Offset of the first record and epoch of the leader, for batches that go straight into a log.
    pub fn at(mut self, base_offset: i64, leader_epoch: i32) -> Self {
        (self.base_offset, self.leader_epoch) = (base_offset, leader_epoch);
        self
    }

    /// How the records are compressed.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// The level of gzip or zstd.
    pub fn level(mut self, level: i32) -> Self {
        self.level = Some(level);
        self
    }

    /// The idempotent producer and the sequence of the first record.
    pub fn producer(mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) -> Self {
        self.set_producer(producer_id, producer_epoch, base_sequence);
        self
    }

    /// As [`producer`](Self::producer), for a builder that is used again.
    pub fn set_producer(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        self.producer_id = producer_id;
        self.producer_epoch = producer_epoch;
        self.base_sequence = base_sequence;
    }

    /// Marks the batch as part of a transaction.
    pub fn transactional(mut self) -> Self {
        self.flags |= 0x10;
        self
    }

    /// Marks it as a control batch.
    pub fn control(mut self) -> Self {
        self.flags |= 0x20;
        self
    }

    /// Adds a record.
    pub fn push(&mut self, record: NewRecord<'_>) {
        if self.count == 0 {
            (self.base_timestamp, self.max_timestamp) = (record.timestamp, record.timestamp);
        }
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        let timestamp_delta = record.timestamp.wrapping_sub(self.base_timestamp);
        let body = 1 + varlong_len(timestamp_delta) + varlong_len(self.count.into()) + body_len(&record);
        let into = &mut self.bytes;
        into.reserve(body + 5);
        write_varlong(into, body as i64);
        into.push(0);
        write_varlong(into, timestamp_delta);
        write_varlong(into, self.count.into());
        put_nullable(into, record.key);
        put_nullable(into, record.value);
        write_varlong(into, record.headers.len() as i64);
        for (key, value) in record.headers {
            put_nullable(into, Some(key));
            put_nullable(into, *value);
        }
        self.count += 1;
    }

    /// Records so far.
    pub fn count(&self) -> usize {
        self.count as usize
    }

    /// Bytes of the batch so far, before compression.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the batch and forgets the records; settings stay, and memory where the records were compressed.
    ///
    /// # Panics
    /// Without a record, or when the batch has 2 GiB or more.
    pub fn build(&mut self) -> Vec<u8> {
        let mut batch = if self.codec == Codec::None {
            std::mem::replace(&mut self.bytes, vec![0; BATCH_OVERHEAD])
        } else {
            let mut batch = vec![0; BATCH_OVERHEAD];
            compress(self.codec, self.level, &self.bytes[BATCH_OVERHEAD..], &mut batch)
                .expect("memory is compressed into memory");
            self.bytes.truncate(BATCH_OVERHEAD);
            batch
        };
        self.put_header(&mut batch);
        self.count = 0;
        batch
    }

    fn put_header(&self, batch: &mut [u8]) {
        assert!(self.count > 0, "a batch has a record");
        let length = i32::try_from(batch.len() - LENGTH_PREFIX).expect("a batch is below 2 GiB");
        let mut put = |at: usize, field: &[u8]| batch[at..at + field.len()].copy_from_slice(field);
        put(0, &self.base_offset.to_be_bytes());
        put(8, &length.to_be_bytes());
        put(12, &self.leader_epoch.to_be_bytes());
        put(16, &[2]);
        put(21, &(self.flags | self.codec as i16).to_be_bytes());
        put(23, &(self.count - 1).to_be_bytes());
        put(27, &self.base_timestamp.to_be_bytes());
        put(35, &self.max_timestamp.to_be_bytes());
        put(43, &self.producer_id.to_be_bytes());
        put(51, &self.producer_epoch.to_be_bytes());
        put(53, &self.base_sequence.to_be_bytes());
        put(57, &self.count.to_be_bytes());
        let crc = crc32c(&batch[CRC_FROM..]);
        batch[17..21].copy_from_slice(&crc.to_be_bytes());
    }
}

/// Bytes of key, value and headers with their lengths.
fn body_len(record: &NewRecord<'_>) -> usize {
    let headers: usize = record.headers.iter().map(|(key, value)| nullable_len(Some(key)) + nullable_len(*value)).sum();
    nullable_len(record.key) + nullable_len(record.value) + varlong_len(record.headers.len() as i64) + headers
}

fn nullable_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varlong_len(bytes.len() as i64) + bytes.len())
}

fn put_nullable(into: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            write_varlong(into, bytes.len() as i64);
            into.extend_from_slice(bytes);
        }
        None => write_varlong(into, -1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::compression::decompress;
    use crate::record::{BatchView, ProduceRules, Records, ValidationLevel, validate_produce};
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::records as oracle;
    use proptest::prelude::*;

    type Nullable = Option<Vec<u8>>;

    #[derive(Debug, Clone)]
    struct Sample {
        timestamp: i64,
        key: Nullable,
        value: Nullable,
        headers: Vec<(String, Nullable)>,
    }

    fn sample() -> impl Strategy<Value = Sample> {
        let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200));
        let headers = proptest::collection::btree_map("[a-z]{0,5}", bytes(), 0..4);
        (0..1i64 << 45, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| Sample {
            timestamp,
            key,
            value,
            headers: headers.into_iter().collect(),
        })
    }

    fn build(samples: &[Sample], codec: Codec) -> Vec<u8> {
        let mut builder = BatchBuilder::new().codec(codec).producer(77, 3, 5);
        for sample in samples {
            let headers: Vec<_> =
                sample.headers.iter().map(|(key, value)| (key.as_bytes(), value.as_deref())).collect();
            builder.push(NewRecord {
                timestamp: sample.timestamp,
                key: sample.key.as_deref(),
                value: sample.value.as_deref(),
                headers: &headers,
            });
        }
        let size = builder.size_bytes();
        let bytes = builder.build();
        assert!(codec != Codec::None || size == bytes.len());
        bytes
    }

    fn oracle_records(samples: &[Sample]) -> Vec<oracle::Record> {
        (0..)
            .zip(samples)
            .map(|(i, sample)| oracle::Record {
                transactional: false,
                control: false,
                delete_horizon: false,
                partition_leader_epoch: -1,
                producer_id: 77,
                producer_epoch: 3,
                timestamp_type: oracle::TimestampType::Creation,
                offset: i,
                sequence: 5 + i as i32,
                timestamp: sample.timestamp,
                key: sample.key.clone().map(Bytes::from),
                value: sample.value.clone().map(Bytes::from),
                headers: sample
                    .headers
                    .iter()
                    .map(|(key, value)| (key.clone().into(), value.clone().map(Bytes::from)))
                    .collect(),
            })
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn another_implementation_reads_what_we_write(samples in proptest::collection::vec(sample(), 1..20), codec in 0u8..5) {
            let codec = Codec::from_bits(codec).unwrap();
            let bytes = build(&samples, codec);
            let open = |payload: &mut Bytes, _| {
                Ok(Bytes::from(decompress(codec, payload, 1 << 20)?))
            };
            let set = oracle::RecordBatchDecoder::decode_with_custom_compression(&mut Bytes::from(bytes), Some(open)).unwrap();
            prop_assert_eq!(set.records, oracle_records(&samples));
        }

        #[test]
        fn we_read_what_another_implementation_writes(samples in proptest::collection::vec(sample(), 1..20)) {
            let mut bytes = BytesMut::new();
            let options = oracle::RecordEncodeOptions { version: 2, compression: oracle::Compression::None };
            oracle::RecordBatchEncoder::encode(&mut bytes, &oracle_records(&samples), &options).unwrap();
            let rules = ProduceRules::default();
            let valid = validate_produce(&bytes, &rules, 1 << 45).unwrap();
            prop_assert_eq!(valid.record_count as usize, samples.len());
            let batch = BatchView::parse(&bytes).unwrap();
            prop_assert_eq!((batch.producer_id(), batch.base_sequence()), (77, 5));
            for (sample, record) in samples.iter().zip(batch.records()) {
                let record = record.unwrap();
                prop_assert_eq!(batch.base_timestamp() + record.timestamp_delta, sample.timestamp);
                prop_assert_eq!((record.key, record.value), (sample.key.as_deref(), sample.value.as_deref()));
                let headers: Vec<_> = record.headers.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
                let wanted: Vec<_> = sample.headers.iter().map(|(key, value)| (key.clone().into_bytes(), value.clone())).collect();
                prop_assert_eq!(headers, wanted);
            }
        }

        #[test]
        fn what_we_write_passes_the_checks(samples in proptest::collection::vec(sample(), 1..20), codec in 0u8..5) {
            let codec = Codec::from_bits(codec).unwrap();
            let bytes = build(&samples, codec);
            let rules = ProduceRules { level: ValidationLevel::Full, ..ProduceRules::default() };
            let valid = validate_produce(&bytes, &rules, 1 << 45).unwrap();
            prop_assert_eq!(valid.rewrite_timestamp, None);
            prop_assert_eq!(valid.max_timestamp, samples.iter().map(|sample| sample.timestamp).max().unwrap());
            let batch = BatchView::parse(&bytes).unwrap();
            let payload = decompress(codec, batch.payload(), 1 << 20).unwrap();
            prop_assert_eq!(Records::new(&payload, batch.record_count()).filter(Result::is_ok).count(), samples.len());
        }

        #[test]
        fn damaged_batches_never_panic(samples in proptest::collection::vec(sample(), 1..5), codec in 0u8..5, damage in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..4)) {
            let mut bytes = build(&samples, Codec::from_bits(codec).unwrap());
            for (at, value) in damage {
                let at = 21 + usize::from(at) % (bytes.len() - 21);
                bytes[at] = value;
            }
            let crc = crc32c(&bytes[21..]);
            bytes[17..21].copy_from_slice(&crc.to_be_bytes());
            let rules = ProduceRules { level: ValidationLevel::Full, decompressed_bytes_max: 1 << 20, ..ProduceRules::default() };
            let _ = validate_produce(&bytes, &rules, 1 << 45);
        }
    }
}
