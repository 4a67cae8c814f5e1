//! After a crash, before anything is served: what was acked is brought from the commit logs into the segments, synced,
//! and the commit logs are emptied. It costs what the commit logs hold, not what the segments hold.
//!
//! | partition | now | when it is first used |
//! |---|---|---|
//! | has entries in a commit log | cut at its synced point, rewritten from the entries | opened up to there |
//! | the same, of class sync | they are carried over the start (`carried`), most of them where they lie | cut and rewritten |
//! | class sync, has none | nothing | opened up to its synced point, the rest was never acked and is cut |
//! | class page-cache, or not known | batches behind the synced point are kept while their CRC is right | opened up to there |
//! | class page-cache, on the page cache that it was written to | whole batches are kept | opened up to there |
//!
//! What an earlier start has carried counts as if it were the beginning of the commit logs. Files of one start only are kept
//! for what is carried: those of an earlier one, or the commit logs, whichever hold more of it. The rest is copied.
//!
//! Logs of class page-cache are not synced here: they are promised up to their synced point as before.
//!
//! The synced point is the highest of Kafka's recovery point, what a checkpoint of the store noted, and what an entry
//! "in segment" says.
//!
//! Invariants:
//! - Nothing below a synced point is cut: what cannot be read there is reported, and the broker does not start, or does
//!   not serve that partition.
//! - A crash in here is harmless: the commit logs are set aside when all they hold is synced, and the points say so, or
//!   carried.
//! - What is not synced has no new synced point, and without one a log is noted as synced only with its folder.

mod partition;
mod segments;

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ahash::AHashMap;
use bytes::Bytes;
use uuid::Uuid;

use self::partition::{Found, Recovering};
use self::segments::check_range;
use super::carried::{Carried, NewCarried, Sources, batch_of};
use super::checkpoint::{CLEAN_SHUTDOWN_FILE, encode_clean_shutdown};
use super::checkpoints::{self, ClosedLog};
use super::commit_log::{
    self, EntryHeader, EntryKind, FoundRun, RecoverError, RecoverMode, Run, SegmentRange, VerifiedLogs,
};
use super::descriptors::Descriptors;
use super::error::StoreError;
use super::failure::{forget_failed_sync, has_failed_sync, note_failed_sync};
use super::header::BatchHeader;
use super::log::{Log, make_way};
use super::open::Behind;
use super::page_cache::{is_same_page_cache, mark_page_cache};
use super::planted::{PlantedBug, is_planted};
use super::synced_points::{SyncedPoint, SyncedPoints};
use super::{Durability, LogKey, LogSpec};
use crate::reactor::{Disk, File, OpenMode, replace_file};

/// Folder of the commit logs in the log directory. While it is there, Apache Kafka refuses the directory.
pub const COMMIT_LOG_FOLDER: &str = ".ringlog";
/// How the folder of a deleted partition's name ends, until it is removed: `<topic>-<partition>.<id>-delete`.
pub(crate) const DELETED_SUFFIX: &str = "-delete";
/// Descriptors that recovery holds.
const OPEN_FILES_MAX: usize = 128;
/// Bytes of replayed batches that wait in memory.
const REPLAY_BYTES_MAX: usize = 16 << 20;

/// Bytes of one log, and of all, that are copied to be carried. What is more is written into segments at the start.
const COPIED_LOG_BYTES_MAX: u64 = 4 << 20;
const COPIED_BYTES_MAX: u64 = 128 << 20;

/// Up to so many logs are synced one by one; more with the whole file system, on which others may have much to write.
const SYNCED_ALONE_MAX: usize = 64;

/// What recovery did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries of commit logs that were written into segments.
    pub replayed_entries: u64,
    /// Entries that were skipped: synced before, or of topics that are gone.
    pub skipped_entries: u64,
    /// Bytes that were cut behind the last good batch of a log.
    pub cut_bytes: u64,
}

