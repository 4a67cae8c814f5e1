//! Runs a scenario: brokers up, warm, then rounds in which every broker takes its turn at every cell.
//!
//! Invariants:
//! - All brokers live through all rounds; the order of the targets turns round from round to round.
//! - Each run has a topic of its own, deleted behind it, unless the cell fills one and keeps it.
//! - A disturbed run is kept, marked, and repeated within the scenario's bounds.

mod beside;
mod progress;
mod turn;
mod warm_up;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

pub use progress::Progress;

use crate::build::Programs;
use crate::cores::Cores;
use crate::environment;
use crate::limits::Limits;
use crate::load::LoadError;
use crate::measure::{Watch, rss_and_pss_mib};
use crate::results::{Life, Results, Run, SCHEMA_VERSION};
use crate::scenario::{Cell, Class, Scenario};
use crate::target::{End, Ground, Running, Target};
use crate::wire;
pub use turn::{Turn, Within};

/// A cell that failed so often on a target is not tried on it again.
const FAILURES_MAX: u32 = 2;

/// What a run needs besides its scenario.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Broker and load generator.
    pub programs: &'a Programs,
    /// Who is measured; the first one is set against the others.
    pub targets: &'a [Target],
    /// As typed.
    pub command: String,
    /// A fresh folder for data, output and raw results.
    pub folder: &'a Path,
}

impl Setup<'_> {
    fn ground<'b>(&'b self, scenario: &'b Scenario, cores: &'b Cores) -> Ground<'b> {
        Ground { scenario, programs: self.programs, folder: self.folder, cores, wrapper: &[] }
    }
}

struct Runner<'a> {
    scenario: &'a Scenario,
    setup: &'a Setup<'a>,
    broker_cores: Cores,
    loadgen_cores: Cores,
    progress: &'a Progress,
    brokers: Vec<Running>,
    results: Results,
    repeats: u32,
    failures: BTreeMap<(String, Class, String), u32>,
    /// Topics that were filled, by the name of the target.
    filled: BTreeSet<(String, String)>,
}

/// Runs the whole scenario.
pub fn run(scenario: &Scenario, setup: &Setup<'_>, progress: &Progress) -> anyhow::Result<Results> {
    let machine = Cores::of_this_machine()?;
    let broker_cores = scenario.placement.broker.on(&machine).context("placement.broker")?;
    let loadgen_cores = scenario.placement.loadgen.on(&machine).context("placement.loadgen")?;
    let began = Instant::now();
    let results = Results {
        schema_version: SCHEMA_VERSION,
        scenario: scenario.clone(),
        started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        took_s: 0.0,
        host: environment::host_label(),
        command: setup.command.clone(),
        broker_cores: broker_cores.to_string(),
        loadgen_cores: loadgen_cores.to_string(),
        environment: environment::capture(setup.folder),
        limits: Limits::default(),
        lives: Vec::new(),
        missing: BTreeMap::new(),
        curves: Vec::new(),
        runs: Vec::new(),
    };
    let mut runner = Runner {
        scenario,
        setup,
        broker_cores,
        loadgen_cores,
        progress,
        brokers: Vec::new(),
        results,
        repeats: 0,
        failures: BTreeMap::new(),
        filled: BTreeSet::new(),
    };
    progress.say("physical limits");
    let before = Limits::measure(&runner.broker_cores, &runner.loadgen_cores, setup.folder)?;
    runner.start_brokers()?;
    runner.watch_idle();
    runner.sink()?;
    runner.warm_up()?;
    for round in 0..scenario.rounds {
        runner.round(round)?;
    }
    runner.restart_brokers();
    runner.stop_brokers()?;
    progress.say("physical limits, again");
    let after = Limits::measure(&runner.broker_cores, &runner.loadgen_cores, setup.folder)?;
    let mut results = runner.results;
    results.limits = before.best(&after);
    results.merge_curves();
    results.took_s = began.elapsed().as_secs_f64();
    Ok(results)
}

