//! The metadata log: `__cluster_metadata-0/`, its segments, snapshots and small files.
//!
//! Loading blocks (start-up). Appending hands bytes to the page cache; the caller syncs [`MetadataLog::file`] before
//! anything that depends on them is answered.
//!
//! Invariants:
//! - Offsets are dense: each append starts where the last one ended, and so does each segment.
//! - What is on disk behind the last whole batch is cut off at loading, unless batches of a later epoch follow, or a
//!   snapshot holds them: those were written after a sync, so the damage in front of them is corruption and is refused.
//! - A segment is left for the next one only when all of it is durable, so only the last one can be torn.
//! - After a failed write nothing is appended any more; a full disk is not counted as one.
//! - What an earlier process appended last is written again before anything follows it: if its sync had failed, the page
//!   cache shows it, calls it clean, and the device does not have it.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_core::log::{LEADER_EPOCH_FILE, LeaderEpochCache, PARTITION_METADATA_FILE};
use ringlog_core::reactor::{Disk, File, OpenMode, put_file, read_file};

use super::control::{self, ControlRecord, QuorumRecords};
use super::directory::METADATA_FOLDER;
use super::image::MetadataImage;
use super::node::{Identity, NodeConfig};
use super::quorum_state::{QUORUM_STATE, quorum_state};
use super::records::Records;
use crate::config::MetadataLogConfig;

mod batches;
mod error;
mod files;
mod loading;
#[cfg(test)]
mod snapshot_tests;
mod snapshots;

pub(super) use batches::whole_batch;
pub use error::MetadataLogError;
pub(super) use files::SnapshotId;
use files::{Segment, Snapshot, segment_name};
pub use loading::FoundLog;
use loading::Loading;
pub(super) use snapshots::SnapshotPlan;

const PARTITION_METADATA: &[u8] = b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ";

/// The log, open at its end.
#[derive(Debug)]
pub struct MetadataLog {
    disk: Rc<dyn Disk>,
    folder: PathBuf,
    /// Segments that are left, oldest first.
    rolled: Vec<Segment>,
    /// Oldest first.
    snapshots: Vec<Snapshot>,
    /// The last segment.
    file: File,
    base_offset: i64,
    position: u64,
    /// Of the first record in the last segment.
    first_timestamp: Option<i64>,
    end_offset: i64,
    /// Of the last record.
    last_timestamp: i64,
    bytes_since_snapshot: u64,
    leader_epoch: i32,
    epochs: LeaderEpochCache,
    quorum: QuorumRecords,
    has_failed: bool,
}

/// A log that is open.
#[derive(Debug)]
pub struct LoadedLog {
    /// Open at its end.
    pub log: MetadataLog,
    /// What its records say.
    pub image: MetadataImage,
    /// Bytes behind the last whole batch that were cut off.
    pub cut_bytes: u64,
}

/// Where appended records went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendedMetadata {
    /// Of the first record.
    pub base_offset: i64,
    /// Exclusive.
    pub end_offset: i64,
}

