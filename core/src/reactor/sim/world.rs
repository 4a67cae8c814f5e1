//! The simulated world: hosts with a disk each, shards on one thread, one network, one queue of what happens next.
//!
//! Invariants:
//! - Virtual time moves on only when every shard has nothing to do, or by the fixed price of a turn.
//! - The order in which shards run and events of one instant happen comes from the seed.
//! - After a crash nothing of the old process has any effect: its drivers are dead, its files answer EIO.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::clock::Clockwork;
use super::disk::{Crash, SimDisk, SimDiskConfig};
use super::driver::{ShardState, SimDriver};
use super::net::{Net, NetEvent, SimNetConfig, host_ip};
use crate::reactor::{Driver, Instant, Reactor, Token, Wait};

/// What one turn of a shard costs, so that a busy one does not stop the clock.
pub(super) const TURN_NS: u64 = 1_000;
/// Wall clock of a world at its start: 2026-01-01 UTC.
const EPOCH_MS: i64 = 1_767_225_600_000;

/// How a world behaves. The default has small random delays and no faults but short and split I/O.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Disks of hosts that are made later.
    pub disk: SimDiskConfig,
    /// The network.
    pub net: SimNetConfig,
    /// Shortest and longest read and read-ahead, in nanoseconds.
    pub read_latency_ns: (u64, u64),
    /// Shortest and longest write that is not durable.
    pub write_latency_ns: (u64, u64),
    /// Shortest and longest sync or durable write.
    pub sync_latency_ns: (u64, u64),
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            disk: SimDiskConfig::default(),
            net: SimNetConfig::default(),
            read_latency_ns: (5_000, 100_000),
            write_latency_ns: (5_000, 100_000),
            sync_latency_ns: (50_000, 2_000_000),
        }
    }
}

#[derive(Debug)]
pub(super) enum Event {
    /// A file operation of a driver is done.
    File {
        driver: usize,
        token: Token,
    },
    Net(NetEvent),
}

pub(super) struct Host {
    pub(super) disk: Rc<SimDisk>,
    pub(super) wall_skew_ms: i64,
}

/// What drivers and the world share.
pub(super) struct Inner {
    pub(super) clock: Rc<Clockwork>,
    pub(super) config: RefCell<SimConfig>,
    pub(super) hosts: RefCell<BTreeMap<u32, Host>>,
    pub(super) shards: RefCell<Vec<ShardState>>,
    pub(super) net: RefCell<Net>,
    queue: RefCell<BTreeMap<(u64, u64, u64), Event>>,
    sequence: Cell<u64>,
    /// The world runs the shards: a driver does not move the clock itself.
    pub(super) stepping: Cell<bool>,
}

impl Inner {
    /// Events of one instant happen in the seed's order, except that segments of a connection keep theirs.
    pub(super) fn schedule(&self, at: u64, event: Event) {
        let sequence = self.sequence.get();
        self.sequence.set(sequence + 1);
        let rank = match event {
            Event::File { .. } => self.clock.below(4),
            Event::Net(_) => 4,
        };
        self.queue.borrow_mut().insert((at, rank, sequence), event);
    }

    pub(super) fn next_event(&self) -> Option<u64> {
        self.queue.borrow().first_key_value().map(|(key, _)| key.0)
    }

    /// Lets everything happen that is due.
    pub(super) fn pump(&self) {
        self.collect_net();
        loop {
            let event = {
                let mut queue = self.queue.borrow_mut();
                match queue.first_entry() {
                    Some(entry) if entry.key().0 <= self.clock.now().0 => entry.remove(),
                    _ => return,
                }
            };
            match event {
                Event::File { driver, token } => self.finish_file(driver, token),
                Event::Net(event) => self.net.borrow_mut().happen(event),
            }
            self.collect_net();
        }
    }

    fn finish_file(&self, driver: usize, token: Token) {
        let taken = self.shards.borrow_mut()[driver].files.remove(&token);
        if let Some(operation) = taken {
            let completion = operation.finish(token);
            let done = completion.result.as_ref().map_or(u64::MAX, |&done| u64::from(done));
            self.clock.note("file done", &[driver as u64, u64::from(token.slot), done]);
            self.shards.borrow_mut()[driver].done.push_back(completion);
        }
    }

    /// Takes over what the network has to say.
    pub(super) fn collect_net(&self) {
        let (later, done) = {
            let mut net = self.net.borrow_mut();
            (std::mem::take(&mut net.later), std::mem::take(&mut net.done))
        };
        for (at, event) in later {
            self.schedule(at, Event::Net(event));
        }
        let mut shards = self.shards.borrow_mut();
        for (driver, completion) in done {
            if !shards[driver].dead {
                shards[driver].done.push_back(completion);
            }
        }
    }

    pub(super) fn wall_clock_ms(&self, host: u32) -> i64 {
        let skew = self.hosts.borrow().get(&host).map_or(0, |host| host.wall_skew_ms);
        EPOCH_MS + skew + (self.clock.now().0 / 1_000_000) as i64
    }
}

struct Stepper {
    host: u32,
    driver: Option<usize>,
    reactor: Option<Reactor>,
    step: Box<dyn FnMut() -> io::Result<()>>,
}

