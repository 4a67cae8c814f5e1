//! Rebalances of one group: a member crashes again and again, and another one joins in its place.
//!
//! A request of the report is one crash. Its latency counts from the end of the dead member's session, which is the first
//! instant at which the coordinator may act, to when all others have been given their part in a new generation. Members
//! hear of it by their next heartbeat, so the time between two of them is in it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Barrier;
use std::time::Duration;

use anyhow::anyhow;
use ringlog_core::reactor::{Instant, Reactor};

use super::groups::at_coordinators;
use super::{Load, Outcome, measured, pin, reactor, start, stop};
use crate::client::{Asker, Joined, SetupError, Target, is_rebalance};
use crate::findings::Failure;
use crate::measured::Measured;
use crate::progress::Progress;
use crate::recorder::{Timing, Volume};

/// How often it is looked whether a group is stable.
const LOOK: Duration = Duration::from_millis(1);
/// What has not happened to a group after this time never will.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The group.
#[derive(Debug, Clone)]
pub struct RebalanceSpec {
    /// Its name.
    pub group_id: String,
    /// Members, each with a connection of its own.
    pub members: usize,
    /// After so long without a heartbeat a member is dead.
    pub session: Duration,
    /// From one heartbeat to the next.
    pub heartbeat: Duration,
}

/// Crashes until `load` ends, one at a time.
pub fn rebalance(load: &Load, target: &Target, spec: &RebalanceSpec) -> anyhow::Result<Measured> {
    let group_id = format!("{}-{:08x}", spec.group_id, load.run_id);
    let spec = RebalanceSpec { group_id, ..spec.clone() };
    let address = Cell::new(None);
    at_coordinators(target, std::iter::once(spec.group_id.as_str()), async |_, asker: &mut Asker| {
        address.set(Some(asker.address()));
        Ok(())
    })?;
    let address = address.get().ok_or_else(|| anyhow!("the group has no coordinator"))?;
    measured(load, 1, |_, started, progress| work(load, address, &spec, started, progress))
}

/// What all members know.
struct Group {
    reactor: Reactor,
    address: SocketAddr,
    spec: RebalanceSpec,
    /// The newest generation, and who has been given a part in it.
    generation: Cell<i32>,
    settled: RefCell<BTreeSet<usize>>,
    /// Who has to die.
    victim: Cell<Option<usize>>,
    /// When it did.
    died: Cell<Option<Instant>>,
    outcome: RefCell<Outcome>,
}

fn work(
    load: &Load,
    address: SocketAddr,
    spec: &RebalanceSpec,
    started: &Barrier,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let ready = pin(load.core).and_then(|()| reactor()).and_then(|reactor| {
        let group = Rc::new(Group {
            address,
            spec: spec.clone(),
            generation: Cell::new(-1),
            settled: RefCell::default(),
            victim: Cell::new(None),
            died: Cell::new(None),
            outcome: RefCell::new(Outcome::new(load, &reactor)),
            reactor: reactor.clone(),
        });
        (0..spec.members).for_each(|number| group.start_member(number));
        reactor.block_on(group.stable(spec.members))?;
        Ok((reactor, group))
    });
    started.wait();
    let (reactor, group) = ready?;
    let start = start(&reactor);
    let ended = reactor.block_on(group.crash_again_and_again(load, start, progress));
    stop(&reactor)?;
    let outcome = group.outcome.replace(Outcome::new(load, &reactor));
    ended.map(|()| outcome)
}

impl Group {
    fn start_member(self: &Rc<Self>, number: usize) {
        let group = Rc::clone(self);
        self.reactor.spawn(async move {
            if let Err(error) = group.live(number).await {
                group.fail(&error);
            }
        });
    }

    fn fail(&self, error: &SetupError) {
        let findings = &mut self.outcome.borrow_mut().findings;
        match error {
            SetupError::Assignment { .. } => findings.problem("wrong assignment", || error.to_string()),
            SetupError::Refused { code, .. } => findings.error(*code, || error.to_string()),
            _ => findings.failures(Failure::ConnectionLost, 1, || error.to_string()),
        }
    }

