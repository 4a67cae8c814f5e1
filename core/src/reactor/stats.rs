//! What a real driver has done so far.

use std::cell::Cell;
use std::rc::Rc;

/// Counters of one driver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IoStats {
    /// System calls that wait: `io_uring_enter`, or `epoll_wait`.
    pub waits: u64,
    /// Completions.
    pub completions: u64,
    /// Times a receive found no buffer.
    pub buffers_exhausted: u64,
    /// Sleeps that another thread ended.
    pub wakes: u64,
}

/// Reads [`IoStats`] while the reactor owns the driver.
#[derive(Debug, Clone, Default)]
pub struct IoStatsReader(Rc<Cell<IoStats>>);

impl IoStatsReader {
    /// As of the end of the last turn.
    pub fn read(&self) -> IoStats {
        self.0.get()
    }

    pub(super) fn publish(&self, stats: IoStats) {
        self.0.set(stats);
    }
}
