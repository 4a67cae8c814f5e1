//! Runs a broker as a program: a pinned thread with its own driver for each shard, and signals that stop it.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{io, thread};

use ringlog_core::log::{ProducerExpiry, StoreConfig, StoreError};
use ringlog_core::reactor::{IoConfig, IoDriver, IoDriverError, Reactor, Workers};
use ringlog_core::shard::{CoreId, CpuQuota, allowed_cores, default_shard_count, pin};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::driver;
use super::life::{BrokerConfig, Seat, Stop, seats};
use super::memory::ShardMemory;
use crate::cli::version_line;
use crate::config::{Endpoint, HttpListener, Settings};
use crate::http::{About, Http};
use crate::metadata::{DirectoryError, MetadataLogError, TakeoverError};
use crate::meters::Doors;

/// Why a broker does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// io_uring is refused and asked for, or the machine has no more for a shard.
    #[error(transparent)]
    Io(#[from] IoDriverError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The data directory is one that this version cannot serve truthfully; it was left as it is.
    #[error("{}: {source}: {}; nothing was changed", path.display(), source.remedy())]
    Takeover {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: TakeoverError,
    },
    /// The metadata log cannot be used.
    #[error(transparent)]
    MetadataLog(#[from] MetadataLogError),
    /// A partition cannot be opened or closed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A listener's host has no address.
    #[error("listeners: no address for {host}: {source}")]
    Resolve {
        /// As configured.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// An address cannot be listened on.
    #[error("listeners: cannot listen on {address}: {source}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The HTTP side cannot listen.
    #[error("ringlog.http.listener: cannot listen on {host}:{port}: {source}")]
    Http {
        /// As configured.
        host: String,
        /// As configured.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// The memory does not suffice for the shards.
    #[error("ringlog.memory: {memory} bytes are too few for {shards_count} shard(s), which need {needed}")]
    Memory {
        /// As configured.
        memory: u64,
        /// As configured, or one per core.
        shards_count: usize,
        /// At least so much.
        needed: u64,
    },
    /// A system call that always works.
    #[error("{what}: {source}")]
    System {
        /// Which.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Another shard could not go on or stop cleanly: the next start recovers.
    #[error("a shard did not stop cleanly: {0}")]
    Shard(String),
}

/// Descriptors kept from connections: files of the metadata, listeners, rings, what is accepted and not yet counted.
const OTHER_DESCRIPTORS: usize = 128;

/// Exit code of a broker that was told twice to stop: nothing that was acked is lost, and the next start recovers.
pub const EXIT_STOPPED_AT_ONCE: u8 = 3;

/// Runs until SIGTERM or SIGINT, then stops cleanly; a second one, a second later, ends the process at once.
pub fn run(settings: Settings) -> Result<(), RunError> {
    let cores = allowed_cores();
    let shards_by_default = || default_shard_count(cores.len(), CpuQuota::of_this_process());
    let shards_count = settings.shards.map_or_else(shards_by_default, usize::from);
    let memory = ShardMemory::new(settings.memory, machine_bytes(), shards_count)?;
    let mut store = memory.store();
    store.commit_log.file_bytes = u64::from(settings.commit_log_file_blocks) * 4096;
    let (expiration, check_interval) = settings.producer_expiry;
    store.producer_expiry = ProducerExpiry { expiration, check_interval };
    let connections_max = connections_max(&store, shards_count);
    let doors = Doors::new(shards_count);
    let driver = driver::choose(settings.io);
    let http = start_http(&settings, driver, &doors)?;
    let banner = Banner {
        node_id: settings.node_id,
        log_dir: settings.log_dir.display().to_string(),
        shards_count,
        driver,
        http: http.as_ref().map(|http| http.address),
    };
    let config = BrokerConfig { settings, store, memory, connections_max, doors: doors.clone() };
    let stop = Stop::default();
    let ready = doors.clone();
    let on_ready = move |endpoints: &[Endpoint]| {
        ready.set_ready();
        banner.print(endpoints);
        tell_systemd(NotifyState::Ready);
    };
    // Before any shard is pinned: their threads get all cores.
    let workers = Workers::start(shards_count)
        .map_err(|source| RunError::System { what: "starting threads for computations", source })?;
    let threads = ShardThreads { cores, driver, workers };
    let mut seats = seats(config, &stop, Box::new(on_ready)).into_iter();
    let first = seats.next().expect("there is a shard");
    let others = seats.map(|seat| threads.spawn(seat, || {})).collect::<Result<Vec<_>, _>>()?;
    let signals = Signals::new([SIGTERM, SIGINT])
        .map_err(|source| RunError::System { what: "installing signal handlers", source })?;
    let end_of_signals = signals.handle();
    let first = threads.spawn(first, move || end_of_signals.close())?;
    wait_for_end(first, signals, &stop, &doors)?;
    let ended = others.into_iter().try_for_each(join);
    drop(http);
    ended
}

fn start_http(settings: &Settings, driver: IoDriver, doors: &Doors) -> Result<Option<Http>, RunError> {
    let Some(HttpListener { host, port }) = &settings.http else { return Ok(None) };
    let about = About {
        version: version_line(),
        io_driver: driver.name(),
        node_id: settings.node_id,
        with_partitions: settings.metrics_of_partitions,
    };
    let resolved = (host.as_str(), *port).to_socket_addrs();
    let started = resolved.and_then(|mut addresses| {
        let address = addresses.next().ok_or(io::ErrorKind::NotFound)?;
        Http::start(address, about, doors.clone())
    });
    started.map(Some).map_err(|source| RunError::Http { host: host.clone(), port: *port, source })
}

fn machine_bytes() -> u64 {
    let machine = rustix::system::sysinfo();
    machine.totalram.saturating_mul(u64::from(machine.mem_unit))
}

/// Connections that the descriptors allow which this process may open, as many as the system grants.
fn connections_max(store: &StoreConfig, shards_count: usize) -> u32 {
    let limit = getrlimit(Resource::Nofile);
    let granted = match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let Some(descriptors) = granted else { return u32::MAX };
    let of_files = (shards_count * (store.open_files_max + store.commit_log.file_count as usize)) as u64;
    let left = descriptors.saturating_sub(of_files + OTHER_DESCRIPTORS as u64);
    u32::try_from(left).unwrap_or(u32::MAX).max(1)
}

type ShardThread = thread::JoinHandle<Result<(), RunError>>;

/// What the shards' threads have in common.
struct ShardThreads {
    cores: Vec<CoreId>,
    driver: IoDriver,
    workers: Workers,
}

impl ShardThreads {
    /// Starts one, on a core of its own where there are enough.
    fn spawn(&self, seat: Seat, at_end: impl FnOnce() + Send + 'static) -> Result<ShardThread, RunError> {
        let id = seat.shard_id();
        let (core, driver, workers) = (self.cores.get(id).copied(), self.driver, self.workers.clone());
        let run = move || {
            if let Some(core) = core
                && !pin(core)
            {
                tracing::warn!(shard = id, core = core.id, "cannot be pinned to its core");
            }
            let driver = driver.start(IoConfig::default());
            let ended = driver.map_err(RunError::from).and_then(|driver| {
                let reactor = Reactor::new(driver);
                reactor.set_workers(workers);
                seat.take(reactor).run()
            });
            at_end();
            // Shard 0's is the broker's own end, which is told by whoever runs it.
            ended.inspect_err(|error| match id {
                0 => {}
                _ => tracing::error!(shard = id, %error, "a shard ended"),
            })
        };
        let builder = thread::Builder::new().name(format!("shard-{id}"));
        builder.spawn(run).map_err(|source| RunError::System { what: "starting a thread", source })
    }
}

/// A second signal that comes sooner than this is the first again: timeout(1) and some supervisors send it to the process
/// and to its group.
const SECOND_SIGNAL_AFTER: Duration = Duration::from_secs(1);

/// Blocks until shard 0 has ended, by itself or because a signal asked it to stop.
#[expect(clippy::disallowed_methods, reason = "signals come to a thread without a reactor")]
fn wait_for_end(first: ShardThread, mut signals: Signals, stop: &Stop, doors: &Doors) -> Result<(), RunError> {
    let mut asked: Option<Instant> = None;
    for _ in signals.forever() {
        match asked {
            None => {
                asked = Some(Instant::now());
                doors.set_stopping();
                tell_systemd(NotifyState::Stopping);
                stop.request();
            }
            Some(asked) if asked.elapsed() >= SECOND_SIGNAL_AFTER => {
                tracing::warn!("told twice to stop: ending at once, the next start recovers");
                std::process::exit(EXIT_STOPPED_AT_ONCE.into());
            }
            Some(_) => {}
        }
    }
    join(first)
}

/// Nothing happens where systemd did not start the broker with `Type=notify`.
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd cannot be told what the broker does");
    }
}

fn join(thread: ShardThread) -> Result<(), RunError> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// What is printed once, when clients are served.
struct Banner {
    node_id: i32,
    log_dir: String,
    shards_count: usize,
    driver: IoDriver,
    http: Option<SocketAddr>,
}

impl Banner {
    fn print(self, endpoints: &[Endpoint]) {
        let Self { node_id, log_dir, shards_count, driver, http } = self;
        let http = http.map_or(String::new(), |address| format!("http://{address} | "));
        let listening: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
        let banner = format!(
            "Ringlog {} | node {node_id} | {shards_count} shard(s) on {} | {log_dir} | {http}{}\nready: kcat -b {}:{} -L",
            env!("CARGO_PKG_VERSION"),
            driver.name(),
            listening.join(", "),
            endpoints[0].host,
            endpoints[0].port,
        );
        // Who reads standard output may be gone.
        let _ = writeln!(io::stdout(), "{banner}");
    }
}
