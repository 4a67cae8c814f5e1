//! Series for each partition, and for each offset that a group has committed: behind `ringlog.metrics.partitions`.

use std::collections::HashMap;
use std::fmt;

use super::Scrape;
use super::writer::{Label, Writer};
use crate::meters::{CommittedSnapshot, PartitionSnapshot};

pub(super) fn write(scrape: &Scrape, to: &mut Writer<'_>) -> fmt::Result {
    let partitions: Vec<Row<'_>> = scrape.shards.iter().flat_map(|shard| &shard.partitions).map(Row::new).collect();
    logs(&partitions, to)?;
    replicas(&partitions, to)?;
    groups(scrape, &partitions, to)?;
    let topics = scrape.shards.iter().filter_map(|shard| shard.metadata.as_ref()).flat_map(|all| &all.topics);
    let rows = topics.map(|(topic, count)| -> ([Label<'_>; 1], f64) { ([("topic", topic)], *count as f64) });
    to.gauges("kafka_topic_partitions", "Partitions of the topic", rows)?;
    to.gauge("kafka_brokers", "Brokers of the cluster", 1.0)?;
    let id = scrape.about.node_id.to_string();
    let labels: [Label<'_>; 1] = [("id", &id)];
    to.gauges("kafka_broker_info", "A broker of the cluster", [(labels, 1.0)])
}

/// A partition with its index as a label.
struct Row<'a> {
    partition: &'a PartitionSnapshot,
    index: String,
}

impl<'a> Row<'a> {
    fn new(partition: &'a PartitionSnapshot) -> Self {
        Self { partition, index: partition.partition_index.to_string() }
    }

    fn with(&self, value: f64) -> ([Label<'_>; 2], f64) {
        ([("topic", &self.partition.topic), ("partition", &self.index)], value)
    }
}

/// Sizes are those of logs that were needed since the start: asking must not open the others.
fn logs(partitions: &[Row<'_>], to: &mut Writer<'_>) -> fmt::Result {
    let stored = |row: &Row<'_>| row.partition.stored;
    let rows = partitions.iter().filter_map(|row| Some(row.with(stored(row)?.0 as f64)));
    to.gauges("kafka_log_log_size", "Bytes of the segments, of logs in use since the start", rows)?;
    let rows = partitions.iter().filter_map(|row| Some(row.with(stored(row)?.1 as f64)));
    to.gauges("kafka_log_log_numlogsegments", "Segments, of logs in use since the start", rows)?;
    for name in ["kafka_log_log_logendoffset", "kafka_topic_partition_current_offset"] {
        let rows = partitions.iter().map(|row| row.with(row.partition.high_watermark as f64));
        to.gauges(name, "Offset of the next record", rows)?;
    }
    for name in ["kafka_log_log_logstartoffset", "kafka_topic_partition_oldest_offset"] {
        let rows = partitions.iter().map(|row| row.with(row.partition.log_start_offset as f64));
        to.gauges(name, "First offset that can be read", rows)?;
    }
    Ok(())
}

/// One node is every partition's only replica.
fn replicas(partitions: &[Row<'_>], to: &mut Writer<'_>) -> fmt::Result {
    for (name, help, value) in [
        ("kafka_cluster_partition_replicascount", "Replicas", 1.0),
        ("kafka_cluster_partition_underminisr", "Whether fewer are in sync than min.insync.replicas", 0.0),
        ("kafka_cluster_partition_atminisr", "Whether just as many as that are in sync", 1.0),
        ("kafka_topic_partition_replicas", "Replicas", 1.0),
        ("kafka_topic_partition_in_sync_replica", "Replicas in sync", 1.0),
        ("kafka_topic_partition_leader_is_preferred", "Whether the preferred replica leads", 1.0),
        ("kafka_topic_partition_under_replicated_partition", "Whether replicas are not in sync", 0.0),
    ] {
        to.gauges(name, help, partitions.iter().map(|row| row.with(value)))?;
    }
    Ok(())
}

/// Committed offsets, and how far they are behind. A partition that is gone has no lag.
fn groups(scrape: &Scrape, partitions: &[Row<'_>], to: &mut Writer<'_>) -> fmt::Result {
    let partitions = partitions.iter().map(|row| row.partition);
    let ends: HashMap<(&str, i32), i64> =
        partitions.map(|one| ((&*one.topic, one.partition_index), one.high_watermark)).collect();
    let mut committed: Vec<&CommittedSnapshot> = scrape.shards.iter().flat_map(|shard| &shard.committed).collect();
    committed
        .sort_by(|a, b| (&a.group_id, &a.topic, a.partition_index).cmp(&(&b.group_id, &b.topic, b.partition_index)));
    let indexes: Vec<String> = committed.iter().map(|row| row.partition_index.to_string()).collect();
    let labels = |at: usize| -> [Label<'_>; 3] {
        let CommittedSnapshot { group_id, topic, .. } = committed[at];
        [("consumergroup", group_id), ("topic", topic), ("partition", &indexes[at])]
    };
    let rows = committed.iter().enumerate().map(|(at, row)| (labels(at), row.offset as f64));
    to.gauges("kafka_consumergroup_current_offset", "Committed offset of the group", rows)?;
    let rows = committed.iter().enumerate().filter_map(|(at, row)| {
        let end_offset = *ends.get(&(&*row.topic, row.partition_index))?;
        Some((labels(at), (end_offset - row.offset).max(0) as f64))
    });
    to.gauges("kafka_consumergroup_lag", "Records that the group has not read yet", rows)
}
