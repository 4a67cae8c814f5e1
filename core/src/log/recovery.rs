//! After a crash, before anything is served: every log is brought to what was acked, synced, and the commit logs are emptied.
//!
//! | partition | trusted | then |
//! |---|---|---|
//! | has entries in a commit log | up to its synced point | cut there, rewritten from the entries |
//! | has none | up to its synced point | batches behind it are kept while their CRC is right, the rest is cut |
//!
//! The synced point is the highest of Kafka's recovery point, what a checkpoint of the store noted, and what an entry
//! "in segment" says.
//!
//! Invariants:
//! - Nothing below a synced point is cut: what cannot be read there is reported, and the broker does not start.
//! - A crash in here is harmless: the commit logs are removed when all they hold is synced and the checkpoints say so.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ahash::AHashMap;
use bytes::Bytes;
use uuid::Uuid;

use super::checkpoint::{CLEAN_SHUTDOWN_FILE, encode_clean_shutdown};
use super::checkpoints::{self, ClosedLog, SyncedPoints};
use super::commit_log::{self, EntryHeader, EntryKind, RecoverError, RecoverMode};
use super::descriptors::{Descriptors, FileKind, segment_path};
use super::error::StoreError;
use super::header::BatchHeader;
use super::log::{Log, offset_of_file, remove_stale_folder, snapshot_path};
use super::scan::{BatchScan, ScanEnd};
use super::segment::Segment;
use super::{LogKey, LogSpec};
use crate::reactor::{Disk, replace_file};

/// Folder of the commit logs in the log directory. While it is there, Apache Kafka refuses the directory.
pub const COMMIT_LOG_FOLDER: &str = ".ringlog";
/// Descriptors that recovery holds.
const OPEN_FILES_MAX: usize = 128;
/// Bytes of replayed batches that wait in memory.
const REPLAY_BYTES_MAX: usize = 16 << 20;

/// What recovery did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries of commit logs that were written into segments.
    pub replayed_entries: u64,
    /// Entries that were skipped: synced before, or of topics that are gone.
    pub skipped_entries: u64,
    /// Bytes that were cut behind the last good batch of logs without entries.
    pub cut_bytes: u64,
}

/// Makes the log directory ready to be served from, before any [`LogStore`](super::LogStore) is opened on it: after a
/// crash, brings the logs of `specs` (all there are) to what was acked. Blocking; start-up only.
///
/// `__cluster_metadata-0` is not among them: it is synced itself and was read before, to know `specs`.
pub fn start_log_dir(
    disk: &Rc<dyn Disk>,
    log_dir: &Path,
    specs: &[LogSpec],
    now_ms: i64,
) -> Result<Recovered, StoreError> {
    let io_error = |source| StoreError::Io { path: log_dir.to_owned(), source };
    let clean_mark = log_dir.join(CLEAN_SHUTDOWN_FILE);
    let dir = log_dir.join(COMMIT_LOG_FOLDER);
    let recovered = if disk.exists(&clean_mark) && !disk.exists(&dir) {
        Recovered::default()
    } else {
        let mut recovery = Recovery::new(disk, log_dir, specs, now_ms)?;
        recovery.survey()?;
        recovery.open_all()?;
        recovery.replay()?;
        recovery.finish()?
    };
    disk.create_dir_all(&dir).map_err(io_error)?;
    disk.sync_dir(log_dir).map_err(io_error)?;
    // From here on a topic may be deleted and made again: offsets are noted by id.
    let known = checkpoints::read_known(disk, log_dir)?;
    let mut points = SyncedPoints::default();
    for spec in specs {
        if let Some((start, end)) = known.get(&(spec.topic_name.clone(), spec.partition_index)) {
            points.set(spec.topic_id, spec.partition_index, *start, *end);
        }
    }
    let path = dir.join(SyncedPoints::START_FILE);
    replace_file(disk, &path, points.encode().as_bytes()).map_err(io_error)?;
    match disk.remove_file(&clean_mark) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
        _ => {}
    }
    disk.sync_dir(log_dir).map_err(io_error)?;
    Ok(recovered)
}

