//! Kafka's own metrics of a broker and its controller, as the JMX exporter's rules name them.

use std::fmt;

use hdrhistogram::Histogram;
use ringlog_core::protocol::ApiKey;

use super::Scrape;
use super::writer::{Label, Writer};
use crate::meters::{RequestTimes, TopicCounts, VERSION_MAX};

const QUANTILES: [&str; 6] = ["0.50", "0.75", "0.95", "0.98", "0.99", "0.999"];
const MICROS_PER_MILLI: f64 = 1000.0;

pub(super) fn write(scrape: &Scrape, to: &mut Writer<'_>) -> fmt::Result {
    topics(scrape, to)?;
    requests(scrape, to)?;
    replicas(scrape, to)?;
    controller(scrape, to)
}

/// A field of [`TopicCounts`] with Kafka's name and words.
type TopicMetric = (&'static str, &'static str, fn(&TopicCounts) -> u64);

const TOPIC_METRICS: [TopicMetric; 7] = [
    ("messagesin", "Records appended", |counts| counts.messages_in),
    ("bytesin", "Bytes of record batches appended", |counts| counts.bytes_in),
    ("bytesout", "Bytes of record batches read for clients", |counts| counts.bytes_out),
    ("totalproducerequests", "Appends asked of partitions", |counts| counts.produce_requests),
    ("failedproducerequests", "Appends that failed", |counts| counts.failed_produce_requests),
    ("totalfetchrequests", "Reads asked of partitions", |counts| counts.fetch_requests),
    ("failedfetchrequests", "Reads that failed", |counts| counts.failed_fetch_requests),
];