impl<'a> Runner<'a> {
    fn start_brokers(&mut self) -> anyhow::Result<()> {
        let ground = self.setup.ground(self.scenario, &self.broker_cores);
        let classes: Vec<Class> = Class::ALL
            .into_iter()
            .filter(|class| self.scenario.cells.iter().any(|cell| cell.classes.contains(class)))
            .collect();
        let lives = self
            .setup
            .targets
            .iter()
            .flat_map(|target| target.lives(&classes).into_iter().map(move |class| (target, class)));
        for (target, class) in lives {
            self.progress.say(&format!("start {target}"));
            match Running::start(target, class, &ground) {
                Ok(running) => {
                    self.results.lives.push(Life {
                        target: target.name().to_owned(),
                        class,
                        title: running.title(),
                        command: running.command.clone(),
                        config: running.config.clone(),
                        ready_ms: running.ready_after.map(|after| after.as_secs_f64() * 1e3),
                        ..Life::default()
                    });
                    self.brokers.push(running);
                }
                // Ringlog is what the run is about; without another one its figures still stand.
                Err(error) if *target != Target::Ringlog => {
                    let reason = format!("{error:#}");
                    self.progress.warn(&format!("no {target}: {reason}"));
                    self.results.missing.insert(target.name().to_owned(), reason);
                }
                Err(error) => return Err(error.context("start ringlog")),
            }
        }
        let reasons = self.results.missing.iter().map(|(target, reason)| format!("{target}: {reason}"));
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        anyhow::ensure!(!self.brokers.is_empty(), "no target could be started: {reasons}");
        Ok(())
    }

    fn watch_idle(&mut self) {
        self.progress.say("brokers with nothing to do");
        let watches: Vec<Watch> =
            self.brokers.iter().map(|broker| Watch::begin(None, broker.pid().into_iter().collect())).collect();
        thread::sleep(Duration::from_secs_f64(self.scenario.idle_seconds));
        for ((life, broker), watch) in self.results.lives.iter_mut().zip(&self.brokers).zip(watches) {
            let usage = watch.end();
            life.idle_cpu_percent = broker.pid().map(|_| usage.idle_brokers_percent);
            life.idle_rss_mib = broker.pid().and_then(rss_and_pss_mib).map(|(rss, _)| rss);
        }
    }

    /// The same load on a target that keeps nothing, once per cell: what the client and its protocol allow.
    fn sink(&mut self) -> anyhow::Result<()> {
        let ground = self.setup.ground(self.scenario, &self.broker_cores);
        let Ok(sink) = Running::start(&Target::Sink, None, &ground) else {
            self.progress.warn("the load generator's sink cannot be started: no limits per request");
            return Ok(());
        };
        for cell in self.scenario.cells.iter().filter(|cell| turn::sink_answers(cell)) {
            self.progress.say(&format!("{}: the load generator against its sink", cell.name));
            let turn = Turn {
                cell,
                class: Class::PageCache,
                broker: &sink,
                idle: Vec::new(),
                topic: format!("sink-{}", cell.name),
                rate: None,
                within: self.within(),
            };
            if let Ok(run) = turn.measure(self.scenario, 0, 0) {
                self.results.runs.push(run);
            }
        }
        sink.stop()?;
        Ok(())
    }

    fn round(&mut self, round: u32) -> anyhow::Result<()> {
        let turns = self.turns();
        for (at, (cell, class)) in turns.iter().enumerate().filter(|(_, (cell, _))| cell.is_in_round(round)) {
            let mut order: Vec<usize> = (0..self.brokers.len()).collect();
            // ABBA: who goes first turns round, so that a drift of the machine falls on both.
            if (round as usize + at) % 2 == 1 {
                order.reverse();
            }
            for index in order {
                if self.brokers[index].serves(*class) {
                    self.measure(cell, *class, index, round)?;
                }
            }
        }
        Ok(())
    }

    fn measure(&mut self, cell: &'a Cell, class: Class, index: usize, round: u32) -> anyhow::Result<()> {
        let target = self.brokers[index].target.clone();
        let key = (cell.name.clone(), class, target.name().to_owned());
        if self.failures.get(&key).is_some_and(|count| *count >= FAILURES_MAX) {
            self.progress.done_one();
            return Ok(());
        }
        for attempt in 0.. {
            self.progress.say(&format!(
                "round {}/{}: {} ({class}) on {target}{}",
                round + 1,
                self.scenario.rounds,
                cell.name,
                if attempt > 0 { ", again" } else { "" }
            ));
            let scenario = self.scenario;
            let measured = self.turn(cell, class, &format!("r{round}a{attempt}"), index).and_then(|turn| {
                let run = turn.measure(scenario, round, attempt);
                turn.forget_topic();
                run
            });
            let run = measured.unwrap_or_else(|error| failed(cell, class, &target, round, attempt, &error));
            self.brokers[index].check_alive()?;
            let disturbed = run.disturbed.is_some();
            let hopeless = run.failed.is_some();
            if hopeless {
                let count = self.failures.entry(key.clone()).or_default();
                *count += 1;
            }
            self.results.runs.push(run);
            let bounds = self.scenario.repeat;
            if !disturbed || attempt >= bounds.per_run || self.repeats >= bounds.in_all {
                break;
            }
            self.repeats += 1;
        }
        self.progress.done_one();
        Ok(())
    }

