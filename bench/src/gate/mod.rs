//! The regression gate: is this checkout dearer than a base?
//!
//! What repeats exactly, or nearly so, blocks: instructions, allocations and bytes copied per request, counted in the
//! simulated world ([`instructions`]), and system calls, counted on the real one ([`system_calls`]). CPU time of both builds in
//! interleaved rounds warns, and blocks only when its whole interval lies beyond a wide limit. Latency and throughput
//! never gate: on a shared machine they tell about neighbours.
//!
//! Invariant: every process has a bound on its time, and what could not be measured is an error, never a pass.

mod base;
mod build;
mod copies;
mod export;
mod instructions;
mod system_calls;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::build::{Programs, checkout, data_parent};
use crate::process::passing_folder;
use crate::results::Results;
use crate::runner::{self, Progress, Setup};
use crate::scenario::{Cell, Class, Scenario};
use crate::stats::{Ratio, ratio};
use crate::target::Target;
pub use base::Base;
use build::Build;
use system_calls::{Counter, least};
pub use verdict::{Finding, Severity};

/// Of `gate.json`.
const SCHEMA_VERSION: u32 = 1;
/// The figure of the paired rounds.
const CPU: &str = "broker_us_per_request";
/// System calls that seem to have grown are counted again so often.
const RECOUNTS_MAX: u32 = 2;

/// What is asked for.
#[derive(Debug)]
pub struct Options {
    /// A git reference, what an earlier gate wrote, or a broker's program.
    pub base: String,
    /// This broker instead of one built from the checkout.
    pub ringlog_bin: Option<PathBuf>,
    /// This load generator instead of one built from the checkout.
    pub loadgen_bin: Option<PathBuf>,
    /// Paired rounds; 0 leaves CPU time out.
    pub pairs: u32,
    /// Where results go.
    pub out: PathBuf,
    /// Silent.
    pub quiet: bool,
}

/// Counts of one build, by cell, then by what is counted; each per request.
pub type Counts = BTreeMap<String, BTreeMap<String, f64>>;

/// What the gate writes, and takes for a base.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Gate {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// What was compared.
    pub base: String,
    /// Counts of the base.
    pub base_counts: Counts,
    /// Counts of this checkout.
    pub counts: Counts,
    /// CPU time of this checkout over that of the base, by cell.
    pub cpu: BTreeMap<String, Ratio>,
    /// Cells whose CPU time other processes disturbed in most rounds.
    #[serde(default)]
    pub disturbed: BTreeSet<String>,
}

/// Measures, writes, and tells what was found.
pub fn run(options: &Options) -> anyhow::Result<(Gate, Vec<Finding>)> {
    let progress = Progress::new(0, options.quiet);
    let scenario = Scenario::load("gate", &[("rounds".to_owned(), options.pairs.max(1).to_string())])?;
    fs::create_dir_all(&options.out)?;
    let root = checkout().context("the checkout is gone")?;
    progress.say("build this checkout");
    let new = match &options.ringlog_bin {
        Some(ringlog) => Build::of(ringlog)?,
        None => Build::from_sources(root, &root.join("target"))?,
    };
    let mut programs = Programs::find(Some(&new.ringlog), options.loadgen_bin.as_deref())?;
    let base = Base::find(&options.base, root, &progress)?;
    let folder = passing_folder(&data_parent())?;
    let mut gate = Gate { schema_version: SCHEMA_VERSION, base: options.base.clone(), ..Gate::default() };
    gate.counts = instructions::measure(&new, folder.path(), &progress)?;
    let counter = Counter { programs: &programs, scenario: &scenario, folder: folder.path() };
    least(&mut gate.counts, &counter.measure(&new, &progress)?);
    match &base {
        Base::Counted(base_counts) => gate.base_counts.clone_from(base_counts),
        Base::Built(build) => {
            gate.base_counts = instructions::measure(build, folder.path(), &progress)?;
            least(&mut gate.base_counts, &counter.measure(build, &progress)?);
        }
    }
    for _ in 0..RECOUNTS_MAX {
        if !verdict::system_calls_grew(&gate) {
            break;
        }
        least(&mut gate.counts, &counter.measure(&new, &progress)?);
        if let Base::Built(build) = &base {
            least(&mut gate.base_counts, &counter.measure(build, &progress)?);
        }
    }
    if let Base::Built(build) = base
        && options.pairs > 0
    {
        programs.base = Some(build.ringlog);
        let results = paired(&scenario, &programs, folder.path(), &progress)?;
        judge_cpu(&results, &mut gate);
    }
    progress.finish();
    let findings = verdict::findings(&gate);
    export::write(&gate, &findings, &options.out)?;
    Ok((gate, findings))
}

/// What is not installed cannot count: an error.
fn need(program: &str) -> anyhow::Result<()> {
    let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    anyhow::ensure!(there, "{program} is not installed");
    Ok(())
}

/// As text for people.
pub fn markdown(gate: &Gate, findings: &[Finding]) -> String {
    export::markdown(gate, findings)
}

/// Both builds in interleaved rounds.
fn paired(scenario: &Scenario, programs: &Programs, folder: &Path, progress: &Progress) -> anyhow::Result<Results> {
    let targets = [Target::Ringlog, Target::Base];
    let setup = Setup { programs, targets: &targets, command: "ringlog-bench gate".to_owned(), folder };
    runner::run(scenario, &setup, progress)
}

fn judge_cpu(results: &Results, gate: &mut Gate) {
    for cell in &results.scenario.cells {
        for class in &cell.classes {
            let of = |target: &Target| results.values(&cell.name, *class, target.name(), CPU);
            let (new, base) = (of(&Target::Ringlog), of(&Target::Base));
            let pairs: Vec<(f64, f64)> =
                new.iter().filter_map(|(round, value)| Some((*value, *base.get(round)?))).collect();
            let kind = format!("{} {class}", cell.name);
            let runs = [Target::Ringlog, Target::Base].map(|target| disturbed(results, cell, *class, &target));
            let [(new_disturbed, new_all), (base_disturbed, base_all)] = runs;
            if (new_disturbed + base_disturbed) * 2 > new_all + base_all {
                gate.disturbed.insert(kind.clone());
            }
            if let Some(ratio) = ratio(&pairs) {
                gate.cpu.insert(kind, ratio);
            }
        }
    }
}

/// Counted runs that something disturbed, and all of them.
fn disturbed(results: &Results, cell: &Cell, class: Class, target: &Target) -> (usize, usize) {
    let counted = results.counted(&cell.name, class, target.name());
    counted.fold((0, 0), |(disturbed, all), run| (disturbed + usize::from(run.disturbed.is_some()), all + 1))
}
