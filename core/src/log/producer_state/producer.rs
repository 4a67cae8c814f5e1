//! What is known of one idempotent producer: its epoch, its last five batches, where its open transaction began.
//!
//! The rules are Kafka's `ProducerAppendInfo`: the next sequence is the last one plus 1, wrapping from `i32::MAX` to 0; a new
//! epoch starts at 0; one of the last five batches sent again is answered with the offsets it got.

use super::ProducerBatch;

/// Batches remembered per producer. The Java client keeps as many in flight.
pub const BATCHES_KEPT: usize = 5;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Producer {
    pub producer_epoch: i16,
    pub coordinator_epoch: i32,
    pub last_timestamp: i64,
    pub transaction_first_offset: Option<i64>,
    /// Oldest first; the first `kept_count` are in use.
    kept: [KeptBatch; BATCHES_KEPT],
    kept_count: u8,
}

impl Producer {
    pub const UNKNOWN: Self = Self {
        producer_epoch: -1,
        coordinator_epoch: -1,
        last_timestamp: -1,
        transaction_first_offset: None,
        kept: [KeptBatch { last_sequence: 0, offset_delta: 0, last_offset: 0, timestamp: 0 }; BATCHES_KEPT],
        kept_count: 0,
    };

    pub fn unknown() -> Box<Self> {
        Box::new(Self::UNKNOWN)
    }

    pub fn kept(&self) -> &[KeptBatch] {
        &self.kept[..usize::from(self.kept_count)]
    }

    pub fn push(&mut self, batch: KeptBatch) {
        let count = usize::from(self.kept_count);
        if count == BATCHES_KEPT {
            self.kept.rotate_left(1);
            self.kept[BATCHES_KEPT - 1] = batch;
        } else {
            self.kept[count] = batch;
            self.kept_count += 1;
        }
    }

    pub fn enter_epoch(&mut self, producer_epoch: i16) {
        if self.producer_epoch != producer_epoch {
            self.producer_epoch = producer_epoch;
            self.kept_count = 0;
        }
    }

    /// Whether a client's batch may be appended, as far as what was appended says.
    pub fn check(&self, batch: &ProducerBatch) -> SequenceCheck {
        if let Some(duplicate) = self.check_duplicate(batch) {
            return duplicate;
        }
        if batch.producer_epoch < self.producer_epoch {
            return SequenceCheck::StaleEpoch;
        }
        let next = match self.kept().last() {
            _ if batch.producer_epoch > self.producer_epoch => 0,
            Some(last) => sequence_after(last.last_sequence, 1),
            None => 0,
        };
        if batch.base_sequence != next && self.producer_epoch >= 0 {
            return SequenceCheck::OutOfOrder;
        }
        if self.transaction_first_offset.is_some() && !batch.is_transactional {
            return SequenceCheck::InvalidTransactionState;
        }
        SequenceCheck::Fresh
    }

    fn check_duplicate(&self, batch: &ProducerBatch) -> Option<SequenceCheck> {
        if batch.producer_epoch != self.producer_epoch {
            return None;
        }
        let last_sequence = last_sequence(batch.base_sequence, batch.last_offset_delta);
        let kept = self
            .kept()
            .iter()
            .find(|kept| kept.last_sequence == last_sequence && kept.base_sequence() == batch.base_sequence)?;
        Some(SequenceCheck::Duplicate {
            base_offset: kept.base_offset(),
            last_offset: kept.last_offset,
            timestamp: kept.timestamp,
        })
    }

    pub fn info(&self, producer_id: i64) -> ProducerInfo {
        ProducerInfo {
            producer_id,
            producer_epoch: self.producer_epoch,
            last_sequence: self.kept().last().map_or(-1, |last| last.last_sequence),
            last_timestamp: self.last_timestamp,
            coordinator_epoch: self.coordinator_epoch,
            transaction_first_offset: self.transaction_first_offset,
        }
    }

    pub fn last_record(&self) -> LastRecord {
        LastRecord {
            data_offset: self.kept().last().filter(|last| last.last_offset >= 0).map(|last| last.last_offset),
            producer_epoch: self.producer_epoch,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct KeptBatch {
    pub last_sequence: i32,
    pub offset_delta: i32,
    pub last_offset: i64,
    pub timestamp: i64,
}

impl KeptBatch {
    pub fn of(batch: &ProducerBatch) -> Self {
        Self {
            last_sequence: last_sequence(batch.base_sequence, batch.last_offset_delta),
            offset_delta: batch.last_offset_delta,
            last_offset: batch.base_offset.saturating_add(i64::from(batch.last_offset_delta)),
            timestamp: batch.timestamp,
        }
    }

    pub fn base_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }

    fn base_sequence(&self) -> i32 {
        if self.last_sequence < 0 { -1 } else { self.last_sequence.wrapping_sub(self.offset_delta) & i32::MAX }
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

/// The sequence `count` steps on; it wraps from `i32::MAX` to 0.
pub(super) fn sequence_after(sequence: i32, count: i32) -> i32 {
    sequence.wrapping_add(count) & i32::MAX
}

/// A coordinator's batches have a producer and no sequence, -1.
fn last_sequence(base_sequence: i32, last_offset_delta: i32) -> i32 {
    if base_sequence < 0 { -1 } else { sequence_after(base_sequence, last_offset_delta) }
}
