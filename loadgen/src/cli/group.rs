//! Flags of the kinds of load around consumer groups.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::Common;
use crate::run::RebalanceSpec;
use crate::units::parse_duration;

/// What the groups do. All of them are classic groups of members that run in this process.
#[derive(Debug, Subcommand)]
pub enum Group {
    /// Heartbeats of members that have nothing else to do, each alone in its group.
    Heartbeat(Heartbeat),
    /// Asks groups, which commit once before, what they have committed.
    FetchOffsets(FetchOffsets),
    /// New groups of one member: FindCoordinator, JoinGroup, SyncGroup; the member leaves behind it.
    Join(Join),
    /// One group whose members crash, one after the other: from the end of a session until all others have their part.
    Rebalance(Rebalance),
}

impl Group {
    /// The flags that all of them have.
    pub fn common(&self) -> &Common {
        match self {
            Self::Heartbeat(flags) => &flags.common,
            Self::FetchOffsets(flags) => &flags.common,
            Self::Join(flags) => &flags.common,
            Self::Rebalance(flags) => &flags.common,
        }
    }
}

/// Flags of `group heartbeat`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
                        ringlog-loadgen group heartbeat --bootstrap 127.0.0.1:9092 --topic t --partitions 1 \
                        --connections 8 --inflight 8\n  \
                        ringlog-loadgen group heartbeat --bootstrap 127.0.0.1:9092 --topic t --partitions 1 \
                        --members 10000 --connections 100 --rate 3333/s")]
pub struct Heartbeat {
    #[command(flatten)]
    /// Flags of every kind of load.
    pub common: Common,
    /// Members, which join before the run; every so many heartbeats each has had one
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub members: u32,
    /// After so long without a heartbeat a member is taken for dead
    #[arg(long, default_value = "60s", value_parser = parse_duration)]
    pub session: Duration,
    /// The groups' names start so
    #[arg(long, default_value = "loadgen-member")]
    pub group_prefix: String,
}

/// Flags of `group fetch-offsets`.
#[derive(Debug, Args)]
#[command(after_help = "Example: ringlog-loadgen group fetch-offsets --bootstrap 127.0.0.1:9092 --topic t \
                        --partitions 10 --groups 100 --connections 8 --inflight 8")]
pub struct FetchOffsets {
    #[command(flatten)]
    /// Flags of every kind of load; each question is for all partitions of the topic.
    pub common: Common,
    /// Groups without members
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub groups: u32,
    /// Their names start so
    #[arg(long, default_value = "loadgen-asked")]
    pub group_prefix: String,
}

/// Flags of `group join`.
#[derive(Debug, Args)]
#[command(after_help = "Example: ringlog-loadgen group join --bootstrap 127.0.0.1:9092 --topic t --partitions 1 \
                        --connections 4\n\
                        A broker waits group.initial.rebalance.delay.ms, 3 s by default, for more members.")]
pub struct Join {
    #[command(flatten)]
    /// Flags of every kind of load; so many groups at a time as connections.
    pub common: Common,
    /// The groups' names start so
    #[arg(long, default_value = "loadgen-new")]
    pub group_prefix: String,
}

/// Flags of `group rebalance`.
#[derive(Debug, Args)]
#[command(after_help = "Example: ringlog-loadgen group rebalance --bootstrap 127.0.0.1:9092 --topic t --partitions 1 \
                        --members 100 --session 6s --heartbeat 500ms --duration 60s\n\
                        A broker refuses sessions below group.min.session.timeout.ms, 6 s by default.")]
pub struct Rebalance {
    #[command(flatten)]
    /// Flags of every kind of load; connections, requests in flight and rate mean nothing here.
    pub common: Common,
    /// Members, each with a connection of its own
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub members: u32,
    /// After so long without a heartbeat a member is dead
    #[arg(long, default_value = "6s", value_parser = parse_duration)]
    pub session: Duration,
    /// From one heartbeat of a member to the next
    #[arg(long, default_value = "500ms", value_parser = parse_duration)]
    pub heartbeat: Duration,
    /// The group's name starts so
    #[arg(long, default_value = "loadgen-group")]
    pub group_prefix: String,
}

impl Rebalance {
    /// As meant.
    pub fn spec(&self) -> RebalanceSpec {
        RebalanceSpec {
            group_id: self.group_prefix.clone(),
            members: self.members as usize,
            session: self.session,
            heartbeat: self.heartbeat,
        }
    }
}
