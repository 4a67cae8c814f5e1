//! Runs a broker: starts the shards' threads, waits for a signal, stops them in order.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::{io, thread};

use ringlog_core::log::{ClosedLog, StoreError, finish_clean_stop};
use ringlog_core::reactor::{Reactor, UringConfig, UringDriver, UringError, Wake};
use ringlog_core::ring::{Mesh, MeshInbox, MeshPort};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::control::{Controller, publish};
use super::messages::{Cluster, ShardMessage};
use super::outbox::Outbox;
use super::shard::{Shard, Shared};
use super::startup::{OpenedCluster, open_cluster};
use crate::config::Settings;
use crate::metadata::{DirectoryError, MetadataLogError};
use crate::net::accept_loop;

/// Messages between two shards before the sender keeps them itself.
const MESH_CAPACITY: usize = 4096;
/// Turns that a stopped shard gives its operations to end.
const STOP_TURNS_MAX: usize = 10_000;

/// Why a broker does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// io_uring is refused.
    #[error(transparent)]
    Uring(#[from] UringError),
    /// The data directory cannot be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
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
    /// A system call that always works.
    #[error("{what}: {source}")]
    System {
        /// Which.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Another shard could not stop cleanly: the next start recovers.
    #[error("a shard did not stop cleanly: {0}")]
    Shard(String),
}

/// Runs until SIGTERM or SIGINT, then stops cleanly.
pub fn run(settings: Settings) -> Result<(), RunError> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let shards_count = usize::from(settings.shards.unwrap_or(cores.len().max(1) as u16));
    let shared = Arc::new(Shared {
        settings: Arc::new(settings),
        connections: (0..shards_count).map(|_| AtomicUsize::new(0)).collect(),
    });
    let stop = Arc::new(AtomicBool::new(false));
    let (wakers, waker_of_first) = mpsc::channel();
    let mut ports = Mesh::new::<ShardMessage>(shards_count, MESH_CAPACITY).into_iter();
    let first_port = ports.next().expect("there is a shard");
    let mut threads = Vec::new();
    for port in ports {
        let (shared, core) = (Arc::clone(&shared), cores.get(port.id()).copied());
        threads.push(spawn(port.id(), core, move || {
            run_other(port, shared).inspect_err(|error| tracing::error!(%error, "a shard ended"))
        })?);
    }
    let signals = Signals::new([SIGTERM, SIGINT])
        .map_err(|source| RunError::System { what: "installing signal handlers", source })?;
    let (core, stop_of_first, end_of_signals) = (cores.first().copied(), Arc::clone(&stop), signals.handle());
    let first = spawn(0, core, move || {
        let ended = run_first(first_port, shared, &stop_of_first, &wakers);
        end_of_signals.close();
        ended
    })?;
    wait_for_end(first, signals, &stop, &waker_of_first)?;
    threads.into_iter().try_for_each(join)
}

type ShardThread = thread::JoinHandle<Result<(), RunError>>;

fn spawn(
    id: usize,
    core: Option<core_affinity::CoreId>,
    run: impl FnOnce() -> Result<(), RunError> + Send + 'static,
) -> Result<ShardThread, RunError> {
    let pinned = move || {
        if let Some(core) = core
            && !core_affinity::set_for_current(core)
        {
            tracing::warn!(shard = id, core = core.id, "cannot be pinned to its core");
        }
        run()
    };
    let builder = thread::Builder::new().name(format!("shard-{id}"));
    builder.spawn(pinned).map_err(|source| RunError::System { what: "starting a thread", source })
}

/// Blocks until a signal asks to stop, or shard 0 ends by itself; then waits for shard 0.
fn wait_for_end(
    first: ShardThread,
    mut signals: Signals,
    stop: &AtomicBool,
    waker_of_first: &mpsc::Receiver<Arc<dyn Wake>>,
) -> Result<(), RunError> {
    if signals.forever().next().is_some() {
        stop.store(true, Ordering::Release);
        if let Ok(waker) = waker_of_first.recv() {
            waker.wake();
        }
    }
    join(first)
}

fn join(thread: ShardThread) -> Result<(), RunError> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A reactor and its end of the mesh, joined by the doorbell.
fn build(
    port: MeshPort<ShardMessage>,
    shared: Arc<Shared>,
) -> Result<(Rc<Shard>, Reactor, MeshInbox<ShardMessage>), RunError> {
    let shard_id = port.id() as u16;
    let reactor = Reactor::new(Box::new(UringDriver::new(UringConfig::default())?));
    let (lanes, inbox) = port.split();
    let waker = reactor.waker();
    inbox.set_wake(Arc::new(move || waker.wake()));
    let outbox = Outbox::new(reactor.clone(), lanes);
    Ok((Shard::new(shard_id, reactor.clone(), outbox, shared), reactor, inbox))
}

