//! `ringlog-bench`: runs Ringlog and Apache Kafka side by side, compares, reports and gates.
//!
//! It knows brokers only over the wire and as processes: it starts them, drives them with `ringlog-loadgen`, reads
//! `/proc`, and does the arithmetic.
//!
//! Invariants:
//! - Durability classes are never mixed in one table without its title saying so ([`tables`]).
//! - What was not measured has no figure but a reason; losses are printed like wins.
//! - A process that was started here ends with this program, whatever ends it ([`process`]).
//! - What is written to `results/` names no path, user or host of this machine ([`scrub`]).

#![forbid(unsafe_code)]

mod build;
mod cli;
mod compaction;
mod cores;
mod environment;
mod figure;
mod gate;
mod limits;
mod load;
mod measure;
mod process;
mod report;
mod results;
mod runner;
mod scenario;
mod scrub;
mod stats;
mod tables;
mod target;
mod wire;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    if let Err(error) = process::end_with_this_program() {
        eprintln!("ringlog-bench: {error}");
        return ExitCode::FAILURE;
    }
    cli::run(cli::Cli::parse()).unwrap_or_else(|error| {
        eprintln!("ringlog-bench: {error:#}");
        ExitCode::FAILURE
    })
}