/// A simulated world. One thread; dropped with all it holds.
pub struct SimWorld {
    inner: Rc<Inner>,
    steppers: RefCell<Vec<Stepper>>,
}

impl fmt::Debug for SimWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimWorld").field("seed", &self.seed()).field("now", &self.now()).finish_non_exhaustive()
    }
}

impl SimWorld {
    /// An empty world at virtual time 0.
    pub fn new(seed: u64, config: SimConfig) -> Self {
        let clock = Clockwork::new(seed);
        let net = Net::new(Rc::clone(&clock), config.net.clone());
        Self {
            inner: Rc::new(Inner {
                clock,
                config: RefCell::new(config),
                hosts: RefCell::default(),
                shards: RefCell::default(),
                net: RefCell::new(net),
                queue: RefCell::default(),
                sequence: Cell::new(0),
                stepping: Cell::new(false),
            }),
            steppers: RefCell::default(),
        }
    }

    /// The seed, for the message of a failure.
    pub fn seed(&self) -> u64 {
        self.inner.clock.seed()
    }

    /// Virtual time.
    pub fn now(&self) -> Instant {
        self.inner.clock.now()
    }

    /// Time, randomness and trace.
    pub fn clock(&self) -> &Rc<Clockwork> {
        &self.inner.clock
    }

    /// Equal for equal seeds and programs.
    pub fn trace_hash(&self) -> u64 {
        self.inner.clock.trace_hash()
    }

    /// The address of a host.
    pub fn host_ip(&self, host: u32) -> IpAddr {
        host_ip(host)
    }

    fn with_host<T>(&self, host: u32, call: impl FnOnce(&mut Host) -> T) -> T {
        let mut hosts = self.inner.hosts.borrow_mut();
        let entry = hosts.entry(host).or_insert_with(|| {
            let config = self.inner.config.borrow().disk.clone();
            Host { disk: SimDisk::with_config(Rc::clone(&self.inner.clock), config), wall_skew_ms: 0 }
        });
        call(entry)
    }

    /// The disk of a host as its present process sees it. Ask again after a crash.
    pub fn disk(&self, host: u32) -> Rc<SimDisk> {
        self.with_host(host, |host| Rc::clone(&host.disk))
    }

    /// Shifts the wall clock of a host, not its monotonic time.
    pub fn set_wall_clock_skew_ms(&self, host: u32, skew_ms: i64) {
        self.with_host(host, |host| host.wall_skew_ms = skew_ms);
    }

    /// Changes the network's behaviour from now on.
    pub fn change_net(&self, change: impl FnOnce(&mut SimNetConfig)) {
        change(self.inner.net.borrow_mut().config_mut());
    }

    /// A driver for one shard of a host, which is up from now on. A reactor on it can run alone (`block_on` moves the
    /// clock itself), or with the others in [`SimWorld::run_until`] when it was attached.
    pub fn driver(&self, host: u32, shard: u32) -> Box<dyn Driver> {
        self.new_driver(host, shard).0
    }

    fn new_driver(&self, host: u32, shard: u32) -> (Box<dyn Driver>, usize) {
        let disk = self.disk(host);
        let mut net = self.inner.net.borrow_mut();
        net.start_host(host);
        net.add_driver();
        let mut shards = self.inner.shards.borrow_mut();
        let id = shards.len();
        shards.push(ShardState::new(host, shard));
        (Box::new(SimDriver::new(Rc::clone(&self.inner), id, host, disk, &shards[id])), id)
    }

    /// A reactor of one shard, attached: [`SimWorld::run_until`] gives it its turns.
    pub fn reactor(&self, host: u32, shard: u32) -> Reactor {
        let (driver, id) = self.new_driver(host, shard);
        let reactor = Reactor::new(driver);
        let stepped = reactor.clone();
        let step = Box::new(move || stepped.turn(true));
        self.steppers.borrow_mut().push(Stepper { host, driver: Some(id), reactor: Some(reactor.clone()), step });
        reactor
    }

    /// Attaches a shard with a loop of its own: `step` is one round of it, with one turn of its reactor. It ends with the
    /// next crash of its host. A step never attaches or crashes anything itself: do that between two runs.
    pub fn attach(&self, host: u32, step: impl FnMut() -> io::Result<()> + 'static) {
        self.steppers.borrow_mut().push(Stepper { host, driver: None, reactor: None, step: Box::new(step) });
    }

    /// Runs all attached shards until `done`, or until `deadline` of virtual time has passed: false then.
    pub fn run_until(&self, deadline: Duration, mut done: impl FnMut() -> bool) -> bool {
        let end = self.now().0 + deadline.as_nanos() as u64;
        while !done() {
            if self.now().0 >= end {
                return false;
            }
            self.round(end);
        }
        true
    }

