//! The few files of `/proc` that are read, and how.

use std::collections::BTreeMap;
use std::fs;

/// Clock ticks per second: fixed by Linux for user space.
pub const TICKS_PER_SECOND: f64 = 100.0;

/// The whole machine since its start, in ticks of all cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Machine {
    /// At work for a process or a kernel thread; interrupts are nobody's.
    pub busy: u64,
    /// The hypervisor gave the core to somebody else.
    pub steal: u64,
    /// All there was.
    pub total: u64,
}

impl Machine {
    /// Of now.
    pub fn read() -> Self {
        fs::read_to_string("/proc/stat").ok().and_then(|text| parse_machine(&text)).unwrap_or_default()
    }
}

fn parse_machine(stat: &str) -> Option<Machine> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is part of user.
    let [user, nice, system, idle, iowait, irq, softirq, steal] = *ticks.first_chunk()?;
    let busy = user + nice + system;
    Some(Machine { busy, steal, total: busy + idle + iowait + irq + softirq + steal })
}

/// One process since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters {
    /// Clock ticks by thread: number, name, ticks.
    pub threads: BTreeMap<u32, (String, u64)>,
    /// Switches of all threads that live, wanted and not.
    pub switches: u64,
    /// Bytes that it caused to be written to a disk.
    pub written: u64,
}

impl Counters {
    /// Of now; empty once the process is gone.
    pub fn read(pid: u32) -> Self {
        let mut counters = Self::default();
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for id in tasks.filter_map(|task| task.file_name().to_str()?.parse::<u32>().ok()) {
            let folder = format!("/proc/{pid}/task/{id}");
            if let Some(thread) = fs::read_to_string(format!("{folder}/stat")).ok().and_then(|stat| parse_stat(&stat)) {
                counters.threads.insert(id, thread);
            }
            let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
            counters.switches += field(&status, "voluntary_ctxt_switches:").unwrap_or_default();
            counters.switches += field(&status, "nonvoluntary_ctxt_switches:").unwrap_or_default();
        }
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        counters.written = field(&io, "write_bytes:").unwrap_or_default();
        counters
    }
}

/// The name and the ticks of a process or a thread. The name may hold blanks and parentheses.
pub fn parse_stat(stat: &str) -> Option<(String, u64)> {
    let (start, end) = (stat.find('(')?, stat.rfind(')')?);
    let fields: Vec<&str> = stat[end + 1..].split_ascii_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some((stat[start + 1..end].to_owned(), ticks(11)? + ticks(12)?))
}

/// Ticks of this process and of all children that it has waited for.
pub fn own_and_childrens_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    // utime, stime, cutime, cstime.
    fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// CPU seconds of a process since it started, with those of its threads.
pub fn process_cpu_s(pid: u32) -> Option<f64> {
    Some(process_ticks(pid)? as f64 / TICKS_PER_SECOND)
}

/// Ticks of a whole process, ended threads included.
pub fn process_ticks(pid: u32) -> Option<u64> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?).map(|(_, ticks)| ticks)
}

/// The number behind the name of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn kib_field_mib(text: &str, name: &str) -> Option<f64> {
    field(text, name).map(|kib| kib as f64 / 1024.0)
}

/// Resident memory in MiB.
pub fn rss_mib(pid: u32) -> Option<f64> {
    kib_field_mib(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:")
}

/// Resident memory, and its share when pages are shared, in MiB. Walks all mappings: not while something is measured.
pub fn rss_and_pss_mib(pid: u32) -> Option<(f64, f64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some((kib_field_mib(&text, "Rss:")?, kib_field_mib(&text, "Pss:")?))
}

/// Memory of the machine that nobody uses, not even as a cache, in MiB.
pub fn mem_free_mib() -> Option<f64> {
    kib_field_mib(&fs::read_to_string("/proc/meminfo").ok()?, "MemFree:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_read() {
        let text = "cpu  10 1 20 100 5 2 3 7 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\nintr 5\n";
        assert_eq!(parse_machine(text), Some(Machine { busy: 31, steal: 7, total: 148 }));
        assert_eq!(parse_machine("cpu  1 2\n"), None);
        assert!(Machine::read().total > 0);
    }

    #[test]
    fn threads_with_odd_names_are_read() {
        let stat = "7 (G1 (Young) x) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 1 0 5";
        assert_eq!(parse_stat(stat), Some(("G1 (Young) x".to_owned(), 300)));
        assert_eq!(parse_stat("7 (x"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let status = "VmRSS:\t  2048 kB\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t7\n";
        assert_eq!(field(status, "voluntary_ctxt_switches:"), Some(5));
        assert_eq!(kib_field_mib(status, "VmRSS:"), Some(2.0));
        assert_eq!(field(status, "VmPeak:"), None);
    }

    #[test]
    fn this_process_is_read() {
        let pid = std::process::id();
        let counters = Counters::read(pid);
        assert!(!counters.threads.is_empty() && counters.switches > 0);
        assert!(rss_mib(pid).is_some_and(|mib| mib > 1.0));
        assert_eq!(Counters::read(u32::MAX), Counters::default());
    }
}
