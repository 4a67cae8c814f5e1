//! Watches a run from outside: a thin row of samples while it lasts, everything at its two ends.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use ringlog_loadgen::cpu::KernelWriters;

use super::procfs::{Counters, Machine, TICKS_PER_SECOND, own_and_childrens_ticks, process_ticks, rss_mib};

/// Between two samples.
const TICK: Duration = Duration::from_millis(250);
/// Samples of one run at most.
const POINTS_MAX: usize = 4_000;
/// Kinds of threads that are told apart; the rest is joined.
const THREADS_MAX: usize = 12;

/// One sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Seconds since the run began, warm-up included.
    pub at_s: f64,
    /// The broker's CPU since the sample before, in percent of one core.
    pub cpu_percent: f64,
    /// Its resident memory.
    pub rss_mib: f64,
}

/// Threads of one name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThreadShare {
    /// Their name without the digits that number them.
    pub name: String,
    /// CPU seconds in the run.
    pub cpu_s: f64,
}

/// What was seen from begin to end, warm-up included.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// The broker's samples.
    pub points: Vec<Point>,
    /// The broker's threads, busiest first.
    pub threads: Vec<ThreadShare>,
    /// The broker's context switches, wanted and not.
    pub switches: u64,
    /// Bytes that the broker caused to be written.
    pub written: u64,
    /// CPU of the brokers that were not asked anything, in percent of one core.
    pub idle_brokers_percent: f64,
    /// Taken by the hypervisor, in percent of the machine.
    pub steal_percent: f64,
    /// CPU of what has nothing to do with the run, in percent of the machine.
    pub foreign_percent: f64,
}

/// A run that is being watched.
#[derive(Debug)]
pub struct Watch {
    broker: Option<u32>,
    idle: Vec<u32>,
    begin: Begin,
    stop: Sender<()>,
    sampler: JoinHandle<Vec<Point>>,
}

#[derive(Debug)]
struct Begin {
    at: Instant,
    machine: Machine,
    counters: Counters,
    writers: KernelWriters,
    own_ticks: u64,
    broker_ticks: u64,
    idle_ticks: u64,
}

impl Watch {
    /// From now on. `idle` are brokers that live but are not asked anything.
    pub fn begin(broker: Option<u32>, idle: Vec<u32>) -> Self {
        let begin = Begin {
            counters: broker.map(Counters::read).unwrap_or_default(),
            broker_ticks: broker.and_then(process_ticks).unwrap_or_default(),
            idle_ticks: ticks_of(&idle),
            own_ticks: own_and_childrens_ticks(),
            writers: KernelWriters::read(),
            machine: Machine::read(),
            at: Instant::now(),
        };
        let (stop, stopped) = mpsc::channel();
        let at = begin.at;
        let sampler = thread::spawn(move || {
            let mut points = Vec::new();
            let mut last = (at, broker.and_then(process_ticks));
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                let Some(pid) = broker else { continue };
                let now = (Instant::now(), process_ticks(pid));
                if let (Some(before), Some(ticks), Some(rss_mib)) = (last.1, now.1, rss_mib(pid))
                    && points.len() < POINTS_MAX
                {
                    let elapsed = (now.0 - last.0).as_secs_f64();
                    let cpu_percent = (ticks.saturating_sub(before)) as f64 / TICKS_PER_SECOND / elapsed * 100.0;
                    points.push(Point { at_s: (now.0 - at).as_secs_f64(), cpu_percent, rss_mib });
                }
                last = now;
            }
            points
        });
        Self { broker, idle, begin, stop, sampler }
    }

    /// Until now.
    pub fn end(self) -> Usage {
        let elapsed_s = self.begin.at.elapsed().as_secs_f64();
        let machine = Machine::read();
        let counters = self.broker.map(Counters::read).unwrap_or_default();
        let broker_ticks =
            self.broker.and_then(process_ticks).unwrap_or_default().saturating_sub(self.begin.broker_ticks);
        let idle_ticks = ticks_of(&self.idle).saturating_sub(self.begin.idle_ticks);
        let own_ticks = own_and_childrens_ticks().saturating_sub(self.begin.own_ticks);
        let writers_s = KernelWriters::read().seconds_since(&self.begin.writers);
        let known = broker_ticks + idle_ticks + own_ticks + (writers_s * TICKS_PER_SECOND) as u64;
        let busy = machine.busy - self.begin.machine.busy;
        drop(self.stop);
        let total = (machine.total - self.begin.machine.total).max(1) as f64;
        Usage {
            points: self.sampler.join().unwrap_or_default(),
            threads: shares(&self.begin.counters, &counters),
            switches: counters.switches.saturating_sub(self.begin.counters.switches),
            written: counters.written.saturating_sub(self.begin.counters.written),
            idle_brokers_percent: idle_ticks as f64 / TICKS_PER_SECOND / elapsed_s * 100.0,
            steal_percent: (machine.steal - self.begin.machine.steal) as f64 / total * 100.0,
            foreign_percent: busy.saturating_sub(known) as f64 / total * 100.0,
        }
    }
}

