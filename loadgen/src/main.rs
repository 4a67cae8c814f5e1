//! The program `ringlog-loadgen`.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use ringlog_loadgen::cli::{Cli, Command, Common, EndToEnd, Fetch, Produce, Sink};
use ringlog_loadgen::plan::Rate;
use ringlog_loadgen::report::Report;
use ringlog_loadgen::run::{self, run};
use ringlog_loadgen::sink::{SinkConfig, serve};
use ringlog_loadgen::workload;
use serde_json::json;

const NOT_VERIFIED: u8 = 3;
const THRESHOLD_BROKEN: u8 = 99;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Produce(flags) => produce(&flags).and_then(|report| finish(&flags.common, &report)),
        Command::E2e(flags) => e2e(&flags).and_then(|report| finish(&flags.common, &report)),
        Command::Connect(flags) => connect(&flags).and_then(|report| finish(&flags, &report)),
        Command::Sink(flags) => sink(&flags),
        Command::Fetch(flags) => fetch(&flags).and_then(|report| finish(&flags.common, &report)),
    };
    done.unwrap_or_else(|error| {
        eprintln!("ringlog-loadgen: {error:#}");
        ExitCode::FAILURE
    })
}

fn produce(flags: &Produce) -> anyhow::Result<Report> {
    let (load, spec) = (flags.common.load(), flags.spec());
    let target = run::target(&load.bootstrap, &flags.common.topic_spec(false))?;
    let requests = target
        .by_leader()
        .into_iter()
        .map(|(leader, partitions)| Ok((leader, workload::Requests::build(&target, &partitions, &spec)?)))
        .collect::<anyhow::Result<HashMap<_, _>>>()?;
    let make = |connection: &run::Connection<'_>| {
        Ok(workload::Produce::new(&requests[&connection.leader], connection.index, connection.count))
    };
    run(&load, &target, make)
}

fn fetch(flags: &Fetch) -> anyhow::Result<Report> {
    let (load, spec) = (flags.common.load(), flags.spec());
    let target = run::target(&load.bootstrap, &flags.common.topic_spec(true))?;
    let make = |connection: &run::Connection<'_>| {
        Ok(workload::Fetch::new(&target, connection.partitions, &spec, connection.index, load.in_flight)?)
    };
    run(&load, &target, make)
}

fn e2e(flags: &EndToEnd) -> anyhow::Result<Report> {
    let load = flags.common.load();
    let target = run::target(&load.bootstrap, &flags.common.topic_spec(true))?;
    run::e2e(&load, &target, flags.record_bytes, flags.acks.code())
}

fn connect(flags: &Common) -> anyhow::Result<Report> {
    let load = flags.load();
    run::connect(&load, &run::target(&load.bootstrap, &flags.topic_spec(false))?)
}

fn sink(flags: &Sink) -> anyhow::Result<ExitCode> {
    run::pin(flags.core)?;
    let reactor = run::reactor()?;
    let listener = reactor.listen(flags.listen).with_context(|| format!("listen on {}", flags.listen))?;
    eprintln!("a sink listens on {}", listener.local_address());
    let config = SinkConfig { delay: flags.delay, ..SinkConfig::default() };
    reactor.block_on(serve(reactor.clone(), listener, config))?;
    Ok(ExitCode::SUCCESS)
}

fn finish(flags: &Common, report: &Report) -> anyhow::Result<ExitCode> {
    let loop_kind = if flags.rate == Rate::Max { "closed" } else { "open" };
    if !flags.quiet {
        // A reader that has gone away is no error.
        let _ = write!(
            std::io::stdout(),
            "{loop_kind} loop, {} connections x {} in flight\n{report}",
            flags.connections,
            flags.inflight
        );
    }
    if let Some(path) = &flags.json {
        let command: Vec<String> = std::env::args().collect();
        let settings = json!({
            "command": command, "loop": loop_kind, "connections": flags.connections, "inflight": flags.inflight,
        });
        std::fs::write(path, format!("{:#}\n", report.to_json(settings)))
            .with_context(|| format!("write {}", path.display()))?;
    }
    let broken: Vec<String> = flags.threshold.iter().filter_map(|threshold| threshold.broken_by(report)).collect();
    broken.iter().for_each(|text| eprintln!("threshold not met: {text}"));
    Ok(match (report.findings.is_clean(), broken.is_empty()) {
        (false, _) => ExitCode::from(NOT_VERIFIED),
        (true, false) => ExitCode::from(THRESHOLD_BROKEN),
        (true, true) => ExitCode::SUCCESS,
    })
}
