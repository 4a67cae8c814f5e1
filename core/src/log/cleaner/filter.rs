//! What stays of one batch. Kafka's rules (`Cleaner.cleanInto`, `MemoryRecords.filterTo`).
//!
//! | record | stays |
//! |---|---|
//! | behind what the offset map covers | always |
//! | with a value | if it is the newest of its key |
//! | without (a tombstone) | if it is the newest of its key, until the batch's delete horizon |
//! | without a key, or of an aborted transaction | no |
//!
//! A batch of which no record stays goes, unless it is the last of its producer, whose sequence it holds, or the last of
//! its segments: then it stays empty, and every segment ends at the offset where the next one begins.
//! A batch that gets past a tombstone for the first time gets its delete horizon now.

use std::borrow::Cow;
use std::io;

use ahash::AHashMap;

use super::super::planted::{PlantedBug, is_planted};
use super::super::producer_state::LastRecord;
use super::Work;
use super::offset_map::{KeyHash, OffsetMap};
use super::transactions::CleanedTransactions;
use crate::record::compression::open;
use crate::record::{BatchView, RawRecord, RawRecords, retain_nothing, retain_records};

/// A compressed batch that holds more than this is not opened: its log is not cleaned.
const OPENED_BYTES_MAX: usize = 128 << 20;

/// Why a batch cannot be cleaned.
pub(crate) fn damaged(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// The uncompressed records of a batch. An emptied one has no payload whatever its codec was.
pub(crate) fn payload_of<'a>(batch: &BatchView<'a>) -> io::Result<Cow<'a, [u8]>> {
    if batch.record_count() == 0 { Ok(Cow::Borrowed(&[])) } else { open(batch, OPENED_BYTES_MAX).map_err(damaged) }
}

/// The rules, for one pass over a log.
#[derive(Debug)]
pub(crate) struct Filter {
    pub map: OffsetMap,
    pub transactions: CleanedTransactions,
    /// Of producers that are known, by id.
    pub last_records: AHashMap<i64, LastRecord>,
    pub now_ms: i64,
    pub delete_retention_ms: i64,
}

impl Filter {
    /// Appends what stays of the next batch to `into`. `ends_segment`: it is the last one of the segments that become one.
    pub async fn retain(
        &mut self,
        batch: &BatchView<'_>,
        ends_segment: bool,
        into: &mut Vec<u8>,
        work: &mut Work,
    ) -> io::Result<()> {
        let is_spent = self.transactions.is_spent(batch);
        let horizon = batch.has_delete_horizon().then(|| batch.base_timestamp());
        let is_due = horizon.is_some_and(|horizon| horizon <= self.now_ms);
        let keeps_header = ends_segment || self.is_last_of_producer(batch);
        if is_spent && (is_due || !batch.is_control()) {
            if keeps_header {
                retain_nothing(batch, into);
            }
            return Ok(());
        }
        let payload = payload_of(batch)?;
        let (mut kept, mut holds_tombstone) = (Vec::new(), false);
        let (mut records, mut hashed) = (RawRecords::new(&payload, batch.record_count()), Vec::new());
        while let Some(bytes) = self.map.take_hashed(&mut records, &mut hashed)? {
            for (record, hash) in &hashed {
                if batch.is_control() || self.is_needed(batch, record, *hash, is_due) {
                    holds_tombstone |= record.view.value.is_none();
                    kept.push(*record);
                }
            }
            work.did(bytes).await;
        }
        let begins_horizon = horizon.is_none() && (holds_tombstone || (is_spent && batch.is_control()));
        if kept.is_empty() {
            if keeps_header {
                retain_nothing(batch, into);
            }
        } else if kept.len() == batch.record_count() as usize && !begins_horizon {
            into.extend_from_slice(batch.bytes());
        } else {
            let horizon = begins_horizon.then_some(self.now_ms.saturating_add(self.delete_retention_ms));
            retain_records(batch, &kept, horizon, into)?;
        }
        Ok(())
    }

    fn is_needed(&self, batch: &BatchView<'_>, record: &RawRecord<'_>, hash: Option<KeyHash>, is_due: bool) -> bool {
        let offset = batch.base_offset() + i64::from(record.view.offset_delta);
        if offset >= self.map.end_offset {
            return true;
        }
        let Some(hash) = hash else { return false };
        let is_newest = self.map.offset_of(hash).is_none_or(|newest| offset >= newest);
        is_newest && (record.view.value.is_some() || !is_due)
    }

    /// Whether its header holds the last sequence of a producer, or, of one that has written nothing since, its epoch.
    fn is_last_of_producer(&self, batch: &BatchView<'_>) -> bool {
        if is_planted(PlantedBug::LastOfProducerDropped) {
            return false;
        }
        self.last_records.get(&batch.producer_id()).is_some_and(|last| match last.data_offset {
            Some(offset) => batch.last_offset() == offset,
            None => batch.is_control() && batch.producer_epoch() == last.producer_epoch,
        })
    }
}
