//! Tails of class sync on their way into segments, behind the ack.
//!
//! A tail is written when it is large, when all of them hold or keep alive more memory than they may, when the commit log
//! is to be released past it, and at the end. Past the page cache if it can be (see [`LateWrites`](super::super::late_writes)).
//!
//! Invariants:
//! - A tail that could not be written goes on being served from memory, and its entries stay in the commit log.
//! - What the commit log needs is written over several turns when it is the tails of many logs.

use std::io;
use std::ops::Bound;

use super::super::LogKey;
use super::super::append::is_disk_full;
use super::super::class_sync::DueTails;
use super::super::commit_log::Lsn;
use super::super::log::Log;
use super::{LogState, LogStore, opened, stored_mut};

impl LogStore {
    pub(super) fn end_turn_tails(&mut self) {
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
        let mut from = Bound::Unbounded;
        while self.sync.tail_bytes > self.config.dirty_bytes_max
            && let Some(tail) = self.sync.next_tail(from)
        {
            self.flush_tail(tail.1);
            from = Bound::Excluded(tail);
        }
    }

    /// Writes some of the tails that the commit log needs written, those of the oldest entries first: it is short of memory
    /// or files, or is to be released. The next turn goes on with the others. Told how many logs got a batch in this one,
    /// and the end of the oldest file if that is to be released.
    pub(super) fn write_due_tails(&mut self, is_short: bool, logs_of_turn: usize, of_file: Option<Lsn>) {
        let all = is_short.then(|| self.sync.commit_log.next_lsn());
        // Small tails of many logs keep large chunks: each write of the commit log is padded to a block.
        let of_chunks = self.sync.commit_log.scarce_memory_end();
        let due = self.sync.due_tails.take();
        let ends = [all, of_chunks, of_file, due.map(|due| due.end)];
        let Some(end) = ends.into_iter().flatten().max() else { return };
        let mut from = due.map_or(Bound::Unbounded, |due| due.from);
        for _ in 0..logs_of_turn.max(self.config.due_tails_per_turn) {
            let Some(tail) = self.sync.next_tail(from).filter(|(lsn, _)| *lsn < end) else { return };
            self.flush_tail(tail.1);
            from = Bound::Excluded(tail);
        }
        self.sync.due_tails = Some(DueTails { from, end });
        if let Some(call) = self.on_acked.clone() {
            let next_turn = self.reactor.yield_now();
            self.reactor.spawn(async move {
                next_turn.await;
                call();
            });
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
