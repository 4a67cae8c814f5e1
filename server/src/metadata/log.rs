//! The metadata log: `__cluster_metadata-0/`, its segment, checkpoints and small files.
//!
//! Loading blocks (start-up). Appending hands bytes to the page cache; the caller syncs [`MetadataLog::file`] before
//! anything that depends on them is answered.
//!
//! Invariants:
//! - Offsets are dense: each append starts where the last one ended.
//! - What is on disk behind the last whole batch is cut off at loading, unless batches of a later epoch follow: those
//!   were written after a sync, so the damage in front of them is corruption and is refused.
//! - After a failed write nothing is appended any more; a full disk is not counted as one.
//! - What an earlier process appended last is written again before anything follows it: if its sync had failed, the page
//!   cache shows it, calls it clean, and the device does not have it.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringlog_core::protocol::metadata::MetadataRecord;
use ringlog_core::reactor::{Disk, File, OpenMode, read_file, replace_file};
use ringlog_core::record::{BatchParseError, BatchView};
use ringlog_core::wire::DecodeError;

use super::control::{self, ControlRecord};
use super::directory::METADATA_FOLDER;
use super::image::{MetadataImage, ReplayError};
use super::node::{Identity, NodeConfig};
use super::quorum_state::{QUORUM_STATE, QuorumState, quorum_state};
use super::records::Records;

const PARTITION_METADATA: &[u8] = b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ";

/// Why the metadata log cannot be loaded or written.
#[derive(Debug, thiserror::Error)]
pub enum MetadataLogError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Damage in front of data that was synced later.
    #[error("{}: damaged at byte {position}, in front of later batches; nothing was cut off", path.display())]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// Where.
        position: u64,
    },
    /// A record that cannot be read.
    #[error("metadata offset {offset}: {source}")]
    Record {
        /// Its offset.
        offset: i64,
        /// Why.
        source: DecodeError,
    },
    /// A record that does not fit the state.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A compressed batch, which Kafka never writes here.
    #[error("metadata offset {0}: a compressed batch")]
    Compressed(i64),
    /// `quorum-state` is there and cannot be read.
    #[error("{}: not readable", .0.display())]
    QuorumState(PathBuf),
    /// A write failed before.
    #[error("the metadata log has failed and takes nothing more")]
    Failed,
}

/// The log, open at its end.
#[derive(Debug)]
pub struct MetadataLog {
    disk: Rc<dyn Disk>,
    folder: PathBuf,
    file: File,
    position: u64,
    end_offset: i64,
    leader_epoch: i32,
    /// Epoch and first offset, ascending.
    epochs: Vec<(i32, i64)>,
    has_failed: bool,
}

/// A log as it was found. Nothing was written yet.
#[derive(Debug)]
pub struct FoundLog {
    disk: Rc<dyn Disk>,
    folder: PathBuf,
    /// The file that goes on.
    last: String,
    /// Bytes of whole batches in it.
    position: u64,
    /// The last of them, which may be in the page cache only: those of the last epoch.
    unsure: Vec<u8>,
    /// Bytes behind them.
    torn_bytes: u64,
    leader_epoch: i32,
    epochs: Vec<(i32, i64)>,
    image: MetadataImage,
    voters: Vec<i32>,
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
        let folder = log_dir.join(METADATA_FOLDER);
        let loading = Loading {
            disk: Rc::clone(disk),
            folder,
            image: MetadataImage::default(),
            epochs: Vec::new(),
            voters: Vec::new(),
            epoch_position: 0,
        };
        loading.run()
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

    /// Begins the next epoch: quorum-state, the control batch, the leader epochs. Blocking and synced.
    pub fn begin_epoch(&mut self, node: &NodeConfig, identity: &Identity, now_ms: i64) -> Result<(), MetadataLogError> {
        self.leader_epoch += 1;
        self.replace("partition.metadata", PARTITION_METADATA)?;
        self.replace(QUORUM_STATE, quorum_state(node, self.leader_epoch).as_bytes())?;
        let mut records = vec![control::leader_change(node.node_id)];
        if self.end_offset == 0 && !node.is_static_quorum {
            records.extend([control::kraft_version(), control::voters(node, identity.directory_id)]);
        }
        self.epochs.push((self.leader_epoch, self.end_offset));
        self.append_control(&records, now_ms)?;
        self.sync()?;
        let epochs: String = self.epochs.iter().map(|(epoch, start)| format!("{epoch} {start}\n")).collect();
        self.replace("leader-epoch-checkpoint", format!("0\n{}\n{epochs}", self.epochs.len()).as_bytes())
    }

