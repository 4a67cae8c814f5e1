//! The controller at work, on shard 0: decides, appends, syncs, and only then publishes and answers.
//!
//! Invariants:
//! - One writer: decisions are made on the latest image, which may be ahead of what is durable; what is published and
//!   answered is durable.
//! - One sync in flight. Whatever was appended while it ran shares the next one. It runs on its own, also when the
//!   request that began it is gone.
//! - After a failed sync nothing is appended, published or answered with success any more.
//! - The log goes on in another segment only when nothing is under way.

use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use ringlog_core::reactor::{Instant, Reactor};
use uuid::Uuid;

use super::alter_configs::{AlterConfigError, AlterConfigs, alter_configs};
use super::client_quotas::{AlterClientQuotas, AlterQuotaError, alter_client_quotas};
use super::controller::{self, ProducerIdBlock, ProducerIdsExhausted};
use super::create_partitions::{CreatePartitionsError, NewPartitions, create_partitions};
use super::create_topics::{CreateTopicError, CreatedTopic, NewTopic, create_topics};
use super::delete_topics::delete_topics;
use super::image::MetadataImage;
use super::log::{FoundLog, LoadedLog, MetadataLog, MetadataLogError};
use super::node::{Identity, NodeConfig, QuorumOfOne};
use super::records::Records;
use super::update_features::{UpdateFeatures, UpdateFeaturesError, update_features};
use crate::config::Settings;

mod snapshots;

/// The metadata log cannot be written: nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the metadata log cannot be written")]
pub struct MetadataUnavailable;

/// Gets records once they are durable, in the order of their offsets: base offset and records.
pub type Publish = Rc<dyn Fn(i64, &Arc<Records>)>;

/// Cheap to clone; not `Send`.
#[derive(Clone)]
pub struct MetadataService(Rc<Inner>);

struct Inner {
    reactor: Reactor,
    node: NodeConfig,
    identity: Identity,
    log: RefCell<MetadataLog>,
    latest: RefCell<MetadataImage>,
    publish: RefCell<Option<Publish>>,
    /// Appended, not yet durable.
    pending: RefCell<VecDeque<Pending>>,
    durable_end_offset: Cell<i64>,
    is_syncing: Cell<bool>,
    has_failed: Cell<bool>,
    is_snapshotting: Cell<bool>,
    snapshot_begun: Cell<Instant>,
    waiters: RefCell<Vec<Waker>>,
}

struct Pending {
    base_offset: i64,
    records: Arc<Records>,
}

/// A service that has begun its epoch.
pub struct StartedMetadata {
    /// Take its [`latest`](MetadataService::latest) for the image that shards start from: all of it is durable.
    pub service: MetadataService,
    /// Bytes of a torn tail that were cut off.
    pub cut_bytes: u64,
}

impl MetadataService {
    /// Opens the log, begins the next epoch, registers this node and takes the lead of its partitions. Blocking.
    pub fn start(
        reactor: &Reactor,
        node: NodeConfig,
        identity: Identity,
        found: FoundLog,
    ) -> Result<StartedMetadata, MetadataLogError> {
        let LoadedLog { mut log, mut image, cut_bytes } = found.open()?;
        let now_ms = reactor.wall_clock_ms();
        if log.is_roll_due(&node.metadata_log, now_ms) {
            log.roll()?;
        }
        log.begin_epoch(&node, &identity, now_ms)?;
        image.skip_to(log.end_offset());
        let batches = controller::start(&image, &node, &identity, || reactor.random_u64());
        let appended = log.append(&batches, now_ms)?;
        log.sync()?;
        let mut base_offset = appended.base_offset;
        for batch in &batches {
            image.replay_all(base_offset, batch)?;
            base_offset += batch.len() as i64;
        }
        let inner = Inner {
            reactor: reactor.clone(),
            node,
            identity,
            log: RefCell::new(log),
            latest: RefCell::new(image),
            publish: RefCell::default(),
            pending: RefCell::default(),
            durable_end_offset: Cell::new(appended.end_offset),
            is_syncing: Cell::new(false),
            has_failed: Cell::new(false),
            is_snapshotting: Cell::new(false),
            snapshot_begun: Cell::new(reactor.now()),
            waiters: RefCell::default(),
        };
        let inner = Rc::new(inner);
        inner.snapshot_if_due_at_start();
        Ok(StartedMetadata { service: Self(inner), cut_bytes })
    }

    /// Who gets the durable records from now on.
    pub fn set_publish(&self, publish: Publish) {
        self.0.publish.replace(Some(publish));
    }

