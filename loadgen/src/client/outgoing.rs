//! Bytes on their way to a socket: small ones are joined, large ones referenced.

use bytes::{Bytes, BytesMut};
use ringlog_core::reactor::Parts;

/// Pieces up to this size are copied.
const COPY_MAX: usize = 2_048;
/// Memory taken at a time for what is copied.
const CHUNK: usize = 64 << 10;

/// Collects requests for one send.
#[derive(Debug, Default)]
pub struct Outgoing {
    parts: Parts,
    joined: BytesMut,
    size_bytes: usize,
}

impl Outgoing {
    /// Appends a copy, and hands it out to be changed.
    pub fn copy(&mut self, bytes: &[u8]) -> &mut [u8] {
        if self.joined.capacity() - self.joined.len() < bytes.len() {
            self.cut();
            self.joined.reserve(bytes.len().max(CHUNK));
        }
        let start = self.joined.len();
        self.joined.extend_from_slice(bytes);
        self.size_bytes += bytes.len();
        &mut self.joined[start..]
    }

    /// Appends bytes that live elsewhere.
    pub fn share(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPY_MAX {
            self.copy(bytes);
            return;
        }
        self.cut();
        self.parts.push(bytes.clone());
        self.size_bytes += bytes.len();
    }

    /// Appends what is in `buffer`, which is empty afterwards.
    pub fn append(&mut self, buffer: &mut Vec<u8>) {
        if buffer.len() <= COPY_MAX {
            self.copy(buffer);
            buffer.clear();
        } else {
            self.share(&std::mem::take(buffer).into());
        }
    }

    fn cut(&mut self) {
        if !self.joined.is_empty() {
            self.parts.push(self.joined.split().freeze());
        }
    }

    /// Bytes so far.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Everything, in order; empty afterwards.
    pub fn take(&mut self) -> Parts {
        self.cut();
        self.size_bytes = 0;
        std::mem::take(&mut self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept() {
        let mut out = Outgoing::default();
        let large = Bytes::from(vec![7; COPY_MAX + 1]);
        out.copy(b"xb")[0] = b'a';
        out.share(&Bytes::from_static(b"cd"));
        out.share(&large);
        out.append(&mut b"e".to_vec());
        assert_eq!(out.size_bytes(), large.len() + 5);
        let parts = out.take();
        assert_eq!(parts.len(), 3);
        assert_eq!(parts.concat(), [b"abcd", &large[..], b"e"].concat());
        assert!(out.take().is_empty());
    }
}
