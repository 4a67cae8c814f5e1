//! Walks the batches of one segment file, header by header, through a bounded window.

use std::io;

use super::header::{BatchHeader, HEADER_BYTES, crc_matches};
use crate::reactor::File;

/// Bytes read at a time where only headers are looked at, and where whole batches are.
const HEADER_WINDOW_BYTES: usize = 8 << 10;
const BATCH_WINDOW_BYTES: usize = 256 << 10;

/// Why a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScanEnd {
    /// At the end of the file, on a batch boundary; or it goes on.
    Clean,
    /// What follows is cut short.
    Torn,
    /// What follows is no batch, or its CRC is wrong.
    Invalid,
}

/// A walk in progress.
#[derive(Debug)]
pub(crate) struct BatchScan {
    file: File,
    position: u64,
    size: u64,
    window: Vec<u8>,
    window_start: u64,
    end: ScanEnd,
}

impl BatchScan {
    /// From `position`, where a batch begins, to `size`.
    pub fn new(file: File, position: u64, size: u64) -> Self {
        Self { file, position, size, window: Vec::new(), window_start: 0, end: ScanEnd::Clean }
    }

    /// Where the next batch begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    pub fn end(&self) -> ScanEnd {
        self.end
    }

    /// The next header and its batch's position; `None` at the end, see [`BatchScan::end`].
    pub fn next_header(&mut self) -> io::Result<Option<(BatchHeader, u64)>> {
        self.next_batch(false)
    }

    /// As `next_header`, and the batch's CRC is right.
    pub fn next_checked(&mut self) -> io::Result<Option<(BatchHeader, u64)>> {
        self.next_batch(true)
    }

    fn next_batch(&mut self, check: bool) -> io::Result<Option<(BatchHeader, u64)>> {
        let position = self.position;
        let left = self.size.saturating_sub(position);
        if left == 0 || self.end != ScanEnd::Clean {
            return Ok(None);
        }
        if left < HEADER_BYTES as u64 {
            self.end = ScanEnd::Torn;
            return Ok(None);
        }
        let ahead = if check { BATCH_WINDOW_BYTES } else { HEADER_WINDOW_BYTES };
        let Some(header) = BatchHeader::parse(self.bytes(position, HEADER_BYTES, ahead)?) else {
            self.end = ScanEnd::Invalid;
            return Ok(None);
        };
        if u64::from(header.size_bytes) > left {
            self.end = ScanEnd::Torn;
            return Ok(None);
        }
        if check && !crc_matches(self.bytes(position, header.size_bytes as usize, ahead)?) {
            self.end = ScanEnd::Invalid;
            return Ok(None);
        }
        self.position += u64::from(header.size_bytes);
        Ok(Some((header, position)))
    }

    /// `len` bytes at `position`; where they are not in the window yet, at least `ahead` are read.
    pub fn bytes(&mut self, position: u64, len: usize, ahead: usize) -> io::Result<&[u8]> {
        let inside = position.checked_sub(self.window_start).map_or(usize::MAX, |inside| inside as usize);
        if inside.saturating_add(len) > self.window.len() {
            let wanted = len.max(ahead).min((self.size - position) as usize);
            self.window.resize(wanted, 0);
            self.window_start = position;
            let read = self.file.read_at(position, &mut self.window)?;
            self.window.truncate(read);
            if read < len {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            return Ok(&self.window[..len]);
        }
        Ok(&self.window[inside..inside + len])
    }
}
