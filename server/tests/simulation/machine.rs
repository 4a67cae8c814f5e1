//! The simulated machine that the broker under test runs on: starts it, stops it, kills it, cuts its power.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use ringlog_core::log::commit_log::CommitLogConfig;
use ringlog_core::log::{DirectConfig, StoreConfig};
use ringlog_core::reactor::sim::{Crash, SimDisk, SimWorld};
use ringlog_core::reactor::{Disk, Reactor};
use ringlog_server::broker::{BrokerConfig, RunError, ShardMemory, Stop, seats};
use ringlog_server::config::{Properties, Settings};
use ringlog_server::meters::Doors;

/// The broker's host in the simulated world.
pub const HOST: u32 = 0;
/// Where the broker's files are. The parent is there before the first start.
pub const LOG_DIR: &str = "/data/ringlog";
const PORT: u16 = 9_092;
/// Of one shard.
const MEMORY: ShardMemory = ShardMemory {
    requests_max: 1 << 20,
    frame_pool_max: 256 << 10,
    dirty_max: 12 << 10,
    staging_max: 96 << 10,
    fetch_sessions_max: 64 << 10,
    cleaner_max: 64 << 10,
};
/// Rounds that one wait may take, in case the clock hardly moves because somebody never rests.
const ROUNDS_MAX: u64 = 3_000_000;

/// The machine, with a broker or without.
pub struct Machine {
    pub world: SimWorld,
    store: StoreConfig,
    /// Of the broker's configuration, besides what every machine has.
    properties: Vec<(&'static str, &'static str)>,
    process: Option<Process>,
}

/// A running broker.
struct Process {
    stop: Stop,
    ready: Arc<AtomicBool>,
    shards_count: usize,
    ended: Rc<RefCell<Vec<Result<(), RunError>>>>,
}

impl Machine {
    /// A machine that never ran a broker.
    pub fn new(world: SimWorld, store: StoreConfig, properties: &[(&'static str, &'static str)]) -> Self {
        let disk = world.disk(HOST);
        disk.create_dir_all(Path::new("/data")).expect("a healthy disk");
        disk.sync_dir(Path::new("/")).expect("a healthy disk");
        Self { world, store, properties: properties.to_vec(), process: None }
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.world.host_ip(HOST), PORT)
    }

    /// The machine's disk.
    pub fn disk(&self) -> Rc<SimDisk> {
        self.world.disk(HOST)
    }

    /// Starts the broker's process.
    pub fn start(&mut self, shards_count: usize) {
        assert!(self.process.is_none(), "one broker at a time");
        let (settings, store) = (settings(self.address(), &self.properties), self.store.clone());
        let config = BrokerConfig {
            settings,
            store,
            memory: MEMORY,
            connections_max: u32::MAX,
            doors: Doors::new(shards_count),
        };
        let (stop, ready) = (Stop::default(), Arc::new(AtomicBool::new(false)));
        let ended = Rc::new(RefCell::new(Vec::new()));
        let on_ready = Arc::clone(&ready);
        for seat in seats(config, &stop, Box::new(move |_| on_ready.store(true, Ordering::Relaxed))) {
            let reactor = Reactor::new(self.world.driver(HOST, seat.shard_id() as u32));
            let (mut life, ends) = (Some(seat.take(reactor)), Rc::clone(&ended));
            self.world.attach(HOST, move || {
                if let Some(shard) = &mut life
                    && let Poll::Ready(end) = shard.turn()
                {
                    life = None;
                    ends.borrow_mut().push(end);
                }
                Ok(())
            });
        }
        self.process = Some(Process { stop, ready, shards_count, ended });
    }

    /// Runs until the broker serves clients, or has ended.
    pub fn wait_until_ready(&self) -> Result<(), String> {
        let process = self.process.as_ref().expect("a broker was started");
        let is_ready = || process.ready.load(Ordering::Relaxed);
        self.wait("the broker serves", Duration::from_secs(60), || is_ready() || !process.ended.borrow().is_empty());
        match process.ended.borrow().first() {
            Some(Err(error)) => Err(error.to_string()),
            Some(Ok(())) => Err("it ended by itself".to_owned()),
            None => Ok(()),
        }
    }

    /// Whether the broker, or a shard of it, has ended by itself: why.
    pub fn ended(&self) -> Option<String> {
        let ended = self.process.as_ref()?.ended.borrow();
        ended.first().map(|end| end.as_ref().map_or_else(ToString::to_string, |()| "no error".to_owned()))
    }

    /// Asks the broker to stop cleanly and waits for it.
    pub fn stop(&mut self) -> Result<(), String> {
        let process = self.process.as_ref().expect("a broker was started");
        process.stop.request();
        // The others need not be there any more when shard 0 fails, and shard 0 is the last otherwise.
        let is_over = || {
            let ended = process.ended.borrow();
            ended.len() == process.shards_count || ended.iter().any(Result::is_err)
        };
        self.wait("the broker stops", Duration::from_secs(60), is_over);
        let failed = process.ended.borrow().iter().find_map(|end| end.as_ref().err().map(ToString::to_string));
        failed.map_or(Ok(()), Err)
    }

    /// Ends the process, if there is one, or all of the machine.
    pub fn crash(&mut self, crash: Crash) {
        self.process = None;
        self.world.crash(HOST, crash);
        self.disk().heal();
    }

    /// Runs everything until `done`.
    ///
    /// # Panics
    /// When it takes longer than `deadline` of virtual time, or too many rounds.
    pub fn wait(&self, what: &str, deadline: Duration, mut done: impl FnMut() -> bool) {
        let mut rounds = 0;
        let is_done = self.world.run_until(deadline, || {
            rounds += 1;
            assert!(rounds < ROUNDS_MAX, "waiting until {what}: the world never rests");
            done()
        });
        assert!(is_done, "waited for {deadline:?} until {what}");
    }
}

fn settings(address: SocketAddr, more: &[(&str, &str)]) -> Settings {
    let mut properties = Properties::default();
    properties.set("listeners", &format!("PLAINTEXT://{address}"));
    properties.set("log.dirs", LOG_DIR);
    properties.set("auto.create.topics.enable", "false");
    more.iter().for_each(|(name, value)| properties.set(name, value));
    let (settings, _) = Settings::from_properties(properties, false, "simulated").expect("a good configuration");
    settings
}

/// Bounds so tight that everything that happens at a bound happens often.
pub fn tight_store(file_count: u32, writes_in_flight_max: usize, direct_bytes_min: usize) -> StoreConfig {
    let commit_log = CommitLogConfig {
        file_bytes: 48 << 10,
        file_count,
        entry_bytes_max: 16 << 10,
        write_bytes_max: 16 << 10,
        writes_in_flight_max,
        chunk_bytes: 16 << 10,
        staging_bytes_max: MEMORY.staging_max,
        warm_chunks_max: 2,
        prewrite: true,
    };
    let direct = DirectConfig { batch_bytes_min: direct_bytes_min, group_bytes: 8 << 10, memory_bytes_max: 64 << 10 };
    let dirty_bytes_max = MEMORY.dirty_max;
    StoreConfig {
        open_files_max: 8,
        tail_flush_bytes: 6_000,
        late_bytes_min: 4_500,
        late_memory_bytes_max: 16 << 10,
        dirty_bytes_max,
        due_tails_per_turn: 1,
        direct,
        commit_log,
        ..StoreConfig::default()
    }
}
