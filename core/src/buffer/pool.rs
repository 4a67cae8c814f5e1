//! Buffers that the kernel fills and any thread gives back.
//!
//! The memory is mapped once and touched only as buffers are used. Free buffers are a stack, so the ones used last,
//! which are in the cache, are used next and the others stay untouched.
//!
//! Invariant: a buffer is in exactly one place: with the kernel, on the free stack, in the queue of returned ones, or
//! behind one [`PooledBuffer`]. Only then may the kernel write to it without anyone looking.
#![expect(unsafe_code, reason = "the kernel writes into the pool's memory")]

use std::fmt;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use crossbeam_queue::ArrayQueue;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// Received bytes up to this many are copied, so that small frames and idle connections never hold a buffer.
const COPY_MAX: usize = 2048;

/// The owner's side of the pool; lives with the driver.
pub struct BufferPool {
    shared: Arc<Shared>,
    free: Vec<u16>,
    /// Whether a buffer is with the kernel, per buffer.
    lent: Vec<bool>,
}

struct Shared {
    memory: NonNull<u8>,
    buffer_size: usize,
    count: u16,
    /// Room for every buffer: pushing never fails.
    returned: ArrayQueue<u16>,
    /// The owner waits for a buffer.
    starved: AtomicBool,
    on_return: Box<dyn Fn() + Send + Sync>,
}

// SAFETY: `memory` is a mapping that lives as long as `Shared`. A buffer's bytes are read only through its one
// `PooledBuffer` and written only by the kernel while there is none (module invariant); the hand-over between threads
// goes through `returned`, whose push releases and whose pop acquires. The other fields are Send and Sync.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping of `BufferPool::new`, with its length; no view is left, as each holds this `Shared`, and
        // the driver keeps a pool whose buffers are with the kernel alive until the ring is gone.
        let unmapped = unsafe { munmap(self.memory.as_ptr().cast(), self.buffer_size * usize::from(self.count)) };
        debug_assert!(unmapped.is_ok());
    }
}

impl BufferPool {
    /// Maps `count` buffers. `on_return` is called, on whichever thread drops it, for a buffer that comes back after
    /// [`BufferPool::expect_return`].
    pub fn new(count: u16, buffer_size: usize, on_return: Box<dyn Fn() + Send + Sync>) -> io::Result<Self> {
        assert!(count > 0 && buffer_size > 0 && u32::try_from(buffer_size).is_ok());
        let len = buffer_size * usize::from(count);
        // SAFETY: a fresh private mapping at an address the kernel chooses; nothing else points there.
        let memory =
            unsafe { mmap_anonymous(ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) }?;
        let memory = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let shared = Shared {
            memory,
            buffer_size,
            count,
            returned: ArrayQueue::new(usize::from(count)),
            starved: AtomicBool::new(false),
            on_return,
        };
        Ok(Self { shared: Arc::new(shared), free: (0..count).rev().collect(), lent: vec![false; usize::from(count)] })
    }

    /// Bytes per buffer.
    pub fn buffer_size(&self) -> usize {
        self.shared.buffer_size
    }

    /// All buffers, wherever they are.
    pub fn count(&self) -> u16 {
        self.shared.count
    }

    /// Buffers that can be lent now.
    pub fn free_count(&self) -> usize {
        self.free.len()
    }

    /// Takes in what other holders gave back; returns whether there was anything.
    pub fn collect(&mut self) -> bool {
        let before = self.free.len();
        while let Some(id) = self.shared.returned.pop() {
            self.free.push(id);
        }
        self.free.len() > before
    }

    /// Lends a buffer to the kernel: its id, address and length.
    pub fn lend(&mut self) -> Option<(u16, *mut u8, u32)> {
        let id = self.free.pop()?;
        self.lent[usize::from(id)] = true;
        Some((id, self.shared.address(id), self.shared.buffer_size as u32))
    }

    /// The kernel is done with a buffer and has written `len` bytes.
    pub fn take_filled(&mut self, id: u16, len: usize) -> PooledBuffer {
        assert!(
            std::mem::replace(&mut self.lent[usize::from(id)], false),
            "the kernel returned a buffer it did not have"
        );
        assert!(len <= self.shared.buffer_size);
        PooledBuffer { shared: Arc::clone(&self.shared), id, len }
    }

