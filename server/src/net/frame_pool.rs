//! Memory for frames that do not fit one receive buffer, kept warm: a fresh page costs more than the copy into it.
//!
//! Invariant: what lies unused here never exceeds the bound it was made with; a frame larger than `POOLED_FRAME_MAX` is freed
//! when its last slice is dropped.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

/// Largest buffer that is kept.
const POOLED_FRAME_MAX: usize = 4 << 20;
/// Sizes are multiples of this, so that frames of nearly one size share buffers.
const FRAME_STEP: usize = 64 << 10;

/// Warm buffers of one shard. A frame's last slice may be dropped on another shard's thread, hence the lock; it is
/// taken once per large frame.
#[derive(Clone)]
pub struct FramePool(Arc<Mutex<Free>>);

struct Free {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
    bytes_max: usize,
}

impl FramePool {
    /// Keeps up to `bytes_max` unused bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Mutex::new(Free { buffers: Vec::new(), bytes: 0, bytes_max })))
    }

    /// An initialised buffer of at least `len_min` bytes; its content is unspecified.
    pub fn take(&self, len_min: usize) -> Vec<u8> {
        let mut free = self.lock();
        let fitting = free.buffers.iter().enumerate().filter(|(_, buffer)| buffer.len() >= len_min);
        if let Some((at, _)) = fitting.min_by_key(|(_, buffer)| buffer.len()) {
            let buffer = free.buffers.swap_remove(at);
            free.bytes -= buffer.len();
            return buffer;
        }
        drop(free);
        vec![0; len_min.next_multiple_of(FRAME_STEP).max(FRAME_STEP)]
    }

    /// Whether [`take`](Self::take) of this size would be served from warm memory.
    pub fn holds(&self, len_min: usize) -> bool {
        self.lock().buffers.iter().any(|buffer| buffer.len() >= len_min)
    }

    /// Gives a buffer back.
    pub fn put(&self, buffer: Vec<u8>) {
        let mut free = self.lock();
        if buffer.len() <= POOLED_FRAME_MAX && free.bytes + buffer.len() <= free.bytes_max {
            free.bytes += buffer.len();
            free.buffers.push(buffer);
        }
    }

    /// The first `len` bytes of `buffer`, shared; the memory comes back here with the last slice.
    pub fn freeze(&self, buffer: Vec<u8>, len: usize) -> Bytes {
        Bytes::from_owner(Pooled { buffer, pool: self.clone() }).slice(..len)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Free> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

struct Pooled {
    buffer: Vec<u8>,
    pool: FramePool,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.pool.put(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_with_the_last_slice() {
        let pool = FramePool::new(1 << 20);
        let frame = pool.freeze(pool.take(100_000), 100_000);
        let slice = frame.slice(5..10);
        drop(frame);
        assert!(!pool.holds(100_000));
        drop(slice);
        assert!(pool.holds(100_000));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let pool = FramePool::new(16 << 20);
        for _ in 0..100 {
            pool.put(vec![0; 1 << 20]);
        }
        assert_eq!(pool.lock().bytes, 16 << 20);
        pool.put(vec![0; POOLED_FRAME_MAX + 1]);
        assert_eq!(pool.lock().bytes, 16 << 20);
    }
}
