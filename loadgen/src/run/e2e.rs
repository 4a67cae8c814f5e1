//! End to end: one connection produces by the plan, others wait at the end of the log of each partition.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Barrier};

use anyhow::{Context, anyhow};
use ringlog_core::reactor::{Reactor, Socket};

use super::control::Control;
use super::pipes::Place;
use super::{LOOK, Load, Outcome, measured, pin, reactor, start, stop};
use crate::client::{Pace, Pipe, Route, Shared, Target, TopicSpec, drive};
use crate::findings::Failure;
use crate::measured::Measured;
use crate::plan::Rate;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::workload::{Produce, ProduceSpec, ProducerIdentity, Production, Requests, Tail};

/// What is sent, and how often it is read.
#[derive(Debug)]
pub struct EndToEnd<'a> {
    /// The topic.
    pub topic: &'a TopicSpec,
    /// Where it is, with the ends of its logs; nobody else writes to it.
    pub target: &'a Target,
    /// The requests. Their batches have to carry stamps.
    pub spec: &'a ProduceSpec,
    /// Readers of each partition.
    pub fan_out: usize,
}

/// Latency is from the plan of a batch to its arrival at each reader. `load.rate` has to be a number.
pub fn e2e(load: &Load, plan: &EndToEnd<'_>) -> anyhow::Result<Measured> {
    let production = Production::new(plan.target, plan.spec, load.run_id)?;
    let control = load.control.map(Control::start).transpose()?;
    let run = Run { load, plan, production: &production, control: control.as_ref() };
    measured(load, 1, |_, started, progress| run.work(started, progress))
}

struct Run<'a> {
    load: &'a Load,
    plan: &'a EndToEnd<'a>,
    production: &'a Arc<Production>,
    control: Option<&'a Control>,
}

/// A connected pipe and where it went.
type Connected<W> = (Route, Socket, Shared<W>);

impl Run<'_> {
    fn work(&self, started: &Barrier, progress: &Progress) -> anyhow::Result<Outcome> {
        let recorder = Rc::new(RefCell::new(Recorder::new(self.load.cut())));
        let connected = pin(self.load.core).and_then(|()| reactor()).and_then(|reactor| {
            let mark = self.connect_producer(&reactor)?;
            let tails = self.connect_readers(&reactor, &recorder)?;
            let echo = self.control.map(|control| control.connect(&reactor, self.load)).transpose()?;
            Ok((reactor, mark, tails, echo))
        });
        started.wait();
        let (reactor, (route, socket, mark), tails, echo) = connected?;
        let start = start(&reactor);
        let mut outcome = Outcome::new(self.load, &reactor);
        let tails: Vec<(i32, Shared<Tail>)> = tails
            .into_iter()
            .map(|(partition, (route, socket, tail))| {
                drive(&reactor, route, socket, &tail, start);
                (partition, tail)
            })
            .collect();
        drive(&reactor, route, socket, &mark, start);
        let echoed = echo.map(|echo| echo.drive(&reactor, start));
        let deadline = self.load.deadline();
        let missing = |partition: i32, tail: &Shared<Tail>| {
            mark.borrow().workload.sent_count(partition).saturating_sub(tail.borrow().workload.received)
        };
        let failures = || {
            let mark = mark.borrow();
            let failed = mark.findings.errors.iter().filter(|(failure, _)| **failure != Failure::NotConnected);
            failed.map(|(_, count)| count).sum::<u64>()
        };
        let is_over =
            || mark.borrow().is_done() && tails.iter().all(|(partition, tail)| missing(*partition, tail) <= failures());
        reactor.block_on(async {
            while reactor.now().0 - start.0 < deadline.as_nanos() as u64 && !is_over() {
                reactor.sleep(LOOK).await;
                progress.publish(0, &recorder.borrow());
            }
        });
        stop(&reactor)?;
        outcome.recorder.merge(&recorder.borrow());
        outcome.control = echoed.map(|recorder| recorder.borrow().settled());
        outcome.findings.merge(&mark.borrow().findings);
        outcome.unsent(mark.borrow_mut().give_up_plan());
        for (partition, tail) in &tails {
            outcome.findings.merge(&tail.borrow().findings);
            let lost = missing(*partition, tail).saturating_sub(failures());
            if lost > 0 {
                outcome.findings.problems("lost", lost, || format!("partition {partition}: {lost} batches never came"));
            }
        }
        Ok(outcome)
    }

    fn connect_producer(&self, reactor: &Reactor) -> anyhow::Result<Connected<Produce>> {
        let load = self.load;
        if load.rate == Rate::Max {
            return Err(anyhow!("e2e needs a --rate in requests per second"));
        }
        let places = Place::leaders(self.plan.target);
        let [place] = places.as_slice() else {
            return Err(anyhow!("the partitions have {} leaders: e2e needs them on one broker", places.len()));
        };
        let pace = Pace {
            plan: load.plan(0, 1),
            in_flight_max: load.in_flight,
            warmup: load.warmup,
            end: load.planned_end(),
            ..Pace::default()
        };
        let requests = Requests::build(self.production, &place.partitions)?;
        let identity = ProducerIdentity { connection: 0, idempotent: None };
        // What is measured is the arrival: the requests themselves are recorded nowhere.
        let pipe = Pipe::new(Produce::new(self.production, &requests, identity, 1), pace, self.nowhere());
        connect(reactor, place.route(self.plan.topic, 0), pipe)
    }

    fn connect_readers(
        &self,
        reactor: &Reactor,
        recorder: &Rc<RefCell<Recorder>>,
    ) -> anyhow::Result<Vec<(i32, Connected<Tail>)>> {
        let (target, load) = (self.plan.target, self.load);
        let mut tails = Vec::new();
        for partition in &target.partitions {
            for _ in 0..self.plan.fan_out.max(1) {
                let run = self.production.run;
                let tail = Tail::new(target, partition, run, load.warmup, Rc::clone(recorder))?;
                let pace = Pace { warmup: load.warmup, ..Pace::default() };
                let place = Place {
                    address: partition.leader,
                    bootstrap: target.bootstrap,
                    partitions: vec![partition.index],
                    group_id: None,
                };
                let route = place.route(self.plan.topic, 0);
                tails.push((partition.index, connect(reactor, route, Pipe::new(tail, pace, self.nowhere()))?));
            }
        }
        Ok(tails)
    }

    fn nowhere(&self) -> Rc<RefCell<Recorder>> {
        Rc::new(RefCell::new(Recorder::new(self.load.cut())))
    }
}

fn connect<W: crate::workload::Workload>(
    reactor: &Reactor,
    route: Route,
    pipe: Pipe<W>,
) -> anyhow::Result<Connected<W>> {
    let address = route.address;
    let socket = reactor.block_on(reactor.connect(address)).with_context(|| format!("connect to {address}"))?;
    Ok((route, socket, Rc::new(RefCell::new(pipe))))
}