/// Whether the log directory was stopped cleanly, by Ringlog or by Kafka.
pub fn is_clean(disk: &Rc<dyn Disk>, log_dir: &Path) -> bool {
    disk.exists(&log_dir.join(CLEAN_SHUTDOWN_FILE)) && !disk.exists(&log_dir.join(COMMIT_LOG_FOLDER))
}

/// Makes the log directory one that is in use, durably: from now on it is not clean, and Apache Kafka refuses it. Blocking.
///
/// To be called before anything is written at a start, so that what is torn in a clean directory is known to be damage.
pub fn mark_in_use(disk: &Rc<dyn Disk>, log_dir: &Path) -> Result<(), StoreError> {
    let dir = log_dir.join(COMMIT_LOG_FOLDER);
    // Points are noted in a folder that is durable.
    if disk.exists(&dir.join(SyncedPoints::START_FILE)) {
        return Ok(());
    }
    let marked = disk.create_dir_all(&dir).and_then(|()| disk.sync_dir(log_dir));
    marked.map_err(|source| StoreError::Io { path: log_dir.to_owned(), source })
}

/// Whether the logs are as a clean stop left them, though the directory may be in use: a start was cut short before it
/// had noted its points, or a stop behind its mark.
fn has_clean_logs(disk: &Rc<dyn Disk>, log_dir: &Path) -> bool {
    disk.exists(&log_dir.join(CLEAN_SHUTDOWN_FILE))
        && !disk.exists(&log_dir.join(COMMIT_LOG_FOLDER).join(SyncedPoints::START_FILE))
}

/// Makes the log directory ready to be served from, before any [`LogStore`](super::LogStore) is opened on it: after a
/// crash, brings the logs of `specs` (all there are) to what was acked. Blocking; start-up only.
///
/// From `carried_logs_min` logs on, what the commit logs hold for them is carried over the start and not written into
/// segments, see [`StoreConfig`](super::StoreConfig).
///
/// `__cluster_metadata-0` is not among them: it is synced itself and was read before, to know `specs`.
pub fn start_log_dir(
    disk: &Rc<dyn Disk>,
    log_dir: &Path,
    specs: &[LogSpec],
    now_ms: i64,
    carried_logs_min: usize,
) -> Result<Recovered, StoreError> {
    let io_error = |source| StoreError::Io { path: log_dir.to_owned(), source };
    let dir = log_dir.join(COMMIT_LOG_FOLDER);
    remove_deleted_folders(disk, log_dir).map_err(io_error)?;
    // One of its folder and the clean mark is there at any time: without both it looks like a crash of Kafka's.
    mark_in_use(disk, log_dir)?;
    let Outcome { points, written, carried, recovered } = if has_clean_logs(disk, log_dir) {
        let mut points = points_by_name(disk, log_dir, specs)?;
        points.from_clean_stop = true;
        Outcome { points, ..Outcome::default() }
    } else {
        let mut recovery = Recovery::new(disk, log_dir, specs, now_ms)?;
        note_failed_sync(disk, log_dir).map_err(io_error)?;
        let mut logs = recovery.verify_commit_logs()?;
        recovery.survey(&mut logs)?;
        recovery.choose_carried(carried_logs_min)?;
        recovery.open_all()?;
        recovery.replay(&mut logs)?;
        drop(logs);
        recovery.finish()?
    };
    replace_file(disk, &dir.join(SyncedPoints::START_FILE), points.encode().as_bytes()).map_err(io_error)?;
    let path = dir.join(SyncedPoints::WRITTEN_FILE);
    let file = File::open(disk, &path, OpenMode::REWRITE);
    file.and_then(|file| file.write_all_at(0, written.encode().as_bytes())).map_err(io_error)?;
    // Before the commit logs go, and not before the points say that what an earlier start has carried is in segments.
    let kept = carried.write(disk, &dir)?;
    drop(carried);
    let mark = log_dir.join(CLEAN_SHUTDOWN_FILE);
    if disk.exists(&mark) {
        disk.remove_file(&mark).and_then(|()| disk.sync_dir(log_dir)).map_err(io_error)?;
    }
    // From here on the points say that nothing of the commit logs is needed but what is carried in them.
    commit_log::discard_all(disk, &dir, &kept).map_err(io_error)?;
    SyncedPoints::remove_of_shards(disk, &dir)?;
    forget_failed_sync(disk, log_dir).map_err(io_error)?;
    mark_page_cache(disk, log_dir).map_err(io_error)?;
    Ok(recovered)
}

