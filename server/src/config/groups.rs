//! The settings of consumer groups.

use super::values::Values;
use super::{ConfigSources, DynamicConfigs};

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
    /// `group.consumer.min.session.timeout.ms` to `group.consumer.max.session.timeout.ms`.
    pub consumer_session_timeout_bounds_ms: (i32, i32),
    /// `group.consumer.min.heartbeat.interval.ms` to `group.consumer.max.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_bounds_ms: (i32, i32),
    /// `group.consumer.min.assignment.interval.ms` to `group.consumer.max.assignment.interval.ms`.
    pub consumer_assignment_interval_bounds_ms: (i32, i32),
    /// `group.consumer.max.size`.
    pub consumer_max_size: usize,
    /// `group.consumer.migration.policy`.
    pub migration_policy: MigrationPolicy,
}

/// The times of the consumer protocol that one group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerTimes {
    /// A member that is silent for this long is removed.
    pub session_timeout_ms: i32,
    /// How often members send heartbeats.
    pub heartbeat_interval_ms: i32,
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
            consumer_session_timeout_bounds_ms: (45_000, 60_000),
            consumer_heartbeat_interval_bounds_ms: (5000, 15_000),
            consumer_assignment_interval_bounds_ms: (0, 15_000),
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
            consumer_session_timeout_bounds_ms: (
                values.number("group.consumer.min.session.timeout.ms", 1..=INT, 45_000),
                values.number("group.consumer.max.session.timeout.ms", 1..=INT, 60_000),
            ),
            consumer_heartbeat_interval_bounds_ms: (
                values.number("group.consumer.min.heartbeat.interval.ms", 1..=INT, 5000),
                values.number("group.consumer.max.heartbeat.interval.ms", 1..=INT, 15_000),
            ),
            consumer_assignment_interval_bounds_ms: (
                values.number("group.consumer.min.assignment.interval.ms", 0..=INT, 0),
                values.number("group.consumer.max.assignment.interval.ms", 0..=INT, 15_000),
            ),
            consumer_max_size: values.number("group.consumer.max.size", 1..=INT as usize, default.consumer_max_size),
            migration_policy: read_migration_policy(values).unwrap_or(default.migration_policy),
        }
    }
}

const ASSIGNMENT_INTERVAL: &str = "consumer.assignment.interval.ms";
const SESSION_TIMEOUT: &str = "consumer.session.timeout.ms";
const HEARTBEAT_INTERVAL: &str = "consumer.heartbeat.interval.ms";

impl GroupSettings {
    /// The times of a group, given what is set for it; what lies outside of the broker's bounds is moved to them.
    pub fn consumer_times(&self, set: Option<&DynamicConfigs>) -> ConsumerTimes {
        let of_group = |key, bounds| within(set?.get(key)?, bounds);
        ConsumerTimes {
            session_timeout_ms: of_group(SESSION_TIMEOUT, self.consumer_session_timeout_bounds_ms)
                .unwrap_or(self.consumer_session_timeout_ms),
            heartbeat_interval_ms: of_group(HEARTBEAT_INTERVAL, self.consumer_heartbeat_interval_bounds_ms)
                .unwrap_or(self.consumer_heartbeat_interval_ms),
        }
    }

    /// How old a group's target assignment must be before another is computed, given what is set for the group and for
    /// the broker.
    pub fn consumer_assignment_interval_ms(&self, set: Option<&DynamicConfigs>, of_broker_ms: i32) -> i32 {
        let (min, max) = self.consumer_assignment_interval_bounds_ms;
        let of_group = set.and_then(|set| within(set.get(ASSIGNMENT_INTERVAL)?, (min, max)));
        of_group.unwrap_or(of_broker_ms.min(max).max(min))
    }

    /// Why a group cannot have this value, beside what [`check_group_config`](super::check_group_config) says.
    pub fn check_consumer_bounds(&self, key: &str, value: &str) -> Result<(), String> {
        let (name, (min, max)) = match key {
            ASSIGNMENT_INTERVAL => ("assignment.interval.ms", self.consumer_assignment_interval_bounds_ms),
            SESSION_TIMEOUT => ("session.timeout.ms", self.consumer_session_timeout_bounds_ms),
            HEARTBEAT_INTERVAL => ("heartbeat.interval.ms", self.consumer_heartbeat_interval_bounds_ms),
            _ => return Ok(()),
        };
        match value.trim().parse::<i32>() {
            Ok(value) if value < min => {
                Err(format!("{key} must be greater than or equal to group.consumer.min.{name}"))
            }
            Ok(value) if value > max => Err(format!("{key} must be less than or equal to group.consumer.max.{name}")),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// `group.consumer.assignment.interval.ms` as it is set for the broker now.
pub fn consumer_assignment_interval_ms(sources: &ConfigSources<'_>) -> i32 {
    let set = sources.value("group.consumer.assignment.interval.ms");
    set.and_then(|value| value.trim().parse().ok()).unwrap_or(1000)
}

/// A number of milliseconds that is set for a group, moved into the broker's bounds.
fn within(value: &str, (min, max): (i32, i32)) -> Option<i32> {
    let value: i32 = value.parse().ok()?;
    Some(value.min(max).max(min))
}

fn read_migration_policy(values: &mut Values<'_>) -> Option<MigrationPolicy> {
    const KEY: &str = "group.consumer.migration.policy";
    let policy = MigrationPolicy::from_name(values.text(KEY)?);
    policy.or_else(|| values.invalid(KEY, "must be disabled, upgrade, downgrade or bidirectional"))
}
