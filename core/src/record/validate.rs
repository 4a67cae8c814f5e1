//! What a leader checks of a batch that a client produces, before it gets an offset.
//!
//! The order of the checks and the answer to each failure are Apache Kafka's (`ProduceRequest.validateRecords`,
//! `UnifiedLog.analyzeAndValidateRecords`, `LogValidator`). Stricter than Kafka: offset deltas of an uncompressed batch
//! must run from 0, and nothing may follow the batch. Laxer: a compressed batch is opened only when the rules ask for it
//! (`ValidationLevel::Full`, or keys are required); else only its header's max timestamp meets the timestamp rule.
//!
//! Invariant: an uncompressed batch is checked in one pass without allocation.

mod error;
mod rules;

use std::borrow::Cow;

pub use self::error::{BatchError, Rejection};
pub use self::rules::{KeylessRule, ProduceRules, TimestampRule, ValidationLevel};
use super::batch::{BatchView, Codec, TimestampType};
use super::compression::decompress;
use super::records::{RecordError, RecordView, Records};
use crate::wire::Reader;

/// Who sent a batch, when the producer is idempotent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Producer {
    /// Its id, 0 or more.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Sequence of the first record.
    pub base_sequence: i32,
    /// Sequence of the last record; wraps from `i32::MAX` to 0.
    pub last_sequence: i32,
}

/// A batch that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidBatch {
    /// Bytes of the whole batch: all that was given.
    pub size_bytes: usize,
    /// Records, 1 or more; the batch takes as many offsets.
    pub record_count: u32,
    /// The largest timestamp: of the records where they were looked at, else of the header.
    pub max_timestamp: i64,
    /// The batch does not say what must be stored: call [`set_max_timestamp`](super::set_max_timestamp) with this
    /// before the append.
    pub rewrite_timestamp: Option<(TimestampType, i64)>,
    /// The idempotent producer.
    pub producer: Option<Producer>,
    /// Part of a transaction.
    pub is_transactional: bool,
    /// The codec.
    pub codec: Codec,
}

/// Checks the records of one partition in a Produce request: exactly one batch.
pub fn validate_produce(records: &[u8], rules: &ProduceRules, now_ms: i64) -> Result<ValidBatch, BatchError> {
    let batch = BatchView::parse(records)?;
    if batch.bytes().len() != records.len() {
        return Err(BatchError::MoreThanOneBatch);
    }
    let codec = batch.codec().map_err(BatchError::UnknownCodec)?;
    if codec == Codec::Zstd && !rules.zstd {
        return Err(BatchError::ZstdBeforeVersion7);
    }
    if batch.base_offset() != 0 {
        return Err(BatchError::BaseOffset(batch.base_offset()));
    }
    let size_bytes = records.len();
    if size_bytes > rules.batch_bytes_max {
        return Err(BatchError::TooLarge { size_bytes, max: rules.batch_bytes_max });
    }
    let (stored, computed) = (batch.stored_crc(), batch.compute_crc());
    if stored != computed {
        return Err(BatchError::Crc { stored, computed });
    }
    if size_bytes > rules.segment_bytes_max {
        return Err(BatchError::LargerThanSegment { size_bytes, max: rules.segment_bytes_max });
    }
    let record_count = validate_count(&batch)?;
    let producer = validate_producer(&batch)?;
    let max_timestamp = validate_records(&batch, codec, rules, now_ms)?;
    Ok(ValidBatch {
        size_bytes,
        record_count,
        max_timestamp,
        rewrite_timestamp: rewrite_timestamp(&batch, rules, max_timestamp, now_ms),
        producer,
        is_transactional: batch.is_transactional(),
        codec,
    })
}

fn validate_count(batch: &BatchView<'_>) -> Result<u32, BatchError> {
    let (count, last_offset_delta) = (batch.record_count(), batch.last_offset_delta());
    match u32::try_from(count) {
        Ok(records) if records > 0 && last_offset_delta == count - 1 => Ok(records),
        _ => Err(BatchError::Count { count, last_offset_delta }),
    }
}

