//! What a batch says of its producer: the batch of an idempotent one, and the marker that ends a transaction.

use crate::record::BatchView;

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
    /// Offset of the first record; not looked at by [`ProducerState::check`](super::ProducerState::check).
    pub base_offset: i64,
    /// The batch's max timestamp.
    pub timestamp: i64,
    /// Part of a transaction.
    pub is_transactional: bool,
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
    /// Its records are not for readers of committed data.
    pub is_abort: bool,
}

impl TransactionEnd {
    /// Of a control batch with a commit or abort marker; `None` when it holds another control record.
    pub fn of(batch: &BatchView<'_>) -> Option<Self> {
        let record = batch.records().next()?.ok()?;
        // Key: version i16, type i16 (0 abort, 1 commit). Value: version i16, coordinator epoch i32 (EndTxnMarker.json).
        let [_, _, 0, kind @ (0 | 1), ..] = *record.key? else { return None };
        let [_, _, epoch @ ..] = record.value? else { return None };
        Some(Self {
            producer_id: batch.producer_id(),
            producer_epoch: batch.producer_epoch(),
            coordinator_epoch: i32::from_be_bytes(*epoch.first_chunk()?),
            timestamp: batch.max_timestamp(),
            is_abort: kind == 0,
        })
    }
}

#[cfg(test)]
mod tests {
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
        let ended = |is_abort| TransactionEnd {
            producer_id: 1,
            producer_epoch: 2,
            coordinator_epoch: 7,
            timestamp: 9,
            is_abort,
        };
        assert_eq!(end(&marker(0)), Some(ended(true)));
        assert_eq!(end(&marker(1)), Some(ended(false)));
        assert_eq!(end(&marker(2)), None, "a leader change");
    }
}
