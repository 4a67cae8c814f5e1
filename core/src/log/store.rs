//! All logs of one shard: the door through which the broker appends, reads and learns what was acked.
//!
//! Append puts a batch into its log's tail; [`LogStore::end_turn`] makes the turn's batches durable in their class and
//! acks them in order. It never knows topics' meaning, replicas or other shards.
//!
//! Invariants:
//! - `acked_end_offset <= log_end_offset`; nothing at or behind `acked_end_offset` is ever read out.
//! - A failed append is reported by [`LogStore::take_failed`] before its offsets are given again.
//! - Once a sync has failed nothing of class sync is acked: which writes its error speaks for is not known, and the next
//!   sync may say that all is well. What was under way may be there after a restart, and is answered so.
//! - A log costs no descriptor, and no look at the disk, before it is used: its end is among the synced points.

mod background_sync;
mod promises;
mod stored_log;
mod tails;
mod turn;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use hdrhistogram::Histogram;

pub(super) use self::stored_log::{LogState, StoredLog, open_log, opened, stored_mut};
use super::append::{Appended, Stage, is_disk_full, producer_batch};
use super::carried::Carried;
use super::checkpointer::Checkpointer;
use super::checkpoints::ClosedLog;
use super::class_sync::SyncClass;
use super::commit_log::Counters;
use super::descriptors::{Descriptors, FileId, FileKind};
use super::error::{AppendError, ReadError, StoreError};
use super::failure::{LogDirFailure, note_failed_sync};
use super::log::{CleanerState, Log, make_way};
use super::producer_state::ProducerInfo;
use super::read::Window;
use super::recovery::{COMMIT_LOG_FOLDER, DELETED_SUFFIX};
use super::retention::Expired;
use super::synced_points::{SyncedPoint, SyncedPoints};
use super::{AbortedTransaction, Durability, LogConfig, LogKey, LogSpec, StoreConfig};
use crate::buffer::ALIGNMENT;
use crate::reactor::{Pieces, Reactor};

/// A read that waits for the device.
pub type ColdRead = Pin<Box<dyn Future<Output = Result<Pieces, ReadError>>>>;

/// What a read gives.
pub enum ReadResult {
    /// Whole batches, in order; empty at the bound.
    Ready(Pieces),
    /// Not in memory: the future yields the same.
    Cold(ColdRead),
}

impl fmt::Debug for ReadResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(pieces) => formatter.debug_tuple("Ready").field(&pieces.len()).finish(),
            Self::Cold(_) => formatter.write_str("Cold"),
        }
    }
}

/// Appends that were taken and then could not be written: all of this log from `from_offset` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAppend {
    /// The log.
    pub key: LogKey,
    /// First offset that was given and is taken back.
    pub from_offset: i64,
    /// Why.
    pub error: AppendError,
}

/// Where readers of committed data stop, and what they skip.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Committed {
    /// End of what is decided (exclusive): below it no transaction is open. At most the acked end.
    pub last_stable_offset: i64,
    /// Aborted transactions with records below it, by their first offset.
    pub aborted: Vec<AbortedTransaction>,
}

/// What a look for old segments did to a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retired {
    /// Files that are to be removed after the delay.
    pub files: Vec<PathBuf>,
    /// `file.delete.delay.ms`.
    pub delay_ms: i64,
    /// Whether the log holds anything that may become too old or too much.
    pub is_bounded: bool,
}

