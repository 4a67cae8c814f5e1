//! The settings of consumer groups.

use super::values::Values;

/// How the coordinators treat groups and offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSettings {
    /// `offsets.topic.num.partitions`.
    pub offsets_topic_partitions: i32,
    /// `offsets.topic.replication.factor`; -1, where it is not given, is `default.replication.factor`.
    pub offsets_topic_replication_factor: i16,
    /// `offsets.topic.segment.bytes`.
    pub offsets_topic_segment_bytes: u32,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: i64,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i32,
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout_ms: i32,
    /// `group.max.size`.
    pub max_size: usize,
    /// `group.consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.max.size`.
    pub consumer_max_size: usize,
    /// `group.consumer.migration.policy`.
    pub migration_policy: MigrationPolicy,
}

/// Whether groups with members change their protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// Only while they are empty.
    Disabled,
    /// From classic to consumer, when the first member of that protocol joins.
    Upgrade,
    /// From consumer to classic, when the last member of that protocol leaves.
    Downgrade,
    /// Both.
    Bidirectional,
}

impl MigrationPolicy {
    /// By Kafka's name.
    fn from_name(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "disabled" => Some(Self::Disabled),
            "upgrade" => Some(Self::Upgrade),
            "downgrade" => Some(Self::Downgrade),
            "bidirectional" => Some(Self::Bidirectional),
            _ => None,
        }
    }

    /// Whether a classic group becomes a consumer group.
    pub fn allows_upgrade(self) -> bool {
        matches!(self, Self::Upgrade | Self::Bidirectional)
    }

    /// Whether a consumer group becomes a classic group.
    pub fn allows_downgrade(self) -> bool {
        matches!(self, Self::Downgrade | Self::Bidirectional)
    }
}

impl Default for GroupSettings {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            offsets_topic_partitions: 50,
            offsets_topic_replication_factor: -1,
            offsets_topic_segment_bytes: 100 << 20,
            offset_metadata_max_bytes: 4096,
            offsets_retention_ms: 7 * 24 * 60 * 60_000,
            offsets_retention_check_interval_ms: 600_000,
            initial_rebalance_delay_ms: 3000,
            min_session_timeout_ms: 6000,
            max_session_timeout_ms: 1_800_000,
            max_size: i32::MAX as usize,
            consumer_session_timeout_ms: 45_000,
            consumer_heartbeat_interval_ms: 5000,
            consumer_max_size: i32::MAX as usize,
            migration_policy: MigrationPolicy::Bidirectional,
        }
    }
}

impl GroupSettings {
    /// Reads the keys, with Kafka's bounds and defaults.
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let default = Self::default();
        const INT: i32 = i32::MAX;
        let retention_minutes = values.number_if_given("offsets.retention.minutes", 1..=INT);
        Self {
            offsets_topic_partitions: values.number(
                "offsets.topic.num.partitions",
                1..=INT,
                default.offsets_topic_partitions,
            ),
            offsets_topic_replication_factor: values.number(
                "offsets.topic.replication.factor",
                1..=i16::MAX,
                default.offsets_topic_replication_factor,
            ),
            offsets_topic_segment_bytes: values.number(
                "offsets.topic.segment.bytes",
                1 << 20..=i32::MAX as u32,
                default.offsets_topic_segment_bytes,
            ),
            offset_metadata_max_bytes: values.number(
                "offset.metadata.max.bytes",
                0..=i16::MAX as usize / 3,
                default.offset_metadata_max_bytes,
            ),
            offsets_retention_ms: retention_minutes
                .map_or(default.offsets_retention_ms, |minutes| i64::from(minutes) * 60_000),
            offsets_retention_check_interval_ms: values.number(
                "offsets.retention.check.interval.ms",
                1..=i64::from(INT),
                default.offsets_retention_check_interval_ms,
            ),
            initial_rebalance_delay_ms: values.number(
                "group.initial.rebalance.delay.ms",
                0..=INT,
                default.initial_rebalance_delay_ms,
            ),
            min_session_timeout_ms: values.number(
                "group.min.session.timeout.ms",
                1..=INT,
                default.min_session_timeout_ms,
            ),
            max_session_timeout_ms: values.number(
                "group.max.session.timeout.ms",
                1..=INT,
                default.max_session_timeout_ms,
            ),
            max_size: values.number("group.max.size", 1..=INT as usize, default.max_size),
            consumer_session_timeout_ms: values.number(
                "group.consumer.session.timeout.ms",
                1..=INT,
                default.consumer_session_timeout_ms,
            ),
            consumer_heartbeat_interval_ms: values.number(
                "group.consumer.heartbeat.interval.ms",
                1..=INT,
                default.consumer_heartbeat_interval_ms,
            ),
            consumer_max_size: values.number("group.consumer.max.size", 1..=INT as usize, default.consumer_max_size),
            migration_policy: read_migration_policy(values).unwrap_or(default.migration_policy),
        }
    }
}

fn read_migration_policy(values: &mut Values<'_>) -> Option<MigrationPolicy> {
    const KEY: &str = "group.consumer.migration.policy";
    let policy = MigrationPolicy::from_name(values.text(KEY)?);
    policy.or_else(|| values.invalid(KEY, "must be disabled, upgrade, downgrade or bidirectional"))
}
