//! What a run measured, as it is: histograms and counts, before they become a report.

use std::time::Duration;

use crate::cpu::Usage;
use crate::findings::Findings;
use crate::recorder::Recorder;
use crate::run::ReadBackVolume;

/// Everything that a run measured in its window.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Latencies and counts.
    pub recorder: Recorder,
    /// The same of the control echo, if there was one.
    pub control: Option<Recorder>,
    /// What was read back, if it was.
    pub read_back: Option<ReadBackVolume>,
    /// What was wrong.
    pub findings: Findings,
    /// The start of the window by the wall clock, in milliseconds since 1970.
    pub window_start_ms: i64,
    /// The window, or until the last answer if that was later.
    pub elapsed: Duration,
    /// The window as planned: CPU time is of it.
    pub window: Duration,
    /// CPU time.
    pub usage: Usage,
    /// Worker threads.
    pub threads: usize,
}

impl Measured {
    /// Of the whole run, by something that is counted.
    pub fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.elapsed.as_secs_f64()
    }

    /// Bytes of record batches, in millions.
    pub fn megabytes_per_second(&self) -> f64 {
        self.per_second(self.recorder.volume.bytes) / 1e6
    }

    /// Share of its threads' time that the load generator used.
    pub fn own_utilisation(&self) -> f64 {
        self.usage.own.total() / (self.window.as_secs_f64() * self.threads as f64)
    }
}