/// The logs of one shard.
pub struct LogStore {
    pub(super) reactor: Reactor,
    pub(super) log_dir: PathBuf,
    shard_id: u16,
    pub(super) files: Descriptors,
    pub(super) logs: Vec<Option<StoredLog>>,
    heads: BytesMut,
    /// Memory of small reads.
    window: Window,
    /// Logs with a tail of this turn.
    dirty: Vec<LogKey>,
    acked: Vec<(LogKey, i64)>,
    failed: Vec<FailedAppend>,
    on_acked: Option<Rc<dyn Fn()>>,
    pub(super) log_dir_failure: LogDirFailure,
    /// A sync has failed, and the next start is not told of it yet.
    is_failure_unnoted: bool,
    config: StoreConfig,
    pub(super) sync: SyncClass,
    checkpointer: Checkpointer,
    /// Up to where logs are synced, as it was last written.
    synced_points: SyncedPoints,
    /// What the run of the checkpointer writes.
    points_of_run: SyncedPoints,
    /// Segments that the run of the checkpointer syncs.
    pub(super) syncing: Vec<(LogKey, Vec<i64>)>,
    /// A checkpoint is due: a segment of class page-cache was ended since the last one, or a log was compacted.
    pub(super) rolled: bool,
    /// Logs that compaction is to look at.
    pub(super) to_clean: BTreeSet<LogKey>,
    /// Start and end of logs as the last clean stop, or recovery, left them.
    known: SyncedPoints,
    /// What logs lack that have not been created yet.
    carried: Carried,
    /// Log starts that the run of the checkpointer makes durable.
    moving_starts: Vec<(LogKey, i64)>,
    /// Log starts that are durable, or failed to become so.
    moved_starts: Vec<(LogKey, Result<i64, AppendError>)>,
    is_start_moved: bool,
    /// A log is to be flushed, or to change its class.
    is_flush_due: bool,
    /// Ends of logs of class page-cache that the run of the checkpointer syncs.
    flushing: Vec<(LogKey, i64)>,
    /// Logs that have another class when that run is over.
    changing: Vec<(LogKey, Durability)>,
}

impl fmt::Debug for LogStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LogStore").field("shard_id", &self.shard_id).field("logs", &self.logs.len()).finish()
    }
}

impl LogStore {
    /// Opens the shard's store on a log directory that was stopped cleanly or recovered.
    pub fn open(reactor: Reactor, log_dir: PathBuf, shard_id: u16, config: StoreConfig) -> Result<Self, StoreError> {
        let disk = reactor.disk();
        let known = SyncedPoints::read_start(&disk, &log_dir.join(COMMIT_LOG_FOLDER))?;
        let carried = Carried::read(&disk, &log_dir.join(COMMIT_LOG_FOLDER))?;
        let files = Descriptors::new(disk, config.open_files_max);
        let sync = SyncClass::open(&reactor, &log_dir.join(COMMIT_LOG_FOLDER), shard_id, &config)?;
        Ok(Self {
            reactor,
            log_dir,
            shard_id,
            files,
            logs: Vec::new(),
            heads: BytesMut::new(),
            window: Window::default(),
            dirty: Vec::new(),
            acked: Vec::new(),
            failed: Vec::new(),
            on_acked: None,
            log_dir_failure: LogDirFailure::default(),
            is_failure_unnoted: false,
            config,
            sync,
            checkpointer: Checkpointer::new(),
            synced_points: SyncedPoints::default(),
            points_of_run: SyncedPoints::default(),
            syncing: Vec::new(),
            rolled: false,
            to_clean: BTreeSet::new(),
            known,
            carried,
            moving_starts: Vec::new(),
            moved_starts: Vec::new(),
            is_start_moved: false,
            is_flush_due: false,
            flushing: Vec::new(),
            changing: Vec::new(),
        })
    }

