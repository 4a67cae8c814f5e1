//! Latencies of one worker: from the planned instant and from the actual send, in histograms of fixed size.
//!
//! Invariants: recording never allocates; what does not fit is clipped and counted; histograms are merged, percentiles
//! are never averaged.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency told apart.
const LATENCY_MAX: Duration = Duration::from_secs(60);
/// Significant digits.
const DIGITS: u8 = 3;

/// Counts and latencies.
#[derive(Debug, Clone)]
pub struct Recorder {
    /// Answer minus planned instant: what a user of the plan would have waited.
    pub latency: Histogram<u64>,
    /// Answer minus actual send.
    pub service: Histogram<u64>,
    /// Actual send minus planned instant.
    pub lateness: Histogram<u64>,
    /// Values beyond the histograms' range, recorded as its end.
    pub clipped: u64,
    /// Requests answered.
    pub requests: u64,
    /// Bytes of record batches in them.
    pub bytes: u64,
}

/// The instants of one request since the start of the run.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// When it should have left.
    pub planned: Duration,
    /// When it left.
    pub sent: Duration,
    /// When its answer was there.
    pub answered: Duration,
}

impl Default for Recorder {
    fn default() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, LATENCY_MAX.as_nanos() as u64, DIGITS).expect("bounds and digits are valid")
        };
        Self { latency: histogram(), service: histogram(), lateness: histogram(), clipped: 0, requests: 0, bytes: 0 }
    }
}

impl Recorder {
    /// Notes one answered request with `bytes` of record batches.
    pub fn record(&mut self, timing: Timing, bytes: u64) {
        self.requests += 1;
        self.bytes += bytes;
        let spans = [
            (&mut self.latency, timing.answered.saturating_sub(timing.planned)),
            (&mut self.service, timing.answered.saturating_sub(timing.sent)),
            (&mut self.lateness, timing.sent.saturating_sub(timing.planned)),
        ];
        for (histogram, span) in spans {
            self.clipped += u64::from(span > LATENCY_MAX);
            histogram.saturating_record(span.min(LATENCY_MAX).as_nanos() as u64);
        }
    }

    /// Adds what another worker recorded.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.latency, &other.latency),
            (&mut self.service, &other.service),
            (&mut self.lateness, &other.lateness),
        ] {
            mine.add(theirs).expect("all recorders have the same bounds");
        }
        self.clipped += other.clipped;
        self.requests += other.requests;
        self.bytes += other.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(planned_us: u64, sent_us: u64, answered_us: u64) -> Timing {
        let us = Duration::from_micros;
        Timing { planned: us(planned_us), sent: us(sent_us), answered: us(answered_us) }
    }

    #[test]
    fn latency_counts_from_the_plan() {
        let mut recorder = Recorder::default();
        recorder.record(at(0, 900, 1_000), 10);
        assert!(recorder.latency.max().abs_diff(1_000_000) <= 1_000);
        assert!(recorder.service.max().abs_diff(100_000) <= 100);
        assert!(recorder.lateness.max().abs_diff(900_000) <= 1_000);
    }

    #[test]
    fn what_is_too_long_is_clipped_and_counted() {
        let mut recorder = Recorder::default();
        recorder.record(at(0, 0, 3_600_000_000), 1);
        assert_eq!(recorder.clipped, 2);
        assert!(recorder.latency.max() >= 60_000_000_000);
    }

    #[test]
    fn merged_histograms_keep_every_sample() {
        let mut all = Recorder::default();
        for worker in 1..=4 {
            let mut one = Recorder::default();
            (0..100).for_each(|_| one.record(at(0, 0, worker * 100), 5));
            all.merge(&one);
        }
        assert_eq!((all.requests, all.bytes, all.latency.len()), (400, 2_000, 400));
        assert!(all.latency.value_at_quantile(0.5).abs_diff(200_000) < 1_000);
    }
}
