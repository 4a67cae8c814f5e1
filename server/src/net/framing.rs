//! Cuts length-prefixed frames out of received chunks: a frame inside one chunk is a slice of it, one that spans chunks
//! is joined in memory that grows only as its bytes arrive.
//!
//! Invariant: memory held for an incomplete frame is at most twice the bytes received for it plus 64 KiB, unless warm
//! memory of the pool holds all of it; the length prefix alone never allocates.

use bytes::Bytes;

use super::FramePool;

/// Below this a joined frame is filled from received chunks; above, the rest is received straight into its buffer.
const DIRECT_RECEIVE_MIN: usize = 32 << 10;
const PREFIX: usize = 4;

/// Why a peer's bytes are no frame.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// A negative length.
    #[error("negative frame length {0}")]
    Negative(i32),
    /// More than `socket.request.max.bytes`.
    #[error("frame of {length} bytes is larger than socket.request.max.bytes = {max}")]
    TooLarge {
        /// As the prefix says.
        length: usize,
        /// The bound.
        max: usize,
    },
}

/// The receiving side of one connection.
pub struct Framing {
    frame_bytes_max: usize,
    pool: FramePool,
    /// Received and not yet cut; only while no frame is being joined.
    chunk: Bytes,
    joining: Option<Joining>,
}

/// A frame that spans chunks.
struct Joining {
    buffer: Vec<u8>,
    filled: usize,
    /// Prefix and body; `None` until the four bytes of the prefix are there.
    total: Option<usize>,
}

impl Framing {
    /// Nothing received yet.
    pub fn new(frame_bytes_max: usize, pool: FramePool) -> Self {
        Self { frame_bytes_max, pool, chunk: Bytes::new(), joining: None }
    }

    /// Adds what was received. Call [`next_frame`](Self::next_frame) until it has no more before the next `push`.
    pub fn push(&mut self, chunk: Bytes) {
        assert!(self.chunk.is_empty(), "frames are cut before more is received");
        self.chunk = chunk;
    }

    /// Moves what was received and not yet cut into own memory: the buffer that it lies in is needed elsewhere.
    pub fn detach(&mut self) {
        self.chunk = Bytes::copy_from_slice(&self.chunk);
    }