fn validate_producer(batch: &BatchView<'_>) -> Result<Option<Producer>, BatchError> {
    if batch.is_control() {
        return Err(BatchError::Control);
    }
    let producer = Producer {
        producer_id: batch.producer_id(),
        producer_epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
        last_sequence: batch.last_sequence(),
    };
    if producer.producer_id < 0 {
        return if batch.is_transactional() { Err(BatchError::TransactionalWithoutProducer) } else { Ok(None) };
    }
    if producer.base_sequence < 0 || producer.producer_epoch < 0 {
        let Producer { producer_id, producer_epoch, base_sequence, .. } = producer;
        return Err(BatchError::Sequence { producer_id, producer_epoch, base_sequence });
    }
    Ok(Some(producer))
}

/// Returns the largest timestamp.
fn validate_records(batch: &BatchView<'_>, codec: Codec, rules: &ProduceRules, now_ms: i64) -> Result<i64, BatchError> {
    if codec == Codec::None {
        return walk_records(batch, batch.payload(), rules, now_ms);
    }
    if rules.opens_compressed() {
        return validate_compressed(batch, codec, rules, now_ms);
    }
    let (low, high) = rules.timestamps.bounds(now_ms);
    let timestamp = batch.max_timestamp();
    if timestamp != NO_TIMESTAMP && !(low..=high).contains(&timestamp) {
        return Err(BatchError::Timestamp { index: 0, timestamp });
    }
    Ok(timestamp)
}

#[cold]
fn validate_compressed(
    batch: &BatchView<'_>,
    codec: Codec,
    rules: &ProduceRules,
    now_ms: i64,
) -> Result<i64, BatchError> {
    let payload = decompress(codec, batch.payload(), rules.decompressed_bytes_max)?;
    walk_records(batch, &payload, rules, now_ms)
}

const NO_TIMESTAMP: i64 = -1;

/// The one pass over uncompressed records.
pub(super) fn walk_records(
    batch: &BatchView<'_>,
    payload: &[u8],
    rules: &ProduceRules,
    now_ms: i64,
) -> Result<i64, BatchError> {
    let (low, high) = rules.timestamps.bounds(now_ms);
    let (base_timestamp, keyless) = (batch.base_timestamp(), rules.keyless);
    let is_log_append_time = batch.timestamp_type() == TimestampType::LogAppendTime;
    let mut max_timestamp = NO_TIMESTAMP;
    let mut rest = Reader::new(payload);
    for index in 0..batch.record_count() as u32 {
        let at = |error| BatchError::Record { index, error };
        if rest.remaining() == 0 {
            return Err(at(RecordError::Count));
        }
        let record = RecordView::take(&mut rest).map_err(at)?;
        if record.offset_delta != index as i32 {
            return Err(BatchError::OffsetDelta { index, offset_delta: record.offset_delta });
        }
        if keyless == KeylessRule::Reject && record.key.is_none() {
            return Err(BatchError::Keyless { index });
        }
        let timestamp = match is_log_append_time {
            true => batch.max_timestamp(),
            false => base_timestamp.wrapping_add(record.timestamp_delta),
        };
        if (timestamp < low || timestamp > high) && timestamp != NO_TIMESTAMP {
            return Err(BatchError::Timestamp { index, timestamp });
        }
        max_timestamp = max_timestamp.max(timestamp);
    }
    if rest.remaining() != 0 {
        return Err(BatchError::Record { index: batch.record_count() as u32, error: RecordError::Trailing });
    }
    Ok(max_timestamp)
}

fn rewrite_timestamp(
    batch: &BatchView<'_>,
    rules: &ProduceRules,
    max_timestamp: i64,
    now_ms: i64,
) -> Option<(TimestampType, i64)> {
    let wanted = match rules.timestamps {
        TimestampRule::LogAppendTime => (TimestampType::LogAppendTime, now_ms),
        TimestampRule::CreateTime { .. } => (TimestampType::CreateTime, max_timestamp),
    };
    (wanted != (batch.timestamp_type(), batch.max_timestamp())).then_some(wanted)
}

