//! Writes a batch again with some of its records left out, as compaction does: offsets, sequences and codec stay.
//!
//! A record that stays is copied byte for byte, since its deltas count from a base that stays too. Only where the batch
//! gets a delete horizon, which takes the place of the base timestamp, the timestamp deltas are written anew.

use std::io;

use super::batch::{BATCH_OVERHEAD, BatchView, CRC_FROM, DELETE_HORIZON, LENGTH_PREFIX, TimestampType};
use super::compression::{OpenError, compress};
use super::crc::crc32c;
use super::records::{RecordError, RecordView};
use crate::wire::{Reader, read_varint, read_varlong, varlong_len, write_varint, write_varlong};

/// Flags that an empty batch keeps: timestamp type, transactional, control.
const EMPTY_MASK: i16 = 0x38;

/// One record with its own bytes.
#[derive(Debug, Clone, Copy)]
pub struct RawRecord<'a> {
    /// From its length field to its end.
    pub bytes: &'a [u8],
    /// What they say.
    pub view: RecordView<'a>,
}

/// Records in order, each with its own bytes.
#[derive(Debug, Clone)]
pub struct RawRecords<'a> {
    rest: Reader<'a>,
    left: i32,
}

impl<'a> RawRecords<'a> {
    /// `count` records in `bytes`, which are not compressed.
    pub fn new(bytes: &'a [u8], count: i32) -> Self {
        Self { rest: Reader::new(bytes), left: count }
    }
}

impl<'a> Iterator for RawRecords<'a> {
    type Item = Result<RawRecord<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        let bytes = self.rest.rest();
        let record = RecordView::take(&mut self.rest);
        Some(record.map(|view| RawRecord { bytes: &bytes[..bytes.len() - self.rest.remaining()], view }))
    }
}

/// Appends the batch without any record to `into`: what is left says where its offsets and its producer's sequence end.
pub fn retain_nothing(batch: &BatchView<'_>, into: &mut Vec<u8>) {
    let start = into.len();
    into.extend_from_slice(&batch.bytes()[..BATCH_OVERHEAD]);
    let attributes = batch.attributes() & EMPTY_MASK;
    finish(&mut into[start..], attributes, -1, batch.max_timestamp(), 0);
}

