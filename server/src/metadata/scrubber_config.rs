//! How a broker looks for damage on its disk: `ringlog.scrub.*`, divided among its shards.

use std::time::Duration;

use crate::config::{ConfigSources, broker_config};

/// How one shard looks through its logs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShardScrubber {
    /// Its part of `ringlog.scrub.bytes.per.second`; 0 is not at all.
    pub bytes_per_second: f64,
    /// `ringlog.scrub.interval.ms`: from the beginning of a pass to that of the next.
    pub interval: Duration,
}

impl ShardScrubber {
    /// One shard's share.
    pub fn resolve(sources: &ConfigSources<'_>, shards_count: u16) -> Self {
        Self {
            bytes_per_second: number(sources, "ringlog.scrub.bytes.per.second") as f64 / f64::from(shards_count),
            interval: Duration::from_millis(number(sources, "ringlog.scrub.interval.ms")),
        }
    }
}

fn number(sources: &ConfigSources<'_>, key: &str) -> u64 {
    let parse = |text: &str| text.trim().parse().ok();
    let default = || broker_config(key).and_then(|def| def.default).and_then(parse);
    sources.value(key).and_then(parse).or_else(default).expect("the default of a number is one")
}