    /// The life of one member, until it has to die.
    async fn live(&self, number: usize) -> Result<(), SetupError> {
        let mut asker = Asker::connect(&self.reactor, self.address).await?;
        let RebalanceSpec { group_id, session, .. } = &self.spec;
        let mut member_id = String::new();
        loop {
            let joined = asker.join(group_id, &member_id, *session).await?;
            member_id.clone_from(&joined.member_id);
            match asker.sync(group_id, &joined).await {
                Err(error) if is_rebalance(&error) => continue,
                synced => synced?,
            }
            self.note_settled(number, joined.generation_id);
            if self.beat(number, &mut asker, &joined).await? {
                return Ok(());
            }
        }
    }

    fn note_settled(&self, number: usize, generation: i32) {
        let mut settled = self.settled.borrow_mut();
        if generation > self.generation.get() {
            self.generation.set(generation);
            settled.clear();
        }
        if generation == self.generation.get() {
            settled.insert(number);
        }
    }

    /// Heartbeats until the group rebalances, false, or the member dies, true.
    async fn beat(&self, number: usize, asker: &mut Asker, joined: &Joined) -> Result<bool, SetupError> {
        loop {
            self.reactor.sleep(self.spec.heartbeat).await;
            match asker.heartbeat(&self.spec.group_id, joined).await {
                Err(error) if is_rebalance(&error) => return Ok(false),
                heard => heard?,
            }
            if self.victim.get() == Some(number) {
                self.died.set(Some(self.reactor.now()));
                return Ok(true);
            }
        }
    }

    /// Until so many members have a part in the newest generation.
    async fn stable(&self, members: usize) -> anyhow::Result<Instant> {
        let settled = || self.settled.borrow().len();
        let look = || (settled() == members).then(|| self.reactor.now());
        self.wait(look, || format!("{} of {members} members have a part", settled())).await
    }

    /// Until `look` finds something. A member that has ended with an error leaves a hole for good: then, and after
    /// [`WAIT_MAX`], the error says how it `stands`.
    async fn wait<T>(&self, look: impl Fn() -> Option<T>, stands: impl Fn() -> String) -> anyhow::Result<T> {
        let until = self.reactor.now().0 + WAIT_MAX.as_nanos() as u64;
        loop {
            if let Some(found) = look() {
                return Ok(found);
            }
            if let Some(why) = self.outcome.borrow().findings.examples.first() {
                return Err(anyhow!("{}, and a member has ended: {why}", stands()));
            }
            if self.reactor.now().0 > until {
                return Err(anyhow!("{} after {WAIT_MAX:?}", stands()));
            }
            self.reactor.sleep(LOOK).await;
        }
    }

    async fn crash_again_and_again(
        self: &Rc<Self>,
        load: &Load,
        start: Instant,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let RebalanceSpec { members, session, .. } = self.spec;
        let since = |instant: Instant| Duration::from_nanos(instant.0.saturating_sub(start.0));
        for number in (0..members).cycle() {
            if since(self.reactor.now()) >= load.planned_end() {
                break;
            }
            let generation = self.generation.get();
            self.died.set(None);
            self.victim.set(Some(number));
            let died = self.wait(|| self.died.get(), || format!("member {number} still lives")).await?;
            self.victim.set(None);
            self.settled.borrow_mut().remove(&number);
            let session_end = Instant(died.0 + session.as_nanos() as u64);
            self.reactor.sleep_until(session_end).await;
            let stands = || format!("no new generation came after member {number} crashed");
            self.wait(|| (self.generation.get() > generation).then_some(()), stands).await?;
            let stable = self.stable(members - 1).await?;
            if since(session_end) >= load.warmup {
                let (planned, answered) = (since(session_end), since(stable));
                let timing = Timing { planned, sent: planned, answered };
                self.outcome.borrow_mut().recorder.record(timing, Volume::default());
                progress.publish(0, &self.outcome.borrow().recorder);
            }
            self.start_member(number);
            self.stable(members).await?;
        }
        Ok(())
    }
}
