//! The life of a broker's shards, from getting a reactor to the clean stop. A thread with io_uring runs it, or the
//! simulation does, turn by turn: nothing in here knows which.
//!
//! Invariant: what a life waits for besides I/O changes by a message, after which a shard does not sleep, or by the
//! [`Stop`], which wakes it. So a condition that is looked at in every turn is never slept over.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use ringlog_core::log::commit_log::remove_discarded;
use ringlog_core::log::{COMMIT_LOG_FOLDER, ClosedLog, LogDirFailure, StoreConfig, finish_clean_stop};
use ringlog_core::reactor::{Reactor, Wake};
use ringlog_core::ring::{Mesh, MeshPort};
use ringlog_core::shard;

use super::RunError;
use super::control::{Controller, publish};
use super::memory::ShardMemory;
use super::messages::{Cluster, ShardMessage};
use super::outbox::Outbox;
use super::shard::{Shard, Shared};
use super::startup::{OpenedCluster, open_cluster};
use crate::config::{Endpoint, Settings};
use crate::meters::Doors;
use crate::net::{PerAddress, accept_loop};
use crate::quota::{QuotaWindows, SharedRates};

/// Messages between two shards before the sender keeps them itself.
const MESH_CAPACITY: usize = 4096;
/// What a stopped shard has under way ends within this time, unless the disk does not answer.
const STOP_MAX: Duration = Duration::from_secs(30);

type ShardLoop = shard::Shard<ShardMessage>;

/// What a broker is made from.
#[derive(Clone)]
pub struct BrokerConfig {
    /// The configuration, as the user meant it.
    pub settings: Settings,
    /// Bounds of each shard's store.
    pub store: StoreConfig,
    /// Bounds of each shard's memory.
    pub memory: ShardMemory,
    /// For how many connections there are descriptors.
    pub connections_max: u32,
    /// What other threads see of the shards; says how many there are, at least one.
    pub doors: Doors,
}

/// Called once by shard 0 when clients are served, with what they are told of each listener.
pub type OnReady = Box<dyn FnOnce(&[Endpoint]) + Send>;

/// Asks a broker to stop cleanly, from any thread. Clones are the same.
#[derive(Clone, Default)]
pub struct Stop(Arc<StopState>);

#[derive(Default)]
struct StopState {
    requested: AtomicBool,
    /// Of shard 0.
    waker: Mutex<Option<Arc<dyn Wake>>>,
}

impl Stop {
    /// Asks. More than once is the same.
    pub fn request(&self) {
        // Release: with the Acquire of `is_requested`. The lock orders it before a waker that is set later.
        self.0.requested.store(true, Ordering::Release);
        let waker = self.0.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake();
        }
    }

    fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::Acquire)
    }

    fn set_waker(&self, waker: Arc<dyn Wake>) {
        *self.0.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }
}

/// A shard that has no reactor yet; it may be sent to its thread.
pub struct Seat {
    port: MeshPort<ShardMessage>,
    shared: Arc<Shared>,
    /// On shard 0.
    lead: Option<(Stop, OnReady)>,
}

/// The seats of a broker's shards, shard 0 first.
pub fn seats(config: BrokerConfig, stop: &Stop, on_ready: OnReady) -> Vec<Seat> {
    let BrokerConfig { settings, store, memory, connections_max, doors } = config;
    let shards_count = doors.shards().len();
    let log_dir_failure = LogDirFailure::default();
    let (count, size) = settings.quota_windows;
    let rates = Arc::new(SharedRates::new(QuotaWindows { count, size }));
    let per_address = PerAddress::default();
    let settings = Arc::new(settings);
    let shared =
        Arc::new(Shared { settings, store, memory, connections_max, doors, rates, per_address, log_dir_failure });
    let ports = Mesh::new(shards_count, MESH_CAPACITY).into_iter();
    let mut lead = Some((stop.clone(), on_ready));
    ports.map(|port| Seat { port, shared: Arc::clone(&shared), lead: lead.take() }).collect()
}

impl Seat {
    /// Number of the shard.
    pub fn shard_id(&self) -> usize {
        self.port.id()
    }

    /// Begins the shard's life on the calling thread.
    pub fn take(self, reactor: Reactor) -> ShardLife {
        let Self { port, shared, lead } = self;
        let port_id = port.id();
        let shard_id = port_id as u16;
        let waker = Waker::from(Arc::new(ReactorWaker(reactor.waker())));
        let looped = Rc::new(ShardLoop::new(reactor.clone(), port));
        shared.doors.shards()[port_id].set_waker(looped.reactor().waker());
        let shard = Shard::new(shard_id, reactor, Outbox::new(looped.mailbox().clone()), shared);
        let (of_life, looping) = (Rc::clone(&shard), Rc::clone(&looped));
        let life: Life = match lead {
            Some((stop, on_ready)) => {
                stop.set_waker(looped.reactor().waker());
                Box::pin(lead_broker(looping, of_life, stop, on_ready))
            }
            None => Box::pin(follow(looping, of_life)),
        };
        ShardLife { looped, shard, life, waker }
    }
}

type Life = Pin<Box<dyn Future<Output = Result<(), RunError>>>>;