/// The last step of a clean stop, when the stores of all shards were closed: Kafka's checkpoints and clean mark are
/// written, then the commit logs' folder is removed, in this order. Kafka can be started on the directory from then on.
pub fn finish_clean_stop(
    disk: &Rc<dyn Disk>,
    log_dir: &Path,
    logs: &[ClosedLog],
    broker_epoch: i64,
) -> Result<(), StoreError> {
    let io_error = |source| StoreError::Io { path: log_dir.to_owned(), source };
    checkpoints::write_checkpoints(disk, log_dir, logs)?;
    let dir = log_dir.join(COMMIT_LOG_FOLDER);
    commit_log::remove_all(disk, &dir).map_err(io_error)?;
    replace_file(disk, &log_dir.join(CLEAN_SHUTDOWN_FILE), encode_clean_shutdown(broker_epoch).as_bytes())
        .map_err(io_error)?;
    match disk.remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
        _ => {}
    }
    disk.sync_dir(log_dir).map_err(io_error)
}

/// One partition on its way back.
#[derive(Debug)]
struct Recovering<'a> {
    spec: &'a LogSpec,
    log_start_offset: i64,
    /// Everything below is in segments and synced.
    synced: i64,
    /// The commit log holds what comes behind.
    in_commit_log: bool,
    log: Option<Log>,
}

struct Recovery<'a> {
    disk: Rc<dyn Disk>,
    log_dir: PathBuf,
    now_ms: i64,
    files: Descriptors,
    partitions: Vec<Recovering<'a>>,
    by_id: AHashMap<(Uuid, i32), usize>,
    waiting_bytes: usize,
    /// Synced points are known by the topics' names only.
    by_name: bool,
    result: Recovered,
}

impl<'a> Recovery<'a> {
    fn new(disk: &Rc<dyn Disk>, log_dir: &Path, specs: &'a [LogSpec], now_ms: i64) -> Result<Self, StoreError> {
        let dir = log_dir.join(COMMIT_LOG_FOLDER);
        let noted = SyncedPoints::read_all(disk, &dir)?;
        // Once offsets were noted by topic id, those by name may be of a topic that was deleted since.
        let by_name = !disk.exists(&dir.join(SyncedPoints::START_FILE));
        let mut known = if by_name { checkpoints::read_known(disk, log_dir)? } else { Default::default() };
        let mut partitions = Vec::with_capacity(specs.len());
        let mut by_id = AHashMap::with_capacity(specs.len());
        for spec in specs {
            let (start, end) = known.remove(&(spec.topic_name.clone(), spec.partition_index)).unwrap_or((0, 0));
            let (noted_start, noted_end) = noted.of(spec.topic_id, spec.partition_index).unwrap_or((0, 0));
            by_id.insert((spec.topic_id, spec.partition_index), partitions.len());
            partitions.push(Recovering {
                spec,
                log_start_offset: start.max(noted_start),
                synced: end.max(noted_end),
                in_commit_log: false,
                log: None,
            });
        }
        Ok(Self {
            disk: Rc::clone(disk),
            log_dir: log_dir.to_owned(),
            now_ms,
            files: Descriptors::new(Rc::clone(disk), OPEN_FILES_MAX),
            partitions,
            by_id,
            waiting_bytes: 0,
            by_name,
            result: Recovered::default(),
        })
    }