/// Each topic, and all together without a label, as in Kafka.
fn topics(scrape: &Scrape, to: &mut Writer<'_>) -> fmt::Result {
    let mut all = TopicCounts::default();
    scrape.topics.values().for_each(|counts| all.add(counts));
    for (name, help, count) in TOPIC_METRICS {
        let row = |topic, counts: &TopicCounts| -> ([Label<'_>; 1], f64) { ([("topic", topic)], count(counts) as f64) };
        let rows = scrape.topics.iter().map(|(topic, counts)| row(topic, counts));
        let rows = rows.chain([row("", &all)]);
        to.counters(&format!("kafka_server_brokertopicmetrics_{name}"), help, rows)?;
    }
    Ok(())
}

/// Kafka counts a fetch of a consumer under two names.
fn names(row: &RequestTimes) -> impl Iterator<Item = &'static str> {
    let name = row.api_key.name();
    [name].into_iter().chain((name == "Fetch").then_some("FetchConsumer"))
}

fn requests(scrape: &Scrape, to: &mut Writer<'_>) -> fmt::Result {
    let versions: Vec<String> = (0..=VERSION_MAX).map(|version| version.to_string()).collect();
    let counted = scrape.requests.iter().flat_map(|row| names(row).map(move |name| (name, row)));
    let rows = counted.flat_map(|(name, row)| {
        let by_version = row.versions.iter().zip(&versions).filter(|(count, _)| **count > 0);
        by_version.map(move |(count, version)| -> ([Label<'_>; 2], f64) {
            ([("request", name), ("version", version)], *count as f64)
        })
    });
    to.counters("kafka_network_requestmetrics_requests", "Requests answered", rows)?;
    for (phase, help, times) in PHASES {
        let name = format!("kafka_network_requestmetrics_{phase}timems");
        let timed = scrape.recent_requests.iter().flat_map(|row| names(row).map(move |name| (name, row)));
        let rows = timed.filter(|(_, row)| !row.total_us.is_empty()).flat_map(|(name, row)| {
            let times = times(row);
            QUANTILES.into_iter().map(move |quantile| -> ([Label<'_>; 2], f64) {
                ([("request", name), ("quantile", quantile)], times.map_or(0.0, |times| quantile_ms(times, quantile)))
            })
        });
        to.untyped(&name, help, rows)?;
        let counted = scrape.requests.iter().flat_map(|row| names(row).map(move |name| (name, row)));
        let rows =
            counted.map(|(name, row)| -> ([Label<'_>; 1], f64) { ([("request", name)], row.total_us.len() as f64) });
        to.untyped(&format!("{name}_count"), "Requests answered", rows)?;
    }
    flushes(scrape, to)?;
    let idle = "Share of the last five minutes in which the shards slept";
    to.gauge("kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent", idle, scrape.idle)?;
    to.gauge("kafka_network_socketserver_networkprocessoravgidle_percent", idle, scrape.idle)?;
    let connections = scrape.connections.iter().sum::<usize>() as f64;
    let all: [Label<'_>; 0] = [];
    to.untyped(
        "kafka_server_socket_server_metrics_connection_count",
        "Open connections of clients",
        [(all, connections)],
    )
}

/// A phase of a request with Kafka's name and words, and its times; `None` took no time.
type PhaseMetric = (&'static str, &'static str, fn(&RequestTimes) -> Option<&Histogram<u64>>);

/// In the last five minutes, in milliseconds. Those of one request add up to the first.
const PHASES: [PhaseMetric; 6] = [
    ("total", "Milliseconds from receiving a request to its answer being sent, in the last five minutes", |row| {
        Some(&row.total_us)
    }),
    (
        "requestqueue",
        "Milliseconds until a thread took the request up: none, its shard does when it is received",
        |_| None,
    ),
    ("local", "Milliseconds until there was an answer, disk and other shards included", |row| {
        Some(&row.handling_us).filter(|_| !waits_for_others(row.api_key))
    }),
    ("remote", "Milliseconds that Fetch waited for records and groups for their members", |row| {
        Some(&row.handling_us).filter(|_| waits_for_others(row.api_key))
    }),
    ("responsequeue", "Milliseconds until the answers to earlier requests were there", |row| Some(&row.queued_us)),
    ("responsesend", "Milliseconds until the answer had been sent", |row| Some(&row.sending_us)),
];

/// Whether an answer may be held back until some other client has done something.
fn waits_for_others(api_key: ApiKey) -> bool {
    matches!(api_key, ApiKey::Fetch | ApiKey::JoinGroup | ApiKey::SyncGroup)
}

fn quantile_ms(times_us: &Histogram<u64>, quantile: &str) -> f64 {
    times_us.value_at_quantile(quantile.parse().unwrap_or_default()) as f64 / MICROS_PER_MILLI
}

/// What makes appends durable: writes of commit logs, which several requests share.
fn flushes(scrape: &Scrape, to: &mut Writer<'_>) -> fmt::Result {
    const NAME: &str = "kafka_log_logflushstats_logflushrateandtimems";
    let recent = scrape.recent_flushes_us.iter().filter(|times| !times.is_empty());
    let rows = recent.flat_map(|times| {
        QUANTILES
            .into_iter()
            .map(move |quantile| -> ([Label<'_>; 1], f64) { ([("quantile", quantile)], quantile_ms(times, quantile)) })
    });
    to.untyped(NAME, "Milliseconds of a durable write of a commit log, in the last five minutes", rows)?;
    let all: [Label<'_>; 0] = [];
    to.untyped(&format!("{NAME}_count"), "Durable writes of commit logs", [(all, scrape.flushes_count as f64)])
}

/// One node leads all it has, and is in sync with itself. As in Kafka, min.insync.replicas is never more than the replicas.
fn replicas(scrape: &Scrape, to: &mut Writer<'_>) -> fmt::Result {
    const PREFIX: &str = "kafka_server_replicamanager_";
    let count = scrape.shards.iter().map(|shard| shard.partitions_count).sum::<usize>() as f64;
    for (name, help, value) in [
        ("partitioncount", "Partitions of this broker", count),
        ("leadercount", "Partitions that this broker leads", count),
        ("underreplicatedpartitions", "Partitions with fewer replicas in sync than replicas", 0.0),
        ("underminisrpartitioncount", "Partitions with fewer replicas in sync than min.insync.replicas", 0.0),
        ("atminisrpartitioncount", "Partitions with just min.insync.replicas, or all they can have, in sync", count),
        ("offlinereplicacount", "Replicas that are offline", 0.0),
    ] {
        to.gauge(&format!("{PREFIX}{name}"), help, value)?;
    }
    for (name, help) in [("isrshrinks", "Replicas that fell out of sync"), ("isrexpands", "Replicas that came back")] {
        to.counter(&format!("{PREFIX}{name}"), help, 0.0)?;
    }
    Ok(())
}

fn controller(scrape: &Scrape, to: &mut Writer<'_>) -> fmt::Result {
    let Some(metadata) = scrape.shards.iter().find_map(|shard| shard.metadata.as_ref()) else { return Ok(()) };
    let partitions = metadata.topics.iter().map(|(_, count)| count).sum::<usize>() as f64;
    for (name, help, value) in [
        ("activecontrollercount", "Whether this node is the active controller", 1.0),
        ("activebrokercount", "Brokers that are registered and not fenced", 1.0),
        ("fencedbrokercount", "Brokers that are fenced", 0.0),
        ("globaltopiccount", "Topics of the cluster", metadata.topics.len() as f64),
        ("globalpartitioncount", "Partitions of the cluster", partitions),
        ("offlinepartitionscount", "Partitions without a leader", 0.0),
        ("preferredreplicaimbalancecount", "Partitions that another than the preferred replica leads", 0.0),
    ] {
        to.gauge(&format!("kafka_controller_kafkacontroller_{name}"), help, value)?;
    }
    let help = "Elections of a replica that was not in sync";
    to.counter("kafka_controller_controllerstats_uncleanleaderelections", help, 0.0)?;
    let end_offset = metadata.end_offset as f64;
    for (name, help, value) in [
        ("current_leader", "The leader of the metadata quorum", f64::from(scrape.about.node_id)),
        ("current_epoch", "Its epoch", f64::from(metadata.leader_epoch)),
        ("log_end_offset", "End of the metadata log", end_offset),
        ("high_watermark", "End of what is committed of it", end_offset),
    ] {
        to.gauge(&format!("kafka_server_raftmetrics_{name}"), help, value)?;
    }
    let help = "What this node is in the metadata quorum";
    let state: [Label<'_>; 1] = [("current_state", "leader")];
    to.gauges("kafka_server_raftmetrics_current_state", help, [(state, 1.0)])?;
    let state: [Label<'_>; 1] = [("state", "leader")];
    to.gauges("kafka_server_raft_metrics_current_state_info", help, [(state, 1.0)])
}
