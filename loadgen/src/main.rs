//! The program `ringlog-loadgen`.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use ringlog_loadgen::cli::{
    Cli, Command, Commit, Common, Connect, EndToEnd, Fetch, Group, Mixed, Produce, PropertyError, Sink, completion,
};
use ringlog_loadgen::measured::Measured;
use ringlog_loadgen::output::{check_files, finish, finish_kafka_style, settings};
use ringlog_loadgen::plan::Rate;
use ringlog_loadgen::report::{KafkaTool, Report};
use ringlog_loadgen::run::{self, Connection, End, Place};
use ringlog_loadgen::sink::{SinkConfig, serve};
use ringlog_loadgen::workload;

/// Bytes in the control echo of requests that carry no records.
const SMALL: usize = 100;
/// So long none of a number of Produce requests may be answered: Kafka's `delivery.timeout.ms`.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// The exit code of a command line that is not understood, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let done = command.common().map_or(Ok(()), check_files).and_then(|()| run(command));
    done.unwrap_or_else(|error| {
        eprintln!("ringlog-loadgen: {error:#}");
        if error.is::<PropertyError>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
    })
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Produce(flags) => produce(*flags),
        Command::Fetch(flags) => fetch(*flags),
        Command::Commit(flags) => commit(&flags).and_then(|measured| report("commit", &flags.common, &measured)),
        Command::Group(group) => self::group(&group),
        Command::E2e(flags) => e2e(&flags).and_then(|measured| report("e2e", &flags.common, &measured)),
        Command::Connect(flags) => connect(&flags).and_then(|measured| report("connect", &flags.common, &measured)),
        Command::Mixed(flags) => mixed(*flags),
        Command::Completion { shell } => {
            // A reader that has gone away is no error.
            let _ = std::io::stdout().write_all(&completion(shell));
            Ok(ExitCode::SUCCESS)
        }
        Command::Sink(flags) => sink(&flags),
    }
}

fn report(workload: &str, flags: &Common, measured: &Measured) -> anyhow::Result<ExitCode> {
    finish(flags, measured, &Report::new(measured, settings(workload, flags)))
}

fn produce(mut flags: Produce) -> anyhow::Result<ExitCode> {
    let changed = flags.kafka.apply(&mut flags.payload)?;
    let spec = flags.payload.spec(flags.common.seed);
    let topic = flags.common.topic_spec(flags.verify);
    let target = run::target(&flags.common.bootstrap, &topic)?;
    let mut load = flags.common.load(flags.payload.request_bytes());
    let production = workload::Production::new(&target, &spec, load.run_id)?;
    let records = production.records_per_request();
    flags.common.rate = flags.kafka.rate(records).unwrap_or(flags.common.rate);
    load.rate = flags.common.rate;
    load.in_flight = changed.in_flight.unwrap_or(load.in_flight);
    if let Some(all) = flags.kafka.num_records {
        load.end_after(End::Requests { count: all.div_ceil(records as u64), silence_max: SILENCE_MAX });
    }
    let is_idempotent = flags.idempotent || changed.is_idempotent;
    let mut measured = run::produce(&load, &topic, &target, &production, is_idempotent)?;
    if flags.verify {
        measured.read_back = Some(run::read_back(&topic, &target, &production, &mut measured.findings)?);
    }
    if flags.kafka.kafka_style {
        return finish_kafka_style(&flags.common, KafkaTool::Producer, &measured);
    }
    report("produce", &flags.common, &measured)
}

fn fetch(mut flags: Fetch) -> anyhow::Result<ExitCode> {
    flags.apply_properties()?;
    flags.kafka.ignored().iter().for_each(|text| eprintln!("ringlog-loadgen: {text}"));
    let (mut load, spec, topic) = (flags.common.load(SMALL), flags.spec(), flags.common.topic_spec(true));
    if flags.end() != End::Time {
        load.end_after(flags.end());
    }
    let target = run::target(&load.bootstrap, &topic)?;
    let measured = run::run(&load, &topic, &Place::leaders(&target), |connection: &Connection<'_>| {
        Ok(workload::Fetch::new(&target, &connection.place.partitions, &spec, connection.index, load.in_flight)?)
    })?;
    let records = measured.recorder.volume.records;
    if let Some(wanted) = flags.kafka.num_records.filter(|wanted| *wanted > records) {
        eprintln!(
            "ringlog-loadgen: {records} of {wanted} records, then none for the {} ms of --timeout",
            flags.kafka.timeout
        );
    }
    if flags.kafka.kafka_style {
        let tool = KafkaTool::Consumer { has_header: !flags.kafka.hide_header };
        return finish_kafka_style(&flags.common, tool, &measured);
    }
    report("fetch", &flags.common, &measured)
}

