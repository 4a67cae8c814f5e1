//! CPU time of processes and of the kernel threads that write for them, from `/proc`.

use std::collections::HashMap;
use std::fs;

/// Clock ticks of `/proc/PID/stat`: fixed by Linux for user space.
const TICKS_PER_SECOND: f64 = 100.0;
/// Kernel threads that write back, sync and journal.
const WRITERS: [&str; 3] = ["kworker", "jbd2", "kblockd"];

/// CPU seconds of one process since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessCpu {
    /// In user mode.
    pub user: f64,
    /// In the kernel.
    pub system: f64,
}

impl ProcessCpu {
    /// Of `pid`, or nothing if it is gone.
    pub fn read(pid: u32) -> Option<Self> {
        parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// What was used since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }

    /// Both modes.
    pub fn total(self) -> f64 {
        self.user + self.system
    }
}

/// The name in parentheses may hold blanks; fields are counted behind it.
fn parse_stat(stat: &str) -> Option<ProcessCpu> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok().map(|ticks| ticks as f64 / TICKS_PER_SECOND);
    Some(ProcessCpu { user: ticks(11)?, system: ticks(12)? })
}

/// Nanoseconds on a CPU by kernel writer thread.
#[derive(Debug, Clone, Default)]
pub struct KernelWriters(HashMap<u32, u64>);

impl KernelWriters {
    /// All that there are now.
    pub fn read() -> Self {
        let Ok(entries) = fs::read_dir("/proc") else { return Self::default() };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        Self(pids.filter_map(|pid| Some((pid, writer_nanos(pid)?))).collect())
    }

    /// CPU seconds since `earlier`. Threads that ended in between are lost; new ones count whole.
    pub fn seconds_since(&self, earlier: &Self) -> f64 {
        let nanos: u64 = self
            .0
            .iter()
            .map(|(pid, nanos)| nanos.saturating_sub(earlier.0.get(pid).copied().unwrap_or_default()))
            .sum();
        nanos as f64 / 1e9
    }
}

fn writer_nanos(pid: u32) -> Option<u64> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    if !WRITERS.iter().any(|writer| name.starts_with(writer)) {
        return None;
    }
    let schedstat = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

/// Everything at one instant.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    broker: Option<ProcessCpu>,
    own: ProcessCpu,
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
            broker: broker_pid.and_then(ProcessCpu::read),
            own: ProcessCpu::read(std::process::id()).unwrap_or_default(),
            writers: KernelWriters::read(),
        }
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &Self) -> Usage {
        Usage {
            broker: self.broker.zip(earlier.broker).map(|(now, then)| now.since(then)),
            own: self.own.since(earlier.own),
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

    #[test]
    fn own_process_is_found() {
        assert!(ProcessCpu::read(std::process::id()).is_some());
        assert!(Sample::take(None).since(&Sample::default()).broker.is_none());
    }
}
