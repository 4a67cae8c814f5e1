//! `ringlog-loadgen`: drives any Kafka-compatible broker over its wire protocol, measures it and checks what it answers.
//!
//! It knows brokers only over the wire. One thread per core, each with its own io_uring and its share of the connections.
//!
//! Invariants:
//! - Latency counts from the planned instant of a request ([`plan`]), however late it was sent.
//! - What a broker answers is checked while it is measured; a run whose answers are wrong fails ([`findings`]).

#![forbid(unsafe_code)]

pub mod acknowledged;
pub mod cli;
pub mod client;
pub mod coverage;
pub mod cpu;
pub mod findings;
pub mod measured;
pub mod output;
pub mod plan;
pub mod progress;
pub mod recorder;
pub mod report;
pub mod run;
pub mod series;
pub mod sink;
pub mod threshold;
pub mod units;
pub mod verify;
pub mod workload;
