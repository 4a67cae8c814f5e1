//! Finding the metadata log at a start: the newest snapshot that is whole, then the log behind it. Nothing is written.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use ringlog_core::log::{LEADER_EPOCH_FILE, LeaderEpochCache};
use ringlog_core::reactor::{Disk, File, OpenMode, read_file, remove_file_if_there};
use ringlog_core::record::BatchView;

use super::super::control::QuorumRecords;
use super::super::image::MetadataImage;
use super::super::quorum_state::{QUORUM_STATE, QuorumState};
use super::batches::{ReadSnapshot, read_snapshot, replay_records, snapshot_timestamp, whole_batch};
use super::files::{Segment, Snapshot, SnapshotId, is_left_over, segment_base, segment_name};
use super::{LoadedLog, MetadataLog, MetadataLogError};

/// The first batch of a snapshot is within this.
const SNAPSHOT_HEAD_BYTES: usize = 4096;

/// A log as it was found. Nothing was written yet.
#[derive(Debug)]
pub struct FoundLog {
    disk: Rc<dyn Disk>,
    folder: PathBuf,
    /// Snapshots that count, oldest first.
    snapshots: Vec<Snapshot>,
    /// Snapshots that are damaged or end in front of the log, and what was left over of others: to be removed.
    refuse: Vec<String>,
    bytes_since_snapshot: u64,
    /// Segments in front of the last one.
    rolled: Vec<Segment>,
    /// The segment that goes on, of which only whole batches count.
    last: Segment,
    first_timestamp: Option<i64>,
    /// The last of them, which may be in the page cache only: those of the last epoch.
    unsure: Vec<u8>,
    /// Bytes behind them.
    torn_bytes: u64,
    leader_epoch: i32,
    epochs: LeaderEpochCache,
    image: MetadataImage,
    quorum: QuorumRecords,
    voters: Vec<i32>,
}

impl FoundLog {
    /// What its records say.
    pub fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Node ids of the controllers that vote, as the log, its snapshots or `quorum-state` name them; none where nothing
    /// does.
    pub fn voters(&self) -> &[i32] {
        &self.voters
    }

    /// Bytes behind the last whole batch, which are cut off when it is opened.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Opens it at its end, or starts an empty one. Blocking.
    pub fn open(self) -> Result<LoadedLog, MetadataLogError> {
        let Self { disk, folder, last, unsure, torn_bytes, image, .. } = self;
        let io_error = |source| MetadataLogError::Io { path: folder.clone(), source };
        disk.create_dir_all(&folder).map_err(io_error)?;
        let path = folder.join(segment_name(last.base_offset));
        let file = File::open(&disk, &path, OpenMode::READ_WRITE).map_err(io_error)?;
        if torn_bytes > 0 {
            file.set_len(last.size_bytes).map_err(io_error)?;
        }
        // What was replayed must not be lost by a later power cut.
        file.write_all_at(last.size_bytes - unsure.len() as u64, &unsure).map_err(io_error)?;
        file.sync().map_err(io_error)?;
        for name in self.refuse {
            tracing::info!(name, "a file of a snapshot that does not count is removed");
            remove_file_if_there(&*disk, &folder.join(name)).map_err(io_error)?;
        }
        disk.sync_dir(&folder).map_err(io_error)?;
        if let Some(parent) = folder.parent() {
            disk.sync_dir(parent).map_err(io_error)?;
        }
        let log = MetadataLog {
            disk,
            folder,
            rolled: self.rolled,
            snapshots: self.snapshots,
            file,
            base_offset: last.base_offset,
            position: last.size_bytes,
            first_timestamp: self.first_timestamp,
            end_offset: image.end_offset(),
            last_timestamp: 0,
            bytes_since_snapshot: self.bytes_since_snapshot,
            leader_epoch: self.leader_epoch,
            epochs: self.epochs,
            quorum: self.quorum,
            has_failed: false,
        };
        Ok(LoadedLog { log, image, cut_bytes: torn_bytes })
    }
}

/// The state of loading.
pub(super) struct Loading {
    disk: Rc<dyn Disk>,
    folder: PathBuf,
    image: MetadataImage,
    epochs: LeaderEpochCache,
    quorum: QuorumRecords,
    /// Newest first.
    damaged: Vec<SnapshotId>,
    bytes_since_snapshot: u64,
    /// Where the last epoch begins in the segment that was replayed last.
    epoch_position: usize,
}

/// What replaying a segment came to.
struct Replayed {
    /// Bytes of whole batches.
    whole: usize,
    /// Behind the last of them.
    end_offset: i64,
}

