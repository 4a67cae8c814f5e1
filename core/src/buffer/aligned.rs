//! [`AlignedBuffer`]: memory that O_DIRECT accepts.
#![expect(unsafe_code, reason = "pages are viewed as bytes")]

use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;

/// What buffers, positions and lengths of direct I/O are multiples of.
pub const ALIGNMENT: usize = 4096;

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Page([u8; ALIGNMENT]);

/// Bytes that start at a multiple of [`ALIGNMENT`] and are whole multiples of it long.
pub struct AlignedBuffer(Vec<Page>);

impl AlignedBuffer {
    /// Zeros, `len` rounded up to a multiple of [`ALIGNMENT`].
    pub fn zeroed(len: usize) -> Self {
        Self(vec![Page([0; ALIGNMENT]); len.div_ceil(ALIGNMENT)])
    }

    /// Shared and read-only from here on, without a copy.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `Page` is exactly ALIGNMENT initialised bytes without padding, the vector holds `len` of them in a row.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * ALIGNMENT) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and any bytes make a valid `Page`; `&mut self` makes it the only view.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * ALIGNMENT) }
    }
}

impl AsRef<[u8]> for AlignedBuffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuffer({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_aligned_and_rounded_up_also_when_frozen() {
        let mut buffer = AlignedBuffer::zeroed(5_000);
        assert_eq!(buffer.len(), 8_192);
        buffer[8_191] = 7;
        let bytes = buffer.freeze();
        assert_eq!(bytes.as_ptr() as usize % ALIGNMENT, 0);
        assert_eq!(bytes[8_191], 7);
        assert!(AlignedBuffer::zeroed(0).is_empty());
    }
}
