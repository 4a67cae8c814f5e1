//! One run of one seed: a broker that is started, hurt and ended several times under load, and in the end everything is
//! read and compared with the model.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::reactor::Disk;
use ringlog_core::reactor::sim::{
    Clockwork, Crash, DirectoryModel, DiskCall, DiskEffect, DiskFault, SimConfig, SimDiskConfig, SimNetConfig, SimWorld,
};

use super::admin::{self, TopicPlan};
use super::bench::{Bench, Client};
use super::changes;
use super::consumer;
use super::groups::{self, GroupsModel};
use super::machine::{HOST, LOG_DIR, Machine, tight_store};
use super::model::{Class, Model};
use super::producer::{Producer, ProducerKind, Progress};

/// How many times the broker is started before the last, undisturbed time.
const LIVES_MAX: u64 = 5;
/// A healthy broker acks whatever it was sent within this time.
const PROGRESS_MAX: Duration = Duration::from_secs(20);
/// A group of live members is whole within this time: a few sessions.
const SETTLE_MAX: Duration = Duration::from_secs(2);

/// In one run of so many topics change while they are used.
const CHANGING_ONE_IN: u64 = 3;

/// In every other run the metadata gets a snapshot at each start at least, and little of its log stays.
const FREQUENT_SNAPSHOTS: [(&str, &str); 2] =
    [("metadata.log.max.record.bytes.between.snapshots", "1500"), ("metadata.max.retention.bytes", "6000")];

/// What a run was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    pub trace_hash: u64,
    pub acked_records: u64,
    pub fetched_records: u64,
    pub lives: u64,
    pub assignments: u64,
    pub acked_commits: u64,
}

/// Who the clients are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cast {
    /// Producers, consumers and an administrator of topics.
    Records,
    /// Members of groups, and writers of compacted topics.
    Groups,
}

/// Runs one seed.
///
/// # Panics
/// With what is wrong.
pub fn run(cast: Cast, seed: u64, verbose: bool) -> Summary {
    let mut run = Run::new(cast, seed, verbose);
    for _ in 0..=run.clock.below(LIVES_MAX) {
        run.live();
    }
    run.finish()
}

struct Run {
    machine: Machine,
    clock: Rc<Clockwork>,
    bench: Rc<Bench>,
    producers: Vec<Rc<Progress>>,
    /// With [`Cast::Groups`].
    groups: Option<groups::Plan>,
    clients: u32,
    /// Topics change while they are used.
    is_changing: bool,
}

/// What is done to a broker at work.
#[derive(Debug, Clone)]
enum Disturbance {
    ResetConnections,
    EvictPageCache,
    Fail(DiskFault),
    /// The device is away for a while: every sync of the partitions' files fails, or every write of all.
    Away {
        fault: DiskFault,
        for_ms: u64,
    },
    Full {
        for_ms: u64,
    },
    /// Nothing from a client arrives for a while, or nothing from the broker to it.
    Silence {
        for_ms: u64,
    },
    /// The broker's wall clock is set.
    SetClock {
        skew_ms: i64,
    },
}

/// How a life ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Crash(Crash),
    CleanStop,
    /// The process dies at the n-th call on the disk; then the crash.
    CrashWhileStopping(u64, Crash),
}

impl Run {
    fn new(cast: Cast, seed: u64, verbose: bool) -> Self {
        let clock = Clockwork::new(seed ^ 0x5eed);
        let world = SimWorld::new(seed, world_config(cast, &clock));
        let clock = Rc::clone(world.clock());
        let direct_bytes_min = [700, 1_500, 1 << 20][clock.below(3) as usize];
        let mut store = tight_store(2 + clock.below(3) as u32, 1 + clock.below(4) as usize, direct_bytes_min);
        if seed % 3 != 1 {
            // Whatever is in the commit logs at a crash is written into segments before anything is served.
            store.carried_logs_min = 64;
        }
        let is_changing = seed.is_multiple_of(CHANGING_ONE_IN);
        let groups = (cast == Cast::Groups).then(|| groups::Plan::new(&clock, is_changing));
        let mut properties = if groups.is_some() { groups::SETTINGS } else { changes::SETTINGS }.to_vec();
        if seed % 2 == 1 {
            properties.extend(FREQUENT_SNAPSHOTS);
        }
        let machine = Machine::new(world, store, &properties);
        let bench = Rc::new(Bench {
            broker: machine.address(),
            model: RefCell::new(Model::default()),
            groups: RefCell::new(GroupsModel::default()),
            draining: Cell::new(false),
            errors_expected: Cell::new(false),
            life: Cell::new(0),
            verbose,
        });
        let mut run = Self { machine, clock, bench, producers: Vec::new(), groups, clients: 0, is_changing };
        run.start_clients();
        run
    }

