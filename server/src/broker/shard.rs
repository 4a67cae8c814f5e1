//! One shard of the broker: joins connections, handlers, partitions and the mesh.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use ringlog_core::log::{ClosedLog, LogDirFailure, LogStore, StoreConfig};
use ringlog_core::reactor::{Reactor, Socket};

use super::RunError;
use super::control::{Controller, RemoteController};
use super::memory::ShardMemory;
use super::messages::{Cluster, ShardMessage};
use super::outbox::Outbox;
use crate::config::Settings;
use crate::coordinator::group::{GroupCoordinators, GroupMessage, GroupRouter, OFFSETS_TOPIC};
use crate::handlers::{Context, FetchSessions, ProducerIds, dispatch};
use crate::metadata::{Changes, ControllerLink, MetadataView, Records};
use crate::meters::{Ask, Doors, MetadataSnapshot, RequestMeters, ShardSnapshot, TopicsMeters};
use crate::net::{
    Budget, Connection, ConnectionLimits, Connections, FrameHandler, FramePool, OfAddress, PerAddress, Place, Responder,
};
use crate::partition::{PartitionMessage, Partitions, Recompressor, Router, TopicPartition};
use crate::quota::{ClientLimits, QuotaKind, QuotaWindows, Rate, SharedRates};

/// Requests and answers that one connection may hold, of those of its shard.
const CONNECTION_BYTES_MAX: usize = 128 << 20;

/// Connections beyond the quota of their address that are held at one time; more are ended at once.
const HELD_CONNECTIONS_MAX: usize = 1000;

/// What all shards share: nothing that they wait for.
pub struct Shared {
    /// The broker's configuration.
    pub settings: Arc<Settings>,
    /// Bounds of each shard's store.
    pub store: StoreConfig,
    /// Bounds of each shard's memory.
    pub memory: ShardMemory,
    /// For how many connections there are descriptors.
    pub connections_max: u32,
    /// What other threads see of the shards, with the open connections of each.
    pub doors: Doors,
    /// Met by one of the shards.
    pub log_dir_failure: LogDirFailure,
    /// What clients with quotas have used.
    pub rates: Arc<SharedRates>,
    /// Connections by address.
    pub per_address: PerAddress,
}

/// A shard. What serves is set when the cluster is open.
pub struct Shard {
    shard_id: u16,
    reactor: Reactor,
    outbox: Outbox,
    shared: Arc<Shared>,
    view: Rc<MetadataView>,
    serving: RefCell<Option<Serving>>,
    /// On shard 0.
    controller: OnceCell<Controller>,
    /// On the others.
    remote: OnceCell<RemoteController>,
    pool: FramePool,
    /// Of requests and answers.
    budget: Budget,
    requests: Rc<RequestMeters>,
    topics: Rc<TopicsMeters>,
    /// Of clients and addresses.
    limits: Rc<ClientLimits>,
    /// Connections that are held because of their address's quota.
    held_connections: Cell<usize>,
    /// New connections of all listeners.
    connections_rate: Rate,
    /// There are `max.connections`.
    refusing: Cell<bool>,
    stopped: RefCell<Vec<Result<Vec<ClosedLog>, String>>>,
    stopping: Cell<bool>,
    /// Why it stops although nobody asked.
    failure: Cell<Option<RunError>>,
}

struct Serving {
    partitions: Partitions,
    router: Router,
    coordinators: GroupCoordinators,
    groups: GroupRouter,
    context: Rc<Context>,
    connections: Connections,
}

impl Shard {
    /// A shard that does not serve yet.
    pub fn new(shard_id: u16, reactor: Reactor, outbox: Outbox, shared: Arc<Shared>) -> Rc<Self> {
        let shards_count = u16::try_from(shared.doors.shards().len()).expect("shards are few");
        let view = Rc::new(MetadataView::new(shards_count, Arc::clone(&shared.settings)));
        let memory = shared.memory;
        let limits = Rc::new(ClientLimits::new(Arc::clone(&shared.rates)));
        let (count, size) = shared.settings.quota_windows;
        let connections_rate = Rate::new(QuotaWindows { count, size });
        Rc::new(Self {
            shard_id,
            reactor,
            outbox,
            shared,
            view,
            serving: RefCell::default(),
            controller: OnceCell::new(),
            remote: OnceCell::new(),
            pool: FramePool::new(memory.frame_pool_max),
            budget: Budget::new(memory.requests_max),
            requests: Rc::default(),
            topics: Rc::default(),
            limits,
            held_connections: Cell::new(0),
            connections_rate,
            refusing: Cell::new(false),
            stopped: RefCell::default(),
            stopping: Cell::new(false),
            failure: Cell::new(None),
        })
    }

