//! One partition's log: its segments in order, its offsets, and what is known about its producers.
//!
//! It never knows which offsets were acked: the store does. Nothing here waits for the device.
//!
//! Invariants:
//! - `segments` is never empty and sorted; the last one is active. A segment ends where the next one begins.
//! - `log_start_offset <= written_end_offset() <= log_end_offset`; what lies between the last two is the tail, or the groups
//!   that go directly. Never both.
//! - The segment file holds no byte behind the written end that could be taken for a batch later: a failed write is cut
//!   back, a group's last block is filled with zeros, and of a late write the batch stays in the tail that is not whole.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use bytes::Bytes;
use smallvec::SmallVec;
use uuid::Uuid;

use super::checkpointer::SmallFile;
use super::cleaner::CLEANED_SUFFIX;
use super::descriptors::{Descriptors, FileKind};
use super::direct::DirectQueue;
use super::error::StoreError;
use super::flush::FlushState;
use super::header::BatchHeader;
use super::leader_epoch_cache::{EpochEntry, LEADER_EPOCH_FILE, LeaderEpochCache};
use super::partition_metadata::{PARTITION_METADATA_FILE, decode_partition_metadata, encode_partition_metadata};
use super::planted::{PlantedBug, is_planted};
use super::producer_state::ProducerState;
use super::read_hints::ReadHints;
use super::segment::Segment;
use super::synced_points::SyncedPoint;
use super::tail::Tail;
use super::transaction_index::TransactionIndex;
use super::{Durability, LogConfig, LogKey, LogSpec};
use crate::reactor::{Disk, File, OpenMode, read_file, remove_file_if_there, replace_file};
use crate::record::Crc32c;

/// Bytes of the active segment between two producer snapshots that checkpoints take.
const SNAPSHOT_INTERVAL_BYTES: u64 = 1 << 20;

/// One open log.
#[derive(Debug)]
pub(crate) struct Log {
    pub key: LogKey,
    pub dir: PathBuf,
    pub topic_id: Uuid,
    pub config: Rc<LogConfig>,
    /// The folder and its `partition.metadata` are there.
    pub folder_ready: bool,
    /// There was no folder when the log was opened, and if there is one now it has files of the first segment only.
    pub is_new: bool,
    pub segments: Vec<Segment>,
    pub log_start_offset: i64,
    /// The log start that a power cut leaves: segments below it may go.
    pub durable_start_offset: i64,
    /// Offset of the next batch.
    pub log_end_offset: i64,
    pub producers: ProducerState,
    /// Offsets of the snapshots that were found in the folder, until the state is loaded.
    pub snapshots_found: Vec<i64>,
    /// False while recovery replays the commit log: nothing is checked there, and no snapshot is taken.
    pub producers_loaded: bool,
    /// Where in the active segment the newest snapshot was taken by a checkpoint, and of which offset.
    pub checkpoint_snapshot: Option<(u64, i64)>,
    pub aborted: TransactionIndex,
    pub leader_epochs: LeaderEpochCache,
    /// The newest epoch in the file.
    pub written_epoch: Option<EpochEntry>,
    pub tail: Tail,
    /// Large batches on their way into the segment (class sync).
    pub direct: DirectQueue,
    /// Segments that got bytes without a sync since a direct write synced them: the next one does it first.
    pub sync_first: Vec<i64>,
    /// The newest segment of which name and folder are durable.
    pub durable_segment: Option<i64>,
    /// What to put back if the tail cannot be written, one per batch (class page-cache).
    pub undo: Vec<super::append::Undo>,
    /// A write failed for good: nothing is taken until the log was opened anew.
    pub stopped: Option<String>,
    /// The disk was full when the tail was to be written (class sync).
    pub blocked: bool,
    /// A file of the folder, or the folder, was made since the folder was last synced.
    pub new_names: bool,
    /// Base offsets of segments with bytes that were not synced.
    pub unsynced: Vec<i64>,
    /// Records were deleted, or are too old: the log start is to become durable with the next checkpoint.
    pub log_start_moved: bool,
    /// Below it the log was compacted; 0 when it never was.
    pub cleaned_offset: i64,
    /// It moved, and is to be noted with the next checkpoint.
    pub cleaned_moved: bool,
    pub cleaner: CleanerState,
    pub flush: FlushState,
    /// Of a log that is read.
    pub read_hints: Option<Box<ReadHints>>,
}

