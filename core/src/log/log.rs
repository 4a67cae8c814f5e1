//! One partition's log: its segments in order, its offsets, and what is known about its producers.
//!
//! It never knows which offsets were acked: the store does. Nothing here waits for the device.
//!
//! Invariants:
//! - `segments` is never empty and sorted; the last one is active. A segment ends where the next one begins.
//! - `log_start_offset <= written_end_offset() <= log_end_offset`; what lies between the last two is the tail.
//! - The segment file holds no byte behind the written end that could be taken for a batch later: a failed write is cut back.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use uuid::Uuid;

use super::descriptors::{Descriptors, FileKind, segment_path};
use super::error::StoreError;
use super::leader_epoch_cache::{LEADER_EPOCH_FILE, LeaderEpochCache};
use super::partition_metadata::{PARTITION_METADATA_FILE, decode_partition_metadata, encode_partition_metadata};
use super::producer_state::ProducerState;
use super::scan::{BatchScan, ScanEnd};
use super::segment::{Segment, read_offset_entry};
use super::tail::Tail;
use super::{LogConfig, LogKey, LogSpec};
use crate::reactor::Disk;

/// One open log.
#[derive(Debug)]
pub(crate) struct Log {
    pub key: LogKey,
    pub dir: PathBuf,
    pub topic_id: Uuid,
    pub config: LogConfig,
    /// The folder and its `partition.metadata` are there.
    pub folder_ready: bool,
    pub segments: Vec<Segment>,
    pub log_start_offset: i64,
    /// Offset of the next batch.
    pub log_end_offset: i64,
    pub producers: ProducerState,
    pub leader_epochs: LeaderEpochCache,
    pub tail: Tail,
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
    /// Where recent reads ended: the next one goes on there without a look at the index.
    pub read_hints: [Option<ReadHint>; 4],
    pub next_hint: usize,
}

/// A batch that begins at this offset (or the first one behind it) begins at this position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadHint {
    pub offset: i64,
    pub segment: i64,
    pub position: u64,
}

