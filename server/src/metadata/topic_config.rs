//! The configuration of a topic as the broker uses it: resolved from all sources and parsed.

use std::rc::Rc;

use ringlog_core::log::{Durability, LogConfig};
use ringlog_core::record::{
    Codec, KeylessRule, ProduceRules, Recompression, TimestampRule, TimestampType, ValidationLevel,
};

use super::MetadataImage;
use crate::config::{ConfigSources, DynamicConfigs, Properties};

/// Our own key: `sync` or `page-cache`. A topic config record of an unknown name does Kafka no harm.
pub const DURABILITY: &str = "ringlog.durability";
/// What a compressed batch may grow to when it is opened.
const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;

/// One topic's configuration.
#[derive(Debug, Clone)]
pub struct TopicConfig {
    /// What an ack promises.
    pub durability: Durability,
    /// How its partitions are stored.
    pub log: Rc<LogConfig>,
    /// Checks on what is produced to it.
    pub produce: ProduceRules,
}

/// What is set for a broker, whatever the topic.
pub fn config_sources<'a>(image: &'a MetadataImage, node_id: i32, file: &'a Properties) -> ConfigSources<'a> {
    ConfigSources { broker: image.broker_configs(&node_id.to_string()), cluster: image.broker_configs(""), file }
}

impl TopicConfig {
    /// Resolves what is set for a topic, `topic`, and what it falls back on.
    pub fn resolve(sources: &ConfigSources<'_>, topic: &DynamicConfigs) -> Self {
        let values = Parsed { sources, topic };
        let is = |key: &str, wanted: &str| values.text(key) == wanted;
        let timestamp_type = match is("message.timestamp.type", "LogAppendTime") {
            true => TimestampType::LogAppendTime,
            false => TimestampType::CreateTime,
        };
        let policy = values.text("cleanup.policy");
        let (is_compacted, is_deleted) = (policy.contains("compact"), policy.contains("delete"));
        let log = LogConfig {
            segment_bytes: values.segment_bytes(),
            segment_ms: values.number("segment.ms"),
            segment_jitter_ms: values.number("segment.jitter.ms"),
            segment_index_bytes: values.number("segment.index.bytes"),
            index_interval_bytes: values.number("index.interval.bytes"),
            timestamp_type,
            is_deleted,
            retention_ms: values.number("retention.ms"),
            retention_bytes: values.number("retention.bytes"),
            file_delete_delay_ms: values.number("file.delete.delay.ms"),
            is_compacted,
            min_cleanable_dirty_ratio: values.number("min.cleanable.dirty.ratio"),
            min_compaction_lag_ms: values.number("min.compaction.lag.ms"),
            max_compaction_lag_ms: values.number("max.compaction.lag.ms"),
            flush_messages: values.number("flush.messages"),
            flush_ms: values.number("flush.ms"),
            preallocate: values.text("preallocate").eq_ignore_ascii_case("true"),
            delete_retention_ms: values.number("delete.retention.ms"),
        };
        let produce = ProduceRules {
            batch_bytes_max: values.number("max.message.bytes"),
            segment_bytes_max: log.segment_bytes as usize,
            decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
            level: ValidationLevel::Header,
            keyless: if is_compacted { KeylessRule::Reject } else { KeylessRule::Accept },
            timestamps: match timestamp_type {
                TimestampType::LogAppendTime => TimestampRule::LogAppendTime,
                TimestampType::CreateTime => TimestampRule::CreateTime {
                    before_max_ms: values.number("message.timestamp.before.max.ms"),
                    after_max_ms: values.number("message.timestamp.after.max.ms"),
                },
            },
            zstd: true,
            recompression: values.recompression(),
        };
        Self {
            durability: if is(DURABILITY, "page-cache") { Durability::PageCache } else { Durability::Sync },
            log: Rc::new(log),
            produce,
        }
    }
}

/// Reads values that were checked when they were set.
struct Parsed<'a> {
    sources: &'a ConfigSources<'a>,
    topic: &'a DynamicConfigs,
}