/// What compaction does with a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CleanerState {
    Idle,
    /// A round is under way: no other one begins, and no segment is retired.
    Running,
    /// The log cannot be cleaned: nothing is tried until it was opened anew.
    Failed,
}

impl Log {
    /// A log of which nothing was looked at. It has no segment yet.
    pub fn empty(key: LogKey, spec: &LogSpec, log_dir: &Path, log_start_offset: i64) -> Self {
        Self {
            key,
            dir: log_dir.join(spec.folder()),
            topic_id: spec.topic_id,
            config: Rc::clone(&spec.config),
            folder_ready: false,
            is_new: false,
            segments: Vec::new(),
            log_start_offset,
            durable_start_offset: log_start_offset,
            log_end_offset: 0,
            producers: ProducerState::default(),
            snapshots_found: Vec::new(),
            producers_loaded: false,
            checkpoint_snapshot: None,
            aborted: TransactionIndex::default(),
            leader_epochs: LeaderEpochCache::default(),
            written_epoch: None,
            tail: Tail::default(),
            direct: DirectQueue::default(),
            sync_first: Vec::new(),
            durable_segment: None,
            undo: Vec::new(),
            stopped: None,
            blocked: false,
            new_names: false,
            unsynced: Vec::new(),
            log_start_moved: false,
            cleaned_offset: 0,
            cleaned_moved: false,
            cleaner: CleanerState::Idle,
            flush: FlushState::default(),
            read_hints: None,
        }
    }

    /// Takes nothing from now on, until the log was opened anew. Returns why: the first reason stays.
    pub fn stop(&mut self, error: &dyn fmt::Display) -> String {
        self.stopped.get_or_insert_with(|| format!("{}: {error}", self.dir.display())).clone()
    }

    pub fn io_error(&self, source: io::Error) -> StoreError {
        StoreError::Io { path: self.dir.clone(), source }
    }

    /// Index of the segment that holds `offset`, or would.
    pub fn segment_index(&self, offset: i64) -> usize {
        self.segments.partition_point(|segment| segment.base_offset <= offset).saturating_sub(1)
    }

    pub fn active(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("a log has a segment")
    }

    /// End of what is in segment files, exclusive.
    pub fn written_end_offset(&self) -> i64 {
        self.direct.first_offset().or(self.tail.first_offset()).unwrap_or(self.log_end_offset)
    }

    /// Bytes of a loaded segment that are in its file.
    pub fn written_size_bytes(&self, index: usize) -> u64 {
        let segment = &self.segments[index];
        let waiting = self.direct.first_position(segment.base_offset);
        waiting
            .or(self.tail.first_position(segment.base_offset))
            .unwrap_or_else(|| segment.size_bytes().expect("loaded"))
    }

    /// Cuts the zeros behind the last batch of a segment that is written as a whole.
    pub fn cut_padding(&self, base_offset: i64, files: &mut Descriptors) -> io::Result<()> {
        let segment = &self.segments[self.segment_index(base_offset)];
        assert_eq!(segment.base_offset, base_offset, "it is there");
        let size = segment.size_bytes().expect("it was written to");
        let file = files.file(&self.dir, segment.file_id(self.key, FileKind::Log), false)?;
        // Also at that length: what lies allocated behind it is given back.
        if file.len()? > size || self.config.preallocate { file.set_len(size) } else { Ok(()) }
    }

    /// Makes the folder with its `partition.metadata`, before the first segment of it.
    pub fn ready_folder(&mut self, files: &mut Descriptors) -> io::Result<()> {
        if self.folder_ready {
            return Ok(());
        }
        files.disk().create_dir_all(&self.dir)?;
        self.new_names = true;
        if !is_planted(PlantedBug::PartitionMetadataLate) {
            let path = self.dir.join(PARTITION_METADATA_FILE);
            write_whole(files, &path, encode_partition_metadata(self.topic_id).as_bytes())?;
        }
        self.folder_ready = true;
        Ok(())
    }

