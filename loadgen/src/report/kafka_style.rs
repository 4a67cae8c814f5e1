//! The result as Kafka's own performance tools print it, for scripts that read those lines.
//!
//! MB are 2^20 bytes, as there, but of whole record batches and not of values alone. Latencies are those of requests from their planned instant; fractions of a millisecond
//! stay, because a broker may need less than one.

use std::fmt;

use hdrhistogram::Histogram;

use crate::measured::Measured;

const MEBIBYTE: f64 = (1 << 20) as f64;
const NANOS_PER_MILLI: f64 = 1e6;

/// Which tool's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KafkaTool {
    /// kafka-producer-perf-test.
    Producer,
    /// kafka-consumer-perf-test.
    Consumer {
        /// Whether the names of the columns come first.
        has_header: bool,
    },
}

/// A run in the words of one of them.
#[derive(Debug)]
pub struct KafkaStyle<'a> {
    /// Whose words.
    pub tool: KafkaTool,
    /// What was measured.
    pub measured: &'a Measured,
}

impl fmt::Display for KafkaStyle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tool {
            KafkaTool::Producer => self.write_producer(f),
            KafkaTool::Consumer { has_header } => self.write_consumer(has_header, f),
        }
    }
}

impl KafkaStyle<'_> {
    fn write_producer(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recorder = &self.measured.recorder;
        let latency = &recorder.latency;
        write!(
            f,
            "{} records sent, {:.6} records/sec ({:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max latency",
            recorder.volume.records,
            self.measured.per_second(recorder.volume.records),
            self.measured.per_second(recorder.volume.bytes) / MEBIBYTE,
            latency.mean() / NANOS_PER_MILLI,
            latency.max() as f64 / NANOS_PER_MILLI,
        )?;
        for (name, quantile) in [("50th", 0.5), ("95th", 0.95), ("99th", 0.99), ("99.9th", 0.999)] {
            write!(f, ", {:.2} ms {name}", millis_at(latency, quantile))?;
        }
        writeln!(f, ".")
    }

    /// There is no group to join, so the time for it is none and the whole run is fetch time.
    fn write_consumer(&self, has_header: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured { recorder, elapsed, window_start_ms, .. } = self.measured;
        let megabytes = recorder.volume.bytes as f64 / MEBIBYTE;
        let per_second = |amount: f64| amount / elapsed.as_secs_f64();
        let (records, end_ms) = (recorder.volume.records, window_start_ms + elapsed.as_millis() as i64);
        if has_header {
            writeln!(
                f,
                "start.time, end.time, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, \
                 fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
            )?;
        }
        writeln!(
            f,
            "{}, {}, {megabytes:.4}, {:.4}, {records}, {:.4}, 0, {}, {:.4}, {:.4}",
            date(*window_start_ms),
            date(end_ms),
            per_second(megabytes),
            per_second(records as f64),
            elapsed.as_millis(),
            per_second(megabytes),
            per_second(records as f64),
        )
    }
}

fn millis_at(latency: &Histogram<u64>, quantile: f64) -> f64 {
    latency.value_at_quantile(quantile) as f64 / NANOS_PER_MILLI
}

/// In UTC, as the tool writes it.
fn date(millis: i64) -> String {
    let instant = jiff::Timestamp::from_millisecond(millis).unwrap_or_default();
    instant.strftime("%Y-%m-%d %H:%M:%S:%3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::measured;
    use super::*;

    #[test]
    fn lines_are_those_of_the_tools() {
        let measured = measured();
        let producer = KafkaStyle { tool: KafkaTool::Producer, measured: &measured }.to_string();
        assert!(
            producer
                .starts_with("300 records sent, 100.000000 records/sec (0.01 MB/sec), 0.11 ms avg latency, 0.13 ms"),
            "{producer}"
        );
        assert!(producer.ends_with(" ms 99.9th.\n"), "{producer}");
        let consumer = |has_header| {
            let tool = KafkaTool::Consumer { has_header };
            KafkaStyle { tool, measured: &measured }.to_string()
        };
        let with_header = consumer(true);
        let lines: Vec<&str> = with_header.lines().collect();
        assert_eq!(consumer(false).trim_end(), lines[1]);
        assert_eq!(lines[0].split(", ").count(), lines[1].split(", ").count());
        assert!(lines[1].starts_with("1970-01-01 00:00:00:000, 1970-01-01 00:00:03:000, 0.0286,"), "{}", lines[1]);
    }
}
