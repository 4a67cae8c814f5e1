//! The records of aborted transactions, which readers of committed data leave out: a broker answers Fetch with whole
//! batches and a list of the transactions among them that were aborted.

use std::collections::HashSet;

use ringlog_core::log::TransactionEnd;
use ringlog_core::protocol::messages::AbortedTransaction;
use ringlog_core::record::BatchView;

/// A walk through the batches of one answer, in their order.
pub(super) struct AbortedRecords {
    /// Not reached yet, the first one last.
    ahead: Vec<AbortedTransaction>,
    /// Producers of which the next records were aborted, up to their marker.
    open: HashSet<i64>,
}

impl AbortedRecords {
    /// At the start of an answer that lists these.
    pub(super) fn new(listed: impl IntoIterator<Item = AbortedTransaction>) -> Self {
        let mut ahead: Vec<_> = listed.into_iter().collect();
        ahead.sort_unstable_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { ahead, open: HashSet::new() }
    }

    /// Takes in the next batch. Whether its records were aborted.
    pub(super) fn contain(&mut self, batch: &BatchView<'_>) -> bool {
        while let Some(next) = self.ahead.pop_if(|next| next.first_offset <= batch.last_offset()) {
            self.open.insert(next.producer_id);
        }
        if !batch.is_control() {
            return batch.is_transactional() && self.open.contains(&batch.producer_id());
        }
        if let Some(end) = TransactionEnd::of(batch) {
            self.open.remove(&end.producer_id);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use ringlog_core::record::{BatchBuilder, NewRecord};

    use super::*;

    enum Is {
        Plain,
        Transactional,
        /// An abort marker is 0, a commit marker 1.
        Marker(u8),
    }

    fn batch(base_offset: i64, producer_id: i64, is: Is) -> Vec<u8> {
        let mut builder = BatchBuilder::new().at(base_offset, 0).producer(producer_id, 0, -1);
        let (key, value): (&[u8], &[u8]) = match is {
            Is::Plain => (b"k", b"v"),
            Is::Transactional => {
                builder = builder.transactional();
                (b"k", b"v")
            }
            Is::Marker(kind) => {
                builder = builder.transactional().control();
                (if kind == 0 { &[0, 0, 0, 0] } else { &[0, 0, 0, 1] }, &[0; 6])
            }
        };
        builder.push(NewRecord { timestamp: 1, key: Some(key), value: Some(value), headers: &[] });
        builder.build()
    }

    #[test]
    fn records_are_aborted_from_the_first_of_their_transaction_to_its_marker() {
        let listed =
            [(7, 3), (5, 1)].map(|(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset });
        let mut aborted = AbortedRecords::new(listed);
        for (batch, is_aborted, why) in [
            (batch(0, 5, Is::Transactional), false, "of an earlier transaction, committed"),
            (batch(1, 5, Is::Transactional), true, "the first of it"),
            (batch(2, 7, Is::Transactional), false, "the other begins later"),
            (batch(3, 7, Is::Transactional), true, "the first of the other"),
            (batch(4, 5, Is::Plain), false, "of no transaction"),
            (batch(5, -1, Is::Plain), false, "of no producer"),
            (batch(6, 5, Is::Marker(0)), false, "the marker"),
            (batch(7, 5, Is::Transactional), false, "behind the marker"),
            (batch(8, 7, Is::Transactional), true, "the other is still open"),
        ] {
            assert_eq!(aborted.contain(&BatchView::parse(&batch).unwrap()), is_aborted, "{why}");
        }
    }
}
