//! Snapshots of the metadata, written in the background while the service goes on.
//!
//! Invariants:
//! - One at a time. It is of one instant: the image is cloned (topics are shared until they change) when it begins.
//! - It takes its place when it is durable, and so are all the records that it holds. Only then may segments go.
//! - One that fails is told and forgotten; the log holds all that it would have held.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use ringlog_core::reactor::{File, OpenMode};
use ringlog_core::record::BatchBuilder;

use super::super::control;
use super::super::controller::records_for;
use super::super::image::MetadataImage;
use super::super::log::SnapshotPlan;
use super::super::records::encode;
use super::Inner;

/// Bytes of records that are encoded and written in one go; others of the shard have their turn in between.
const BATCH_BYTES: usize = 64 << 10;

impl Inner {
    /// Begins a snapshot when there is enough that none holds, or the last one is long ago.
    pub(super) fn snapshot_if_due(self: &Rc<Self>) {
        let config = &self.node.metadata_log;
        let bytes = self.log.borrow().bytes_since_snapshot();
        let since = Duration::from_nanos(self.reactor.now().0 - self.snapshot_begun.get().0);
        let is_late = config.snapshot_interval.is_some_and(|interval| since >= interval);
        if bytes >= config.record_bytes_between_snapshots || (is_late && bytes > 0) {
            self.begin_snapshot();
        }
    }

    /// Begins a snapshot when this start had much more to replay than there is.
    pub(super) fn snapshot_if_due_at_start(self: &Rc<Self>) {
        if self.log.borrow().is_snapshot_due_at_start() {
            self.begin_snapshot();
        }
    }

    fn begin_snapshot(self: &Rc<Self>) {
        // Inside of a metadata transaction there is no state to be written.
        if self.has_failed.get() || self.latest.borrow().is_in_transaction() || self.is_snapshotting.replace(true) {
            return;
        }
        self.snapshot_begun.set(self.reactor.now());
        // So that the snapshot holds all that is left behind.
        self.roll();
        let plan = self.log.borrow_mut().begin_snapshot(self.reactor.wall_clock_ms());
        let image = self.latest.borrow().clone();
        assert_eq!(image.end_offset(), plan.id.end_offset, "the latest image is that of the log's end");
        let inner = Rc::clone(self);
        self.reactor.spawn(async move {
            let name = plan.id.file_name();
            match inner.snapshot(&plan, &image).await {
                Ok(size_bytes) => tracing::info!(name, size_bytes, "the metadata has a new snapshot"),
                Err(error) => tracing::error!(name, %error, "no snapshot of the metadata could be written"),
            }
            inner.is_snapshotting.set(false);
        });
    }

    async fn snapshot(self: &Rc<Self>, plan: &SnapshotPlan, image: &MetadataImage) -> io::Result<u64> {
        let written = self.write_snapshot(plan, image).await;
        let is_log_durable = self.until_durable(plan.id.end_offset).await.is_ok();
        let now_ms = self.reactor.wall_clock_ms();
        let mut log = self.log.borrow_mut();
        let finished = written.and_then(|size_bytes| match is_log_durable {
            true => log.finish_snapshot(plan, size_bytes).map(|()| size_bytes),
            false => Err(io::Error::other("the log has failed")),
        });
        if finished.is_err() {
            log.remove_left_over();
        } else if let Err(error) = log.clean(&self.node.metadata_log, now_ms) {
            tracing::warn!(%error, "old files of the metadata stay");
        }
        finished
    }

    /// Writes a snapshot beside the log, under the name of one that is not finished, and syncs it. Returns its size.
    async fn write_snapshot(&self, plan: &SnapshotPlan, image: &MetadataImage) -> io::Result<u64> {
        let (leader_epoch, now_ms) = (plan.id.leader_epoch, self.reactor.wall_clock_ms());
        let (header, mut offset) = plan.header.clone();
        let mut file = PartFile { file: self.open_part(plan)?, position: 0 };
        file.write(&header)?;
        let level = records_for(image).metadata_version();
        let begin = |offset| BatchBuilder::new().at(offset, leader_epoch);
        let mut batch = begin(offset);
        for record in image.records() {
            batch.push(control::metadata_record(now_ms, &encode(&record, record.version_at(level))));
            offset += 1;
            if batch.size_bytes() >= BATCH_BYTES {
                file.write(&std::mem::replace(&mut batch, begin(offset)).build())?;
                self.reactor.yield_now().await;
            }
        }
        if batch.count() > 0 {
            file.write(&batch.build())?;
        }
        file.write(&control::control_batch(offset, leader_epoch, now_ms, &[control::snapshot_footer()]))?;
        self.reactor.sync(&file.file).await?;
        Ok(file.position)
    }