    /// Whether the next batch belongs into a new segment.
    pub fn must_roll(&self, header: &BatchHeader, now_ms: i64) -> bool {
        let active = self.segments.last().expect("a log has a segment");
        let segment_ms = self.config.segment_ms_max() - self.jitter_ms(active.base_offset);
        let (size_bytes, max_timestamp) = (header.size_bytes, header.max_timestamp);
        active.must_roll(&self.config, segment_ms, size_bytes, max_timestamp, header.last_offset(), now_ms)
    }

    /// How much earlier than others a segment ends: as good as random, and the same when its end is looked for again
    /// after a crash.
    fn jitter_ms(&self, base_offset: i64) -> i64 {
        let bound = self.config.segment_jitter_ms.min(self.config.segment_ms_max());
        if bound <= 0 {
            return 0;
        }
        let mut digest = Crc32c::new();
        digest.update(self.dir.as_os_str().as_encoded_bytes());
        digest.update(&base_offset.to_be_bytes());
        // A part of the bound in 32 bits; a product of two i64 fits in i128.
        ((i128::from(digest.finish()) * i128::from(bound)) >> 32) as i64
    }

    /// Ends the active segment and begins the next one at the log end. The tail is empty, or a late write is under way.
    pub fn roll(&mut self, now_ms: i64, files: &mut Descriptors) -> io::Result<()> {
        assert!(self.tail.is_empty() || self.tail.is_under_way(), "what can be written was");
        let (key, dir, end) = (self.key, self.dir.clone(), self.log_end_offset);
        assert!(end > self.active().base_offset, "an empty segment does not roll");
        self.active().seal(key, &dir, files)?;
        let base_offset = self.active().base_offset;
        // Behind a late write into a segment before, there is no file for it yet.
        if self.tail.first().is_none_or(|batch| batch.segment == base_offset) {
            if self.direct.is_empty() {
                self.cut_padding(base_offset, files)?;
            }
            // Its indexes were written just now, even when its bytes were synced before.
            if self.unsynced.last() != Some(&base_offset) {
                self.unsynced.push(base_offset);
            }
        }
        (self.new_names, self.is_new) = (true, false);
        if self.producers_loaded {
            self.write_snapshot(files)?;
        }
        self.checkpoint_snapshot = None;
        self.write_leader_epochs(files)?;
        self.segments.push(Segment::new(end, now_ms));
        Ok(())
    }

    /// What is known of the log when everything below `end_offset` is synced.
    pub fn synced_point(&self, end_offset: i64, durability: Durability) -> SyncedPoint {
        let active = self.segments.last().expect("a log has a segment");
        // One that was moved above it waits for what is below to be written.
        let is_reached = self.log_start_offset <= end_offset;
        let log_start_offset = if is_reached { self.log_start_offset } else { self.durable_start_offset };
        let mut point = SyncedPoint::new(log_start_offset, end_offset, durability);
        point.cleaned_offset = self.cleaned_offset;
        let of_segment = (active.max_timestamp, active.max_timestamp_offset);
        let (timestamp, offset) = self.tail.first().map_or(of_segment, |batch| batch.max_timestamp_before);
        if end_offset > active.base_offset && offset < end_offset {
            (point.max_timestamp, point.max_timestamp_offset) = (timestamp, offset);
        }
        point
    }

    /// Writes the producer snapshot of the log end.
    pub fn write_snapshot(&mut self, files: &Descriptors) -> io::Result<()> {
        write_whole(files, &snapshot_path(&self.dir, self.log_end_offset), &self.producers.encode())
    }

    /// Writes `leader-epoch-checkpoint`.
    pub fn write_leader_epochs(&mut self, files: &Descriptors) -> io::Result<()> {
        self.written_epoch = self.leader_epochs.latest();
        write_whole(files, &self.dir.join(LEADER_EPOCH_FILE), self.leader_epochs.encode().as_bytes())
    }