    /// The broker's configuration.
    pub fn settings(&self) -> &Arc<Settings> {
        &self.shared.settings
    }

    /// Bounds of each shard's store.
    pub fn store(&self) -> &StoreConfig {
        &self.shared.store
    }

    /// The mesh.
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// All shards but this one.
    pub fn others(&self) -> impl Iterator<Item = u16> + use<> {
        let (this, count) = (self.shard_id, self.shared.doors.shards().len());
        (0..count as u16).filter(move |other| *other != this)
    }

    /// Makes this shard 0 with the controller.
    pub fn set_controller(&self, controller: Controller) {
        assert!(self.controller.set(controller).is_ok(), "one controller");
    }

    /// Opens the partitions of this shard and begins to serve.
    pub fn start(self: &Rc<Self>, cluster: Cluster) -> Result<(), RunError> {
        let Shared { settings, store, log_dir_failure, .. } = &*self.shared;
        let reactor = self.reactor.clone();
        let mut store = LogStore::open(reactor.clone(), settings.log_dir.clone(), self.shard_id, store.clone())?;
        store.share_failure(log_dir_failure.clone());
        let (view, cleaner_max) = (Rc::clone(&self.view), self.shared.memory.cleaner_max);
        let cleaner = Box::new(move || view.cleaner(cleaner_max));
        let view = Rc::clone(&self.view);
        let scrubber = Box::new(move || view.scrubber());
        let interval = settings.retention_check_interval;
        let topics = Rc::clone(&self.topics);
        let partitions = Partitions::new(reactor.clone(), store, interval, cleaner, scrubber, topics);
        let outbox = self.outbox.clone();
        let send = move |shard, message: PartitionMessage| outbox.send(shard, ShardMessage::Partition(message));
        let router = Router::new(self.shard_id, partitions.clone(), Box::new(send));
        let coordinators = GroupCoordinators::new(
            reactor.clone(),
            partitions.clone(),
            Rc::clone(&self.view),
            Arc::clone(&settings.groups),
        );
        let outbox = self.outbox.clone();
        let send = move |shard, message: GroupMessage| outbox.send(shard, ShardMessage::Group(message));
        let groups = GroupRouter::new(self.shard_id, Rc::clone(&self.view), coordinators.clone(), Box::new(send));
        let controller: Box<dyn ControllerLink> = match self.controller.get() {
            Some(controller) => Box::new(controller.clone()),
            None => Box::new(self.remote.get_or_init(|| RemoteController::new(self.outbox.clone())).clone()),
        };
        let context = Rc::new(Context {
            reactor,
            router: router.clone(),
            recompressor: Recompressor::new(self.reactor.clone(), router.clone()),
            groups: groups.clone(),
            metadata: Rc::clone(&self.view),
            controller,
            settings: Arc::clone(settings),
            cluster_id: cluster.cluster_id,
            quorum: cluster.quorum,
            endpoints: cluster.endpoints,
            producer_ids: ProducerIds::default(),
            limits: Rc::clone(&self.limits),
            fetch_sessions: RefCell::new(self.fetch_sessions()),
        });
        let connections = Connections::new(self.reactor.clone(), settings.connections_max_idle, self.budget.clone());
        let serving = Serving { partitions, router, coordinators, groups, context, connections };
        self.serving.replace(Some(serving));
        let changes = self.view.set_image(cluster.image);
        self.apply(changes);
        if let Some(serving) = &*self.serving.borrow() {
            serving.partitions.all_created();
        }
        self.tell_replayed();
        Ok(())
    }