    /// Takes a log in: what is on disk, or an empty one. Its folder is made with the first write.
    pub fn create(&mut self, spec: LogSpec) -> Result<LogKey, StoreError> {
        let key = LogKey(u32::try_from(self.logs.len()).expect("fewer than 2^32 logs"));
        let known = self.known.take(spec.topic_id, spec.partition_index);
        let carried = self.carried.take(spec.topic_id, spec.partition_index).map(Box::new);
        if known.is_none() && carried.is_none() {
            make_way(self.files.disk(), &self.log_dir, &spec, false)?;
        }
        let state = match (known, &carried) {
            (known, Some(part)) => {
                let synced = known.unwrap_or(SyncedPoint::new(0, 0, spec.durability));
                let unsynced_from = Some(synced.end_offset);
                LogState::Unopened(SyncedPoint { end_offset: part.end_offset, unsynced_from, ..synced })
            }
            (Some(point), None) => LogState::Unopened(point),
            (None, None) if !self.files.disk().exists(&self.log_dir.join(spec.folder())) => {
                LogState::Unopened(SyncedPoint::new(0, 0, spec.durability))
            }
            (None, None) => {
                let now_ms = self.reactor.wall_clock_ms();
                let mut log = Log::open(key, &spec, &self.log_dir, 0, now_ms, &mut self.files)?;
                log.all_flushed();
                LogState::Open(Box::new(log))
            }
        };
        let from_clean_stop = self.known.from_clean_stop;
        let mut stored = StoredLog {
            spec,
            state,
            carried,
            from_clean_stop,
            is_noted: known.is_some(),
            acked_end_offset: 0,
            dirty: false,
            next_class: None,
            damaged: Vec::new(),
            refused: None,
            is_unopenable: false,
        };
        stored.acked_end_offset = stored.log_end_offset();
        if stored.spec.config.is_compacted && stored.acked_end_offset > 0 {
            self.to_clean.insert(key);
        }
        self.logs.push(Some(stored));
        Ok(key)
    }

    /// All logs of the start are created: what was known of those of other shards is forgotten.
    pub fn forget_others(&mut self) {
        self.known.clear();
        self.carried = Carried::default();
    }

    /// Another configuration from the next append on. The durability class stays.
    pub fn reconfigure(&mut self, key: LogKey, config: &Rc<LogConfig>) {
        let Some(stored) = stored_mut(&mut self.logs, key) else { return };
        stored.spec.config = Rc::clone(config);
        if config.is_compacted && stored.acked_end_offset > 0 {
            self.to_clean.insert(key);
        }
        if let LogState::Open(log) = &mut stored.state {
            log.config = Rc::clone(config);
        }
    }