    /// The small files that let recovery go on from the log end instead of from the segment's start: leader epochs that
    /// the file lacks, and a producer snapshot when the last one is far behind. Told the snapshot that it replaces.
    pub fn checkpoint_files(&mut self) -> (SmallVec<[SmallFile; 2]>, Option<PathBuf>) {
        let mut small_files = SmallVec::new();
        let latest = self.leader_epochs.latest();
        if latest != self.written_epoch {
            self.written_epoch = latest;
            let bytes = Bytes::from(self.leader_epochs.encode());
            small_files.push(SmallFile { path: self.dir.join(LEADER_EPOCH_FILE), bytes, durable: true });
        }
        let mut replaced = None;
        let position = self.active().size_bytes().expect("the active segment is loaded");
        let (before, _) = self.checkpoint_snapshot.unwrap_or((0, 0));
        if !self.producers.is_empty() && position - before > SNAPSHOT_INTERVAL_BYTES {
            self.is_new = false;
            let last = self.checkpoint_snapshot.replace((position, self.log_end_offset));
            replaced = last.map(|(_, offset)| snapshot_path(&self.dir, offset));
            let bytes = Bytes::from(self.producers.encode());
            // Not durable: where a power cut takes it away, the batches are walked from the one before.
            small_files.push(SmallFile { path: snapshot_path(&self.dir, self.log_end_offset), bytes, durable: false });
        }
        (small_files, replaced)
    }

    /// Leaves the folder as Kafka does at a clean stop. Nothing is synced here.
    pub fn seal(&mut self, files: &mut Descriptors) -> io::Result<()> {
        assert!(self.tail.is_empty() && self.direct.is_empty());
        if self.log_end_offset > self.log_start_offset {
            self.ready_folder(files)?;
        }
        if !self.folder_ready {
            return Ok(());
        }
        let (key, dir) = (self.key, self.dir.clone());
        files.file(&dir, self.active().file_id(key, FileKind::Log), true)?;
        self.active().seal(key, &dir, files)?;
        let base_offset = self.active().base_offset;
        self.cut_padding(base_offset, files)?;
        self.write_leader_epochs(files)?;
        if self.log_end_offset > 0 {
            self.write_snapshot(files)?;
        }
        if self.is_new { Ok(()) } else { self.remove_strays(&**files.disk()) }
    }

    /// Has Kafka read from the batches what it would not take from the snapshots of a sealed log: of each producer it keeps
    /// one batch of a snapshot, and of those that were in flight at a crash each one may be sent again. It walks from the
    /// newest snapshot that is there on, and believes that there are no producers where there is none.
    ///
    /// Producers that have not written to the last two segments have nothing in flight.
    pub fn leave_producers_to_batches(&self, disk: &Rc<dyn Disk>) -> io::Result<()> {
        let recent = &self.segments[self.segments.len().saturating_sub(2)..];
        let Some(first_offset) = self.producers.several_since(recent[0].base_offset) else { return Ok(()) };
        let base_offset = self.segments[self.segment_index(first_offset)].base_offset.max(recent[0].base_offset);
        let path = snapshot_path(&self.dir, base_offset);
        if !disk.exists(&path) {
            if base_offset > self.log_start_offset {
                return Ok(());
            }
            replace_file(disk, &path, &ProducerState::default().encode())?;
        }
        let later = recent.iter().map(|segment| segment.base_offset).filter(|base| *base > base_offset);
        later
            .chain([self.log_end_offset])
            .try_for_each(|offset| remove_file_if_there(&**disk, &snapshot_path(&self.dir, offset)))
    }

    /// Removes what a cleaning has left that did not come to its end, and snapshots but those of segment bases and of the
    /// log end.
    fn remove_strays(&self, disk: &dyn Disk) -> io::Result<()> {
        let is_base = |offset| self.segments.iter().any(|segment| segment.base_offset == offset);
        let is_stray = |name: &str| match offset_of_file(name, ".snapshot") {
            Some(offset) => offset != self.log_end_offset && !is_base(offset),
            None => name.ends_with(CLEANED_SUFFIX),
        };
        let mut names = disk.list_dir(&self.dir)?.into_iter().map(|entry| entry.name);
        names.try_for_each(|name| if is_stray(&name) { disk.remove_file(&self.dir.join(name)) } else { Ok(()) })
    }

