//! What one partition knows of its idempotent producers (KIP-98), and the `.snapshot` file that keeps it.
//!
//! A pure state machine: [`check`](ProducerState::check) before an append, [`update`](ProducerState::update) with the
//! offsets it got, [`undo`](ProducerState::undo) when the write failed. Replay and replication call `update` alone.
//! The rules are Kafka's `ProducerAppendInfo`: the next sequence is the last one plus 1, wrapping from `i32::MAX` to 0; a new
//! epoch starts at 0; an unknown producer starts anywhere; one of the last five batches sent again is answered with
//! the offsets it got.
//!
//! Snapshot, big-endian: version i16 = 1, CRC-32C u32 of all that follows it, entry count i32, entries of 46 bytes:
//! producer id i64, epoch i16, last sequence i32, last offset i64, offset delta i32, timestamp i64,
//! coordinator epoch i32, first offset of the open transaction i64 (-1: none). Kafka writes one entry per producer, of its
//! last batch, and so answers a repeat of an earlier one OUT_OF_ORDER_SEQUENCE_NUMBER after a restart. Here a producer has an
//! entry for each batch that is remembered, oldest first; Kafka, which reads them in order, keeps the last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ahash::AHashMap;

use super::ProducerExpiry;
use super::refused::Refused;
use crate::record::{BatchHeader, BatchView, crc32c};

/// Batches remembered per producer. The Java client keeps as many in flight.
pub const BATCHES_KEPT: usize = 5;

/// What the state needs of a batch of an idempotent producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerBatch {
    /// 0 or more.
    pub producer_id: i64,
    /// Counts the restarts of the producer.
    pub producer_epoch: i16,
    /// Sequence of the first record.
    pub base_sequence: i32,
    /// Last offset minus first offset.
    pub last_offset_delta: i32,
    /// Offset of the first record; not looked at by [`ProducerState::check`].
    pub base_offset: i64,
    /// The batch's max timestamp.
    pub timestamp: i64,
    /// Part of a transaction.
    pub is_transactional: bool,
}

impl ProducerBatch {
    /// Of a batch's header; `None` when its producer is not idempotent, or when it is a control batch.
    pub fn of(header: &BatchHeader<'_>) -> Option<Self> {
        (header.producer_id() >= 0 && !header.is_control()).then(|| Self {
            producer_id: header.producer_id(),
            producer_epoch: header.producer_epoch(),
            base_sequence: header.base_sequence(),
            last_offset_delta: header.last_offset_delta(),
            base_offset: header.base_offset(),
            timestamp: header.max_timestamp(),
            is_transactional: header.is_transactional(),
        })
    }

    fn kept(&self) -> KeptBatch {
        KeptBatch {
            last_sequence: last_sequence(self.base_sequence, self.last_offset_delta),
            offset_delta: self.last_offset_delta,
            last_offset: self.base_offset.saturating_add(i64::from(self.last_offset_delta)),
            timestamp: self.timestamp,
        }
    }
}

/// The sequence `count` steps on; it wraps from `i32::MAX` to 0.
fn sequence_after(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & i32::MAX
}

/// A coordinator's batches have a producer and no sequence, -1.
fn last_sequence(base_sequence: i32, last_offset_delta: i32) -> i32 {
    if base_sequence < 0 { -1 } else { sequence_after(base_sequence, last_offset_delta) }
}

/// Whether a batch may be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceCheck {
    /// It is the next one.
    Fresh,
    /// It was appended before: answer with this, append nothing.
    Duplicate {
        /// The first offset it got.
        base_offset: i64,
        /// The last offset it got.
        last_offset: i64,
        /// Its max timestamp.
        timestamp: i64,
    },
    /// A gap, or a repeat that is too old: OUT_OF_ORDER_SEQUENCE_NUMBER (45).
    OutOfOrder,
    /// A gap that the broker has made itself: a batch before it found no room, and will be sent again.
    BehindRefused,
    /// A newer producer has taken over: INVALID_PRODUCER_EPOCH (47).
    StaleEpoch,
    /// A batch without the transactional flag while the producer's transaction is open: INVALID_TXN_STATE (48).
    InvalidTransactionState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct KeptBatch {
    last_sequence: i32,
    offset_delta: i32,
    last_offset: i64,
    timestamp: i64,
}

