//! One turn: one cell on one broker, measured from inside by the load generator and watched from outside.

use std::fs;
use std::path::Path;

use ringlog_loadgen::cpu::KernelWriters;

use crate::cores::Cores;
use crate::figure::Values;
use crate::load::{Load, LoadError, Outcome};
use crate::measure::{Usage, Watch, mem_free_mib, rss_and_pss_mib};
use crate::results::Run;
use crate::scenario::{Cell, Class, Fill, Flags, LoadKind, Scenario};
use crate::target::{Running, Target};

/// Where the load generator runs.
#[derive(Debug, Clone, Copy)]
pub struct Within<'a> {
    pub loadgen: &'a Path,
    pub cores: &'a Cores,
    /// Takes its files; raw results lie in `raw` below it.
    pub folder: &'a Path,
}

/// Who is asked for what.
#[derive(Debug)]
pub struct Turn<'a> {
    pub cell: &'a Cell,
    pub class: Class,
    pub broker: &'a Running,
    /// Brokers that live meanwhile.
    pub idle: Vec<u32>,
    pub topic: String,
    /// Requests per second, where the cell takes a part of the target's maximum.
    pub rate: Option<f64>,
    pub within: Within<'a>,
}

/// Whether the sink can play the broker in this cell.
pub(super) fn sink_answers(cell: &Cell) -> bool {
    cell.rate.is_none() && matches!(cell.load, LoadKind::Produce | LoadKind::Fetch)
}

impl Turn<'_> {
    /// The load alone.
    pub fn load(&self, warmup_seconds: f64, seconds: f64) -> Result<Outcome, LoadError> {
        let mut flags = self.cell.flags.clone();
        if let Some(rate) = self.rate {
            flags.insert("rate".to_owned(), format!("{rate:.0}/s").into());
        }
        self.run(self.cell.load, flags, warmup_seconds, seconds)
    }

    /// Fills the topic.
    pub fn fill(&self, fill: &Fill) -> Result<Outcome, LoadError> {
        self.run(LoadKind::Produce, fill.flags.clone(), 0.0, fill.seconds)
    }

    /// Creates the topic. Ringlog is told the class, which may be a topic's there.
    pub fn create_topic(&self) -> std::io::Result<()> {
        let flags = self.cell.fill.as_ref().map_or(&self.cell.flags, |fill| &fill.flags);
        let partitions = flags.get("partitions").and_then(toml::Value::as_integer).unwrap_or(1);
        let configs = match self.broker.target {
            Target::Ringlog | Target::Base => vec![("ringlog.durability", self.class.name())],
            _ => Vec::new(),
        };
        let partitions = i32::try_from(partitions).map_err(std::io::Error::other)?;
        crate::wire::create_topic(&self.broker.bootstrap, &self.topic, partitions, &configs)
    }

    /// Deletes the topic, unless the cell keeps it. One that stays costs room, not truth.
    pub(super) fn forget_topic(&self) {
        if self.cell.fill.is_none() {
            let _ = crate::wire::delete_topic(&self.broker.bootstrap, &self.topic);
        }
    }

    fn run(&self, kind: LoadKind, flags: Flags, warmup_seconds: f64, seconds: f64) -> Result<Outcome, LoadError> {
        let load = Load {
            kind,
            flags,
            bootstrap: &self.broker.bootstrap,
            topic: &self.topic,
            broker_pid: self.broker.pid(),
            warmup_seconds,
            seconds,
        };
        load.run(self.within.loadgen, self.within.cores, self.within.folder)
    }

    /// The load with everything around it. The raw result goes into the folder.
    pub(super) fn measure(&self, scenario: &Scenario, round: u32, attempt: u32) -> Result<Run, LoadError> {
        // What an earlier run left dirty is not this one's.
        rustix::fs::sync();
        let mem_free = mem_free_mib();
        let watch = Watch::begin(self.broker.pid(), self.idle.clone());
        let loaded = self.load(scenario.warmup_seconds, scenario.seconds);
        let usage = watch.end();
        let outcome = loaded?;
        let mut values = outcome.values;
        self.add_usage(&mut values, &usage, scenario);
        if self.cell.load == LoadKind::Produce {
            add_writeback(&mut values, scenario);
        }
        if let Some(mib) = mem_free {
            values.insert("mem_free_mib".to_owned(), mib);
        }
        if let Some((rss, pss)) = self.broker.pid().and_then(rss_and_pss_mib) {
            values.extend([("rss_mib".to_owned(), rss), ("pss_mib".to_owned(), pss)]);
        }
        let raw = self.within.folder.join("raw");
        let (cell, class, target) =
            (&self.cell.name, self.class, self.broker.target.name().replace([':', '[', ']'], "_"));
        fs::create_dir_all(&raw)?;
        fs::write(
            raw.join(format!("{cell}-{class}-{target}-r{round}a{attempt}.json")),
            format!("{:#}\n", outcome.raw),
        )?;
        Ok(Run {
            cell: cell.clone(),
            class,
            target: self.broker.target.name().to_owned(),
            round,
            attempt,
            command: outcome.command,
            values,
            latency: outcome.latency,
            over_time: outcome.over_time,
            points: usage.points.clone(),
            threads: usage.threads.clone(),
            disturbed: disturbed(&usage, scenario.repeat.foreign_percent),
            failed: None,
        })
    }

    /// Counts of the whole run, warm-up included, go by what was done in the window at the same speed.
    fn add_usage(&self, values: &mut Values, usage: &Usage, scenario: &Scenario) {
        let seconds = scenario.warmup_seconds + scenario.seconds;
        let mut add = |key: &str, value: f64| values.insert(key.to_owned(), value);
        add("idle_brokers_percent", usage.idle_brokers_percent);
        add("steal_percent", usage.steal_percent);
        add("foreign_percent", usage.foreign_percent);
        if self.broker.pid().is_none() {
            return;
        }
        if let Some(per_s) = values.get("requests_per_s").copied().filter(|per_s| *per_s > 0.0) {
            values.insert("switches_per_request".to_owned(), usage.switches as f64 / (per_s * seconds));
        }
        if self.cell.load == LoadKind::Produce
            && let Some(mb_per_s) = values.get("mb_per_s").copied()
        {
            values.insert("written_per_byte".to_owned(), usage.written as f64 / (mb_per_s * 1e6 * seconds));
        }
    }
}