    /// The largest timestamp of the log and the offset of the batch that holds it (its last record).
    pub fn max_timestamp(&mut self, files: &mut Descriptors) -> io::Result<Option<(i64, i64)>> {
        let mut best: Option<(i64, i64)> = None;
        for index in 0..self.segments.len() {
            self.load_times(index, files)?;
            let segment = &self.segments[index];
            if segment.max_timestamp >= 0 && best.is_none_or(|(timestamp, _)| segment.max_timestamp > timestamp) {
                best = Some((segment.max_timestamp, segment.max_timestamp_offset));
            }
        }
        Ok(best)
    }
}

/// Makes way for a partition that has no folder of its own yet, where an earlier topic of the same name left one behind.
/// Returns whether there was one.
///
/// That of another topic is removed: the metadata says that it was deleted. One without a readable `partition.metadata` may
/// be that of a deleted topic too, since a power cut can take the file and leave the segments. It is set aside as Kafka
/// does it, as `-stray`, unless the caller knows that it is the partition's (`is_known`).
pub(crate) fn make_way(
    disk: &Rc<dyn Disk>,
    log_dir: &Path,
    spec: &LogSpec,
    is_known: bool,
) -> Result<bool, StoreError> {
    let dir = log_dir.join(spec.folder());
    let io_error = |source| StoreError::Io { path: dir.clone(), source };
    if !disk.exists(&dir) {
        return Ok(false);
    }
    let topic_id = match read_file(disk, &dir.join(PARTITION_METADATA_FILE)) {
        Ok(bytes) => decode_partition_metadata(&bytes).ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(io_error(error)),
    };
    match topic_id {
        Some(topic_id) if topic_id == spec.topic_id => Ok(false),
        Some(topic_id) => {
            tracing::warn!(folder = %dir.display(), %topic_id, "removed: of a topic that was deleted");
            disk.remove_dir_all(&dir).map_err(io_error)?;
            Ok(true)
        }
        None if is_known => Ok(false),
        None => {
            let aside = log_dir.join(format!("{}.{}-stray", spec.folder(), spec.topic_id.simple()));
            if disk.exists(&aside) {
                // This one was made after that, and the power went again.
                disk.remove_dir_all(&dir).map_err(io_error)?;
            } else {
                tracing::warn!(from = %dir.display(), to = %aside.display(), "set aside: it does not say whose it is");
                disk.rename(&dir, &aside).map_err(io_error)?;
            }
            Ok(true)
        }
    }
}

/// Path of the producer snapshot of `offset`.
pub(crate) fn snapshot_path(dir: &Path, offset: i64) -> PathBuf {
    dir.join(format!("{offset:020}.snapshot"))
}

/// The offset in a name like `00000000000000000042.log`.
pub(crate) fn offset_of_file(name: &str, extension: &str) -> Option<i64> {
    let digits = name.strip_suffix(extension)?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// Makes a small file hold these bytes. Durable with the next sync of all.
///
/// One that holds them stays. One that holds others is replaced, so that a process crash leaves the old or the new ones. A
/// new one is written in place: a crash that leaves it empty leaves what says no more than a missing one.
pub(crate) fn write_whole(files: &Descriptors, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let file = File::open(files.disk(), path, OpenMode::READ_WRITE)?;
    let size_bytes = file.len()?;
    if size_bytes == 0 {
        return file.write_all_at(0, bytes);
    }
    if size_bytes == bytes.len() as u64 {
        let mut found = vec![0; bytes.len()];
        if file.read_at(0, &mut found)? == found.len() && found == bytes {
            return Ok(());
        }
    }
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let file = File::open(files.disk(), &temporary, OpenMode::REWRITE)?;
    file.write_all_at(0, bytes)?;
    files.disk().rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::reactor::FsDisk;

    #[test]
    fn a_small_file_is_made_or_kept_or_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let files = Descriptors::new(Rc::new(FsDisk), 4);
        let path = folder.path().join("small");
        let inode = || std::fs::metadata(&path).unwrap().ino();
        std::fs::write(&path, b"").unwrap();
        write_whole(&files, &path, b"left empty by a crash").unwrap();
        let made = inode();
        write_whole(&files, &path, b"left empty by a crash").unwrap();
        assert_eq!(inode(), made, "it holds these bytes");
        for other in [&b"left whole by a crash"[..], b"longer than what was there", b"shorter"] {
            let before = inode();
            write_whole(&files, &path, other).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), other);
            assert_ne!(inode(), before, "a crash leaves the one or the other");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
