//! Connections with a workload each.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::Context;
use ringlog_core::reactor::{Reactor, Socket};

use super::{DRAIN_MAX, LOOK, Load, Outcome, measured, pin, reactor, start, stop};
use crate::client::{Pace, Pipe, Shared, Target, drive};
use crate::plan::{Plan, Rate};
use crate::report::Report;
use crate::workload::Workload;

/// Runs `load`. `make` is called on the worker's thread for each connection.
pub fn run<W: Workload + 'static>(
    load: &Load,
    target: &Target,
    make: impl Fn(&Connection<'_>) -> anyhow::Result<W> + Sync,
) -> anyhow::Result<Report> {
    let threads = load.threads.clamp(1, load.connections.max(1));
    measured(load, threads, |thread, started| work(load, target, (thread, threads), &make, started))
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
    make: &(impl Fn(&Connection<'_>) -> anyhow::Result<W> + Sync),
    started: &Barrier,
) -> anyhow::Result<Outcome> {
    let connected = pin(load.core.map(|core| core + thread)).and_then(|()| reactor()).and_then(|reactor| {
        let pipes = connect(&reactor, load, target, (thread, threads), make)?;
        Ok((reactor, pipes))
    });
    // Also after a failure: the others wait here.
    started.wait();
    let (reactor, pipes) = connected?;
    let start = start(&reactor);
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
    stop(&reactor)?;
    let mut outcome = Outcome::default();
    for (_, pipe) in &pipes {
        let pipe = pipe.borrow();
        outcome.recorder.merge(&pipe.recorder);
        outcome.findings.merge(&pipe.findings);
        outcome.last_answered = outcome.last_answered.max(pipe.last_answered);
        let lost = pipe.in_flight_count() as u64;
        if lost > 0 {
            outcome.findings.problems("no answer", lost, || format!("{lost} requests of one connection"));
        }
    }
    Ok(outcome)
}

type Pipes<W> = Vec<(Socket, Shared<W>)>;

/// The worker's share of the connections; brokers take turns.
fn connect<W: Workload + 'static>(
    reactor: &Reactor,
    load: &Load,
    target: &Target,
    (thread, threads): (usize, usize),
    make: &impl Fn(&Connection<'_>) -> anyhow::Result<W>,
) -> anyhow::Result<Pipes<W>> {
    let leaders: Vec<(SocketAddr, Vec<i32>)> = target.by_leader().into_iter().collect();
    let mut pipes = Vec::new();
    for index in (thread..load.connections).step_by(threads) {
        let (leader, partitions) = &leaders[index % leaders.len()];
        let connection = Connection { index, count: load.connections, leader: *leader, partitions };
        let workload = make(&connection)?;
        let socket = reactor.block_on(reactor.connect(*leader)).with_context(|| format!("connect to {leader}"))?;
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
