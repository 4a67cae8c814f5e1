//! Staging memory: bytes are copied in once, then shared with a write in flight, with readers and with late writers.
//!
//! A [`StagingPool`] lends [`Staging`] chunks of 4,096-byte aligned memory (fit for O_DIRECT). One owner appends; what
//! was shared is immutable and lives until its last [`Bytes`] is dropped, on whichever thread; then the chunk goes
//! back to the pool, warm.
//!
//! Invariants:
//! - Bytes below `filled` that were shared are never written again; only the owner of the `Staging` writes, and only at
//!   `filled` and beyond, or into the one open hole, which cannot be shared before it is filled.
//! - The pool's memory, lent and warm together, never exceeds its bound.
#![expect(unsafe_code, reason = "a chunk is written by its owner while earlier parts of it are read by others")]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use bytes::Bytes;
use crossbeam_queue::ArrayQueue;

/// Alignment of every chunk, and the unit of its length.
pub const ALIGNMENT: usize = 4096;

/// Lends chunks; clones share the bound.
#[derive(Clone)]
pub struct StagingPool(Arc<Pool>);

struct Pool {
    chunk_bytes: usize,
    bytes_max: usize,
    /// Lent and warm.
    allocated: AtomicUsize,
    warm: ArrayQueue<Memory>,
    /// A chunk was refused, and none has come back since.
    starved: AtomicBool,
    /// Woken by the first one that does.
    on_return: OnceLock<Waker>,
}

impl fmt::Debug for StagingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagingPool").field("lent_bytes", &self.lent_bytes()).finish_non_exhaustive()
    }
}

impl StagingPool {
    /// Chunks of `chunk_bytes` (a multiple of 4,096), at most `bytes_max` in all, of which `warm_chunks_max` are kept
    /// while nobody uses them.
    pub fn new(chunk_bytes: usize, bytes_max: usize, warm_chunks_max: usize) -> Self {
        assert!(chunk_bytes > 0 && chunk_bytes.is_multiple_of(ALIGNMENT));
        let warm = ArrayQueue::new(warm_chunks_max.max(1));
        let (starved, on_return) = (AtomicBool::new(false), OnceLock::new());
        Self(Arc::new(Pool { chunk_bytes, bytes_max, allocated: AtomicUsize::new(0), warm, starved, on_return }))
    }

    /// Wakes `waker`, on whichever thread that happens, when memory comes back after some was refused. Told once.
    pub fn set_on_return(&self, waker: Waker) {
        assert!(self.0.on_return.set(waker).is_ok(), "once");
    }

    /// A chunk with room for at least `len` bytes; longer than usual, and not kept afterwards, when `len` is.
    /// `None` when the bound is reached: take again after shared bytes were dropped.
    pub fn take(&self, len: usize) -> Option<Staging> {
        self.try_take(len).or_else(|| {
            // AcqRel, the pair of the swap in `Chunk::drop`: either what came back meanwhile is found now, or whoever
            // gives it back finds this.
            self.0.starved.swap(true, Ordering::AcqRel);
            self.try_take(len)
        })
    }

    fn try_take(&self, len: usize) -> Option<Staging> {
        if len <= self.0.chunk_bytes
            && let Some(memory) = self.0.warm.pop()
        {
            return Some(Staging::new(memory, Some(Arc::clone(&self.0))));
        }
        let size = len.max(self.0.chunk_bytes).next_multiple_of(ALIGNMENT);
        while self.0.allocated.fetch_add(size, Ordering::Relaxed) + size > self.0.bytes_max {
            self.0.allocated.fetch_sub(size, Ordering::Relaxed);
            let idle = self.0.warm.pop()?;
            self.0.allocated.fetch_sub(idle.size, Ordering::Relaxed);
        }
        Some(Staging::new(Memory::new(size), Some(Arc::clone(&self.0))))
    }

    /// Bytes that are lent now.
    pub fn lent_bytes(&self) -> usize {
        let warm = self.0.warm.len() * self.0.chunk_bytes;
        self.0.allocated.load(Ordering::Relaxed).saturating_sub(warm)
    }

    /// The bound on lent and warm bytes.
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }
}

