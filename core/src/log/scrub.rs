//! Looks through a log's segments for bytes that have changed on the disk: readers get ranges of files, and nothing on
//! their way looks at a CRC.
//!
//! It reads in pieces through the reactor, at its pace, by path: the store may roll, delete and compact meanwhile. What was
//! not in the page cache before is dropped from it again.
//!
//! Invariants:
//! - Nothing is written, and nothing is cut: what is found is noted, and the batches concerned are not served.
//! - Only what was in segment files when the look began is looked at, up to `end_offset`.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use super::cleaner::Pace;
use super::descriptors::{FileKind, segment_path};
use super::header::{BatchHeader, HEADER_BYTES, crc_matches};
use super::log::offset_of_file;
use super::store::{LogState, LogStore, stored_mut};
use super::{LogKey, LogSpec};
use crate::reactor::{File, OpenMode, Reactor};

/// Bytes read at a time.
const WINDOW_BYTES: usize = 256 << 10;
/// Damages of one log that are noted; the look at it ends there.
const DAMAGES_MAX: usize = 64;

/// Batches that cannot be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Base offset of the segment.
    pub segment: i64,
    /// Byte in its file.
    pub position: u64,
    /// Offsets that are lost with it.
    pub offsets: Range<i64>,
    /// What is wrong.
    pub reason: String,
}

/// What a look at one log found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Bytes that were looked at.
    pub bytes: u64,
    /// In order.
    pub damages: Vec<Damage>,
}

/// A look at one log.
#[derive(Debug)]
pub struct Scrub {
    reactor: Reactor,
    dir: PathBuf,
    /// End of what is in segment files, exclusive.
    end_offset: i64,
    found: Scrubbed,
}

impl LogStore {
    /// A look at what is there of a log; `None` if that is nothing.
    pub fn begin_scrub(&self, key: LogKey) -> Option<Scrub> {
        let stored = self.stored(key)?;
        let (start_offset, end_offset) = match &stored.state {
            LogState::Unopened(point) => (point.log_start_offset, stored.segments_end_offset(point)),
            LogState::Open(log) => (log.log_start_offset, log.written_end_offset()),
        };
        let dir = self.log_dir.join(stored.spec.folder());
        let (reactor, found) = (self.reactor.clone(), Scrubbed::default());
        (start_offset < end_offset).then_some(Scrub { reactor, dir, end_offset, found })
    }

    /// Has the damaged batches refused from now on, instead of those that were noted before. Names the log if there are any.
    pub fn note_damages(&mut self, key: LogKey, damages: &[Damage]) -> Option<&LogSpec> {
        let stored = stored_mut(&mut self.logs, key)?;
        stored.damaged = damages.to_vec();
        (!damages.is_empty()).then_some(&stored.spec)
    }

    /// How many logs have damaged batches.
    pub fn damaged_count(&self) -> usize {
        self.logs.iter().flatten().filter(|stored| !stored.damaged.is_empty()).count()
    }
}

/// A segment's file, through a window.
struct Window {
    file: File,
    size: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Scrub {
    /// Looks at all of it.
    pub async fn run(mut self, pace: &mut Pace) -> io::Result<Scrubbed> {
        let mut bases: Vec<i64> = match self.reactor.disk().list_dir(&self.dir) {
            // Its topic was deleted meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self.found),
            entries => entries?.iter().filter_map(|entry| offset_of_file(&entry.name, ".log")).collect(),
        };
        bases.sort_unstable();
        let mut next_offset = bases.first().copied().unwrap_or(self.end_offset);
        for (at, base) in bases.iter().enumerate() {
            let path = segment_path(&self.dir, *base, FileKind::Log);
            let file = match File::open(&self.reactor.disk(), &path, OpenMode::READ) {
                // Deleted or compacted meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self.found),
                file => file?,
            };
            let size = file.len()?;
            let window = Window { file, size, start: 0, bytes: Vec::new() };
            let end_offset = bases.get(at + 1).copied().unwrap_or(self.end_offset).min(self.end_offset);
            next_offset = self.segment(window, *base, next_offset.max(*base)..end_offset, pace).await;
            if self.found.damages.len() >= DAMAGES_MAX {
                return Ok(self.found);
            }
        }
        if next_offset < self.end_offset
            && let Some(segment) = bases.last()
        {
            self.damage(*segment, 0, next_offset..self.end_offset, "the log ends before");
        }
        Ok(self.found)
    }

    fn damage(&mut self, segment: i64, position: u64, offsets: Range<i64>, reason: impl Into<String>) {
        self.found.damages.push(Damage { segment, position, offsets, reason: reason.into() });
    }

    /// Looks at one segment, which holds these offsets. Returns where its batches end, or where they should.
    async fn segment(&mut self, mut window: Window, base: i64, offsets: Range<i64>, pace: &mut Pace) -> i64 {
        let (mut next_offset, mut position) = (offsets.start, 0);
        while next_offset < offsets.end && position < window.size {
            let lost = next_offset..offsets.end;
            let left = window.size - position;
            let header = match self.fill(&mut window, position, HEADER_BYTES, pace).await {
                Ok(bytes) => BatchHeader::parse(bytes),
                Err(error) => {
                    self.damage(base, position, lost, format!("it cannot be read: {error}"));
                    return offsets.end;
                }
            };
            let Some(header) = header.filter(|header| {
                u64::from(header.size_bytes) <= left
                    && header.base_offset >= next_offset
                    && header.last_offset() < offsets.end
            }) else {
                self.damage(base, position, lost, "there is no batch that follows the one before");
                return offsets.end;
            };
            let crc = match self.fill(&mut window, position, header.size_bytes as usize, pace).await {
                Ok(bytes) => crc_matches(bytes),
                Err(error) => {
                    self.damage(base, position, lost, format!("it cannot be read: {error}"));
                    return offsets.end;
                }
            };
            if !crc {
                self.damage(base, position, next_offset..header.last_offset() + 1, "the CRC is wrong");
                if self.found.damages.len() >= DAMAGES_MAX {
                    return offsets.end;
                }
            }
            (next_offset, position) = (header.last_offset() + 1, position + u64::from(header.size_bytes));
        }
        next_offset
    }

    /// `len` bytes at `position`.
    async fn fill<'a>(
        &mut self,
        window: &'a mut Window,
        position: u64,
        len: usize,
        pace: &mut Pace,
    ) -> io::Result<&'a [u8]> {
        let inside = (position - window.start) as usize;
        if inside + len <= window.bytes.len() {
            return Ok(&window.bytes[inside..inside + len]);
        }
        let wanted = (len.max(WINDOW_BYTES) as u64).min(window.size - position) as usize;
        pace.spend(&self.reactor, wanted).await;
        let was_cached = window.file.is_cached(position, wanted as u64);
        (window.start, window.bytes) = (position, Vec::new());
        let mut bytes = vec![0; wanted];
        let mut filled = 0;
        while filled < wanted {
            let (result, read) =
                self.reactor.read(&window.file, position + filled as u64, bytes.split_off(filled)).await;
            bytes.extend_from_slice(&read);
            match result? {
                0 => break,
                count => filled += count as usize,
            }
        }
        bytes.truncate(filled);
        if !was_cached {
            window.file.drop_cached(position, wanted as u64)?;
        }
        self.found.bytes += filled as u64;
        window.bytes = bytes;
        window.bytes.get(..len).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
