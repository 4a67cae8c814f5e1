//! Appends: a batch gets its offsets and waits in its log's tail for the end of the turn, and the broker is told what was
//! acked, and what could not be written.
//!
//! Class page-cache: the tail is what is written. Class sync: the batch is an entry of the commit log too, or a large one
//! is on its way past it (`direct`).

use bytes::Bytes;

use super::super::append::{Appended, Stage, is_disk_full, producer_batch};
use super::super::error::{AppendError, StoreError};
use super::super::{Durability, LogKey};
use super::{LogState, LogStore, open_log, opened, stored_mut};
use crate::buffer::ALIGNMENT;

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

impl LogStore {
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
}
