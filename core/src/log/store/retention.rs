//! What makes the start of a log move: segments that are too old or too much, and DeleteRecords.
//!
//! Invariant: a segment leaves its log only when the log start above it is durable, and not while recovery may need it.

use std::path::PathBuf;

use super::super::LogKey;
use super::super::error::{AppendError, StoreError};
use super::super::log::{CleanerState, Log};
use super::super::retention::Expired;
use super::super::synced_points::SyncedPoint;
use super::{LogState, LogStore, StoredLog, open_log};

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

impl LogStore {
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
    pub(in crate::log) fn put_back(&mut self, key: LogKey, point: SyncedPoint) {
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

    /// Log starts that were moved and are durable now, or why they are not.
    pub fn take_moved_starts(&mut self) -> Vec<(LogKey, Result<i64, AppendError>)> {
        std::mem::take(&mut self.moved_starts)
    }
}

/// Base offsets of segments that recovery may need, because they are not written, not synced, or not yet known to be.
pub(in crate::log) fn unsynced(syncing: &[(LogKey, Vec<i64>)], log: &Log) -> Vec<i64> {
    let syncing = syncing.iter().find(|(of, _)| *of == log.key).map_or(&[][..], |(_, bases)| bases);
    let unwritten = log.tail.first().map(|batch| batch.segment);
    log.unsynced.iter().chain(syncing).copied().chain(unwritten).collect()
}