    /// The image with all that was decided, durable or not yet.
    pub fn latest(&self) -> Ref<'_, MetadataImage> {
        self.0.latest.borrow()
    }

    /// The epoch of this broker's registration.
    pub fn broker_epoch(&self) -> i64 {
        self.latest().broker(self.0.node.node_id).map_or(-1, |broker| broker.broker_epoch)
    }

    /// This node's place in the quorum.
    pub fn quorum(&self) -> QuorumOfOne {
        let leader_epoch = self.0.log.borrow().leader_epoch();
        QuorumOfOne { leader_epoch, directory_id: self.0.identity.directory_id }
    }

    /// The end of what is durable and published.
    pub fn durable_end_offset(&self) -> i64 {
        self.0.durable_end_offset.get()
    }

    /// Creates topics; done when they are durable and published.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Vec<Result<CreatedTopic, CreateTopicError>>, MetadataUnavailable> {
        let Inner { reactor, node, identity, latest, .. } = &*self.0;
        let random = || reactor.random_u64();
        let (results, records) = create_topics(&latest.borrow(), node, identity, topics, validate_only, random);
        self.commit(records).await?;
        Ok(results)
    }

    /// Deletes topics by id; `false` for one that is not there. Done when it is durable and published.
    pub async fn delete_topics(&self, topic_ids: &[Uuid]) -> Result<Vec<bool>, MetadataUnavailable> {
        let (deleted, records) = delete_topics(&self.0.latest.borrow(), topic_ids);
        self.commit(records).await?;
        Ok(deleted)
    }

    /// Adds partitions to topics; done when they are durable and published.
    pub async fn create_partitions(
        &self,
        topics: &[NewPartitions],
        validate_only: bool,
    ) -> Result<Vec<Result<(), CreatePartitionsError>>, MetadataUnavailable> {
        let Inner { node, identity, latest, .. } = &*self.0;
        let (results, records) = create_partitions(&latest.borrow(), node, identity, topics, validate_only);
        self.commit(records).await?;
        Ok(results)
    }

    /// Alters configs of topics and brokers; done when it is durable and published.
    pub async fn alter_configs(
        &self,
        settings: &Settings,
        request: &AlterConfigs,
    ) -> Result<Vec<Result<(), AlterConfigError>>, MetadataUnavailable> {
        let (results, records) = alter_configs(&self.0.latest.borrow(), settings, request);
        self.commit(records).await?;
        Ok(results)
    }

    /// Alters client quotas; done when it is durable and published.
    pub async fn alter_client_quotas(
        &self,
        request: &AlterClientQuotas,
    ) -> Result<Vec<Result<(), AlterQuotaError>>, MetadataUnavailable> {
        let (results, records) = alter_client_quotas(&self.0.latest.borrow(), request);
        self.commit(records).await?;
        Ok(results)
    }

    /// Changes levels of features; done when it is durable and published.
    pub async fn update_features(
        &self,
        request: &UpdateFeatures,
    ) -> Result<Result<(), UpdateFeaturesError>, MetadataUnavailable> {
        let (result, records) = update_features(&self.0.latest.borrow(), &self.0.node, request);
        self.commit(records).await?;
        Ok(result)
    }

    /// A block of producer ids that nobody got before, also after a crash.
    pub async fn allocate_producer_ids(
        &self,
    ) -> Result<Result<ProducerIdBlock, ProducerIdsExhausted>, MetadataUnavailable> {
        let allocated = controller::allocate_producer_ids(&self.0.latest.borrow(), self.0.node.node_id);
        match allocated {
            Ok((block, records)) => self.commit(records).await.map(|()| Ok(block)),
            Err(exhausted) => Ok(Err(exhausted)),
        }
    }

    /// Writes the records of a clean stop. Blocking; the service takes nothing more.
    pub fn stop(&self) -> Result<(), MetadataLogError> {
        let batches = controller::stop(&self.0.latest.borrow(), self.0.node.node_id);
        let mut log = self.0.log.borrow_mut();
        log.append(&batches, self.0.reactor.wall_clock_ms())?;
        log.sync()?;
        log.remove_left_over();
        log.fail();
        self.0.has_failed.set(true);
        Ok(())
    }

    /// Appends one batch and waits until it is durable and published. Also without records: what was decided then rests on
    /// others that may not be durable yet.
    async fn commit(&self, records: Records) -> Result<(), MetadataUnavailable> {
        let end_offset = if records.is_empty() { self.0.log.borrow().end_offset() } else { self.append(records)? };
        self.0.until_durable(end_offset).await
    }

    fn append(&self, records: Records) -> Result<i64, MetadataUnavailable> {
        let inner = &*self.0;
        if inner.has_failed.get() {
            return Err(MetadataUnavailable);
        }
        let now_ms = inner.reactor.wall_clock_ms();
        let is_roll_due = inner.log.borrow().is_roll_due(&inner.node.metadata_log, now_ms);
        if is_roll_due {
            inner.roll();
        }
        let appended = inner.log.borrow_mut().append([&records], now_ms);
        let appended = appended.map_err(|error| {
            tracing::error!("metadata: {error}");
            MetadataUnavailable
        })?;
        let replayed = inner.latest.borrow_mut().replay_all(appended.base_offset, &records);
        replayed.expect("the controller decides on the image that it replays to");
        inner.pending.borrow_mut().push_back(Pending { base_offset: appended.base_offset, records: Arc::new(records) });
        if !inner.is_syncing.replace(true) {
            inner.reactor.spawn(Rc::clone(&self.0).sync());
        }
        Ok(appended.end_offset)
    }
}