    fn client(&mut self) -> Client {
        self.clients += 1;
        let reactor = self.machine.world.reactor(self.clients, 0);
        Client { reactor, bench: Rc::clone(&self.bench), number: self.clients as usize }
    }

    fn start_clients(&mut self) {
        if let Some(plan) = self.groups.clone() {
            return groups::start(&plan, || self.client());
        }
        let plans = self.topic_plans();
        admin::start(self.client(), plans);
        for _ in 0..1 + self.clock.below(2) {
            let client = self.client();
            self.producers.push(Producer::start(client, ProducerKind { idempotent: true, acks: -1 }));
        }
        let acks = [-1, 1, 0][self.clock.below(3) as usize];
        let client = self.client();
        self.producers.push(Producer::start(client, ProducerKind { idempotent: false, acks }));
        for _ in 0..1 + self.clock.below(2) {
            consumer::start(self.client());
        }
    }

    fn topic_plans(&self) -> Vec<TopicPlan> {
        (0..1 + self.clock.below(4))
            .map(|number| TopicPlan {
                name: format!("t{number}"),
                class: if self.clock.below(4) == 0 { Class::PageCache } else { Class::Sync },
                partitions: 1 + self.clock.below(3) as usize,
                segment_bytes: 4_000 + self.clock.below(6_000) as u32,
                index_interval_bytes: self.clock.below(3) as u32 * 600,
                passing: number > 0 && self.clock.below(2) == 0,
                changing: self.is_changing,
            })
            .collect()
    }

    fn note(&self, text: impl FnOnce() -> String) {
        if self.bench.verbose {
            eprintln!("{:>12.3} ms  {}", self.machine.world.now().0 as f64 / 1e6, text());
        }
    }

    /// One life of the broker, from its start to its end.
    fn live(&mut self) {
        self.start_disturbed();
        let disturbances = self.disturbances();
        let share = self.life_micros_max() / (1 + disturbances.len() as u64);
        for disturbance in disturbances {
            self.run_for(self.clock.below(share));
            self.disturb(&disturbance);
        }
        self.run_for(self.clock.below(share));
        if !self.bench.errors_expected.get() {
            assert_eq!(self.machine.ended(), None, "the broker ended by itself");
        }
        let end = self.end();
        self.note(|| format!("== {end:?}"));
        self.end_by(end);
    }

    /// Sessions of members take longer than anything else.
    fn life_micros_max(&self) -> u64 {
        if self.groups.is_some() { 350_000 } else { 60_000 }
    }

    fn run_for(&self, micros: u64) {
        self.machine.world.run_for(Duration::from_micros(micros));
    }

    /// Starts the broker until it serves; some of the starts die on the way.
    fn start_disturbed(&mut self) {
        while self.clock.below(6) == 0 {
            let skip = self.clock.below(150) as u32;
            self.note(|| format!("== start that dies after {skip} calls on the disk"));
            self.die_after(skip);
            self.machine.start(self.shards_count());
            let started = self.machine.wait_until_ready();
            self.note(|| format!("== {started:?}"));
            let crash = self.crash_kind();
            self.crash(crash);
        }
        self.start();
    }

    fn start(&mut self) {
        let shards_count = self.shards_count();
        self.note(|| format!("== start with {shards_count} shards"));
        self.bench.errors_expected.set(false);
        self.bench.life.set(self.bench.life.get() + 1);
        self.machine.start(shards_count);
        if let Err(error) = self.machine.wait_until_ready() {
            panic!("the broker does not start: {error}");
        }
    }

    fn shards_count(&self) -> usize {
        1 + self.clock.below(3) as usize
    }

    fn crash_kind(&self) -> Crash {
        if self.clock.below(2) == 0 { Crash::Power } else { Crash::Process }
    }

    /// The process dies after so many calls on the disk.
    fn die_after(&self, skip: u32) {
        self.expect_errors();
        self.machine.disk().die_after(skip);
    }

    /// Errors are answers from now on, and a failed sync loses what class page-cache had not synced.
    fn expect_errors(&self) {
        self.bench.errors_expected.set(true);
        self.bench.model.borrow_mut().sync_fails();
    }

