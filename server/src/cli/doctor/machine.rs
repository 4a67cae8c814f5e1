//! The kernel, io_uring, limits and cores.

use std::fs;

use ringlog_core::reactor::IoDriver;
use ringlog_core::shard::{CpuQuota, allowed_cores, default_shard_count};
use rustix::process::{Resource, getrlimit};

use super::Check;
use crate::config::{Io, Settings};

/// The oldest kernel with all that the rings ask for.
const KERNEL_MIN: (u32, u32) = (6, 1);
/// Locked memory that a shard's ring and buffers may count against the limit, on kernels that count it.
const MEMLOCK_PER_SHARD: u64 = 8 << 20;
/// Enough for thousands of connections and partitions.
const DESCRIPTORS_GOOD: u64 = 65_536;

pub(super) fn checks(settings: &Settings) -> Vec<Check> {
    let cores = allowed_cores().len();
    let by_default = default_shard_count(cores, CpuQuota::of_this_process());
    let shards = settings.shards.map_or(by_default, usize::from);
    vec![
        kernel(rustix::system::uname().release().to_str().unwrap_or_default(), settings.io),
        io_uring(settings.io),
        shard_count(shards, cores, by_default),
        memlock(getrlimit(Resource::Memlock).current, shards),
        descriptors(getrlimit(Resource::Nofile).maximum),
        clock_source(),
    ]
}

fn kernel(release: &str, io: Io) -> Check {
    const NAME: &str = "kernel";
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(_)), Some(Ok(_))) if io == Io::Epoll => Check::ok(NAME, release),
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= KERNEL_MIN => Check::ok(NAME, release),
        (Some(Ok(_)), Some(Ok(_))) => {
            let (major, minor) = KERNEL_MIN;
            unless_needed(
                io,
                NAME,
                release,
                format!("io_uring as it is used here needs Linux {major}.{minor} or newer"),
            )
        }
        _ => Check::warning(NAME, format!("'{release}' is not understood"), "see the next line: io_uring"),
    }
}

/// The error names cause and fix.
fn io_uring(io: Io) -> Check {
    const NAME: &str = "io_uring";
    match IoDriver::choose() {
        _ if io == Io::Epoll => Check::ok(NAME, "not used (ringlog.io=epoll)"),
        (_, None) => Check::ok(NAME, "a ring can be made"),
        (_, Some(refused)) => {
            let text = refused.to_string();
            let (found, fix) = text.split_once(" Fix: ").unwrap_or((&text, "allow io_uring"));
            unless_needed(io, NAME, found, fix)
        }
    }
}

/// What keeps io_uring away. A broker that may choose starts on epoll.
fn unless_needed(io: Io, name: &'static str, found: &str, fix: impl Into<String>) -> Check {
    match io {
        Io::Uring => Check::failure(name, found, fix),
        Io::Auto | Io::Epoll => Check::warning(name, format!("{found} A broker runs on epoll, which costs more."), fix),
    }
}

fn shard_count(shards: usize, cores: usize, by_default: usize) -> Check {
    const NAME: &str = "cores";
    let found = format!("{shards} shard(s) on {cores} core(s) that this process may use");
    if shards > cores {
        return Check::warning(NAME, found, format!("shards that share a core wait for each other: --shards {cores}"));
    }
    if shards > by_default {
        let fix = format!("the cgroup's quota (cpu.max) is for {by_default}: --shards {by_default}, or a larger quota");
        return Check::warning(NAME, found, fix);
    }
    Check::ok(NAME, found)
}

fn memlock(limit: Option<u64>, shards: usize) -> Check {
    const NAME: &str = "memlock";
    let wanted = MEMLOCK_PER_SHARD * shards as u64;
    match limit {
        None => Check::ok(NAME, "unlimited"),
        Some(limit) if limit >= wanted => Check::ok(NAME, format!("{limit} bytes")),
        Some(limit) => {
            let fix = format!(
                "without CAP_IPC_LOCK the rings may not fit: LimitMEMLOCK=infinity, or ulimit -l {}",
                wanted / 1024
            );
            Check::warning(NAME, format!("{limit} bytes for {shards} shard(s)"), fix)
        }
    }
}

/// The broker raises its limit to the maximum by itself.
fn descriptors(maximum: Option<u64>) -> Check {
    const NAME: &str = "descriptors";
    match maximum {
        Some(maximum) if maximum < DESCRIPTORS_GOOD => {
            let fix = format!("connections are refused beyond it: LimitNOFILE={DESCRIPTORS_GOOD}, or ulimit -Hn");
            Check::warning(NAME, format!("at most {maximum}"), fix)
        }
        Some(maximum) => Check::ok(NAME, format!("at most {maximum}")),
        None => Check::ok(NAME, "unlimited"),
    }
}

fn clock_source() -> Check {
    const NAME: &str = "clock";
    const PATH: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    match fs::read_to_string(PATH) {
        Ok(source)
            if matches!(source.trim(), "tsc" | "kvm-clock" | "arch_sys_counter" | "hyperv_clocksource_tsc_page") =>
        {
            Check::ok(NAME, source.trim())
        }
        Ok(source) => {
            let fix = "reading the time costs a system call: tsc or kvm-clock, if the machine has one";
            Check::warning(NAME, source.trim(), fix)
        }
        Err(error) => Check::warning(NAME, error.to_string(), format!("{PATH} says which clock the kernel reads")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn old_kernels_fail_and_odd_names_warn() {
        for (release, verdict) in [
            ("6.1.0-13-amd64", Verdict::Ok),
            ("6.18.2", Verdict::Ok),
            ("10.0", Verdict::Ok),
            ("5.15.0", Verdict::Failure),
            ("6.0.19", Verdict::Failure),
            ("unknown", Verdict::Warning),
        ] {
            assert_eq!(kernel(release, Io::Uring).verdict, verdict, "{release}");
        }
    }

    #[test]
    fn limits_are_named_with_their_fix() {
        assert_eq!(memlock(None, 4).verdict, Verdict::Ok);
        assert!(memlock(Some(64 << 10), 2).fix.unwrap().contains("LimitMEMLOCK"));
        assert!(descriptors(Some(1024)).fix.unwrap().contains("LimitNOFILE"));
        assert!(shard_count(8, 2, 2).fix.unwrap().contains("--shards 2"));
        assert!(shard_count(2, 64, 1).fix.unwrap().contains("cpu.max"));
        assert_eq!(shard_count(2, 2, 2).verdict, Verdict::Ok);
    }
}