impl MetadataLog {
    /// Reads the log of a data directory; an empty one where there is none. Blocking.
    pub fn find(disk: &Rc<dyn Disk>, log_dir: &Path) -> Result<FoundLog, MetadataLogError> {
        Loading::new(disk, log_dir.join(METADATA_FOLDER)).run()
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that is to be synced after appends.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The offset of the next record.
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// The epoch that this node leads.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// Begins the next epoch: quorum-state, the leader epochs, the control batch. Blocking and synced: of two batches that
    /// are not, a power cut may leave the second, and a later epoch behind a gap is damage to who loads the log.
    ///
    /// Whichever of them a power cut leaves alone, the next start goes on behind the largest epoch that it finds, as
    /// Kafka's does, and both leave out leader epochs behind the log's end.
    pub fn begin_epoch(&mut self, node: &NodeConfig, identity: &Identity, now_ms: i64) -> Result<(), MetadataLogError> {
        self.leader_epoch += 1;
        self.epochs.assign(self.leader_epoch, self.end_offset);
        self.epochs.truncate_from_start(self.start_offset());
        self.replace_all(&[
            (PARTITION_METADATA_FILE, PARTITION_METADATA),
            (QUORUM_STATE, quorum_state(node, self.leader_epoch).as_bytes()),
            (LEADER_EPOCH_FILE, self.epochs.encode().as_bytes()),
        ])?;
        let mut records = vec![control::leader_change(node.node_id)];
        if self.end_offset == 0 && !node.is_static_quorum {
            records.extend([control::kraft_version(), control::voters(node, identity.directory_id)]);
        }
        self.append_control(records, now_ms)?;
        self.sync()
    }

    fn append_control(&mut self, records: Vec<ControlRecord>, now_ms: i64) -> Result<(), MetadataLogError> {
        let bytes = control::control_batch(self.end_offset, self.leader_epoch, now_ms, &records);
        self.append_bytes(&bytes, records.len(), now_ms)?;
        records.into_iter().for_each(|record| self.quorum.take(record));
        Ok(())
    }

    /// Appends the batches with one write; none of them is empty. Not yet durable.
    pub fn append<'a>(
        &mut self,
        batches: impl IntoIterator<Item = &'a Records>,
        now_ms: i64,
    ) -> Result<AppendedMetadata, MetadataLogError> {
        let base_offset = self.end_offset;
        let (mut bytes, mut count) = (Vec::new(), 0);
        for records in batches {
            bytes.extend(control::record_batch(base_offset + count as i64, self.leader_epoch, now_ms, records));
            count += records.len();
        }
        self.append_bytes(&bytes, count, now_ms)?;
        Ok(AppendedMetadata { base_offset, end_offset: self.end_offset })
    }

    fn append_bytes(&mut self, bytes: &[u8], count: usize, now_ms: i64) -> Result<(), MetadataLogError> {
        if self.has_failed {
            return Err(MetadataLogError::Failed);
        }
        if let Err(source) = self.file.write_all_at(self.position, bytes) {
            // A full disk is no damage: what was written of it goes away, and later appends are welcome.
            let is_full = source.kind() == io::ErrorKind::StorageFull;
            self.has_failed = !is_full || self.file.set_len(self.position).is_err();
            return Err(MetadataLogError::Io { path: self.folder.clone(), source });
        }
        self.position += bytes.len() as u64;
        self.end_offset += count as i64;
        self.bytes_since_snapshot += bytes.len() as u64;
        self.first_timestamp.get_or_insert(now_ms);
        self.last_timestamp = now_ms;
        Ok(())
    }

    /// Whether the last segment is large or old enough to be left.
    pub fn is_roll_due(&self, config: &MetadataLogConfig, now_ms: i64) -> bool {
        let is_old = self.first_timestamp.is_some_and(|first| now_ms.saturating_sub(first) > config.segment_ms);
        self.position >= config.segment_bytes || is_old
    }

    /// Goes on in a new segment, if there is anything in this one. All of it is durable already. Blocking, but short.
    pub fn roll(&mut self) -> Result<(), MetadataLogError> {
        if self.position == 0 {
            return Ok(());
        }
        if self.has_failed {
            return Err(MetadataLogError::Failed);
        }
        let path = self.folder.join(segment_name(self.end_offset));
        // Without the new file this one goes on.
        let file = File::open(&self.disk, &path, OpenMode::REWRITE)
            .map_err(|source| MetadataLogError::Io { path: path.clone(), source })?;
        self.disk.sync_dir(&self.folder).map_err(|source| {
            self.has_failed = true;
            MetadataLogError::Io { path, source }
        })?;
        self.rolled.push(Segment { base_offset: self.base_offset, size_bytes: self.position });
        (self.file, self.base_offset, self.position, self.first_timestamp) = (file, self.end_offset, 0, None);
        Ok(())
    }

    /// Whether it has failed: it takes nothing more.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Remembers that a sync failed: what was appended since the last one may be lost.
    pub fn fail(&mut self) {
        self.has_failed = true;
    }

    /// Makes all appends durable. Blocking: for start and stop.
    pub fn sync(&mut self) -> Result<(), MetadataLogError> {
        self.file.sync().map_err(|source| {
            self.has_failed = true;
            MetadataLogError::Io { path: self.folder.clone(), source }
        })
    }