    /// The next whole frame without its prefix.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.joining.is_some() {
            return self.next_joined();
        }
        let Some(prefix) = self.chunk.first_chunk::<PREFIX>() else {
            return Ok(self.begin_joining(None));
        };
        let total = self.checked_total(*prefix)?;
        if self.chunk.len() < total {
            return Ok(self.begin_joining(Some(total)));
        }
        let mut frame = self.chunk.split_to(total);
        Ok(Some(frame.split_off(PREFIX)))
    }

    /// Size of the frame that is received straight into its own buffer, prefix included.
    pub fn large_frame(&self) -> Option<usize> {
        let joining = self.joining.as_ref()?;
        joining.total.filter(|total| total - joining.filled >= DIRECT_RECEIVE_MIN)
    }

    /// When the rest of a large frame is due: its buffer, the bytes already there and how many the buffer may take now.
    /// The caller receives into it and gives it back to [`filled`](Self::filled).
    pub fn take_direct(&mut self) -> Option<(Vec<u8>, usize, usize)> {
        let total = self.large_frame()?;
        let joining = self.joining.as_mut()?;
        let received = joining.filled;
        if joining.buffer.len() < total && joining.buffer.len() - received < DIRECT_RECEIVE_MIN {
            self.grow(received, total);
        }
        let joining = self.joining.as_mut()?;
        let end = total.min(joining.buffer.len());
        Some((std::mem::take(&mut joining.buffer), joining.filled, end))
    }

    /// Gives the buffer of [`take_direct`](Self::take_direct) back with `filled` bytes in it.
    pub fn filled(&mut self, buffer: Vec<u8>, filled: usize) {
        let joining = self.joining.as_mut().expect("a buffer was taken out of a joining frame");
        joining.buffer = buffer;
        joining.filled = filled;
    }

    fn checked_total(&self, prefix: [u8; PREFIX]) -> Result<usize, FrameError> {
        let length = i32::from_be_bytes(prefix);
        let length = usize::try_from(length).map_err(|_| FrameError::Negative(length))?;
        if length > self.frame_bytes_max {
            return Err(FrameError::TooLarge { length, max: self.frame_bytes_max });
        }
        Ok(PREFIX + length)
    }

    fn begin_joining(&mut self, total: Option<usize>) -> Option<Bytes> {
        if !self.chunk.is_empty() {
            let chunk = std::mem::take(&mut self.chunk);
            let mut buffer = self.pool.take(chunk.len());
            buffer[..chunk.len()].copy_from_slice(&chunk);
            self.joining = Some(Joining { buffer, filled: chunk.len(), total });
        }
        None
    }

    fn next_joined(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.joining.as_ref().is_some_and(|joining| joining.total.is_none()) {
            self.join_up_to(PREFIX);
            let joining = self.joining.as_ref().expect("checked above");
            let Some(prefix) = joining.buffer[..joining.filled].first_chunk::<PREFIX>() else { return Ok(None) };
            let total = self.checked_total(*prefix)?;
            self.joining.as_mut().expect("checked above").total = Some(total);
        }
        let total = self.joining.as_ref().and_then(|joining| joining.total).expect("set above");
        self.join_up_to(total);
        if self.joining.as_ref().is_some_and(|joining| joining.filled < total) {
            return Ok(None);
        }
        let joining = self.joining.take().expect("checked above");
        Ok(Some(self.pool.freeze(joining.buffer, total).split_off(PREFIX)))
    }

    /// Moves bytes of the chunk into the joining frame until that holds `end` or the chunk is empty.
    fn join_up_to(&mut self, end: usize) {
        let filled = self.joining.as_ref().map_or(0, |joining| joining.filled);
        let take = end.saturating_sub(filled).min(self.chunk.len());
        if take == 0 {
            return;
        }
        if self.joining.as_ref().is_some_and(|joining| joining.buffer.len() < filled + take) {
            self.grow(filled + self.chunk.len(), end);
        }
        let bytes = self.chunk.split_to(take);
        let joining = self.joining.as_mut().expect("only called while joining");
        joining.buffer[filled..filled + take].copy_from_slice(&bytes);
        joining.filled += take;
    }

    /// Makes room for more of a frame of `total` bytes of which `received` have arrived: all of it from warm memory,
    /// else at most twice what was received.
    fn grow(&mut self, received: usize, total: usize) {
        let size = if self.pool.holds(total) { total } else { total.min(2 * received) };
        let mut larger = self.pool.take(size);
        let joining = self.joining.as_mut().expect("only called while joining");
        larger[..joining.filled].copy_from_slice(&joining.buffer[..joining.filled]);
        self.pool.put(std::mem::replace(&mut joining.buffer, larger));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames_of(chunks: &[&[u8]], direct: bool) -> Result<Vec<Bytes>, FrameError> {
        let mut framing = Framing::new(1 << 20, FramePool::new(16 << 20));
        let mut frames = Vec::new();
        for chunk in chunks {
            let mut chunk = Bytes::copy_from_slice(chunk);
            while let Some((mut buffer, filled, end)) = direct.then(|| framing.take_direct()).flatten() {
                let take = chunk.len().min(end - filled);
                buffer[filled..filled + take].copy_from_slice(&chunk.split_to(take));
                framing.filled(buffer, filled + take);
                if chunk.is_empty() {
                    break;
                }
            }
            framing.push(chunk);
            while let Some(frame) = framing.next_frame()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in(
            sizes in prop::collection::vec(0usize..200_000, 1..6),
            cuts in prop::collection::vec(0usize..600_000, 0..8),
            direct in any::<bool>(),
        ) {
            let mut stream = Vec::new();
            for (at, size) in sizes.iter().enumerate() {
                stream.extend_from_slice(&(*size as i32).to_be_bytes());
                stream.extend((0..*size).map(|byte| (byte + at) as u8));
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (stream.len() + 1)).collect();
            cuts.push(stream.len());
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                chunks.push(&stream[from..cut]);
                from = cut;
            }
            let frames = frames_of(&chunks, direct).unwrap();
            prop_assert_eq!(frames.len(), sizes.len());
            for (at, (frame, size)) in frames.iter().zip(&sizes).enumerate() {
                prop_assert_eq!(frame.len(), *size);
                prop_assert!(frame.iter().enumerate().all(|(byte, value)| *value == (byte + at) as u8));
            }
        }
    }

    #[test]
    fn negative_and_huge_lengths_are_refused() {
        assert_eq!(frames_of(&[&[0xff, 0xff, 0xff, 0xfe]], false), Err(FrameError::Negative(-2)));
        let huge = i32::MAX.to_be_bytes();
        assert_eq!(
            frames_of(&[&huge[..2], &huge[2..]], false).map_err(|error| matches!(error, FrameError::TooLarge { .. })),
            Err(true)
        );
    }

    #[test]
    fn a_length_alone_allocates_nothing_large() {
        let mut framing = Framing::new(100 << 20, FramePool::new(16 << 20));
        framing.push(Bytes::from_static(&[0x05, 0, 0, 0, 1, 2, 3]));
        assert_eq!(framing.next_frame(), Ok(None));
        let (buffer, filled, end) = framing.take_direct().unwrap();
        assert_eq!(filled, 7);
        assert!(buffer.len() <= 64 << 10 && end <= 64 << 10);
    }
}
