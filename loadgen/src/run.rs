//! One run: worker threads with their connections, CPU samples at both ends of the measured window, one report.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Barrier, mpsc};
use std::time::Duration;

use anyhow::{Context, anyhow};
use ringlog_core::reactor::{Reactor, UringConfig, UringDriver};

use crate::client::{Pace, Pipe, Shared, Target, TopicSpec, drive, prepare};
use crate::cpu::{Sample, Usage};
use crate::findings::{Coverage, Findings};
use crate::plan::{Arrival, Plan, Rate};
use crate::recorder::Recorder;
use crate::report::Report;
use crate::workload::Workload;

/// Answers are waited for this long after the last request.
const DRAIN_MAX: Duration = Duration::from_secs(30);
/// How often a worker looks whether all its connections are done.
const LOOK: Duration = Duration::from_millis(20);
/// Turns that the end of a reactor may take.
const STOP_TURNS_MAX: usize = 1_000;

/// What all kinds of load have in common.
#[derive(Debug, Clone)]
pub struct Load {
    /// Any broker, `HOST:PORT`.
    pub bootstrap: String,
    /// Worker threads.
    pub threads: usize,
    /// The first worker's core, the others follow.
    pub core: Option<usize>,
    /// Connections of all workers.
    pub connections: usize,
    /// Requests without an answer per connection at most.
    pub in_flight: usize,
    /// Requests per second of all connections.
    pub rate: Rate,
    /// How open-loop requests are spread.
    pub arrival: Arrival,
    /// Before the measured window.
    pub warmup: Duration,
    /// The measured window.
    pub duration: Duration,
    /// Whose CPU time is measured.
    pub broker_pid: Option<u32>,
    /// Of plans and payloads.
    pub seed: u64,
}

/// What one worker brings back.
#[derive(Debug, Default)]
pub struct Outcome {
    recorder: Recorder,
    findings: Findings,
    coverage: HashMap<i32, Coverage>,
    last_answered: Duration,
}

/// Takes what the workload of a connection found out beyond the findings.
pub type Collect<W> = fn(&mut W, &mut HashMap<i32, Coverage>);

/// An executor on a new io_uring of the calling thread.
pub fn reactor() -> anyhow::Result<Reactor> {
    let config = UringConfig { buffers: 1024, ..UringConfig::default() };
    Ok(Reactor::new(Box::new(UringDriver::new(config)?)))
}

/// Asks the broker about the topic, on a ring of its own.
pub fn target(bootstrap: &str, topic: &TopicSpec) -> anyhow::Result<Target> {
    let reactor = reactor()?;
    let prepared = reactor.block_on(prepare(&reactor, bootstrap, topic));
    reactor.stop(STOP_TURNS_MAX)?;
    Ok(prepared?)
}

/// Runs `load`. `workload` is called on the worker's thread for each connection: number, and partitions of its broker.
pub fn run<W: Workload + 'static>(
    load: &Load,
    target: &Target,
    make: impl Fn(&Reactor, &Connection<'_>) -> anyhow::Result<W> + Sync,
    collect: Collect<W>,
) -> anyhow::Result<Report> {
    shorten_timer_slack();
    let threads = load.threads.clamp(1, load.connections.max(1));
    let started = Barrier::new(threads + 1);
    let (ended, over) = mpsc::channel::<()>();
    let (outcomes, usage) = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (started, make, ended) = (&started, &make, ended.clone());
                scope.spawn(move || {
                    let outcome = work(load, target, (thread, threads), make, collect, started);
                    drop(ended);
                    outcome
                })
            })
            .collect();
        drop(ended);
        started.wait();
        let _ = over.recv_timeout(load.warmup);
        let before = Sample::take(load.broker_pid);
        let _ = over.recv_timeout(load.duration);
        let usage = Sample::take(load.broker_pid).since(&before);
        let outcomes: anyhow::Result<Vec<Outcome>> =
            workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?).collect();
        (outcomes, usage)
    });
    Ok(report(load, outcomes?, usage, threads))
}

fn report(load: &Load, outcomes: Vec<Outcome>, usage: Usage, threads: usize) -> Report {
    let mut all = Outcome::default();
    for outcome in &outcomes {
        all.recorder.merge(&outcome.recorder);
        all.findings.merge(&outcome.findings);
        all.last_answered = all.last_answered.max(outcome.last_answered);
        for (partition, coverage) in &outcome.coverage {
            let overlaps = all.coverage.entry(*partition).or_default().merge(coverage);
            if overlaps > 0 {
                let text = || format!("partition {partition}: {overlaps} intervals of several connections");
                all.findings.problems("offset twice", overlaps, text);
            }
        }
    }
    let elapsed = load.duration.max(all.last_answered.saturating_sub(load.warmup));
    Report { recorder: all.recorder, findings: all.findings, elapsed, window: load.duration, usage, threads }
}