    fn open_part(&self, plan: &SnapshotPlan) -> io::Result<File> {
        let path: PathBuf = self.log.borrow().folder().join(plan.id.part_name());
        File::open(&self.reactor.disk(), &path, OpenMode::REWRITE)
    }
}

/// A file that is written from its beginning.
struct PartFile {
    file: File,
    position: u64,
}

impl PartFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(self.position, bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::path::Path;

    use ringlog_core::reactor::Reactor;
    use ringlog_core::reactor::sim::{Crash, DiskCall, DiskFault, SimConfig, SimWorld};

    use super::super::super::controller::tests::node;
    use super::super::super::create_topics::NewTopic;
    use super::super::super::node::NodeConfig;
    use super::super::MetadataService;
    use super::super::tests::{MINUTE, create_many, start_with, topic};
    use super::*;
    use crate::config::MetadataLogConfig;

    /// Snapshots all the time, and little is kept.
    fn often() -> NodeConfig {
        let metadata_log = MetadataLogConfig {
            record_bytes_between_snapshots: 1000,
            retention_bytes: Some(5000),
            ..MetadataLogConfig::default()
        };
        NodeConfig { metadata_log, ..node() }
    }

    fn files(reactor: &Reactor, ending: &str) -> Vec<String> {
        let entries = reactor.disk().list_dir(Path::new("/data/__cluster_metadata-0")).unwrap();
        entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(ending)).collect()
    }

    fn create(world: &SimWorld, reactor: &Reactor, service: &MetadataService, name: &str) {
        let (creating, topic) = (service.clone(), topic(name.to_owned()));
        let created = world.block_on(reactor, MINUTE, async move { creating.create_topics(&[topic], false).await });
        created.unwrap()[0].as_ref().unwrap();
    }

    #[test]
    fn nothing_is_lost_to_a_power_cut_while_snapshots_are_written_and_segments_go() {
        let mut begins_behind_0 = 0;
        for seed in 0..60 {
            let world = SimWorld::new(seed, SimConfig::default());
            let answered: Rc<RefCell<Vec<String>>> = Rc::default();
            for run in 0..5 {
                let (reactor, service) = start_with(&world, often());
                for name in &*answered.borrow() {
                    assert!(service.latest().topic_by_name(name).is_some(), "{name} is lost (seed {seed})");
                }
                begins_behind_0 +=
                    usize::from(!files(&reactor, ".log").contains(&"00000000000000000000.log".to_owned()));
                create_many(&reactor, &service, run, &answered);
                world.run_for(Duration::from_micros(3_000 + seed * 150));
                drop(service);
                world.crash(0, Crash::Power);
            }
        }
        assert!(begins_behind_0 > 60, "{begins_behind_0}");
    }

    #[test]
    fn a_start_from_a_snapshot_has_the_image_of_the_log() {
        let world = SimWorld::new(5, SimConfig::default());
        let (reactor, service) = start_with(&world, often());
        let answered = Rc::default();
        create_many(&reactor, &service, 0, &answered);
        assert!(world.run_until(MINUTE, || answered.borrow().len() == 20));
        world.run_for(MINUTE);
        let (image, leader_epoch) = (service.latest().clone(), service.quorum().leader_epoch);
        assert_eq!(files(&reactor, ".part"), [""; 0]);
        let snapshots = files(&reactor, ".checkpoint");
        assert!(snapshots.len() < 4, "{snapshots:?}");
        service.stop().unwrap();
        drop((service, reactor));
        world.crash(0, Crash::Power);
        let (_, service) = start_with(&world, often());
        let latest = service.latest();
        assert_eq!(service.quorum().leader_epoch, leader_epoch + 1);
        for topic in image.topics() {
            let now = latest.topic(&topic.topic_id).unwrap();
            assert_eq!((&now.name, now.partitions.len()), (&topic.name, topic.partitions.len()));
            assert_eq!(now.partitions[1].leader_epoch, topic.partitions[1].leader_epoch + 2);
        }
        assert_eq!(latest.topics_count(), image.topics_count());
    }

    #[test]
    fn time_alone_brings_one_with_the_next_record_and_none_where_it_is_off() {
        for (interval, count) in [(Some(MINUTE), 1), (None, 0)] {
            let world = SimWorld::new(6, SimConfig::default());
            let metadata_log = MetadataLogConfig { snapshot_interval: interval, ..MetadataLogConfig::default() };
            let (reactor, service) = start_with(&world, NodeConfig { metadata_log, ..node() });
            create(&world, &reactor, &service, "early");
            assert_eq!(files(&reactor, ".checkpoint").len(), 0);
            world.run_for(2 * MINUTE);
            create(&world, &reactor, &service, "late");
            world.run_for(MINUTE);
            assert_eq!(files(&reactor, ".checkpoint").len(), count);
        }
    }

    #[test]
    fn one_that_cannot_be_written_leaves_nothing_behind_and_the_service_goes_on() {
        for (call, name) in [(DiskCall::Sync, ".checkpoint.part"), (DiskCall::Rename, ".checkpoint")] {
            let world = SimWorld::new(8, SimConfig::default());
            let (reactor, service) = start_with(&world, often());
            world.disk(0).inject(DiskFault::eio(name, call));
            for index in 0..20 {
                create(&world, &reactor, &service, &format!("t{index}"));
                world.run_for(MINUTE);
            }
            assert_eq!(files(&reactor, ".part"), [""; 0]);
            assert_eq!(service.latest().topics_count(), 20);
            assert!(!files(&reactor, ".checkpoint").is_empty(), "the next one is written");
        }
    }

    #[test]
    fn one_that_holds_what_is_not_durable_gets_no_name() {
        let world = SimWorld::new(10, SimConfig::default());
        let (reactor, service) = start_with(&world, often());
        world.disk(0).inject(DiskFault::eio(".log", DiskCall::Sync).after(1));
        let wide = |name: &str| NewTopic { num_partitions: 100, ..topic(name.to_owned()) };
        let results: Rc<RefCell<Vec<bool>>> = Rc::default();
        // The second is appended while the first is synced.
        for (after_us, topics) in [(0, [wide("durable")]), (30, [wide("not-durable")])] {
            let (creating, results, reactor2) = (service.clone(), Rc::clone(&results), reactor.clone());
            reactor.spawn(async move {
                reactor2.sleep(Duration::from_micros(after_us)).await;
                let created = creating.create_topics(&topics, false).await;
                results.borrow_mut().push(created.is_ok());
            });
        }
        world.run_for(MINUTE);
        assert_eq!(*results.borrow(), [true, false]);
        assert_eq!((files(&reactor, ".checkpoint").len(), files(&reactor, ".part").len()), (0, 0));
    }

    #[test]
    fn a_start_that_had_much_to_replay_writes_one() {
        let world = SimWorld::new(9, SimConfig::default());
        let (reactor, service) = start_with(&world, node());
        let (creating, wide) = (service.clone(), NewTopic { num_partitions: 9000, ..topic("wide".to_owned()) });
        world.block_on(&reactor, MINUTE, async move { creating.create_topics(&[wide], false).await }).unwrap();
        service.stop().unwrap();
        drop((service, reactor));
        world.crash(0, Crash::Power);
        let mut sizes = Vec::new();
        for _ in 0..6 {
            let (reactor, service) = start_with(&world, node());
            world.run_for(MINUTE);
            sizes.push((files(&reactor, ".checkpoint").len(), service.0.log.borrow().bytes_since_snapshot()));
            service.stop().unwrap();
            drop((service, reactor));
            world.crash(0, Crash::Power);
        }
        assert_eq!(sizes[0], (1, 0));
        assert!(sizes.iter().all(|(_, replayed)| *replayed < 5 << 20), "{sizes:?}");
        assert!(sizes[5].0 > 1, "{sizes:?}");
    }
}
