//! What was wrong with the answers: counted by kind, the first few in full.

use std::collections::BTreeMap;
use std::fmt;

use ringlog_core::protocol::ErrorCode;

/// Findings kept in full.
const EXAMPLES_MAX: usize = 5;

/// Why a request failed. That is no contradiction: a broker may refuse, and connections break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The broker refused it.
    Code(ErrorCode),
    /// Its connection broke before the answer.
    ConnectionLost,
    /// No connection could be made.
    NotConnected,
    /// The answer had not come when the run ended.
    NoAnswer,
    /// It was planned and had not left when the run ended.
    NotSent,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => code.fmt(f),
            Self::ConnectionLost => f.write_str("connection lost"),
            Self::NotConnected => f.write_str("not connected"),
            Self::NoAnswer => f.write_str("no answer"),
            Self::NotSent => f.write_str("not sent"),
        }
    }
}

/// Counts of one worker, merged at the end.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Requests that failed, by why.
    pub errors: BTreeMap<Failure, u64>,
    /// Requests that were sent again, by why.
    pub retries: BTreeMap<Failure, u64>,
    /// Answers that contradict what they should be, by kind.
    pub problems: BTreeMap<&'static str, u64>,
    /// The first few of both.
    pub examples: Vec<String>,
}

impl Findings {
    /// Notes an error code.
    pub fn error(&mut self, code: ErrorCode, text: impl FnOnce() -> String) {
        self.failures(Failure::Code(code), 1, text);
    }

    /// Notes `count` failures.
    pub fn failures(&mut self, failure: Failure, count: u64, text: impl FnOnce() -> String) {
        *self.errors.entry(failure).or_default() += count;
        self.example(|| format!("{failure}: {}", text()));
    }

    /// Notes a failure behind which the request is sent again.
    pub fn retried(&mut self, failure: Failure) {
        *self.retries.entry(failure).or_default() += 1;
    }

    /// The request with these errors is sent again.
    pub fn errors_become_retries(&mut self) {
        self.examples.clear();
        std::mem::take(&mut self.errors).into_keys().for_each(|failure| self.retried(failure));
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
        for (failure, count) in &other.errors {
            *self.errors.entry(*failure).or_default() += count;
        }
        for (failure, count) in &other.retries {
            *self.retries.entry(*failure).or_default() += count;
        }
        for (kind, count) in &other.problems {
            *self.problems.entry(kind).or_default() += count;
        }
        let room = EXAMPLES_MAX - self.examples.len();
        self.examples.extend(other.examples.iter().take(room).cloned());
    }

    /// Whether nothing contradicts what it should be.
    pub fn is_verified(&self) -> bool {
        self.problems.is_empty()
    }

    /// Whether nothing failed either.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.is_verified()
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
        assert_eq!((all.errors[&Failure::Code(ErrorCode::NOT_LEADER_OR_FOLLOWER)], all.examples.len()), (9, 5));
        assert!(!all.is_clean());
    }
}
