//! The command line, as typed.

mod common;
mod completion;
mod group;
mod kafka;
mod kafka_consumer;
mod omb;
mod payload;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};

use ringlog_core::record::Codec;

pub use common::{Common, Durability};
pub use completion::completion;
pub use group::Group;
pub use kafka::{Changed, KafkaProducerFlags, PropertyError};
pub use kafka_consumer::KafkaConsumerFlags;
pub use omb::OmbError;
pub use payload::{Acks, Compression, Payload};

use crate::plan::Rate;
use crate::units::{parse_bytes, parse_duration};
use crate::workload::stamp::{SEAL_BYTES, STAMP_BYTES};
use crate::workload::{BatchSpec, FetchMode, FetchSpec, KeySpec, ProduceSpec, Sizes};

/// Drives any Kafka-compatible broker over its wire protocol, measures it and checks what it answers.
///
/// Exit codes: 0 fine, 1 could not run, 2 wrong usage, 3 answers or records are wrong, 4 requests failed, 99 a threshold
/// is not met.
#[derive(Debug, Parser)]
#[command(name = "ringlog-loadgen", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// One kind of load.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sends record batches.
    Produce(Box<Produce>),
    /// Reads what the topic holds, round and round or at random.
    Fetch(Box<Fetch>),
    /// Commits offsets for many groups, and asks at the end what they have.
    Commit(Commit),
    /// Heartbeats, new members, rebalances and committed offsets of consumer groups.
    #[command(subcommand)]
    Group(Box<Group>),
    /// One producer, one consumer that waits at the end of the log: latency from the plan to the arrival.
    E2e(EndToEnd),
    /// New connections, each with ApiVersions and Metadata, `--connections` at a time.
    Connect(Connect),
    /// Produce, readers at the end of the log and commits at the same time.
    Mixed(Box<Mixed>),
    /// Prints a completion script for a shell.
    Completion {
        /// Which one
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// A target that keeps nothing: measures how much this load generator can do.
    Sink(Sink),
}

/// Flags of `produce`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        ringlog-loadgen produce --bootstrap 127.0.0.1:9092 --topic t --partitions 100 \
                        --connections 4 --batch-bytes 16k --rate 5k/s --duration 10s\n  \
                        ringlog-loadgen produce --bootstrap 127.0.0.1:9092 --topic t --partitions 6 --keys zipf:10000 \
                        --compression lz4 --compressible 0.7 --idempotent --verify")]
pub struct Produce {
    #[command(flatten)]
    /// Flags of every kind of load.
    pub common: Common,
    #[command(flatten)]
    /// What is sent.
    pub payload: Payload,
    /// Each connection is an idempotent producer: what failed is sent again
    #[arg(long)]
    pub idempotent: bool,
    /// Read everything back afterwards and compare it with what was acknowledged
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    /// Flags of Kafka's tool.
    pub kafka: KafkaProducerFlags,
}

/// Flags of `fetch`.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("counted").args(["num_records", "requests"]),
    after_help = "Example: ringlog-loadgen fetch --bootstrap 127.0.0.1:9092 --topic t --connections 2 --inflight 1"
)]
pub struct Fetch {
    #[command(flatten)]
    /// Flags of every kind of load.
    pub common: Common,
    /// Bytes of one answer, about
    #[arg(long, alias = "fetch-size", default_value = "1m", value_parser = parse_bytes)]
    pub max_bytes: usize,
    /// Bytes that an answer waits for
    #[arg(long, default_value = "1", value_parser = parse_bytes)]
    pub min_bytes: usize,
    /// How long it waits for them at most
    #[arg(long, default_value = "500ms", value_parser = parse_duration)]
    pub max_wait: Duration,
    /// Single batches at random offsets
    #[arg(long, conflicts_with = "max_bytes")]
    pub random: bool,
    /// End after so many requests, all of them measured, instead of after a time
    #[arg(long)]
    pub requests: Option<u64>,
    /// What others produce from now on; each request in flight is a reader of its own
    #[arg(long, alias = "from-latest", conflicts_with = "random")]
    pub tail: bool,
    #[command(flatten)]
    /// Flags of Kafka's tool.
    pub kafka: KafkaConsumerFlags,
}

/// Flags of `commit`.
#[derive(Debug, Args)]
#[command(after_help = "Example: ringlog-loadgen commit --bootstrap 127.0.0.1:9092 --topic t --partitions 10 \
                        --groups 100 --connections 8 --inflight 8")]
pub struct Commit {
    #[command(flatten)]
    /// Flags of every kind of load; each commit is for all partitions of the topic.
    pub common: Common,
    /// Groups without members
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub groups: u32,
    /// Their names start so
    #[arg(long, default_value = "loadgen")]
    pub group_prefix: String,
    /// How often a commit is sent once more that was lost or refused by a broker that is not, or not yet, its group's
    /// coordinator; it counts as one, from its planned instant to its last answer
    #[arg(long, default_value_t = 0)]
    pub retries: u32,
}

/// Flags of `e2e`.
#[derive(Debug, Args)]
#[command(after_help = "Example: ringlog-loadgen e2e --bootstrap 127.0.0.1:9092 --topic t --partitions 1 --rate 1k/s")]
pub struct EndToEnd {
    #[command(flatten)]
    /// Flags of every kind of load.
    pub common: Common,
    /// Bytes of one record's value, at least 40
    #[arg(long, default_value = "100", value_parser = parse_bytes)]
    pub record_bytes: usize,
    /// Records of one request
    #[arg(long, default_value_t = 1)]
    pub records_per_batch: usize,
    /// Readers of each partition
    #[arg(long, default_value_t = 1)]
    pub fan_out: usize,
    /// Who acknowledges
    #[arg(long, value_enum, default_value = "all")]
    pub acks: Acks,
}

