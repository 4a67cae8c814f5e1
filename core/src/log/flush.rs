//! What `flush.messages` and `flush.ms` ask of a log of class page-cache. The syncing itself is the checkpointer's.

use super::log::Log;

/// How far a log is synced, and whether it is to be.
#[derive(Debug, Default)]
pub(crate) struct FlushState {
    /// End of what is known to be synced, exclusive.
    pub flushed_end_offset: i64,
    /// The next checkpoint syncs all of it.
    pub is_due: bool,
    /// Somebody counts `flush.ms` down.
    is_armed: bool,
}

impl Log {
    /// Everything that is there was synced: it was opened.
    pub fn all_flushed(&mut self) {
        self.flush.flushed_end_offset = self.log_end_offset;
    }

    /// Whether `flush.messages` forbids to ack up to `end_offset` before a sync.
    pub fn must_flush(&self, end_offset: i64) -> bool {
        end_offset - self.flush.flushed_end_offset >= self.config.flush_messages
    }

    /// In how many milliseconds the log is to be flushed, if `flush.ms` has just begun to count.
    pub fn arm_flush(&mut self) -> Option<i64> {
        let begins = self.config.flush_ms < i64::MAX && !std::mem::replace(&mut self.flush.is_armed, true);
        begins.then_some(self.config.flush_ms)
    }

    /// `flush.ms` is over. Whether there is anything to sync.
    pub fn flush_time_is_over(&mut self) -> bool {
        self.flush.is_armed = false;
        self.flush.is_due |= self.log_end_offset > self.flush.flushed_end_offset;
        self.flush.is_due
    }
}
