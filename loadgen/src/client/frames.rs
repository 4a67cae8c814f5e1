//! Cuts a connection's bytes into frames. Small frames are used where they were received, large ones are received into
//! one buffer that is used again.

use std::io;
use std::ops::Range;

use bytes::Bytes;
use ringlog_core::reactor::Socket;

/// Frames above this are refused.
pub const FRAME_BYTES_MAX: usize = 256 << 20;
/// The length in front of each frame.
const PREFIX: usize = size_of::<i32>();
/// Missing bytes of a frame from which on they are received straight into the buffer.
const DIRECT_MIN: usize = 48 << 10;

/// Reads the frames of one connection.
#[derive(Debug)]
pub struct Frames {
    socket: Socket,
    /// What was received last; from `at` on it was not yet looked at.
    chunk: Bytes,
    at: usize,
    /// A frame that came in pieces: `filled` bytes of it. Its memory and length stay for the next one.
    buffer: Vec<u8>,
    filled: usize,
    frame: Frame,
}

/// Where a frame stands, with its length.
#[derive(Debug)]
enum Frame {
    None,
    InChunk(Range<usize>),
    InBuffer(usize),
}

impl Frames {
    /// Of a fresh connection.
    pub fn new(socket: Socket) -> Self {
        Self { socket, chunk: Bytes::new(), at: 0, buffer: Vec::new(), filled: 0, frame: Frame::None }
    }

    /// The frame that was found last, without its length.
    pub fn frame(&self) -> &[u8] {
        match &self.frame {
            Frame::None => &[],
            Frame::InChunk(place) => &self.chunk[place.start + PREFIX..place.end],
            Frame::InBuffer(size) => &self.buffer[PREFIX..*size],
        }
    }

    /// Goes on to the next frame if it lies in what was received last, as most small ones do.
    #[inline]
    pub fn advance_in_chunk(&mut self) -> io::Result<bool> {
        self.frame = Frame::None;
        if self.filled > 0 {
            return Ok(false);
        }
        let left = &self.chunk[self.at..];
        match frame_size(left)? {
            Some(size) if size <= left.len() => {
                self.frame = Frame::InChunk(self.at..self.at + size);
                self.at += size;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Goes on to the next frame; false at the end of the connection.
    pub async fn advance(&mut self) -> io::Result<bool> {
        loop {
            if self.advance_in_chunk()? {
                return Ok(true);
            }
            if self.gather()? {
                return Ok(true);
            }
            // All of it was taken: whoever waits keeps no buffer of the driver.
            (self.chunk, self.at) = (Bytes::new(), 0);
            match self.missing()? {
                Some(missing) if missing >= DIRECT_MIN => {
                    let buffer = std::mem::take(&mut self.buffer);
                    let (result, buffer) = self.socket.receive_into(buffer, self.filled, true).await;
                    self.buffer = buffer;
                    self.filled += result? as usize;
                    if self.filled < self.buffer.len() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                _ => {
                    self.chunk = self.socket.receive().await?;
                    if self.chunk.is_empty() {
                        return if self.filled == 0 { Ok(false) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
                    }
                }
            }
        }
    }

    /// Moves what belongs to a frame in pieces from the chunk into the buffer; true when the frame is whole.
    fn gather(&mut self) -> io::Result<bool> {
        loop {
            let wanted = match self.size_in_buffer()? {
                Some(size) => {
                    self.buffer.resize(size, 0);
                    size
                }
                None => {
                    self.buffer.resize(self.buffer.len().max(PREFIX), 0);
                    PREFIX
                }
            };
            if self.filled == wanted && wanted > PREFIX {
                self.filled = 0;
                self.frame = Frame::InBuffer(wanted);
                return Ok(true);
            }
            let left = &self.chunk[self.at..];
            let count = (wanted - self.filled).min(left.len());
            if count == 0 {
                return Ok(false);
            }
            self.buffer[self.filled..self.filled + count].copy_from_slice(&left[..count]);
            self.filled += count;
            self.at += count;
        }
    }

    fn size_in_buffer(&self) -> io::Result<Option<usize>> {
        frame_size(&self.buffer[..self.filled])
    }

    fn missing(&self) -> io::Result<Option<usize>> {
        Ok(self.size_in_buffer()?.map(|size| size - self.filled))
    }
}

/// Bytes of the frame at the front, with its length, once that is there.
fn frame_size(bytes: &[u8]) -> io::Result<Option<usize>> {
    let Some(prefix) = bytes.first_chunk::<PREFIX>() else { return Ok(None) };
    match usize::try_from(i32::from_be_bytes(*prefix)) {
        Ok(size) if size > 0 && size <= FRAME_BYTES_MAX => Ok(Some(PREFIX + size)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the length of a frame is out of bounds")),
    }
}
