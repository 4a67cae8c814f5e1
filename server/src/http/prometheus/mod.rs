//! `/metrics` in Prometheus's text format, under the names that Kafka's metrics have behind the JMX exporter, and those
//! of `kafka_exporter` for partitions and groups, so that dashboards made for them show this broker.
//!
//! What has no meaning on one node (replication) is there with the value that Kafka gives it on one node; what the JVM
//! would tell is not there.

mod kafka;
mod partitions;
mod ringlog;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hdrhistogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::registry::Registry;
use ringlog_core::protocol::ApiKey;

use self::writer::Writer;
use super::About;
use super::process::Process;
use super::recent::{Recent, Sums, now};
use crate::meters::{Doors, RequestTimes, ShardSnapshot, TopicCounts};

/// Of the answer.
pub(super) const CONTENT_TYPE_TEXT: &str = prometheus_text::CONTENT_TYPE;

/// All that one answer is made from.
#[derive(Debug)]
pub(super) struct Scrape {
    about: About,
    /// None while the broker starts.
    shards: Vec<ShardSnapshot>,
    connections: Vec<usize>,
    process: Process,
    topics: BTreeMap<Arc<str>, TopicCounts>,
    requests: Vec<RequestTimes>,
    /// Those of the last minutes.
    recent_requests: Vec<RequestTimes>,
    /// Durable writes of commit logs in the last minutes; `None` while there is no log.
    recent_flushes_us: Option<Histogram<u64>>,
    flushes_count: u64,
    /// Share of the last minutes in which the shards slept, 0 to 1.
    idle: f64,
}

impl Scrape {
    /// Adds the shards up, and takes their window from `recent`.
    pub(super) fn new(about: &About, doors: &Doors, shards: Vec<ShardSnapshot>, recent: &mut Recent) -> Self {
        let sums = Sums {
            at: now(),
            cpu_ns: shards.iter().map(|shard| shard.cpu_ns).sum(),
            requests: add_up(shards.iter().flat_map(|shard| &shard.requests)),
            flushes_us: flushes(&shards),
        };
        let start = recent.window_start(&sums);
        let available_ns = sums.at.duration_since(start.at).as_nanos() as f64 * shards.len() as f64;
        let busy =
            if available_ns > 0.0 { (sums.cpu_ns.saturating_sub(start.cpu_ns)) as f64 / available_ns } else { 0.0 };
        let mut topics = BTreeMap::<Arc<str>, TopicCounts>::new();
        for (name, counts) in shards.iter().flat_map(|shard| &shard.topics) {
            topics.entry(Arc::clone(name)).or_default().add(counts);
        }
        Self {
            about: about.clone(),
            connections: doors.shards().iter().map(|door| door.connections.load(Ordering::Relaxed)).collect(),
            process: Process::now(),
            topics,
            recent_requests: since(&sums.requests, &start.requests),
            recent_flushes_us: flushes_since(&sums.flushes_us, start.flushes_us.as_ref()),
            flushes_count: sums.flushes_us.as_ref().map_or(0, Histogram::len),
            requests: sums.requests,
            idle: (1.0 - busy).clamp(0.0, 1.0),
            shards,
        }
    }
}

/// The text.
pub(super) fn encode(scrape: Scrape) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let writer = &mut Writer(encoder);
        ringlog::write(self, writer)?;
        if !self.shards.is_empty() {
            kafka::write(self, writer)?;
        }
        if self.about.with_partitions {
            partitions::write(self, writer)?;
        }
        Ok(())
    }
}

/// One row for each API.
fn add_up<'a>(rows: impl Iterator<Item = &'a RequestTimes>) -> Vec<RequestTimes> {
    let mut sums = BTreeMap::<i16, RequestTimes>::new();
    for row in rows {
        sums.entry(row.api_key as i16).and_modify(|sum| sum.add(row)).or_insert_with(|| row.clone());
    }
    sums.into_values().collect()
}

/// Durable writes of all commit logs.
fn flushes(shards: &[ShardSnapshot]) -> Option<Histogram<u64>> {
    shards.iter().filter_map(|shard| shard.commit_log_writes_us.clone()).reduce(|mut sum, more| {
        sum.add(&more).expect("the bounds are the same");
        sum
    })
}

fn flushes_since(sum: &Option<Histogram<u64>>, start: Option<&Histogram<u64>>) -> Option<Histogram<u64>> {
    let mut recent = sum.clone()?;
    if start.is_some_and(|start| recent.subtract(start).is_err()) {
        tracing::error!("durable writes were counted backwards");
    }
    Some(recent)
}

/// What came on top of `start`.
fn since(sums: &[RequestTimes], start: &[RequestTimes]) -> Vec<RequestTimes> {
    let before = |api_key: ApiKey| start.iter().find(|row| row.api_key == api_key);
    let rows = sums.iter().map(|row| {
        let mut row = row.clone();
        if let Some(before) = before(row.api_key)
            && row.subtract(before).is_err()
        {
            tracing::error!(api = ?row.api_key, "requests were counted backwards");
        }
        row
    });
    rows.collect()
}