    fn append_control(&mut self, records: &[ControlRecord], now_ms: i64) -> Result<(), MetadataLogError> {
        let bytes = control::control_batch(self.end_offset, self.leader_epoch, now_ms, records);
        self.append_bytes(&bytes, records.len())
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
        self.append_bytes(&bytes, count)?;
        Ok(AppendedMetadata { base_offset, end_offset: self.end_offset })
    }

    fn append_bytes(&mut self, bytes: &[u8], count: usize) -> Result<(), MetadataLogError> {
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
        Ok(())
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

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), MetadataLogError> {
        let path = self.folder.join(name);
        replace_file(&self.disk, &path, bytes).map_err(|source| MetadataLogError::Io { path, source })
    }
}

impl FoundLog {
    /// What its records say.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Node ids of the controllers that vote, as the log, its first checkpoint or `quorum-state` names them; none where
    /// nothing does.
    pub fn voters(&self) -> &[i32] {
        &self.voters
    }

    /// Opens it at its end, or starts an empty one. Blocking.
    pub fn open(self) -> Result<LoadedLog, MetadataLogError> {
        let Self { disk, folder, last, position, unsure, torn_bytes, leader_epoch, epochs, image, .. } = self;
        let io_error = |source| MetadataLogError::Io { path: folder.clone(), source };
        disk.create_dir_all(&folder).map_err(io_error)?;
        let file = File::open(&disk, &folder.join(&last), OpenMode::READ_WRITE).map_err(io_error)?;
        if torn_bytes > 0 {
            file.set_len(position).map_err(io_error)?;
        }
        // What was replayed must not be lost by a later power cut.
        file.write_all_at(position - unsure.len() as u64, &unsure).map_err(io_error)?;
        file.sync().map_err(io_error)?;
        disk.sync_dir(&folder).map_err(io_error)?;
        if let Some(parent) = folder.parent() {
            disk.sync_dir(parent).map_err(io_error)?;
        }
        let end_offset = image.end_offset();
        let log = MetadataLog { disk, folder, file, position, end_offset, leader_epoch, epochs, has_failed: false };
        Ok(LoadedLog { log, image, cut_bytes: torn_bytes })
    }
}

/// The state of loading.
struct Loading {
    disk: Rc<dyn Disk>,
    folder: PathBuf,
    image: MetadataImage,
    epochs: Vec<(i32, i64)>,
    voters: Vec<i32>,
    /// Where the last epoch begins in the segment that was replayed last.
    epoch_position: usize,
}

impl Loading {
    fn run(mut self) -> Result<FoundLog, MetadataLogError> {
        let folder = self.folder.clone();
        let names: Vec<String> = match self.disk.list_dir(&folder) {
            Ok(entries) => entries.into_iter().map(|entry| entry.name).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(MetadataLogError::Io { path: folder, source }),
        };
        if let Some((name, end_offset, epoch)) = names.iter().filter_map(|name| checkpoint(name)).max_by_key(|c| c.1) {
            self.load_checkpoint(name, end_offset, epoch)?;
        }
        let mut segments: Vec<&String> = names.iter().filter(|name| segment_base(name).is_some()).collect();
        segments.sort();
        let first = format!("{:020}.log", self.image.end_offset());
        if segments.is_empty() {
            segments.push(&first);
        }
        let (last, rolled) = segments.split_last().expect("there is one at least");
        for name in rolled {
            let bytes = self.read(name)?;
            let whole = self.replay_segment(&bytes)?;
            if whole < bytes.len() {
                return Err(MetadataLogError::Corrupt { path: folder.join(name), position: whole as u64 });
            }
        }
        let bytes = self.read(last)?;
        let whole = self.replay_segment(&bytes)?;
        if whole < bytes.len() && has_later_epoch(&bytes[whole..], self.last_epoch()) {
            return Err(MetadataLogError::Corrupt { path: folder.join(last), position: whole as u64 });
        }
        let stored = self.quorum_state()?;
        if self.voters.is_empty() {
            self.voters = stored.voters;
        }
        Ok(FoundLog {
            last: (*last).clone(),
            position: whole as u64,
            unsure: bytes[self.epoch_position..whole].to_vec(),
            torn_bytes: (bytes.len() - whole) as u64,
            leader_epoch: self.last_epoch().max(stored.leader_epoch),
            disk: self.disk,
            folder,
            epochs: self.epochs,
            image: self.image,
            voters: self.voters,
        })
    }

