//! Latencies of one worker: from the planned instant and from the actual send, in histograms of fixed size.
//!
//! Invariants: recording allocates nothing but at the end of an interval; what does not fit is clipped and counted;
//! histograms are merged, percentiles are never averaged.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::series::{Cut, Series};

/// Longest latency told apart.
const LATENCY_MAX: Duration = Duration::from_secs(60);
/// Significant digits.
const DIGITS: u8 = 3;

/// An empty histogram with the bounds that all of them have, of nanoseconds.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX.as_nanos() as u64, DIGITS).expect("bounds and digits are valid")
}

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
    /// Requests that failed.
    pub failed: u64,
    /// What the answered ones carried.
    pub volume: Volume,
    /// When the last answer came, since the start of the run.
    pub last_answered: Duration,
    /// The same by interval.
    pub series: Series,
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

/// What a request carried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Records.
    pub records: u64,
    /// Bytes of record batches.
    pub bytes: u64,
}

impl Volume {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

impl Recorder {
    /// Nothing yet.
    pub fn new(cut: Cut) -> Self {
        Self {
            latency: histogram(),
            service: histogram(),
            lateness: histogram(),
            clipped: 0,
            requests: 0,
            failed: 0,
            volume: Volume::default(),
            last_answered: Duration::ZERO,
            series: Series::new(cut),
        }
    }

    /// Notes one answered request. Answers come in the order of their instants.
    pub fn record(&mut self, timing: Timing, volume: Volume) {
        self.requests += 1;
        self.volume.add(volume);
        self.last_answered = timing.answered;
        let latency = timing.answered.saturating_sub(timing.planned);
        let spans = [
            (&mut self.latency, latency),
            (&mut self.service, timing.answered.saturating_sub(timing.sent)),
            (&mut self.lateness, timing.sent.saturating_sub(timing.planned)),
        ];
        for (histogram, span) in spans {
            self.clipped += u64::from(span > LATENCY_MAX);
            histogram.saturating_record(span.min(LATENCY_MAX).as_nanos() as u64);
        }
        self.series.answered(timing.answered, latency.min(LATENCY_MAX).as_nanos() as u64, volume);
    }

    /// Notes a request that failed.
    pub fn fail(&mut self, at: Duration) {
        self.failed += 1;
        self.series.failed(at);
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
        self.failed += other.failed;
        self.volume.add(other.volume);
        self.last_answered = self.last_answered.max(other.last_answered);
        self.series.merge(&other.series);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder() -> Recorder {
        Recorder::new(Cut { start: Duration::ZERO, length: Duration::from_secs(1) })
    }

    fn at(planned_us: u64, sent_us: u64, answered_us: u64) -> Timing {
        let us = Duration::from_micros;
        Timing { planned: us(planned_us), sent: us(sent_us), answered: us(answered_us) }
    }

    #[test]
    fn latency_counts_from_the_plan() {
        let mut recorder = recorder();
        recorder.record(at(0, 900, 1_000), Volume::default());
        assert!(recorder.latency.max().abs_diff(1_000_000) <= 1_000);
        assert!(recorder.service.max().abs_diff(100_000) <= 100);
        assert!(recorder.lateness.max().abs_diff(900_000) <= 1_000);
    }

    #[test]
    fn what_is_too_long_is_clipped_and_counted() {
        let mut recorder = recorder();
        recorder.record(at(0, 0, 3_600_000_000), Volume::default());
        assert_eq!(recorder.clipped, 2);
        assert!(recorder.latency.max() >= 60_000_000_000);
    }

    #[test]
    fn merged_histograms_keep_every_sample() {
        let mut all = recorder();
        for worker in 1..=4 {
            let mut one = recorder();
            (0..100).for_each(|_| one.record(at(0, 0, worker * 100), Volume { records: 1, bytes: 5 }));
            all.merge(&one);
        }
        assert_eq!((all.requests, all.volume.bytes, all.latency.len()), (400, 2_000, 400));
        assert!(all.latency.value_at_quantile(0.5).abs_diff(200_000) < 1_000);
        assert_eq!(all.series.intervals()[0].1.counts.requests, 400);
    }
}