impl Loading {
    pub fn new(disk: &Rc<dyn Disk>, folder: PathBuf) -> Self {
        Self {
            disk: Rc::clone(disk),
            folder,
            image: MetadataImage::default(),
            epochs: LeaderEpochCache::default(),
            quorum: QuorumRecords::default(),
            damaged: Vec::new(),
            bytes_since_snapshot: 0,
            epoch_position: 0,
        }
    }

    pub fn run(mut self) -> Result<FoundLog, MetadataLogError> {
        let names = self.names()?;
        let mut ids: Vec<SnapshotId> = names.iter().filter_map(|name| SnapshotId::parse(name)).collect();
        ids.sort();
        let mut bases: Vec<i64> = names.iter().filter_map(|name| segment_base(name)).collect();
        bases.sort_unstable();
        let log_start = bases.first().copied();
        self.load_snapshot(&ids, log_start)?;
        if bases.is_empty() {
            bases.push(self.image.end_offset());
        }
        let mut rolled = Vec::new();
        for pair in bases.windows(2) {
            rolled.push(self.replay_rolled(pair[0], pair[1])?);
        }
        let base_offset = bases.pop().expect("there is one at least");
        let name = segment_name(base_offset);
        let bytes = self.read(&name)?;
        let Replayed { whole, end_offset } = self.replay_segment(base_offset, &bytes)?;
        let is_behind = end_offset < self.image.end_offset();
        if whole < bytes.len() && (is_behind || has_later_epoch(&bytes[whole..], self.last_epoch())) {
            return Err(MetadataLogError::Corrupt { path: self.folder.join(name), position: whole as u64 });
        }
        if let Some(newest) = self.damaged.first().filter(|id| id.end_offset > self.image.end_offset()) {
            return Err(MetadataLogError::DamagedSnapshot(self.folder.join(newest.file_name())));
        }
        let mut last = Segment { base_offset, size_bytes: whole as u64 };
        let mut first_timestamp = whole_batch(&bytes).map(|batch| batch.base_timestamp());
        let mut unsure = bytes[self.epoch_position..whole].to_vec();
        if is_behind {
            // The snapshot came from elsewhere, and nothing was appended since.
            rolled.push(last);
            last = Segment { base_offset: self.image.end_offset(), size_bytes: 0 };
            (first_timestamp, unsure) = (None, Vec::new());
        }
        let stored = self.quorum_state()?;
        let (counted, useless): (Vec<SnapshotId>, Vec<SnapshotId>) =
            ids.iter().partition(|id| reaches(id, log_start) && !self.damaged.contains(id));
        let snapshots = counted.into_iter().map(|id| self.snapshot(id));
        let left_over = names.into_iter().filter(|name| is_left_over(name));
        Ok(FoundLog {
            snapshots: snapshots.collect::<Result<_, _>>()?,
            refuse: left_over.chain(useless.into_iter().map(|id| id.file_name())).collect(),
            bytes_since_snapshot: self.bytes_since_snapshot,
            rolled,
            last,
            first_timestamp,
            unsure,
            torn_bytes: (bytes.len() - whole) as u64,
            leader_epoch: self.last_epoch().max(stored.leader_epoch),
            voters: self.quorum.voter_ids().unwrap_or(stored.voters),
            disk: self.disk,
            folder: self.folder,
            epochs: self.epochs,
            image: self.image,
            quorum: self.quorum,
        })
    }

