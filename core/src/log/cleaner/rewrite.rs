//! Reads segments batch by batch, and writes the one that is made of them: through the reactor, in pieces, so that the
//! shard serves between two of them.

use std::io;
use std::path::Path;

use bytes::Bytes;
use smallvec::smallvec;

use super::super::header::{BatchHeader, HEADER_BYTES, crc_matches};
use super::super::planted::{PlantedBug, is_planted};
use super::CleanError;
use super::filter::damaged;
use super::plan::Source;
use super::swap::{CLEANED_SUFFIX, LOG_EXTENSION, file_path};
use crate::reactor::{File, OpenMode, Reactor};
use crate::record::BatchView;

/// The batches of one segment in order, each with its CRC checked.
#[derive(Debug)]
pub(crate) struct BatchReader {
    reactor: Reactor,
    file: File,
    position: u64,
    size_bytes: u64,
    window: Vec<u8>,
    window_start: u64,
    window_bytes: usize,
}

impl BatchReader {
    /// Of a segment that is not appended to any more.
    pub fn open(reactor: &Reactor, dir: &Path, source: &Source, window_bytes: usize) -> io::Result<Self> {
        let path = file_path(dir, source.base_offset, LOG_EXTENSION, "");
        Ok(Self {
            reactor: reactor.clone(),
            file: File::open(&reactor.disk(), &path, OpenMode::READ)?,
            position: 0,
            size_bytes: source.size_bytes,
            window: Vec::new(),
            window_start: 0,
            window_bytes,
        })
    }

    /// The next batch, and whether it is the last one; `None` at the end.
    pub async fn next(&mut self) -> io::Result<Option<(BatchView<'_>, bool)>> {
        let position = self.position;
        if position == self.size_bytes {
            return Ok(None);
        }
        let at = |reason: &str| damaged(format!("{reason} at byte {position}"));
        self.fill(HEADER_BYTES).await?;
        let header = BatchHeader::parse(self.rest()).ok_or_else(|| at("no batch"))?;
        let size_bytes = header.size_bytes as usize;
        self.fill(size_bytes).await?;
        self.position += size_bytes as u64;
        let start = (position - self.window_start) as usize;
        let bytes = &self.window[start..start + size_bytes];
        match BatchView::parse(bytes) {
            Ok(batch) if crc_matches(bytes) => Ok(Some((batch, self.position == self.size_bytes))),
            _ => Err(at("a batch with a wrong CRC")),
        }
    }

    fn rest(&self) -> &[u8] {
        &self.window[(self.position - self.window_start) as usize..]
    }

    /// Has `len` bytes from the position on in the window.
    async fn fill(&mut self, len: usize) -> io::Result<()> {
        let left = self.size_bytes - self.position;
        if len as u64 > left {
            return Err(damaged(format!("a batch that is cut short at byte {}", self.position)));
        }
        let end = self.window_start + self.window.len() as u64;
        if end >= self.position + len as u64 {
            return Ok(());
        }
        let wanted = len.max(self.window_bytes).min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut filled = 0;
        let mut window = std::mem::take(&mut self.window);
        while filled < len {
            window.resize(wanted - filled, 0);
            let (result, buffer) = self.reactor.read(&self.file, self.position + filled as u64, window).await;
            let count = result? as usize;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if filled == 0 {
                self.window = buffer;
                self.window.truncate(count);
                window = Vec::new();
            } else {
                self.window.extend_from_slice(&buffer[..count]);
                window = buffer;
            }
            filled += count;
        }
        self.window_start = self.position;
        Ok(())
    }
}

/// A file of the cleaned segment.
#[derive(Debug)]
pub(crate) struct CleanedFile {
    file: File,
    position: u64,
}

impl CleanedFile {
    /// Begins it anew, as `.cleaned`.
    pub fn create(reactor: &Reactor, dir: &Path, base_offset: i64, extension: &str) -> Result<Self, CleanError> {
        let path = file_path(dir, base_offset, extension, CLEANED_SUFFIX);
        let file = File::open(&reactor.disk(), &path, OpenMode::REWRITE).map_err(CleanError::Unwritable)?;
        Ok(Self { file, position: 0 })
    }

    /// Bytes in it.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Appends `bytes`.
    pub async fn write(&mut self, reactor: &Reactor, bytes: Vec<u8>) -> Result<(), CleanError> {
        let mut rest = Bytes::from(bytes);
        while !rest.is_empty() {
            let (result, _) = reactor.write(&self.file, self.position, smallvec![rest.clone()], false).await;
            match result.map_err(CleanError::Unwritable)? {
                0 => return Err(CleanError::Unwritable(io::ErrorKind::WriteZero.into())),
                count => {
                    rest = rest.slice(count as usize..);
                    self.position += u64::from(count);
                }
            }
        }
        Ok(())
    }

    /// Makes it durable.
    pub async fn sync(self, reactor: &Reactor) -> Result<(), CleanError> {
        if is_planted(PlantedBug::CleanedNotSynced) {
            return Ok(());
        }
        reactor.sync(&self.file).await.map_err(CleanError::Unwritable)
    }
}
