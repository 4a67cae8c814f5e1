//! The regression gate: is this checkout dearer than a base?
//!
//! What repeats exactly, or nearly so, blocks: instructions, system calls and allocations per request, counted one
//! request at a time ([`counts`]). CPU time of both builds in interleaved rounds warns, and blocks only when its whole
//! interval lies beyond a wide limit. Latency and throughput never gate: on a shared machine they tell about neighbours.

mod base;
mod counts;
mod export;
mod verdict;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::build::{Programs, checkout, data_parent};
use crate::process::passing_folder;
use crate::results::Results;
use crate::runner::{self, Progress, Setup};
use crate::scenario::Scenario;
use crate::stats::{Ratio, ratio};
use crate::target::Target;
pub use base::Base;
pub use verdict::{Finding, Severity};

/// Of `gate.json`.
const SCHEMA_VERSION: u32 = 1;
/// The figure of the paired rounds.
const CPU: &str = "broker_us_per_request";

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
}

/// Measures, writes, and tells what was found.
pub fn run(options: &Options) -> anyhow::Result<(Gate, Vec<Finding>)> {
    let progress = Progress::new(0, options.quiet);
    let scenario = Scenario::load("gate", &[("rounds".to_owned(), options.pairs.max(1).to_string())])?;
    fs::create_dir_all(&options.out)?;
    let root = checkout().context("the checkout is gone")?;
    progress.say("build this checkout");
    let mut programs = Programs::find(options.ringlog_bin.as_deref(), options.loadgen_bin.as_deref())?;
    let base = Base::find(&options.base, root, &progress)?;
    let folder = passing_folder(&data_parent())?;
    let counts = counts::measure(&programs, &scenario, &folder.path().join("new"), &progress)?;
    let mut gate = Gate { schema_version: SCHEMA_VERSION, base: options.base.clone(), counts, ..Gate::default() };
    match base {
        Base::Counted(base_counts) => gate.base_counts = base_counts,
        Base::Built(program) => {
            let of_base = Programs { ringlog: program.clone(), ..programs.clone() };
            gate.base_counts = counts::measure(&of_base, &scenario, &folder.path().join("base"), &progress)?;
            programs.base = Some(program);
            if options.pairs > 0 {
                gate.cpu = paired(&scenario, &programs, folder.path(), &progress)?;
            }
        }
    }
    progress.finish();
    let findings = verdict::findings(&gate);
    export::write(&gate, &findings, &options.out)?;
    Ok((gate, findings))
}

/// As text for people.
pub fn markdown(gate: &Gate, findings: &[Finding]) -> String {
    export::markdown(gate, findings)
}

/// Both builds in interleaved rounds.
fn paired(
    scenario: &Scenario,
    programs: &Programs,
    folder: &Path,
    progress: &Progress,
) -> anyhow::Result<BTreeMap<String, Ratio>> {
    let targets = [Target::Ringlog, Target::Base];
    let setup = Setup { programs, targets: &targets, command: "ringlog-bench gate".to_owned(), folder };
    let results = runner::run(scenario, &setup, progress)?;
    Ok(cpu_ratios(&results))
}

fn cpu_ratios(results: &Results) -> BTreeMap<String, Ratio> {
    let mut ratios = BTreeMap::new();
    for cell in &results.scenario.cells {
        for class in &cell.classes {
            let of = |target: &Target| results.values(&cell.name, *class, target.name(), CPU);
            let (new, base) = (of(&Target::Ringlog), of(&Target::Base));
            let pairs: Vec<(f64, f64)> =
                new.iter().filter_map(|(round, value)| Some((*value, *base.get(round)?))).collect();
            if let Some(ratio) = ratio(&pairs) {
                ratios.insert(format!("{} {class}", cell.name), ratio);
            }
        }
    }
    ratios
}