    /// Fills the buffer used last by `receive`, which says how many bytes it wrote; nothing when all buffers are out.
    pub fn fill<E>(&mut self, receive: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Option<Result<PooledBuffer, E>> {
        self.collect();
        let id = self.free.pop()?;
        // SAFETY: inside the mapping; initialised, as anonymous memory is zeros; the buffer was on the free stack, so
        // nobody else looks at it (module invariant) until this call has put it behind its `PooledBuffer` or back.
        let memory = unsafe { std::slice::from_raw_parts_mut(self.shared.address(id), self.shared.buffer_size) };
        Some(match receive(memory) {
            Ok(len) => {
                assert!(len <= self.shared.buffer_size);
                Ok(PooledBuffer { shared: Arc::clone(&self.shared), id, len })
            }
            Err(error) => {
                self.free.push(id);
                Err(error)
            }
        })
    }

    /// Asks for one call of `on_return` when a buffer comes back. Returns false, and asks nothing, if one has already.
    pub fn expect_return(&mut self) -> bool {
        // SeqCst on both sides: either the returning thread sees the flag, or we see its buffer.
        self.shared.starved.store(true, Ordering::SeqCst);
        if self.shared.returned.is_empty() {
            return true;
        }
        self.shared.starved.store(false, Ordering::SeqCst);
        false
    }
}

impl Shared {
    fn address(&self, id: u16) -> *mut u8 {
        assert!(id < self.count);
        // SAFETY: `id < count`, so the offset is inside the one mapping.
        unsafe { self.memory.as_ptr().add(usize::from(id) * self.buffer_size) }
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BufferPool({} x {} bytes, {} free)", self.count(), self.buffer_size(), self.free.len())
    }
}

/// Bytes in a buffer of a pool, which goes back when this is dropped, on any thread.
pub struct PooledBuffer {
    shared: Arc<Shared>,
    id: u16,
    len: usize,
}

impl PooledBuffer {
    /// The bytes: few ones as a copy, many in place.
    pub fn into_bytes(self) -> Bytes {
        match self.len {
            0..=COPY_MAX => Bytes::copy_from_slice(self.as_ref()),
            _ => Bytes::from_owner(self),
        }
    }
}

impl AsRef<[u8]> for PooledBuffer {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: inside the mapping, which `shared` keeps; initialised, as anonymous memory is zeros; nobody writes
        // while this value exists (module invariant).
        unsafe { std::slice::from_raw_parts(self.shared.address(self.id), self.len) }
    }
}

impl Drop for PooledBuffer {
    fn drop(&mut self) {
        let pushed = self.shared.returned.push(self.id);
        debug_assert!(pushed.is_ok(), "the queue has room for every buffer");
        std::sync::atomic::fence(Ordering::SeqCst);
        // A plain load first: the flag is nearly always down, and a swap would take the cache line.
        if self.shared.starved.load(Ordering::SeqCst) && self.shared.starved.swap(false, Ordering::SeqCst) {
            (self.shared.on_return)();
        }
    }
}

impl fmt::Debug for PooledBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PooledBuffer({}, {} bytes)", self.id, self.len)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn buffers_come_back_from_another_thread_and_ring_once_when_awaited() {
        let rings = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&rings);
        let mut pool = BufferPool::new(2, 4096, Box::new(move || _ = counter.fetch_add(1, Ordering::SeqCst))).unwrap();
        let (first, address, _) = pool.lend().unwrap();
        let (second, ..) = pool.lend().unwrap();
        assert!(pool.lend().is_none());
        // SAFETY: the buffer is lent to this test, which plays the kernel, and has room for four bytes.
        unsafe { address.copy_from(b"ring".as_ptr(), 4) };
        let (one, two) = (pool.take_filled(first, 4), pool.take_filled(second, 0));
        assert_eq!(one.as_ref(), b"ring");
        assert!(pool.expect_return());
        std::thread::scope(|scope| _ = scope.spawn(move || drop((one, two))));
        assert_eq!(rings.load(Ordering::SeqCst), 1);
        assert!(!pool.expect_return());
        assert!(pool.collect());
        assert_eq!(pool.free_count(), 2);
    }

    #[test]
    fn a_buffer_that_was_filled_is_out_until_it_is_dropped() {
        let mut pool = BufferPool::new(1, 4096, Box::new(|| {})).unwrap();
        assert_eq!(pool.fill(|_| Err("nothing there")).unwrap().unwrap_err(), "nothing there");
        let fill = |pool: &mut BufferPool, len: usize| {
            pool.fill(|memory| {
                memory[..len].fill(7);
                Ok::<_, io::Error>(len)
            })
        };
        let many = fill(&mut pool, COPY_MAX + 1).unwrap().unwrap().into_bytes();
        assert!(fill(&mut pool, 1).is_none());
        assert_eq!(many, vec![7; COPY_MAX + 1]);
        drop(many);
        let few = fill(&mut pool, COPY_MAX).unwrap().unwrap().into_bytes();
        assert!(pool.collect(), "few bytes do not hold the buffer");
        assert_eq!(few, vec![7; COPY_MAX]);
    }

    #[test]
    #[should_panic(expected = "did not have")]
    fn a_buffer_that_was_not_lent_is_refused() {
        let mut pool = BufferPool::new(1, 4096, Box::new(|| {})).unwrap();
        pool.take_filled(0, 1);
    }
}
