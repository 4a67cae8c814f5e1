//! How compaction works in a broker: the keys `log.cleaner.*`, resolved from all sources and divided among its shards.

use std::time::Duration;

use ringlog_core::log::CleanerConfig;

use crate::config::{ConfigSources, broker_config};

/// How one shard compacts its logs.
#[derive(Debug, Clone, PartialEq)]
pub struct ShardCleaner {
    /// `log.cleaner.enable`.
    pub is_enabled: bool,
    /// `log.cleaner.backoff.ms`: the pause after which a shard that had nothing to do looks again.
    pub backoff: Duration,
    /// Bounds of the work on one log.
    pub config: CleanerConfig,
}

impl ShardCleaner {
    /// One shard's share. The offset map never takes more than `memory_max` of it.
    pub fn resolve(sources: &ConfigSources<'_>, shards_count: u16, memory_max: usize) -> Self {
        let shards = usize::from(shards_count);
        let dedupe_buffer_bytes =
            usize::try_from(number::<i64>(sources, "log.cleaner.dedupe.buffer.size")).unwrap_or(0);
        Self {
            is_enabled: !sources.value("log.cleaner.enable").is_some_and(|text| text.eq_ignore_ascii_case("false")),
            backoff: Duration::from_millis(number(sources, "log.cleaner.backoff.ms")),
            config: CleanerConfig {
                dedupe_buffer_bytes: (dedupe_buffer_bytes / shards).min(memory_max),
                load_factor: number(sources, "log.cleaner.io.buffer.load.factor"),
                io_buffer_bytes: number::<usize>(sources, "log.cleaner.io.buffer.size") / shards,
                io_bytes_per_second: number::<f64>(sources, "log.cleaner.io.max.bytes.per.second") / shards as f64,
            },
        }
    }
}

/// What is nonsense in a taken-over metadata log counts as not set.
fn number<T: std::str::FromStr>(sources: &ConfigSources<'_>, key: &str) -> T {
    let parse = |text: &str| text.trim().parse().ok();
    let default = || broker_config(key).and_then(|def| def.default).and_then(parse);
    sources.value(key).and_then(parse).or_else(default).expect("the default of a number is one")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DynamicConfigs, Properties};

    fn resolve(file: &[(&str, &str)], cluster: &[(&str, &str)], shards_count: u16) -> ShardCleaner {
        let mut properties = Properties::default();
        file.iter().for_each(|(key, value)| properties.set(key, value));
        let cluster: DynamicConfigs =
            cluster.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let sources = ConfigSources { broker: None, cluster: Some(&cluster), file: &properties };
        ShardCleaner::resolve(&sources, shards_count, 100 << 20)
    }

    #[test]
    fn defaults_are_those_of_kafka() {
        let cleaner = resolve(&[], &[], 1);
        let bounded = CleanerConfig { dedupe_buffer_bytes: 100 << 20, ..CleanerConfig::default() };
        assert_eq!(cleaner, ShardCleaner { is_enabled: true, backoff: Duration::from_secs(15), config: bounded });
    }

    #[test]
    fn shards_share_what_the_broker_may_use() {
        let file = [("log.cleaner.enable", "false"), ("log.cleaner.io.max.bytes.per.second", "1000")];
        let set = [("log.cleaner.dedupe.buffer.size", "4096"), ("log.cleaner.io.buffer.size", "77x")];
        let ShardCleaner { is_enabled, config, .. } = resolve(&file, &set, 4);
        assert!(!is_enabled);
        assert_eq!((config.dedupe_buffer_bytes, config.io_buffer_bytes), (1024, 128 << 10));
        assert_eq!((config.load_factor, config.io_bytes_per_second), (0.9, 250.0));
    }
}
