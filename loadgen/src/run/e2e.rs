//! End to end: one connection produces by the plan, another waits at the end of the log.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::{Context, anyhow};
use ringlog_core::reactor::{Reactor, Socket};

use super::{DRAIN_MAX, LOOK, Load, Outcome, measured, pin, reactor, start, stop};
use crate::client::{Pace, Pipe, Shared, Target, drive};
use crate::plan::{Plan, Rate};
use crate::report::Report;
use crate::workload::{Mark, Tail};

/// Latency is from the plan of a record to its arrival at the reader. `load.rate` has to be a number.
pub fn e2e(load: &Load, target: &Target, record_bytes: usize, acks: i16) -> anyhow::Result<Report> {
    measured(load, 1, |_, started| work(load, target, record_bytes, acks, started))
}

type Both = ((Socket, Shared<Mark>), (Socket, Shared<Tail>));

fn work(load: &Load, target: &Target, record_bytes: usize, acks: i16, started: &Barrier) -> anyhow::Result<Outcome> {
    let connected = pin(load.core).and_then(|()| reactor()).and_then(|reactor| {
        let both = connect(&reactor, load, target, record_bytes, acks)?;
        Ok((reactor, both))
    });
    started.wait();
    let (reactor, ((marking, mark), (tailing, tail))) = connected?;
    let start = start(&reactor);
    drive(&reactor, tailing, &tail, start);
    drive(&reactor, marking, &mark, start);
    let deadline = load.warmup + load.duration + DRAIN_MAX;
    let is_over = || {
        let (mark, tail) = (mark.borrow(), tail.borrow());
        tail.is_done() || (mark.is_done() && tail.workload.received >= mark.workload.sent)
    };
    reactor.block_on(async {
        while reactor.now().0 - start.0 < deadline.as_nanos() as u64 && !is_over() {
            reactor.sleep(LOOK).await;
        }
    });
    stop(&reactor)?;
    let (mark, tail) = (mark.borrow(), tail.borrow());
    let mut outcome = Outcome {
        recorder: tail.workload.recorder.clone(),
        findings: tail.findings.clone(),
        last_answered: tail.workload.last_answered,
    };
    outcome.findings.merge(&mark.findings);
    let missing = mark.workload.sent.saturating_sub(tail.workload.received);
    if missing > 0 {
        outcome.findings.problems("record lost", missing, || format!("{missing} never came"));
    }
    Ok(outcome)
}

fn connect(reactor: &Reactor, load: &Load, target: &Target, record_bytes: usize, acks: i16) -> anyhow::Result<Both> {
    let Rate::PerSecond(rate) = load.rate else { return Err(anyhow!("e2e needs a --rate in records per second")) };
    let leader = target.partitions.first().context("the topic has no partition")?.leader;
    let socket = || reactor.block_on(reactor.connect(leader)).with_context(|| format!("connect to {leader}"));
    let plan = Plan::new(rate, load.arrival, 0, 1, load.seed).peekable();
    let end = load.warmup + load.duration;
    let mark = Pace { plan: Some(plan), in_flight_max: load.in_flight, warmup: load.warmup, end };
    let tail = Pace { plan: None, in_flight_max: 1, warmup: load.warmup, end: Duration::MAX };
    let mark = Pipe::new(Mark::new(target, record_bytes, acks)?, mark);
    let tail = Pipe::new(Tail::new(target, load.warmup)?, tail);
    Ok(((socket()?, Rc::new(RefCell::new(mark))), (socket()?, Rc::new(RefCell::new(tail)))))
}
