//! Connections with a workload each, spread over the brokers that they go to.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::Context;
use ringlog_core::reactor::{Reactor, Socket};

use super::control::Control;
use super::{End, LOOK, Load, Outcome, measured, pin, reactor, start, stop};
use crate::client::{Pace, Pipe, Route, RouteEnd, Shared, Target, TopicSpec, drive};
use crate::findings::Failure;
use crate::measured::Measured;
use crate::progress::Progress;
use crate::recorder::Recorder;
use crate::workload::Workload;

/// A broker that connections go to.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where it listens.
    pub address: SocketAddr,
    /// Any broker, which is asked when the way was lost.
    pub bootstrap: SocketAddr,
    /// Partitions that it leads.
    pub partitions: Vec<i32>,
    /// What is looked for when the way was lost; without, the leader of the connection's first partition.
    pub group_id: Option<String>,
}

impl Place {
    /// The leaders of the target's partitions.
    pub fn leaders(target: &Target) -> Vec<Self> {
        let place = |(address, partitions)| Self { address, bootstrap: target.bootstrap, partitions, group_id: None };
        target.by_leader().into_iter().map(place).collect()
    }

    /// Where connection `index` goes.
    pub(super) fn route(&self, topic: &TopicSpec, index: usize) -> Route {
        let end = match &self.group_id {
            Some(group_id) => RouteEnd::Coordinator(group_id.clone()),
            None => RouteEnd::Leader(topic.clone(), self.partitions[index % self.partitions.len()]),
        };
        Route { address: self.address, bootstrap: self.bootstrap, end }
    }
}

/// One connection of a run.
#[derive(Debug)]
pub struct Connection<'a> {
    /// Its number, of `count` in the whole run.
    pub index: usize,
    /// All connections.
    pub count: usize,
    /// Where it goes.
    pub place: &'a Place,
}

/// Runs `load`. The places take turns; `make` is called on the worker's thread for each connection.
pub fn run<W: Workload + 'static>(
    load: &Load,
    topic: &TopicSpec,
    places: &[Place],
    make: impl Fn(&Connection<'_>) -> anyhow::Result<W> + Sync,
) -> anyhow::Result<Measured> {
    let threads = load.threads.clamp(1, load.connections.max(1));
    let control = load.control.map(Control::start).transpose()?;
    measured(load, threads, |thread, started, progress| {
        let control = control.as_ref().filter(|_| thread == 0);
        let worker = Worker { load, topic, places, control, thread, threads };
        worker.work(&make, started, progress)
    })
}

struct Worker<'a> {
    load: &'a Load,
    topic: &'a TopicSpec,
    places: &'a [Place],
    control: Option<&'a Control>,
    thread: usize,
    threads: usize,
}

/// How long nothing has come of what ends the run.
struct Silence {
    max: Duration,
    count: u64,
    since: Duration,
}

impl Silence {
    fn new(max: Duration) -> Self {
        Self { max, count: 0, since: Duration::ZERO }
    }

    /// Whether nothing was added to `count` for longer than it may take, although it was awaited.
    fn is_too_long(&mut self, count: u64, is_awaited: bool, now: Duration) -> bool {
        if count > self.count || !is_awaited {
            (self.count, self.since) = (count, now);
        }
        now - self.since > self.max
    }
}

/// A connected pipe and where it went.
type Connected<W> = (Route, Socket, Shared<W>);