    fn names(&self) -> Result<Vec<String>, MetadataLogError> {
        match self.disk.list_dir(&self.folder) {
            Ok(entries) => Ok(entries.into_iter().map(|entry| entry.name).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(MetadataLogError::Io { path: self.folder.clone(), source }),
        }
    }

    fn last_epoch(&self) -> i32 {
        self.epochs.latest().map_or(0, |latest| latest.leader_epoch)
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

    /// The newest snapshot that is whole; an older one only if the log goes on from it, so that nothing is lost.
    fn load_snapshot(&mut self, ids: &[SnapshotId], log_start: Option<i64>) -> Result<(), MetadataLogError> {
        for id in ids.iter().rev().filter(|id| reaches(id, log_start)) {
            let name = id.file_name();
            let Some(ReadSnapshot { mut image, quorum }) = read_snapshot(&self.read(&name)?)? else {
                tracing::warn!(name, "a snapshot of the metadata is damaged");
                self.damaged.push(*id);
                continue;
            };
            image.set_end_offset(id.end_offset);
            self.epochs = self.epochs_until(*id)?;
            (self.image, self.quorum) = (image, quorum);
            return Ok(());
        }
        match (log_start, self.damaged.first()) {
            (Some(0), _) | (None, None) => Ok(()),
            (_, Some(newest)) => Err(MetadataLogError::DamagedSnapshot(self.folder.join(newest.file_name()))),
            (Some(start_offset), None) => {
                Err(MetadataLogError::NoSnapshot { folder: self.folder.clone(), start_offset })
            }
        }
    }

    /// The leader epochs that a snapshot holds, from their file as far as it agrees.
    fn epochs_until(&self, id: SnapshotId) -> Result<LeaderEpochCache, MetadataLogError> {
        let mut epochs = LeaderEpochCache::decode(&self.read(LEADER_EPOCH_FILE)?).unwrap_or_default();
        epochs.truncate_from_end(id.end_offset);
        if epochs.latest().is_none_or(|latest| latest.leader_epoch != id.leader_epoch) {
            epochs = LeaderEpochCache::default();
            if id.leader_epoch > 0 {
                epochs.assign(id.leader_epoch, id.end_offset);
            }
        }
        Ok(epochs)
    }

    fn snapshot(&self, id: SnapshotId) -> Result<Snapshot, MetadataLogError> {
        let path = self.folder.join(id.file_name());
        let head_of = || -> io::Result<(u64, Vec<u8>)> {
            let file = File::open(&self.disk, &path, OpenMode::READ)?;
            let mut head = vec![0; SNAPSHOT_HEAD_BYTES];
            let filled = file.read_at(0, &mut head)?;
            head.truncate(filled);
            Ok((file.len()?, head))
        };
        let (size_bytes, head) = head_of().map_err(|source| MetadataLogError::Io { path: path.clone(), source })?;
        Ok(Snapshot { id, size_bytes, last_contained_log_timestamp: snapshot_timestamp(&head) })
    }

    /// A segment that another one follows: all of it was durable before. One that the snapshot holds is not looked into.
    fn replay_rolled(&mut self, base_offset: i64, next_base_offset: i64) -> Result<Segment, MetadataLogError> {
        let name = segment_name(base_offset);
        if next_base_offset <= self.image.end_offset() {
            let path = self.folder.join(name);
            let len = File::open(&self.disk, &path, OpenMode::READ).and_then(|file| file.len());
            let size_bytes = len.map_err(|source| MetadataLogError::Io { path, source })?;
            return Ok(Segment { base_offset, size_bytes });
        }
        let bytes = self.read(&name)?;
        let whole = self.replay_segment(base_offset, &bytes)?.whole;
        if whole < bytes.len() {
            return Err(MetadataLogError::Corrupt { path: self.folder.join(name), position: whole as u64 });
        }
        Ok(Segment { base_offset, size_bytes: whole as u64 })
    }

    /// Replays whole batches from the start of a segment. What is missing in front of one is no torn tail.
    fn replay_segment(&mut self, base_offset: i64, bytes: &[u8]) -> Result<Replayed, MetadataLogError> {
        let path = self.folder.join(segment_name(base_offset));
        let missing = |position| MetadataLogError::Corrupt { path, position: position as u64 };
        if base_offset > self.image.end_offset() {
            return Err(missing(0));
        }
        let mut rest = bytes;
        let mut end_offset = base_offset;
        self.epoch_position = 0;
        while let Some(batch) = whole_batch(rest) {
            let position = bytes.len() - rest.len();
            if batch.base_offset() > self.image.end_offset() {
                return Err(missing(position));
            }
            if batch.last_offset() >= self.image.end_offset() {
                self.replay_batch(&batch, position)?;
            }
            end_offset = batch.next_offset();
            rest = &rest[batch.bytes().len()..];
        }
        Ok(Replayed { whole: bytes.len() - rest.len(), end_offset })
    }

    fn replay_batch(&mut self, batch: &BatchView<'_>, position: usize) -> Result<(), MetadataLogError> {
        if batch.leader_epoch() > self.last_epoch() {
            self.epochs.assign(batch.leader_epoch(), batch.base_offset());
            self.epoch_position = position;
        }
        if batch.is_control() {
            self.quorum.replay(batch);
        } else {
            replay_records(&mut self.image, batch.base_offset(), batch)?;
        }
        self.image.skip_to(batch.next_offset());
        self.bytes_since_snapshot += batch.bytes().len() as u64;
        Ok(())
    }
}

/// Whether the log goes on from a snapshot.
fn reaches(id: &SnapshotId, log_start: Option<i64>) -> bool {
    log_start.is_none_or(|start| id.end_offset >= start)
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
