//! One run of the load generator as a process, and what it reports.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hdrhistogram::Histogram;
use ringlog_loadgen::report::{CpuTime, Report};
use ringlog_loadgen::units::parse_duration;
use serde::{Deserialize, Serialize};

use crate::cores::Cores;
use crate::figure::Values;
use crate::process::Process;
use crate::scenario::{Flags, LoadKind};

/// What a run may take beyond its planned time, and beyond what its flag `drain` gives to what is late.
const GRACE: Duration = Duration::from_secs(60);
/// The flag, and what it is without it.
pub const DRAIN: &str = "drain";
const DRAIN_DEFAULT: Duration = Duration::from_secs(30);
/// Its exit code when answers were wrong.
const NOT_VERIFIED: i32 = 3;
/// Its exit code when requests failed.
const REQUESTS_FAILED: i32 = 4;
/// The pieces that the window is cut into for curves over time.
const INTERVAL: &str = "250ms";

/// What is asked of the load generator.
#[derive(Debug, Clone)]
pub struct Load<'a> {
    /// What it does.
    pub kind: LoadKind,
    /// Its flags.
    pub flags: Flags,
    /// The broker.
    pub bootstrap: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// Whose CPU time it measures.
    pub broker_pid: Option<u32>,
    /// Seconds before the measured window.
    pub warmup_seconds: f64,
    /// Seconds of it.
    pub seconds: f64,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The command, as one would type it.
    pub command: String,
    /// Requests answered in the window.
    pub requests: u64,
    /// The figures.
    pub values: Values,
    /// All latencies, to be merged with those of other runs.
    pub latency: Option<Histogram<u64>>,
    /// The window over time.
    pub over_time: Vec<Instant>,
    /// All that it wrote.
    pub raw: String,
}

/// One interval of the window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Instant {
    /// Its start, in seconds since the window's.
    pub at_s: f64,
    /// Answered in it.
    pub requests_per_s: f64,
    /// Their latency.
    pub p50_us: Option<f64>,
    /// The same.
    pub p99_us: Option<f64>,
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// This load generator has no such load.
    #[error("the load generator has no `{0}` yet")]
    NoSuchLoad(&'static str),
    /// The broker's answers were wrong.
    #[error("wrong answers: {0}")]
    NotVerified(String),
    /// The broker refused some requests.
    #[error("requests failed: {0}")]
    RequestsFailed(String),
    /// What should run meanwhile did not.
    #[error("the load beside it ended: {0}")]
    Beside(String),
    /// It did not run.
    #[error("{0}")]
    Failed(String),
    /// Its result cannot be read.
    #[error("the load generator's result cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// Something of the system.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Load<'_> {
    fn arguments(&self, json: &Path, core: usize) -> Vec<String> {
        let mut arguments: Vec<String> = self.kind.name().split(' ').map(str::to_owned).collect();
        let mut push = |name: &str, value: String| arguments.extend([format!("--{name}"), value]);
        push("bootstrap", self.bootstrap.to_owned());
        push("topic", self.topic.to_owned());
        push("warmup", format!("{}ms", (self.warmup_seconds * 1e3).round()));
        push("duration", format!("{}ms", (self.seconds * 1e3).round()));
        push("core", core.to_string());
        push("interval", INTERVAL.to_owned());
        if let Some(pid) = self.broker_pid {
            push("broker-pid", pid.to_string());
        }
        push("json", json.display().to_string());
        for (name, value) in &self.flags {
            match value {
                toml::Value::Boolean(true) => arguments.push(format!("--{name}")),
                toml::Value::Boolean(false) => {}
                toml::Value::String(text) => arguments.extend([format!("--{name}"), text.clone()]),
                other => arguments.extend([format!("--{name}"), other.to_string()]),
            }
        }
        arguments.push("--quiet".to_owned());
        arguments
    }

    /// It has ended by then, or never will.
    fn bound(&self) -> Duration {
        let drain = self.flags.get(DRAIN).and_then(toml::Value::as_str).and_then(|text| parse_duration(text).ok());
        Duration::from_secs_f64(self.warmup_seconds + self.seconds) + drain.unwrap_or(DRAIN_DEFAULT) + GRACE
    }

    /// Starts it on `cores` and does not wait; `folder` takes its files.
    pub fn start(&self, program: &Path, cores: &Cores, folder: &Path) -> Result<Process, LoadError> {
        let arguments = self.arguments(&folder.join("beside.json"), cores.first());
        Ok(Process::start(Command::new(program).args(&arguments), cores, &folder.join("beside.log"))?)
    }

    /// Runs it on `cores`; `folder` takes its files.
    pub fn run(&self, program: &Path, cores: &Cores, folder: &Path) -> Result<Outcome, LoadError> {
        let json: PathBuf = folder.join("load.json");
        // What an earlier run left must not be taken for this one's.
        let _ = std::fs::remove_file(&json);
        let arguments = self.arguments(&json, cores.first());
        let bound = self.bound();
        let mut process = Process::start(Command::new(program).args(&arguments), cores, &folder.join("loadgen.log"))?;
        let status = process.wait(bound)?;
        let said = || process.tail();
        match status.map(|status| status.code()) {
            Some(Some(0)) => {}
            Some(Some(2)) if said().contains("subcommand") => return Err(LoadError::NoSuchLoad(self.kind.name())),
            Some(Some(code @ (NOT_VERIFIED | REQUESTS_FAILED))) => {
                let read = std::fs::read_to_string(&json)?;
                let examples = serde_json::from_str::<Report>(&read)?.examples;
                let example = examples.into_iter().next().unwrap_or_default();
                return Err(match code {
                    NOT_VERIFIED => LoadError::NotVerified(example),
                    _ => LoadError::RequestsFailed(example),
                });
            }
            Some(_) => return Err(LoadError::Failed(said())),
            None => return Err(LoadError::Failed(format!("no end after {bound:.0?}"))),
        }
        let mut outcome = read(&std::fs::read_to_string(&json)?)?;
        outcome.command = format!("ringlog-loadgen {}", arguments.join(" "));
        Ok(outcome)
    }
}

