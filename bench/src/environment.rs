//! The machine that a result comes from, without what would tell whose it is.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::build;

/// Facts of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// What they are about.
    pub title: String,
    /// Names and values.
    pub facts: Vec<(String, String)>,
}

/// Sysctls that change what is measured.
const SYSCTLS: [&str; 11] = [
    "kernel/io_uring_disabled",
    "kernel/randomize_va_space",
    "net/core/somaxconn",
    "net/ipv4/tcp_congestion_control",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_wmem",
    "vm/dirty_background_ratio",
    "vm/dirty_ratio",
    "vm/max_map_count",
    "vm/overcommit_memory",
    "vm/swappiness",
];

/// A short name for this kind of machine: its CPU and how many of it.
pub fn host_label() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    label(&cpu_model(), cores)
}

fn label(model: &str, cores: usize) -> String {
    let words = model.to_ascii_lowercase().replace("(r)", " ").replace("(tm)", " ");
    let words = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let named: Vec<&str> = words.filter(|word| !["cpu", "processor", "core"].contains(word)).take(3).collect();
    format!("{}-{cores}c", if named.is_empty() { "unknown".to_owned() } else { named.join("-") })
}

fn cpu_model() -> String {
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |rest| rest.trim_start_matches([' ', '\t', ':']).to_owned())
}

/// Everything that is worth knowing, with the file system of `data`.
pub fn capture(data: &Path) -> Vec<Group> {
    let group = |title: &str, facts: Vec<(&str, String)>| Group {
        title: title.to_owned(),
        facts: facts
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    };
    let sysctls = SYSCTLS.map(|name| (name, read(&format!("/proc/sys/{name}")))).to_vec();
    vec![
        group("Machine", machine()),
        group("Kernel", kernel()),
        group("Disk", vec![("mount", mount_of(&read("/proc/self/mounts"), data))]),
        group("Limits", limits()),
        group("Settings of the kernel", sysctls),
        Group { title: "CPU weaknesses".to_owned(), facts: weaknesses() },
        group("Versions", versions()),
    ]
}

fn machine() -> Vec<(&'static str, String)> {
    let memory = read("/proc/meminfo").lines().next().unwrap_or_default().replace("MemTotal:", "").trim().to_owned();
    let hypervisor = if read("/proc/cpuinfo").contains(" hypervisor") { "yes" } else { "no" };
    vec![
        ("CPU", cpu_model()),
        ("cores", std::thread::available_parallelism().map_or(String::new(), |count| count.to_string())),
        ("hypervisor", hypervisor.to_owned()),
        ("memory", memory),
        ("governor", read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        ("threads of a core", read("/sys/devices/system/cpu/smt/control")),
        ("clock source", read("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
        ("huge pages", read("/sys/kernel/mm/transparent_hugepage/enabled")),
        ("load before", read("/proc/loadavg")),
    ]
}

fn kernel() -> Vec<(&'static str, String)> {
    let name = rustix::system::uname();
    // The command line names disks and consoles; only switches that change speed are kept.
    let switches = read("/proc/cmdline");
    let switches = switches.split_ascii_whitespace().filter(|word| {
        ["mitigations", "isolcpus", "nohz", "rcu_nocbs", "idle", "processor", "intel_", "amd_", "transparent"]
            .iter()
            .any(|known| word.starts_with(known))
    });
    vec![
        ("release", name.release().to_string_lossy().into_owned()),
        ("architecture", name.machine().to_string_lossy().into_owned()),
        ("command line, what matters", switches.collect::<Vec<_>>().join(" ")),
    ]
}

fn limits() -> Vec<(&'static str, String)> {
    let text = read("/proc/self/limits");
    ["Max open files", "Max locked memory", "Max processes"]
        .into_iter()
        .map(|name| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            (name, line.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" / "))
        })
        .collect()
}

fn weaknesses() -> Vec<(String, String)> {
    let entries = fs::read_dir("/sys/devices/system/cpu/vulnerabilities").into_iter().flatten().flatten();
    let mut facts: Vec<(String, String)> = entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(&entry.path().to_string_lossy())))
        .filter(|(_, state)| !state.starts_with("Not affected"))
        .collect();
    facts.sort();
    facts
}

fn versions() -> Vec<(&'static str, String)> {
    let git = |arguments: &[&str]| {
        let root = build::checkout()?;
        let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
    let first_line = |program: &str, argument: &str| {
        let output = Command::new(program).arg(argument).output().ok()?;
        let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        Some(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
    };
    let build_flags = std::env::vars()
        .filter(|(name, _)| name.starts_with("CARGO_PROFILE_RELEASE") || name == "RUSTFLAGS")
        .map(|(name, value)| format!("{name}={value}"));
    vec![
        ("ringlog-bench", env!("CARGO_PKG_VERSION").to_owned()),
        ("commit", if changed { format!("{commit}, with changes") } else { commit }),
        ("rustc", first_line("rustc", "--version").unwrap_or_default()),
        ("build flags over the release profile", build_flags.collect::<Vec<_>>().join(" ")),
        ("java", first_line("java", "-version").unwrap_or_default()),
    ]
}

/// Type and options of the file system that holds `path`.
fn mount_of(mounts: &str, path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).filter(|fields| fields.len() >= 4);
    let holder = fields.filter(|fields| path.starts_with(fields[1])).max_by_key(|fields| fields[1].len());
    holder.map_or_else(String::new, |fields| format!("{} ({})", fields[2], fields[3]))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_and_neutral() {
        assert_eq!(label("AMD EPYC 7B13", 2), "amd-epyc-7b13-2c");
        assert_eq!(label("Intel(R) Xeon(R) Processor @ 2.50GHz", 8), "intel-xeon-2-8c");
        assert_eq!(label("", 1), "unknown-1c");
    }

    #[test]
    fn the_innermost_mount_is_meant() {
        let mounts = "/dev/a / ext4 rw 0 0\n/dev/b /proc xfs rw,noatime 0 0\nbroken\n";
        assert_eq!(mount_of(mounts, Path::new("/proc/self")), "xfs (rw,noatime)");
        assert_eq!(mount_of(mounts, Path::new("/")), "ext4 (rw)");
    }

    #[test]
    fn something_is_captured() {
        let groups = capture(Path::new("/"));
        assert!(groups.iter().any(|group| group.title == "Kernel" && !group.facts.is_empty()));
    }
}
