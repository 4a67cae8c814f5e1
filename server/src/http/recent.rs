//! The last minutes: what Kafka shows as quantiles and idle percentages is over a window, and shards only add up.
//!
//! What was added up is kept once a minute, for some minutes; the window is what came since the oldest that is kept.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::meters::RequestTimes;

/// Between two that are kept.
const STEP: Duration = Duration::from_secs(60);
/// How many are kept.
const KEPT_MAX: usize = 5;

/// What was added up at some time.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    pub(super) at: Instant,
    /// Processor time of all shards.
    pub(super) cpu_ns: u64,
    pub(super) requests: Vec<RequestTimes>,
    /// Durable writes of commit logs; `None` while there is no log.
    pub(super) flushes_us: Option<Histogram<u64>>,
}

/// What is kept, oldest first, never empty.
#[derive(Debug)]
pub(super) struct Recent(VecDeque<Sums>);

impl Recent {
    /// Begins now.
    pub(super) fn new() -> Self {
        Self(VecDeque::from([Sums { at: now(), cpu_ns: 0, requests: Vec::new(), flushes_us: None }]))
    }

    /// What was added up when the window began, and, if it is time, keeps `sums` for later windows.
    pub(super) fn window_start(&mut self, sums: &Sums) -> Sums {
        let start = self.0.front().expect("one is kept").clone();
        if self.0.back().is_some_and(|last| sums.at.duration_since(last.at) >= STEP) {
            self.0.push_back(sums.clone());
            if self.0.len() > KEPT_MAX {
                self.0.pop_front();
            }
        }
        start
    }
}

/// This thread is not a shard's: its time is not the simulation's.
#[expect(clippy::disallowed_methods, reason = "the side thread has no reactor")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_moves_on_by_minutes_and_is_bounded() {
        let mut recent = Recent::new();
        let begin = recent.0[0].at;
        let at = |seconds| {
            let at = begin + Duration::from_secs(seconds);
            Sums { at, cpu_ns: seconds, requests: Vec::new(), flushes_us: None }
        };
        for seconds in (0..3600).step_by(15) {
            let start = recent.window_start(&at(seconds));
            let window = seconds - start.cpu_ns;
            assert!(window <= 300 && (seconds < 240 || window >= 240), "{window} s at {seconds} s");
        }
    }
}
