//! System calls per request on the real driver, counted by strace.
//!
//! One connection, one request at a time, so that every request has a loop turn of its own. A broker of the kind's class is
//! run with few and with many requests of a kind: the difference is what the requests cost, its start and its end fall out.
//!
//! What a busy machine changes is how often a request's loop turns, which is one call of the ring each. So those are
//! counted by themselves, and [`least`] of several counts is taken: a disturbance only adds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

use super::{Build, Counts, need};
use crate::build::Programs;
use crate::cores::Cores;
use crate::load::DRAIN;
use crate::runner::{Progress, Turn, Within};
use crate::scenario::{Cell, Class, Scenario};
use crate::target::{Ground, Running, Target};

/// Planned requests per second; a broker that is slower under strace only takes longer.
const RATE: &str = "500/s";
/// Of a kind that is not counted in this life.
const FEW_SECONDS: f64 = 0.2;
/// Of the kind that is counted.
const MANY_SECONDS: f64 = 2.2;
/// Under strace, on a machine with forty busy processes, a request takes up to 150 ms: the last of the plan is late by
/// minutes, and comes.
const DRAIN_MAX: &str = "5m";
/// Names of what is counted.
pub const RING_CALLS: &str = "ring calls";
pub const OTHER_CALLS: &str = "other system calls";
/// The call in which the loop sleeps and submits.
const RING_CALL: &str = "io_uring_enter";

/// What is counted with.
#[derive(Debug)]
pub struct Counter<'a> {
    /// Its load generator drives both builds.
    pub programs: &'a Programs,
    /// Whose cells are the kinds of requests.
    pub scenario: &'a Scenario,
    /// For data and output.
    pub folder: &'a Path,
}

struct Life {
    /// Calls in the whole life, by name.
    calls: BTreeMap<String, f64>,
    /// By kind.
    requests: Vec<f64>,
}

/// The smaller count of each.
pub fn least(one: &mut Counts, other: &Counts) {
    for (kind, counts) in other {
        for (name, count) in counts {
            let least = one.entry(kind.clone()).or_default().entry(name.clone()).or_insert(*count);
            *least = least.min(*count);
        }
    }
}

impl Counter<'_> {
    /// Counts of every kind.
    pub fn measure(&self, build: &Build, progress: &Progress) -> anyhow::Result<Counts> {
        need("strace")?;
        let programs = Programs { ringlog: build.ringlog.clone(), ..self.programs.clone() };
        let mut counts = Counts::new();
        for class in Class::ALL {
            let cells = cells_of(self.scenario, class);
            progress.say(&format!("system calls: start and end, {class}"));
            let few = self.life(&programs, class, &cells, None)?;
            for (index, cell) in cells.iter().enumerate() {
                progress.say(&format!("system calls: {} {class}", cell.name));
                let many = self.life(&programs, class, &cells, Some(index))?;
                let requests = many.requests[index] - few.requests[index];
                anyhow::ensure!(requests > 0.0, "{}: no requests were counted", cell.name);
                let [ring, others] = [true, false].map(|is_ring| many.sum(is_ring) - few.sum(is_ring));
                let per_request = [(RING_CALLS, ring), (OTHER_CALLS, others)];
                let per_request = per_request.map(|(name, calls)| (name.to_owned(), calls / requests));
                counts.insert(format!("{} {class}", cell.name), per_request.into());
            }
        }
        Ok(counts)
    }

    fn life(&self, programs: &Programs, class: Class, cells: &[Cell], many: Option<usize>) -> anyhow::Result<Life> {
        let machine = Cores::of_this_machine()?;
        let broker_cores = self.scenario.placement.broker.on(&machine)?;
        let loadgen_cores = self.scenario.placement.loadgen.on(&machine)?;
        fs::create_dir_all(self.folder)?;
        let folder = tempfile::tempdir_in(self.folder)?;
        let output = folder.path().join("calls");
        let wrapper: Vec<String> =
            ["strace", "-f", "-c", "-o"].map(str::to_owned).into_iter().chain([output.display().to_string()]).collect();
        let ground = Ground {
            scenario: self.scenario,
            programs,
            folder: folder.path(),
            cores: &broker_cores,
            wrapper: &wrapper,
        };
        let broker = Running::start(&Target::Ringlog, Some(class), &ground)?;
        let within = Within { loadgen: &programs.loadgen, cores: &loadgen_cores, folder: folder.path() };
        let mut requests = Vec::new();
        for (index, cell) in cells.iter().enumerate() {
            let topic = format!("{}-{class}", cell.name);
            let turn = Turn { cell, class, broker: &broker, idle: Vec::new(), topic, rate: None, within };
            turn.create_topic()?;
            if let Some(fill) = &cell.fill {
                turn.fill(fill)?;
            }
            let seconds = if many == Some(index) { MANY_SECONDS } else { FEW_SECONDS };
            let loaded = turn.load(0.0, seconds).with_context(|| format!("{} {class} under strace", cell.name))?;
            requests.push(loaded.requests as f64);
        }
        anyhow::ensure!(broker.stop()?, "the broker did not stop under strace");
        let calls = calls(&fs::read_to_string(&output)?);
        anyhow::ensure!(calls.contains_key(RING_CALL), "strace saw no {RING_CALL}");
        Ok(Life { calls, requests })
    }
}

