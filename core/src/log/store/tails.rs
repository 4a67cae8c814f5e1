//! Tails of class sync on their way into segments, behind the ack.
//!
//! A tail is written when it is large, when all of them hold or keep alive more memory than they may, when the commit log
//! is to be released past it, and at the end. Past the page cache if it can be (see [`LateWrites`](super::super::late_writes)).
//!
//! Invariant: a tail that could not be written goes on being served from memory, and its entries stay in the commit log.

use std::io;
use std::ops::Bound;

use super::super::LogKey;
use super::super::append::is_disk_full;
use super::super::class_sync::SyncClass;
use super::super::commit_log::Lsn;
use super::super::log::Log;
use super::{LogState, LogStore, opened, stored_mut};

impl LogStore {
    pub(super) fn end_turn_tails(&mut self, is_short: bool) {
        for (key, result) in self.sync.late_writes.take_ended() {
            self.end_late_write(key, result);
        }
        for key in std::mem::take(&mut self.sync.of_turn) {
            let Some(stored) = stored_mut(&mut self.logs, key) else { continue };
            stored.dirty = false;
            if let LogState::Open(log) = &stored.state
                && log.tail.waiting_bytes() >= self.config.tail_flush_bytes
            {
                self.flush_tail(key);
            }
        }
        let bound = if is_short { 0 } else { self.config.dirty_bytes_max };
        self.flush_oldest_tails(|sync, _| sync.tail_bytes > bound);
        // Small tails of many logs keep large chunks: each write of the commit log is padded to a block.
        if let Some(end) = self.sync.commit_log.scarce_memory_end() {
            self.flush_oldest_tails(|_, lsn| lsn < end);
        }
    }

    /// Writes tails, that of the oldest entry first, as long as there is a reason to.
    pub(super) fn flush_oldest_tails(&mut self, has_reason: impl Fn(&SyncClass, Lsn) -> bool) {
        let mut from = Bound::Unbounded;
        while let Some(&(lsn, key)) = self.sync.tails.range((from, Bound::Unbounded)).next()
            && has_reason(&self.sync, lsn)
        {
            from = Bound::Excluded((lsn, key));
            self.flush_tail(key);
        }
    }

    /// Starts to write a tail past the page cache, or writes it.
    fn flush_tail(&mut self, key: LogKey) {
        let Some(log) = opened(&mut self.logs, key) else { return };
        if log.stopped.is_some() || log.tail.is_empty() || log.tail.is_under_way() {
            return;
        }
        if log.tail.waiting_bytes() >= self.config.late_bytes_min {
            let before = log.tail.mark();
            let started = self.sync.late_writes.start(&self.reactor, log, &mut self.files, self.on_acked.clone());
            self.sync.note_tail(key, before, log.tail.mark());
            match started {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => return note_unwritten(log, &error),
            }
        }
        self.write_tail(key);
    }

    fn end_late_write(&mut self, key: LogKey, result: io::Result<u32>) {
        let Some(log) = opened(&mut self.logs, key) else { return };
        let segment = log.tail.first().expect("it was under way").segment;
        let before = log.tail.mark();
        let (count, error) = match result {
            // A full disk takes a part, and then nothing.
            Ok(0) => (0, Some(io::ErrorKind::StorageFull.into())),
            Ok(count) => (count as usize, None),
            Err(error) => (0, Some(error)),
        };
        log.tail.end_late_write(count);
        log.note_written(segment);
        self.sync.note_tail(key, before, log.tail.mark());
        if let Some(error) = error {
            return note_unwritten(log, &error);
        }
        log.blocked = false;
        if log.active().index_is_due() {
            log.write_active_indexes(&mut self.files);
        }
        if log.log_start_moved || segment != log.active().base_offset {
            self.write_tail(key);
        } else if log.tail.waiting_bytes() >= self.config.tail_flush_bytes {
            self.flush_tail(key);
        }
    }

    /// Writes the tail of a log of class sync through the page cache, if no late write is under way.
    pub(super) fn write_tail(&mut self, key: LogKey) {
        let Some(log) = opened(&mut self.logs, key) else { return };
        if log.stopped.is_some() || log.tail.is_empty() || log.tail.is_under_way() {
            return;
        }
        let before = log.tail.mark();
        let error = log.write_tail(&mut self.files).error;
        log.tail.give_back();
        self.sync.note_tail(key, before, log.tail.mark());
        log.blocked = false;
        if let Some(error) = error {
            note_unwritten(log, &error);
        }
    }

    /// Writes all tails, at the end of the store: no write is under way in the driver.
    pub(super) fn write_all_tails(&mut self) {
        let keys: Vec<LogKey> = self.sync.tails.iter().map(|(_, key)| *key).collect();
        for key in keys {
            if let Some(log) = opened(&mut self.logs, key) {
                let before = log.tail.mark();
                log.tail.end_late_write(0);
                self.sync.note_tail(key, before, log.tail.mark());
            }
            self.write_tail(key);
        }
    }
}

/// The tail stays. On a full disk it is tried again; any other failure stops the log.
fn note_unwritten(log: &mut Log, error: &io::Error) {
    tracing::error!(folder = %log.dir.display(), %error, "a segment cannot be written; the commit log keeps what it lacks");
    log.blocked = is_disk_full(error);
    if !log.blocked {
        log.stop(error);
    }
}
