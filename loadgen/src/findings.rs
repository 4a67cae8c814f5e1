//! What was wrong with the answers: counted by kind, the first few in full.

use std::collections::BTreeMap;

use ringlog_core::protocol::ErrorCode;

/// Findings kept in full.
const EXAMPLES_MAX: usize = 5;
/// Intervals of one partition at most; more are counted as a problem.
const INTERVALS_MAX: usize = 10_000;

/// Counts of one worker, merged at the end.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Error codes in answers.
    pub errors: BTreeMap<ErrorCode, u64>,
    /// Answers that contradict what they should be, by kind.
    pub problems: BTreeMap<&'static str, u64>,
    /// The first few of both.
    pub examples: Vec<String>,
}

impl Findings {
    /// Notes an error code.
    pub fn error(&mut self, code: ErrorCode, text: impl FnOnce() -> String) {
        *self.errors.entry(code).or_default() += 1;
        self.example(|| format!("{code}: {}", text()));
    }

    /// Notes a contradiction.
    pub fn problem(&mut self, kind: &'static str, text: impl FnOnce() -> String) {
        self.problems(kind, 1, text);
    }

    /// Notes `count` of them.
    pub fn problems(&mut self, kind: &'static str, count: u64, text: impl FnOnce() -> String) {
        *self.problems.entry(kind).or_default() += count;
        self.example(|| format!("{kind}: {}", text()));
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }

    /// Adds another worker's.
    pub fn merge(&mut self, other: &Self) {
        for (code, count) in &other.errors {
            *self.errors.entry(*code).or_default() += count;
        }
        for (kind, count) in &other.problems {
            *self.problems.entry(kind).or_default() += count;
        }
        let room = EXAMPLES_MAX - self.examples.len();
        self.examples.extend(other.examples.iter().take(room).cloned());
    }

    /// Whether everything was as it should be.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.problems.is_empty()
    }
}

/// The offsets that were acknowledged in one partition: disjoint intervals, joined where they touch.
#[derive(Debug, Clone, Default)]
pub struct Coverage(BTreeMap<i64, i64>);

impl Coverage {
    /// Adds `start..end`; false if some of it was there already, or if there are too many gaps to follow.
    pub fn insert(&mut self, start: i64, end: i64) -> bool {
        let before = self.0.range(..=start).next_back().map(|(from, to)| (*from, *to));
        let after = self.0.range(start..).next().map(|(from, to)| (*from, *to));
        if before.is_some_and(|(_, to)| to > start) || after.is_some_and(|(from, _)| from < end) {
            return false;
        }
        if self.0.len() >= INTERVALS_MAX {
            return false;
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
            _ => self.0.insert(start, end),
        };
        true
    }

    /// Adds another worker's; returns how many of its intervals overlap with these.
    pub fn merge(&mut self, other: &Self) -> u64 {
        other.0.iter().map(|(start, end)| u64::from(!self.insert(*start, *end))).sum()
    }

    /// Offsets covered.
    pub fn count(&self) -> i64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Intervals, which is one where nobody else writes.
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
        assert!(coverage.insert(10, 20) && coverage.insert(30, 40) && coverage.insert(20, 30));
        assert_eq!((coverage.intervals_count(), coverage.count()), (1, 30));
        for (start, end) in [(10, 20), (15, 16), (39, 45), (5, 11), (0, 100)] {
            assert!(!coverage.insert(start, end), "{start}..{end}");
        }
        let mut other = Coverage::default();
        assert!(other.insert(0, 10) && other.insert(12, 13));
        assert_eq!(coverage.merge(&other), 1);
        assert_eq!((coverage.intervals_count(), coverage.count()), (1, 40));
    }

    #[test]
    fn findings_are_counted_and_the_first_told() {
        let mut findings = Findings::default();
        assert!(findings.is_clean());
        (0..9).for_each(|index| findings.error(ErrorCode::NOT_LEADER_OR_FOLLOWER, || index.to_string()));
        let mut all = Findings::default();
        all.problem("crc", || "x".to_owned());
        all.merge(&findings);
        assert_eq!((all.errors[&ErrorCode::NOT_LEADER_OR_FOLLOWER], all.examples.len()), (9, 5));
        assert!(!all.is_clean());
    }
}
