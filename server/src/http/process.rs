//! This process as the system sees it, under the names of Prometheus's own client libraries.

use std::fs;

/// From `/proc/self`; 0 where it cannot be read.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Process {
    pub(super) cpu_seconds: f64,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) open_fds: u64,
    pub(super) max_fds: u64,
    pub(super) threads: u64,
    /// Since 1970.
    pub(super) start_seconds: f64,
}

impl Process {
    pub(super) fn now() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let boot_seconds = fs::read_to_string("/proc/stat").ok().and_then(|text| boot_time(&text)).unwrap_or_default();
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Self {
            open_fds: fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
            max_fds: limit.current.unwrap_or(u64::MAX),
            ..Self::parse(&stat, boot_seconds).unwrap_or_default()
        }
    }

    /// The fields of proc(5) behind the name, which may hold blanks and brackets.
    fn parse(stat: &str, boot_seconds: f64) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
        let number = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        Some(Self {
            cpu_seconds: (number(14)? + number(15)?) as f64 / ticks_per_second,
            threads: number(20)?,
            start_seconds: boot_seconds + number(22)? as f64 / ticks_per_second,
            virtual_bytes: number(23)?,
            resident_bytes: number(24)? * rustix::param::page_size() as u64,
            ..Self::default()
        })
    }
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let behind = "S 1 1 1 0 -1 4194560 1 0 0 0 300 200 0 0 20 0 7 0 1000 4096000 25 18446744073709551615";
        let process = Process::parse(&format!("42 (a) b) c) {behind}"), 100.0).unwrap();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(process.cpu_seconds, 500.0 / ticks);
        assert_eq!((process.threads, process.virtual_bytes), (7, 4_096_000));
        assert_eq!(process.start_seconds, 100.0 + 1000.0 / ticks);
        assert_eq!(process.resident_bytes, 25 * rustix::param::page_size() as u64);
        assert!(Process::parse("nonsense", 0.0).is_none());
        assert_eq!(boot_time("cpu 1\nbtime 17\n"), Some(17.0));
    }

    #[test]
    fn this_process_is_there() {
        let process = Process::now();
        assert!(process.resident_bytes > 0 && process.open_fds > 2 && process.start_seconds > 1e9);
    }
}