/// Flags of `connect`.
#[derive(Debug, Args)]
#[command(after_help = "Example: ringlog-loadgen connect --bootstrap 127.0.0.1:9092 --topic t --partitions 1 \
                        --connections 50 --idle 1000 --duration 10s")]
pub struct Connect {
    #[command(flatten)]
    /// Flags of every kind of load.
    pub common: Common,
    /// Connections that are made before, do nothing, and have to be there afterwards
    #[arg(long, default_value_t = 0)]
    pub idle: usize,
}

/// Flags of `mixed`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: ringlog-loadgen mixed --bootstrap 127.0.0.1:9092 --topic t --partitions 6 --rate 1k/s \
                        --readers 12 --groups 50 --commit-rate 200/s"
)]
pub struct Mixed {
    #[command(flatten)]
    /// Flags of every kind of load; connections, requests in flight and rate are of what produces.
    pub common: Common,
    #[command(flatten)]
    /// What is sent.
    pub payload: Payload,
    /// A workload file of the OpenMessaging Benchmark, instead of the flags that say the same
    #[arg(long, value_name = "FILE", conflicts_with_all = omb::SAYS)]
    pub omb_workload: Option<PathBuf>,
    /// Records per second, instead of requests per second by --rate
    #[arg(long, value_name = "N", conflicts_with = "rate")]
    pub records_rate: Option<f64>,
    /// Connections that read what comes, each one partition
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub readers: u32,
    /// Groups that commit, without members
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub groups: u32,
    /// Commits per second of all groups
    #[arg(long, default_value = "100/s")]
    pub commit_rate: Rate,
}

/// Flags of `sink`.
#[derive(Debug, Args)]
pub struct Sink {
    /// Where to listen
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:19900")]
    pub listen: SocketAddr,
    /// Keep what is produced in memory, up to 1 GiB, to be fetched again
    #[arg(long)]
    pub keep: bool,
    /// Hold back each answer
    #[arg(long, default_value = "0s", value_parser = parse_duration)]
    pub delay: Duration,
    /// Pin to this core
    #[arg(long)]
    pub core: Option<usize>,
}

impl Command {
    /// The flags that most kinds of load have.
    pub fn common(&self) -> Option<&Common> {
        match self {
            Self::Produce(flags) => Some(&flags.common),
            Self::Fetch(flags) => Some(&flags.common),
            Self::Commit(flags) => Some(&flags.common),
            Self::Group(group) => Some(group.common()),
            Self::E2e(flags) => Some(&flags.common),
            Self::Connect(flags) => Some(&flags.common),
            Self::Mixed(flags) => Some(&flags.common),
            Self::Completion { .. } | Self::Sink(_) => None,
        }
    }
}

impl Fetch {
    /// As meant.
    pub fn spec(&self) -> FetchSpec {
        let mode = match (self.random, self.tail) {
            (true, _) => FetchMode::Random,
            (_, true) => FetchMode::Tail,
            _ => FetchMode::Sequential,
        };
        let (max_bytes, min_bytes, max_wait) = (self.max_bytes, self.min_bytes, self.max_wait);
        FetchSpec { max_bytes, min_bytes, max_wait, mode, seed: self.common.seed }
    }
}

impl Mixed {
    /// How the readers read.
    pub fn fetch_spec(&self) -> FetchSpec {
        FetchSpec {
            max_bytes: 1 << 20,
            min_bytes: 1,
            max_wait: Duration::from_millis(500),
            mode: FetchMode::Tail,
            seed: self.common.seed,
        }
    }
}

impl EndToEnd {
    /// As meant.
    pub fn spec(&self) -> ProduceSpec {
        let size = self.record_bytes.max(STAMP_BYTES + SEAL_BYTES);
        let batch = BatchSpec {
            batch_bytes: 0,
            records: Some(self.records_per_batch),
            sizes: Sizes::List(vec![size]),
            keys: KeySpec::None,
            codec: Codec::None,
            compressible: 0.0,
            seed: self.common.seed,
        };
        ProduceSpec { batch, partitions_per_request: 1, acks: self.acks.code() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        let typed = "ringlog-loadgen produce --bootstrap h:1 --topic t --acks 1 --rate 5k/s --threshold p99<5ms";
        let produce = produce(typed);
        let spec = produce.payload.spec(1);
        assert_eq!((spec.acks, spec.batch.batch_bytes), (1, 16_384));
        assert_eq!(produce.common.load(0).rate, Rate::PerSecond(5_000.0));
    }

    fn produce(typed: &str) -> Produce {
        match Cli::try_parse_from(typed.split(' ')).expect("well formed").command {
            Command::Produce(produce) => *produce,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_command_line_of_kafka_producer_perf_test_is_understood() {
        let mut flags = produce(
            "ringlog-loadgen produce --bootstrap-server h:1 --topic t --num-records 1000 --record-size 200 --throughput 500 \
             --producer-props acks=0 batch.size=1000 linger.ms=5 compression.type=zstd enable.idempotence=true",
        );
        let changed = flags.kafka.apply(&mut flags.payload).expect("known properties");
        assert_eq!(changed, Changed { in_flight: None, is_idempotent: true });
        let spec = flags.payload.spec(1);
        assert_eq!((spec.acks, spec.batch.batch_bytes, spec.batch.codec), (0, 1_000, Codec::Zstd));
        assert_eq!((flags.kafka.num_records, flags.kafka.rate(5)), (Some(1_000), Some(Rate::PerSecond(100.0))));
        flags.kafka.producer_props = vec!["no.such=1".to_owned()];
        assert!(flags.kafka.apply(&mut flags.payload).is_err());
    }
}