fn commit(flags: &Commit) -> anyhow::Result<Measured> {
    let (mut load, topic) = (flags.common.load(SMALL), flags.common.topic_spec(false));
    load.retries_max = flags.retries;
    let target = run::target(&load.bootstrap, &topic)?;
    run::commit(&load, &topic, &target, &flags.group_prefix, flags.groups as usize)
}

fn group(group: &Group) -> anyhow::Result<ExitCode> {
    let flags = group.common();
    let (load, topic) = (flags.load(SMALL), flags.topic_spec(false));
    let target = run::target(&load.bootstrap, &topic)?;
    let (name, measured) = match group {
        Group::Heartbeat(flags) => {
            let (prefix, count) = (&flags.group_prefix, flags.members as usize);
            ("group heartbeat", run::heartbeats(&load, &topic, &target, prefix, count, flags.session))
        }
        Group::FetchOffsets(flags) => {
            let count = flags.groups as usize;
            ("group fetch-offsets", run::fetch_offsets(&load, &topic, &target, &flags.group_prefix, count))
        }
        Group::Join(flags) => ("group join", run::join(&load, &target, &flags.group_prefix)),
        Group::Rebalance(flags) => ("group rebalance", run::rebalance(&load, &target, &flags.spec())),
    };
    report(name, flags, &measured?)
}

fn e2e(flags: &EndToEnd) -> anyhow::Result<Measured> {
    let (load, topic) = (flags.common.load(flags.record_bytes), flags.common.topic_spec(true));
    let target = run::target(&load.bootstrap, &topic)?;
    let plan = run::EndToEnd { topic: &topic, target: &target, spec: &flags.spec(), fan_out: flags.fan_out };
    run::e2e(&load, &plan)
}

fn connect(flags: &Connect) -> anyhow::Result<Measured> {
    let load = flags.common.load(SMALL);
    run::connect(&load, &run::target(&load.bootstrap, &flags.common.topic_spec(false))?, flags.idle)
}

fn mixed(mut flags: Mixed) -> anyhow::Result<ExitCode> {
    if let Some(path) = flags.omb_workload.clone() {
        flags.apply_omb(&path).with_context(|| path.display().to_string())?;
    }
    let topic = flags.common.topic_spec(true);
    let target = run::target(&flags.common.bootstrap, &topic)?;
    let mut load = flags.common.load(flags.payload.request_bytes());
    let production = workload::Production::new(&target, &flags.payload.spec(flags.common.seed), load.run_id)?;
    if let Some(records) = flags.records_rate {
        flags.common.rate = Rate::PerSecond(records / production.records_per_request() as f64);
        load.rate = flags.common.rate;
    }
    let beside = run::Beside {
        readers: flags.readers as usize,
        fetch: &flags.fetch_spec(),
        groups: flags.groups as usize,
        group_prefix: "loadgen",
        commit_rate: flags.commit_rate,
    };
    let parts = run::mixed(&load, &topic, &target, &production, &beside)?;
    let total = parts.total();
    let mut report = Report::new(&total, settings("mixed", &flags.common));
    let part = |(name, measured)| Report::new(measured, settings(name, &flags.common));
    report.parts = parts.named().map(part).into();
    finish(&flags.common, &total, &report)
}

fn sink(flags: &Sink) -> anyhow::Result<ExitCode> {
    run::pin(flags.core)?;
    let reactor = run::reactor()?;
    let listener = reactor.listen(flags.listen).with_context(|| format!("listen on {}", flags.listen))?;
    eprintln!("a sink listens on {}", listener.local_address());
    let config = SinkConfig { delay: flags.delay, keep: flags.keep, ..SinkConfig::default() };
    reactor.block_on(serve(reactor.clone(), listener, config))?;
    Ok(ExitCode::SUCCESS)
}
