//! What was acknowledged by the broker, for all connections and threads: no offset may be handed out twice, and what is
//! read back has to be what was acknowledged there.
//!
//! Invariant: all connections share one coverage per partition. So the intervals of concurrent producers join soon after
//! they arrive, and what is kept is bounded by the requests in flight and the gaps that stay, not by the run's length.

use std::sync::{Mutex, PoisonError};

use crate::coverage::{Coverage, Inserted};

/// One acknowledged batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// The connection that sent it.
    pub producer: u32,
    /// Its number among those of this producer for the partition.
    pub sequence: u64,
    /// Its first offset.
    pub base_offset: i64,
    /// Behind its last offset.
    pub end_offset: i64,
}

impl Batch {
    /// A hash; the sum of those of many batches tells whether two sets of them are the same.
    pub fn fingerprint(&self) -> u64 {
        [u64::from(self.producer), self.sequence, self.base_offset as u64].iter().fold(0, |hash, part| mix(hash ^ part))
    }
}

/// The finaliser of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// What was acknowledged in one partition.
#[derive(Debug, Clone, Default)]
pub struct PartitionAcks {
    /// Its offsets.
    pub coverage: Coverage,
    /// The sum of the fingerprints of all stamped batches.
    pub fingerprint: u64,
}

/// What was acknowledged, by partition.
#[derive(Debug)]
pub struct Acknowledged(Vec<Mutex<PartitionAcks>>);

impl Acknowledged {
    /// Nothing yet, in so many partitions.
    pub fn new(partitions_count: usize) -> Self {
        Self((0..partitions_count).map(|_| Mutex::default()).collect())
    }

    /// How many partitions there are.
    pub fn partitions_count(&self) -> usize {
        self.0.len()
    }

    /// Adds a batch of one of these partitions.
    pub fn insert(&self, partition: i32, batch: &Batch, is_stamped: bool) -> Inserted {
        let mut acks = self.0[partition as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let inserted = acks.coverage.insert(batch.base_offset, batch.end_offset);
        if inserted == Inserted::New && is_stamped {
            acks.fingerprint = acks.fingerprint.wrapping_add(batch.fingerprint());
        }
        inserted
    }

    /// What was acknowledged in a partition so far.
    pub fn partition(&self, partition: i32) -> PartitionAcks {
        self.0[partition as usize].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base_offset: i64) -> Batch {
        Batch { producer: 1, sequence: base_offset as u64, base_offset, end_offset: base_offset + 1 }
    }

    /// Eight connections with five single-record batches in flight each, for more batches than intervals are kept.
    #[test]
    fn connections_that_take_turns_in_one_partition_leave_one_interval() {
        let acknowledged = Acknowledged::new(1);
        let turns = 5_000;
        for turn in 0..turns {
            for connection in (0..8).rev() {
                for place in 0..5 {
                    let offset = turn * 40 + place * 8 + connection;
                    assert_eq!(acknowledged.insert(0, &batch(offset), true), Inserted::New, "{offset}");
                }
            }
        }
        let acks = acknowledged.partition(0);
        assert_eq!((acks.coverage.intervals_count(), acks.coverage.count()), (1, turns * 40));
        assert_eq!(acknowledged.insert(0, &batch(7), true), Inserted::Overlap);
    }

    #[test]
    fn fingerprints_tell_sets_apart_and_not_their_order() {
        let sum = |offsets: &[i64]| offsets.iter().fold(0, |sum: u64, at| sum.wrapping_add(batch(*at).fingerprint()));
        assert_eq!(sum(&[1, 2, 3]), sum(&[3, 1, 2]));
        assert_ne!(sum(&[1, 4]), sum(&[2, 3]));
    }
}
