//! Which offsets were acknowledged, so that none is handed out twice, whichever connection or thread it went to.
//!
//! Invariant: all connections share one coverage per partition. So the intervals of concurrent producers join soon after
//! they arrive, and what is kept is bounded by the requests in flight and the gaps that stay, not by the run's length.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// Intervals of one partition at most: so many gaps are not followed any more.
const INTERVALS_MAX: usize = 100_000;

/// Disjoint intervals, joined where they touch.
#[derive(Debug, Clone, Default)]
pub struct Coverage(BTreeMap<i64, i64>);

/// What became of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// All of it is new.
    New,
    /// Some of it was there already.
    Overlap,
    /// There are too many gaps to follow, so nobody knows.
    Full,
}

impl Coverage {
    /// Adds `start..end`, unless it overlaps.
    pub fn insert(&mut self, start: i64, end: i64) -> Inserted {
        let before = self.0.range(..=start).next_back().map(|(from, to)| (*from, *to));
        let after = self.0.range(start..).next().map(|(from, to)| (*from, *to));
        if before.is_some_and(|(_, to)| to > start) || after.is_some_and(|(from, _)| from < end) {
            return Inserted::Overlap;
        }
        let end = match after {
            Some((from, to)) if from == end => {
                self.0.remove(&from);
                to
            }
            _ => end,
        };
        match before {
            Some((from, to)) if to == start => self.0.insert(from, end),
            _ if self.0.len() >= INTERVALS_MAX => return Inserted::Full,
            _ => self.0.insert(start, end),
        };
        Inserted::New
    }

    /// Offsets covered.
    pub fn count(&self) -> i64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Intervals, which is one where nobody else writes and nothing is in flight.
    pub fn intervals_count(&self) -> usize {
        self.0.len()
    }
}

/// The coverage of every partition, for all threads.
#[derive(Debug)]
pub struct Acknowledged(HashMap<i32, Mutex<Coverage>>);

impl Acknowledged {
    /// Nothing yet.
    pub fn new(partitions: impl IntoIterator<Item = i32>) -> Self {
        Self(partitions.into_iter().map(|partition| (partition, Mutex::default())).collect())
    }

    /// Adds `start..end` of a partition that it was made with.
    pub fn insert(&self, partition: i32, start: i64, end: i64) -> Inserted {
        let coverage = self.0[&partition].lock();
        coverage.unwrap_or_else(PoisonError::into_inner).insert(start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coverage_joins_and_refuses_overlap() {
        let mut coverage = Coverage::default();
        for (start, end) in [(10, 20), (30, 40), (20, 30)] {
            assert_eq!(coverage.insert(start, end), Inserted::New);
        }
        assert_eq!((coverage.intervals_count(), coverage.count()), (1, 30));
        for (start, end) in [(10, 20), (15, 16), (39, 45), (5, 11), (0, 100)] {
            assert_eq!(coverage.insert(start, end), Inserted::Overlap, "{start}..{end}");
        }
        assert_eq!((coverage.intervals_count(), coverage.count()), (1, 30));
    }

    #[test]
    fn gaps_are_followed_up_to_a_bound_and_never_taken_for_overlaps() {
        let mut coverage = Coverage::default();
        let bound = INTERVALS_MAX as i64;
        assert!((0..bound).all(|index| coverage.insert(index * 2, index * 2 + 1) == Inserted::New));
        assert_eq!(coverage.insert(bound * 2, bound * 2 + 1), Inserted::Full);
        assert_eq!(coverage.insert(0, 1), Inserted::Overlap);
        assert_eq!(coverage.insert(1, 2), Inserted::New);
        assert_eq!(coverage.intervals_count(), INTERVALS_MAX - 1);
    }

    /// Eight connections with five single-record batches in flight each, for more batches than intervals are kept.
    #[test]
    fn connections_that_take_turns_in_one_partition_leave_one_interval() {
        let acknowledged = Acknowledged::new([0]);
        for turn in 0..INTERVALS_MAX as i64 / 20 {
            for connection in (0..8).rev() {
                for place in 0..5 {
                    let offset = turn * 40 + place * 8 + connection;
                    assert_eq!(acknowledged.insert(0, offset, offset + 1), Inserted::New, "{offset}");
                }
            }
        }
        let coverage = acknowledged.0[&0].lock().expect("no thread panicked");
        assert_eq!((coverage.intervals_count(), coverage.count() as usize), (1, INTERVALS_MAX * 2));
    }
}
