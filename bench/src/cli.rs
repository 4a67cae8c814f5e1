//! The command line.

mod kafka;

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};

use crate::build::{Programs, data_parent};
use crate::cores::{Cores, Wanted};
use crate::gate::{self, Severity};
use crate::limits::Limits;
use crate::process::passing_folder;
use crate::report;
use crate::results::Results;
use crate::runner::{self, Progress, Setup};
use crate::scenario::{Class, Scenario};
use crate::scrub::Scrubber;
use crate::tables::tables;
use crate::target::Target;
use kafka::KafkaCommand;

/// Prints a line; a reader that has gone away is no error.
fn show(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Exit code of a gate that found a regression.
const REGRESSION: u8 = 3;
/// Exit code of a gate without figures.
const COULD_NOT_MEASURE: u8 = 4;

/// Runs Ringlog and Apache Kafka side by side, compares, reports and gates.
#[derive(Debug, Parser)]
#[command(name = "ringlog-bench", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a scenario: smoke, quick, standard, full, or a TOML file
    Run(Run),
    /// Shows a result's tables again and writes its summary.md and report.html anew
    Report {
        /// The folder of a result
        result: PathBuf,
    },
    /// Sets two results side by side
    Compare {
        /// The folder of the older one
        older: PathBuf,
        /// The folder of the newer one
        newer: PathBuf,
    },
    /// Is this checkout dearer than a base? Exit code 0: no, 3: yes, 4: could not be measured
    Gate(Gate),
    /// Measures what this machine can do at best
    Limits,
    /// Apache Kafka for your own trials: jars, one node, its end
    #[command(subcommand)]
    Kafka(KafkaCommand),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  ringlog-bench run quick\n  ringlog-bench run standard --targets ringlog --set rounds=9\n  \
                        ringlog-bench run my.toml --targets ringlog,broker.example:9092 --set placement.broker=all"
)]
struct Run {
    /// smoke, quick, standard, full, groups, shards, upkeep, or a path
    scenario: String,
    /// Who is measured: ringlog, ringlog-1-shard, kafka, kafka-tuned, kafka-fsync, HOST:PORT; by default what the scenario says
    #[arg(long, value_delimiter = ',')]
    targets: Vec<Target>,
    /// Replaces one setting of the scenario, such as `rounds=9` or `kafka.num.io.threads=4`; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    settings: Vec<(String, String)>,
    /// This broker instead of one built from the checkout
    #[arg(long, value_name = "PATH")]
    ringlog_bin: Option<PathBuf>,
    /// This load generator instead of one built from the checkout
    #[arg(long, value_name = "PATH")]
    loadgen_bin: Option<PathBuf>,
    /// Where the brokers keep their data meanwhile; by default on the disk of the checkout
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Where the result's folder is made
    #[arg(long, value_name = "FOLDER", default_value = "results")]
    out: PathBuf,
    /// No progress, no tables
    #[arg(long)]
    quiet: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example: ringlog-bench gate --base origin/main\nNeeds valgrind and strace.")]
struct Gate {
    /// A git reference, which is built, the folder of an earlier gate, or a broker's program
    #[arg(long, value_name = "REF|FOLDER|PROGRAM")]
    base: String,
    /// This broker instead of one built from the checkout
    #[arg(long, value_name = "PATH")]
    ringlog_bin: Option<PathBuf>,
    /// This load generator instead of one built from the checkout
    #[arg(long, value_name = "PATH")]
    loadgen_bin: Option<PathBuf>,
    /// Rounds in which both builds take turns; 0 leaves CPU time out
    #[arg(long, default_value_t = 7)]
    pairs: u32,
    /// Where gate.json, gate.md and the formats of others are written
    #[arg(long, value_name = "FOLDER", default_value = "target/gate/result")]
    out: PathBuf,
    /// No progress
    #[arg(long)]
    quiet: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("not of the form KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// Does what was asked for.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Run(flags) => run_scenario(&flags),
        Command::Report { result } => report_again(&result),
        Command::Compare { older, newer } => {
            show(report::comparison(&Results::load(&older)?, &Results::load(&newer)?));
            Ok(ExitCode::SUCCESS)
        }
        Command::Gate(flags) => Ok(run_gate(&flags)),
        Command::Limits => print_limits(),
        Command::Kafka(command) => kafka::run(&command),
    }
}

fn run_scenario(flags: &Run) -> anyhow::Result<ExitCode> {
    let mut scenario = Scenario::load(&flags.scenario, &flags.settings)?;
    if !flags.targets.is_empty() {
        scenario.targets = flags.targets.iter().map(|target| target.name().to_owned()).collect();
    }
    let targets: Vec<Target> =
        scenario.targets.iter().map(|name| name.parse().map_err(anyhow::Error::msg)).collect::<Result<_, _>>()?;
    let programs = Programs::find(flags.ringlog_bin.as_deref(), flags.loadgen_bin.as_deref())?;
    let folder = passing_folder(&flags.data.clone().unwrap_or_else(data_parent))?;
    let setup = Setup { programs: &programs, targets: &targets, command: typed(), folder: folder.path() };
    let progress = Progress::new(runs_count(&scenario, &targets), flags.quiet);
    let results = runner::run(&scenario, &setup, &progress);
    progress.finish();
    let results = results?;
    let mut scrubber = Scrubber::of_this_machine();
    scrubber.hide_path(folder.path(), "$RUN");
    for program in [&programs.ringlog, &programs.loadgen] {
        if let Some(place) = program.parent().filter(|place| place.is_absolute()) {
            scrubber.hide_path(place, "$BIN");
        }
    }
    let written = report::write(&results, &flags.out, folder.path(), &scrubber)?;
    if !flags.quiet {
        show(report::plain(&results, &tables(&results)));
        show(format_args!("Written: {}", written.display()));
    }
    let wanted = needed(&targets);
    let gave_figures = results.runs.iter().any(|run| run.failed.is_none() && wanted.contains(&run.target.as_str()));
    anyhow::ensure!(gave_figures, "not one run on {} gave a figure", wanted.join(", "));
    Ok(ExitCode::SUCCESS)
}

/// Without a figure of one of these there is no result: Ringlog, which a run is about, else any that was named.
fn needed(targets: &[Target]) -> Vec<&str> {
    let is_about_ringlog = targets.contains(&Target::Ringlog);
    targets.iter().filter(|target| !is_about_ringlog || **target == Target::Ringlog).map(Target::name).collect()
}

/// Runs that are planned, for the progress bar.
fn runs_count(scenario: &Scenario, targets: &[Target]) -> u64 {
    let on_targets = |class: &Class| targets.iter().filter(|target| target.has_class(*class)).count() as u64;
    let runs = scenario.cells.iter().map(|cell| {
        let rounds = cell.rounds.map_or(scenario.rounds, |rounds| rounds.min(scenario.rounds));
        cell.classes.iter().map(on_targets).sum::<u64>() * u64::from(rounds)
    });
    runs.sum()
}

/// The command line with the program's name alone.
fn typed() -> String {
    let mut words = std::env::args();
    let program = words.next().unwrap_or_default();
    let name = Path::new(&program).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}

fn report_again(folder: &Path) -> anyhow::Result<ExitCode> {
    let results = Results::load(folder)?;
    report::write_again(&results, folder, &Scrubber::of_this_machine())?;
    show(report::plain(&results, &tables(&results)));
    Ok(ExitCode::SUCCESS)
}

/// A gate that cannot measure must not look like one that found nothing, or something.
fn run_gate(flags: &Gate) -> ExitCode {
    let options = gate::Options {
        base: flags.base.clone(),
        ringlog_bin: flags.ringlog_bin.clone(),
        loadgen_bin: flags.loadgen_bin.clone(),
        pairs: flags.pairs,
        out: flags.out.clone(),
        quiet: flags.quiet,
    };
    let (measured, findings) = match gate::run(&options) {
        Ok(done) => done,
        Err(error) => {
            eprintln!("ringlog-bench: could not measure: {error:#}");
            return ExitCode::from(COULD_NOT_MEASURE);
        }
    };
    show(gate::markdown(&measured, &findings));
    let on_github = std::env::var_os("GITHUB_ACTIONS").is_some();
    for finding in findings.iter().filter(|_| on_github) {
        let kind = if finding.severity == Severity::Blocks { "error" } else { "warning" };
        show(format_args!("::{kind}::{}", finding.text));
    }
    match findings.iter().any(|finding| finding.severity == Severity::Blocks) {
        true => ExitCode::from(REGRESSION),
        false => ExitCode::SUCCESS,
    }
}

fn print_limits() -> anyhow::Result<ExitCode> {
    let machine = Cores::of_this_machine()?;
    let (broker, loadgen) = (Wanted::Rest.on(&machine)?, Wanted::Last.on(&machine)?);
    let folder = passing_folder(&data_parent())?;
    let limits = Limits::measure(&broker, &loadgen, folder.path()).context("measure")?;
    show(report::limits_table(&limits, false));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
        let typed = "ringlog-bench run quick --targets ringlog,kafka-fsync,h:9 --set rounds=2 --set a.b=c=d";
        let Command::Run(run) = Cli::parse_from(typed.split(' ')).command else { panic!("run") };
        assert_eq!(run.targets, [Target::Ringlog, Target::KafkaFsync, Target::Address("h:9".to_owned())]);
        assert_eq!(run.settings[1], ("a.b".to_owned(), "c=d".to_owned()));
        assert!(Cli::try_parse_from(["ringlog-bench", "run", "quick", "--targets", "redpanda"]).is_err());
    }

    #[test]
    fn a_result_needs_figures_of_ringlog_where_it_runs() {
        let address = Target::Address("h:9".to_owned());
        assert_eq!(needed(&[Target::Kafka, Target::Ringlog]), ["ringlog"]);
        assert_eq!(needed(&[Target::Kafka, address]), ["kafka", "h:9"]);
    }
}
