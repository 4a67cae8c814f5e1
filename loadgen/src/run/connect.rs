//! New connections: each one connects, asks for versions and metadata, and closes.

use std::cell::{Cell, RefCell};
use std::iter::Peekable;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::Context;
use ringlog_core::reactor::{Instant, Reactor};

use super::{DRAIN_MAX, LOOK, Load, Outcome, measured, pin, reactor, start, stop};
use crate::client::{Asker, Target, greet};
use crate::findings::Failure;
use crate::measured::Measured;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::recorder::{Timing, Volume};

/// `load.connections` at a time at most, `load.rate` per second. A request of the report is one connection.
/// Before it, `idle` connections are made, which have to answer when it is over.
pub fn connect(load: &Load, target: &Target, idle: usize) -> anyhow::Result<Measured> {
    let threads = load.threads.clamp(1, load.connections);
    let reactor = reactor()?;
    let mut held = reactor.block_on(hold(&reactor, target, idle))?;
    let mut measured =
        measured(load, threads, |thread, started, progress| work(load, target, (thread, threads), started, progress))?;
    let findings = &mut measured.findings;
    reactor.block_on(async {
        for asker in &mut held {
            if let Err(error) = asker.ask_versions().await {
                findings.failures(Failure::ConnectionLost, 1, || format!("an idle connection: {error}"));
            }
        }
    });
    drop(held);
    stop(&reactor)?;
    Ok(measured)
}

async fn hold(reactor: &Reactor, target: &Target, count: usize) -> anyhow::Result<Vec<Asker>> {
    let leaders: Vec<SocketAddr> = target.by_leader().into_keys().collect();
    let mut held = Vec::with_capacity(count);
    for index in 0..count {
        let connected = Asker::connect(reactor, leaders[index % leaders.len()]).await;
        held.push(connected.with_context(|| format!("idle connection {index}"))?);
    }
    Ok(held)
}

/// What the tasks of one worker share.
struct Storm {
    reactor: Reactor,
    start: Instant,
    address: SocketAddr,
    topic_name: String,
    warmup: Duration,
    end: Duration,
    outcome: RefCell<Outcome>,
    running: Cell<usize>,
}

fn work(
    load: &Load,
    target: &Target,
    (thread, threads): (usize, usize),
    started: &Barrier,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let ready = pin(load.core.map(|core| core + thread)).and_then(|()| reactor());
    started.wait();
    let reactor = ready?;
    let leaders: Vec<SocketAddr> = target.by_leader().into_keys().collect();
    let own: Vec<usize> = (thread..load.connections).step_by(threads).collect();
    let storm = Rc::new(Storm {
        start: start(&reactor),
        address: leaders[thread % leaders.len()],
        topic_name: target.topic_name.clone(),
        warmup: load.warmup,
        end: load.warmup + load.duration,
        outcome: RefCell::new(Outcome::new(load, &reactor)),
        running: Cell::new(own.len()),
        reactor: reactor.clone(),
    });
    for index in own {
        let plan = load.plan(index, load.connections);
        let storm = Rc::clone(&storm);
        reactor.spawn(async move {
            storm.repeat(plan).await;
            storm.running.set(storm.running.get() - 1);
        });
    }
    reactor.block_on(async {
        while storm.running.get() > 0 && storm.elapsed() < storm.end + DRAIN_MAX {
            reactor.sleep(LOOK).await;
            progress.publish(thread, &storm.outcome.borrow().recorder);
        }
    });
    stop(&reactor)?;
    let mut outcome = storm.outcome.replace(Outcome::new(load, &reactor));
    outcome.unanswered(storm.running.get());
    Ok(outcome)
}

impl Storm {
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.reactor.now().0.saturating_sub(self.start.0))
    }

    /// One connection after the other.
    async fn repeat(&self, mut plan: Option<Peekable<Plan>>) {
        loop {
            let planned = match &mut plan {
                Some(plan) => plan.next().expect("a plan is endless"),
                None => self.elapsed(),
            };
            if planned >= self.end {
                return;
            }
            if planned > self.elapsed() {
                let nanos = self.start.0 + planned.as_nanos() as u64;
                self.reactor.sleep_until(Instant(nanos)).await;
            }
            let sent = self.elapsed();
            let result = greet(&self.reactor, self.address, &self.topic_name).await;
            let answered = self.elapsed();
            let outcome = &mut *self.outcome.borrow_mut();
            match result {
                Ok(()) if planned >= self.warmup => {
                    outcome.recorder.record(Timing { planned, sent, answered }, Volume::default());
                }
                Ok(()) => {}
                Err(error) => {
                    outcome.recorder.fail(answered);
                    outcome.findings.failures(Failure::NotConnected, 1, || error.to_string());
                }
            }
        }
    }
}