impl Log {
    /// Opens what lies in the partition's folder, trusting all of it, or starts empty. After a crash, recovery comes first.
    pub fn open(
        key: LogKey,
        spec: &LogSpec,
        log_dir: &Path,
        log_start_offset: Option<i64>,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<Self, StoreError> {
        let mut log = Self::empty(key, spec, log_dir, log_start_offset.unwrap_or(0));
        log.load(now_ms, files)?;
        Ok(log)
    }

    /// A log of which nothing was looked at. It has no segment yet.
    pub fn empty(key: LogKey, spec: &LogSpec, log_dir: &Path, log_start_offset: i64) -> Self {
        Self {
            key,
            dir: log_dir.join(spec.folder()),
            topic_id: spec.topic_id,
            config: spec.config.clone(),
            folder_ready: false,
            segments: Vec::new(),
            log_start_offset,
            log_end_offset: 0,
            producers: ProducerState::default(),
            leader_epochs: LeaderEpochCache::default(),
            tail: Tail::default(),
            undo: Vec::new(),
            stopped: None,
            blocked: false,
            new_names: false,
            unsynced: Vec::new(),
            read_hints: [None; 4],
            next_hint: 0,
        }
    }

    pub fn io_error(&self, source: io::Error) -> StoreError {
        StoreError::Io { path: self.dir.clone(), source }
    }

    fn load(&mut self, now_ms: i64, files: &mut Descriptors) -> Result<(), StoreError> {
        let names = self.list_files(files)?;
        if self.segments.is_empty() {
            self.segments.push(Segment::new(self.log_start_offset, now_ms));
        }
        self.log_start_offset = self.log_start_offset.max(self.segments[0].base_offset);
        self.load_active(files)?;
        self.load_leader_epochs(self.log_end_offset, files)?;
        self.load_producers(&names, files)
    }

    /// Names in the partition's folder. Takes in the segments among them.
    pub fn list_files(&mut self, files: &Descriptors) -> Result<Vec<String>, StoreError> {
        let names: Vec<String> = match files.disk().list_dir(&self.dir) {
            Ok(entries) => entries.into_iter().map(|entry| entry.name).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(self.io_error(error)),
        };
        self.folder_ready = names.iter().any(|name| name == PARTITION_METADATA_FILE);
        let mut bases: Vec<i64> = names.iter().filter_map(|name| offset_of_file(name, ".log")).collect();
        bases.sort_unstable();
        self.segments = bases.into_iter().map(Segment::unopened).collect();
        Ok(names)
    }

    /// Finds the log end: a short walk from the active segment's last index entry.
    fn load_active(&mut self, files: &mut Descriptors) -> Result<(), StoreError> {
        let (key, dir) = (self.key, self.dir.clone());
        let active = self.segments.last_mut().expect("a log has a segment");
        let base_offset = active.base_offset;
        let io_error = |source| StoreError::Io { path: segment_path(&dir, base_offset, FileKind::Log), source };
        active.load(key, &dir, files).map_err(io_error)?;
        self.log_end_offset = base_offset;
        let size = active.size_bytes().expect("loaded");
        if size == 0 {
            return Ok(());
        }
        let file = files.file(&dir, active.file_id(key, FileKind::Log), false).map_err(io_error)?;
        let mut first = BatchScan::new(file.clone(), 0, size);
        if let Some((header, _)) = first.next_header().map_err(io_error)? {
            active.set_first_timestamp(header.max_timestamp);
        }
        let mut scan = BatchScan::new(file, active.last_indexed_position(), size);
        while let Some((header, _)) = scan.next_header().map_err(io_error)? {
            self.log_end_offset = header.last_offset() + 1;
        }
        if scan.end() != ScanEnd::Clean {
            let path = segment_path(&dir, base_offset, FileKind::Log);
            let reason = format!("no whole batch at byte {} of {size}", scan.position());
            return Err(StoreError::Corrupt { path, offset: self.log_end_offset, reason });
        }
        Ok(())
    }

    /// Reads the epochs that began below `log_end_offset`.
    pub fn load_leader_epochs(&mut self, log_end_offset: i64, files: &mut Descriptors) -> Result<(), StoreError> {
        let path = self.dir.join(LEADER_EPOCH_FILE);
        match crate::reactor::read_file(files.disk(), &path) {
            Ok(bytes) => match LeaderEpochCache::decode(&bytes) {
                Ok(cache) => self.leader_epochs = cache,
                Err(error) => tracing::warn!(path = %path.display(), %error, "leader epochs are made again"),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(self.io_error(error)),
        }
        self.leader_epochs.truncate_from_end(log_end_offset);
        Ok(())
    }

    /// Producer state: the newest snapshot that is readable, and the batches behind it.
    pub fn load_producers(&mut self, names: &[String], files: &mut Descriptors) -> Result<(), StoreError> {
        let mut snapshots: Vec<i64> = names.iter().filter_map(|name| offset_of_file(name, ".snapshot")).collect();
        snapshots.retain(|offset| *offset <= self.log_end_offset);
        snapshots.sort_unstable();
        let mut from = self.segments[0].base_offset;
        self.producers = ProducerState::default();
        for offset in snapshots.into_iter().rev() {
            let bytes = crate::reactor::read_file(files.disk(), &snapshot_path(&self.dir, offset))
                .map_err(|error| self.io_error(error))?;
            match ProducerState::decode(&bytes) {
                Ok(state) => {
                    self.producers = state;
                    from = offset;
                    break;
                }
                Err(error) => tracing::warn!(folder = %self.dir.display(), offset, %error, "snapshot is not used"),
            }
        }
        self.replay_producers(from, files).map_err(|error| self.io_error(error))
    }

    fn replay_producers(&mut self, from: i64, files: &mut Descriptors) -> io::Result<()> {
        if from >= self.log_end_offset {
            return Ok(());
        }
        for index in self.segment_index(from)..self.segments.len() {
            let segment = &mut self.segments[index];
            segment.load(self.key, &self.dir, files)?;
            let size = segment.size_bytes().expect("loaded");
            if size == 0 {
                continue;
            }
            let start = position_floor(segment, self.key, &self.dir, from, files)?;
            let file = files.file(&self.dir, segment.file_id(self.key, FileKind::Log), false)?;
            let mut scan = BatchScan::new(file, start, size);
            while let Some((header, _)) = scan.next_header()? {
                if header.base_offset >= from
                    && let Some(batch) = header.producer_batch()
                {
                    let _ = self.producers.update(&batch);
                }
            }
        }
        Ok(())
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
        self.tail.first_offset().unwrap_or(self.log_end_offset)
    }

    /// Makes the folder with its `partition.metadata`, before the first segment of it.
    pub fn ready_folder(&mut self, files: &mut Descriptors) -> io::Result<()> {
        if self.folder_ready {
            return Ok(());
        }
        files.disk().create_dir_all(&self.dir)?;
        self.new_names = true;
        write_whole(
            files,
            &self.dir.join(PARTITION_METADATA_FILE),
            encode_partition_metadata(self.topic_id).as_bytes(),
        )?;
        self.folder_ready = true;
        Ok(())
    }

    /// Ends the active segment and begins the next one at the log end. The tail is empty.
    pub fn roll(&mut self, now_ms: i64, files: &mut Descriptors) -> io::Result<()> {
        assert!(self.tail.is_empty(), "a segment ends with what is in it");
        let (key, dir, end) = (self.key, self.dir.clone(), self.log_end_offset);
        assert!(end > self.active().base_offset, "an empty segment does not roll");
        self.active().seal(key, &dir, files)?;
        self.write_snapshot(files)?;
        self.write_leader_epochs(files)?;
        self.segments.push(Segment::new(end, now_ms));
        Ok(())
    }

    /// Writes the producer snapshot of the log end.
    pub fn write_snapshot(&mut self, files: &Descriptors) -> io::Result<()> {
        write_whole(files, &snapshot_path(&self.dir, self.log_end_offset), &self.producers.encode())
    }

    /// Writes `leader-epoch-checkpoint`.
    pub fn write_leader_epochs(&self, files: &Descriptors) -> io::Result<()> {
        write_whole(files, &self.dir.join(LEADER_EPOCH_FILE), self.leader_epochs.encode().as_bytes())
    }

    /// Leaves the folder as Kafka does at a clean stop. Nothing is synced here.
    pub fn seal(&mut self, files: &mut Descriptors) -> io::Result<()> {
        assert!(self.tail.is_empty());
        if !self.folder_ready {
            return Ok(());
        }
        let (key, dir) = (self.key, self.dir.clone());
        files.file(&dir, self.active().file_id(key, FileKind::Log), true)?;
        self.active().seal(key, &dir, files)?;
        self.write_leader_epochs(files)?;
        if self.log_end_offset > 0 {
            self.write_snapshot(files)?;
        }
        self.remove_stray_snapshots(files)
    }

    /// Snapshots are of segment bases and of the log end.
    fn remove_stray_snapshots(&self, files: &Descriptors) -> io::Result<()> {
        for entry in files.disk().list_dir(&self.dir)? {
            if let Some(offset) = offset_of_file(&entry.name, ".snapshot")
                && offset != self.log_end_offset
                && !self.segments.iter().any(|segment| segment.base_offset == offset)
            {
                files.disk().remove_file(&self.dir.join(&entry.name))?;
            }
        }
        Ok(())
    }

    /// The largest timestamp of the log and the offset of the batch that holds it (its last record).
    pub fn max_timestamp(&mut self, files: &mut Descriptors) -> io::Result<Option<(i64, i64)>> {
        let mut best: Option<(i64, i64)> = None;
        for index in 0..self.segments.len() {
            self.segments[index].load(self.key, &self.dir, files)?;
            let segment = &self.segments[index];
            if segment.max_timestamp >= 0 && best.is_none_or(|(timestamp, _)| segment.max_timestamp > timestamp) {
                best = Some((segment.max_timestamp, segment.max_timestamp_offset));
            }
        }
        Ok(best)
    }
}

/// Removes a folder that an earlier topic of the same name left behind. Returns whether there was one.
pub(crate) fn remove_stale_folder(disk: &Rc<dyn Disk>, log_dir: &Path, spec: &LogSpec) -> Result<bool, StoreError> {
    let dir = log_dir.join(spec.folder());
    let io_error = |source| StoreError::Io { path: dir.clone(), source };
    let bytes = match crate::reactor::read_file(disk, &dir.join(PARTITION_METADATA_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(io_error(error)),
    };
    match decode_partition_metadata(&bytes) {
        Ok(topic_id) if topic_id != spec.topic_id => {
            tracing::warn!(folder = %dir.display(), %topic_id, "removed: of a topic that was deleted");
            disk.remove_dir_all(&dir).map_err(io_error)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// A position in the segment from which to walk to the batch that holds `offset`.
pub(crate) fn position_floor(
    segment: &Segment,
    key: LogKey,
    dir: &Path,
    offset: i64,
    files: &mut Descriptors,
) -> io::Result<u64> {
    let mut index = None;
    segment.floor_position(offset, |entry| {
        let file = match &index {
            Some(file) => file,
            None => index.insert(files.file(dir, segment.file_id(key, FileKind::OffsetIndex), false)?),
        };
        read_offset_entry(file, entry)
    })
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

/// Replaces a small file so that a process crash leaves the old or the new one. Durable with the next sync of all.
pub(crate) fn write_whole(files: &Descriptors, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let file = crate::reactor::File::open(files.disk(), &temporary, crate::reactor::OpenMode::REWRITE)?;
    file.write_all_at(0, bytes)?;
    files.disk().rename(&temporary, path)
}