    /// How long each is away: killed right behind the load, then stopped cleanly.
    fn restart_brokers(&mut self) {
        for (broker, life) in self.brokers.iter_mut().zip(&mut self.results.lives) {
            if let Some((rss, pss)) = broker.pid().and_then(rss_and_pss_mib) {
                (life.loaded_rss_mib, life.loaded_pss_mib) = (Some(rss), Some(pss));
            }
            life.data_mib = broker.data_mib();
            life.page_cache_mib = broker.page_cache_mib();
            for (end, what) in [(End::Kill, "kill"), (End::Stop, "stop")] {
                self.progress.say(&format!("{what} and start {}", broker.target));
                let after_ms = match broker.restart(end) {
                    Ok(after) => after.map(|after| after.as_secs_f64() * 1e3),
                    // What was measured before stands all the same.
                    Err(error) => {
                        self.progress.warn(&format!("{}: {error:#}", broker.target));
                        break;
                    }
                };
                match end {
                    End::Kill => life.ready_after_kill_ms = after_ms,
                    End::Stop => life.ready_after_stop_ms = after_ms,
                }
            }
        }
    }

    fn stop_brokers(&mut self) -> anyhow::Result<()> {
        for broker in self.brokers.drain(..) {
            let target = broker.target.clone();
            if broker.pid().is_none() {
                // One that goes on without us keeps nothing of ours.
                for (_, topic) in self.filled.iter().filter(|(name, _)| name == target.name()) {
                    let _ = wire::delete_topic(&broker.bootstrap, topic);
                }
            }
            self.progress.say(&format!("stop {target}"));
            if !broker.stop()? {
                self.progress.warn(&format!("{target} did not stop by itself and was killed"));
            }
        }
        Ok(())
    }

    /// Cells in the classes that some target has.
    fn turns(&self) -> Vec<(&'a Cell, Class)> {
        let has = |class: Class| self.brokers.iter().any(|broker| broker.serves(class));
        let cells = self.scenario.cells.iter();
        let all = cells.flat_map(|cell| cell.classes.iter().map(move |class| (cell, *class)));
        all.filter(|(_, class)| has(*class)).collect()
    }

    fn within(&self) -> Within<'_> {
        Within { loadgen: &self.setup.programs.loadgen, cores: &self.loadgen_cores, folder: self.setup.folder }
    }

    /// A turn with its topic: one of its own, or the one that the cell fills, which is done here the first time.
    fn turn(&mut self, cell: &'a Cell, class: Class, suffix: &str, index: usize) -> Result<Turn<'_>, LoadError> {
        let target = &self.brokers[index].target;
        let topic = match &cell.fill {
            Some(_) => format!("{}-{class}", cell.name),
            None => format!("{}-{class}-{suffix}", cell.name),
        };
        let is_new = cell.fill.is_none() || self.filled.insert((target.name().to_owned(), topic.clone()));
        let rate = cell.rate.as_ref().map(|rate| {
            let none = || LoadError::Failed("no maximum of its own to take a part of".to_owned());
            self.own_rate(rate.percent, &rate.of, class, target).ok_or_else(none)
        });
        let idle = self.brokers.iter().enumerate().filter(|(other, _)| *other != index);
        let turn = Turn {
            cell,
            class,
            broker: &self.brokers[index],
            idle: idle.filter_map(|(_, broker)| broker.pid()).collect(),
            topic,
            rate: rate.transpose()?,
            within: self.within(),
        };
        if is_new {
            turn.create_topic()?;
        }
        if let Some(fill) = cell.fill.as_ref().filter(|_| is_new) {
            turn.fill(fill)?;
        }
        Ok(turn)
    }

    /// A part of what this target did by itself so far in another cell, in requests per second.
    fn own_rate(&self, percent: f64, of: &str, class: Class, target: &Target) -> Option<f64> {
        let maxima: Vec<f64> = self.results.values(of, class, target.name(), "requests_per_s").into_values().collect();
        crate::stats::median(&maxima).map(|maximum| maximum * percent / 100.0)
    }
}

fn failed(cell: &Cell, class: Class, target: &Target, round: u32, attempt: u32, error: &LoadError) -> Run {
    Run {
        cell: cell.name.clone(),
        class,
        target: target.name().to_owned(),
        round,
        attempt,
        command: String::new(),
        values: BTreeMap::new(),
        latency: None,
        over_time: Vec::new(),
        points: Vec::new(),
        threads: Vec::new(),
        disturbed: None,
        failed: Some(error.to_string()),
    }
}
