//! What every kind of load has in common.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::client::TopicSpec;
use crate::plan::{Arrival, Rate};
use crate::run::{ControlSpec, End, Load};
use crate::threshold::Threshold;
use crate::units::{parse_duration, parse_length};

/// Flags of every kind of load.
#[derive(Debug, Args)]
pub struct Common {
    /// Any broker
    #[arg(long, alias = "bootstrap-server", value_name = "HOST:PORT")]
    pub bootstrap: String,
    /// The topic
    #[arg(long)]
    pub topic: String,
    /// Use so many partitions; a topic that is missing is created with them
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..))]
    pub partitions: Option<i32>,
    /// Topic configuration `ringlog.durability` when the topic is created
    #[arg(long, value_enum)]
    pub durability: Option<Durability>,
    /// Connections
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// Requests without an answer per connection
    #[arg(long, default_value_t = 5)]
    pub inflight: usize,
    /// Requests per second of all connections, a ramp such as `1k..10k` over the whole run, or `max` for a closed loop
    #[arg(long, default_value = "max")]
    pub rate: Rate,
    /// How the requests of an open loop are spread
    #[arg(long, value_enum, default_value = "constant")]
    pub arrival: Arrival,
    /// Requests of one connection that leave at the same instant, as one burst; the rate stays
    #[arg(long, default_value_t = 1)]
    pub burst: usize,
    /// The measured time
    #[arg(long, default_value = "5s", value_parser = parse_length)]
    pub duration: Duration,
    /// The same load before it, not measured
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    pub warmup: Duration,
    /// How long after the end what is late may still come, requests as well as answers; the rest has failed
    #[arg(long, default_value = "30s", value_parser = parse_duration)]
    pub drain: Duration,
    /// Threads, each with its own io_uring
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Pin the first thread to this core, the others to those behind it
    #[arg(long)]
    pub core: Option<usize>,
    /// Beside the load, so many requests of the same size per second go to a target that does nothing, in this process:
    /// what they take is the machine's share of the latency
    #[arg(long, value_name = "RATE", num_args = 0..=1, default_missing_value = "200")]
    pub control: Option<Rate>,
    /// Measure the CPU time of this process
    #[arg(long, value_name = "PID")]
    pub broker_pid: Option<u32>,
    /// Of plans and payloads
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A limit such as `p99<5ms`, `requests/s>1000` or `mb/s>100`; may be repeated
    #[arg(long)]
    pub threshold: Vec<Threshold>,
    /// The length of an interval of the curves over time
    #[arg(long, default_value = "1s", value_parser = parse_length)]
    pub interval: Duration,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the intervals as comma-separated values
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Write the intervals as an HdrHistogram log
    #[arg(long, value_name = "FILE")]
    pub hdr: Option<PathBuf>,
    /// No table on stdout
    #[arg(long)]
    pub quiet: bool,
}

/// Ringlog's classes of durability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Durability {
    /// Acknowledged means that it survives a power cut.
    Sync,
    /// Acknowledged means that the operating system has it.
    PageCache,
}

impl Common {
    /// As meant, with requests of about this size.
    pub fn load(&self, request_bytes: usize) -> Load {
        let control = match self.control {
            Some(Rate::PerSecond(rate)) => Some(ControlSpec { rate, bytes: request_bytes.max(1) }),
            Some(Rate::Ramp(..) | Rate::Max) | None => None,
        };
        Load {
            bootstrap: self.bootstrap.clone(),
            threads: self.threads,
            core: self.core,
            connections: self.connections.max(1),
            in_flight: self.inflight.max(1),
            retries_max: 0,
            rate: self.rate,
            arrival: self.arrival,
            burst: self.burst,
            end: End::Time,
            warmup: self.warmup,
            duration: self.duration,
            drain: self.drain,
            broker_pid: self.broker_pid,
            seed: self.seed,
            shown_as: (!self.quiet).then_some("running"),
            interval: self.interval,
            control,
            run_id: rand::random(),
        }
    }

    /// The topic as it should be.
    pub fn topic_spec(&self, with_offsets: bool) -> TopicSpec {
        let durability = self.durability.map(|class| match class {
            Durability::Sync => "sync",
            Durability::PageCache => "page-cache",
        });
        let configs = durability.map(|class| ("ringlog.durability".to_owned(), class.to_owned()));
        TopicSpec {
            name: self.topic.clone(),
            partitions: self.partitions,
            configs: configs.into_iter().collect(),
            with_offsets,
        }
    }
}