    /// This shard's part of `max.incremental.fetch.session.cache.slots`, and of the memory.
    fn fetch_sessions(&self) -> FetchSessions {
        let (slots, shards) = (self.shared.settings.fetch_session_slots as usize, self.shared.doors.shards().len());
        let slots_max = slots / shards + usize::from(usize::from(self.shard_id) < slots % shards);
        FetchSessions::new(slots_max, self.shared.memory.fetch_sessions_max)
    }

    /// Replays durable metadata records and creates and removes partitions accordingly.
    pub fn replay(&self, base_offset: i64, records: &Records) {
        let changes = self.view.replay(base_offset, records).expect("the controller's records fit its own image");
        self.apply(changes);
        self.tell_replayed();
    }

    fn tell_replayed(&self) {
        let end_offset = self.view.image().end_offset();
        match self.controller.get() {
            Some(controller) => controller.replayed(self.shard_id, end_offset),
            None => self.outbox.send(0, ShardMessage::Replayed(end_offset)),
        }
    }

    /// Serves a connection that was dealt to this shard.
    pub fn serve(self: &Rc<Self>, socket: Socket, listener: usize, of_address: OfAddress) {
        let serving = self.serving.borrow();
        let Some(Serving { context, connections, .. }) = &*serving else { return };
        let settings = &self.shared.settings;
        let limits = ConnectionLimits {
            frame_bytes_max: (settings.socket_request_max_bytes as usize).min(self.shared.memory.requests_max),
            budget: self.budget.within(CONNECTION_BYTES_MAX),
            pool: self.pool.clone(),
            meters: Rc::clone(&self.requests),
        };
        let counted = Counted { shared: Arc::clone(&self.shared), shard_id: self.shard_id, _of_address: of_address };
        connections.add(|place| {
            let handler = Frames { context: Rc::clone(context), listener, _counted: counted, _place: place };
            Connection::start(&self.reactor, socket, limits, Rc::new(handler))
        });
    }

    /// Counts a connection for `max.connection.creation.rate`. How long it has to wait, one window at most, as in Kafka.
    pub fn delay_of_connection(&self, listener: usize) -> Duration {
        let Some(per_second) = self.view.connections_max().per_second.filter(|_| !self.is_protected(listener)) else {
            return Duration::ZERO;
        };
        let (rate, now) = (&self.connections_rate, self.reactor.now());
        rate.record(now, 1);
        let (_, window) = self.shared.settings.quota_windows;
        rate.delay(now, rate.total(now), f64::from(per_second)).min(window)
    }

    /// Limits of all connections do not hold for what brokers use among themselves, if it is not the only listener
    /// (`ConnectionQuotas.protectedListener` in Kafka).
    fn is_protected(&self, listener: usize) -> bool {
        let settings = &self.shared.settings;
        settings.listeners.len() > 1 && settings.listeners[listener].name == settings.inter_broker_listener
    }

    /// Deals a connection to the shard that has fewest, or ends it if there are `max.connections` or those of its address.
    pub fn deal(self: &Rc<Self>, socket: Socket, listener: usize) {
        let limits = self.view.connections_max();
        let all = if self.is_protected(listener) { u32::MAX } else { limits.all };
        let max = all.min(self.shared.connections_max) as usize;
        let doors = self.shared.doors.shards();
        let open: usize = doors.iter().map(|door| door.connections.load(Ordering::Relaxed)).sum();
        let refuses = open >= max;
        if refuses && !self.refusing.replace(refuses) {
            tracing::warn!(max, "max.connections is reached: new connections are closed");
        }
        self.refusing.set(refuses);
        if refuses {
            return;
        }
        // Without its address it has ended already.
        let Ok(peer) = socket.peer_address() else { return };
        let address = peer.ip();
        let max = limits.of(address);
        let Some(of_address) = self.shared.per_address.admit(address, max) else {
            tracing::info!(%address, max, "closed a connection: its address has as many as max.connections.per.ip allows");
            return;
        };
        if let Err(delay) = self.connection_within_quota(address) {
            return self.hold(socket, delay);
        }
        let counts = doors.iter().map(|door| door.connections.load(Ordering::Relaxed));
        let (fewest, _) = counts.enumerate().min_by_key(|(_, count)| *count).expect("there is a shard");
        doors[fewest].connections.fetch_add(1, Ordering::Relaxed);
        match fewest as u16 {
            shard if shard == self.shard_id => self.serve(socket, listener, of_address),
            shard => {
                let socket = socket.into_handle();
                self.outbox.send(shard, ShardMessage::Connection { socket, listener, of_address });
            }
        }
    }