/// One turn of a shard: what came over the mesh, what is ready, what the driver has.
fn turn(shard: &Rc<Shard>, reactor: &Reactor, inbox: &mut MeshInbox<ShardMessage>) -> Result<(), RunError> {
    let mut arrived = Vec::new();
    inbox.drain(|from, message| arrived.push((from as u16, message)));
    // The caller looks at what a message changed before the shard sleeps.
    let quiet = arrived.is_empty();
    for (from, message) in arrived {
        shard.receive(from, message)?;
    }
    let may_sleep = shard.outbox().with_lanes(|lanes| {
        lanes.flush();
        quiet && inbox.may_sleep(lanes)
    });
    let turned = reactor.turn(may_sleep);
    inbox.awake();
    turned.map_err(|source| RunError::System { what: "io_uring", source })
}

fn run_other(port: MeshPort<ShardMessage>, shared: Arc<Shared>) -> Result<(), RunError> {
    let (shard, reactor, mut inbox) = build(port, shared)?;
    while !shard.is_stopping() && !inbox.is_peer_gone(0) {
        turn(&shard, &reactor, &mut inbox)?;
    }
    let closed = stop_serving(&shard, &reactor);
    let message = ShardMessage::Stopped(closed.map_err(|error| error.to_string()));
    shard.outbox().send(0, message);
    while shard.outbox().with_lanes(|lanes| lanes.flush() > 0 || lanes.waiting_count() > 0) && !inbox.is_peer_gone(0) {
        turn(&shard, &reactor, &mut inbox)?;
    }
    Ok(())
}

fn run_first(
    port: MeshPort<ShardMessage>,
    shared: Arc<Shared>,
    stop: &AtomicBool,
    wakers: &mpsc::Sender<Arc<dyn Wake>>,
) -> Result<(), RunError> {
    let settings = Arc::clone(&shared.settings);
    let (shard, reactor, mut inbox) = build(port, shared)?;
    // Nobody takes it only when the process is already on its way out.
    let _ = wakers.send(reactor.waker());
    let opened = open_cluster(&reactor, &settings, shard.view())?;
    let OpenedCluster { directory, cluster_id, service, listeners, endpoints } = opened;
    let controller = Controller::new(reactor.clone(), service.clone(), shard.others().count() + 1);
    shard.set_controller(controller.clone());
    service.set_publish(publish(&shard));
    let cluster = Cluster { cluster_id, endpoints: endpoints.clone(), image: service.latest().clone() };
    for other in shard.others() {
        shard.outbox().send(other, ShardMessage::Start(Box::new(cluster.clone())));
    }
    shard.start(cluster)?;
    while !controller.is_replayed() && !stop.load(Ordering::Acquire) {
        turn(&shard, &reactor, &mut inbox)?;
    }
    for (index, listener) in listeners.into_iter().enumerate() {
        let dealing = Rc::clone(&shard);
        reactor.spawn(accept_loop(reactor.clone(), listener, move |socket| dealing.deal(socket, index)));
    }
    print_banner(&settings, &endpoints, shard.others().count() + 1);
    while !stop.load(Ordering::Acquire) {
        turn(&shard, &reactor, &mut inbox)?;
    }
    tracing::info!("stopping");
    for other in shard.others() {
        shard.outbox().send(other, ShardMessage::Stop);
    }
    while shard.stopped_count() < shard.others().count() {
        turn(&shard, &reactor, &mut inbox)?;
    }
    let mut closed = stop_serving(&shard, &reactor)?;
    for stopped in shard.take_stopped() {
        closed.extend(stopped.map_err(RunError::Shard)?);
    }
    let broker_epoch = service.broker_epoch();
    service.stop()?;
    finish_clean_stop(directory.disk(), directory.path(), &closed, broker_epoch)?;
    tracing::info!("stopped");
    Ok(())
}

fn stop_serving(shard: &Rc<Shard>, reactor: &Reactor) -> Result<Vec<ClosedLog>, RunError> {
    let system = |source| RunError::System { what: "io_uring", source };
    let left = reactor.stop(STOP_TURNS_MAX).map_err(system)?;
    if left > 0 {
        tracing::warn!(left, "operations did not end");
    }
    shard.stop()
}

fn print_banner(settings: &Settings, endpoints: &[crate::config::Endpoint], shards: usize) {
    let listening: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
    println!(
        "Ringlog {} | node {} | {shards} shard(s) | {} | {}\nready: kcat -b {}:{} -L",
        env!("CARGO_PKG_VERSION"),
        settings.node_id,
        settings.log_dir.display(),
        listening.join(", "),
        endpoints[0].host,
        endpoints[0].port,
    );
}
