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

mod append;
mod background_sync;
mod close;
mod promises;
mod read;
mod retention;
mod stored_log;
mod tails;
mod turn;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use bytes::BytesMut;
use hdrhistogram::Histogram;

pub use self::append::FailedAppend;
pub use self::read::{ColdRead, Committed, ReadResult};
pub use self::retention::Retired;
pub(super) use self::retention::unsynced;
pub(super) use self::stored_log::{LogState, StoredLog, open_log, opened, stored_mut};
use super::carried::Carried;
use super::checkpointer::Checkpointer;
use super::class_sync::SyncClass;
use super::commit_log::Counters;
use super::descriptors::Descriptors;
use super::error::{AppendError, StoreError};
use super::failure::LogDirFailure;
use super::log::{Log, make_way};
use super::read::Window;
use super::recovery::{COMMIT_LOG_FOLDER, DELETED_SUFFIX};
use super::synced_points::{SyncedPoint, SyncedPoints};
use super::{Durability, LogConfig, LogKey, LogSpec, StoreConfig};
use crate::reactor::Reactor;

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

    /// Forgets a log: the topic was deleted. Returns its folder, which has Kafka's name of one that is to be removed.
    pub fn remove(&mut self, key: LogKey) -> Result<Option<PathBuf>, StoreError> {
        let Some(stored) = self.logs.get_mut(key.0 as usize).and_then(Option::take) else { return Ok(None) };
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
        match self.files.disk().rename(&dir, &marked) {
            Ok(()) => Ok(Some(marked)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::Io { path: dir, source: error }),
        }
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

    /// The class of a log. `None` for a log that is not there.
    pub fn durability(&self, key: LogKey) -> Option<Durability> {
        self.stored(key).map(|stored| stored.spec.durability)
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
}