    /// Counts a connection for the quota of its address.
    fn connection_within_quota(&self, address: IpAddr) -> Result<(), Duration> {
        if !self.limits.has(QuotaKind::Connection) {
            return Ok(());
        }
        self.limits.try_record(QuotaKind::Connection, &address.to_canonical().to_string(), self.reactor.now(), 1)
    }

    /// Keeps a connection that is too many, and ends it later: its client shall not try again at once.
    fn hold(self: &Rc<Self>, socket: Socket, delay: Duration) {
        if self.held_connections.get() >= HELD_CONNECTIONS_MAX {
            return;
        }
        self.held_connections.set(self.held_connections.get() + 1);
        let shard = Rc::clone(self);
        self.reactor.spawn(async move {
            shard.reactor.sleep(delay).await;
            drop(socket);
            shard.held_connections.set(shard.held_connections.get() - 1);
        });
    }

    /// Takes a message of another shard.
    pub fn receive(self: &Rc<Self>, from: u16, message: ShardMessage) {
        match message {
            ShardMessage::Start(cluster) => {
                if let Err(error) = self.start(*cluster) {
                    self.failure.set(Some(error));
                    self.stopping.set(true);
                }
            }
            ShardMessage::Partition(message) => {
                let router = self.serving.borrow().as_ref().map(|serving| serving.router.clone());
                if let Some(router) = router {
                    router.receive(from, message);
                }
            }
            ShardMessage::Group(message) => {
                let groups = self.serving.borrow().as_ref().map(|serving| serving.groups.clone());
                if let Some(groups) = groups {
                    groups.receive(from, message);
                }
            }
            ShardMessage::Connection { socket, listener, of_address } => {
                self.serve(self.reactor.adopt(socket), listener, of_address);
            }
            // Who asked stops too.
            ShardMessage::Control { .. } if self.stopping.get() => {}
            ShardMessage::Control { call, request } => {
                let outbox = self.outbox.clone();
                let reply = Box::new(move |reply| outbox.send(from, ShardMessage::ControlReply { call, reply }));
                self.controller.get().expect("requests go to shard 0").request(request, reply);
            }
            ShardMessage::ControlReply { call, reply } => {
                self.remote.get().expect("asked from here").receive(call, reply);
            }
            ShardMessage::Replay { base_offset, records } => self.replay(base_offset, &records),
            ShardMessage::Replayed(end_offset) => {
                self.controller.get().expect("sent to shard 0").replayed(from, end_offset);
            }
            ShardMessage::Stop => self.stopping.set(true),
            ShardMessage::Stopped(closed) => self.stopped.borrow_mut().push(closed),
        }
    }

    /// Answers who asked at this shard's door.
    pub fn answer_asks(&self) {
        let door = &self.shared.doors.shards()[usize::from(self.shard_id)];
        if door.has_asks() {
            for Ask { with_partitions, reply } in door.take() {
                reply(self.snapshot(with_partitions));
            }
        }
    }

    fn snapshot(&self, with_partitions: bool) -> ShardSnapshot {
        let serving = self.serving.borrow();
        let Some(Serving { partitions, coordinators, context, .. }) = &*serving else {
            return ShardSnapshot::default();
        };
        let metadata = self.controller.get().map(|_| {
            let image = self.view.image();
            MetadataSnapshot {
                topics: image.topics().map(|topic| (Arc::clone(&topic.name), topic.partitions.len())).collect(),
                end_offset: image.end_offset(),
                leader_epoch: context.quorum.leader_epoch,
            }
        });
        ShardSnapshot {
            cpu_ns: thread_cpu_ns(),
            requests: self.requests.snapshot(),
            topics: self.topics.snapshot(),
            partitions_count: partitions.count(),
            partitions: if with_partitions { partitions.snapshot() } else { Vec::new() },
            committed: if with_partitions { coordinators.committed() } else { Vec::new() },
            commit_log_writes_us: Some(partitions.commit_log_writes_us()),
            scrubbed: partitions.scrub_counts(),
            metadata,
        }
    }

