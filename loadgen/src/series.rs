//! What was answered in each interval of the measured window, for curves over time.
//!
//! Invariants: only the open interval has a histogram in memory, a closed one keeps HdrHistogram's compact form (about
//! a kilobyte); intervals of several workers are merged as histograms, percentiles are never averaged.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

use crate::recorder::{Volume, histogram};

/// Intervals of one run at most; what comes later counts for the last one.
const INTERVALS_MAX: u64 = 100_000;

/// How the window is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The start of the window since the start of the run.
    pub start: Duration,
    /// The length of an interval.
    pub length: Duration,
}

/// The intervals of one worker.
#[derive(Debug, Clone)]
pub struct Series {
    cut: Cut,
    open: u64,
    counts: Counts,
    latency: Histogram<u64>,
    closed: BTreeMap<u64, Interval>,
}

/// What is counted in an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests answered.
    pub requests: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Records and bytes in those that were answered.
    pub volume: Volume,
}

/// One closed interval.
#[derive(Debug, Clone, Default)]
pub struct Interval {
    /// What was counted.
    pub counts: Counts,
    latency: Vec<u8>,
}

impl Interval {
    /// Latencies from the plan.
    pub fn latency(&self) -> Histogram<u64> {
        let decoded = Deserializer::new().deserialize(&mut self.latency.as_slice());
        decoded.unwrap_or_else(|_| histogram())
    }

    fn close(counts: Counts, latency: &Histogram<u64>) -> Self {
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(latency, &mut bytes).expect("a vector takes what a valid histogram holds");
        Self { counts, latency: bytes }
    }

    fn merge(&mut self, other: &Self) {
        if self.counts == Counts::default() {
            *self = other.clone();
            return;
        }
        let mut latency = self.latency();
        latency.add(other.latency()).expect("all recorders have the same bounds");
        let mut counts = self.counts;
        counts.add(other.counts);
        *self = Self::close(counts, &latency);
    }
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.volume.add(other.volume);
    }
}

impl Series {
    /// Nothing yet.
    pub fn new(cut: Cut) -> Self {
        let counts = Counts::default();
        Self { cut, open: 0, counts, latency: histogram(), closed: BTreeMap::new() }
    }

    /// Notes answers of one instant and latency. They come in the order of their instants.
    pub fn answered(&mut self, at: Duration, latency_ns: u64, requests: u64, volume: Volume) {
        self.open_at(at);
        self.counts.requests += requests;
        self.counts.volume.add(volume);
        self.latency.saturating_record_n(latency_ns, requests);
    }

    /// Notes a request that failed.
    pub fn failed(&mut self, at: Duration) {
        self.open_at(at);
        self.counts.failed += 1;
    }

    fn open_at(&mut self, at: Duration) {
        let since = at.saturating_sub(self.cut.start).as_nanos() as u64;
        let index = (since / self.cut.length.as_nanos().max(1) as u64).min(INTERVALS_MAX - 1);
        if index > self.open {
            self.close();
            self.open = index;
        }
    }

    fn close(&mut self) {
        if self.counts != Counts::default() {
            let interval = Interval::close(std::mem::take(&mut self.counts), &self.latency);
            self.closed.entry(self.open).or_default().merge(&interval);
            self.latency.reset();
        }
    }

    /// Closes both and adds what another worker noted.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        other.close();
        self.close();
        for (index, interval) in &other.closed {
            self.closed.entry(*index).or_default().merge(interval);
        }
    }

    /// The intervals in which anything happened, each with its start since the start of the window.
    pub fn intervals(&self) -> Vec<(Duration, Interval)> {
        let mut closed = self.clone();
        closed.close();
        closed.closed.into_iter().map(|(index, interval)| (self.cut.length.mul_f64(index as f64), interval)).collect()
    }

    /// The length of an interval.
    pub fn interval_length(&self) -> Duration {
        self.cut.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Series {
        Series::new(Cut { start: Duration::from_secs(1), length: Duration::from_millis(100) })
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn answers_fall_into_their_intervals_and_workers_are_merged() {
        let volume = Volume { records: 2, bytes: 10 };
        let (mut one, mut other) = (series(), series());
        one.answered(ms(1_000), 1_000, 1, volume);
        one.answered(ms(1_250), 3_000, 1, volume);
        other.answered(ms(1_299), 1_000_000, 1, volume);
        other.failed(ms(1_300));
        let mut all = series();
        all.merge(&one);
        all.merge(&other);
        let intervals = all.intervals();
        let starts: Vec<Duration> = intervals.iter().map(|(start, _)| *start).collect();
        assert_eq!(starts, [ms(0), ms(200), ms(300)]);
        let (_, both) = &intervals[1];
        assert_eq!(both.counts, Counts { requests: 2, failed: 0, volume: Volume { records: 4, bytes: 20 } });
        let latency = both.latency();
        assert!(latency.len() == 2 && latency.min() <= 3_000 && latency.max() >= 1_000_000);
        assert_eq!(intervals[2].1.counts.failed, 1);
    }
}
