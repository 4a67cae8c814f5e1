//! What was wrong with the answers: counted by kind, the first few in full.

use std::collections::BTreeMap;

use ringlog_core::protocol::ErrorCode;

/// Findings kept in full.
const EXAMPLES_MAX: usize = 5;

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

#[cfg(test)]
mod tests {
    use super::*;

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