    /// Shard 0 tells the others to stop, and itself.
    pub fn tell_stop(&self) {
        for other in self.others() {
            self.outbox.send(other, ShardMessage::Stop);
        }
        self.stopping.set(true);
    }

    /// Whether shard 0 has told this shard to stop, or it cannot go on.
    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Why this shard cannot go on.
    pub fn take_failure(&self) -> Option<RunError> {
        self.failure.take()
    }

    /// The other shards that have stopped, as they told.
    pub fn stopped_count(&self) -> usize {
        self.stopped.borrow().len()
    }

    /// Takes what the other shards told when they stopped.
    pub fn take_stopped(&self) -> Vec<Result<Vec<ClosedLog>, String>> {
        self.stopped.take()
    }

    /// Stops serving: connections end, what was appended is synced. Returns where each log ended.
    pub fn stop(&self) -> Result<Vec<ClosedLog>, RunError> {
        let Some(serving) = self.serving.take() else { return Ok(Vec::new()) };
        serving.connections.close_all();
        let partitions = serving.partitions.clone();
        serving.coordinators.close();
        drop(serving);
        Ok(partitions.close()?)
    }

    fn apply(&self, changes: Changes) {
        let serving = self.serving.borrow();
        let Some(Serving { partitions, coordinators, .. }) = serving.as_ref() else { return };
        if changes.client_quotas {
            self.limits.set(self.view.image().client_quotas());
        }
        for (topic_id, partition_index) in changes.removed {
            if self.view.owner_of(topic_id, partition_index) != self.shard_id {
                continue;
            }
            let name = TopicPartition { topic_id, partition_index };
            coordinators.unhost(name);
            if let Err(error) = partitions.remove(name) {
                tracing::error!(%error, "a deleted partition's files cannot be removed");
            }
        }
        if !changes.deleted_topics.is_empty() {
            coordinators.forget_topics(&changes.deleted_topics);
        }
        let image = self.view.image();
        for topic in changes.reconfigured.iter().filter_map(|topic_id| image.topic(topic_id)) {
            let config = self.view.topic_config(topic);
            for partition_index in 0..topic.partitions.len() as i32 {
                let name = TopicPartition { topic_id: topic.topic_id, partition_index };
                partitions.reconfigure(name, &config.log, config.durability);
            }
        }
        for (topic_id, partition_index, leader_epoch) in changes.created {
            if self.view.owner_of(topic_id, partition_index) != self.shard_id {
                continue;
            }
            let Some(topic) = image.topic(&topic_id) else { continue };
            let spec = self.view.log_spec(topic, partition_index);
            let name = TopicPartition { topic_id, partition_index };
            match partitions.create(name, leader_epoch, spec) {
                Ok(()) if *topic.name == *OFFSETS_TOPIC => coordinators.host(name),
                Ok(()) => {}
                Err(error) => {
                    tracing::error!(topic = %topic.name, partition_index, %error, "a partition cannot be opened");
                }
            }
        }
    }
}

/// Processor time of the calling thread.
fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Joins a connection's frames to the handlers.
struct Frames {
    context: Rc<Context>,
    listener: usize,
    _counted: Counted,
    _place: Place,
}

impl FrameHandler for Frames {
    fn handle(&self, frame: Bytes, responder: Responder) {
        dispatch(&self.context, self.listener, frame, responder);
    }
}

/// A connection in the shard's count, until it is dropped.
struct Counted {
    shared: Arc<Shared>,
    shard_id: u16,
    _of_address: OfAddress,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.doors.shards()[usize::from(self.shard_id)].connections.fetch_sub(1, Ordering::Relaxed);
    }
}
