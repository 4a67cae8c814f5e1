//! What a run shows while it goes on: one line on stderr, if that is a terminal.
//!
//! Invariant: workers publish their counts now and then and are never asked, so that showing costs the load nothing.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::recorder::Recorder;

/// How often the line is written.
const EVERY: Duration = Duration::from_millis(500);

/// What the workers have done so far.
#[derive(Debug)]
pub struct Progress {
    is_shown: bool,
    workers: Vec<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    /// Of so many workers; silent unless it is wanted and somebody looks at a terminal.
    pub fn new(workers: usize, is_wanted: bool) -> Self {
        let is_shown = is_wanted && std::io::stderr().is_terminal();
        Self { is_shown, workers: (0..workers).map(|_| Counts::default()).collect() }
    }

    /// What a worker has recorded.
    pub fn publish(&self, worker: usize, recorder: &Recorder) {
        let counts = &self.workers[worker];
        counts.requests.store(recorder.requests, Ordering::Relaxed);
        counts.failed.store(recorder.failed, Ordering::Relaxed);
        counts.bytes.store(recorder.volume.bytes, Ordering::Relaxed);
    }

    /// Waits for `span`, or until all workers have ended, and shows how it goes on.
    pub fn wait(&self, over: &Receiver<()>, span: Duration, what: &str) {
        let mut left = span;
        let mut before = self.sum();
        while !left.is_zero() {
            let step = left.min(EVERY);
            left -= step;
            if over.recv_timeout(step) == Err(RecvTimeoutError::Disconnected) {
                break;
            }
            let now = self.sum();
            self.show(what, span - left, span, now, now.rates_since(before, step));
            before = now;
        }
        if self.is_shown {
            // Nobody is told when the terminal has gone away.
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    fn show(&self, what: &str, passed: Duration, span: Duration, now: Sum, rate: Rates) {
        if self.is_shown {
            let (passed, span) = (passed.as_secs_f64(), span.as_secs_f64());
            let Rates { requests, megabytes } = rate;
            let failed = if now.failed > 0 { format!(", {} failed", now.failed) } else { String::new() };
            let line = format!("{what} {passed:.0}/{span:.0} s: {requests:.0} requests/s, {megabytes:.1} MB/s{failed}");
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        }
    }

    fn sum(&self) -> Sum {
        let mut sum = Sum::default();
        for counts in &self.workers {
            sum.requests += counts.requests.load(Ordering::Relaxed);
            sum.failed += counts.failed.load(Ordering::Relaxed);
            sum.bytes += counts.bytes.load(Ordering::Relaxed);
        }
        sum
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    requests: u64,
    failed: u64,
    bytes: u64,
}

struct Rates {
    requests: f64,
    megabytes: f64,
}

impl Sum {
    fn rates_since(self, before: Self, step: Duration) -> Rates {
        let per_second = |now: u64, then: u64| now.saturating_sub(then) as f64 / step.as_secs_f64();
        Rates {
            requests: per_second(self.requests, before.requests),
            megabytes: per_second(self.bytes, before.bytes) / 1e6,
        }
    }
}
