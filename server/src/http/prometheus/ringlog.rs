//! What only Ringlog has: shards, and the process.

use std::fmt;

use hdrhistogram::Histogram;

use super::Scrape;
use super::writer::{Label, Writer};

/// Upper bounds of the buckets, in microseconds.
const BOUNDS_US: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];
const NANOS: f64 = 1e9;
const MICROS: f64 = 1e6;

pub(super) fn write(scrape: &Scrape, to: &mut Writer<'_>) -> fmt::Result {
    let Scrape { about, shards, connections, process, .. } = scrape;
    let version: [Label<'_>; 1] = [("version", about.version)];
    to.gauges("ringlog_build_info", "The program that runs", [(version, 1.0)])?;
    let io_driver: [Label<'_>; 1] = [("driver", about.io_driver)];
    to.gauges("ringlog_io_info", "What shards reach sockets and files by", [(io_driver, 1.0)])?;
    let names: Vec<String> = (0..connections.len()).map(|shard| shard.to_string()).collect();
    let by_shard = |shard: usize, value: f64| -> ([Label<'_>; 1], f64) { ([("shard", &names[shard])], value) };
    let rows = connections.iter().enumerate().map(|(shard, count)| by_shard(shard, *count as f64));
    to.gauges("ringlog_connections", "Open connections of clients", rows)?;
    let rows = shards.iter().enumerate().map(|(at, shard)| by_shard(at, shard.cpu_ns as f64 / NANOS));
    to.counters("ringlog_shard_cpu_seconds", "Processor time of the shard's thread", rows)?;
    let rows = shards
        .iter()
        .enumerate()
        .map(|(at, shard)| by_shard(at, shard.commit_log_writes_us.as_ref().map_or(0, Histogram::len) as f64));
    to.counters("ringlog_commit_log_writes", "Durable writes of the shard's commit log", rows)?;
    let rows = shards.iter().enumerate().map(|(at, shard)| by_shard(at, shard.scrubbed.passes as f64));
    to.counters("ringlog_scrub_passes", "Looks through all segments that came to their end", rows)?;
    let rows = shards.iter().enumerate().map(|(at, shard)| by_shard(at, shard.scrubbed.bytes as f64));
    to.counters("ringlog_scrub_bytes", "Bytes of segments looked through for damage", rows)?;
    let rows = shards.iter().enumerate().map(|(at, shard)| by_shard(at, shard.scrubbed.damaged_logs as f64));
    to.gauges("ringlog_scrub_damaged_partitions", "Partitions with damaged batches, which are refused", rows)?;
    let rows = scrape.requests.iter().map(|row| {
        let labels: [Label<'_>; 1] = [("request", row.api_key.name())];
        let sum = row.total_us.mean() * row.total_us.len() as f64 / MICROS;
        (labels, sum, row.total_us.len(), buckets(&row.total_us))
    });
    to.histograms("ringlog_request_seconds", "From receiving a request to its answer being sent", rows)?;

    to.counter("process_cpu_seconds", "Processor time of the process", process.cpu_seconds)?;
    to.gauge("process_resident_memory_bytes", "Resident memory", process.resident_bytes as f64)?;
    to.gauge("process_virtual_memory_bytes", "Virtual memory", process.virtual_bytes as f64)?;
    to.gauge("process_open_fds", "Open file descriptors", process.open_fds as f64)?;
    to.gauge("process_max_fds", "Limit of open file descriptors", process.max_fds as f64)?;
    to.gauge("process_threads", "Threads", process.threads as f64)?;
    to.gauge("process_start_time_seconds", "Start of the process since 1970", process.start_seconds)
}

/// How many lie in each bucket, the last without a bound.
fn buckets(times: &Histogram<u64>) -> Vec<(f64, u64)> {
    let mut below = 0;
    let bounded = BOUNDS_US.iter().map(|bound_us| {
        let up_to = times.count_between(0, *bound_us);
        let count = up_to - below;
        below = up_to;
        (*bound_us as f64 / MICROS, count)
    });
    let mut buckets: Vec<_> = bounded.collect();
    buckets.push((f64::MAX, times.len() - below));
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_one_bucket() {
        let mut times = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 1).unwrap();
        for time_us in [0, 1, 60, 900, 3_000_000, 100_000_000] {
            times.saturating_record(time_us);
        }
        let buckets = buckets(&times);
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 6);
        assert_eq!((buckets[0].1, buckets[1].1, buckets[16].1), (2, 1, 1));
    }
}