    fn walk_commit_logs(
        &mut self,
        mut apply: impl FnMut(&mut Self, EntryHeader, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (disk, dir) = (Rc::clone(&self.disk), self.log_dir.join(COMMIT_LOG_FOLDER));
        let mut call = |header: EntryHeader, payload: &[u8]| apply(self, header, payload);
        match commit_log::recover(&disk, &dir, RecoverMode::Refuse, &mut call) {
            Ok(_) => Ok(()),
            Err(RecoverError::Apply(error)) => Err(error),
            Err(error) => Err(StoreError::CommitLog(error.to_string())),
        }
    }

    /// First walk: which partitions have entries, and up to where segments were synced besides.
    fn survey(&mut self) -> Result<(), StoreError> {
        self.walk_commit_logs(|recovery, header, _| {
            if let Some(partition) = recovery.partition(&header) {
                match header.kind {
                    EntryKind::Batch => partition.in_commit_log |= header.end_offset > partition.synced,
                    EntryKind::InSegment | EntryKind::SyncFromHere | EntryKind::PageCacheFromHere => {
                        partition.synced = partition.synced.max(header.end_offset);
                    }
                }
            }
            Ok(())
        })
    }

    fn partition(&mut self, header: &EntryHeader) -> Option<&mut Recovering<'a>> {
        let index = *self.by_id.get(&(header.topic_id, header.partition_index))?;
        Some(&mut self.partitions[index])
    }

    fn open_all(&mut self) -> Result<(), StoreError> {
        for index in 0..self.partitions.len() {
            let partition = &mut self.partitions[index];
            if remove_stale_folder(&self.disk, &self.log_dir, partition.spec)? && self.by_name {
                (partition.log_start_offset, partition.synced) = (0, 0);
            }
            let dir = self.log_dir.join(partition.spec.folder());
            if !partition.in_commit_log && !self.disk.exists(&dir) && partition.synced == 0 {
                continue;
            }
            let key = LogKey(index as u32);
            let mut log = Log::empty(key, partition.spec, &self.log_dir, partition.log_start_offset);
            let cut = log.recover(partition.synced, partition.in_commit_log, self.now_ms, &mut self.files)?;
            self.result.cut_bytes += cut;
            self.partitions[index].log = Some(log);
        }
        Ok(())
    }

    /// Second walk: the entries are appended again.
    fn replay(&mut self) -> Result<(), StoreError> {
        self.walk_commit_logs(|recovery, header, payload| {
            if header.kind != EntryKind::Batch {
                return Ok(());
            }
            recovery.replay_entry(&header, payload)
        })?;
        self.write_tails()
    }

    fn replay_entry(&mut self, entry: &EntryHeader, payload: &[u8]) -> Result<(), StoreError> {
        let Some(index) = self.by_id.get(&(entry.topic_id, entry.partition_index)).copied() else {
            self.result.skipped_entries += 1;
            return Ok(());
        };
        let partition = &mut self.partitions[index];
        let Some(log) =
            partition.log.as_mut().filter(|log| entry.base_offset >= log.log_end_offset.min(partition.synced))
        else {
            self.result.skipped_entries += 1;
            return Ok(());
        };
        let corrupt = |log: &Log, reason: String| StoreError::Corrupt {
            path: log.dir.clone(),
            offset: log.log_end_offset,
            reason,
        };
        if entry.end_offset <= partition.synced {
            self.result.skipped_entries += 1;
            return Ok(());
        }
        if entry.base_offset != log.log_end_offset {
            return Err(corrupt(log, format!("the commit log goes on at {}", entry.base_offset)));
        }
        let header = BatchHeader::parse(payload)
            .filter(|header| header.base_offset == entry.base_offset && header.size_bytes as usize == payload.len())
            .ok_or_else(|| corrupt(log, "the commit log's entry is no batch".to_owned()))?;
        log.replay(&header, Bytes::copy_from_slice(payload), self.now_ms, &mut self.files)
            .map_err(|error| log.io_error(error))?;
        self.result.replayed_entries += 1;
        self.waiting_bytes += payload.len();
        if self.waiting_bytes > REPLAY_BYTES_MAX {
            self.write_tails()?;
        }
        Ok(())
    }

