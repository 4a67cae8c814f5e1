//! What one partition knows of its idempotent producers (KIP-98).
//!
//! A pure state machine: [`check`](ProducerState::check) before an append, [`update`](ProducerState::update) with the
//! offsets it got, [`undo`](ProducerState::undo) when the write failed. Replay and replication call `update` alone.
//! What counts for one producer is in `producer`, the `.snapshot` file that keeps them all in `snapshot`. An unknown producer
//! starts anywhere.

mod batch;
#[cfg(test)]
mod model_tests;
mod producer;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ahash::AHashMap;

pub use self::batch::{ProducerBatch, TransactionEnd};
pub(crate) use self::producer::LastRecord;
pub use self::producer::{BATCHES_KEPT, ProducerInfo, SequenceCheck};
use self::producer::{KeptBatch, Producer};
pub use self::snapshot::SnapshotError;
use super::ProducerExpiry;
use super::refused::Refused;

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
        match producer.check(batch) {
            SequenceCheck::OutOfOrder if self.refused.is_behind(batch) => SequenceCheck::BehindRefused,
            check => check,
        }
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
        producer.push(KeptBatch::of(batch));
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
        self.producers.iter().map(|(producer_id, producer)| (*producer_id, producer.last_record())).collect()
    }

    /// Where the oldest remembered batch begins of producers that have several, the last of them at `from` or behind it.
    pub(crate) fn several_since(&self, from: i64) -> Option<i64> {
        let first = |producer: &Producer| match producer.kept() {
            [first, .., last] if last.last_offset >= from => Some(first.base_offset()),
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
        self.producers.iter().map(|(producer_id, producer)| producer.info(*producer_id)).collect()
    }
}

/// Undoes one update: what was there before it.
#[derive(Debug, Clone, Copy)]
#[must_use = "needed when the write fails"]
pub struct ProducerUndo {
    producer_id: i64,
    before: Option<Producer>,
}
