//! Every key of Apache Kafka 4.3's group configuration, sorted, with the broker's key that a group falls back on.
//!
//! One key per line, so rustfmt leaves this file alone.

use super::Kind::{Boolean, Int, OneOf, Text};
use super::Update::ClusterWide;
use super::{ConfigDef, INT_MAX, acts, inert};

/// One key of a group.
#[derive(Debug)]
pub struct GroupConfigDef {
    /// Its definition.
    pub def: ConfigDef,
    /// The broker's key that gives the value of a group that has none.
    pub broker_key: Option<&'static str>,
}

const fn group(def: ConfigDef, broker_key: Option<&'static str>) -> GroupConfigDef {
    GroupConfigDef { def, broker_key }
}

/// All keys, sorted.
pub static GROUP_CONFIGS: &[GroupConfigDef] = &[
    group(acts("consumer.assignment.interval.ms", Int(0, INT_MAX), Some("1000"), ClusterWide, "The least time between two target assignments of a group of the consumer protocol."), Some("group.consumer.assignment.interval.ms")),
    group(acts("consumer.heartbeat.interval.ms", Int(1, INT_MAX), Some("5000"), ClusterWide, "How often members of the consumer protocol send heartbeats."), Some("group.consumer.heartbeat.interval.ms")),
    group(acts("consumer.session.timeout.ms", Int(1, INT_MAX), Some("45000"), ClusterWide, "Session timeout of members of the consumer protocol."), Some("group.consumer.session.timeout.ms")),
    group(inert("share.assignment.interval.ms", Int(0, INT_MAX), Some("1000"), ClusterWide), Some("group.share.assignment.interval.ms")),
    group(inert("share.auto.offset.reset", Text, Some("latest"), ClusterWide), None),
    group(inert("share.delivery.count.limit", Int(2, INT_MAX), Some("5"), ClusterWide), Some("group.share.delivery.count.limit")),
    group(inert("share.heartbeat.interval.ms", Int(1, INT_MAX), Some("5000"), ClusterWide), Some("group.share.heartbeat.interval.ms")),
    group(inert("share.isolation.level", OneOf(&["read_committed", "read_uncommitted"]), Some("read_uncommitted"), ClusterWide), None),
    group(inert("share.partition.max.record.locks", Int(100, INT_MAX), Some("2000"), ClusterWide), Some("group.share.partition.max.record.locks")),
    group(inert("share.record.lock.duration.ms", Int(1000, INT_MAX), Some("30000"), ClusterWide), Some("group.share.record.lock.duration.ms")),
    group(inert("share.renew.acknowledge.enable", Boolean, Some("true"), ClusterWide), None),
    group(inert("share.session.timeout.ms", Int(1, INT_MAX), Some("45000"), ClusterWide), Some("group.share.session.timeout.ms")),
    group(inert("streams.assignment.interval.ms", Int(0, INT_MAX), Some("1000"), ClusterWide), Some("group.streams.assignment.interval.ms")),
    group(inert("streams.heartbeat.interval.ms", Int(1, INT_MAX), Some("5000"), ClusterWide), Some("group.streams.heartbeat.interval.ms")),
    group(inert("streams.initial.rebalance.delay.ms", Int(0, INT_MAX), Some("3000"), ClusterWide), Some("group.streams.initial.rebalance.delay.ms")),
    group(inert("streams.num.standby.replicas", Int(0, INT_MAX), Some("0"), ClusterWide), Some("group.streams.num.standby.replicas")),
    group(inert("streams.session.timeout.ms", Int(1, INT_MAX), Some("45000"), ClusterWide), Some("group.streams.session.timeout.ms")),
];