    fn disturbances(&self) -> Vec<Disturbance> {
        let mut disturbances = Vec::new();
        while self.clock.below(3) != 0 && disturbances.len() < 4 {
            disturbances.push(match self.clock.below(if self.groups.is_some() { 14 } else { 10 }) {
                0..3 => Disturbance::ResetConnections,
                3..5 => Disturbance::EvictPageCache,
                5 => Disturbance::Full { for_ms: self.clock.below(40) },
                6..8 => {
                    let (path, call) = [("/t", DiskCall::Sync), ("", DiskCall::Write)][self.clock.below(2) as usize];
                    let fault = DiskFault::eio(path, call).sticky();
                    Disturbance::Away { fault, for_ms: 1 + self.clock.below(10) }
                }
                8..10 => Disturbance::Fail(self.fault()),
                10..13 => Disturbance::Silence { for_ms: self.clock.below(250) },
                // Less than what makes a record's timestamp one of the future.
                _ => Disturbance::SetClock { skew_ms: self.clock.below(3_000_000) as i64 - 1_500_000 },
            });
        }
        disturbances
    }

    fn fault(&self) -> DiskFault {
        let pick = |choices: &[&'static str]| choices[self.clock.below(choices.len() as u64) as usize];
        let path = pick(&["commit-", ".log", "__cluster_metadata", ".index", ""]);
        let call = [DiskCall::Write, DiskCall::Sync, DiskCall::Read, DiskCall::Open, DiskCall::Rename, DiskCall::Any]
            [self.clock.below(6) as usize];
        let fault = DiskFault::eio(path, call).after(self.clock.below(8) as u32);
        if self.clock.below(4) == 0 { fault.effect(DiskEffect::Short) } else { fault }
    }

    fn disturb(&self, disturbance: &Disturbance) {
        self.note(|| format!("== {disturbance:?}"));
        match disturbance {
            Disturbance::ResetConnections => self.machine.world.reset_connections(self.any_client(), HOST),
            Disturbance::EvictPageCache => self.evict_page_cache(),
            Disturbance::Fail(fault) => {
                if fault.effect != DiskEffect::Short {
                    self.expect_errors();
                }
                self.machine.disk().inject(fault.clone());
            }
            Disturbance::Away { fault, for_ms } => {
                self.expect_errors();
                self.machine.disk().inject(fault.clone());
                self.run_for(for_ms * 1_000);
                self.machine.disk().heal();
            }
            Disturbance::Full { for_ms } => self.fill_disk(*for_ms),
            Disturbance::Silence { for_ms } => {
                let client = self.any_client();
                let (from, to) = if self.clock.below(2) == 0 { (client, HOST) } else { (HOST, client) };
                self.machine.world.partition(from, to);
                self.run_for(for_ms * 1_000);
                self.machine.world.heal(from, to);
            }
            Disturbance::SetClock { skew_ms } => self.machine.world.set_wall_clock_skew_ms(HOST, *skew_ms),
        }
    }

    fn any_client(&self) -> u32 {
        1 + self.clock.below(u64::from(self.clients)) as u32
    }

    fn evict_page_cache(&self) {
        let disk = self.machine.disk();
        let folders = disk.list_dir(Path::new(LOG_DIR)).unwrap_or_default();
        for folder in folders.iter().filter(|entry| entry.is_dir) {
            let path = Path::new(LOG_DIR).join(&folder.name);
            for file in disk.list_dir(&path).unwrap_or_default() {
                disk.evict(&path.join(file.name)).expect("a file that is listed");
            }
        }
    }

    /// The disk is full for a while; then writes go on by themselves.
    fn fill_disk(&self, for_ms: u64) {
        let expected_before = self.bench.errors_expected.replace(true);
        self.machine.disk().set_capacity(Some(0));
        self.run_for(for_ms * 1_000);
        self.machine.disk().set_capacity(None);
        if !expected_before {
            // The broker looks now and then whether there is room.
            self.run_for(400_000);
            let freed = self.machine.world.now().0;
            let is_settled = |progress: &Rc<Progress>| progress.oldest_pending.get().is_none_or(|sent| sent > freed);
            self.machine
                .wait("writes go on after the disk was full", PROGRESS_MAX, || self.producers.iter().all(is_settled));
            // Answers from before are on their way.
            self.run_for(20_000);
            self.bench.errors_expected.set(false);
        }
    }

    fn end(&self) -> End {
        match self.clock.below(8) {
            0..3 => End::Crash(Crash::Power),
            3..5 => End::Crash(Crash::Process),
            5 => End::CrashWhileStopping(self.clock.below(80), self.crash_kind()),
            _ => End::CleanStop,
        }
    }

    fn end_by(&mut self, end: End) {
        match end {
            End::Crash(crash) => self.crash(crash),
            End::CleanStop => {
                let stopped = self.machine.stop();
                match stopped {
                    Ok(()) => self.bench.model.borrow_mut().all_firm(),
                    Err(error) if self.bench.errors_expected.get() => self.note(|| error),
                    Err(error) => panic!("no clean stop: {error}"),
                }
                self.crash(Crash::Process);
            }
            End::CrashWhileStopping(skip, crash) => {
                self.die_after(skip as u32);
                let stopped = self.machine.stop();
                self.note(|| format!("== {stopped:?}"));
                self.crash(crash);
            }
        }
    }

    fn crash(&mut self, crash: Crash) {
        if crash == Crash::Power || self.bench.errors_expected.get() {
            self.bench.model.borrow_mut().lose_page_cache();
        }
        self.machine.crash(crash);
    }

    /// The last life: no more faults; everything begun is finished, and all of it is read, twice.
    fn finish(mut self) -> Summary {
        self.machine.world.change_net(|net| net.reset_per_mille = 0);
        self.start();
        self.bench.draining.set(true);
        self.machine.wait("all producers have their acks", PROGRESS_MAX, || {
            self.producers.iter().all(|progress| progress.pending.get() == 0)
                && self.groups.as_ref().is_none_or(groups::Plan::is_done)
        });
        self.settle();
        self.verify();
        self.end_by(End::CleanStop);
        self.start();
        self.verify();
        self.settle();
        self.end_by(End::CleanStop);
        let groups = self.bench.groups.borrow();
        let model = self.bench.model.borrow();
        Summary {
            trace_hash: self.machine.world.trace_hash(),
            acked_records: model.acked_records,
            fetched_records: model.fetched_records,
            lives: self.bench.life.get(),
            assignments: groups.assignments,
            acked_commits: groups.acked_commits,
        }
    }

    /// Nobody goes any more: each group is whole, in a bounded time.
    fn settle(&self) {
        let world = &self.machine.world;
        self.machine.wait("all groups are whole", SETTLE_MAX, || self.bench.groups.borrow().is_settled(world.now().0));
    }

    fn verify(&mut self) {
        let client = self.client();
        let done = Rc::new(Cell::new(false));
        let told = Rc::clone(&done);
        let groups = self.groups.clone();
        client.reactor.clone().spawn(async move {
            consumer::verify_all(&client).await;
            if let Some(plan) = groups {
                groups::verify(&client, &plan).await;
            }
            told.set(true);
        });
        self.machine.wait("everything is read", PROGRESS_MAX, || done.get());
    }
}

fn world_config(cast: Cast, clock: &Clockwork) -> SimConfig {
    let pick = |choices: &[u64]| choices[clock.below(choices.len() as u64) as usize];
    let directories = if clock.below(2) == 0 { DirectoryModel::Strict } else { DirectoryModel::Journaled };
    // The sessions of members end within a few long ones.
    let syncs: &[u64] = match cast {
        Cast::Records => &[100_000, 2_000_000, 10_000_000],
        Cast::Groups => &[100_000, 2_000_000],
    };
    SimConfig {
        disk: SimDiskConfig {
            directories,
            capacity_bytes: None,
            short_per_mille: pick(&[0, 0, 20]) as u32,
            refuse_direct: clock.below(5) == 0,
        },
        net: SimNetConfig {
            delay_ns: (10_000, pick(&[20_000, 200_000, 1_000_000])),
            segment_bytes_max: pick(&[64, 1_500, 16_384]) as usize,
            receive_buffers: pick(&[2, 64]) as usize,
            timeout_ns: 200_000_000,
            reset_per_mille: pick(&[0, 0, 3]) as u32,
            ..SimNetConfig::default()
        },
        read_latency_ns: (5_000, pick(&[20_000, 100_000, 10_000_000])),
        // A device that stalls holds up late writes while the commit log goes on.
        write_latency_ns: (5_000, pick(&[20_000, 100_000, 10_000_000, 300_000_000])),
        sync_latency_ns: (50_000, pick(syncs)),
    }
}
