//! The ring of provided buffers, from which the kernel takes one per receive.
//!
//! Only a few buffers are in the ring at a time: the kernel takes them first in, first out, and the pool behind gives
//! those used last. The number doubles whenever the kernel found the ring empty.
#![expect(unsafe_code, reason = "the buffer ring is memory shared with the kernel")]

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::buffer::{BufferPool, PooledBuffer};

/// The one buffer group of a ring.
pub(super) const GROUP: u16 = 0;
/// Buffers that the kernel can take before it needs more from us, at first.
const LENT_FIRST: u16 = 16;

#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) pool: BufferPool,
    entries: *mut BufRingEntry,
    /// Entries of the ring, a power of two.
    capacity: u16,
    tail: u16,
    /// Buffers with the kernel.
    lent: u16,
    lent_target: u16,
}

impl Buffers {
    pub(super) fn new(ring: &IoUring, pool: BufferPool) -> io::Result<Self> {
        let capacity = pool.count().next_power_of_two();
        // SAFETY: a fresh private mapping (page aligned, as the kernel wants it), owned by this value.
        let memory = unsafe {
            mmap_anonymous(ptr::null_mut(), ring_len(capacity), ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        }?;
        let lent_target = LENT_FIRST.min(pool.count());
        let mut buffers = Self { pool, entries: memory.cast(), capacity, tail: 0, lent: 0, lent_target };
        // SAFETY: the mapping holds `capacity` entries and stays until this value is dropped, which the driver does
        // only after the ring is gone.
        unsafe { ring.submitter().register_buf_ring_with_flags(memory as u64, capacity, GROUP, 0) }?;
        buffers.refill();
        Ok(buffers)
    }

    /// Takes back what was dropped and lends up to the target. Returns whether the kernel has any buffer.
    pub(super) fn refill(&mut self) -> bool {
        self.pool.collect();
        let before = self.tail;
        while self.lent < self.lent_target {
            let Some((id, address, len)) = self.pool.lend() else { break };
            let index = usize::from(self.tail & (self.capacity - 1));
            // SAFETY: `index < capacity`, inside the mapping. The kernel reads an entry only below the published tail;
            // at most `count <= capacity` buffers are lent, so this entry was consumed. The setters write address,
            // length and id, not the field that shares its place with the tail.
            let entry = unsafe { &mut *self.entries.add(index) };
            entry.set_addr(address as u64);
            entry.set_len(len);
            entry.set_bid(id);
            self.tail = self.tail.wrapping_add(1);
            self.lent += 1;
        }
        if self.tail != before {
            // SAFETY: `tail` gives the address of the ring's tail, a two-byte aligned u16 inside the mapping which only
            // this thread writes; the kernel reads it atomically. Release: entries before tail.
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries).cast_mut()) }
                .store(self.tail, Ordering::Release);
        }
        self.lent > 0
    }

    /// The kernel has filled a buffer.
    pub(super) fn take_filled(&mut self, id: u16, len: usize) -> PooledBuffer {
        self.lent -= 1;
        self.pool.take_filled(id, len)
    }

    /// The kernel found no buffer: lend more from now on.
    pub(super) fn ran_out(&mut self) {
        self.lent_target = self.lent_target.saturating_mul(2).min(self.pool.count());
    }
}

fn ring_len(capacity: u16) -> usize {
    usize::from(capacity) * size_of::<BufRingEntry>()
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new` with its length; the driver drops this after the ring, so the kernel does not
        // look at it any more.
        let unmapped = unsafe { munmap(self.entries.cast(), ring_len(self.capacity)) };
        debug_assert!(unmapped.is_ok());
    }
}