/// One aligned allocation, zeroed when new.
struct Memory {
    start: NonNull<u8>,
    size: usize,
}

impl Memory {
    fn new(size: usize) -> Self {
        let layout = Self::layout(size);
        // SAFETY: `size` is a multiple of ALIGNMENT and not 0 (`take` and `alone` round up a positive number).
        let start = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(start) else { std::alloc::handle_alloc_error(layout) };
        Self { start, size }
    }

    fn layout(size: usize) -> Layout {
        assert!(size > 0);
        Layout::from_size_align(size, ALIGNMENT).expect("a chunk is far smaller than isize::MAX")
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout, freed only here.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.size)) }
    }
}

// SAFETY: it owns its allocation, which is not tied to a thread.
unsafe impl Send for Memory {}
// SAFETY: through `&Memory` nothing is read or written; who touches the bytes is ruled by `Staging` and `Shared`.
unsafe impl Sync for Memory {}

/// A lent chunk; the last of its holders gives it back.
struct Chunk {
    memory: Option<Memory>,
    pool: Option<Arc<Pool>>,
}

impl Chunk {
    fn start(&self) -> *mut u8 {
        self.memory.as_ref().expect("taken only in drop").start.as_ptr()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let (Some(memory), Some(pool)) = (self.memory.take(), self.pool.take()) else { return };
        let size = memory.size;
        if size != pool.chunk_bytes || pool.warm.push(memory).is_err() {
            pool.allocated.fetch_sub(size, Ordering::Relaxed);
        }
        if pool.starved.swap(false, Ordering::AcqRel)
            && let Some(waker) = pool.on_return.get()
        {
            waker.wake_by_ref();
        }
    }
}

/// The owner's end of a chunk: appends, and shares what it appended.
pub struct Staging {
    chunk: Arc<Chunk>,
    size: usize,
    filled: usize,
    hole: Range<usize>,
}

impl fmt::Debug for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staging").field("filled", &self.filled).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Staging {
    fn new(memory: Memory, pool: Option<Arc<Pool>>) -> Self {
        let size = memory.size;
        Self { chunk: Arc::new(Chunk { memory: Some(memory), pool }), size, filled: 0, hole: 0..0 }
    }

    /// Memory of its own, outside of any pool's bound: for the few bytes that must be written to free a full pool.
    pub fn alone(len: usize) -> Self {
        Self::new(Memory::new(len.max(1).next_multiple_of(ALIGNMENT)), None)
    }

    /// Bytes appended so far.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Bytes that still fit.
    pub fn remaining(&self) -> usize {
        self.size - self.filled
    }

    /// Copies `bytes` behind what is there. Panics when they do not fit.
    pub fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.remaining());
        // SAFETY: the target lies in the chunk (checked above), at `filled` and beyond, which was never shared; `&mut
        // self` is the only writer; `bytes` cannot be of this part, as no reference to it was ever made.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.chunk.start().add(self.filled), bytes.len()) }
        self.filled += bytes.len();
    }

    /// Appends zeros until `filled` is a multiple of 4,096.
    pub fn pad(&mut self) {
        let padding = self.filled.next_multiple_of(ALIGNMENT) - self.filled;
        // SAFETY: the chunk's size is a multiple of ALIGNMENT, so the target lies in it; otherwise as in `append`.
        unsafe { std::ptr::write_bytes(self.chunk.start().add(self.filled), 0, padding) }
        self.filled += padding;
    }

    /// Leaves `len` bytes to be written later by [`Self::fill_hole`]. At most one hole is open.
    pub fn leave_hole(&mut self, len: usize) {
        assert!(self.hole.is_empty() && len <= self.remaining());
        self.hole = self.filled..self.filled + len;
        self.filled += len;
    }

    /// Writes the open hole, whose length `bytes` has, and closes it.
    pub fn fill_hole(&mut self, bytes: &[u8]) {
        assert!(!self.hole.is_empty() && bytes.len() == self.hole.len());
        // SAFETY: the hole lies in the chunk and was not shared, as `check` refuses an open hole; `&mut self` is the
        // only writer, and `bytes` cannot be of the hole, as no reference to it was ever made.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.chunk.start().add(self.hole.start), bytes.len()) }
        self.hole = 0..0;
    }

    /// Appended bytes, to be read by the owner. Panics when they meet the open hole.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.check(&range);
        // SAFETY: initialised (zeroed, then written) and in the chunk; bytes below `filled` outside of the hole do not
        // change while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.chunk.start().add(range.start), range.len()) }
    }

    /// Appended bytes, shared without a copy. Panics when they meet the open hole.
    pub fn share(&self, range: Range<usize>) -> Bytes {
        self.check(&range);
        Bytes::from_owner(Shared { chunk: Arc::clone(&self.chunk), range })
    }

    fn check(&self, range: &Range<usize>) {
        assert!(range.start <= range.end && range.end <= self.filled);
        assert!(self.hole.is_empty() || range.end <= self.hole.start || range.start >= self.hole.end);
    }
}