impl KeptBatch {
    fn base_sequence(&self) -> i32 {
        if self.last_sequence < 0 { -1 } else { self.last_sequence.wrapping_sub(self.offset_delta) & i32::MAX }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Producer {
    producer_epoch: i16,
    coordinator_epoch: i32,
    last_timestamp: i64,
    transaction_first_offset: Option<i64>,
    /// Oldest first; the first `kept_count` are in use.
    kept: [KeptBatch; BATCHES_KEPT],
    kept_count: u8,
}

impl Producer {
    const UNKNOWN: Self = Self {
        producer_epoch: -1,
        coordinator_epoch: -1,
        last_timestamp: -1,
        transaction_first_offset: None,
        kept: [KeptBatch { last_sequence: 0, offset_delta: 0, last_offset: 0, timestamp: 0 }; BATCHES_KEPT],
        kept_count: 0,
    };

    fn unknown() -> Box<Self> {
        Box::new(Self::UNKNOWN)
    }

    fn kept(&self) -> &[KeptBatch] {
        &self.kept[..usize::from(self.kept_count)]
    }

    fn push(&mut self, batch: KeptBatch) {
        let count = usize::from(self.kept_count);
        if count == BATCHES_KEPT {
            self.kept.rotate_left(1);
            self.kept[BATCHES_KEPT - 1] = batch;
        } else {
            self.kept[count] = batch;
            self.kept_count += 1;
        }
    }

    fn enter_epoch(&mut self, producer_epoch: i16) {
        if self.producer_epoch != producer_epoch {
            self.producer_epoch = producer_epoch;
            self.kept_count = 0;
        }
    }
}

/// Undoes one update: what was there before it.
#[derive(Debug, Clone, Copy)]
#[must_use = "needed when the write fails"]
pub struct ProducerUndo {
    producer_id: i64,
    before: Option<Producer>,
}

/// The end of a transaction, from the control record that closes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionEnd {
    /// Whose.
    pub producer_id: i64,
    /// The epoch in the marker's batch.
    pub producer_epoch: i16,
    /// The epoch in the marker.
    pub coordinator_epoch: i32,
    /// The marker's timestamp.
    pub timestamp: i64,
}

impl TransactionEnd {
    /// Of a control batch with a commit or abort marker; `None` when it holds another control record.
    pub fn of(batch: &BatchView<'_>) -> Option<Self> {
        let record = batch.records().next()?.ok()?;
        // Key: version i16, type i16 (0 abort, 1 commit). Value: version i16, coordinator epoch i32 (EndTxnMarker.json).
        let [_, _, 0, 0 | 1, ..] = *record.key? else { return None };
        let [_, _, epoch @ ..] = record.value? else { return None };
        Some(Self {
            producer_id: batch.producer_id(),
            producer_epoch: batch.producer_epoch(),
            coordinator_epoch: i32::from_be_bytes(*epoch.first_chunk()?),
            timestamp: batch.max_timestamp(),
        })
    }
}

/// What is known of one producer, for DescribeProducers and for the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerInfo {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// -1 when nothing of this epoch is known.
    pub last_sequence: i32,
    /// Of the last batch or marker, -1 for none.
    pub last_timestamp: i64,
    /// Of the last marker, -1 for none.
    pub coordinator_epoch: i32,
    /// Where its open transaction began.
    pub transaction_first_offset: Option<i64>,
}

/// Where the newest of what the log needs to know of a producer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastRecord {
    /// Last offset of its last batch; `None` when it has written none in this epoch.
    pub data_offset: Option<i64>,
    /// Its epoch.
    pub producer_epoch: i16,
}

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

/// The producers of one partition.
#[derive(Debug, Clone, Default)]
pub struct ProducerState {
    /// Boxed: most of very many logs know one or none, and a node of the map has room for eleven.
    producers: BTreeMap<i64, Box<Producer>>,
    /// (first offset, producer id) of each open transaction.
    open_transactions: BTreeSet<(i64, i64)>,
    /// Not in snapshots.
    refused: Refused,
    /// When it is next looked for producers to forget.
    expire_at_ms: i64,
}

impl PartialEq for ProducerState {
    fn eq(&self, other: &Self) -> bool {
        self.producers == other.producers
    }
}

