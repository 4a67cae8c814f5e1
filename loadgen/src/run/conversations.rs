//! Loads whose request is a whole conversation: so many tasks have one at a time each, by the plan or one after the other.

use std::cell::{Cell, RefCell};
use std::iter::Peekable;
use std::rc::Rc;
use std::sync::Barrier;
use std::time::Duration;

use ringlog_core::reactor::{Instant, Reactor};

use super::{LOOK, Load, Outcome, measured, pin, reactor, start, stop};
use crate::client::SetupError;
use crate::findings::Failure;
use crate::measured::Measured;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::recorder::{Timing, Volume};

/// What one task does again and again.
pub(super) trait Conversation {
    /// The part that is measured.
    async fn hold(&mut self, reactor: &Reactor) -> Result<(), SetupError>;
    /// What has to follow and is not measured.
    async fn clean_up(&mut self) -> Result<(), SetupError> {
        Ok(())
    }
}

/// `load.connections` conversations at a time at most, `load.rate` per second. `make` is called with the number of each
/// task.
pub(super) fn converse<C: Conversation + 'static>(
    load: &Load,
    make: impl Fn(usize) -> C + Sync,
) -> anyhow::Result<Measured> {
    let threads = load.threads.clamp(1, load.connections);
    measured(load, threads, |thread, started, progress| work(load, &make, (thread, threads), started, progress))
}

/// What the tasks of one worker share.
struct Storm {
    reactor: Reactor,
    start: Instant,
    warmup: Duration,
    end: Duration,
    outcome: RefCell<Outcome>,
    running: Cell<usize>,
}

fn work<C: Conversation + 'static>(
    load: &Load,
    make: &impl Fn(usize) -> C,
    (thread, threads): (usize, usize),
    started: &Barrier,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let ready = pin(load.core.map(|core| core + thread)).and_then(|()| reactor());
    started.wait();
    let reactor = ready?;
    let own: Vec<usize> = (thread..load.connections).step_by(threads).collect();
    let storm = Rc::new(Storm {
        start: start(&reactor),
        warmup: load.warmup,
        end: load.warmup + load.duration,
        outcome: RefCell::new(Outcome::new(load, &reactor)),
        running: Cell::new(own.len()),
        reactor: reactor.clone(),
    });
    for index in own {
        let (plan, conversation) = (load.plan(index, load.connections), make(index));
        let storm = Rc::clone(&storm);
        reactor.spawn(async move {
            storm.repeat(plan, conversation).await;
            storm.running.set(storm.running.get() - 1);
        });
    }
    reactor.block_on(async {
        while storm.running.get() > 0 && storm.elapsed() < load.deadline() {
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

    /// One conversation after the other.
    async fn repeat(&self, mut plan: Option<Peekable<Plan>>, mut conversation: impl Conversation) {
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
            let held = conversation.hold(&self.reactor).await;
            let answered = self.elapsed();
            let cleaned = if held.is_ok() { conversation.clean_up().await } else { Ok(()) };
            let outcome = &mut *self.outcome.borrow_mut();
            if held.is_ok() && planned >= self.warmup {
                outcome.recorder.record(Timing { planned, sent, answered }, Volume::default());
            }
            if let Err(error) = held.and(cleaned) {
                outcome.recorder.fail(answered);
                match error {
                    SetupError::Assignment { .. } => outcome.findings.problem("wrong assignment", || error.to_string()),
                    _ => outcome.findings.failures(failure(&error), 1, || error.to_string()),
                }
            }
        }
    }
}

fn failure(error: &SetupError) -> Failure {
    match error {
        SetupError::Refused { code, .. } => Failure::Code(*code),
        _ => Failure::NotConnected,
    }
}