/// CPU of the threads that write back what the run left dirty, and of the call that waits for it.
fn add_writeback(values: &mut Values, scenario: &Scenario) {
    let Some(mb_per_s) = values.get("mb_per_s").copied() else { return };
    let gigabytes = mb_per_s / 1e3 * (scenario.warmup_seconds + scenario.seconds);
    let (writers, own) = (KernelWriters::read(), thread_cpu_s());
    rustix::fs::sync();
    let seconds = KernelWriters::read().seconds_since(&writers) + thread_cpu_s() - own;
    values.insert("writeback_s_per_gb".to_owned(), seconds / gigabytes);
}

fn thread_cpu_s() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn disturbed(usage: &Usage, bound_percent: f64) -> Option<String> {
    let parts = [("steal", usage.steal_percent), ("foreign processes", usage.foreign_percent)];
    let over: Vec<String> = parts
        .into_iter()
        .filter(|(_, percent)| *percent > bound_percent)
        .map(|(what, percent)| format!("{what} took {percent:.0} % of the machine"))
        .collect();
    (!over.is_empty()).then(|| over.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_much_disturbs() {
        let usage = |steal, foreign| Usage { steal_percent: steal, foreign_percent: foreign, ..Usage::default() };
        assert_eq!(disturbed(&usage(1.0, 2.0), 3.0), None);
        assert_eq!(disturbed(&usage(1.0, 9.0), 3.0).unwrap(), "foreign processes took 9 % of the machine");
        assert_eq!(disturbed(&usage(5.0, 9.0), 3.0).unwrap().matches("took").count(), 2);
    }
}
