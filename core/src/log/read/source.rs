//! Where a read gets the bytes of a file from.

use std::io;

use crate::reactor::{File, FileRange, Reactor};

/// Bytes behind a large range that are brought into the page cache with it.
const READ_AHEAD_BYTES: usize = 2 << 20;

/// Where the bytes of a file come from.
pub(super) trait Source {
    /// Reads up to `len` bytes at `position`, fewer at the file's end, into memory that may be used again.
    async fn read(&self, file: &File, position: u64, len: usize, buffer: Vec<u8>) -> io::Result<Vec<u8>>;

    /// Whether a range of a file is to be sent from the page cache instead of being read.
    async fn sends(&self, _file: &File, _range: &FileRange) -> io::Result<bool> {
        Ok(false)
    }
}

/// The page cache only: `WouldBlock` where the device would be asked.
pub(super) struct Cached;

impl Source for Cached {
    async fn read(&self, file: &File, position: u64, len: usize, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        buffer.resize(len, 0);
        let mut filled = 0;
        while filled < len {
            match file.read_at_cached(position + filled as u64, &mut buffer[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        buffer.truncate(filled);
        Ok(buffer)
    }

    async fn sends(&self, file: &File, range: &FileRange) -> io::Result<bool> {
        match file.is_cached(range.position, range.len as u64) {
            true => Ok(true),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

/// The device, without blocking the shard.
pub(super) struct Cold(pub Reactor);

impl Source for Cold {
    async fn read(&self, file: &File, position: u64, len: usize, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        buffer.clear();
        while buffer.len() < len {
            let (result, piece) = self.0.read(file, position + buffer.len() as u64, vec![0; len - buffer.len()]).await;
            match result? {
                0 => break,
                count if buffer.is_empty() => {
                    buffer = piece;
                    buffer.truncate(count as usize);
                }
                count => buffer.extend_from_slice(&piece[..count as usize]),
            }
        }
        Ok(buffer)
    }

    /// Brings the range into the page cache, and some of what the next reads will ask for: that is cheaper than to read it
    /// into memory of our own, and what late and direct writes have written is not there yet.
    async fn sends(&self, file: &File, range: &FileRange) -> io::Result<bool> {
        let Ok(len) = u32::try_from(range.len + READ_AHEAD_BYTES) else { return Ok(false) };
        self.0.read_ahead(file, range.position, len).await?;
        // The read-ahead has only begun.
        let last = range.position + range.len as u64 - 1;
        self.0.read(file, last, vec![0]).await.0?;
        Ok(file.is_cached(range.position, range.len as u64))
    }
}

/// The page cache or the device, waiting for it.
pub(super) struct Blocking;

impl Source for Blocking {
    async fn read(&self, file: &File, position: u64, len: usize, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        buffer.resize(len, 0);
        let read = file.read_at(position, &mut buffer)?;
        buffer.truncate(read);
        Ok(buffer)
    }
}