/// An immutable part of a chunk; keeps the whole chunk lent.
struct Shared {
    chunk: Arc<Chunk>,
    range: Range<usize>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: made by `share`, so the range lies in the chunk, is initialised, and is never written again while
        // the chunk is lent, which `self.chunk` ensures.
        unsafe { std::slice::from_raw_parts(self.chunk.start().add(self.range.start), self.range.len()) }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    #[test]
    fn shared_bytes_stay_while_the_owner_appends() {
        let pool = StagingPool::new(8192, 16384, 2);
        let mut staging = pool.take(10).expect("room");
        staging.leave_hole(4);
        staging.append(b"hello");
        let hello = staging.share(4..9);
        staging.append(b" world");
        staging.fill_hole(b"head");
        staging.pad();
        assert_eq!(&hello[..], b"hello");
        assert_eq!(&staging.share(0..15)[..], b"headhello world");
        assert_eq!(staging.filled(), 4096);
        assert_eq!(staging.bytes(15..4096), &[0; 4081]);
        assert_eq!(staging.share(0..4096).as_ptr().align_offset(ALIGNMENT), 0);
    }

    #[test]
    #[should_panic(expected = "self.hole")]
    fn an_open_hole_is_not_shared() {
        let mut staging = Staging::alone(1);
        staging.leave_hole(4);
        staging.append(b"x");
        staging.share(3..5);
    }

    #[test]
    fn the_pool_is_bounded_and_memory_comes_back_from_another_thread() {
        let pool = StagingPool::new(4096, 8192, 1);
        let first = pool.take(1).expect("room");
        let mut second = pool.take(4096).expect("room");
        assert!(pool.take(1).is_none());
        assert_eq!(pool.lent_bytes(), 8192);
        second.append(b"abc");
        let shared = second.share(0..3);
        drop(second);
        assert!(pool.take(1).is_none());
        std::thread::scope(|scope| {
            scope.spawn(move || drop(shared));
        });
        assert_eq!(pool.lent_bytes(), 4096);
        drop(first);
        assert_eq!(pool.lent_bytes(), 0);
        let large = pool.take(5000).expect("idle memory makes room");
        assert_eq!(large.remaining(), 8192);
        drop(large);
        assert_eq!(pool.lent_bytes(), 0);
    }

    #[test]
    fn who_was_refused_is_woken_once_by_what_comes_back() {
        #[derive(Default)]
        struct Woken(AtomicUsize);

        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }

        let (pool, woken) = (StagingPool::new(4096, 8192, 1), Arc::new(Woken::default()));
        pool.set_on_return(Arc::clone(&woken).into());
        let lent = [pool.take(1).expect("room"), pool.take(1).expect("room")];
        drop(pool.take(4096 * 3));
        assert_eq!(woken.0.load(Ordering::Relaxed), 0, "nothing came back");
        drop(lent);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        drop(pool.take(1).expect("room"));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "nobody was refused since");
    }

    #[test]
    fn reused_memory_is_padded_with_zeros() {
        let pool = StagingPool::new(4096, 4096, 1);
        let mut staging = pool.take(1).expect("room");
        staging.append(&[7; 4096]);
        drop(staging);
        let mut staging = pool.take(1).expect("room");
        staging.append(b"a");
        staging.pad();
        assert_eq!(staging.bytes(1..4096), &[0; 4095]);
    }
}
