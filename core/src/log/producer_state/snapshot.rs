//! The `.snapshot` file that keeps the producers of a log.
//!
//! Big-endian: version i16 = 1, CRC-32C u32 of all that follows it, entry count i32, entries of 46 bytes:
//! producer id i64, epoch i16, last sequence i32, last offset i64, offset delta i32, timestamp i64,
//! coordinator epoch i32, first offset of the open transaction i64 (-1: none). Kafka writes one entry per producer, of its
//! last batch, and so answers a repeat of an earlier one OUT_OF_ORDER_SEQUENCE_NUMBER after a restart. Here a producer has an
//! entry for each batch that is remembered, oldest first; Kafka, which reads them in order, keeps the last.

use super::ProducerState;
use super::producer::{KeptBatch, Producer};
use crate::record::crc32c;

const SNAPSHOT_VERSION: i16 = 1;
const SNAPSHOT_HEAD: usize = 10;
const SNAPSHOT_CRC_FROM: usize = 6;
const SNAPSHOT_ENTRY: usize = 46;

/// A snapshot that cannot be used; the log is replayed from an older one, or from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not version 1.
    #[error("producer snapshot of version {0}, expected 1")]
    Version(i16),
    /// The bytes have changed.
    #[error("producer snapshot with a wrong CRC")]
    Crc,
    /// Cut short, or not as many entries as it says.
    #[error("producer snapshot of {0} bytes does not hold what it says")]
    Length(usize),
    /// A value that no writer of snapshots writes.
    #[error("producer snapshot with an impossible entry for producer {0}")]
    Entry(i64),
}

impl ProducerState {
    /// The bytes of a `.snapshot` file, entries sorted by producer id and age.
    pub fn encode(&self) -> Vec<u8> {
        let count: usize = self.producers.values().map(|producer| producer.kept().len().max(1)).sum();
        let mut bytes = Vec::with_capacity(SNAPSHOT_HEAD + count * SNAPSHOT_ENTRY);
        bytes.extend(SNAPSHOT_VERSION.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend((count as i32).to_be_bytes());
        for (producer_id, producer) in &self.producers {
            let (last, earlier) = match producer.kept().split_last() {
                Some((last, earlier)) => (Some(last), earlier),
                None => (None, &[][..]),
            };
            for kept in earlier {
                let mut past = **producer;
                (past.last_timestamp, past.transaction_first_offset) = (kept.timestamp, None);
                past.encode(*producer_id, Some(kept), &mut bytes);
            }
            producer.encode(*producer_id, last, &mut bytes);
        }
        let crc = crc32c(&bytes[SNAPSHOT_CRC_FROM..]);
        bytes[2..SNAPSHOT_CRC_FROM].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads a `.snapshot` file.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let wrong_length = SnapshotError::Length(bytes.len());
        let (head, entries) = bytes.split_first_chunk::<SNAPSHOT_HEAD>().ok_or(wrong_length)?;
        let [v0, v1, crc @ .., c0, c1, c2, c3] = *head;
        let version = i16::from_be_bytes([v0, v1]);
        if version != SNAPSHOT_VERSION {
            return Err(SnapshotError::Version(version));
        }
        if u32::from_be_bytes(crc) != crc32c(&bytes[SNAPSHOT_CRC_FROM..]) {
            return Err(SnapshotError::Crc);
        }
        let (entries, rest) = entries.as_chunks::<SNAPSHOT_ENTRY>();
        if !rest.is_empty() || usize::try_from(i32::from_be_bytes([c0, c1, c2, c3])) != Ok(entries.len()) {
            return Err(wrong_length);
        }
        let mut state = Self::default();
        for entry in entries {
            state.decode_entry(entry)?;
        }
        Ok(state)
    }

    fn decode_entry(&mut self, entry: &[u8; SNAPSHOT_ENTRY]) -> Result<(), SnapshotError> {
        fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
            let (field, left) = rest.split_first_chunk().expect("an entry has all its fields");
            *rest = left;
            *field
        }
        let rest = &mut &entry[..];
        let producer_id = i64::from_be_bytes(take(rest));
        let producer_epoch = i16::from_be_bytes(take(rest));
        let last_sequence = i32::from_be_bytes(take(rest));
        let last_offset = i64::from_be_bytes(take(rest));
        let offset_delta = i32::from_be_bytes(take(rest));
        let timestamp = i64::from_be_bytes(take(rest));
        let coordinator_epoch = i32::from_be_bytes(take(rest));
        let transaction_first_offset = Some(i64::from_be_bytes(take(rest))).filter(|offset| *offset >= 0);
        let known = self.producers.get(&producer_id).map(|known| **known);
        let is_next = |known: &Producer| {
            known.producer_epoch == producer_epoch
                && known.transaction_first_offset.is_none()
                && known.kept().last().is_some_and(|earlier| earlier.last_offset < last_offset)
        };
        if known.as_ref().is_some_and(|known| !is_next(known)) {
            return Err(SnapshotError::Entry(producer_id));
        }
        let mut producer = known.unwrap_or(Producer::UNKNOWN);
        producer.producer_epoch = producer_epoch;
        producer.coordinator_epoch = coordinator_epoch;
        producer.last_timestamp = timestamp;
        producer.transaction_first_offset = transaction_first_offset;
        if last_offset >= 0 {
            let kept = KeptBatch { last_sequence, offset_delta, last_offset, timestamp };
            // A batch of the group coordinator has no sequence (-1) and still a place here.
            if offset_delta < 0 || i64::from(offset_delta) > last_offset || last_sequence < -1 {
                return Err(SnapshotError::Entry(producer_id));
            }
            producer.push(kept);
        }
        self.producers.insert(producer_id, Box::new(producer));
        self.open_transactions.extend(transaction_first_offset.map(|offset| (offset, producer_id)));
        Ok(())
    }
}

