//! The result of a run: a table for people, JSON for machines.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use crate::cpu::Usage;
use crate::findings::Findings;
use crate::recorder::Recorder;
use crate::units::format_nanos;

/// Version of the JSON's fields.
const SCHEMA_VERSION: u32 = 1;
const QUANTILES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999), ("max", 1.0)];
/// Below so many samples p99.99 is chance.
const RARE_SAMPLES_MIN: u64 = 20_000;
/// Above this share of its threads' time the load generator is what was measured.
const CLIENT_BOUND: f64 = 0.9;

/// Everything that a run measured in its window.
#[derive(Debug, Clone)]
pub struct Report {
    /// Latencies and counts.
    pub recorder: Recorder,
    /// What was wrong.
    pub findings: Findings,
    /// The window, or until the last answer if that was later.
    pub elapsed: Duration,
    /// The window as planned: CPU time is of it.
    pub window: Duration,
    /// CPU time.
    pub usage: Usage,
    /// Worker threads.
    pub threads: usize,
}

impl Report {
    /// Answered requests.
    pub fn requests_per_second(&self) -> f64 {
        self.recorder.requests as f64 / self.elapsed.as_secs_f64()
    }

    /// Bytes of record batches, in millions.
    pub fn megabytes_per_second(&self) -> f64 {
        self.recorder.bytes as f64 / 1e6 / self.elapsed.as_secs_f64()
    }

    /// CPU seconds per 10^9 bytes of record batches.
    fn per_gigabyte(&self, seconds: f64) -> Option<f64> {
        (self.recorder.bytes > 0).then(|| seconds / (self.recorder.bytes as f64 / 1e9))
    }

    /// CPU microseconds per request.
    fn per_request(&self, seconds: f64) -> Option<f64> {
        (self.recorder.requests > 0).then(|| seconds * 1e6 / self.recorder.requests as f64)
    }

    /// Share of its threads' time that the load generator used.
    fn own_utilisation(&self) -> f64 {
        self.usage.own.total() / (self.window.as_secs_f64() * self.threads as f64)
    }

    /// With `settings`, the flags of the run.
    pub fn to_json(&self, settings: Value) -> Value {
        let cpu = |user: f64, system: f64| {
            let total = user + system;
            json!({"user_s": user, "system_s": system, "s_per_gb": self.per_gigabyte(total), "us_per_request": self.per_request(total)})
        };
        let errors: Map<String, Value> =
            self.findings.errors.iter().map(|(code, count)| (code.to_string(), json!(count))).collect();
        json!({
            "schema_version": SCHEMA_VERSION,
            "settings": settings,
            "window_s": self.window.as_secs_f64(),
            "elapsed_s": self.elapsed.as_secs_f64(),
            "requests": self.recorder.requests,
            "bytes": self.recorder.bytes,
            "requests_per_second": self.requests_per_second(),
            "megabytes_per_second": self.megabytes_per_second(),
            "latency_ns": quantiles_json(&self.recorder.latency),
            "service_ns": quantiles_json(&self.recorder.service),
            "lateness_ns": quantiles_json(&self.recorder.lateness),
            "clipped": self.recorder.clipped,
            "cpu": {
                "broker": self.usage.broker.map(|broker| cpu(broker.user, broker.system)),
                "kernel_writers": cpu(0.0, self.usage.kernel_writers),
                "loadgen": cpu(self.usage.own.user, self.usage.own.system),
                "loadgen_utilisation": self.own_utilisation(),
            },
            "verified": self.findings.is_clean(),
            "errors": errors,
            "problems": self.findings.problems,
            "examples": self.findings.examples,
        })
    }

    fn write_latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:12}", "")?;
        QUANTILES.iter().try_for_each(|(name, _)| write!(f, "{name:>10}"))?;
        writeln!(f)?;
        for (name, histogram) in [
            ("latency", &self.recorder.latency),
            ("service", &self.recorder.service),
            ("lateness", &self.recorder.lateness),
        ] {
            write!(f, "{name:12}")?;
            for (_, quantile) in QUANTILES {
                match quantile_of(histogram, quantile) {
                    Some(nanos) => write!(f, "{:>10}", format_nanos(nanos))?,
                    None => write!(f, "{:>10}", "-")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_cpu(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:12}{:>10}{:>10}{:>10}{:>12}", "CPU", "user s", "system s", "s/GB", "us/request")?;
        let rows = [
            ("broker", self.usage.broker.map(|cpu| (cpu.user, cpu.system))),
            ("kernel", Some((0.0, self.usage.kernel_writers))),
            ("loadgen", Some((self.usage.own.user, self.usage.own.system))),
        ];
        for (name, cpu) in rows {
            let Some((user, system)) = cpu else { continue };
            let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
            let total = user + system;
            let (per_gb, per_request) = (number(self.per_gigabyte(total)), number(self.per_request(total)));
            writeln!(f, "{name:12}{user:>10.2}{system:>10.2}{per_gb:>10}{per_request:>12}")?;
        }
        if self.own_utilisation() > CLIENT_BOUND {
            let percent = self.own_utilisation() * 100.0;
            writeln!(f, "client-bound: the load generator used {percent:.0} % of its threads' time")?;
        }
        Ok(())
    }

    fn write_findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.is_clean() {
            return writeln!(f, "verified: no error, no contradiction");
        }
        writeln!(f, "NOT VERIFIED")?;
        self.findings.errors.iter().try_for_each(|(code, count)| writeln!(f, "  {count} x {code}"))?;
        self.findings.problems.iter().try_for_each(|(kind, count)| writeln!(f, "  {count} x {kind}"))?;
        self.findings.examples.iter().try_for_each(|text| writeln!(f, "  e.g. {text}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:.0} requests/s   {:.2} MB/s   {} requests in {:.2} s",
            self.requests_per_second(),
            self.megabytes_per_second(),
            self.recorder.requests,
            self.elapsed.as_secs_f64()
        )?;
        self.write_latencies(f)?;
        self.write_cpu(f)?;
        self.write_findings(f)
    }
}

/// Nothing where too few samples were taken.
fn quantile_of(histogram: &Histogram<u64>, quantile: f64) -> Option<u64> {
    let rare = quantile > 0.999 && quantile < 1.0 && histogram.len() < RARE_SAMPLES_MIN;
    (!histogram.is_empty() && !rare).then(|| histogram.value_at_quantile(quantile))
}

fn quantiles_json(histogram: &Histogram<u64>) -> Value {
    let quantiles =
        QUANTILES.iter().map(|(name, quantile)| ((*name).to_owned(), json!(quantile_of(histogram, *quantile))));
    Value::Object(quantiles.collect())
}