    fn write_tails(&mut self) -> Result<(), StoreError> {
        for log in self.partitions.iter_mut().filter_map(|partition| partition.log.as_mut()) {
            if let Some(error) = log.write_tail(&mut self.files).error {
                return Err(log.io_error(error));
            }
        }
        self.waiting_bytes = 0;
        Ok(())
    }

    /// Seals every log, syncs everything, and then lets go of the commit logs.
    fn finish(mut self) -> Result<Recovered, StoreError> {
        let mut closed = Vec::with_capacity(self.partitions.len());
        for partition in &mut self.partitions {
            let (mut log_start_offset, mut log_end_offset) = (partition.log_start_offset, partition.synced);
            if let Some(log) = &mut partition.log {
                log.ready_folder(&mut self.files).map_err(|error| log.io_error(error))?;
                log.seal(&mut self.files).map_err(|error| log.io_error(error))?;
                (log_start_offset, log_end_offset) = (log.log_start_offset, log.log_end_offset);
            }
            closed.push(ClosedLog {
                topic_name: partition.spec.topic_name.clone(),
                partition_index: partition.spec.partition_index,
                log_start_offset,
                log_end_offset,
            });
        }
        let io_error = |source| StoreError::Io { path: self.log_dir.clone(), source };
        self.disk.sync_all(&self.log_dir).map_err(io_error)?;
        checkpoints::write_checkpoints(&self.disk, &self.log_dir, &closed)?;
        let dir = self.log_dir.join(COMMIT_LOG_FOLDER);
        commit_log::remove_all(&self.disk, &dir).map_err(io_error)?;
        match self.disk.remove_dir_all(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
            _ => {}
        }
        self.disk.sync_dir(&self.log_dir).map_err(io_error)?;
        Ok(self.result)
    }
}

impl Log {
    /// Opens the folder after a crash: batches below `synced` are trusted, those behind it are kept while their CRC is right,
    /// or cut at once with `cut` (the commit log has them). Returns the bytes cut.
    fn recover(&mut self, synced: i64, cut: bool, now_ms: i64, files: &mut Descriptors) -> Result<u64, StoreError> {
        let names = self.list_files(files)?;
        // `partition.metadata` may be torn: it is written anew.
        self.folder_ready = false;
        if self.segments.is_empty() {
            self.segments.push(Segment::new(self.log_start_offset, now_ms));
        }
        self.log_start_offset = self.log_start_offset.max(self.segments[0].base_offset);
        self.log_end_offset = self.segments[0].base_offset;
        self.load_leader_epochs(i64::MAX, files)?;
        let mut cut_bytes = 0;
        let mut index = self.segment_index(synced.max(self.segments[0].base_offset));
        if index > 0 && self.segments[index].base_offset == synced {
            // Its predecessor is not looked at: it ends where this one begins.
            self.log_end_offset = synced;
        }
        while index < self.segments.len() {
            let (bytes, whole) = self.recover_segment(index, synced, cut, now_ms, files)?;
            cut_bytes += bytes;
            if !whole {
                self.remove_segments_behind(index, files).map_err(|error| self.io_error(error))?;
                break;
            }
            index += 1;
        }
        if self.log_end_offset < synced {
            return Err(self.corrupt(format!("ends here, and was synced up to {synced}")));
        }
        self.leader_epochs.truncate_from_end(self.log_end_offset);
        for offset in names.iter().filter_map(|name| offset_of_file(name, ".snapshot")) {
            if offset > self.log_end_offset {
                let path = snapshot_path(&self.dir, offset);
                files.disk().remove_file(&path).map_err(|error| self.io_error(error))?;
            }
        }
        let names: Vec<String> = names
            .into_iter()
            .filter(|name| offset_of_file(name, ".snapshot").is_none_or(|offset| offset <= self.log_end_offset))
            .collect();
        self.load_producers(&names, files)?;
        Ok(cut_bytes)
    }

    fn corrupt(&self, reason: String) -> StoreError {
        StoreError::Corrupt { path: self.dir.clone(), offset: self.log_end_offset, reason }
    }

