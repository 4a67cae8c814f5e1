//! The run over time as an interval log of HdrHistogram (version 1.3, histograms V2 deflated), which its own tools plot.

use std::io::{self, Write};
use std::time::SystemTime;

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError};

use crate::measured::Measured;

/// Maximum values are told in milliseconds, as everybody's tools do.
const NANOS_PER_MILLI: f64 = 1e6;

/// Writes the latencies from the plan; `start` is the instant of the window's start.
pub fn write_hdr(measured: &Measured, start: SystemTime, out: &mut impl Write) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment("[ringlog-loadgen: latency from the planned instant, in nanoseconds]");
    builder.with_start_time(start).with_base_time(start).with_max_value_divisor(NANOS_PER_MILLI);
    let mut log = builder.begin_log_with(out, &mut serializer)?;
    let series = &measured.recorder.series;
    for (start, interval) in series.intervals() {
        log.write_histogram(&interval.latency(), start, series.interval_length(), None).map_err(
            |error| match error {
                IntervalLogWriterError::SerializeError(error) => io::Error::other(format!("{error:?}")),
                IntervalLogWriterError::IoError(error) => error,
            },
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::super::tests::measured;
    use super::*;

    #[test]
    fn the_log_is_read_back() {
        let mut bytes = Vec::new();
        write_hdr(&measured(), SystemTime::UNIX_EPOCH, &mut bytes).expect("a vector");
        let entries: Vec<LogEntry<'_>> =
            IntervalLogIterator::new(&bytes).collect::<Result<_, _>>().expect("it was written by the same library");
        let intervals: Vec<f64> = entries
            .iter()
            .filter_map(|entry| match entry {
                LogEntry::Interval(interval) => Some(interval.start_timestamp().as_secs_f64()),
                _ => None,
            })
            .collect();
        assert_eq!(intervals, [0.0, 1.0, 2.0]);
    }
}