fn ticks_of(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| process_ticks(*pid)).sum()
}

/// Threads by name; a thread that is new counts whole.
fn shares(before: &Counters, after: &Counters) -> Vec<ThreadShare> {
    let mut ticks_by_name: BTreeMap<String, u64> = BTreeMap::new();
    for (id, (name, ticks)) in &after.threads {
        let used = ticks.saturating_sub(before.threads.get(id).map_or(0, |(_, ticks)| *ticks));
        *ticks_by_name.entry(family(name)).or_default() += used;
    }
    let mut by_ticks: Vec<(String, u64)> = ticks_by_name.into_iter().filter(|(_, ticks)| *ticks > 0).collect();
    by_ticks.sort_by_key(|(_, ticks)| std::cmp::Reverse(*ticks));
    let rest: u64 = by_ticks.iter().skip(THREADS_MAX).map(|(_, ticks)| ticks).sum();
    by_ticks.truncate(THREADS_MAX);
    if rest > 0 {
        by_ticks.push(("others".to_owned(), rest));
    }
    by_ticks.into_iter().map(|(name, ticks)| ThreadShare { name, cpu_s: ticks as f64 / TICKS_PER_SECOND }).collect()
}

/// `data-plane-kafk3` and `data-plane-kafk4` are of one family.
fn family(name: &str) -> String {
    let short = name.trim_end_matches(|c: char| c.is_ascii_digit() || "-#/ :".contains(c));
    if short.is_empty() { name.to_owned() } else { short.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(of: &[(u32, &str, u64)]) -> Counters {
        let threads = of.iter().map(|(id, name, ticks)| (*id, ((*name).to_owned(), *ticks))).collect();
        Counters { threads, ..Counters::default() }
    }

    #[test]
    fn threads_of_one_family_are_joined_and_new_ones_count() {
        let before = threads(&[(1, "main", 5), (2, "io-1", 100), (3, "io-2", 100)]);
        let after = threads(&[(1, "main", 5), (2, "io-1", 150), (3, "io-2", 130), (4, "GC Thread#0", 20)]);
        let shares = shares(&before, &after);
        let named: Vec<(&str, f64)> = shares.iter().map(|share| (share.name.as_str(), share.cpu_s)).collect();
        assert_eq!(named, [("io", 0.8), ("GC Thread", 0.2)]);
    }

    #[test]
    fn a_busy_process_is_seen() {
        let watch = Watch::begin(Some(std::process::id()), Vec::new());
        let until = Instant::now() + TICK * 3;
        while Instant::now() < until {
            std::hint::black_box(0);
        }
        let usage = watch.end();
        assert!(usage.points.iter().any(|point| point.cpu_percent > 0.0 && point.rss_mib > 0.0));
        assert!(!usage.threads.is_empty());
    }
}