impl ProducerState {
    /// Whether a client's batch may be appended.
    pub fn check(&self, batch: &ProducerBatch) -> SequenceCheck {
        let Some(producer) = self.producers.get(&batch.producer_id) else {
            let may_start = !self.refused.is_behind(batch);
            return if may_start { SequenceCheck::Fresh } else { SequenceCheck::BehindRefused };
        };
        if let Some(duplicate) = Self::check_duplicate(producer, batch) {
            return duplicate;
        }
        if batch.producer_epoch < producer.producer_epoch {
            return SequenceCheck::StaleEpoch;
        }
        let next = match producer.kept().last() {
            _ if batch.producer_epoch > producer.producer_epoch => 0,
            Some(last) => sequence_after(last.last_sequence, 1),
            None => 0,
        };
        if batch.base_sequence != next && producer.producer_epoch >= 0 {
            let by_us = self.refused.is_behind(batch);
            return if by_us { SequenceCheck::BehindRefused } else { SequenceCheck::OutOfOrder };
        }
        if producer.transaction_first_offset.is_some() && !batch.is_transactional {
            return SequenceCheck::InvalidTransactionState;
        }
        SequenceCheck::Fresh
    }

    fn check_duplicate(producer: &Producer, batch: &ProducerBatch) -> Option<SequenceCheck> {
        if batch.producer_epoch != producer.producer_epoch {
            return None;
        }
        let last_sequence = last_sequence(batch.base_sequence, batch.last_offset_delta);
        let kept = producer
            .kept()
            .iter()
            .find(|kept| kept.last_sequence == last_sequence && kept.base_sequence() == batch.base_sequence)?;
        Some(SequenceCheck::Duplicate {
            base_offset: kept.last_offset - i64::from(kept.offset_delta),
            last_offset: kept.last_offset,
            timestamp: kept.timestamp,
        })
    }

    /// Notes a batch that found no room. Its producer has more of them in flight. Where it is not known, and so may start
    /// anywhere, the next one would take the place of this one. Where it is known, the next one would be out of order, for
    /// which librdkafka begins a new epoch, and sends there again what may have been appended to other partitions.
    pub fn refuse(&mut self, batch: &ProducerBatch) {
        self.refused.note(batch);
    }

    /// What was refused before the log could be opened.
    pub(crate) fn refused_before(&mut self, refused: Refused) {
        self.refused = refused;
    }

    /// Notes a batch that was appended. Nothing is refused here: what is in the log counts.
    pub fn update(&mut self, batch: &ProducerBatch) -> ProducerUndo {
        self.refused.note_appended(batch);
        let before = self.producers.get(&batch.producer_id).map(|known| **known);
        let producer = self.producers.entry(batch.producer_id).or_insert_with(Producer::unknown);
        producer.enter_epoch(batch.producer_epoch);
        producer.push(batch.kept());
        producer.last_timestamp = batch.timestamp;
        if batch.is_transactional && producer.transaction_first_offset.is_none() {
            producer.transaction_first_offset = Some(batch.base_offset);
            self.open_transactions.insert((batch.base_offset, batch.producer_id));
        }
        ProducerUndo { producer_id: batch.producer_id, before }
    }

    /// Takes an update back. Updates are undone in reverse order.
    pub fn undo(&mut self, undo: ProducerUndo) {
        let ProducerUndo { producer_id, before } = undo;
        let after = match before {
            Some(before) => self.producers.insert(producer_id, Box::new(before)),
            None => self.producers.remove(&producer_id),
        };
        if let Some(first_offset) = after.and_then(|after| after.transaction_first_offset) {
            self.open_transactions.remove(&(first_offset, producer_id));
        }
        if let Some(first_offset) = before.and_then(|before| before.transaction_first_offset) {
            self.open_transactions.insert((first_offset, producer_id));
        }
    }

    /// Notes the marker that ends a transaction. Returns where the transaction began; `None` when it was empty.
    pub fn end_transaction(&mut self, end: TransactionEnd) -> Option<i64> {
        let producer = self.producers.entry(end.producer_id).or_insert_with(Producer::unknown);
        producer.enter_epoch(end.producer_epoch);
        producer.coordinator_epoch = end.coordinator_epoch;
        producer.last_timestamp = end.timestamp;
        let first_offset = producer.transaction_first_offset.take()?;
        self.open_transactions.remove(&(first_offset, end.producer_id));
        Some(first_offset)
    }

    /// First offset of the earliest open transaction: the last stable offset does not pass it.
    pub fn first_open_transaction(&self) -> Option<i64> {
        self.open_transactions.first().map(|(first_offset, _)| *first_offset)
    }