impl Life {
    fn sum(&self, is_ring: bool) -> f64 {
        self.calls.iter().filter(|(name, _)| (*name == RING_CALL) == is_ring).map(|(_, calls)| calls).sum()
    }
}

/// strace's table: `share seconds usecs/call calls [errors] name` a line, between lines of dashes.
fn calls(table: &str) -> BTreeMap<String, f64> {
    let rows = table.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (calls, name) = (words.get(3)?.parse().ok()?, *words.last()?);
        (name != "total").then(|| (name.to_owned(), calls))
    });
    rows.collect()
}

/// The cells of the scenario that have this class, one request at a time.
fn cells_of(scenario: &Scenario, class: Class) -> Vec<Cell> {
    scenario.cells.iter().filter(|cell| cell.classes.contains(&class)).map(one_at_a_time).collect()
}

fn one_at_a_time(cell: &Cell) -> Cell {
    let mut cell = cell.clone();
    let one = || toml::Value::Integer(1);
    for (name, value) in [("connections", one()), ("inflight", one()), ("rate", RATE.into()), (DRAIN, DRAIN_MAX.into())]
    {
        cell.flags.insert(name.to_owned(), value);
    }
    if let Some(fill) = &mut cell.fill {
        fill.flags.insert(DRAIN.to_owned(), DRAIN_MAX.into());
    }
    cell
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn straces_table_is_read() {
        let table = "% time     seconds  usecs/call     calls    errors syscall\n------ -- -- -- -- --\n \
                     90.00    0.5          10      1000         3 io_uring_enter\n \
                     10.00    0.1           9       234           pwrite64\n------ -- -- -- -- --\n\
                     100.00    0.6          11      1234         4 total\n";
        let calls = calls(table);
        assert_eq!((calls.len(), calls["io_uring_enter"], calls["pwrite64"]), (2, 1000.0, 234.0));
        let life = Life { calls, requests: Vec::new() };
        assert_eq!((life.sum(true), life.sum(false)), (1000.0, 234.0));
    }

    #[test]
    fn what_strace_makes_late_is_waited_for() {
        for cell in Scenario::load("gate", &[]).unwrap().cells {
            let cell = one_at_a_time(&cell);
            assert_eq!(cell.flags["inflight"].as_integer(), Some(1));
            let fills = cell.fill.iter().map(|fill| &fill.flags);
            assert!(fills.chain([&cell.flags]).all(|flags| flags[DRAIN].as_str() == Some(DRAIN_MAX)));
        }
    }

    /// Their names join the counts: instructions are of the kinds in `requests.rs`, system calls and CPU time of cells.
    #[test]
    fn each_kind_whose_instructions_are_counted_has_a_cell() {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../server/examples/requests.rs");
        let source = fs::read_to_string(source).unwrap();
        let named = source.lines().filter_map(|line| line.trim().strip_prefix("(\"")?.split_once("\", Kind::"));
        let kinds: BTreeSet<String> = named.map(|(name, _)| name.to_owned()).collect();
        let scenario = Scenario::load("gate", &[]).unwrap();
        let name = |class| move |cell: Cell| format!("{} {class}", cell.name);
        let cells = Class::ALL.into_iter().flat_map(|class| cells_of(&scenario, class).into_iter().map(name(class)));
        assert_eq!(kinds, cells.collect());
    }

    #[test]
    fn the_least_count_stands() {
        let counts = |ring: f64, others: f64| -> Counts {
            let of_kind = [("ring calls".to_owned(), ring), ("other system calls".to_owned(), others)];
            [("produce".to_owned(), of_kind.into())].into()
        };
        let mut least_counts = counts(4.0, 2.0);
        least(&mut least_counts, &counts(3.0, 5.0));
        assert_eq!(least_counts, counts(3.0, 2.0));
    }
}
