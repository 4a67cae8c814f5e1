//! What makes the background sync hurry for one log: `flush.messages`, `flush.ms`, another durability class.
//!
//! Invariants:
//! - Class page-cache with `flush.messages`: an ack that leaves so many records unsynced waits for the sync.
//! - A class changes when all that was appended before is acked and synced, and the synced point says the new class.
//!   Until then appends find no room. So a commit log never holds what a log of class page-cache
//!   lacks, and its entries follow on what is durable.

use super::super::error::AppendError;
use super::super::{Durability, LogKey};
use super::{FailedAppend, LogState, LogStore, StoredLog, open_log, opened, stored_mut};

impl LogStore {
    /// `flush.ms` is over for a log: its records are synced by the next checkpoint.
    pub fn flush(&mut self, key: LogKey) {
        if let Some(log) = opened(&mut self.logs, key) {
            self.is_flush_due |= log.flush_time_is_over();
        }
    }

    /// Gives a log another class, if it has not got it, as soon as what is there is durable.
    pub fn change_class(&mut self, key: LogKey, durability: Durability) {
        let Some(stored) = stored_mut(&mut self.logs, key) else { return };
        if stored.log_end_offset() == 0 && !stored.is_noted {
            // Nothing says its class, and a point must not speak for a folder that is not there.
            stored.spec.durability = durability;
        } else if stored.spec.durability != durability || stored.next_class.is_some() {
            stored.next_class = Some(durability);
            self.is_flush_due = true;
            if matches!(&stored.state, LogState::Unopened(point) if point.unsynced_from.is_some()) {
                // To be synced, which an open log knows how to do.
                let opened =
                    open_log(&mut self.logs, &mut self.files, &mut self.sync, &self.reactor, &self.log_dir, key);
                if let Err(error) = opened {
                    tracing::error!(%error, "a log that is to change its class cannot be opened");
                }
            }
        }
    }

    /// A class changes when the tail is in the segment.
    pub(super) fn write_tails_of_changing_logs(&mut self) {
        if self.is_flush_due {
            let changing =
                |stored: &Option<StoredLog>| stored.as_ref().is_some_and(|stored| stored.next_class.is_some());
            for index in 0..self.logs.len() {
                if changing(&self.logs[index]) {
                    self.write_tail(LogKey(index as u32));
                }
            }
        }
    }

    /// The run of the checkpointer is over: what it synced may be acked, logs have their new class.
    pub(super) fn finish_promises(&mut self) {
        for (key, durability) in std::mem::take(&mut self.changing) {
            let Some(stored) = stored_mut(&mut self.logs, key) else { continue };
            stored.spec.durability = durability;
            match stored.next_class {
                Some(next) if next != durability => self.is_flush_due = true,
                _ => stored.next_class = None,
            }
        }
        for (key, end_offset) in std::mem::take(&mut self.flushing) {
            let Some(log) = opened(&mut self.logs, key) else { continue };
            log.flush.flushed_end_offset = log.flush.flushed_end_offset.max(end_offset);
            self.write_and_ack(key);
        }
    }

    /// The run has failed: it is repeated for logs that were not stopped by it, the others lose what waits for an ack.
    pub(super) fn fail_promises(&mut self) {
        self.is_flush_due |= !std::mem::take(&mut self.changing).is_empty();
        for (key, _) in std::mem::take(&mut self.flushing) {
            let Some(StoredLog { state: LogState::Open(log), acked_end_offset, .. }) = stored_mut(&mut self.logs, key)
            else {
                continue;
            };
            match &log.stopped {
                None => (log.flush.is_due, self.is_flush_due) = (true, true),
                Some(reason) if *acked_end_offset < log.log_end_offset => {
                    let error = AppendError::MaybeAppended(reason.clone());
                    self.failed.push(FailedAppend { key, from_offset: *acked_end_offset, error });
                }
                Some(_) => {}
            }
        }
    }
}

impl StoredLog {
    /// The class that the log can have with this run: everything is acked, and in its segments.
    pub(super) fn class_to_come(&self) -> Option<Durability> {
        match &self.state {
            LogState::Unopened(point) => self.next_class.filter(|_| point.unsynced_from.is_none()),
            LogState::Open(log) => self.next_class.filter(|_| {
                log.stopped.is_none()
                    && log.tail.is_empty()
                    && log.direct.is_empty()
                    && self.acked_end_offset == log.log_end_offset
            }),
        }
    }
}