    /// Walks one segment and makes its indexes again. Returns the bytes cut, and whether the next segment may follow.
    fn recover_segment(
        &mut self,
        index: usize,
        synced: i64,
        cut: bool,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<(u64, bool), StoreError> {
        let base_offset = self.segments[index].base_offset;
        if base_offset > self.log_end_offset && index > 0 && self.log_end_offset != self.segments[0].base_offset {
            return if self.log_end_offset < synced {
                Err(self.corrupt(format!("the next segment begins at {base_offset}")))
            } else {
                self.cut_segment(index, 0, files)
            };
        }
        self.log_end_offset = base_offset;
        let path = segment_path(&self.dir, base_offset, FileKind::Log);
        let io_error = |source: io::Error| StoreError::Io { path: path.clone(), source };
        let id = self.segments[index].file_id(self.key, FileKind::Log);
        let file = match files.file(&self.dir, id, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, true)),
            Err(error) => return Err(io_error(error)),
        };
        let size = file.len().map_err(io_error)?;
        self.segments[index].reset(now_ms);
        let mut scan = BatchScan::new(file, 0, size);
        let config = self.config.clone();
        loop {
            let below = self.log_end_offset < synced;
            if !below && cut {
                break;
            }
            let next = if below { scan.next_header() } else { scan.next_checked() };
            let Some((header, position)) = next.map_err(io_error)? else { break };
            // Compaction leaves holes, never a step back.
            if header.base_offset < self.log_end_offset || (below && header.last_offset() >= synced) {
                return if below {
                    Err(self.corrupt(format!("a batch of {} at byte {position}", header.base_offset)))
                } else {
                    self.cut_segment(index, position, files)
                };
            }
            self.segments[index].append(&header, &config);
            self.leader_epochs.assign(header.leader_epoch, header.base_offset);
            self.log_end_offset = header.last_offset() + 1;
        }
        if scan.position() == size && scan.end() == ScanEnd::Clean {
            return Ok((0, true));
        }
        if self.log_end_offset < synced {
            return Err(self.corrupt(format!("no whole batch at byte {} of {}", scan.position(), path.display())));
        }
        self.cut_segment(index, scan.position(), files)
    }

    fn cut_segment(&mut self, index: usize, position: u64, files: &mut Descriptors) -> Result<(u64, bool), StoreError> {
        let id = self.segments[index].file_id(self.key, FileKind::Log);
        let result = files.file(&self.dir, id, false).and_then(|file| {
            let bytes = file.len()? - position;
            file.set_len(position).map(|()| bytes)
        });
        Ok((result.map_err(|error| self.io_error(error))?, false))
    }

    /// Removes the segments behind `index`, and that one too when nothing is left in it and another one is before it.
    fn remove_segments_behind(&mut self, index: usize, files: &mut Descriptors) -> io::Result<()> {
        let mut keep = index + 1;
        if index > 0 && self.segments[index].size_bytes().unwrap_or(0) == 0 {
            keep = index;
        }
        while self.segments.len() > keep {
            let segment = self.segments.pop().expect("longer than what is kept");
            files.forget(self.key, segment.base_offset);
            for kind in FileKind::ALL {
                match files.disk().remove_file(&segment_path(&self.dir, segment.base_offset, kind)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        self.segments.last_mut().expect("one is kept").load(self.key, &self.dir, files)
    }

    /// Appends a batch of the commit log: it was checked when it was first appended.
    fn replay(&mut self, header: &BatchHeader, payload: Bytes, now_ms: i64, files: &mut Descriptors) -> io::Result<()> {
        let config = self.config.clone();
        if self.active().must_roll(&config, header.size_bytes, header.max_timestamp, header.last_offset(), now_ms) {
            if let Some(error) = self.write_tail(files).error {
                return Err(error);
            }
            self.roll(now_ms, files)?;
        }
        self.append(header, payload, Bytes::new(), false);
        Ok(())
    }
}