    /// From time to time forgets producers that have not written for long and have no open transaction. Called with each
    /// append: only where something is written the producers become more.
    pub fn expire(&mut self, now_ms: i64, expiry: &ProducerExpiry) {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        if now_ms >= self.expire_at_ms {
            self.expire_at_ms = now_ms.saturating_add(ms(expiry.check_interval));
            self.remove_expired(now_ms, ms(expiry.expiration));
        }
    }

    fn remove_expired(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers.retain(|_, producer| {
            producer.transaction_first_offset.is_some()
                || now_ms.saturating_sub(producer.last_timestamp) < expiration_ms
        });
    }

    /// Where the last batch of each producer is, by id.
    pub(crate) fn last_records(&self) -> AHashMap<i64, LastRecord> {
        let last = |producer: &Producer| LastRecord {
            data_offset: producer.kept().last().filter(|last| last.last_offset >= 0).map(|last| last.last_offset),
            producer_epoch: producer.producer_epoch,
        };
        self.producers.iter().map(|(producer_id, producer)| (*producer_id, last(producer))).collect()
    }

    /// Where the oldest remembered batch begins of producers that have several, the last of them at `from` or behind it.
    pub(crate) fn several_since(&self, from: i64) -> Option<i64> {
        let first = |producer: &Producer| match producer.kept() {
            [first, .., last] if last.last_offset >= from => Some(first.last_offset - i64::from(first.offset_delta)),
            _ => None,
        };
        self.producers.values().filter_map(|producer| first(producer)).min()
    }