/// Every record that breaks the key or the timestamp rule, with the reason, for the answer to a batch that failed with
/// such an error ([`BatchError::is_per_record`]). At most `max`.
pub fn record_errors(records: &[u8], rules: &ProduceRules, now_ms: i64, max: usize) -> Vec<(u32, BatchError)> {
    let Ok(batch) = BatchView::parse(records) else { return Vec::new() };
    let payload = match batch.codec() {
        Ok(Codec::None) => Cow::Borrowed(batch.payload()),
        Ok(codec) if rules.opens_compressed() => {
            match decompress(codec, batch.payload(), rules.decompressed_bytes_max) {
                Ok(payload) => Cow::Owned(payload),
                Err(_) => return Vec::new(),
            }
        }
        _ => return validate_produce(records, rules, now_ms).err().map(|error| (0, error)).into_iter().collect(),
    };
    let (low, high) = rules.timestamps.bounds(now_ms);
    let fault = |(index, record): (u32, RecordView<'_>)| {
        let timestamp = batch.base_timestamp().wrapping_add(record.timestamp_delta);
        if rules.keyless == KeylessRule::Reject && record.key.is_none() {
            Some((index, BatchError::Keyless { index }))
        } else if timestamp != NO_TIMESTAMP && !(low..=high).contains(&timestamp) {
            Some((index, BatchError::Timestamp { index, timestamp }))
        } else {
            None
        }
    };
    (0..).zip(Records::new(&payload, batch.record_count()).map_while(Result::ok)).filter_map(fault).take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::set_max_timestamp;

    const NOW: i64 = 1_800_000_000_000;

    /// A batch of two records, "k0" -> "v0" with header "h" -> null and null -> "v1", timestamps `NOW` and `NOW + 5`.
    pub(crate) fn batch() -> Vec<u8> {
        let mut bytes = vec![0; 61];
        bytes[16] = 2;
        bytes[23..27].copy_from_slice(&1i32.to_be_bytes());
        bytes[27..35].copy_from_slice(&NOW.to_be_bytes());
        bytes[43..57].fill(0xff);
        bytes[57..61].copy_from_slice(&2i32.to_be_bytes());
        bytes.extend([26, 0, 0, 0, 4, b'k', b'0', 4, b'v', b'0', 2, 2, b'h', 1]);
        bytes.extend([16, 0, 10, 2, 1, 4, b'v', b'1', 0]);
        let length = (bytes.len() - 12) as i32;
        bytes[8..12].copy_from_slice(&length.to_be_bytes());
        set_max_timestamp(&mut bytes, TimestampType::CreateTime, NOW + 5);
        bytes
    }

    /// Changes a batch and makes its CRC right again.
    fn changed(at: usize, with: &[u8]) -> Vec<u8> {
        let mut bytes = batch();
        bytes[at..at + with.len()].copy_from_slice(with);
        reseal(&mut bytes);
        bytes
    }

    fn reseal(bytes: &mut [u8]) {
        let crc = crate::record::crc32c(&bytes[21..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    }

    fn check(bytes: &[u8]) -> Result<ValidBatch, BatchError> {
        validate_produce(bytes, &ProduceRules::default(), NOW)
    }

    #[test]
    fn a_good_batch_passes() {
        let valid = check(&batch()).unwrap();
        assert_eq!((valid.record_count, valid.max_timestamp, valid.producer), (2, NOW + 5, None));
        assert_eq!(valid.rewrite_timestamp, None);
        assert_eq!(valid.size_bytes, batch().len());
    }

    #[test]
    fn each_rule_has_kafkas_answer() {
        use Rejection::*;
        let cases: &[(usize, &[u8], Rejection)] = &[
            (0, &1i64.to_be_bytes(), InvalidRecord),
            (8, &48i32.to_be_bytes(), CorruptMessage),
            (8, &(-1i32).to_be_bytes(), CorruptMessage),
            (8, &i32::MAX.to_be_bytes(), InvalidRecord),
            (8, &60i32.to_be_bytes(), InvalidRecord),
            (16, &[1], InvalidRecord),
            (16, &[3], CorruptMessage),
            (22, &[5], UnsupportedCompressionType),
            (22, &[0x20], InvalidRecord),
            (22, &[0x10], InvalidRecord),
            (23, &2i32.to_be_bytes(), InvalidRecord),
            (23, &(-1i32).to_be_bytes(), InvalidRecord),
            (57, &0i32.to_be_bytes(), InvalidRecord),
            (57, &3i32.to_be_bytes(), InvalidRecord),
            (43, &7i64.to_be_bytes(), InvalidRecord),
            (27, &(NOW + 3_600_001).to_be_bytes(), InvalidTimestamp),
            (61, &[28], InvalidRecord),
            (61, &[24], InvalidRecord),
            (61, &[1], InvalidRecord),
            (64, &[2], InvalidRecord),
            (71, &[4], InvalidRecord),
            (72, &[1], InvalidRecord),
        ];
        for (at, with, rejection) in cases {
            let error = check(&changed(*at, with)).unwrap_err();
            assert_eq!(error.rejection(), *rejection, "{at} {with:?}: {error}");
        }
        assert_eq!(check(&[]).unwrap_err(), BatchError::NoWholeBatch);
        let twice = [batch(), batch()].concat();
        assert_eq!(check(&twice).unwrap_err(), BatchError::MoreThanOneBatch);
    }

    #[test]
    fn rules_of_topic_and_version() {
        let rules = ProduceRules::default();
        let small = ProduceRules { batch_bytes_max: 80, ..rules };
        assert_eq!(validate_produce(&batch(), &small, NOW).unwrap_err().rejection(), Rejection::MessageTooLarge);
        let segment = ProduceRules { segment_bytes_max: 80, ..rules };
        assert_eq!(validate_produce(&batch(), &segment, NOW).unwrap_err().rejection(), Rejection::RecordListTooLarge);
        let compacted = ProduceRules { keyless: KeylessRule::Reject, ..rules };
        assert_eq!(validate_produce(&batch(), &compacted, NOW).unwrap_err(), BatchError::Keyless { index: 1 });
        assert_eq!(record_errors(&batch(), &compacted, NOW, 10), [(1, BatchError::Keyless { index: 1 })]);
        let old = ProduceRules { zstd: false, ..rules };
        let zstd = changed(22, &[4]);
        assert_eq!(validate_produce(&zstd, &old, NOW).unwrap_err(), BatchError::ZstdBeforeVersion7);
        assert!(validate_produce(&zstd, &rules, NOW).is_ok());
        let append_time = ProduceRules { timestamps: TimestampRule::LogAppendTime, ..rules };
        let valid = validate_produce(&batch(), &append_time, NOW + 9).unwrap();
        assert_eq!(valid.rewrite_timestamp, Some((TimestampType::LogAppendTime, NOW + 9)));
        let past =
            ProduceRules { timestamps: TimestampRule::CreateTime { before_max_ms: 10, after_max_ms: 10 }, ..rules };
        assert_eq!(record_errors(&batch(), &past, NOW + 13, 10).len(), 1);
    }

    #[test]
    fn a_wrong_max_timestamp_is_to_be_rewritten() {
        let mut bytes = changed(35, &0i64.to_be_bytes());
        let valid = check(&bytes).unwrap();
        let (timestamp_type, max) = valid.rewrite_timestamp.unwrap();
        set_max_timestamp(&mut bytes, timestamp_type, max);
        assert_eq!(bytes, batch());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let good = batch();
        for at in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[at / 8] ^= 1 << (at % 8);
            // The leader epoch is the broker's field, outside of the CRC.
            assert_eq!(check(&bytes).is_ok(), (12..16).contains(&(at / 8)), "bit {at}");
        }
        for len in 0..good.len() {
            assert!(check(&good[..len]).is_err());
        }
    }

    #[test]
    fn damage_under_a_right_crc_never_panics() {
        let good = batch();
        for at in 21..good.len() {
            for value in 0..=255 {
                let bytes = changed(at, &[value]);
                let _ = check(&bytes);
                let compacted = ProduceRules { keyless: KeylessRule::Reject, ..ProduceRules::default() };
                record_errors(&bytes, &compacted, NOW, 3);
            }
        }
    }
}
