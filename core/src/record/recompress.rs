//! A batch in another codec: what `compression.type` asks for where it is not `producer`.
//!
//! As in Kafka (`LogValidator`), records, their offsets and their timestamps stay; the batch is checked to the last record
//! before, and its size again after.

use std::borrow::Cow;

use super::batch::{BATCH_OVERHEAD, BatchView, CODEC_MASK, Codec, LENGTH_PREFIX, TimestampType, set_max_timestamp};
use super::compression::{compress, decompress};
use super::validate::{BatchError, KeylessRule, ProduceRules, ValidationLevel, validate_produce, walk_records};

/// The codec of stored batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recompression {
    /// The codec.
    pub codec: Codec,
    /// The level of gzip or zstd; `None` is its default.
    pub level: Option<i32>,
}

impl Recompression {
    /// Whether the batch at the start of `records` has another codec. What is no batch has none: it is refused as it is.
    pub fn is_due(self, records: &[u8]) -> bool {
        BatchView::parse(records).ok().and_then(|batch| batch.codec().ok()).is_some_and(|codec| codec != self.codec)
    }
}

/// Checks the records of one partition in a Produce request, as [`validate_produce`] at its full level, and writes them
/// anew in the codec of `to`.
pub fn recompress(records: &[u8], rules: &ProduceRules, to: Recompression, now_ms: i64) -> Result<Vec<u8>, BatchError> {
    let header_only = ProduceRules { level: ValidationLevel::Header, keyless: KeylessRule::Accept, ..*rules };
    let codec = validate_produce(records, &header_only, now_ms)?.codec;
    let batch = BatchView::parse(records)?;
    let payload = match codec {
        Codec::None => Cow::Borrowed(batch.payload()),
        codec => Cow::Owned(decompress(codec, batch.payload(), rules.decompressed_bytes_max)?),
    };
    let max_timestamp = walk_records(&batch, &payload, rules, now_ms)?;

    let mut stored = records[..BATCH_OVERHEAD].to_vec();
    compress(to.codec, to.level, &payload, &mut stored).expect("memory is compressed into memory");
    let size_bytes = stored.len();
    if size_bytes > rules.batch_bytes_max {
        return Err(BatchError::TooLarge { size_bytes, max: rules.batch_bytes_max });
    }
    if size_bytes > rules.segment_bytes_max {
        return Err(BatchError::LargerThanSegment { size_bytes, max: rules.segment_bytes_max });
    }
    let length = i32::try_from(size_bytes - LENGTH_PREFIX).expect("bounded above");
    stored[8..12].copy_from_slice(&length.to_be_bytes());
    let attributes = batch.attributes() & !CODEC_MASK | i16::from(to.codec as u8);
    stored[21..23].copy_from_slice(&attributes.to_be_bytes());
    // With the CRC. LogAppendTime is written by the append.
    set_max_timestamp(&mut stored, TimestampType::CreateTime, max_timestamp);
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, NewRecord};

    const NOW: i64 = 1_800_000_000_000;

    fn batch(codec: Codec, value: &[u8]) -> Vec<u8> {
        let mut builder = BatchBuilder::new().codec(codec).producer(7, 1, 42);
        for n in 0..3 {
            let (timestamp, value) = (NOW + [5, 9, 2][n as usize], Some(value));
            builder.push(NewRecord { timestamp, key: Some(&[n]), value, headers: &[(b"h", None)] });
        }
        builder.build()
    }

    fn payload(bytes: &[u8]) -> Vec<u8> {
        let batch = BatchView::parse(bytes).unwrap();
        assert!(batch.is_crc_valid());
        decompress(batch.codec().unwrap(), batch.payload(), 1 << 20).unwrap()
    }

    #[test]
    fn records_and_producer_stay_in_every_pair_of_codecs() {
        let rules = ProduceRules::default();
        for from in Codec::ALL {
            for codec in Codec::ALL.into_iter().filter(|codec| *codec != from) {
                let (before, to) = (batch(from, &[7; 300]), Recompression { codec, level: None });
                assert!(to.is_due(&before));
                let after = recompress(&before, &rules, to, NOW).unwrap();
                assert!(!to.is_due(&after));
                assert_eq!(payload(&after), payload(&before), "{from:?} to {codec:?}");
                let (before, view) = (BatchView::parse(&before).unwrap(), BatchView::parse(&after).unwrap());
                assert_eq!(view.bytes().len(), after.len());
                assert_eq!((view.max_timestamp(), view.base_timestamp()), (NOW + 9, NOW + 5));
                assert_eq!(view.bytes()[43..61], before.bytes()[43..61], "producer and count");
                assert_eq!(view.attributes() >> 3, before.attributes() >> 3, "the other flags");
            }
        }
    }

    #[test]
    fn sizes_are_checked_before_and_after() {
        let small = batch(Codec::Zstd, &[0; 10_000]);
        let to_none = Recompression { codec: Codec::None, level: None };
        let rules = ProduceRules { batch_bytes_max: 10_000, ..ProduceRules::default() };
        let error = recompress(&small, &rules, to_none, NOW).unwrap_err();
        assert!(matches!(error, BatchError::TooLarge { size_bytes, max: 10_000 } if size_bytes > 30_000), "{error}");
        let rules = ProduceRules { segment_bytes_max: 10_000, ..ProduceRules::default() };
        let error = recompress(&small, &rules, to_none, NOW).unwrap_err();
        assert!(matches!(error, BatchError::LargerThanSegment { .. }), "{error}");
        let large = batch(Codec::None, &[0; 10_000]);
        let to_zstd = Recompression { codec: Codec::Zstd, level: Some(19) };
        let rules = ProduceRules { batch_bytes_max: 10_000, ..ProduceRules::default() };
        assert!(matches!(recompress(&large, &rules, to_zstd, NOW), Err(BatchError::TooLarge { .. })), "as received");
    }

    #[test]
    fn a_compressed_batch_is_checked_to_its_last_record() {
        let to = Recompression { codec: Codec::Lz4, level: None };
        let good = batch(Codec::Zstd, b"v");
        let mut short = good.clone();
        short[57..61].copy_from_slice(&4i32.to_be_bytes());
        short[23..27].copy_from_slice(&3i32.to_be_bytes());
        set_max_timestamp(&mut short, TimestampType::CreateTime, NOW);
        assert!(validate_produce(&short, &ProduceRules::default(), NOW).is_ok(), "its header says nothing of it");
        let error = recompress(&short, &ProduceRules::default(), to, NOW).unwrap_err();
        assert!(matches!(error, BatchError::Record { index: 3, .. }), "{error}");
        let mut damaged = good;
        *damaged.last_mut().unwrap() ^= 1;
        let error = recompress(&damaged, &ProduceRules::default(), to, NOW).unwrap_err();
        assert!(matches!(error, BatchError::Crc { .. }), "{error}");
    }
}