/// Appends the batch with the records of `kept` only to `into`. With `delete_horizon_ms`, that becomes the batch's.
pub fn retain_records(
    batch: &BatchView<'_>,
    kept: &[RawRecord<'_>],
    delete_horizon_ms: Option<i64>,
    into: &mut Vec<u8>,
) -> io::Result<()> {
    let codec =
        batch.codec().map_err(|codec| io::Error::new(io::ErrorKind::InvalidData, OpenError::UnknownCodec(codec)))?;
    let start = into.len();
    into.extend_from_slice(&batch.bytes()[..BATCH_OVERHEAD]);
    let mut records = Vec::with_capacity(kept.iter().map(|record| record.bytes.len()).sum());
    for record in kept {
        match delete_horizon_ms {
            None => records.extend_from_slice(record.bytes),
            Some(horizon) => {
                let timestamp = batch.base_timestamp().wrapping_add(record.view.timestamp_delta);
                put_with_delta(record.bytes, timestamp.wrapping_sub(horizon), &mut records)
                    .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
            }
        }
    }
    compress(codec, None, &records, into)?;
    let timestamp = |record: &RawRecord<'_>| batch.base_timestamp().wrapping_add(record.view.timestamp_delta);
    let max_timestamp = match batch.timestamp_type() {
        TimestampType::CreateTime => kept.iter().map(timestamp).max().unwrap_or(-1),
        TimestampType::LogAppendTime => batch.max_timestamp(),
    };
    let flag = if delete_horizon_ms.is_some() { DELETE_HORIZON } else { 0 };
    let base_timestamp = delete_horizon_ms.unwrap_or(batch.base_timestamp());
    finish(&mut into[start..], batch.attributes() | flag, base_timestamp, max_timestamp, kept.len() as i32);
    Ok(())
}

/// A record with another timestamp delta; all that follows it stays.
fn put_with_delta(bytes: &[u8], timestamp_delta: i64, into: &mut Vec<u8>) -> Result<(), RecordError> {
    let mut reader = Reader::new(bytes);
    read_varint(&mut reader)?;
    let attributes = reader.read_u8()?;
    read_varlong(&mut reader)?;
    let rest = reader.rest();
    write_varint(into, (1 + varlong_len(timestamp_delta) + rest.len()) as i32);
    into.push(attributes);
    write_varlong(into, timestamp_delta);
    into.extend_from_slice(rest);
    Ok(())
}

/// Sets what changes in the header of a whole batch, the CRC last.
fn finish(batch: &mut [u8], attributes: i16, base_timestamp: i64, max_timestamp: i64, count: i32) {
    let length = (batch.len() - LENGTH_PREFIX) as i32;
    let mut put = |at: usize, field: &[u8]| batch[at..at + field.len()].copy_from_slice(field);
    put(8, &length.to_be_bytes());
    put(21, &attributes.to_be_bytes());
    put(27, &base_timestamp.to_be_bytes());
    put(35, &max_timestamp.to_be_bytes());
    put(57, &count.to_be_bytes());
    let crc = crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::compression::decompress;
    use crate::record::{BatchBuilder, Codec, NewRecord};

    /// Six records of increasing time, the third a tombstone.
    fn sample(codec: Codec) -> Vec<u8> {
        let mut builder = BatchBuilder::new().at(100, 3).codec(codec).producer(7, 1, 40);
        for index in 0..6_i64 {
            let key = [b'k', index as u8];
            let value = [index as u8; 40];
            let value = (index != 2).then_some(&value[..]);
            let headers = [(&b"h"[..], None)];
            builder.push(NewRecord { timestamp: 1_000 + 7 * index, key: Some(&key), value, headers: &headers });
        }
        builder.build()
    }

    /// (offset, timestamp, key, value) of each record.
    type Record = (i64, i64, Vec<u8>, Option<Vec<u8>>);

    fn records_of(bytes: &[u8]) -> Vec<Record> {
        let batch = BatchView::parse(bytes).unwrap();
        assert!(batch.is_crc_valid() && batch.bytes().len() == bytes.len());
        let payload = decompress(batch.codec().unwrap(), batch.payload(), 1 << 20).unwrap();
        let take = |record: Result<RawRecord<'_>, RecordError>| {
            let view = record.unwrap().view;
            let offset = batch.base_offset() + i64::from(view.offset_delta);
            let timestamp = batch.base_timestamp() + view.timestamp_delta;
            (offset, timestamp, view.key.unwrap().to_vec(), view.value.map(<[u8]>::to_vec))
        };
        RawRecords::new(&payload, batch.record_count()).map(take).collect()
    }

    #[test]
    fn what_stays_is_as_it_was_in_every_codec() {
        for codec in Codec::ALL {
            let bytes = sample(codec);
            let (batch, all) = (BatchView::parse(&bytes).unwrap(), records_of(&bytes));
            let payload = decompress(codec, batch.payload(), 1 << 20).unwrap();
            let raw: Vec<_> = RawRecords::new(&payload, 6).map(Result::unwrap).collect();
            for horizon in [None, Some(5_000_000_000_i64)] {
                let kept = [raw[1], raw[2], raw[4]];
                let mut written = vec![9];
                retain_records(&batch, &kept, horizon, &mut written).unwrap();
                assert_eq!(written.remove(0), 9, "appended");
                assert_eq!(records_of(&written), [all[1].clone(), all[2].clone(), all[4].clone()]);
                let after = BatchView::parse(&written).unwrap();
                assert_eq!(after.codec(), Ok(codec));
                assert_eq!((after.base_offset(), after.last_offset(), after.leader_epoch()), (100, 105, 3));
                assert_eq!((after.producer_id(), after.producer_epoch()), (7, 1));
                assert_eq!((after.base_sequence(), after.last_sequence()), (40, 45));
                assert_eq!(after.max_timestamp(), 1_028, "of what is kept");
                assert_eq!(after.has_delete_horizon().then(|| after.base_timestamp()), horizon);
            }
        }
    }

    #[test]
    fn an_empty_batch_keeps_its_offsets_and_its_sequence() {
        let bytes = sample(Codec::Zstd);
        let mut written = Vec::new();
        retain_nothing(&BatchView::parse(&bytes).unwrap(), &mut written);
        let after = BatchView::parse(&written).unwrap();
        assert!(after.is_crc_valid());
        assert_eq!((written.len(), after.record_count(), after.codec()), (61, 0, Ok(Codec::None)));
        assert_eq!((after.base_offset(), after.last_offset(), after.last_sequence()), (100, 105, 45));
        assert_eq!((after.base_timestamp(), after.max_timestamp()), (-1, 1_035));
        assert_eq!(records_of(&written), []);
    }
}
