//! One turn: one cell on one broker, measured from inside by the load generator and watched from outside.

use std::fs;
use std::path::Path;

use ringlog_loadgen::cpu::KernelWriters;

use super::beside::BesideRun;
use crate::compaction::Backlog;
use crate::cores::Cores;
use crate::figure::Values;
use crate::load::{Load, LoadError, Outcome};
use crate::measure::{Usage, Watch, mem_free_mib, rss_and_pss_mib, warm_memory};
use crate::results::Run;
use crate::scenario::{Cell, Class, Fill, Flags, LoadKind, Scenario};
use crate::target::Running;

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
    let is_alone = cell.rate.is_none() && cell.beside.is_none() && !cell.cold;
    is_alone && matches!(cell.load, LoadKind::Produce | LoadKind::Fetch)
}

impl<'a> Turn<'a> {
    /// The load alone.
    pub fn load(&self, warmup_seconds: f64, seconds: f64) -> Result<Outcome, LoadError> {
        if self.cell.load == LoadKind::Compaction {
            return self.compaction();
        }
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
        let mut configs: Vec<(&str, &str)> =
            self.cell.topic.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        if self.broker.target.is_ringlog() {
            configs.push(("ringlog.durability", self.class.name()));
        }
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
        let load = self.as_load(kind, flags, warmup_seconds, seconds);
        load.run(self.within.loadgen, self.within.cores, self.within.folder)
    }

    pub(super) fn as_load(&self, kind: LoadKind, flags: Flags, warmup_seconds: f64, seconds: f64) -> Load<'_> {
        Load {
            kind,
            flags,
            bootstrap: &self.broker.bootstrap,
            topic: &self.topic,
            broker_pid: self.broker.pid(),
            warmup_seconds,
            seconds,
        }
    }

    /// Not a load of the load generator: fills a log, and has it cleaned.
    fn compaction(&self) -> Result<Outcome, LoadError> {
        let backlog = Backlog::fill(self.broker, format!("{}-log", self.topic), self.class, &self.cell.flags)?;
        let cleaned = backlog.clean();
        backlog.forget();
        cleaned
    }

    /// The load with everything around it. The raw result goes into the folder.
    pub(super) fn measure(&self, scenario: &Scenario, round: u32, attempt: u32) -> Result<Run, LoadError> {
        // What an earlier run left dirty is not this one's.
        rustix::fs::sync();
        if self.cell.cold {
            self.broker.drop_from_page_cache().map_err(LoadError::Failed)?;
        }
        warm_memory(self.within.folder, self.cell.warm_memory_mib)?;
        let seconds = self.cell.seconds.unwrap_or(scenario.seconds);
        let mem_free = mem_free_mib();
        let rss_before = self.broker.pid().and_then(rss_and_pss_mib).map(|(rss, _)| rss);
        let beside = self.cell.beside.as_ref().map(|beside| BesideRun::start(self, beside)).transpose()?;
        let watch = Watch::begin(self.broker.pid(), self.idle.clone());
        let loaded = self.load(scenario.warmup_seconds, seconds);
        let usage = watch.end();
        let outcome = loaded?;
        beside.map_or(Ok(()), BesideRun::end)?;
        let mut values = outcome.values;
        let all_seconds = scenario.warmup_seconds + seconds;
        self.add_usage(&mut values, &usage, all_seconds);
        if self.cell.load == LoadKind::Produce {
            add_writeback(&mut values, all_seconds);
        }
        if let Some(rss_before) = rss_before {
            self.add_growth(&mut values, &usage, rss_before);
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
    fn add_usage(&self, values: &mut Values, usage: &Usage, seconds: f64) {
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

    /// Memory that idle connections took.
    fn add_growth(&self, values: &mut Values, usage: &Usage, rss_before_mib: f64) {
        let idle = self.cell.flags.get("idle").and_then(toml::Value::as_integer).unwrap_or_default();
        if idle > 0 {
            let most = usage.points.iter().map(|point| point.rss_mib).fold(rss_before_mib, f64::max);
            let bytes = (most - rss_before_mib) * f64::from(1 << 20) / idle as f64;
            values.insert("bytes_per_idle_connection".to_owned(), bytes);
        }
    }
}

/// CPU of the threads that write back what the run left dirty, and of the call that waits for it.
fn add_writeback(values: &mut Values, seconds: f64) {
    let Some(mb_per_s) = values.get("mb_per_s").copied() else { return };
    let gigabytes = mb_per_s / 1e3 * seconds;
    let (writers, own) = (KernelWriters::read(), thread_cpu_s());
    rustix::fs::sync();
    let used_s = KernelWriters::read().seconds_since(&writers) + thread_cpu_s() - own;
    values.insert("writeback_s_per_gb".to_owned(), used_s / gigabytes);
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