impl Parsed<'_> {
    fn text(&self, key: &str) -> String {
        self.sources.topic_value(self.topic, key).unwrap_or_default().trim().to_owned()
    }

    /// A taken-over metadata log may hold what nobody checked: then the default counts.
    fn number<T: std::str::FromStr>(&self, key: &str) -> T {
        let parse = |text: &str| text.trim().parse().ok();
        let set = self.sources.topic_value(self.topic, key).and_then(|value| parse(&value));
        let default = || crate::config::topic_config(key).and_then(|known| known.def.default).and_then(parse);
        set.or_else(default).expect("the default of a number is one")
    }

    /// `None` is `producer`.
    fn recompression(&self) -> Option<Recompression> {
        let (codec, level) = match self.text("compression.type").as_str() {
            "uncompressed" => (Codec::None, None),
            "gzip" => (Codec::Gzip, Some(self.number("compression.gzip.level")).filter(|level| *level >= 0)),
            "snappy" => (Codec::Snappy, None),
            "lz4" => (Codec::Lz4, None),
            "zstd" => (Codec::Zstd, Some(self.number("compression.zstd.level"))),
            _ => return None,
        };
        Some(Recompression { codec, level })
    }

    /// The keys for tests go below the minimum.
    fn segment_bytes(&self) -> u32 {
        let parse = |text: &String| text.trim().parse().ok();
        self.topic
            .get("internal.segment.bytes")
            .and_then(parse)
            .or_else(|| self.topic.get("segment.bytes").and_then(parse))
            .or_else(|| self.sources.value("ringlog.internal.segment.bytes").and_then(|text| text.parse().ok()))
            .unwrap_or_else(|| self.number("segment.bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(file: &[(&str, &str)], topic: &[(&str, &str)]) -> TopicConfig {
        let mut properties = Properties::default();
        file.iter().for_each(|(key, value)| properties.set(key, value));
        let topic = topic.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        TopicConfig::resolve(&ConfigSources { broker: None, cluster: None, file: &properties }, &topic)
    }

    #[test]
    fn defaults_are_those_of_kafka() {
        let config = resolve(&[], &[]);
        assert_eq!(*config.log, LogConfig::default());
        assert_eq!(config.durability, Durability::Sync);
        assert_eq!(config.produce.batch_bytes_max, 1_048_588);
        assert_eq!(config.produce.keyless, KeylessRule::Accept);
    }

    #[test]
    fn what_a_topic_sets_counts_before_what_the_broker_sets() {
        let file = &[("log.segment.bytes", "2000000"), ("message.max.bytes", "77"), ("log.roll.hours", "1")];
        let config = resolve(file, &[]);
        assert_eq!((config.log.segment_bytes, config.log.segment_ms), (2_000_000, 3_600_000));
        assert_eq!(config.produce.batch_bytes_max, 77);
        let topic = &[
            ("segment.bytes", "3000000"),
            ("max.message.bytes", " 88 "),
            ("cleanup.policy", "compact,delete"),
            ("message.timestamp.type", "LogAppendTime"),
            (DURABILITY, "page-cache"),
        ];
        let config = resolve(file, topic);
        assert_eq!((config.log.segment_bytes, config.produce.batch_bytes_max), (3_000_000, 88));
        assert_eq!((config.durability, config.produce.keyless), (Durability::PageCache, KeylessRule::Reject));
        assert_eq!(config.produce.timestamps, TimestampRule::LogAppendTime);
        let codec = |topic: &[_]| resolve(&[("compression.type", "snappy")], topic).produce.recompression;
        assert_eq!(codec(&[]), Some(Recompression { codec: Codec::Snappy, level: None }));
        assert_eq!(codec(&[("compression.type", "producer")]), None);
        let zstd = &[("compression.type", "zstd"), ("compression.zstd.level", "-5")];
        assert_eq!(codec(zstd), Some(Recompression { codec: Codec::Zstd, level: Some(-5) }));
        assert_eq!(codec(&[("compression.type", "gzip")]), Some(Recompression { codec: Codec::Gzip, level: None }));
        let compacted = resolve(
            &[("log.cleaner.min.cleanable.ratio", "0.1"), ("log.cleaner.delete.retention.ms", "7")],
            &[("cleanup.policy", "compact"), ("max.compaction.lag.ms", "9"), ("min.compaction.lag.ms", "8")],
        );
        assert!(compacted.log.is_compacted && !compacted.log.is_deleted);
        assert_eq!((compacted.log.min_cleanable_dirty_ratio, compacted.log.delete_retention_ms), (0.1, 7));
        assert_eq!((compacted.log.min_compaction_lag_ms, compacted.log.max_compaction_lag_ms), (8, 9));
        assert_eq!(resolve(&[("log.retention.minutes", "2")], &[]).log.retention_ms, 120_000);
        let small = resolve(&[("ringlog.internal.segment.bytes", "4096")], &[]);
        assert_eq!(small.log.segment_bytes, 4096);
    }

    #[test]
    fn nonsense_in_a_taken_over_log_falls_back_on_the_default() {
        assert_eq!(resolve(&[], &[("segment.ms", "soon")]).log.segment_ms, LogConfig::default().segment_ms);
    }
}
