//! CPU time of processes and of the kernel threads that write for them, from `/proc`.

use std::collections::HashMap;
use std::fs;

/// Clock ticks of `/proc/PID/stat`: fixed by Linux for user space.
const TICKS_PER_SECOND: f64 = 100.0;
/// Kernel threads that write back, sync and journal.
const WRITERS: [&str; 3] = ["kworker", "jbd2", "kblockd"];

/// CPU seconds of one process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessCpu {
    /// In user mode.
    pub user: f64,
    /// In the kernel.
    pub system: f64,
}

impl ProcessCpu {
    /// Both modes.
    pub fn total(self) -> f64 {
        self.user + self.system
    }
}

/// What one process has used since it started: ticks tell the modes apart and know the threads that ended, the scheduler's
/// clock of each thread tells nanoseconds.
#[derive(Debug, Clone, Default)]
struct ProcessClock {
    ticks: ProcessCpu,
    threads: HashMap<u32, u64>,
}

impl ProcessClock {
    /// Of `pid`, or nothing if it is gone.
    fn read(pid: u32) -> Option<Self> {
        let ticks = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        let ids = numbers_in(&format!("/proc/{pid}/task"));
        let threads = ids.filter_map(|id| Some((id, on_cpu_nanos(&format!("/proc/{pid}/task/{id}"))?))).collect();
        Some(Self { ticks, threads })
    }

    /// What was used since `earlier`. While a thread of then is gone only ticks know what it used.
    fn since(&self, earlier: &Self) -> ProcessCpu {
        let user = self.ticks.user - earlier.ticks.user;
        let system = self.ticks.system - earlier.ticks.system;
        if self.threads.is_empty() || earlier.threads.keys().any(|id| !self.threads.contains_key(id)) {
            return ProcessCpu { user, system };
        }
        let total = nanos_since(&self.threads, &earlier.threads) as f64 / 1e9;
        let user_share = if user + system > 0.0 { user / (user + system) } else { 0.5 };
        ProcessCpu { user: total * user_share, system: total * (1.0 - user_share) }
    }
}

/// The name in parentheses may hold blanks; fields are counted behind it.
fn parse_stat(stat: &str) -> Option<ProcessCpu> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok().map(|ticks| ticks as f64 / TICKS_PER_SECOND);
    Some(ProcessCpu { user: ticks(11)?, system: ticks(12)? })
}

/// Entries of a folder of `/proc` that are numbers.
fn numbers_in(folder: &str) -> impl Iterator<Item = u32> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// Nanoseconds that a thread was on a CPU; of a process, its first thread.
fn on_cpu_nanos(folder: &str) -> Option<u64> {
    let schedstat = fs::read_to_string(format!("{folder}/schedstat")).ok()?;
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

/// Threads that ended since `then` are lost; new ones count whole.
fn nanos_since(now: &HashMap<u32, u64>, then: &HashMap<u32, u64>) -> u64 {
    now.iter().map(|(id, nanos)| nanos.saturating_sub(then.get(id).copied().unwrap_or_default())).sum()
}

/// Nanoseconds on a CPU by kernel writer thread.
#[derive(Debug, Clone, Default)]
pub struct KernelWriters(HashMap<u32, u64>);

impl KernelWriters {
    /// All that there are now.
    pub fn read() -> Self {
        Self(numbers_in("/proc").filter_map(|pid| Some((pid, writer_nanos(pid)?))).collect())
    }

    /// CPU seconds since `earlier`. Threads that ended in between are lost; new ones count whole.
    pub fn seconds_since(&self, earlier: &Self) -> f64 {
        nanos_since(&self.0, &earlier.0) as f64 / 1e9
    }
}

fn writer_nanos(pid: u32) -> Option<u64> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let is_writer = WRITERS.iter().any(|writer| name.starts_with(writer));
    is_writer.then(|| on_cpu_nanos(&format!("/proc/{pid}")))?
}

/// Everything at one instant.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    broker: Option<ProcessClock>,
    own: ProcessClock,
    writers: KernelWriters,
}

/// What was used between two samples, in CPU seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// The broker, if its process is known and lived through.
    pub broker: Option<ProcessCpu>,
    /// This process.
    pub own: ProcessCpu,
    /// Kernel threads that write, for whomever.
    pub kernel_writers: f64,
}

impl Sample {
    /// Of now.
    pub fn take(broker_pid: Option<u32>) -> Self {
        Self {
            broker: broker_pid.and_then(ProcessClock::read),
            own: ProcessClock::read(std::process::id()).unwrap_or_default(),
            writers: KernelWriters::read(),
        }
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Usage {
        Usage {
            broker: self.broker.as_ref().zip(earlier.broker.as_ref()).map(|(now, then)| now.since(then)),
            own: self.own.since(&earlier.own),
            kernel_writers: self.writers.seconds_since(&earlier.writers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_blanks_in_the_name() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 5";
        assert_eq!(parse_stat(stat), Some(ProcessCpu { user: 2.5, system: 0.5 }));
        assert_eq!(parse_stat(""), None);
    }

    fn clock(user: f64, system: f64, threads: &[(u32, u64)]) -> ProcessClock {
        ProcessClock { ticks: ProcessCpu { user, system }, threads: threads.iter().copied().collect() }
    }

    #[test]
    fn nanoseconds_are_split_as_ticks_are() {
        let then = clock(1.0, 1.0, &[(1, 500)]);
        let used = clock(1.03, 1.01, &[(1, 30_000_500), (2, 6_000_000)]).since(&then);
        assert!((used.total() - 0.036).abs() < 1e-9 && (used.user - 0.027).abs() < 1e-9, "{used:?}");
        let below_a_tick = clock(1.0, 1.0, &[(1, 2_000_500)]).since(&then);
        assert!((below_a_tick.total() - 0.002).abs() < 1e-9, "{below_a_tick:?}");
    }

    #[test]
    fn what_a_thread_used_that_ended_is_not_lost() {
        let used = clock(1.03, 1.01, &[(1, 600)]).since(&clock(1.0, 1.0, &[(1, 500), (2, 7)]));
        assert!((used.total() - 0.04).abs() < 1e-9, "{used:?}");
    }

    #[test]
    fn own_process_is_found() {
        let own = ProcessClock::read(std::process::id()).expect("it lives");
        assert!(!own.threads.is_empty());
        assert!(Sample::take(None).since(&Sample::default()).broker.is_none());
    }
}