    fn last_epoch(&self) -> i32 {
        self.epochs.last().map_or(0, |(epoch, _)| *epoch)
    }

    fn quorum_state(&self) -> Result<QuorumState, MetadataLogError> {
        let path = self.folder.join(QUORUM_STATE);
        match read_file(&self.disk, &path) {
            Ok(bytes) => QuorumState::parse(&bytes).ok_or(MetadataLogError::QuorumState(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(QuorumState::default()),
            Err(source) => Err(MetadataLogError::Io { path, source }),
        }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, MetadataLogError> {
        let path = self.folder.join(name);
        match read_file(&self.disk, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            result => result.map_err(|source| MetadataLogError::Io { path, source }),
        }
    }

    /// A snapshot: records without their offsets, up to `end_offset`.
    fn load_checkpoint(&mut self, name: &str, end_offset: i64, epoch: i32) -> Result<(), MetadataLogError> {
        let bytes = self.read(name)?;
        let (mut rest, mut image) = (&bytes[..], MetadataImage::default());
        while !rest.is_empty() {
            let position = (bytes.len() - rest.len()) as u64;
            let corrupt = || MetadataLogError::Corrupt { path: self.folder.join(name), position };
            let batch = whole_batch(rest).ok_or_else(corrupt)?;
            if batch.is_control() {
                self.take_voters(&batch);
            } else {
                replay_records(&mut image, &batch)?;
            }
            rest = &rest[batch.bytes().len()..];
        }
        image.set_end_offset(end_offset);
        self.image = image;
        if epoch > 0 {
            self.epochs.push((epoch, end_offset));
        }
        Ok(())
    }

    fn take_voters(&mut self, batch: &BatchView<'_>) {
        if let Some(voters) = control::voters_of(batch) {
            self.voters = voters;
        }
    }

    /// Replays whole batches from the start of a segment; returns their size.
    fn replay_segment(&mut self, bytes: &[u8]) -> Result<usize, MetadataLogError> {
        let mut rest = bytes;
        self.epoch_position = 0;
        while let Some(batch) = whole_batch(rest) {
            let expected = self.image.end_offset();
            if batch.last_offset() >= expected {
                if batch.base_offset() != expected {
                    break;
                }
                if batch.leader_epoch() > self.last_epoch() {
                    self.epochs.push((batch.leader_epoch(), batch.base_offset()));
                    self.epoch_position = bytes.len() - rest.len();
                }
                if batch.is_control() {
                    self.take_voters(&batch);
                } else {
                    replay_records(&mut self.image, &batch)?;
                }
                self.image.skip_to(batch.next_offset());
            }
            rest = &rest[batch.bytes().len()..];
        }
        Ok(bytes.len() - rest.len())
    }
}

fn whole_batch(bytes: &[u8]) -> Option<BatchView<'_>> {
    let batch: Result<_, BatchParseError> = BatchView::parse(bytes);
    batch.ok().filter(|batch| batch.magic() == 2 && batch.is_crc_valid())
}

/// Replays a batch's records at the end of the image.
fn replay_records(image: &mut MetadataImage, batch: &BatchView<'_>) -> Result<(), MetadataLogError> {
    if batch.attributes() & 7 != 0 {
        return Err(MetadataLogError::Compressed(batch.base_offset()));
    }
    for record in batch.records() {
        let offset = image.end_offset();
        let value = record.ok().and_then(|record| record.value).ok_or(DecodeError::Null("value"));
        let record = value.and_then(MetadataRecord::decode);
        image.replay(offset, &record.map_err(|source| MetadataLogError::Record { offset, source })?)?;
    }
    Ok(())
}

/// Whether a whole batch of an epoch above `epoch` lies somewhere in `bytes`.
fn has_later_epoch(bytes: &[u8], epoch: i32) -> bool {
    const EPOCH_AT: usize = 12;
    const MAGIC_AT: usize = 16;
    (1..bytes.len().saturating_sub(MAGIC_AT)).any(|start| {
        let candidate = &bytes[start..];
        candidate[MAGIC_AT] == 2
            && candidate[EPOCH_AT..MAGIC_AT].first_chunk().is_some_and(|bytes| i32::from_be_bytes(*bytes) > epoch)
            && whole_batch(candidate).is_some()
    })
}

/// Base offset of `<20 digits>.log`.
fn segment_base(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() == 20 { digits.parse().ok() } else { None }
}

/// Name, end offset and epoch of `<20 digits>-<10 digits>.checkpoint`. That of offset 0 holds the voters only.
fn checkpoint(name: &str) -> Option<(&str, i64, i32)> {
    let (offset, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
    if (offset.len(), epoch.len()) != (20, 10) {
        return None;
    }
    Some((name, offset.parse().ok()?, epoch.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use ringlog_core::protocol::metadata::{PartitionRecord, TopicRecord};
    use ringlog_core::reactor::FsDisk;
    use ringlog_core::record::Batches;

    use super::super::controller::tests::{identity, node, random};
    use super::super::controller::{self, NewTopic};
    use super::*;

    const GOLDEN: &[u8] = include_bytes!("../../tests/golden/cluster_metadata.log");

    fn disk() -> Rc<dyn Disk> {
        Rc::new(FsDisk)
    }

    fn load(log_dir: &Path) -> Result<LoadedLog, MetadataLogError> {
        MetadataLog::find(&disk(), log_dir)?.open()
    }

    /// A log with its live image, as a controller keeps it.
    struct Live {
        log: MetadataLog,
        image: MetadataImage,
    }

    impl Live {
        fn start(log_dir: &Path, seed: u64) -> Self {
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

        fn create(&mut self, name: &str, partitions: i32) {
            let topic = NewTopic {
                name: name.to_owned(),
                num_partitions: partitions,
                replication_factor: -1,
                ..NewTopic::default()
            };
            let seed = self.log.end_offset() as u64;
            let (_, records) =
                controller::create_topics(&self.image, &node(), &identity(), &[topic], false, random(seed));
            if !records.is_empty() {
                self.append(&records);
            }
        }

        fn delete(&mut self, name: &str) {
            if let Some(topic) = self.image.topic_by_name(name) {
                let (_, records) = controller::delete_topics(&self.image, &[topic.topic_id]);
                self.append(&records);
            }
        }

        fn stop(mut self) {
            let batches = controller::stop(&self.image, 1);
            batches.iter().for_each(|batch| self.append(batch));
            self.log.sync().unwrap();
        }
    }

    fn segment(log_dir: &Path) -> PathBuf {
        log_dir.join(METADATA_FOLDER).join("00000000000000000000.log")
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

    #[test]
    fn a_snapshot_is_loaded_in_front_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut live = Live::start(folder.path(), 1);
        live.create("old", 2);
        let image = live.image.clone();
        drop(live);
        let end_offset = image.end_offset();
        let mut records = Records::default();
        let topic_id = image.topic_by_name("old").unwrap().topic_id;
        records.push(TopicRecord { name: "old", topic_id });
        records.extend((0..2).map(|partition_id| PartitionRecord { partition_id, topic_id, ..Default::default() }));
        let snapshot = control::record_batch(0, 0, 5, &records);
        let name = format!("{end_offset:020}-0000000004.checkpoint");
        std::fs::write(folder.path().join(METADATA_FOLDER).join(&name), &snapshot).unwrap();
        std::fs::remove_file(segment(folder.path())).unwrap();
        let loaded = load(folder.path()).unwrap();
        assert_eq!((loaded.image.end_offset(), loaded.log.leader_epoch()), (end_offset, 4));
        assert_eq!(loaded.image.topic_by_name("old").unwrap().partitions.len(), 2);
        std::fs::write(folder.path().join(METADATA_FOLDER).join(&name), &snapshot[..snapshot.len() - 1]).unwrap();
        assert!(matches!(load(folder.path()), Err(MetadataLogError::Corrupt { .. })));
    }
}