    /// Removes a log and its files: the topic was deleted.
    pub fn remove(&mut self, key: LogKey) -> Result<(), StoreError> {
        let Some(stored) = self.logs.get_mut(key.0 as usize).and_then(Option::take) else { return Ok(()) };
        self.points_of_run.take(stored.spec.topic_id, stored.spec.partition_index);
        self.synced_points.take(stored.spec.topic_id, stored.spec.partition_index);
        if let LogState::Open(log) = &stored.state {
            self.sync.note_tail(key, log.tail.mark(), None);
            for segment in &log.segments {
                self.files.forget(key, segment.base_offset);
            }
        }
        let dir = self.log_dir.join(stored.spec.folder());
        let topic_id = stored.spec.topic_id.simple();
        let marked = self.log_dir.join(format!("{}.{topic_id}{DELETED_SUFFIX}", stored.spec.folder()));
        let disk = self.files.disk();
        match disk.rename(&dir, &marked).and_then(|()| disk.remove_dir_all(&marked)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::Io { path: dir, source: error }),
            _ => Ok(()),
        }
    }

    /// Looks for segments that are too old or too much, moves the log start above them, and takes those out of the log above
    /// which it is durable: to be called again when [`LogStore::take_moved_starts`] tells of the log. One that was not used
    /// yet is not kept open for a look.
    pub fn retire(&mut self, key: LogKey) -> Result<Retired, StoreError> {
        let now_ms = self.reactor.wall_clock_ms();
        if let Some(retired) = self.stored(key).and_then(|stored| stored.nothing_to_retire(now_ms)) {
            return Ok(retired);
        }
        let unused = self.stored(key).and_then(StoredLog::unused);
        let opened = open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?;
        if opened.is_some_and(|(_, log)| log.is_tail_old(now_ms)) {
            self.write_tail(key);
        }
        let opened = open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?;
        let Some((beside, log)) = opened else { return Ok(Retired::default()) };
        if log.stopped.is_some() {
            return Ok(Retired::default());
        }
        if log.cleaner == CleanerState::Running {
            return Ok(Retired { is_bounded: true, ..Retired::default() });
        }
        let config = &log.config;
        let mut retired = Retired {
            is_bounded: config.is_deleted
                && (config.retention_ms >= 0 || config.retention_bytes >= 0)
                && log.log_end_offset > log.log_start_offset,
            delay_ms: config.file_delete_delay_ms,
            files: Vec::new(),
        };
        let unsynced = unsynced(&self.syncing, log);
        let acked_end_offset = *beside.acked_end_offset;
        let expired = log.expired(now_ms, acked_end_offset, |base| !unsynced.contains(&base), &mut self.files);
        match expired.map_err(|error| log.io_error(error))? {
            Expired::Segments(0) => {
                // What is too old may have been kept because it is not synced yet.
                self.rolled |= retired.is_bounded && log.segments.len() > 1 && !unsynced.is_empty();
            }
            Expired::Segments(count) => {
                log.expire_segments(count);
                self.is_start_moved |= log.log_start_moved;
                let count = log.retirable(count);
                if count > 0 {
                    let files = log.retire_segments(count, &mut self.files);
                    retired.files = files.map_err(|error| log.io_error(error))?;
                }
            }
            Expired::Everything => {
                log.roll(now_ms, &mut self.files).map_err(|error| log.io_error(error))?;
                self.rolled = true;
                if log.config.is_compacted {
                    self.to_clean.insert(key);
                }
            }
        }
        if let Some(point) = unused
            && !self.rolled
            && !log.log_start_moved
        {
            let point = SyncedPoint { log_start_offset: log.log_start_offset, ..point };
            debug_assert_eq!(*beside.acked_end_offset, point.end_offset);
            self.put_back(key, point);
        }
        Ok(retired)
    }

    /// Closes a log that was only looked at; nothing of it has changed but `point`.
    pub(super) fn put_back(&mut self, key: LogKey, point: SyncedPoint) {
        let stored = self.logs[key.0 as usize].as_mut().expect("it was looked at");
        if let LogState::Open(log) = &stored.state {
            log.segments.iter().for_each(|segment| self.files.forget(key, segment.base_offset));
        }
        stored.state = LogState::Unopened(point);
    }

    /// Moves the log start up to `offset`, which is not above the acked end; -1 is that end. The new start is told by
    /// [`LogStore::take_moved_starts`] when it is durable.
    pub fn delete_records(&mut self, key: LogKey, offset: i64) -> Result<(), StoreError> {
        let opened = open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?;
        let Some((beside, log)) = opened else { return Ok(()) };
        assert!(offset <= *beside.acked_end_offset, "checked by the partition");
        log.advance_log_start(if offset < 0 { *beside.acked_end_offset } else { offset });
        log.log_start_moved = true;
        self.is_start_moved = true;
        self.write_tail(key);
        Ok(())
    }

    /// The largest leader epoch up to `leader_epoch` and the end of its records, as in OffsetForLeaderEpoch. An epoch
    /// without records is none.
    pub fn end_offset_for_epoch(&mut self, key: LogKey, leader_epoch: i32) -> Result<Option<(i32, i64)>, StoreError> {
        let opened = open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?;
        let Some((beside, log)) = opened else { return Ok(None) };
        let end_offset = *beside.acked_end_offset;
        let behind_latest =
            || Some((log.leader_epochs.latest().filter(|l| l.leader_epoch < leader_epoch)?.leader_epoch, end_offset));
        Ok(log.leader_epochs.end_offset_for(leader_epoch, end_offset).or_else(behind_latest))
    }

    /// The producers that the log remembers.
    pub fn producers(&mut self, key: LogKey) -> Result<Vec<ProducerInfo>, StoreError> {
        let opened = open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?;
        Ok(opened.map_or_else(Vec::new, |(_, log)| log.producers.producers()))
    }

    /// Bytes of all segments.
    pub fn size_bytes(&mut self, key: LogKey) -> Result<u64, StoreError> {
        if let Some(size_bytes) = self.stored(key).and_then(StoredLog::size_bytes_unopened) {
            return Ok(size_bytes);
        }
        let opened = open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?;
        let Some((_, log)) = opened else { return Ok(0) };
        log.size_bytes(&mut self.files).map_err(|error| log.io_error(error))
    }

    /// Bytes and number of the segments of a log that is open; `None` for one that was not needed yet, which stays so.
    pub fn opened_size(&mut self, key: LogKey) -> Option<(u64, usize)> {
        let log = opened(&mut self.logs, key)?;
        let size_bytes = log.size_bytes(&mut self.files).ok()?;
        Some((size_bytes, log.segments.len()))
    }

    /// Log starts that were moved and are durable now, or why they are not.
    pub fn take_moved_starts(&mut self) -> Vec<(LogKey, Result<i64, AppendError>)> {
        std::mem::take(&mut self.moved_starts)
    }

    /// Appends one batch that was validated: checks its producer's sequence and gives it offsets. Acked later, see
    /// [`LogStore::take_acked`].
    pub fn append(&mut self, key: LogKey, batch: &Bytes, leader_epoch: i32) -> Result<Appended, AppendError> {
        let result = self.try_append(key, batch, leader_epoch);
        if let Err(error) = &result
            && let Some(stored) = stored_mut(&mut self.logs, key)
        {
            match &mut stored.state {
                LogState::Open(log) if *error == AppendError::DiskFull => log.note_refused(batch),
                LogState::Open(_) => {}
                LogState::Unopened(_) if *error == AppendError::DiskFull => {
                    producer_batch(batch).inspect(|batch| stored.refused.get_or_insert_default().note(batch));
                }
                LogState::Unopened(_) => stored.is_unopenable = true,
            }
        }
        result
    }

    /// Gives up a batch for which there was no room: those of its producer that come behind it are refused until it is sent
    /// again.
    pub fn refuse(&mut self, key: LogKey, batch: &Bytes) {
        if let Some(log) = opened(&mut self.logs, key) {
            log.note_refused(batch);
        }
    }

    /// Whether something was refused since the last end of a turn for what all appends of class sync need.
    pub fn is_short(&self) -> bool {
        self.sync.is_short
    }

    /// The class of a log. `None` for a log that is not there.
    pub fn durability(&self, key: LogKey) -> Option<Durability> {
        self.stored(key).map(|stored| stored.spec.durability)
    }

    fn try_append(&mut self, key: LogKey, batch: &Bytes, leader_epoch: i32) -> Result<Appended, AppendError> {
        let now_ms = self.reactor.wall_clock_ms();
        let (stored, log) =
            open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)
                .map_err(|error| match error {
                    StoreError::Io { source, .. } if is_disk_full(&source) => AppendError::DiskFull,
                    error => AppendError::Stopped(error.to_string()),
                })?
                .ok_or(AppendError::UnknownLog)?;
        let is_sync = stored.spec.durability == Durability::Sync;
        if *stored.is_unopenable {
            log.stop(&"could not be opened for an earlier batch");
        }
        if is_sync && let Some(kind) = self.sync.commit_log.failure() {
            log.stop(&kind);
        }
        if log.stopped.is_none() && (stored.is_changing_class || (is_sync && self.sync.is_short_for(log, batch.len())))
        {
            self.is_flush_due |= stored.is_changing_class;
            return Err(AppendError::Busy);
        }
        log.producers.expire(now_ms, &self.config.producer_expiry);
        let (tail_before, segments_before) = (log.tail.mark(), log.segments.len());
        if log.blocked && log.stopped.is_none() && !log.tail.is_under_way() {
            log.blocked = log.write_tail(&mut self.files).error.is_some();
        }
        let staged = if log.stopped.is_none() && (log.blocked || log.direct.has_no_space()) {
            Err(AppendError::DiskFull)
        } else {
            log.stage(batch, leader_epoch, now_ms, &mut self.heads, &mut self.files)
        };
        if log.segments.len() > segments_before && log.config.is_compacted {
            self.to_clean.insert(key);
        }
        // The tail may have been written: the disk has room again, or the segment was ended.
        self.sync.note_tail(key, tail_before, log.tail.mark());
        let staged = match staged? {
            Stage::Duplicate(appended) => return Ok(appended),
            Stage::Fresh(staged) => staged,
        };
        let mut appended = Appended {
            base_offset: staged.header.base_offset,
            last_offset: staged.header.last_offset(),
            duplicate: false,
            log_append_time_ms: staged.log_append_time_ms,
            log_start_offset: log.log_start_offset,
            flush_in_ms: None,
        };
        match stored.spec.durability {
            Durability::PageCache => {
                self.rolled |= log.unsynced.len() > 1;
                log.append(&staged.header, staged.head, staged.body, None, true);
                appended.flush_in_ms = log.arm_flush();
                if !std::mem::replace(stored.dirty, true) {
                    self.dirty.push(key);
                }
            }
            Durability::Sync if self.sync.goes_direct(log, staged.header.size_bytes as usize) => {
                let (size_bytes, bytes_max) = (staged.header.size_bytes, self.sync.direct_memory.bytes_max());
                if size_bytes as usize + 2 * ALIGNMENT > bytes_max {
                    return Err(AppendError::TooLarge { size_bytes, segment_bytes: bytes_max as u32 });
                }
                if log.tail.is_under_way() {
                    return Err(AppendError::Busy);
                }
                // Indexes of segments that were left are synced by a checkpoint, and nothing else asks for one.
                self.rolled |= log.unsynced.len() > 1;
                let tail_before = log.tail.mark();
                let mut result = log.write_tail(&mut self.files).error.map_or(Ok(true), Err);
                self.sync.note_tail(key, tail_before, log.tail.mark());
                if result.is_ok() {
                    result = log.append_direct(&staged, &self.sync.direct_memory, &mut self.files);
                }
                match result {
                    Ok(true) => {}
                    Ok(false) => {
                        self.sync.is_direct_short = true;
                        return Err(AppendError::Busy);
                    }
                    Err(error) => return Err(log.append_error(&error)),
                }
                if !std::mem::replace(&mut log.direct.due, true) {
                    self.sync.direct_due.push(key);
                }
            }
            Durability::Sync => {
                let (lsn, bytes) = match self.sync.push(key, stored.spec, &staged) {
                    Ok(pushed) => pushed,
                    Err(error) => return Err(self.sync.push_error(error)),
                };
                let tail_before = log.tail.mark();
                log.append(&staged.header, bytes, Bytes::new(), Some(lsn), false);
                self.sync.note_tail(key, tail_before, log.tail.mark());
                if !std::mem::replace(stored.dirty, true) {
                    self.sync.of_turn.push(key);
                }
            }
        }
        Ok(appended)
    }

    /// Appends what was acked since the last call: the log and its new acked end offset, exclusive.
    pub fn take_acked(&mut self, acked: &mut Vec<(LogKey, i64)>) {
        while let Some(waiting) = self.sync.next_durable() {
            let Some(stored) = stored_mut(&mut self.logs, waiting.key) else { continue };
            assert!(stored.acked_end_offset < waiting.end_offset && waiting.end_offset <= stored.log_end_offset());
            stored.acked_end_offset = waiting.end_offset;
            match self.acked.last_mut() {
                Some((key, end)) if *key == waiting.key => *end = waiting.end_offset,
                _ => self.acked.push((waiting.key, waiting.end_offset)),
            }
        }
        acked.append(&mut self.acked);
    }

    /// Appends what was taken and could not be written. To be asked after each [`LogStore::end_turn`], before the next append.
    pub fn take_failed(&mut self, failed: &mut Vec<FailedAppend>) {
        if let Some((waiting, error)) = self.sync.take_failed() {
            let mut keys: Vec<LogKey> = waiting.iter().map(|waiting| waiting.key).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let Some(stored) = stored_mut(&mut self.logs, key) else { continue };
                let from_offset = stored.acked_end_offset;
                if let LogState::Open(log) = &mut stored.state {
                    log.stop(&error);
                }
                self.failed.push(FailedAppend { key, from_offset, error: error.clone() });
            }
        }
        failed.append(&mut self.failed);
    }

    /// Called once each time [`LogStore::take_acked`] has something new outside of [`LogStore::end_turn`].
    pub fn set_on_acked(&mut self, call: Rc<dyn Fn()>) {
        self.sync.commit_log.set_on_durable(Rc::clone(&call));
        self.on_acked = Some(call);
    }

    /// Makes this store one of several on its log directory: when a write or sync fails in one, none acks class sync any
    /// more.
    pub fn share_failure(&mut self, log_dir_failure: LogDirFailure) {
        self.log_dir_failure = log_dir_failure;
    }

    /// What the commit log has done.
    pub fn commit_log_counters(&self) -> Counters {
        self.sync.commit_log.counters()
    }

    /// Microseconds of each durable write of the commit log.
    pub fn commit_log_writes_us(&self) -> Histogram<u64> {
        self.sync.commit_log.writes_us()
    }

    /// First readable offset. 0 for a log that is not there.
    pub fn log_start_offset(&self, key: LogKey) -> i64 {
        self.stored(key).map_or(0, |stored| match &stored.state {
            LogState::Unopened(point) => point.log_start_offset,
            LogState::Open(log) => log.log_start_offset,
        })
    }

    /// The first readable offset that a power cut leaves. 0 for a log that is not there.
    pub fn durable_start_offset(&self, key: LogKey) -> i64 {
        self.stored(key).map_or(0, |stored| match &stored.state {
            LogState::Unopened(point) => point.log_start_offset,
            LogState::Open(log) => log.durable_start_offset,
        })
    }

    /// Offset of the next batch. 0 for a log that is not there.
    pub fn log_end_offset(&self, key: LogKey) -> i64 {
        self.stored(key).map_or(0, StoredLog::log_end_offset)
    }

    /// End of what was acked, exclusive. 0 for a log that is not there.
    pub fn acked_end_offset(&self, key: LogKey) -> i64 {
        self.stored(key).map_or(0, |stored| stored.acked_end_offset)
    }

    pub(super) fn stored(&self, key: LogKey) -> Option<&StoredLog> {
        self.logs.get(key.0 as usize).and_then(Option::as_ref)
    }

    /// Whole batches from the one that holds `from` on, up to `bound` (exclusive) and `max_bytes`; with
    /// `at_least_one_batch`, the first one whatever its size. Empty at the bound.
    pub fn read(
        &mut self,
        key: LogKey,
        from: i64,
        bound: i64,
        max_bytes: usize,
        at_least_one_batch: bool,
    ) -> Result<ReadResult, ReadError> {
        let (stored, log) =
            open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?
                .ok_or(ReadError::UnknownLog)?;
        assert!(bound <= *stored.acked_end_offset, "readers never see what is not acked");
        if let Some(damage) = stored.damaged.iter().find(|damage| damage.offsets.contains(&from)) {
            return Err(ReadError::Damaged { segment: damage.segment, position: damage.position });
        }
        let damage = stored.damaged.iter().find(|damage| damage.offsets.start > from);
        let bound = damage.map_or(bound, |damage| bound.min(damage.offsets.start));
        let plan = log.plan_read(from, bound, max_bytes, at_least_one_batch, &mut self.files)?;
        match plan.run_cached(&mut self.window) {
            Ok(outcome) => {
                log.note_read(from, outcome.next);
                Ok(ReadResult::Ready(outcome.pieces))
            }
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(ReadResult::Cold(Box::pin(plan.run_cold(self.reactor.clone()))))
            }
            Err(error) => Err(error),
        }
    }

    /// Offset and timestamp of the first record below `bound` that is at least as late as `timestamp_ms`.
    pub fn offset_for_timestamp(
        &mut self,
        key: LogKey,
        timestamp_ms: i64,
        bound: i64,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        let (stored, log) =
            open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?
                .ok_or(ReadError::UnknownLog)?;
        let bound = bound.min(*stored.acked_end_offset);
        log.offset_for_timestamp(timestamp_ms, bound, &mut self.files)
    }

    /// The offset and the value of the log's largest timestamp, of what was acked.
    pub fn max_timestamp(&mut self, key: LogKey) -> Result<Option<(i64, i64)>, ReadError> {
        let (stored, log) =
            open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?
                .ok_or(ReadError::UnknownLog)?;
        let bound = *stored.acked_end_offset;
        match log.max_timestamp(&mut self.files)? {
            Some((timestamp, _)) => log.offset_for_timestamp(timestamp, bound, &mut self.files),
            None => Ok(None),
        }
    }

    /// What readers of committed data need to know, who read from `from` on.
    pub fn committed(&mut self, key: LogKey, from: i64) -> Result<Committed, ReadError> {
        let (stored, log) =
            open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key)?
                .ok_or(ReadError::UnknownLog)?;
        let acked = *stored.acked_end_offset;
        let last_stable_offset = log.producers.first_open_transaction().map_or(acked, |first| first.min(acked));
        Ok(Committed { last_stable_offset, aborted: log.aborted.overlapping(from, last_stable_offset) })
    }

    /// Stops: everything is written, sealed and synced. What the logs' ends are is written down when all
    /// shards have stopped. Nothing is under way any more ([`Reactor::stop`]), and nothing may follow.
    pub fn close(&mut self) -> Result<Vec<ClosedLog>, StoreError> {
        self.take_direct_writes();
        self.take_checkpoint();
        if self.reactor.unseen_failures() > 0 {
            self.fail(&io::Error::other("what was under way at the stop has failed"));
        }
        if let Some(kind) = self.sync.commit_log.failure() {
            return Err(StoreError::CommitLog(format!("it has failed, the next start recovers: {kind}")));
        }
        // Until the clean stop is finished, which removes it.
        note_failed_sync(self.files.disk(), &self.log_dir)
            .map_err(|source| StoreError::Io { path: self.log_dir.clone(), source })?;
        self.sync.direct_writes.close();
        self.stop_cleaning();
        for key in std::mem::take(&mut self.dirty) {
            self.write_and_ack(key);
        }
        self.write_all_tails();
        let mut closed = Vec::with_capacity(self.logs.len());
        for (index, stored) in self.logs.iter_mut().enumerate() {
            let Some(stored) = stored else { continue };
            if let LogState::Unopened(point) = &stored.state
                && !stored.from_clean_stop
                && point.end_offset > 0
            {
                let (key, now_ms) = (LogKey(index as u32), self.reactor.wall_clock_ms());
                let log = stored.open(key, &self.log_dir, now_ms, &mut self.files)?;
                if let Some(error) = log.write_tail(&mut self.files).error {
                    return Err(log.io_error(error));
                }
            }
            if let LogState::Open(log) = &mut stored.state {
                if let Some(reason) = &log.stopped {
                    return Err(StoreError::Io { path: log.dir.clone(), source: io::Error::other(reason.clone()) });
                }
                if !log.tail.is_empty() {
                    return Err(log.io_error(io::ErrorKind::StorageFull.into()));
                }
                let (dir, key, files) = (&log.dir, log.key, &mut self.files);
                let file = |base_offset| files.file(dir, FileId { log: key, base_offset, kind: FileKind::Log }, true);
                log.direct.write_rest(file).map_err(|error| log.io_error(error))?;
                log.seal(&mut self.files).map_err(|error| log.io_error(error))?;
            }
            closed.push(stored.closed());
        }
        let disk = self.files.disk();
        disk.sync_all(&self.log_dir).map_err(|source| StoreError::Io { path: self.log_dir.clone(), source })?;
        Ok(closed)
    }
}

/// Base offsets of segments that recovery may need, because they are not written, not synced, or not yet known to be.
pub(super) fn unsynced(syncing: &[(LogKey, Vec<i64>)], log: &Log) -> Vec<i64> {
    let syncing = syncing.iter().find(|(of, _)| *of == log.key).map_or(&[][..], |(_, bases)| bases);
    let unwritten = log.tail.first().map(|batch| batch.segment);
    log.unsynced.iter().chain(syncing).copied().chain(unwritten).collect()
}