impl Producer {
    /// Appends one snapshot entry.
    fn encode(&self, producer_id: i64, batch: Option<&KeptBatch>, bytes: &mut Vec<u8>) {
        bytes.extend(producer_id.to_be_bytes());
        bytes.extend(self.producer_epoch.to_be_bytes());
        bytes.extend(batch.map_or(-1, |batch| batch.last_sequence).to_be_bytes());
        bytes.extend(batch.map_or(-1, |batch| batch.last_offset).to_be_bytes());
        bytes.extend(batch.map_or(0, |batch| batch.offset_delta).to_be_bytes());
        bytes.extend(self.last_timestamp.to_be_bytes());
        bytes.extend(self.coordinator_epoch.to_be_bytes());
        bytes.extend(self.transaction_first_offset.unwrap_or(-1).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{append, batch};
    use super::super::{ProducerBatch, SequenceCheck};
    use super::*;

    #[test]
    fn a_snapshot_keeps_every_remembered_batch() {
        let mut state = ProducerState::default();
        let batches: Vec<_> = (0..7).map(|n| batch(0, n * 2, 2, i64::from(n) * 2)).collect();
        batches.iter().for_each(|batch| append(&mut state, *batch));
        let restored = ProducerState::decode(&state.encode()).unwrap();
        assert_eq!(restored, state);
        assert_eq!(restored.check(&batches[1]), SequenceCheck::OutOfOrder);
        assert!(matches!(restored.check(&batches[2]), SequenceCheck::Duplicate { base_offset: 4, .. }));
    }

    #[test]
    fn a_snapshot_has_kafkas_bytes() {
        let empty = ProducerState::default().encode();
        assert_eq!(empty, [0, 1, 0x48, 0x67, 0x4b, 0xc7, 0, 0, 0, 0], "as Kafka writes it for no producer");
        let mut state = ProducerState::default();
        append(&mut state, batch(2, 7, 3, 100));
        let bytes = state.encode();
        assert_eq!(bytes.len(), 56);
        assert_eq!(bytes[6..18], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[18..24], [0, 2, 0, 0, 0, 9]);
        assert_eq!(bytes[24..36], [0, 0, 0, 0, 0, 0, 0, 102, 0, 0, 0, 2]);
        assert_eq!(bytes[36..44], 1000i64.to_be_bytes());
        assert_eq!(bytes[44..], [0xff; 12]);
    }

    #[test]
    fn damaged_snapshots_are_refused() {
        let mut state = ProducerState::default();
        append(&mut state, batch(2, 7, 3, 100));
        append(&mut state, ProducerBatch { producer_id: 9, ..batch(2, 7, 3, 100) });
        let good = state.encode();
        for at in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(ProducerState::decode(&bad).is_err(), "bit {at}");
        }
        for len in 0..good.len() {
            assert!(ProducerState::decode(&good[..len]).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ProducerState::decode(&bytes);
        }
    }
}
