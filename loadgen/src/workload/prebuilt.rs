//! Prebuilt record batches. What differs from one send to the next stands at the front: a batch is a head that is
//! written anew each time (times, producer, sequence, stamp) and a tail that all sends share.
//!
//! Invariant: a batch that leaves has a right CRC, which is joined from those of head and tail.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use ringlog_core::record::{BATCH_OVERHEAD, BatchBuilder, CRC_FROM, Codec, Crc32cJoin, NewRecord, crc32c};
use ringlog_core::wire::varint_len;

use super::keys::{KeySpec, PartitionKeys};
use super::sizes::Sizes;
use super::stamp::{SEAL_BYTES, STAMP_BYTES, Stamp, seal};
use crate::client::Outgoing;

/// Different batches in turn, so that not everything is one hot cache line.
const VARIANTS: usize = 8;
/// Bytes of all prebuilt batches, about: with many partitions there are fewer variants.
const PREBUILT_BYTES_MAX: usize = 256 << 20;
/// Period of the part of a value that can be compressed.
const FILLER: &[u8; 16] = b"ringlog loadgen ";

/// How batches look.
#[derive(Debug, Clone)]
pub struct BatchSpec {
    /// Bytes of one batch before compression at most, if it holds more than one record.
    pub batch_bytes: usize,
    /// Records of one batch, whatever their size.
    pub records: Option<usize>,
    /// Bytes of the records' values.
    pub sizes: Sizes,
    /// The records' keys.
    pub keys: KeySpec,
    /// How they are compressed.
    pub codec: Codec,
    /// The share of each value that is text repeated over and over; the rest is random.
    pub compressible: f64,
    /// Of the payload.
    pub seed: u64,
}

/// One batch, to be sent any number of times.
#[derive(Debug)]
pub struct PrebuiltBatch {
    head: Vec<u8>,
    /// Where the stamp stands in the head. Compressed batches and those of small records have none.
    stamp_at: Option<usize>,
    tail: Bytes,
    tail_crc: u32,
    join: Arc<Crc32cJoin>,
    records: usize,
}

/// What differs from one send to the next.
#[derive(Debug, Clone, Copy)]
pub struct Front {
    /// Of all records.
    pub timestamp_ms: i64,
    /// Producer id, epoch and sequence of the first record, of an idempotent producer.
    pub producer: Option<(i64, i16, i32)>,
    /// Where it comes from.
    pub stamp: Stamp,
}

