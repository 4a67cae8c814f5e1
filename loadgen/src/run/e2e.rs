//! End to end: one connection produces by the plan, another waits at the end of the log.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::{Context, anyhow};
use ringlog_core::reactor::{Reactor, Socket};

use super::pipes::Place;
use super::{DRAIN_MAX, LOOK, Load, Outcome, measured, pin, reactor, start, stop};
use crate::client::{Pace, Pipe, Route, Shared, Target, TopicSpec, drive};
use crate::measured::Measured;
use crate::plan::{Plan, Rate};
use crate::recorder::Recorder;
use crate::workload::{Mark, Tail};

/// Latency is from the plan of a record to its arrival. `load.rate` has to be a number.
pub fn e2e(
    load: &Load,
    topic: &TopicSpec,
    target: &Target,
    record_bytes: usize,
    acks: i16,
) -> anyhow::Result<Measured> {
    let spec = Spec { load, topic, target, record_bytes, acks };
    measured(load, 1, |_, started| spec.work(started))
}

struct Spec<'a> {
    load: &'a Load,
    topic: &'a TopicSpec,
    target: &'a Target,
    record_bytes: usize,
    acks: i16,
}

/// The two connections of a run.
struct Both {
    route: Route,
    mark: (Socket, Shared<Mark>),
    tail: (Socket, Shared<Tail>),
}

impl Spec<'_> {
    fn work(&self, started: &Barrier) -> anyhow::Result<Outcome> {
        let recorder = Rc::new(RefCell::new(Recorder::new(self.load.cut())));
        let connected = pin(self.load.core).and_then(|()| reactor()).and_then(|reactor| {
            let both = self.connect(&reactor, &recorder)?;
            Ok((reactor, both))
        });
        started.wait();
        let (reactor, Both { route, mark: (marking, mark), tail: (tailing, tail) }) = connected?;
        let start = start(&reactor);
        let mut outcome = Outcome::new(self.load, &reactor);
        drive(&reactor, route.clone(), tailing, &tail, start);
        drive(&reactor, route, marking, &mark, start);
        let deadline = self.load.end() + DRAIN_MAX;
        let is_over = || {
            let (mark, tail) = (mark.borrow(), tail.borrow());
            mark.is_done() && tail.workload.received >= mark.workload.sent
        };
        reactor.block_on(async {
            while reactor.now().0 - start.0 < deadline.as_nanos() as u64 && !is_over() {
                reactor.sleep(LOOK).await;
            }
        });
        stop(&reactor)?;
        let (mark, tail) = (mark.borrow(), tail.borrow());
        outcome.recorder.merge(&recorder.borrow());
        outcome.findings.merge(&tail.findings);
        outcome.findings.merge(&mark.findings);
        let missing = mark.workload.sent.saturating_sub(tail.workload.received);
        if missing > 0 {
            outcome.findings.problems("record lost", missing, || format!("{missing} never came"));
        }
        Ok(outcome)
    }

    fn connect(&self, reactor: &Reactor, recorder: &Rc<RefCell<Recorder>>) -> anyhow::Result<Both> {
        let load = self.load;
        let Rate::PerSecond(rate) = load.rate else { return Err(anyhow!("e2e needs a --rate in records per second")) };
        let place = Place::leaders(self.target).into_iter().next().context("the topic has no partition")?;
        let leader = place.address;
        let socket = || reactor.block_on(reactor.connect(leader)).with_context(|| format!("connect to {leader}"));
        let plan = Plan::new(rate, load.arrival, 0, 1, load.seed).peekable();
        let mark = Pace { plan: Some(plan), in_flight_max: load.in_flight, warmup: load.warmup, end: load.end() };
        let tail = Pace { plan: None, in_flight_max: 1, warmup: load.warmup, end: Duration::MAX };
        // What is measured is the arrival of records: the requests themselves are recorded nowhere.
        let requests = || Rc::new(RefCell::new(Recorder::new(load.cut())));
        let mark = Pipe::new(Mark::new(self.target, self.record_bytes, self.acks)?, mark, requests());
        let tail = Pipe::new(Tail::new(self.target, load.warmup, Rc::clone(recorder))?, tail, requests());
        Ok(Both {
            route: place.route(self.topic, 0),
            mark: (socket()?, Rc::new(RefCell::new(mark))),
            tail: (socket()?, Rc::new(RefCell::new(tail))),
        })
    }
}