/// Removes what deletions of topics left that were cut short, Kafka's too: folders renamed to `-delete`.
fn remove_deleted_folders(disk: &Rc<dyn Disk>, log_dir: &Path) -> io::Result<()> {
    for entry in disk.list_dir(log_dir)? {
        if entry.is_dir && is_deleted_folder(&entry.name) {
            tracing::info!(folder = %entry.name, "removed: of a topic that was deleted");
            disk.remove_dir_all(&log_dir.join(entry.name))?;
        }
    }
    Ok(())
}

fn is_deleted_folder(name: &str) -> bool {
    let named = name.strip_suffix(DELETED_SUFFIX).and_then(|name| name.rsplit_once('.'));
    named.is_some_and(|(folder, id)| {
        let of_partition = folder.rsplit_once('-').is_some_and(|(_, partition)| partition.parse::<u32>().is_ok());
        of_partition && Uuid::parse_str(id).is_ok()
    })
}

/// Leaves a log directory that crashed as a clean stop does, without serving it; nothing is done to a clean one.
/// Blocking. A crash in here is harmless.
pub fn recover_log_dir(
    disk: &Rc<dyn Disk>,
    log_dir: &Path,
    specs: &[LogSpec],
    now_ms: i64,
    broker_epoch: i64,
) -> Result<Recovered, StoreError> {
    if is_clean(disk, log_dir) {
        return Ok(Recovered::default());
    }
    let recovered = start_log_dir(disk, log_dir, specs, now_ms, usize::MAX)?;
    let points = SyncedPoints::read_start(disk, &log_dir.join(COMMIT_LOG_FOLDER))?;
    let mut files = Descriptors::new(Rc::clone(disk), OPEN_FILES_MAX);
    let mut closed = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let (topic_name, partition_index) = (spec.topic_name.clone(), spec.partition_index);
        let (mut log_start_offset, mut log_end_offset, mut cleaned_offset) = (0, 0, 0);
        if let Some(point) = points.of(spec.topic_id, partition_index) {
            let key = LogKey(index as u32);
            let mut log = Log::open_at(key, spec, &point, points.from_clean_stop, log_dir, now_ms, &mut files)?;
            let sealed = log.seal(&mut files).and_then(|()| log.leave_producers_to_batches(disk));
            sealed.map_err(|error| log.io_error(error))?;
            (log_start_offset, log_end_offset) = (log.log_start_offset, log.log_end_offset);
            cleaned_offset = log.cleaned_offset;
        }
        let LogSpec { topic_id, durability, .. } = *spec;
        closed.push(ClosedLog {
            topic_id,
            topic_name,
            partition_index,
            log_start_offset,
            log_end_offset,
            durability,
            cleaned_offset,
        });
    }
    disk.sync_all(log_dir).map_err(|source| StoreError::Io { path: log_dir.to_owned(), source })?;
    finish_clean_stop(disk, log_dir, &closed, broker_epoch)?;
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
    // A crash behind this line is one without commit logs: the points must not be behind what these held.
    let mut points = SyncedPoints::default();
    for log in logs {
        let mut point = SyncedPoint::new(log.log_start_offset, log.log_end_offset, log.durability);
        point.cleaned_offset = log.cleaned_offset;
        points.set(log.topic_id, log.partition_index, point);
    }
    replace_file(disk, &dir.join(SyncedPoints::START_FILE), points.encode().as_bytes()).map_err(io_error)?;
    commit_log::discard_all(disk, &dir, &[]).map_err(io_error)?;
    replace_file(disk, &log_dir.join(CLEAN_SHUTDOWN_FILE), encode_clean_shutdown(broker_epoch).as_bytes())
        .map_err(io_error)?;
    match disk.remove_dir_all(&dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
        _ => {}
    }
    disk.sync_dir(log_dir).map_err(io_error)
}