impl PrebuiltBatch {
    /// Records in it.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Its bytes.
    pub fn size_bytes(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether it says where it comes from.
    pub fn is_stamped(&self) -> bool {
        self.stamp_at.is_some()
    }

    /// Appends the batch.
    pub fn write(&self, front: &Front, out: &mut Outgoing) {
        let head = out.copy(&self.head);
        head[27..35].copy_from_slice(&front.timestamp_ms.to_be_bytes());
        head[35..43].copy_from_slice(&front.timestamp_ms.to_be_bytes());
        if let Some((producer_id, producer_epoch, base_sequence)) = front.producer {
            head[43..51].copy_from_slice(&producer_id.to_be_bytes());
            head[51..53].copy_from_slice(&producer_epoch.to_be_bytes());
            head[53..57].copy_from_slice(&base_sequence.to_be_bytes());
        }
        if let Some(at) = self.stamp_at {
            front.stamp.write(&mut head[at..]);
        }
        let crc = self.join.join(crc32c(&head[CRC_FROM..]), self.tail_crc);
        head[17..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
        out.share(&self.tail);
    }
}

/// All batches of a run.
#[derive(Debug)]
pub struct PrebuiltBatches {
    all: Vec<PrebuiltBatch>,
    variants: usize,
    /// By partition, where keys decide: how often it gets a batch. Without keys all partitions share the batches.
    weights: Vec<f64>,
}

impl PrebuiltBatches {
    /// For a topic with so many partitions.
    pub fn build(spec: &BatchSpec, partitions_count: usize) -> Self {
        let mut maker =
            Maker { spec, random: SmallRng::seed_from_u64(spec.seed), joins: HashMap::new(), record_number: 0 };
        let mut partitions = spec.keys.by_partition(partitions_count);
        if partitions.is_empty() {
            let all = (0..VARIANTS).map(|_| maker.batch(None)).collect();
            return Self { all, variants: VARIANTS, weights: Vec::new() };
        }
        let each = partitions_count.saturating_mul(spec.batch_bytes.max(1));
        let variants = (PREBUILT_BYTES_MAX / each).clamp(1, VARIANTS);
        let weights = partitions.iter().map(|keys| keys.weight).collect();
        let mut all = Vec::with_capacity(partitions_count * variants);
        for keys in &mut partitions {
            // A partition without keys is never drawn; its batch is there for the places of the others.
            let mut keys = (keys.weight > 0.0).then_some(keys);
            all.extend((0..variants).map(|_| maker.batch(keys.as_deref_mut())));
        }
        Self { all, variants, weights }
    }

    /// Variants of each batch.
    pub fn variants(&self) -> usize {
        self.variants
    }

    /// How often a partition gets a batch compared with others.
    pub fn weight(&self, partition: i32) -> f64 {
        self.weights.get(partition as usize).copied().unwrap_or(1.0)
    }

    /// Whether keys decide which partition gets a batch.
    pub fn are_keyed(&self) -> bool {
        !self.weights.is_empty()
    }

    /// Which batch a partition gets.
    pub fn index(&self, partition: i32, variant: usize) -> usize {
        if self.are_keyed() { partition as usize * self.variants + variant } else { variant }
    }

    /// The batch with this index.
    pub fn get(&self, index: usize) -> &PrebuiltBatch {
        &self.all[index]
    }
}

/// Makes batches.
struct Maker<'a> {
    spec: &'a BatchSpec,
    random: SmallRng,
    joins: HashMap<usize, Arc<Crc32cJoin>>,
    record_number: usize,
}

impl Maker<'_> {
    fn batch(&mut self, mut keys: Option<&mut PartitionKeys>) -> PrebuiltBatch {
        let spec = self.spec;
        let mut builder = BatchBuilder::new().codec(spec.codec);
        let mut stamp_at = None;
        loop {
            let count = builder.count();
            let size = spec.sizes.pick(self.record_number, &mut self.random);
            let key = keys.as_mut().map(|keys| keys.pick(&mut self.random));
            let bytes = record_bytes(count, key.as_deref(), size);
            let is_full = match spec.records {
                Some(records) => count >= records.max(1),
                None => count > 0 && builder.size_bytes() + bytes > spec.batch_bytes,
            };
            if is_full {
                break;
            }
            self.record_number += 1;
            let is_stamped = count == 0 && spec.codec == Codec::None && size >= STAMP_BYTES + SEAL_BYTES;
            if is_stamped {
                // Behind the value stands the number of headers, one byte.
                stamp_at = Some(BATCH_OVERHEAD + bytes - 1 - size);
            }
            let value = self.value(key.as_deref(), size, if is_stamped { STAMP_BYTES } else { 0 });
            builder.push(NewRecord { key: key.as_deref(), value: Some(&value), ..NewRecord::default() });
        }
        let records = builder.count();
        let mut head = builder.build();
        let tail = Bytes::from(head.split_off(stamp_at.map_or(BATCH_OVERHEAD, |at| at + STAMP_BYTES)));
        let join = self.joins.entry(tail.len()).or_insert_with(|| Arc::new(Crc32cJoin::new(tail.len()))).clone();
        PrebuiltBatch { head, stamp_at, tail_crc: crc32c(&tail), tail, join, records }
    }

    /// A value whose first `from` bytes are for the stamp.
    fn value(&mut self, key: Option<&[u8]>, size: usize, from: usize) -> Vec<u8> {
        let mut value = vec![0; size];
        let random_bytes = (size as f64 * (1.0 - self.spec.compressible)) as usize;
        let (random, filler) = value.split_at_mut(random_bytes.min(size));
        self.random.fill(random);
        filler.iter_mut().zip(FILLER.iter().cycle()).for_each(|(byte, text)| *byte = *text);
        seal(key, &mut value, from);
        value
    }
}

