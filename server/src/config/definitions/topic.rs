//! Every key of Apache Kafka 4.3's topic configuration and our own, sorted, with the broker's keys that a topic falls back on.
//!
//! One key per line, so rustfmt leaves this file alone.

use super::Kind::{Boolean, Double, Int, List, ListOf, Long, OneOf};
use super::Update::ClusterWide;
use super::{ConfigDef, INT_MAX, INT_MIN, LONG_MAX, LONG_MIN, acts, hidden, inert};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// One key of a topic.
#[derive(Debug)]
pub struct TopicConfigDef {
    /// Its definition.
    pub def: ConfigDef,
    /// The broker's keys that give the value of a topic that has none, the first that is set; each in how many of the
    /// topic key's units.
    pub broker_keys: &'static [(&'static str, i64)],
}

const fn topic(def: ConfigDef, broker_keys: &'static [(&'static str, i64)]) -> TopicConfigDef {
    TopicConfigDef { def, broker_keys }
}

/// All keys, sorted.
pub static TOPIC_CONFIGS: &[TopicConfigDef] = &[
    topic(acts("cleanup.policy", ListOf(&["compact", "delete"]), Some("delete"), ClusterWide, "delete: old segments are deleted. compact: the newest record of each key stays, and batches without keys are refused."), &[("log.cleanup.policy", 1)]),
    topic(acts("compression.gzip.level", Int(-1, 9), Some("-1"), ClusterWide, "Level of batches that the broker compresses with gzip; -1 is gzip's default."), &[("compression.gzip.level", 1)]),
    topic(inert("compression.lz4.level", Int(1, 17), Some("9"), ClusterWide), &[("compression.lz4.level", 1)]),
    topic(acts("compression.type", OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), Some("producer"), ClusterWide, "Codec of stored batches: producer keeps them as they were sent, others are written anew by the broker."), &[("compression.type", 1)]),
    topic(acts("compression.zstd.level", Int(-131_072, 22), Some("3"), ClusterWide, "Level of batches that the broker compresses with zstd."), &[("compression.zstd.level", 1)]),
    topic(acts("delete.retention.ms", Long(0, LONG_MAX), Some("86400000"), ClusterWide, "How long a tombstone stays after what it deletes is gone."), &[("log.cleaner.delete.retention.ms", 1)]),
    topic(acts("file.delete.delay.ms", Long(0, LONG_MAX), Some("60000"), ClusterWide, "Time between the renaming of a deleted segment and its removal."), &[("log.segment.delete.delay.ms", 1)]),
    topic(acts("flush.messages", Long(1, LONG_MAX), Some("9223372036854775807"), ClusterWide, "Of class page-cache: the append that leaves so many records unsynced is acked when they are synced. Class sync acks nothing else anyway."), &[("log.flush.interval.messages", 1)]),
    topic(acts("flush.ms", Long(0, LONG_MAX), Some("9223372036854775807"), ClusterWide, "Of class page-cache: records are synced after this time at the latest, also without log.flush.scheduler.interval.ms."), &[("log.flush.interval.ms", 1), ("log.flush.scheduler.interval.ms", 1)]),
    topic(inert("follower.replication.throttled.replicas", List, Some(""), ClusterWide), &[]),
    topic(acts("index.interval.bytes", Int(0, INT_MAX), Some("4096"), ClusterWide, "Log bytes between two entries of the offset index."), &[("log.index.interval.bytes", 1)]),
    topic(hidden(acts("internal.segment.bytes", Int(INT_MIN, INT_MAX), None, ClusterWide, "For tests: a segment size below the minimum of segment.bytes.")), &[]),
    topic(inert("leader.replication.throttled.replicas", List, Some(""), ClusterWide), &[]),
    topic(inert("local.retention.bytes", Long(-2, LONG_MAX), Some("-2"), ClusterWide), &[("log.local.retention.bytes", 1)]),
    topic(inert("local.retention.ms", Long(-2, LONG_MAX), Some("-2"), ClusterWide), &[("log.local.retention.ms", 1)]),
    topic(acts("max.compaction.lag.ms", Long(1, LONG_MAX), Some("9223372036854775807"), ClusterWide, "A record that waits for longer is compacted whatever the dirty ratio is."), &[("log.cleaner.max.compaction.lag.ms", 1)]),
    topic(acts("max.message.bytes", Int(0, INT_MAX), Some("1048588"), ClusterWide, "The largest batch that is taken."), &[("message.max.bytes", 1)]),
    topic(acts("message.timestamp.after.max.ms", Long(0, LONG_MAX), Some("3600000"), ClusterWide, "How far a record's timestamp may lie ahead of the broker's clock."), &[("log.message.timestamp.after.max.ms", 1)]),
    topic(acts("message.timestamp.before.max.ms", Long(0, LONG_MAX), Some("9223372036854775807"), ClusterWide, "How far a record's timestamp may lie behind the broker's clock."), &[("log.message.timestamp.before.max.ms", 1)]),
    topic(acts("message.timestamp.type", OneOf(&["CreateTime", "LogAppendTime"]), Some("CreateTime"), ClusterWide, "Whether records carry the producer's time or the broker's."), &[("log.message.timestamp.type", 1)]),
    topic(acts("min.cleanable.dirty.ratio", Double(0.0, 1.0), Some("0.5"), ClusterWide, "The part of a log that is not compacted yet from which on it is."), &[("log.cleaner.min.cleanable.ratio", 1)]),
    topic(acts("min.compaction.lag.ms", Long(0, LONG_MAX), Some("0"), ClusterWide, "How long a record stays before it may be compacted away."), &[("log.cleaner.min.compaction.lag.ms", 1)]),
    topic(acts("min.insync.replicas", Int(1, INT_MAX), Some("1"), ClusterWide, "In-sync replicas without which acks=all is refused, but never more than a partition has replicas."), &[("min.insync.replicas", 1)]),
    topic(acts("preallocate", Boolean, Some("false"), ClusterWide, "Whether a new segment gets its room on the disk at once; its length stays that of its records."), &[("log.preallocate", 1)]),
    topic(inert("remote.log.copy.disable", Boolean, Some("false"), ClusterWide), &[]),
    topic(inert("remote.log.delete.on.disable", Boolean, Some("false"), ClusterWide), &[]),
    topic(inert("remote.storage.enable", Boolean, Some("false"), ClusterWide), &[]),
    topic(acts("retention.bytes", Long(LONG_MIN, LONG_MAX), Some("-1"), ClusterWide, "Size of a partition beyond which its oldest segments are deleted; -1 is no bound."), &[("log.retention.bytes", 1)]),
    topic(acts("retention.ms", Long(-1, LONG_MAX), Some("604800000"), ClusterWide, "Age after which segments are deleted; -1 is no bound."), &[("log.retention.ms", 1), ("log.retention.minutes", MINUTE_MS), ("log.retention.hours", HOUR_MS)]),
    topic(acts("ringlog.durability", OneOf(&["sync", "page-cache"]), Some("sync"), ClusterWide, "What an ack promises: that the batch survives a power cut (sync), or that the operating system has it (page-cache)."), &[("ringlog.durability", 1)]),
    topic(acts("segment.bytes", Int(1_048_576, INT_MAX), Some("1073741824"), ClusterWide, "A segment never grows beyond this."), &[("log.segment.bytes", 1)]),
    topic(acts("segment.index.bytes", Int(4, INT_MAX), Some("10485760"), ClusterWide, "How large an index may grow before its segment is ended."), &[("log.index.size.max.bytes", 1)]),
    topic(acts("segment.jitter.ms", Long(0, LONG_MAX), Some("0"), ClusterWide, "Segments end up to this many milliseconds before segment.ms, each by another part of it."), &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR_MS)]),
    topic(acts("segment.ms", Long(1, LONG_MAX), Some("604800000"), ClusterWide, "Age at which a segment is ended."), &[("log.roll.ms", 1), ("log.roll.hours", HOUR_MS)]),
    topic(inert("unclean.leader.election.enable", Boolean, Some("false"), ClusterWide), &[("unclean.leader.election.enable", 1)]),
];