/// What the load generator wrote.
fn read(text: &str) -> Result<Outcome, LoadError> {
    let report: Report = serde_json::from_str(text)?;
    if report.requests == 0 {
        return Err(LoadError::Failed("no request was answered".to_owned()));
    }
    let us = |nanos: Option<u64>| nanos.map(|nanos| nanos as f64 / 1e3);
    let (broker, kernel) = (report.cpu.broker.as_ref(), &report.cpu.kernel_writers);
    let both = |get: fn(&CpuTime) -> Option<f64>| Some(broker.and_then(get)? + get(kernel)?);
    let values = [
        ("broker_s_per_gb", broker.and_then(|used| used.s_per_gb)),
        ("broker_us_per_request", broker.and_then(|used| used.us_per_request)),
        ("broker_user_s", broker.map(|used| used.user_s)),
        ("broker_system_s", broker.map(|used| used.system_s)),
        ("broker_percent", broker.map(|used| (used.user_s + used.system_s) / report.window_s * 100.0)),
        ("kernel_s_per_gb", kernel.s_per_gb),
        ("kernel_us_per_request", kernel.us_per_request),
        ("all_in_s_per_gb", both(|used| used.s_per_gb)),
        ("all_in_us_per_request", both(|used| used.us_per_request)),
        ("mb_per_s", (report.bytes > 0).then_some(report.megabytes_per_second)),
        ("requests_per_s", Some(report.requests_per_second)),
        ("p50_us", us(report.latency_ns.p50)),
        ("p90_us", us(report.latency_ns.p90)),
        ("p99_us", us(report.latency_ns.p99)),
        ("p999_us", us(report.latency_ns.p99_9)),
        ("max_us", us(report.latency_ns.max)),
        ("control_p50_us", report.control.as_ref().and_then(|control| us(control.latency_ns.p50))),
        ("control_p99_us", report.control.as_ref().and_then(|control| us(control.latency_ns.p99))),
        ("lateness_p99_us", us(report.lateness_ns.p99)),
        ("loadgen_percent", Some(report.cpu.loadgen_utilisation * 100.0)),
    ];
    let over_time = report.intervals.iter().filter(|interval| interval.length_s > 0.0).map(|interval| Instant {
        at_s: interval.start_s,
        requests_per_s: interval.requests as f64 / interval.length_s,
        p50_us: us(interval.latency_ns.p50),
        p99_us: us(interval.latency_ns.p99),
    });
    Ok(Outcome {
        command: String::new(),
        requests: report.requests,
        values: values.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect(),
        latency: report.latency_ns.decode(),
        over_time: over_time.collect(),
        raw: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"{"schema_version": 2, "requests": 10, "bytes": 20, "requests_per_second": 5.0,
        "megabytes_per_second": 2.0, "latency_ns": {"p50": 1000, "p90": 2000, "p99": 3000, "p99.9": null, "max": 4000},
        "lateness_ns": {"p99": 500}, "verified": true, "new field": 1,
        "intervals": [{"start_s": 0.0, "length_s": 0.5, "requests": 4, "latency_ns": {"p50": 900}}],
        "cpu": {"broker": {"user_s": 1.0, "system_s": 0.5, "s_per_gb": 3.0, "us_per_request": null},
                "kernel_writers": {"user_s": 0.0, "system_s": 0.1, "s_per_gb": 0.5, "us_per_request": 7.0},
                "loadgen_utilisation": 0.25}}"#;

    #[test]
    fn a_report_is_read() {
        let outcome = read(REPORT).unwrap();
        assert_eq!((outcome.values["p99_us"], outcome.values["all_in_s_per_gb"]), (3.0, 3.5));
        assert_eq!(outcome.values["loadgen_percent"], 25.0);
        assert!(!outcome.values.contains_key("p999_us") && !outcome.values.contains_key("all_in_us_per_request"));
        let instant = Instant { at_s: 0.0, requests_per_s: 8.0, p50_us: Some(0.9), p99_us: None };
        assert_eq!(outcome.over_time, [instant]);
    }

    #[test]
    fn a_run_without_an_answer_has_no_figure() {
        assert!(matches!(read(&REPORT.replace("\"requests\": 10", "\"requests\": 0")), Err(LoadError::Failed(_))));
        assert!(matches!(read("nonsense"), Err(LoadError::Unreadable(_))));
    }

    #[test]
    fn flags_become_arguments() {
        let flags = toml::from_str("partitions = 100\nbatch-bytes = \"16k\"\nrandom = true\nother = false").unwrap();
        let load = Load {
            kind: LoadKind::Produce,
            flags,
            bootstrap: "h:1",
            topic: "t",
            broker_pid: Some(7),
            warmup_seconds: 0.5,
            seconds: 3.0,
        };
        let typed = load.arguments(Path::new("f"), 1).join(" ");
        assert_eq!(
            typed,
            "produce --bootstrap h:1 --topic t --warmup 500ms --duration 3000ms --core 1 --interval 250ms --broker-pid 7 --json f \
             --batch-bytes 16k --partitions 100 --random --quiet"
        );
        assert_eq!(load.bound(), Duration::from_millis(93_500));
        let slow = Load { flags: toml::from_str("drain = \"5m\"").unwrap(), ..load };
        assert_eq!(slow.bound(), Duration::from_millis(363_500));
    }
}
