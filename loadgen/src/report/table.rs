//! The report as a table for people.

use std::fmt;

use super::{CpuTime, Latency, Report};
use crate::units::format_nanos;

/// Below this head-room the load generator is what was measured.
const HEAD_ROOM_MIN: f64 = 0.1;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        writeln!(
            f,
            "{}: {} loop, {} connections x {} in flight",
            settings.workload, settings.loop_kind, settings.connections, settings.inflight
        )?;
        self.write_measured(f)?;
        self.write_cpu(f)?;
        self.write_findings(f)?;
        // CPU time is of the process, whatever the part.
        self.parts.iter().try_for_each(|part| {
            writeln!(f, "\n{}", part.settings.workload)?;
            part.write_measured(f)?;
            part.write_findings(f)
        })
    }
}

impl Report {
    /// Whether it was right, and what was wrong.
    pub fn findings(&self) -> impl fmt::Display {
        fmt::from_fn(|f| self.write_findings(f))
    }

    fn write_measured(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} requests/s   ", self.requests_per_second)?;
        if self.records > 0 {
            write!(f, "{:.0} records/s   {:.2} MB/s   ", self.records_per_second, self.megabytes_per_second)?;
        }
        writeln!(f, "{} requests in {:.2} s", self.requests, self.elapsed_s)?;
        self.write_latencies(f)
    }

    fn write_latencies(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:12}", "")?;
        QUANTILES.iter().try_for_each(|(name, _)| write!(f, "{name:>10}"))?;
        writeln!(f)?;
        let control = self.control.as_ref().map(|control| &control.latency_ns);
        for (name, latency) in [
            ("latency", Some(&self.latency_ns)),
            ("service", Some(&self.service_ns)),
            ("lateness", Some(&self.lateness_ns)),
            ("control", control),
        ] {
            let Some(latency) = latency else { continue };
            write!(f, "{name:12}")?;
            for (_, quantile) in QUANTILES {
                match quantile(latency) {
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
        let cpu = &self.cpu;
        for (name, time) in
            [("broker", cpu.broker), ("kernel", Some(cpu.kernel_writers)), ("loadgen", Some(cpu.loadgen))]
        {
            let Some(CpuTime { user_s, system_s, s_per_gb, us_per_request }) = time else { continue };
            let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
            let (per_gb, per_request) = (number(s_per_gb), number(us_per_request));
            writeln!(f, "{name:12}{user_s:>10.2}{system_s:>10.2}{per_gb:>10}{per_request:>12}")?;
        }
        write!(f, "head-room of the load generator: {:.0} %", cpu.head_room * 100.0)?;
        writeln!(f, "{}", if cpu.head_room < HEAD_ROOM_MIN { " (client-bound)" } else { "" })
    }

    fn write_findings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(read) = &self.read_back {
            let megabytes = read.bytes as f64 / 1e6;
            writeln!(f, "read back: {} records, {megabytes:.0} MB in {:.1} s", read.records, read.elapsed_s)?;
        }
        self.retries.iter().try_for_each(|(kind, count)| writeln!(f, "sent again: {count} x {kind}"))?;
        let failures: u64 = self.errors.values().sum();
        match (self.verified, failures) {
            (true, 0) => return writeln!(f, "verified: no error, no contradiction"),
            (true, _) => writeln!(f, "verified: no contradiction; {failures} failures")?,
            (false, _) => writeln!(f, "NOT VERIFIED")?,
        }
        self.errors.iter().try_for_each(|(kind, count)| writeln!(f, "  {count} x {kind}"))?;
        self.problems.iter().try_for_each(|(kind, count)| writeln!(f, "  {count} x {kind}"))?;
        self.examples.iter().try_for_each(|text| writeln!(f, "  e.g. {text}"))
    }
}

type Quantile = fn(&Latency) -> Option<u64>;
const QUANTILES: [(&str, Quantile); 6] = [
    ("p50", |latency| latency.p50),
    ("p90", |latency| latency.p90),
    ("p99", |latency| latency.p99),
    ("p99.9", |latency| latency.p99_9),
    ("p99.99", |latency| latency.p99_99),
    ("max", |latency| latency.max),
];
