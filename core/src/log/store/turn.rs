//! The end of a loop turn: what it appended becomes durable in its class, and what became so is acked.
//!
//! Class page-cache is written here; groups that go past the commit log are started, and announced when they were written.

use std::io;
use std::rc::Rc;

use super::super::LogKey;
use super::super::commit_log::CommitLogError;
use super::super::direct::DirectWrite;
use super::super::error::AppendError;
use super::{FailedAppend, LogState, LogStore, opened, stored_mut};

impl LogStore {
    /// Ends a loop turn. Class page-cache: each log's batches of the turn are written in one go, then acked. Class sync:
    /// the turn's entries are handed to the commit log, and tails that are large or old enough are written.
    pub fn end_turn(&mut self) {
        match self.sync.commit_log.failure() {
            Some(_) => self.log_dir_failure.report(),
            None if self.log_dir_failure.is_reported() => self.sync.commit_log.fail(io::ErrorKind::Other),
            None => {}
        }
        self.note_failure();
        let was_short = std::mem::take(&mut self.sync.is_short);
        self.sync.is_direct_short = false;
        self.end_turn_direct();
        let is_short = was_short || self.sync.is_short;
        if is_short && let Some(call) = &self.on_acked {
            self.sync.call_on_memory(&self.reactor, Rc::clone(call));
        }
        self.sync.commit_log.end_turn();
        for key in std::mem::take(&mut self.dirty) {
            self.write_and_ack(key);
        }
        let logs_of_turn = self.sync.of_turn.len();
        self.end_turn_tails();
        self.take_checkpoint();
        let pressure = self.pressure();
        let of_file = pressure.and_then(|pressure| pressure.oldest_file_end);
        self.write_due_tails(is_short, logs_of_turn, of_file);
        self.end_turn_checkpoint(pressure);
    }

    /// Takes in how direct writes ended.
    pub(super) fn take_direct_writes(&mut self) {
        for (key, result) in self.sync.direct_writes.take_ended() {
            let Some(log) = opened(&mut self.logs, key) else { continue };
            match result {
                Ok(()) => {
                    log.direct.written();
                    self.sync.announcing.push_back(key);
                }
                Err(error) => {
                    self.fail_direct(key, &error);
                    self.fail(&error);
                }
            }
        }
    }

    /// Announces groups that were written directly, and starts what can be written next.
    fn end_turn_direct(&mut self) {
        self.take_direct_writes();
        while let Some(key) = self.sync.announcing.front().copied() {
            match self.announce(key) {
                Ok(()) => {}
                Err(CommitLogError::Failed(kind)) => self.fail_direct(key, &kind.into()),
                Err(error) => {
                    // Tried again when the log goes on.
                    let _ = self.sync.push_error(error);
                    break;
                }
            }
            self.sync.announcing.pop_front();
        }
        for key in std::mem::take(&mut self.sync.direct_due) {
            self.start_direct(key);
        }
    }

    fn announce(&mut self, key: LogKey) -> Result<(), CommitLogError> {
        let Some(stored) = stored_mut(&mut self.logs, key) else { return Ok(()) };
        let LogState::Open(log) = &mut stored.state else { return Ok(()) };
        let Some(group) = log.direct.to_announce() else { return Ok(()) };
        self.sync.announce(key, &stored.spec, group)?;
        let segment = group.segment;
        log.durable_segment = log.durable_segment.max(Some(segment));
        if !log.unsynced.contains(&segment) {
            log.unsynced.push(segment);
        }
        if log.direct.announced().is_some_and(|segment| segment != log.active().base_offset)
            && let Err(error) = log.cut_padding(segment, &mut self.files)
        {
            tracing::warn!(folder = %log.dir.display(), %error, "zeros stay behind a segment's last batch");
        }
        if !log.direct.is_empty() && !std::mem::replace(&mut log.direct.due, true) {
            self.sync.direct_due.push(key);
        }
        Ok(())
    }

    fn start_direct(&mut self, key: LogKey) {
        let Some(log) = opened(&mut self.logs, key) else { return };
        log.direct.due = false;
        if let Some(reason) = &log.stopped {
            let error = io::Error::other(reason.clone());
            return self.fail_direct(key, &error);
        }
        let Some((segment, position, bytes)) = log.direct.start_write() else { return };
        let write = DirectWrite {
            key,
            dir: log.dir.clone(),
            log_dir: self.log_dir.clone(),
            segment,
            position,
            bytes,
            sync_first: std::mem::take(&mut log.sync_first),
            new_names: log.durable_segment < Some(segment),
        };
        self.sync.direct_writes.start(&self.reactor, &mut log.direct, write, self.on_acked.clone());
    }

    /// What was on its way past the commit log will never be acked.
    fn fail_direct(&mut self, key: LogKey, error: &io::Error) {
        let Some(log) = opened(&mut self.logs, key) else { return };
        tracing::error!(folder = %log.dir.display(), %error, "a direct write failed");
        let error = AppendError::MaybeAppended(log.stop(error));
        if let Some(from_offset) = log.direct.first_offset() {
            self.failed.push(FailedAppend { key, from_offset, error });
        }
    }

    pub(super) fn write_and_ack(&mut self, key: LogKey) {
        let Some(stored) = stored_mut(&mut self.logs, key) else { return };
        stored.dirty = false;
        let LogState::Open(log) = &mut stored.state else { return };
        let error = match &log.stopped {
            Some(reason) => Some(io::Error::other(reason.clone())),
            None => log.write_tail(&mut self.files).error,
        };
        let end = log.written_end_offset();
        if end > stored.acked_end_offset {
            if log.must_flush(end) {
                (log.flush.is_due, self.is_flush_due) = (true, true);
            } else {
                stored.acked_end_offset = end;
                self.acked.push((key, end));
            }
        }
        if let Some(error) = error {
            tracing::error!(folder = %log.dir.display(), %error, "append failed");
            let error = log.take_back_tail(&error);
            self.failed.push(FailedAppend { key, from_offset: end, error });
        }
    }
}