/// One connection of a run.
#[derive(Debug)]
pub struct Connection<'a> {
    /// Its number, of `count` in the whole run.
    pub index: usize,
    /// All connections.
    pub count: usize,
    /// The broker it goes to.
    pub leader: SocketAddr,
    /// Partitions that this broker leads.
    pub partitions: &'a [i32],
}

fn work<W: Workload + 'static>(
    load: &Load,
    target: &Target,
    (thread, threads): (usize, usize),
    make: &(impl Fn(&Reactor, &Connection<'_>) -> anyhow::Result<W> + Sync),
    collect: Collect<W>,
    started: &Barrier,
) -> anyhow::Result<Outcome> {
    let connected = pin(load.core.map(|core| core + thread)).and_then(|()| reactor()).and_then(|reactor| {
        let pipes = connect(&reactor, load, target, (thread, threads), make)?;
        Ok((reactor, pipes))
    });
    // Also after a failure: the others wait here.
    started.wait();
    let (reactor, pipes) = connected?;
    reactor.block_on(reactor.yield_now());
    let start = reactor.now();
    for (socket, pipe) in &pipes {
        drive(&reactor, socket.clone(), pipe, start);
    }
    let deadline = load.warmup + load.duration + DRAIN_MAX;
    let elapsed = || Duration::from_nanos(reactor.now().0 - start.0);
    reactor.block_on(async {
        while elapsed() < deadline && !pipes.iter().all(|(_, pipe)| pipe.borrow().is_done()) {
            reactor.sleep(LOOK).await;
        }
    });
    reactor.stop(STOP_TURNS_MAX)?;
    let mut outcome = Outcome::default();
    for (_, pipe) in &pipes {
        let mut pipe = pipe.borrow_mut();
        outcome.recorder.merge(&pipe.recorder);
        outcome.findings.merge(&pipe.findings);
        outcome.last_answered = outcome.last_answered.max(pipe.last_answered);
        let lost = pipe.in_flight_count() as u64;
        if lost > 0 {
            outcome.findings.problems("no answer", lost, || format!("{lost} requests of one connection"));
        }
        collect_into(&mut pipe.workload, collect, &mut outcome);
    }
    Ok(outcome)
}

/// Coverage of one connection joins that of the worker; what overlaps is a finding.
fn collect_into<W: Workload>(workload: &mut W, collect: Collect<W>, outcome: &mut Outcome) {
    let mut coverage = HashMap::new();
    collect(workload, &mut coverage);
    for (partition, one) in coverage {
        let overlaps = outcome.coverage.entry(partition).or_default().merge(&one);
        if overlaps > 0 {
            let text = || format!("partition {partition}: {overlaps} intervals of two connections");
            outcome.findings.problems("offset twice", overlaps, text);
        }
    }
}

type Pipes<W> = Vec<(ringlog_core::reactor::Socket, Shared<W>)>;

/// The worker's share of the connections; brokers take turns.
fn connect<W: Workload + 'static>(
    reactor: &Reactor,
    load: &Load,
    target: &Target,
    (thread, threads): (usize, usize),
    make: &impl Fn(&Reactor, &Connection<'_>) -> anyhow::Result<W>,
) -> anyhow::Result<Pipes<W>> {
    let mut leaders: Vec<SocketAddr> = target.partitions.iter().map(|partition| partition.leader).collect();
    leaders.sort();
    leaders.dedup();
    let mut pipes = Vec::new();
    for index in (thread..load.connections).step_by(threads) {
        let leader = leaders[index % leaders.len()];
        let own = target.partitions.iter().filter(|partition| partition.leader == leader);
        let partitions: Vec<i32> = own.map(|partition| partition.index).collect();
        let connection = Connection { index, count: load.connections, leader, partitions: &partitions };
        let workload = make(reactor, &connection)?;
        let socket = reactor.block_on(reactor.connect(leader)).with_context(|| format!("connect to {leader}"))?;
        let plan = match load.rate {
            Rate::PerSecond(rate) => Some(Plan::new(rate, load.arrival, index, load.connections, load.seed).peekable()),
            Rate::Max => None,
        };
        let end = load.warmup + load.duration;
        let pace = Pace { plan, in_flight_max: load.in_flight.max(1), warmup: load.warmup, end };
        pipes.push((socket, Rc::new(RefCell::new(Pipe::new(workload, pace)))));
    }
    Ok(pipes)
}

/// Binds the calling thread to a core.
pub fn pin(core: Option<usize>) -> anyhow::Result<()> {
    match core {
        Some(id) if !core_affinity::set_for_current(core_affinity::CoreId { id }) => Err(anyhow!("no core {id}")),
        _ => Ok(()),
    }
}

/// Timers are late by up to 50 us by default; threads started from here on inherit what is set for this one.
fn shorten_timer_slack() {
    // Best effort: without it the lateness that is reported is larger.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
}
