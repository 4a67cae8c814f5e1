//! Which numbers were there: offsets that were acknowledged, batches that were read.
//!
//! Invariant: never more than a written number of intervals, and what does not fit is said.

use std::collections::BTreeMap;

/// Intervals at most: so many gaps are not followed any more.
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
        // Most numbers come in their order.
        if let Some(mut last) = self.0.last_entry()
            && *last.get() == start
        {
            *last.get_mut() = end;
            return Inserted::New;
        }
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

    /// How many numbers of `start..end` are covered.
    pub fn overlap(&self, start: i64, end: i64) -> i64 {
        let before = self.0.range(..start).next_back();
        let inside = self.0.range(start..end);
        before.into_iter().chain(inside).map(|(from, to)| (end.min(*to) - start.max(*from)).max(0)).sum()
    }

    /// Numbers covered.
    pub fn count(&self) -> i64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Intervals, which is one where nobody else writes and nothing is in flight.
    pub fn intervals_count(&self) -> usize {
        self.0.len()
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

    #[test]
    fn overlap_counts_what_is_covered() {
        let mut coverage = Coverage::default();
        coverage.insert(10, 20);
        coverage.insert(30, 40);
        for ((start, end), expected) in
            [((0, 10), 0), ((0, 11), 1), ((12, 15), 3), ((15, 35), 10), ((10, 40), 20), ((40, 50), 0), ((5, 5), 0)]
        {
            assert_eq!(coverage.overlap(start, end), expected, "{start}..{end}");
        }
    }
}
