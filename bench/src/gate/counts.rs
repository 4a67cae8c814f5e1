//! Counts per request, which a busy machine does not change: instructions and allocations by callgrind, system calls by
//! strace.
//!
//! One connection, one request at a time, so that every request has a loop turn of its own. A broker is run twice, with
//! few and with many requests of a kind: the difference is what the requests cost, its start and its end fall out.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;

use super::Counts;
use crate::build::Programs;
use crate::cores::Cores;
use crate::load::Outcome;
use crate::runner::{Progress, Turn, Within};
use crate::scenario::{Cell, Class, Flags, Scenario};
use crate::target::{Ground, Running, Target};

/// Planned requests per second; an instrument that is slower than this only takes longer.
const RATE: &str = "500/s";
/// Of a kind that is not counted in this life.
const FEW_SECONDS: f64 = 0.2;
/// Of the kind that is counted.
const MANY_SECONDS: f64 = 2.2;
/// valgrind runs one thread at a time and does not know that a call of io_uring blocks: the one that sleeps in it keeps
/// the others from running until something happens on its sockets. So something happens every so often.
const POKE: Duration = Duration::from_millis(500);
/// An attempt can fail all the same.
const ATTEMPTS_MAX: u32 = 3;

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instrument {
    Callgrind,
    Strace,
}

impl Instrument {
    fn program(self) -> &'static str {
        match self {
            Self::Callgrind => "valgrind",
            Self::Strace => "strace",
        }
    }

    /// What stands before the broker on its command line.
    fn command(self, output: &Path) -> Vec<String> {
        let output = output.display();
        match self {
            Self::Callgrind => {
                vec!["valgrind".into(), "--tool=callgrind".into(), format!("--callgrind-out-file={output}")]
            }
            Self::Strace => {
                ["strace", "-f", "-c", "-o"].map(str::to_owned).into_iter().chain([output.to_string()]).collect()
            }
        }
    }

    fn totals(self, output: &str) -> BTreeMap<&'static str, f64> {
        match self {
            Self::Callgrind => [("instructions", instructions(output)), ("allocations", allocations(output))]
                .into_iter()
                .filter_map(|(name, count)| Some((name, count?)))
                .collect(),
            Self::Strace => system_calls(output).map(|count| ("system calls", count)).into_iter().collect(),
        }
    }
}

/// The line `totals: N` or `summary: N` of a callgrind file.
fn instructions(output: &str) -> Option<f64> {
    let value = |name: &str| output.lines().rev().find_map(|line| line.strip_prefix(name));
    value("totals:").or_else(|| value("summary:"))?.split_ascii_whitespace().next()?.parse().ok()
}

/// Calls to the allocator in a callgrind file: names are given once, `cfn=(7) malloc`, then by number.
fn allocations(output: &str) -> Option<f64> {
    const ALLOCATORS: [&str; 5] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"];
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut called, mut count, mut seen) = ("", 0.0, false);
    for line in output.lines() {
        let reference = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn="));
        if let Some((number, name)) = reference.and_then(|text| text.split_once(' ')) {
            names.insert(number, name);
        }
        if let Some(text) = line.strip_prefix("cfn=") {
            let number = text.split(' ').next().unwrap_or_default();
            called = names.get(number).copied().unwrap_or_default();
        } else if let Some(calls) = line.strip_prefix("calls=") {
            seen = true;
            if ALLOCATORS.contains(&called) {
                count += calls.split(' ').next()?.parse::<f64>().ok()?;
            }
        }
    }
    seen.then_some(count)
}

/// The line `100.00 ... N total` of strace's table.
fn system_calls(output: &str) -> Option<f64> {
    let line = output.lines().rev().find(|line| line.trim_end().ends_with(" total"))?;
    line.split_ascii_whitespace().nth(3)?.parse().ok()
}

/// All counts of one build. An instrument that is not installed is an error: what was not counted cannot pass.
pub fn measure(programs: &Programs, scenario: &Scenario, folder: &Path, progress: &Progress) -> anyhow::Result<Counts> {
    let machine = Cores::of_this_machine()?;
    let broker_cores = scenario.placement.broker.on(&machine)?;
    let loadgen_cores = scenario.placement.loadgen.on(&machine)?;
    let mut counts = Counts::new();
    for instrument in [Instrument::Callgrind, Instrument::Strace] {
        let program = instrument.program();
        let there = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
        anyhow::ensure!(there, "{program} is not installed");
        let bench = Bench {
            instrument,
            programs,
            scenario,
            folder,
            broker_cores: &broker_cores,
            loadgen_cores: &loadgen_cores,
        };
        let kinds = bench.kinds();
        progress.say(&format!("{program}: {} lives of a broker", kinds.len() + 1));
        let few = bench.life_in_attempts(&kinds, None)?;
        for (index, (cell, class)) in kinds.iter().enumerate() {
            let many = bench.life_in_attempts(&kinds, Some(index))?;
            let requests = many.requests[index] - few.requests[index];
            anyhow::ensure!(requests > 0.0, "{}: no requests were counted", cell.name);
            let kind = counts.entry(format!("{} {class}", cell.name)).or_default();
            for (name, total) in &many.totals {
                let Some(before) = few.totals.get(name) else { continue };
                kind.insert((*name).to_owned(), (total - before) / requests);
            }
        }
    }
    Ok(counts)
}