/// A shard at work. Dropped before its end it is a killed process: nothing more is written or answered.
pub struct ShardLife {
    looped: Rc<ShardLoop>,
    shard: Rc<Shard>,
    life: Life,
    waker: Waker,
}

impl ShardLife {
    /// One turn: looks at what the life waits for, then at messages, tasks and I/O; sleeps if there is nothing to do.
    /// `Ready` when the shard has ended, and not to be called again.
    pub fn turn(&mut self) -> Poll<Result<(), RunError>> {
        if let Poll::Ready(ended) = self.life.as_mut().poll(&mut Context::from_waker(&self.waker)) {
            return Poll::Ready(ended);
        }
        self.shard.answer_asks();
        match self.looped.turn(|from, message| self.shard.receive(from, message)) {
            Ok(()) => Poll::Pending,
            Err(source) => Poll::Ready(Err(RunError::System { what: "the I/O driver", source })),
        }
    }

    /// Turns until the end.
    pub fn run(mut self) -> Result<(), RunError> {
        loop {
            if let Poll::Ready(ended) = self.turn() {
                return ended;
            }
        }
    }
}

impl Drop for ShardLife {
    fn drop(&mut self) {
        // Tasks hold the reactor that holds them.
        if let Err(error) = self.looped.reactor().stop(Duration::ZERO) {
            tracing::error!(%error, "a reactor cannot be stopped");
        }
    }
}

/// Ends the sleep of a shard whose life has something to look at.
struct ReactorWaker(Arc<dyn Wake>);

impl std::task::Wake for ReactorWaker {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }
}

/// Done in the first turn in which the condition holds.
fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    poll_fn(move |_| if condition() { Poll::Ready(()) } else { Poll::Pending })
}

/// Shard 0: opens the cluster, tells the others, serves, and finishes the clean stop when all shards have stopped.
async fn lead_broker(looped: Rc<ShardLoop>, shard: Rc<Shard>, stop: Stop, on_ready: OnReady) -> Result<(), RunError> {
    let reactor = looped.reactor();
    let opened = open_cluster(reactor, shard.settings(), shard.store()).await?;
    let OpenedCluster { directory, cluster_id, service, listeners, endpoints } = opened;
    let controller =
        Controller::new(reactor.clone(), service.clone(), Arc::clone(shard.settings()), shard.others().count() + 1);
    shard.set_controller(controller.clone());
    service.set_publish(publish(&shard));
    let (quorum, image) = (service.quorum(), service.latest().clone());
    let cluster = Cluster { cluster_id, quorum, endpoints: endpoints.clone(), image };
    for other in shard.others() {
        shard.outbox().send(other, ShardMessage::Start(Box::new(cluster.clone())));
    }
    shard.start(cluster)?;
    // A shard that stops unasked could not go on.
    let must_stop = || stop.is_requested() || shard.stopped_count() > 0;
    until(|| controller.is_replayed() || must_stop()).await;
    if !must_stop() {
        for (index, listener) in listeners.into_iter().enumerate() {
            let (counting, dealing) = (Rc::clone(&shard), Rc::clone(&shard));
            let delay = move || counting.delay_of_connection(index);
            reactor.spawn(accept_loop(reactor.clone(), listener, delay, move |socket| dealing.deal(socket, index)));
        }
        on_ready(&endpoints);
        reactor.spawn(remove_discarded(reactor.clone(), directory.path().join(COMMIT_LOG_FOLDER)));
        until(must_stop).await;
    }
    tracing::info!("stopping");
    shard.outbox().stopping();
    shard.tell_stop();
    // They close their logs while this one does.
    until(|| looped.mailbox().flush() == 0).await;
    let closed = stop_serving(&shard, reactor);
    until(|| shard.stopped_count() == shard.others().count()).await;
    let mut closed = closed?;
    for stopped in shard.take_stopped() {
        closed.extend(stopped.map_err(RunError::Shard)?);
    }
    let broker_epoch = service.broker_epoch();
    service.stop()?;
    finish_clean_stop(directory.disk(), directory.path(), &closed, broker_epoch)?;
    directory.unlock();
    tracing::info!("stopped");
    Ok(())
}

/// Every other shard: serves from when shard 0 says so, and tells it how it ended.
async fn follow(looped: Rc<ShardLoop>, shard: Rc<Shard>) -> Result<(), RunError> {
    until(|| shard.is_stopping() || looped.is_gone(0)).await;
    shard.outbox().stopping();
    let closed = match shard.take_failure() {
        Some(error) => Err(error),
        None => stop_serving(&shard, looped.reactor()),
    };
    shard.outbox().send(0, ShardMessage::Stopped(closed.map_err(|error| error.to_string())));
    // Flushed here and not at the end of the turn, which would sleep without another look at what it changed.
    until(|| looped.mailbox().flush() == 0 || looped.is_gone(0)).await;
    Ok(())
}

fn stop_serving(shard: &Rc<Shard>, reactor: &Reactor) -> Result<Vec<ClosedLog>, RunError> {
    let system = |source| RunError::System { what: "the I/O driver", source };
    let left = reactor.stop(STOP_MAX).map_err(system)?;
    if left > 0 {
        // Not to be written beside.
        tracing::error!(left, "operations did not end");
        return Err(system(io::ErrorKind::TimedOut.into()));
    }
    shard.stop()
}
