//! Workload files of the OpenMessaging Benchmark, as flags of `mixed`.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::Mixed;
use crate::plan::Rate;
use crate::workload::{KeySpec, Sizes};

/// Different keys of a workload that has keys: that benchmark draws them from a pool of this size.
const KEYS: usize = 10_000;
/// Commits per second of each subscription.
const COMMITS_PER_SUBSCRIPTION: f64 = 10.0;

/// Flags whose part a file takes.
pub(super) const SAYS: [&str; 12] = [
    "partitions",
    "connections",
    "duration",
    "warmup",
    "rate",
    "record_bytes",
    "keys",
    "compressible",
    "readers",
    "groups",
    "commit_rate",
    "records_rate",
];

/// What a file says, as far as it is used here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Workload {
    #[serde(default = "one")]
    topics: usize,
    #[serde(default = "one")]
    partitions_per_topic: usize,
    #[serde(default)]
    key_distributor: KeyDistributor,
    #[serde(default = "kibibyte")]
    message_size: usize,
    #[serde(default)]
    use_randomized_payloads: bool,
    #[serde(default)]
    random_bytes_ratio: f64,
    #[serde(default = "one")]
    subscriptions_per_topic: usize,
    #[serde(default = "one")]
    producers_per_topic: usize,
    #[serde(default)]
    producer_rate: f64,
    #[serde(default, rename = "consumerBacklogSizeGB")]
    consumer_backlog_size_gb: f64,
    #[serde(default = "one")]
    test_duration_minutes: usize,
    #[serde(default = "one")]
    warmup_duration_minutes: usize,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum KeyDistributor {
    #[default]
    NoKey,
    KeyRoundRobin,
    RandomNano,
}

fn one() -> usize {
    1
}

fn kibibyte() -> usize {
    1 << 10
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum OmbError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// It is no such file.
    #[error("it is no workload of the OpenMessaging Benchmark: {0}")]
    Form(String),
    /// It asks for what this load generator does not do.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl Mixed {
    /// Takes over what the file says. A rate of 0, which there means a search for the highest one, is a closed loop here.
    pub fn apply_omb(&mut self, path: &Path) -> Result<(), OmbError> {
        self.apply_omb_text(&std::fs::read_to_string(path)?)
    }

    fn apply_omb_text(&mut self, text: &str) -> Result<(), OmbError> {
        let workload: Workload = serde_saphyr::from_str(text).map_err(|error| OmbError::Form(error.to_string()))?;
        if workload.topics != 1 {
            return Err(OmbError::Unsupported("it has several topics: run one process for each"));
        }
        if workload.consumer_backlog_size_gb > 0.0 {
            return Err(OmbError::Unsupported("it builds up a backlog, which is a `produce` and then a `fetch` here"));
        }
        if workload.test_duration_minutes == 0 {
            return Err(OmbError::Unsupported("it measures for no time"));
        }
        let partitions = workload.partitions_per_topic.max(1);
        let minutes = |count: usize| Duration::from_secs(60 * count as u64);
        let common = &mut self.common;
        common.partitions = Some(i32::try_from(partitions).unwrap_or(i32::MAX));
        common.connections = workload.producers_per_topic.max(1);
        (common.warmup, common.duration) =
            (minutes(workload.warmup_duration_minutes), minutes(workload.test_duration_minutes));
        self.payload.record_bytes = Sizes::List(vec![workload.message_size]);
        self.payload.keys = match workload.key_distributor {
            KeyDistributor::NoKey => KeySpec::None,
            KeyDistributor::KeyRoundRobin => KeySpec::RoundRobin(KEYS),
            KeyDistributor::RandomNano => KeySpec::Uniform(KEYS),
        };
        let random = if workload.use_randomized_payloads { workload.random_bytes_ratio.clamp(0.0, 1.0) } else { 0.0 };
        self.payload.compressible = 1.0 - random;
        // Every subscription reads every partition.
        let subscriptions = workload.subscriptions_per_topic;
        self.readers = u32::try_from(subscriptions * partitions).unwrap_or(u32::MAX).max(1);
        self.groups = u32::try_from(subscriptions).unwrap_or(u32::MAX).max(1);
        self.commit_rate = Rate::PerSecond(COMMITS_PER_SUBSCRIPTION * f64::from(self.groups));
        self.records_rate = (workload.producer_rate > 0.0).then_some(workload.producer_rate);
        common.rate = Rate::Max;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn mixed() -> Mixed {
        let typed = "ringlog-loadgen mixed --bootstrap h:1 --topic t";
        match Cli::try_parse_from(typed.split(' ')).expect("well formed").command {
            Command::Mixed(mixed) => *mixed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_workload_becomes_flags() {
        let mut flags = mixed();
        let file = "name: 1 topic / 16 partitions / 1Kb\n\ntopics: 1\npartitionsPerTopic: 16\nmessageSize: 1024\n\
                    useRandomizedPayloads: true\nrandomBytesRatio: 0.5\nrandomizedPayloadPoolSize: 1000\n\n\
                    subscriptionsPerTopic: 2\nconsumerPerSubscription: 1\nproducersPerTopic: 4\nproducerRate: 50000\n\
                    keyDistributor: \"KEY_ROUND_ROBIN\"\nconsumerBacklogSizeGB: 0\ntestDurationMinutes: 15\n";
        flags.apply_omb_text(file).expect("well formed");
        assert_eq!((flags.common.partitions, flags.common.connections, flags.readers), (Some(16), 4, 32));
        assert_eq!((flags.records_rate, flags.payload.compressible), (Some(50_000.0), 0.5));
        assert_eq!(flags.payload.keys, KeySpec::RoundRobin(KEYS));
        assert_eq!(flags.common.duration, Duration::from_secs(900));
    }

    #[test]
    fn a_flag_that_the_file_decides_is_refused_and_not_forgotten() {
        for flag in ["--duration 10s", "--rate 5", "--record-bytes 10", "--readers 2"] {
            let typed = format!("ringlog-loadgen mixed --bootstrap h:1 --topic t --omb-workload f {flag}");
            assert!(Cli::try_parse_from(typed.split(' ')).is_err(), "{flag}");
        }
    }

    #[test]
    fn what_is_not_done_here_is_said() {
        for file in ["topics: 100", "testDurationMinutes: 0", "consumerBacklogSizeGB: 100", "topics: many", "- a list"]
        {
            assert!(mixed().apply_omb_text(file).is_err(), "{file}");
        }
    }
}