struct Bench<'a> {
    instrument: Instrument,
    programs: &'a Programs,
    scenario: &'a Scenario,
    folder: &'a Path,
    broker_cores: &'a Cores,
    loadgen_cores: &'a Cores,
}

struct Life {
    totals: BTreeMap<&'static str, f64>,
    /// By kind.
    requests: Vec<f64>,
}

impl Bench<'_> {
    /// The cells of the scenario in their classes, one request at a time.
    fn kinds(&self) -> Vec<(Cell, Class)> {
        let cells = self.scenario.cells.iter();
        cells.flat_map(|cell| cell.classes.iter().map(|class| (one_at_a_time(cell), *class))).collect()
    }

    fn life_in_attempts(&self, kinds: &[(Cell, Class)], many: Option<usize>) -> anyhow::Result<Life> {
        let mut last = None;
        for _ in 0..ATTEMPTS_MAX {
            match self.life(kinds, many) {
                Ok(life) => return Ok(life),
                Err(error) => last = Some(error),
            }
        }
        Err(last
            .context("an attempt was made")?
            .context(format!("{ATTEMPTS_MAX} attempts with {}", self.instrument.program())))
    }

    fn life(&self, kinds: &[(Cell, Class)], many: Option<usize>) -> anyhow::Result<Life> {
        fs::create_dir_all(self.folder)?;
        let folder = tempfile::tempdir_in(self.folder)?;
        let output = folder.path().join("counts");
        let wrapper = self.instrument.command(&output);
        let ground = Ground {
            scenario: self.scenario,
            programs: self.programs,
            folder: folder.path(),
            cores: self.broker_cores,
            wrapper: &wrapper,
        };
        let broker = Running::start(&Target::Ringlog, None, &ground)?;
        let poker = Poker::start(&broker.bootstrap);
        let within = Within { loadgen: &self.programs.loadgen, cores: self.loadgen_cores, folder: folder.path() };
        let mut requests = Vec::new();
        for (index, (cell, class)) in kinds.iter().enumerate() {
            let topic = format!("{}-{class}", cell.name);
            let turn = Turn { cell, class: *class, broker: &broker, idle: Vec::new(), topic, rate: None, within };
            turn.create_topic()?;
            if let Some(fill) = &cell.fill {
                turn.fill(fill)?;
            }
            let seconds = if many == Some(index) { MANY_SECONDS } else { FEW_SECONDS };
            let outcome: Outcome = turn.load(0.0, seconds)?;
            requests.push(outcome.requests as f64);
        }
        let stopped = broker.stop()?;
        drop(poker);
        anyhow::ensure!(stopped, "the broker did not stop under {}", self.instrument.program());
        let totals = self.instrument.totals(&fs::read_to_string(&output)?);
        anyhow::ensure!(!totals.is_empty(), "{} wrote no totals", self.instrument.program());
        Ok(Life { totals, requests })
    }
}

/// Connects to a broker again and again.
struct Poker {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Poker {
    fn start(bootstrap: &str) -> Self {
        let (stop, stopped) = mpsc::channel();
        let bootstrap = bootstrap.to_owned();
        let thread = thread::spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(POKE) {
                // A connection is enough, and none is needed once the broker has stopped.
                let _ = TcpStream::connect(&bootstrap);
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Poker {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn one_at_a_time(cell: &Cell) -> Cell {
    let mut flags: Flags = cell.flags.clone();
    for (name, value) in
        [("connections", toml::Value::Integer(1)), ("inflight", toml::Value::Integer(1)), ("rate", RATE.into())]
    {
        flags.insert(name.to_owned(), value);
    }
    Cell { flags, ..cell.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrind_files_are_read() {
        let file = "events: Ir\n\nfn=(1) main\n16 5\ncfn=(2) malloc\ncalls=3 0\n16 40\ncfn=(3) free\ncalls=9 0\n17 2\n\
                    fn=(4) other\ncfn=(2)\ncalls=4 0\n1 1\ntotals: 5130\n";
        assert_eq!((instructions(file), allocations(file)), (Some(5130.0), Some(7.0)));
        assert_eq!((instructions("nothing"), allocations("nothing")), (None, None));
        assert_eq!(instructions("summary: 12\n"), Some(12.0));
    }

    #[test]
    fn straces_table_is_read() {
        let table = "% time     seconds  usecs/call     calls    errors syscall\n------ -- -- -- -- --\n \
                     90.00    0.5          10      1000         3 io_uring_enter\n------ -- -- -- -- --\n\
                     100.00    0.6          11      1234         4 total\n";
        assert_eq!(system_calls(table), Some(1234.0));
        assert_eq!(system_calls(""), None);
    }
}