    /// Producers that are known.
    pub fn len(&self) -> usize {
        self.producers.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// All producers, by id.
    pub fn producers(&self) -> Vec<ProducerInfo> {
        let info = |producer_id: &i64, producer: &Producer| ProducerInfo {
            producer_id: *producer_id,
            producer_epoch: producer.producer_epoch,
            last_sequence: producer.kept().last().map_or(-1, |last| last.last_sequence),
            last_timestamp: producer.last_timestamp,
            coordinator_epoch: producer.coordinator_epoch,
            transaction_first_offset: producer.transaction_first_offset,
        };
        self.producers.iter().map(|(producer_id, producer)| info(producer_id, producer)).collect()
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

const SNAPSHOT_VERSION: i16 = 1;
const SNAPSHOT_HEAD: usize = 10;
const SNAPSHOT_CRC_FROM: usize = 6;
const SNAPSHOT_ENTRY: usize = 46;

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
                let past = Producer { last_timestamp: kept.timestamp, transaction_first_offset: None, ..**producer };
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
        let mut producer = Producer {
            producer_epoch,
            coordinator_epoch,
            last_timestamp: timestamp,
            transaction_first_offset,
            ..known.unwrap_or(Producer::UNKNOWN)
        };
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{BatchBuilder, NewRecord};

    #[test]
    fn a_marker_ends_the_transaction_of_its_producer() {
        let marker = |kind: u8| {
            let value = [0, 0, 0, 0, 0, 7];
            let mut batch = BatchBuilder::new().at(52, 0).producer(1, 2, -1).transactional().control();
            let (key, value) = (Some(&[0, 0, 0, kind][..]), Some(&value[..]));
            batch.push(NewRecord { timestamp: 9, key, value, ..NewRecord::default() });
            batch.build()
        };
        let end = |bytes: &[u8]| TransactionEnd::of(&BatchView::parse(bytes).unwrap());
        let ended = TransactionEnd { producer_id: 1, producer_epoch: 2, coordinator_epoch: 7, timestamp: 9 };
        assert_eq!(end(&marker(0)), Some(ended));
        assert_eq!(end(&marker(1)), Some(ended));
        assert_eq!(end(&marker(2)), None, "a leader change");
    }

    fn batch(producer_epoch: i16, base_sequence: i32, count: i32, base_offset: i64) -> ProducerBatch {
        ProducerBatch {
            producer_id: 1,
            producer_epoch,
            base_sequence,
            last_offset_delta: count - 1,
            base_offset,
            timestamp: base_offset * 10,
            is_transactional: false,
        }
    }

    fn append(state: &mut ProducerState, batch: ProducerBatch) {
        assert_eq!(state.check(&batch), SequenceCheck::Fresh);
        let _ = state.update(&batch);
    }

    #[test]
    fn an_unknown_producer_starts_anywhere_and_a_new_epoch_at_0() {
        let mut state = ProducerState::default();
        append(&mut state, batch(0, 42, 3, 100));
        assert_eq!(state.check(&batch(0, 46, 1, 0)), SequenceCheck::OutOfOrder);
        assert_eq!(state.check(&batch(1, 45, 1, 0)), SequenceCheck::OutOfOrder);
        append(&mut state, batch(1, 0, 1, 103));
        assert_eq!(state.check(&batch(0, 45, 1, 0)), SequenceCheck::StaleEpoch);
        assert_eq!(state.check(&batch(0, 42, 3, 0)), SequenceCheck::StaleEpoch);
    }

    #[test]
    fn behind_a_refused_batch_nothing_of_its_producer_is_taken_nor_out_of_order() {
        let mut state = ProducerState::default();
        let start = i32::MAX - 6;
        // The producer is not known, and then it is.
        for (first, second) in [(start, start + 5), (start + 6, 4)] {
            let batches = [batch(0, first, 5, 0), batch(0, second, 1, 0)];
            batches.iter().for_each(|batch| state.refuse(batch));
            assert_eq!(state.check(&batches[1]), SequenceCheck::BehindRefused);
            batches.iter().for_each(|batch| append(&mut state, *batch));
        }
        assert_eq!(state.check(&batch(0, 2, 1, 0)), SequenceCheck::OutOfOrder, "nothing is refused any more");
        state.refuse(&batch(0, 3, 1, 0));
        state.refuse(&batch(0, 1, 1, 0));
        assert_eq!(state.check(&batch(0, 2, 1, 0)), SequenceCheck::BehindRefused, "behind the first, told last");
        assert_eq!(state.check(&batch(1, 3, 1, 0)), SequenceCheck::OutOfOrder, "of another epoch");
        state.refuse(&batch(1, 0, 1, 0));
        assert_eq!(state.check(&batch(1, 3, 1, 0)), SequenceCheck::BehindRefused, "of this one");
    }

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
    fn sequences_wrap_to_0() {
        let mut state = ProducerState::default();
        append(&mut state, batch(0, i32::MAX - 1, 1, 0));
        append(&mut state, batch(0, i32::MAX, 3, 1));
        let duplicate = SequenceCheck::Duplicate { base_offset: 1, last_offset: 3, timestamp: 10 };
        assert_eq!(state.check(&batch(0, i32::MAX, 3, 0)), duplicate);
        let restored = ProducerState::decode(&state.encode()).unwrap();
        assert_eq!(restored.check(&batch(0, i32::MAX, 3, 0)), duplicate);
        append(&mut state, batch(0, 2, 1, 4));
        let mut exact = ProducerState::default();
        append(&mut exact, batch(0, i32::MAX, 1, 0));
        append(&mut exact, batch(0, 0, 1, 1));
    }

    #[test]
    fn the_last_five_batches_are_answered_again() {
        let mut state = ProducerState::default();
        for i in 0..6 {
            append(&mut state, batch(0, i * 2, 2, i64::from(i) * 7));
        }
        assert_eq!(state.check(&batch(0, 0, 2, 0)), SequenceCheck::OutOfOrder);
        for i in 1..6 {
            let (base_offset, timestamp) = (i64::from(i) * 7, i64::from(i) * 70);
            let duplicate = SequenceCheck::Duplicate { base_offset, last_offset: base_offset + 1, timestamp };
            assert_eq!(state.check(&batch(0, i * 2, 2, 0)), duplicate);
        }
        assert_eq!(state.check(&batch(0, 4, 1, 0)), SequenceCheck::OutOfOrder, "another length is another batch");
    }

    #[test]
    fn transactions_open_and_end() {
        let mut state = ProducerState::default();
        let first = ProducerBatch { is_transactional: true, ..batch(0, 0, 1, 50) };
        append(&mut state, first);
        let undo = state.update(&ProducerBatch { producer_id: 2, base_offset: 51, ..first });
        assert_eq!(state.first_open_transaction(), Some(50));
        assert_eq!(state.check(&batch(0, 1, 1, 0)), SequenceCheck::InvalidTransactionState);
        let restored = ProducerState::decode(&state.encode()).unwrap();
        assert_eq!(restored, state);
        assert_eq!(restored.first_open_transaction(), Some(50));
        state.undo(undo);
        let end = TransactionEnd { producer_id: 1, producer_epoch: 1, coordinator_epoch: 4, timestamp: 9 };
        assert_eq!(state.end_transaction(end), Some(50));
        assert_eq!(state.first_open_transaction(), None);
        assert_eq!(state.end_transaction(end), None);
        assert_eq!(state.check(&batch(1, 1, 1, 0)), SequenceCheck::OutOfOrder);
        append(&mut state, batch(1, 0, 1, 60));
    }

    #[test]
    fn expiry_spares_the_recent_and_those_in_a_transaction() {
        let mut state = ProducerState::default();
        append(&mut state, batch(0, 0, 1, 10));
        append(&mut state, ProducerBatch { producer_id: 2, is_transactional: true, ..batch(0, 0, 1, 1) });
        append(&mut state, ProducerBatch { producer_id: 3, ..batch(0, 0, 1, 50) });
        let expiry =
            ProducerExpiry { expiration: Duration::from_millis(500), check_interval: Duration::from_millis(100) };
        state.expire(550, &expiry);
        state.expire(600, &expiry);
        assert_eq!(state.producers().len(), 3, "it has just looked");
        state.expire(650, &expiry);
        assert_eq!(state.producers().iter().map(|info| info.producer_id).collect::<Vec<_>>(), [2, 3]);
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

    /// Everything that was ever appended, asked the slow way.
    #[derive(Default)]
    struct Model(Vec<ProducerBatch>);

    impl Model {
        fn check(&self, batch: &ProducerBatch) -> SequenceCheck {
            let end = |b: &ProducerBatch| (i64::from(b.base_sequence) + i64::from(b.last_offset_delta)) % (1 << 31);
            let own: Vec<_> = self.0.iter().rev().filter(|b| b.producer_id == batch.producer_id).collect();
            let Some(last) = own.first() else { return SequenceCheck::Fresh };
            let of_epoch = own.iter().take_while(|b| b.producer_epoch == last.producer_epoch).take(BATCHES_KEPT);
            for kept in of_epoch {
                if (kept.producer_epoch, kept.base_sequence, end(kept))
                    == (batch.producer_epoch, batch.base_sequence, end(batch))
                {
                    return SequenceCheck::Duplicate {
                        base_offset: kept.base_offset,
                        last_offset: kept.base_offset + i64::from(kept.last_offset_delta),
                        timestamp: kept.timestamp,
                    };
                }
            }
            match batch.producer_epoch.cmp(&last.producer_epoch) {
                std::cmp::Ordering::Less => SequenceCheck::StaleEpoch,
                std::cmp::Ordering::Greater if batch.base_sequence == 0 => SequenceCheck::Fresh,
                std::cmp::Ordering::Equal if i64::from(batch.base_sequence) == (end(last) + 1) % (1 << 31) => {
                    SequenceCheck::Fresh
                }
                _ => SequenceCheck::OutOfOrder,
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn agrees_with_a_model_that_forgets_nothing(
            start in prop_oneof![Just(0), Just(i32::MAX - 12)],
            steps in proptest::collection::vec((0..3i64, 0..3i16, 0..12i32, 1..4i32, any::<bool>(), any::<bool>()), 1..80),
        ) {
            let (mut state, mut model, mut offset) = (ProducerState::default(), Model::default(), 0);
            for (producer_id, producer_epoch, back, count, follow, undo) in steps {
                // Mostly the next batch, else one around it: a repeat, a gap, an old one.
                let last = model.0.iter().rev().find(|b| b.producer_id == producer_id).copied();
                let next = last.map_or(start, |b| sequence_after(b.base_sequence, b.last_offset_delta + 1));
                let base_sequence = if follow { next } else { next.wrapping_sub(back) & i32::MAX };
                let producer_epoch = if follow { last.map_or(0, |b| b.producer_epoch) } else { producer_epoch };
                let batch = ProducerBatch {
                    producer_id, producer_epoch, base_sequence, last_offset_delta: count - 1,
                    base_offset: offset, timestamp: offset + 1000, is_transactional: false,
                };
                let check = state.check(&batch);
                prop_assert_eq!(check, model.check(&batch));
                if check == SequenceCheck::Fresh {
                    let before = state.clone();
                    let undone = state.update(&batch);
                    if undo {
                        state.undo(undone);
                        prop_assert_eq!(&state, &before);
                    } else {
                        model.0.push(batch);
                        offset += i64::from(count);
                    }
                }
            }
            let restored = ProducerState::decode(&state.encode()).unwrap();
            prop_assert_eq!(restored.encode(), state.encode());
            prop_assert_eq!(restored.producers(), state.producers());
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ProducerState::decode(&bytes);
        }
    }
}