    /// Runs all attached shards until a future on one of them is done.
    ///
    /// # Panics
    /// When it takes longer than `deadline` of virtual time: the message has the seed.
    pub fn block_on<T: 'static>(
        &self,
        reactor: &Reactor,
        deadline: Duration,
        future: impl Future<Output = T> + 'static,
    ) -> T {
        let slot = Rc::new(RefCell::new(None));
        let filled = Rc::clone(&slot);
        reactor.spawn(async move {
            let value = future.await;
            filled.replace(Some(value));
        });
        self.run_until(deadline, || slot.borrow().is_some());
        let value = slot.take();
        value.unwrap_or_else(|| panic!("not done after {deadline:?} of virtual time (seed {})", self.seed()))
    }

    /// Runs all attached shards for a while.
    pub fn run_for(&self, duration: Duration) {
        self.run_until(duration, || false);
    }

    /// One round: each shard once, in the seed's order; then time moves on if all were idle.
    fn round(&self, end: u64) {
        let mut steppers = self.steppers.borrow_mut();
        for index in (1..steppers.len()).rev() {
            steppers.swap(index, self.inner.clock.below(index as u64 + 1) as usize);
        }
        // Shards that are not attached do not take part.
        self.inner.shards.borrow_mut().iter_mut().for_each(|shard| shard.idle = None);
        self.inner.stepping.set(true);
        for stepper in steppers.iter_mut() {
            if let Err(failure) = (stepper.step)() {
                panic!("a driver failed: {failure} (seed {})", self.seed());
            }
        }
        self.inner.stepping.set(false);
        drop(steppers);
        if let Some(next) = self.idle_until(end) {
            self.inner.clock.advance_to(Instant(next));
            self.inner.pump();
        }
    }

    /// The next instant at which something happens, unless a shard has something to do now.
    fn idle_until(&self, end: u64) -> Option<u64> {
        let mut next = self.inner.next_event().unwrap_or(end).min(end);
        for shard in self.inner.shards.borrow().iter().filter(|shard| !shard.dead) {
            match shard.idle {
                None => {}
                Some(_) if !shard.done.is_empty() || shard.waker.is_set() => return None,
                Some(Wait::No) => return None,
                Some(Wait::Until(when)) => next = next.min(when.0),
                Some(Wait::Forever) => {}
            }
        }
        Some(next.max(self.now().0))
    }

    /// Ends all processes of a host: its shards are gone, in-flight writes have happened or not, its peers see resets
    /// (process) or silence (power). A driver made afterwards is the host after its restart.
    pub fn crash(&self, host: u32, crash: Crash) {
        self.inner.clock.note("host crash", &[u64::from(host), u64::from(crash == Crash::Power)]);
        let lost: Vec<_> = {
            let mut shards = self.inner.shards.borrow_mut();
            shards.iter_mut().filter(|shard| shard.host == host && !shard.dead).map(ShardState::kill).collect()
        };
        for operation in lost.into_iter().flatten() {
            operation.crash(&self.inner.clock);
        }
        self.inner.net.borrow_mut().end_host(host, crash == Crash::Power);
        self.inner.collect_net();
        self.with_host(host, |host| {
            host.disk.kill(crash);
            host.disk = host.disk.other_process();
        });
        let gone: Vec<Stepper> = self.steppers.borrow_mut().extract_if(.., |stepper| stepper.host == host).collect();
        gone.iter().for_each(Stepper::stop);
    }

    /// Holds back everything from one host to another (one way), until it is healed.
    pub fn partition(&self, from: u32, to: u32) {
        self.inner.clock.note("partition", &[u64::from(from), u64::from(to)]);
        self.inner.net.borrow_mut().block(from, to);
    }

    /// Ends a partition of one direction: what was held back arrives.
    pub fn heal(&self, from: u32, to: u32) {
        self.inner.clock.note("heal", &[u64::from(from), u64::from(to)]);
        self.inner.net.borrow_mut().unblock(from, to);
        self.inner.collect_net();
    }

    /// Ends all partitions.
    pub fn heal_all(&self) {
        let blocked = self.inner.net.borrow().blocked();
        for (from, to) in blocked {
            self.heal(from, to);
        }
    }

    /// Breaks the connections between two hosts.
    pub fn reset_connections(&self, from: u32, to: u32) {
        let sockets = self.inner.net.borrow().connections(from, to);
        for socket in sockets {
            self.inner.net.borrow_mut().break_connection(socket);
        }
        self.inner.collect_net();
    }

    /// Ends the sending side of the connections from one host to another; they may still receive (half-close).
    pub fn end_sending(&self, from: u32, to: u32) {
        let sockets = self.inner.net.borrow().connections(from, to);
        for socket in sockets {
            self.inner.net.borrow_mut().end_sending(socket);
        }
        self.inner.collect_net();
    }
}

impl Stepper {
    /// Drops the tasks of a dead reactor; its driver takes no notice any more.
    fn stop(&self) {
        if let Some(reactor) = &self.reactor {
            let _dead = reactor.stop(Duration::ZERO);
        }
    }
}

impl Drop for SimWorld {
    fn drop(&mut self) {
        let steppers = self.steppers.take();
        for stepper in &steppers {
            if let Some(driver) = stepper.driver {
                let lost = self.inner.shards.borrow_mut()[driver].kill();
                drop(lost);
            }
            stepper.stop();
        }
    }
}