/// Bytes of record `index` of a batch without headers.
fn record_bytes(index: usize, key: Option<&[u8]>, size: usize) -> usize {
    let varint = |length: usize| varint_len(i32::try_from(length).unwrap_or(i32::MAX));
    let key = key.map_or(1, |key| varint(key.len()) + key.len());
    // Attributes, time delta and the number of headers take a byte each.
    let body = 3 + varint(index) + key + varint(size) + size;
    varint(body) + body
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::workload::stamp::is_sealed;
    use ringlog_core::record::BatchView;
    use ringlog_core::record::compression::decompress;

    pub(super) fn spec() -> BatchSpec {
        BatchSpec {
            batch_bytes: 4_000,
            records: None,
            sizes: Sizes::List(vec![100]),
            keys: KeySpec::None,
            codec: Codec::None,
            compressible: 0.0,
            seed: 1,
        }
    }

    fn written(batch: &PrebuiltBatch, sequence: u64) -> Vec<u8> {
        let planned = Duration::from_nanos(9);
        let stamp = Stamp { run: 5, producer: 6, sequence, planned, sent: planned };
        let mut out = Outgoing::default();
        let front = Front { timestamp_ms: 1_700_000_000_000, producer: Some((7, 8, 9)), stamp };
        batch.write(&front, &mut out);
        out.take().concat()
    }

    #[test]
    fn every_send_has_its_own_front_and_a_right_crc() {
        for codec in Codec::ALL {
            let batches = PrebuiltBatches::build(&BatchSpec { codec, compressible: 0.5, ..spec() }, 3);
            for sequence in 0..20 {
                let batch = batches.get(batches.index(2, sequence as usize % batches.variants()));
                let bytes = written(batch, sequence);
                let view = BatchView::parse(&bytes).expect("a whole batch");
                assert!(view.is_crc_valid(), "{codec:?}");
                assert_eq!((view.producer_id(), view.base_sequence()), (7, 9));
                assert_eq!(view.record_count() as usize, batch.records());
                assert_eq!((view.base_timestamp(), bytes.len()), (1_700_000_000_000, batch.size_bytes()));
                if codec == Codec::None {
                    let first = view.records().next().expect("a record").expect("well formed");
                    let stamp = Stamp::read(first.value.expect("a value")).expect("a stamp");
                    assert_eq!((stamp.run, stamp.producer, stamp.sequence), (5, 6, sequence));
                }
            }
        }
    }

    #[test]
    fn all_values_are_sealed_and_compressible_as_asked() {
        for compressible in [0.0, 0.5, 1.0] {
            let spec = BatchSpec { compressible, codec: Codec::Zstd, batch_bytes: 64 << 10, ..spec() };
            let batches = PrebuiltBatches::build(&spec, 1);
            let bytes = written(batches.get(0), 0);
            let view = BatchView::parse(&bytes).expect("a whole batch");
            let records = decompress(Codec::Zstd, view.payload(), 1 << 20).expect("it was compressed");
            let ratio = view.payload().len() as f64 / records.len() as f64;
            let expected = (1.0 - compressible).max(0.1);
            assert!((ratio - expected).abs() < 0.12, "{compressible}: {ratio}");
            for record in ringlog_core::record::Records::new(&records, view.record_count()) {
                let record = record.expect("well formed");
                assert!(is_sealed(record.key, record.value.expect("a value"), 0));
            }
        }
    }

    #[test]
    fn batches_are_as_large_as_asked_for_and_never_larger() {
        for (batch_bytes, size) in [(16 << 10, 100), (1 << 20, 1_000), (1 << 16, 10), (200, 63), (200, 64)] {
            let spec = BatchSpec { batch_bytes, sizes: Sizes::List(vec![size]), ..spec() };
            let batch = PrebuiltBatches::build(&spec, 1);
            let missing = batch_bytes.checked_sub(batch.get(0).size_bytes()).expect("not larger");
            assert!(missing < size + 12, "{batch_bytes} {size}: {missing}");
        }
        let large = BatchSpec { sizes: Sizes::List(vec![10_000]), ..spec() };
        assert_eq!(PrebuiltBatches::build(&large, 1).get(0).records(), 1);
        let many = BatchSpec { sizes: Sizes::List(vec![10_000]), records: Some(3), ..spec() };
        assert_eq!(PrebuiltBatches::build(&many, 1).get(0).records(), 3);
    }

    #[test]
    fn keyed_batches_hold_keys_of_their_partition_only() {
        let batches = PrebuiltBatches::build(&BatchSpec { keys: KeySpec::Uniform(100), ..spec() }, 3);
        for partition in 0..3 {
            let bytes = written(batches.get(batches.index(partition, 1)), 0);
            for record in BatchView::parse(&bytes).expect("a whole batch").records() {
                let key = record.expect("well formed").key.expect("a key");
                assert_eq!(ringlog_core::record::partition_of(key, 3), partition as usize);
            }
        }
        let weights: f64 = (0..3).map(|partition| batches.weight(partition)).sum();
        assert_eq!(weights, 100.0);
    }
}