    /// Replaces small files of the folder, durably. One that holds its bytes stays.
    fn replace_all(&self, files: &[(&str, &[u8])]) -> Result<(), MetadataLogError> {
        for (name, bytes) in files {
            let path = self.folder.join(name);
            if read_file(&self.disk, &path).is_ok_and(|held| held == *bytes) {
                continue;
            }
            put_file(&self.disk, &path, [*bytes]).map_err(|source| MetadataLogError::Io { path, source })?;
        }
        let folder = &self.folder;
        self.disk.sync_dir(folder).map_err(|source| MetadataLogError::Io { path: folder.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use ringlog_core::reactor::FsDisk;
    use ringlog_core::reactor::sim::{Crash, SimDisk};
    use ringlog_core::record::Batches;

    use super::super::controller;
    use super::super::controller::tests::{identity, node, random};
    use super::super::create_topics::{NewTopic, create_topics};
    use super::super::delete_topics::delete_topics;
    use super::*;

    const GOLDEN: &[u8] = include_bytes!("../../tests/golden/cluster_metadata.log");

    pub(super) fn disk() -> Rc<dyn Disk> {
        Rc::new(FsDisk)
    }

    pub(super) fn load(log_dir: &Path) -> Result<LoadedLog, MetadataLogError> {
        MetadataLog::find(&disk(), log_dir)?.open()
    }

    /// A log with its live image, as a controller keeps it.
    pub(super) struct Live {
        pub(super) log: MetadataLog,
        pub(super) image: MetadataImage,
    }

    impl Live {
        pub(super) fn start(log_dir: &Path, seed: u64) -> Self {
            let LoadedLog { mut log, mut image, .. } = load(log_dir).unwrap();
            log.begin_epoch(&node(), &identity(), 5).unwrap();
            image.skip_to(log.end_offset());
            let batches = controller::start(&image, &node(), &identity(), random(seed));
            let mut live = Self { log, image };
            batches.iter().for_each(|batch| live.append(batch));
            live
        }

        fn append(&mut self, records: &Records) {
            let appended = self.log.append([records], 6).unwrap();
            self.image.replay_all(appended.base_offset, records).unwrap();
            assert_eq!(self.image.end_offset(), appended.end_offset);
        }

        pub(super) fn create(&mut self, name: &str, partitions: i32) {
            let topic = NewTopic {
                name: name.to_owned(),
                num_partitions: partitions,
                replication_factor: -1,
                ..NewTopic::default()
            };
            let seed = self.log.end_offset() as u64;
            let (_, records) = create_topics(&self.image, &node(), &identity(), &[topic], false, random(seed));
            if !records.is_empty() {
                self.append(&records);
            }
        }

        fn delete(&mut self, name: &str) {
            if let Some(topic) = self.image.topic_by_name(name) {
                let (_, records) = delete_topics(&self.image, &[topic.topic_id]);
                self.append(&records);
            }
        }

        pub(super) fn stop(mut self) {
            let batches = controller::stop(&self.image, 1);
            batches.iter().for_each(|batch| self.append(batch));
            self.log.sync().unwrap();
        }
    }

    fn segment(log_dir: &Path) -> PathBuf {
        log_dir.join(METADATA_FOLDER).join("00000000000000000000.log")
    }

    #[test]
    fn a_power_cut_behind_the_first_batch_of_an_epoch_is_no_damage() {
        for seed in 0..64 {
            let sim = SimDisk::new(seed);
            let disk: Rc<dyn Disk> = Rc::clone(&sim) as _;
            let log_dir = Path::new("/data");
            disk.create_dir_all(log_dir).unwrap();
            for life in 0..3 {
                let LoadedLog { mut log, image, .. } = MetadataLog::find(&disk, log_dir).unwrap().open().unwrap();
                disk.sync_all(log_dir).unwrap();
                log.begin_epoch(&node(), &identity(), 5).unwrap();
                assert_eq!(log.leader_epoch(), life + 1, "seed {seed}: each epoch is on the disk before its records");
                log.append(&controller::start(&image, &node(), &identity(), random(seed)), 6).unwrap();
                sim.crash(Crash::Power);
            }
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(10))]
        #[test]
        fn random_histories_survive_reopening(steps in proptest::collection::vec((0u8..10, 0u8..6, 1i32..5), 1..40)) {
            let folder = tempfile::tempdir().unwrap();
            let mut live = Live::start(folder.path(), 1);
            for (what, name, partitions) in steps {
                match what {
                    0..5 => live.create(&format!("t{name}"), partitions),
                    5..8 => live.delete(&format!("t{name}")),
                    8 => {
                        live.stop();
                        live = Live::start(folder.path(), 2);
                    }
                    _ => {
                        let epoch = live.log.leader_epoch();
                        let before = live.image.clone();
                        drop(live);
                        let loaded = load(folder.path()).unwrap();
                        proptest::prop_assert_eq!(&loaded.image, &before, "replay order equals live order");
                        live = Live::start(folder.path(), 3);
                        proptest::prop_assert_eq!(live.log.leader_epoch(), epoch + 1);
                    }
                }
            }
            let loaded = load(folder.path()).unwrap();
            proptest::prop_assert_eq!(loaded.image, live.image);
        }
    }

    #[test]
    fn a_damaged_tail_is_cut_to_the_last_whole_batch() {
        let folder = tempfile::tempdir().unwrap();
        let mut live = Live::start(folder.path(), 1);
        live.create("kept", 3);
        let (kept, kept_bytes) = (live.image.clone(), std::fs::read(segment(folder.path())).unwrap().len());
        live.create("torn", 3);
        let whole = std::fs::read(segment(folder.path())).unwrap();
        drop(live);
        for len in [kept_bytes, kept_bytes + 1, kept_bytes + 60, kept_bytes + 61, whole.len() - 1] {
            std::fs::write(segment(folder.path()), &whole[..len]).unwrap();
            let loaded = load(folder.path()).unwrap();
            assert_eq!(loaded.image, kept);
            assert_eq!(loaded.cut_bytes as usize, len - kept_bytes);
            assert_eq!(std::fs::read(segment(folder.path())).unwrap().len(), kept_bytes);
        }
        let zeros = [&whole[..kept_bytes], &[0; 4096]].concat();
        std::fs::write(segment(folder.path()), zeros).unwrap();
        assert_eq!(load(folder.path()).unwrap().cut_bytes, 4096);
    }

    #[test]
    fn damage_in_front_of_a_later_epoch_is_refused_and_nothing_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let mut live = Live::start(folder.path(), 1);
        live.create("t", 3);
        let position = std::fs::read(segment(folder.path())).unwrap().len() - 5;
        live.stop();
        drop(Live::start(folder.path(), 2));
        let mut bytes = std::fs::read(segment(folder.path())).unwrap();
        bytes[position] ^= 1;
        std::fs::write(segment(folder.path()), &bytes).unwrap();
        let error = load(folder.path()).unwrap_err();
        assert!(matches!(error, MetadataLogError::Corrupt { .. }), "{error}");
        assert_eq!(std::fs::read(segment(folder.path())).unwrap(), bytes);
    }

    #[test]
    fn a_log_of_kafka_is_loaded_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(METADATA_FOLDER)).unwrap();
        std::fs::write(segment(folder.path()), GOLDEN).unwrap();
        let live = Live::start(folder.path(), 1);
        assert_eq!(live.log.leader_epoch(), 2);
        let offsets = live.image.topic_by_name("__consumer_offsets").unwrap();
        assert_eq!((offsets.partitions[7].leader, offsets.partitions[7].leader_epoch), (1, 2));
        let bytes = std::fs::read(segment(folder.path())).unwrap();
        assert_eq!(&bytes[..GOLDEN.len()], GOLDEN);
        let first_new = Batches::new(&bytes[GOLDEN.len()..]).next().unwrap();
        assert!(first_new.is_control() && first_new.base_offset() == 300 && first_new.leader_epoch() == 2);
        let read = |name: &str| std::fs::read_to_string(folder.path().join(METADATA_FOLDER).join(name)).unwrap();
        assert_eq!(read("leader-epoch-checkpoint"), "0\n2\n1 0\n2 300\n");
        assert!(read(QUORUM_STATE).contains("\"leaderEpoch\":2"));
        assert_eq!(read("partition.metadata").len(), 43);
    }

    #[test]
    fn a_damaged_quorum_state_is_refused_and_a_higher_epoch_in_it_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(METADATA_FOLDER).join(QUORUM_STATE);
        drop(Live::start(folder.path(), 1));
        std::fs::write(&path, quorum_state(&node(), 9)).unwrap();
        assert_eq!(Live::start(folder.path(), 2).log.leader_epoch(), 10);
        std::fs::write(&path, "nonsense").unwrap();
        assert!(matches!(load(folder.path()), Err(MetadataLogError::QuorumState(_))));
    }
}