/// What Kafka's checkpoints say of the logs of `specs`.
fn points_by_name(disk: &Rc<dyn Disk>, log_dir: &Path, specs: &[LogSpec]) -> Result<SyncedPoints, StoreError> {
    let known = checkpoints::read_known(disk, log_dir)?;
    let mut points = SyncedPoints::default();
    for spec in specs {
        if let Some(log) = known.get(&(spec.topic_name.to_string(), spec.partition_index)) {
            let mut point = SyncedPoint::new(log.log_start_offset, log.log_end_offset, spec.durability);
            point.cleaned_offset = log.cleaned_offset;
            points.set(spec.topic_id, spec.partition_index, point);
        }
    }
    Ok(points)
}

/// What recovery leaves for the stores.
#[derive(Debug, Default)]
struct Outcome {
    points: SyncedPoints,
    /// Ends of logs that are not synced up to there.
    written: SyncedPoints,
    carried: NewCarried,
    recovered: Recovered,
}

struct Recovery<'a> {
    disk: Rc<dyn Disk>,
    log_dir: PathBuf,
    now_ms: i64,
    files: Descriptors,
    partitions: Vec<Recovering<'a>>,
    by_id: AHashMap<(Uuid, i32), usize>,
    /// Logs that have nothing in the commit logs any more, whatever files of them there are.
    dead: Vec<u64>,
    /// What extents lie in: what an earlier start has carried, then the commit logs.
    sources: Sources,
    /// Those of the sources that an earlier start has kept, and commit logs as far as they outlive a power cut.
    old_files: Range<usize>,
    new_files: Range<usize>,
    /// Those of the sources that what is carried may refer to.
    kept_files: Range<usize>,
    waiting_bytes: usize,
    /// Ringlog was here last: a partition without a point was made since the start, or is empty.
    has_points: bool,
    /// What to do with what the commit logs do not hold.
    keep: Behind,
    result: Recovered,
}

impl<'a> Recovery<'a> {
    fn new(disk: &Rc<dyn Disk>, log_dir: &Path, specs: &'a [LogSpec], now_ms: i64) -> Result<Self, StoreError> {
        let dir = log_dir.join(COMMIT_LOG_FOLDER);
        // Once points were noted by topic id, those by name may be of a topic that was deleted since.
        let by_id = disk.exists(&dir.join(SyncedPoints::START_FILE));
        let points = if by_id { SyncedPoints::read_all(disk, &dir)? } else { points_by_name(disk, log_dir, specs)? };
        let mut carried = Carried::read(disk, &dir)?;
        let (dead, sources) = (carried.log_ids(), carried.sources());
        let partitions = specs.iter().map(|spec| {
            let point = points.of(spec.topic_id, spec.partition_index);
            let end_offset = point.map_or(0, |point| point.end_offset);
            let was_carried = carried.take(spec.topic_id, spec.partition_index);
            let was_carried = was_carried.filter(|part| part.end_offset > end_offset);
            Recovering {
                spec,
                point: point.unwrap_or(SyncedPoint::new(0, 0, spec.durability)),
                checkpointed: end_offset,
                is_noted: by_id && point.is_some(),
                last_range: None,
                in_commit_log: was_carried.is_some(),
                was_carried,
                found: Found::default(),
                carried: None,
                is_left_unsynced: false,
                log: None,
            }
        });
        let keep = match has_failed_sync(disk, log_dir) {
            false if is_same_page_cache(disk, log_dir) => Behind::Written,
            write_again => Behind::Keep { write_again },
        };
        let ids = specs.iter().enumerate().map(|(index, spec)| ((spec.topic_id, spec.partition_index), index));
        Ok(Self {
            disk: Rc::clone(disk),
            log_dir: log_dir.to_owned(),
            now_ms,
            files: Descriptors::new(Rc::clone(disk), OPEN_FILES_MAX),
            partitions: partitions.collect(),
            by_id: ids.collect(),
            dead,
            old_files: sources.len().min(1)..sources.len(),
            new_files: 0..0,
            kept_files: 0..0,
            sources,
            waiting_bytes: 0,
            has_points: by_id,
            keep,
            result: Recovered::default(),
        })
    }

