//! How the metadata log is cut: into segments, by snapshots, and what is kept of both.

use std::time::Duration;

use super::values::Values;

/// Kafka's keys for its metadata log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataLogConfig {
    /// `metadata.log.max.record.bytes.between.snapshots`.
    pub record_bytes_between_snapshots: u64,
    /// `metadata.log.max.snapshot.interval.ms`; `None` is never for the time alone.
    pub snapshot_interval: Option<Duration>,
    /// `metadata.log.segment.bytes`.
    pub segment_bytes: u64,
    /// `metadata.log.segment.ms`.
    pub segment_ms: i64,
    /// `metadata.max.retention.bytes`, of segments and snapshots together; `None` is without bound.
    pub retention_bytes: Option<u64>,
    /// `metadata.max.retention.ms`; `None` is without bound.
    pub retention_ms: Option<i64>,
}

impl Default for MetadataLogConfig {
    fn default() -> Self {
        const WEEK_MS: i64 = 7 * 24 * 3_600_000;
        Self {
            record_bytes_between_snapshots: 20 << 20,
            snapshot_interval: Some(Duration::from_secs(3_600)),
            segment_bytes: 1 << 30,
            segment_ms: WEEK_MS,
            retention_bytes: Some(100 << 20),
            retention_ms: Some(WEEK_MS),
        }
    }
}

impl MetadataLogConfig {
    /// Reads the keys.
    pub(super) fn read(values: &mut Values<'_>) -> Self {
        let mut config = Self::default();
        let between = "metadata.log.max.record.bytes.between.snapshots";
        if let Some(bytes) = values.number_if_given(between, 1..=i64::MAX as u64) {
            config.record_bytes_between_snapshots = bytes;
        }
        if let Some(ms) = values.number_if_given("metadata.log.max.snapshot.interval.ms", 0..=i64::MAX as u64) {
            config.snapshot_interval = (ms > 0).then(|| Duration::from_millis(ms));
        }
        if let Some(bytes) = values.number_if_given("metadata.log.segment.bytes", 8 << 20..=i32::MAX as u64) {
            config.segment_bytes = bytes;
        }
        if let Some(ms) = values.number_if_given("metadata.log.segment.ms", 1..=i64::MAX) {
            config.segment_ms = ms;
        }
        if let Some(bytes) = values.number_if_given("metadata.max.retention.bytes", i64::MIN..=i64::MAX) {
            config.retention_bytes = u64::try_from(bytes).ok();
        }
        if let Some(ms) = values.number_if_given("metadata.max.retention.ms", i64::MIN..=i64::MAX) {
            config.retention_ms = (ms >= 0).then_some(ms);
        }
        config
    }
}

#[cfg(test)]
mod tests {
    use super::super::Properties;
    use super::*;

    #[test]
    fn the_keys_of_kafka() {
        let mut properties = Properties::default();
        let read = |properties: &Properties| MetadataLogConfig::read(&mut Values::new(properties));
        assert_eq!(read(&properties), MetadataLogConfig::default());
        for (key, value) in [
            ("metadata.log.max.record.bytes.between.snapshots", "5"),
            ("metadata.log.max.snapshot.interval.ms", "0"),
            ("metadata.log.segment.bytes", "8388608"),
            ("metadata.log.segment.ms", "6"),
            ("metadata.max.retention.bytes", "-1"),
            ("metadata.max.retention.ms", "7"),
        ] {
            properties.set(key, value);
        }
        let expected = MetadataLogConfig {
            record_bytes_between_snapshots: 5,
            snapshot_interval: None,
            segment_bytes: 8 << 20,
            segment_ms: 6,
            retention_bytes: None,
            retention_ms: Some(7),
        };
        assert_eq!(read(&properties), expected);
    }
}
