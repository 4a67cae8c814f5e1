//! Instructions, allocations and bytes copied per request, counted by valgrind's callgrind and DHAT while the whole
//! broker runs in the simulated world.
//!
//! The program that runs there (`server/examples/requests.rs`) has one thread and virtual time, so it does the same
//! however busy the machine is. It is run twice for each kind, with few and with many requests: the difference is what
//! the requests cost, its start falls out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;

use super::copies::bytes_copied;
use super::{Build, Counts, need};
use crate::cores::Cores;
use crate::process::Process;
use crate::runner::Progress;

const FEW: u32 = 100;
const MANY: u32 = 600;
/// What one life may take under valgrind: a few seconds of a core, which a busy machine may not give for minutes.
const LIFE_MAX: Duration = Duration::from_secs(900);
/// The function of the program inside of which is counted.
const COUNTED: &str = "--toggle-collect=*broker_turn*";
/// Frames of a stack that DHAT keeps: from the copy out to the turn.
const FRAMES: &str = "--num-callers=200";
/// The simulated driver and disk, which stand for the kernel: what they execute is not the broker's. An `impl` beside its
/// type has another name than one in a module below.
const SIMULATED: [&str; 3] = ["SimDriver as ", "SimDisk as ", "Disk for ringlog_core::reactor::sim::disk::SimDisk>"];
const IN_SIMULATION: &str = "::reactor::sim::";
/// Functions that allocate.
const ALLOCATORS: [&str; 5] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"];

/// Counts of every kind that the build knows.
pub fn measure(build: &Build, folder: &Path, progress: &Progress) -> anyhow::Result<Counts> {
    need("valgrind")?;
    fs::create_dir_all(folder)?;
    let listed = Command::new(&build.requests).output().context("name the kinds of requests")?;
    anyhow::ensure!(listed.status.success(), "the kinds of requests are not named");
    let mut counts = Counts::new();
    for kind in String::from_utf8_lossy(&listed.stdout).lines() {
        progress.say(&format!("instructions: {kind}"));
        let life = |count: u32| life(build, kind, count, folder).with_context(|| format!("valgrind: {kind}"));
        let (few, many) = (life(FEW)?, life(MANY)?);
        let per_request = |(name, total): (&&'static str, &f64)| {
            let before = few.get(name).copied().unwrap_or_default();
            ((*name).to_owned(), (total - before) / f64::from(MANY - FEW))
        };
        counts.insert(kind.to_owned(), many.iter().map(per_request).collect());
    }
    anyhow::ensure!(!counts.is_empty(), "the build has no kind of request to count");
    Ok(counts)
}

fn life(build: &Build, kind: &str, count: u32, folder: &Path) -> anyhow::Result<BTreeMap<&'static str, f64>> {
    let under = |tool: &str, flags: &[&str]| -> anyhow::Result<String> {
        let output = folder.join(tool);
        let mut command = Command::new("valgrind");
        command.arg(format!("--tool={tool}")).arg(format!("--{tool}-out-file={}", output.display())).args(flags);
        command.arg(&build.requests).args([kind, &count.to_string()]);
        let log = folder.join(format!("{tool}.log"));
        let mut process = Process::start(&mut command, &Cores::of_this_machine()?, &log)?;
        let status = process.wait(LIFE_MAX)?.with_context(|| format!("no end after {LIFE_MAX:?}"))?;
        anyhow::ensure!(status.success(), "{status}:\n{}", process.tail());
        Ok(fs::read_to_string(&output)?)
    };
    let profile = Profile::read(&under("callgrind", &[COUNTED])?).context("callgrind's file cannot be read")?;
    anyhow::ensure!(profile.instructions > 0.0, "nothing was counted: {COUNTED} matches no function");
    let copied = bytes_copied(&under("dhat", &["--mode=copy", FRAMES])?).context("DHAT saw no turn of the broker")?;
    Ok([("instructions", profile.instructions), ("allocations", profile.allocations), ("bytes copied", copied)].into())
}

/// What a callgrind file says.
#[derive(Debug, PartialEq)]
struct Profile {
    instructions: f64,
    /// Also those of the simulation, which are the same for every build.
    allocations: f64,
}

impl Profile {
    /// Names are given once, `cfn=(7) malloc`, then by number. A call is `calls=COUNT ...`, its caller the last `fn=`, its
    /// cost with all that it calls in turn the last number of the next line. The sum is `totals: N`.
    fn read(output: &str) -> Option<Self> {
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        let (mut caller, mut callee) = ("", "");
        let (mut simulated, mut allocations, mut total) = (0.0, 0.0, None);
        let mut lines = output.lines();
        while let Some(line) = lines.next() {
            if let Some((is_callee, reference)) = function(line) {
                let (number, name) = reference.split_once(' ').unwrap_or((reference, ""));
                if !name.is_empty() {
                    names.insert(number, name);
                }
                let name = names.get(number).copied().unwrap_or_default();
                *(if is_callee { &mut callee } else { &mut caller }) = name;
            } else if let Some(calls) = line.strip_prefix("calls=") {
                let cost: f64 = lines.next()?.rsplit(' ').next()?.parse().ok()?;
                if ALLOCATORS.contains(&callee) {
                    allocations += calls.split(' ').next()?.parse::<f64>().ok()?;
                }
                if SIMULATED.iter().any(|name| callee.contains(name)) && !caller.contains(IN_SIMULATION) {
                    simulated += cost;
                }
            } else if let Some(sum) = line.strip_prefix("totals:") {
                total = Some(sum.trim().parse::<f64>().ok()?);
            }
        }
        Some(Self { instructions: total? - simulated, allocations })
    }
}

/// The function that a line names: whether it is called, and how it is referred to.
fn function(line: &str) -> Option<(bool, &str)> {
    let called = line.strip_prefix("cfn=").map(|reference| (true, reference));
    called.or_else(|| line.strip_prefix("fn=").map(|reference| (false, reference)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrind_files_are_read() {
        let file = "events: Ir\n\nfn=(1) main\n16 5\ncfn=(2) malloc\ncalls=3 0\n16 40\ncfn=(3) free\ncalls=9 0\n17 2\n\
                    fn=(4) other\ncfn=(2)\ncalls=4 0\n1 1\ncfn=(5) <a::SimDisk as a::Disk>::open\ncalls=1 0\n+3 30\n\
                    fn=(6) core::reactor::sim::x\ncfn=(5)\ncalls=1 0\n* 7\ntotals: 5130\n";
        assert_eq!(Profile::read(file), Some(Profile { instructions: 5100.0, allocations: 7.0 }));
        let below = "fn=(1) main\ncfn=(2) ringlog_core::reactor::sim::disk::calls::<impl ringlog_core::reactor::disk::Disk \
                     for ringlog_core::reactor::sim::disk::SimDisk>::open\ncalls=1 0\n+3 30\ntotals: 130\n";
        assert_eq!(Profile::read(below), Some(Profile { instructions: 100.0, allocations: 0.0 }));
        assert_eq!(Profile::read("nothing"), None);
        assert_eq!(Profile::read("totals: many"), None);
    }
}