    fn verify_commit_logs(&self) -> Result<VerifiedLogs, StoreError> {
        let dir = self.log_dir.join(COMMIT_LOG_FOLDER);
        let max_timestamp = |entry: &EntryHeader, payload: &[u8]| match entry.kind {
            EntryKind::Batch => BatchHeader::parse(payload).map_or(-1, |header| header.max_timestamp),
            EntryKind::InSegment => -1,
        };
        commit_log::verify(&self.disk, &dir, RecoverMode::Refuse, &self.dead, &max_timestamp).map_err(log_error)
    }

    fn hand_out(
        &mut self,
        logs: &mut VerifiedLogs,
        is_wanted: impl Fn(&Run) -> bool,
        mut apply: impl FnMut(&mut Self, EntryHeader, &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        logs.hand_out(is_wanted, &mut |header, payload: &[u8]| apply(self, header, payload)).map_err(log_error)?;
        Ok(())
    }

    /// Which partitions have entries and where, and up to where segments were synced besides.
    fn survey(&mut self, logs: &mut VerifiedLogs) -> Result<(), StoreError> {
        let is_in_segment = |run: &Run| run.kind == EntryKind::InSegment;
        self.hand_out(logs, is_in_segment, |recovery, header, payload| {
            let Some(index) = recovery.by_id.get(&(header.topic_id, header.partition_index)) else { return Ok(()) };
            let partition = &mut recovery.partitions[*index];
            // Those of before the point may say another class than it does by now.
            if header.kind == EntryKind::InSegment && header.end_offset > partition.point.end_offset {
                partition.last_range = SegmentRange::decode(payload);
                let (end_offset, durability) = (header.end_offset, Durability::Sync);
                partition.point = SyncedPoint { end_offset, durability, ..partition.point };
            }
            Ok(())
        })?;
        let files: Sources = logs.files().map(|(id, file)| (Some(id), Some(file))).collect();
        self.new_files = self.sources.len()..self.sources.len() + files.len();
        // What may not outlive a power cut counts as if it lay in other files.
        self.sources.extend(files.iter().cloned().chain(files.iter().cloned()));
        let indexes: Vec<_> = logs.partitions().iter().map(|id| self.by_id.get(id).copied()).collect();
        for FoundRun { file, is_durable, run } in logs.runs().filter(|found| !is_in_segment(&found.run)) {
            let lacking = indexes[run.partition as usize].filter(|index| self.partitions[*index].lacks(run.end_offset));
            let Some(index) = lacking else {
                self.result.skipped_entries += u64::from(run.entries);
                continue;
            };
            self.result.replayed_entries += u64::from(run.entries);
            let first = if is_durable { self.new_files.start } else { self.new_files.end };
            self.partitions[index].in_commit_log = true;
            self.partitions[index].found.push(&run, first as u32 + file);
        }
        Ok(())
    }

    /// Where enough logs have entries in the commit logs, what they have is carried over, within bounds.
    fn choose_carried(&mut self, carried_logs_min: usize) -> Result<(), StoreError> {
        let in_commit_log = self.partitions.iter().filter(|partition| partition.in_commit_log).count();
        if in_commit_log < carried_logs_min {
            return Ok(());
        }
        for index in 0..self.partitions.len() {
            if !self.partitions[index].may_be_carried() {
                continue;
            }
            if let Some(gap) = self.partitions[index].gap() {
                return Err(self.corrupt(index, format!("the commit log goes on at {gap}")));
            }
            let dir = self.log_dir.join(self.partitions[index].spec.folder());
            let part = self.partitions[index].part().map_err(|source| StoreError::Io { path: dir, source })?;
            self.partitions[index].carried = Some(part);
        }
        let bytes_in = |files: &Range<usize>| -> u64 {
            let parts = self.partitions.iter().filter_map(|partition| partition.carried.as_ref());
            parts.map(|part| part.bytes_where(|file| files.contains(&file))).sum()
        };
        let is_most_old = bytes_in(&self.old_files) > bytes_in(&self.new_files);
        self.kept_files = if is_most_old { self.old_files.clone() } else { self.new_files.clone() };
        let mut left = COPIED_BYTES_MAX;
        for partition in &mut self.partitions {
            let Some(part) = &partition.carried else { continue };
            let copied_bytes = part.bytes_where(|file| !self.kept_files.contains(&file));
            if copied_bytes <= COPIED_LOG_BYTES_MAX.min(left) {
                left -= copied_bytes;
            } else {
                partition.carried = None;
            }
        }
        Ok(())
    }

    fn open_all(&mut self) -> Result<(), StoreError> {
        for (index, partition) in self.partitions.iter_mut().enumerate() {
            let Recovering { spec, point, checkpointed, is_noted, last_range, in_commit_log, .. } = partition;
            if partition.carried.is_some() {
                continue;
            }
            if !*is_noted && make_way(&self.disk, &self.log_dir, spec, !self.has_points)? {
                (*point, *checkpointed) = (SyncedPoint::new(0, 0, spec.durability), 0);
            }
            if let Some(range) = last_range {
                check_range(&self.disk, &self.log_dir.join(spec.folder()), range)?;
            }
            let behind = match (*in_commit_log, point.durability) {
                (true, _) => Behind::Cut,
                (false, _) if last_range.is_some() => Behind::Cut,
                (false, Durability::Sync) if *is_noted => continue,
                (false, _) if point.end_offset == 0 && !self.disk.exists(&self.log_dir.join(spec.folder())) => continue,
                (false, _) => self.keep,
            };
            let classes = [point.durability, spec.durability];
            // Where nothing was noted by topic id before, all is noted now.
            partition.is_left_unsynced =
                self.has_points && behind != Behind::Cut && classes == [Durability::PageCache; 2];
            let mut opened = Log::empty(LogKey(index as u32), spec, &self.log_dir, point.log_start_offset);
            opened.cleaned_offset = point.cleaned_offset;
            let trusted = match is_planted(PlantedBug::CutBelowSyncedPoint) {
                true => SyncedPoint::new(point.log_start_offset, 0, spec.durability),
                false => *point,
            };
            self.result.cut_bytes += opened.recover(&trusted, *checkpointed, behind, self.now_ms, &mut self.files)?;
            partition.log = Some(opened);
        }
        Ok(())
    }

    /// The entries that are not carried are appended again, what was carried first.
    fn replay(&mut self, logs: &mut VerifiedLogs) -> Result<(), StoreError> {
        for index in 0..self.partitions.len() {
            let Recovering { spec, point, carried, was_carried, .. } = &self.partitions[index];
            let (None, Some(part)) = (carried, was_carried.clone()) else { continue };
            let dir = self.log_dir.join(spec.folder());
            let io_error = |source| StoreError::Io { path: dir.clone(), source };
            part.read(point.end_offset, io_error, |header, batch| {
                self.result.replayed_entries += 1;
                self.replay_batch(index, header, batch)
            })?;
        }
        let lacks = |id| self.by_id.get(id).is_some_and(|index| self.partitions[*index].is_to_be_replayed());
        let lacks: Vec<bool> = logs.partitions().iter().map(lacks).collect();
        let is_wanted = |run: &Run| run.kind == EntryKind::Batch && lacks[run.partition as usize];
        self.hand_out(logs, is_wanted, |recovery, header, payload| {
            if header.kind != EntryKind::Batch {
                return Ok(());
            }
            recovery.replay_entry(&header, payload)
        })?;
        self.write_tails()
    }

    fn replay_entry(&mut self, entry: &EntryHeader, payload: &[u8]) -> Result<(), StoreError> {
        let Some(index) = self.by_id.get(&(entry.topic_id, entry.partition_index)).copied() else { return Ok(()) };
        let partition = &self.partitions[index];
        if !partition.is_to_be_replayed() || !partition.lacks(entry.end_offset) {
            return Ok(());
        }
        let header = batch_of(entry, payload)
            .ok_or_else(|| self.corrupt(index, "the commit log's entry is no batch".to_owned()))?;
        self.replay_batch(index, &header, payload)
    }

    fn replay_batch(&mut self, index: usize, header: &BatchHeader, batch: &[u8]) -> Result<(), StoreError> {
        let log = self.partitions[index].log.as_mut().expect("what has entries and is not carried was opened");
        if header.base_offset != log.log_end_offset {
            return Err(self.corrupt(index, format!("the commit log goes on at {}", header.base_offset)));
        }
        self.waiting_bytes += batch.len();
        let batch = Bytes::copy_from_slice(batch);
        log.replay(header, batch, None, self.now_ms, &mut self.files).map_err(|error| log.io_error(error))?;
        if self.waiting_bytes > REPLAY_BYTES_MAX {
            self.write_tails()?;
        }
        Ok(())
    }

    fn corrupt(&self, index: usize, reason: String) -> StoreError {
        let Recovering { spec, point, .. } = &self.partitions[index];
        StoreError::Corrupt { path: self.log_dir.join(spec.folder()), offset: point.end_offset, reason }
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

    /// Syncs what was touched; the points say where each log ends now: those that are synced, those that are only written.
    fn finish(mut self) -> Result<Outcome, StoreError> {
        let Outcome { mut points, mut written, mut carried, .. } = Outcome::default();
        let is_touched = |partition: &&Recovering<'_>| partition.log.is_some() && !partition.is_left_unsynced;
        let touched = self.partitions.iter().filter(is_touched).count();
        for Recovering { spec, point, is_noted, is_left_unsynced, log, carried: part, .. } in &mut self.partitions {
            if let Some(part) = part.take() {
                if *is_noted {
                    points.set(spec.topic_id, spec.partition_index, *point);
                }
                carried.parts.push(((spec.topic_id, spec.partition_index), part));
                continue;
            }
            if let Some(log) = log {
                log.settle(&mut self.files).map_err(|error| log.io_error(error))?;
                log.remove_snapshots_ahead(&self.files)?;
                let end = log.synced_point(log.log_end_offset, spec.durability);
                if *is_left_unsynced {
                    written.set(spec.topic_id, spec.partition_index, end);
                    if !*is_noted {
                        continue;
                    }
                } else {
                    if touched <= SYNCED_ALONE_MAX && !is_planted(PlantedBug::PromisedWithoutSync) {
                        log.sync(&mut self.files).map_err(|error| log.io_error(error))?;
                    }
                    *point = end;
                }
            } else if point.end_offset == 0 && !*is_noted {
                continue;
            }
            // From now on it is written in the class that its topic has now.
            points.set(spec.topic_id, spec.partition_index, SyncedPoint { durability: spec.durability, ..*point });
        }
        let io_error = |source| StoreError::Io { path: self.log_dir.clone(), source };
        if touched > SYNCED_ALONE_MAX {
            self.disk.sync_all(&self.log_dir).map_err(io_error)?;
        } else if touched > 0 {
            self.disk.sync_dir(&self.log_dir).map_err(io_error)?;
        }
        (carried.sources, carried.kept) = (self.sources, self.kept_files);
        Ok(Outcome { points, written, carried, recovered: self.result })
    }
}

fn log_error(error: RecoverError<StoreError>) -> StoreError {
    match error {
        RecoverError::Apply(error) => error,
        error => StoreError::CommitLog(error.to_string()),
    }
}
