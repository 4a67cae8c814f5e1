//! Latencies of one worker: from the planned instant and from the actual send, in histograms of fixed size.
//!
//! Invariants: recording allocates nothing but at the end of an interval; what does not fit is clipped and counted;
//! histograms are merged, percentiles are never averaged. Answers of one timing, as those to requests that left together
//! and came back together, go into the histograms together.

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
    /// What came last and is not in the histograms yet.
    alike: Alike,
}

/// Answers of one timing.
#[derive(Debug, Clone, Copy, Default)]
struct Alike {
    timing: Timing,
    requests: u64,
    volume: Volume,
}

/// The instants of one request since the start of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
            alike: Alike::default(),
        }
    }

    /// Notes one answered request. Answers come in the order of their instants.
    pub fn record(&mut self, timing: Timing, volume: Volume) {
        self.requests += 1;
        self.volume.add(volume);
        self.last_answered = timing.answered;
        if self.alike.timing != timing {
            self.settle();
            self.alike.timing = timing;
        }
        self.alike.requests += 1;
        self.alike.volume.add(volume);
    }

    /// Puts what is held back into the histograms.
    fn settle(&mut self) {
        let Alike { timing, requests, volume } = std::mem::take(&mut self.alike);
        if requests == 0 {
            return;
        }
        let latency = timing.answered.saturating_sub(timing.planned);
        let spans = [
            (&mut self.latency, latency),
            (&mut self.service, timing.answered.saturating_sub(timing.sent)),
            (&mut self.lateness, timing.sent.saturating_sub(timing.planned)),
        ];
        for (histogram, span) in spans {
            self.clipped += if span > LATENCY_MAX { requests } else { 0 };
            histogram.saturating_record_n(span.min(LATENCY_MAX).as_nanos() as u64, requests);
        }
        let latency_ns = latency.min(LATENCY_MAX).as_nanos() as u64;
        self.series.answered(timing.answered, latency_ns, requests, volume);
    }

    /// All of it, with nothing held back: histograms are read from one that is settled or merged.
    pub fn settled(&self) -> Self {
        let mut settled = self.clone();
        settled.settle();
        settled
    }

    /// Notes a request that failed.
    pub fn fail(&mut self, at: Duration) {
        self.settle();
        self.failed += 1;
        self.series.failed(at);
    }

    /// Adds what another worker recorded.
    pub fn merge(&mut self, other: &Self) {
        self.settle();
        let other = other.settled();
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
        let recorder = recorder.settled();
        assert!(recorder.latency.max().abs_diff(1_000_000) <= 1_000);
        assert!(recorder.service.max().abs_diff(100_000) <= 100);
        assert!(recorder.lateness.max().abs_diff(900_000) <= 1_000);
    }

    #[test]
    fn what_is_too_long_is_clipped_and_counted() {
        let mut recorder = recorder();
        recorder.record(at(0, 0, 3_600_000_000), Volume::default());
        let recorder = recorder.settled();
        assert_eq!(recorder.clipped, 2);
        assert!(recorder.latency.max() >= 60_000_000_000);
    }

    #[test]
    fn answers_that_are_alike_count_one_by_one() {
        let mut recorder = recorder();
        let volume = Volume { records: 1, bytes: 5 };
        (0..3).for_each(|_| recorder.record(at(0, 100, 200), volume));
        recorder.record(at(0, 100, 1_100_000), volume);
        recorder.fail(Duration::from_millis(1_200));
        assert_eq!(recorder.latency.len(), 4, "a failure settles what came before");
        recorder.record(at(0, 100, 1_300_000), volume);
        assert_eq!((recorder.requests, recorder.volume.bytes), (5, 25), "counts are never held back");
        let settled = recorder.settled();
        assert_eq!((settled.latency.len(), settled.service.len(), settled.lateness.len()), (5, 5, 5));
        assert_eq!(settled.lateness.count_at(100_000), 5);
        let counts: Vec<_> = settled.series.intervals().iter().map(|(_, interval)| interval.counts).collect();
        assert_eq!((counts[0].requests, counts[0].volume.bytes, counts[0].failed), (3, 15, 0));
        assert_eq!((counts[1].requests, counts[1].volume.bytes, counts[1].failed), (2, 10, 1));
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
