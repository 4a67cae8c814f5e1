//! Ends a real driver's sleep from another thread: an eventfd that the ring reads, or that epoll watches.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::event::{EventfdFlags, eventfd};

use super::Wake;

/// Shared by the driver and every waker; the descriptor outlives the driver with the last of them.
#[derive(Debug)]
pub(super) struct EventWaker {
    eventfd: OwnedFd,
    /// A ring was written that the driver has not seen yet: further ones are not needed.
    rung: AtomicBool,
    writes: AtomicU64,
}

impl EventWaker {
    pub(super) fn new() -> io::Result<Arc<Self>> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC)?;
        Ok(Arc::new(Self { eventfd, rung: AtomicBool::new(false), writes: AtomicU64::new(0) }))
    }

    pub(super) fn raw_fd(&self) -> RawFd {
        self.eventfd.as_raw_fd()
    }

    pub(super) fn eventfd(&self) -> BorrowedFd<'_> {
        self.eventfd.as_fd()
    }

    /// The driver has noticed the write. AcqRel, the pair of the swap in `wake`: what a waker that found the flag up
    /// had published before is visible to this turn, which is still going on.
    pub(super) fn seen(&self) {
        self.rung.swap(false, Ordering::AcqRel);
    }
}

impl Wake for EventWaker {
    fn wake(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.writes.fetch_add(1, Ordering::Relaxed);
            // Cannot fail: the counter takes 2^64 - 2 writes, also where nobody reads it.
            let written = rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes());
            debug_assert!(written.is_ok());
        }
    }
}
