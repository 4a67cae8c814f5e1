//! What compaction knows of transactions while it walks a log in order: whose records go because they were aborted, and
//! which markers are still needed. Kafka's rules (`CleanedTransactionMetadata`).
//!
//! A marker stays until no record of its transaction is left, and from then on for `delete.retention.ms`. An aborted
//! transaction stays in the `.txnindex` as long as a batch of it does.

use std::collections::VecDeque;

use ahash::{AHashMap, AHashSet};

use super::super::transaction_index::AbortedTransaction;
use crate::record::{BatchView, Records};

/// The walk's state.
#[derive(Debug, Default)]
pub(crate) struct CleanedTransactions {
    /// Not reached yet, by their first offset.
    ahead: VecDeque<AbortedTransaction>,
    /// Reached, by producer: was a batch of it seen?
    aborted: AHashMap<i64, (AbortedTransaction, bool)>,
    /// Producers with a batch of a transaction that was, or will be, committed.
    committed: AHashSet<i64>,
    /// Entries that the cleaned segment's index needs.
    retained: Vec<AbortedTransaction>,
}

impl CleanedTransactions {
    /// At the start of a log of which these transactions were aborted, ordered by their first offset.
    pub fn new(aborted: Vec<AbortedTransaction>) -> Self {
        Self { ahead: aborted.into(), ..Self::default() }
    }

    /// Takes in the next batch. True when nothing of it is needed: records that were aborted, a marker of which no record
    /// was met.
    pub fn is_spent(&mut self, batch: &BatchView<'_>) -> bool {
        while let Some(next) = self.ahead.pop_front_if(|next| next.first_offset <= batch.last_offset()) {
            self.aborted.entry(next.producer_id).or_insert((next, false));
        }
        let producer_id = batch.producer_id();
        if batch.is_control() {
            return self.is_marker_spent(batch);
        }
        if !batch.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&producer_id) {
            Some((_, is_seen)) => *is_seen = true,
            None => {
                self.committed.insert(producer_id);
            }
        }
        self.aborted.contains_key(&producer_id)
    }

    fn is_marker_spent(&mut self, batch: &BatchView<'_>) -> bool {
        // One that was emptied before is kept for its producer's epoch only.
        let Some(Ok(record)) = Records::new(batch.payload(), batch.record_count()).next() else { return true };
        match record.key {
            Some([_, _, 0, 0, ..]) => match self.aborted.remove(&batch.producer_id()) {
                Some((transaction, true)) => {
                    self.retained.push(transaction);
                    false
                }
                _ => true,
            },
            Some([_, _, 0, 1, ..]) => !self.committed.remove(&batch.producer_id()),
            _ => false,
        }
    }

    /// The entries for the index of the segment that was walked last.
    pub fn take_retained(&mut self) -> Vec<AbortedTransaction> {
        std::mem::take(&mut self.retained)
    }
}