impl Inner {
    /// Syncs until nothing is left that was appended.
    async fn sync(self: Rc<Self>) {
        while !self.pending.borrow().is_empty() {
            let (file, end_offset) = {
                let log = self.log.borrow();
                (log.file().clone(), log.end_offset())
            };
            if let Err(error) = self.reactor.sync(&file).await {
                tracing::error!("metadata: sync failed, the log takes nothing more: {error}");
                self.fail();
                return;
            }
            self.publish_until(end_offset);
            self.durable_end_offset.set(end_offset);
            self.wake();
            self.snapshot_if_due();
        }
        self.is_syncing.set(false);
    }

    fn publish_until(&self, end_offset: i64) {
        loop {
            let next = {
                let mut pending = self.pending.borrow_mut();
                let is_durable = pending.front().is_some_and(|next| next.base_offset < end_offset);
                if is_durable { pending.pop_front() } else { None }
            };
            let Some(Pending { base_offset, records }) = next else { return };
            let publish = self.publish.borrow().clone();
            if let Some(publish) = publish {
                publish(base_offset, &records);
            }
        }
    }

    async fn until_durable(self: &Rc<Self>, end_offset: i64) -> Result<(), MetadataUnavailable> {
        std::future::poll_fn(|context| {
            if self.durable_end_offset.get() >= end_offset {
                Poll::Ready(Ok(()))
            } else if self.has_failed.get() {
                Poll::Ready(Err(MetadataUnavailable))
            } else {
                self.waiters.borrow_mut().push(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }

    /// Goes on in a new segment, if nothing is under way; later, if there is.
    fn roll(&self) {
        let mut log = self.log.borrow_mut();
        if self.durable_end_offset.get() < log.end_offset() {
            return;
        }
        if let Err(error) = log.roll() {
            tracing::error!("metadata: no new segment: {error}");
        }
        if log.has_failed() {
            drop(log);
            self.fail();
        }
    }

    fn fail(&self) {
        self.log.borrow_mut().fail();
        self.has_failed.set(true);
        self.wake();
    }

    fn wake(&self) {
        self.waiters.take().into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use ahash::AHashSet;
    use ringlog_core::reactor::Disk;
    use ringlog_core::reactor::sim::{Crash, DiskCall, DiskFault, SimConfig, SimWorld};

    use super::super::controller::tests::{identity, node};
    use super::super::directory::DataDirectory;
    use super::super::placement::owner_shard;
    use super::*;

    pub(super) const MINUTE: Duration = Duration::from_secs(60);

    fn start(world: &SimWorld) -> (Reactor, MetadataService) {
        start_with(world, node())
    }

    pub(super) fn start_with(world: &SimWorld, node: NodeConfig) -> (Reactor, MetadataService) {
        let reactor = world.reactor(0, 0);
        let disk: Rc<dyn Disk> = reactor.disk();
        let directory = DataDirectory::lock(&disk, Path::new("/data")).unwrap();
        let found = MetadataLog::find(&disk, directory.path()).unwrap();
        let service = MetadataService::start(&reactor, node, identity(), found).unwrap().service;
        (reactor, service)
    }

    pub(super) fn topic(name: String) -> NewTopic {
        NewTopic { name, num_partitions: 2, replication_factor: -1, ..NewTopic::default() }
    }

    /// Starts many creations at once; answered names go to `answered`.
    pub(super) fn create_many(
        reactor: &Reactor,
        service: &MetadataService,
        run: u32,
        answered: &Rc<RefCell<Vec<String>>>,
    ) {
        for index in 0..20 {
            let (service, answered, reactor2) = (service.clone(), Rc::clone(answered), reactor.clone());
            reactor.spawn(async move {
                reactor2.sleep(Duration::from_micros(300 * index)).await;
                let name = format!("t{run}-{index}");
                if service.create_topics(&[topic(name.clone())], false).await.is_ok() {
                    answered.borrow_mut().push(name);
                }
            });
        }
    }

    #[test]
    fn what_was_answered_survives_a_power_cut() {
        for seed in 0..40 {
            let world = SimWorld::new(seed, SimConfig::default());
            let answered: Rc<RefCell<Vec<String>>> = Rc::default();
            for run in 0..3 {
                let (reactor, service) = start(&world);
                for name in &*answered.borrow() {
                    assert!(service.latest().topic_by_name(name).is_some(), "{name} is lost (seed {seed})");
                }
                create_many(&reactor, &service, run, &answered);
                world.run_for(Duration::from_micros(1_000 + seed * 150));
                drop(service);
                world.crash(0, Crash::Power);
            }
            assert!(!answered.borrow().is_empty() || seed < 10, "nothing was ever answered (seed {seed})");
        }
    }

    #[test]
    fn shards_that_replay_what_is_published_have_the_same_image() {
        let world = SimWorld::new(7, SimConfig::default());
        let (reactor, service) = start(&world);
        let shard = Rc::new(RefCell::new(service.latest().clone()));
        let replaying = Rc::clone(&shard);
        service.set_publish(Rc::new(move |base_offset, records: &Arc<Records>| {
            replaying.borrow_mut().replay_all(base_offset, records).unwrap();
        }));
        let answered = Rc::default();
        create_many(&reactor, &service, 0, &answered);
        assert!(world.run_until(MINUTE, || answered.borrow().len() == 20));
        let id = service.latest().topic_by_name("t0-3").unwrap().topic_id;
        let (deleting, seen) = (service.clone(), Rc::clone(&shard));
        let deleted = world.block_on(&reactor, MINUTE, async move {
            let deleted = deleting.delete_topics(&[id, id, Uuid::nil()]).await;
            assert!(seen.borrow().topic(&id).is_none(), "published before it is answered");
            deleted
        });
        assert_eq!(deleted, Ok(vec![true, false, false]));
        let allocating = service.clone();
        let blocks = world.block_on(&reactor, MINUTE, async move {
            [allocating.allocate_producer_ids().await, allocating.allocate_producer_ids().await]
        });
        assert_eq!(blocks.map(|block| block.unwrap().unwrap().first), [0, 1_000]);
        assert_eq!(*shard.borrow(), *service.latest());
        let owners: AHashSet<u16> = (0..2).map(|partition| owner_shard(id, partition, 2)).collect();
        assert_eq!(owners.len(), 2);
    }

    #[test]
    fn after_a_failed_sync_nothing_is_answered_with_success() {
        let world = SimWorld::new(3, SimConfig::default());
        let (reactor, service) = start(&world);
        world.disk(0).inject(DiskFault::eio("__cluster_metadata-0", DiskCall::Sync));
        // The last one is there already, which is not durable.
        for name in ["a", "b", "a"] {
            let creating = service.clone();
            let topic = topic(name.to_owned());
            let result = world.block_on(&reactor, MINUTE, async move { creating.create_topics(&[topic], false).await });
            assert_eq!(result, Err(MetadataUnavailable));
        }
    }

    #[test]
    fn a_full_disk_is_told_and_passes() {
        let world = SimWorld::new(4, SimConfig::default());
        let (reactor, service) = start(&world);
        // More than what is left of the last page.
        let topic = |name: String| NewTopic { num_partitions: 200, ..topic(name) };
        let create = |name: &str| {
            let (creating, topic) = (service.clone(), topic(name.to_owned()));
            world.block_on(&reactor, MINUTE, async move { creating.create_topics(&[topic], false).await })
        };
        create("before").unwrap()[0].as_ref().unwrap();
        world.disk(0).set_capacity(Some(0));
        assert_eq!(create("full"), Err(MetadataUnavailable));
        world.disk(0).set_capacity(None);
        create("after").unwrap()[0].as_ref().unwrap();
        let names: Vec<String> = service.latest().topics().map(|topic| topic.name.to_string()).collect();
        assert_eq!(names, ["after", "before"]);
    }

    #[test]
    fn a_clean_stop_leaves_no_leader_and_takes_nothing_more() {
        let world = SimWorld::new(5, SimConfig::default());
        let (reactor, service) = start(&world);
        let creating = service.clone();
        world
            .block_on(&reactor, MINUTE, async move { creating.create_topics(&[topic("t".to_owned())], false).await })
            .unwrap();
        service.stop().unwrap();
        let late = service.clone();
        let result =
            world.block_on(&reactor, MINUTE, async move { late.create_topics(&[topic("u".to_owned())], false).await });
        assert_eq!(result, Err(MetadataUnavailable));
        drop((service, reactor));
        world.crash(0, Crash::Power);
        let (_, service) = start(&world);
        let image = service.latest();
        assert_eq!(image.topic_by_name("t").unwrap().partitions[1].leader_epoch, 2);
        assert!(image.topic_by_name("u").is_none());
        assert_eq!(service.quorum().leader_epoch, 2);
    }
}