impl Worker<'_> {
    fn work<W: Workload + 'static>(
        &self,
        make: &impl Fn(&Connection<'_>) -> anyhow::Result<W>,
        started: &Barrier,
        progress: &Progress,
    ) -> anyhow::Result<Outcome> {
        let load = self.load;
        let recorder = Rc::new(RefCell::new(Recorder::new(load.cut())));
        let connected = pin(load.core.map(|core| core + self.thread)).and_then(|()| reactor()).and_then(|reactor| {
            let pipes = self.connect(&reactor, &recorder, make)?;
            let echo = self.control.map(|control| control.connect(&reactor, load)).transpose()?;
            Ok((reactor, pipes, echo))
        });
        // Also after a failure: the others wait here.
        started.wait();
        let (reactor, connected, echo) = connected?;
        let start = start(&reactor);
        let mut outcome = Outcome::new(load, &reactor);
        let mut pipes = Vec::with_capacity(connected.len());
        for (route, socket, pipe) in connected {
            drive(&reactor, route, socket, &pipe, start);
            pipes.push(pipe);
        }
        let echoed = echo.map(|echo| echo.drive(&reactor, start));
        let mut deadline = load.deadline();
        let mut silence = match load.end {
            End::Time => None,
            End::Requests { silence_max, .. } | End::Records { silence_max, .. } => Some(Silence::new(silence_max)),
        };
        let count = |pipe: &Pipe<W>| match load.end {
            End::Records { .. } => pipe.records_count(),
            End::Requests { .. } | End::Time => pipe.settled_count(),
        };
        // With a slow plan there may be nothing to answer.
        let is_awaited = |pipes: &[Shared<W>]| {
            matches!(load.end, End::Records { .. }) || pipes.iter().any(|pipe| pipe.borrow().is_waiting())
        };
        let mut unsent = 0;
        let elapsed = || Duration::from_nanos(reactor.now().0 - start.0);
        reactor.block_on(async {
            while elapsed() < deadline && !pipes.iter().all(|pipe| pipe.borrow().is_done()) {
                reactor.sleep(LOOK).await;
                progress.publish(self.thread, &recorder.borrow());
                let (count, now) = (pipes.iter().map(|pipe| count(&pipe.borrow())).sum(), elapsed());
                let is_awaited = is_awaited(&pipes);
                if silence.take_if(|silence| silence.is_too_long(count, is_awaited, now)).is_some() {
                    unsent = pipes.iter().map(|pipe| pipe.borrow_mut().end_plan()).fold(0, u64::saturating_add);
                    deadline = if matches!(load.end, End::Records { .. }) { now + load.drain } else { now };
                }
            }
        });
        stop(&reactor)?;
        if let End::Requests { silence_max, .. } = load.end
            && silence.is_none()
        {
            let text = || format!("no answer for {silence_max:?}: {unsent} of the requests were never sent");
            outcome.findings.failures(Failure::NotSent, unsent, text);
        }
        outcome.recorder.merge(&recorder.borrow());
        outcome.control = echoed.map(|recorder| recorder.borrow().settled());
        for pipe in &pipes {
            let pipe = &mut *pipe.borrow_mut();
            outcome.findings.merge(&pipe.findings);
            outcome.unanswered(pipe.in_flight_count());
            outcome.unsent(pipe.give_up_plan());
        }
        Ok(outcome)
    }

    /// The worker's share of the connections.
    fn connect<W: Workload + 'static>(
        &self,
        reactor: &Reactor,
        recorder: &Rc<RefCell<Recorder>>,
        make: &impl Fn(&Connection<'_>) -> anyhow::Result<W>,
    ) -> anyhow::Result<Vec<Connected<W>>> {
        let load = self.load;
        let mut pipes = Vec::new();
        for index in (self.thread..load.connections).step_by(self.threads) {
            let place = &self.places[index % self.places.len()];
            let workload = make(&Connection { index, count: load.connections, place })?;
            let address = place.address;
            let socket = reactor.block_on(reactor.connect(address)).with_context(|| format!("connect to {address}"))?;
            let plan = load.plan(index, load.connections);
            let requests_max = load.share_of_requests(index, load.connections);
            let records_max = load.share_of_records(load.connections);
            let pace = Pace {
                plan,
                in_flight_max: load.in_flight.max(1),
                retries_max: load.retries_max,
                warmup: load.warmup,
                end: load.planned_end(),
                requests_max,
                records_max,
            };
            let pipe = Rc::new(RefCell::new(Pipe::new(workload, pace, Rc::clone(recorder))));
            pipes.push((place.route(self.topic, index / self.places.len()), socket, pipe));
        }
        Ok(pipes)
    }
}
