//! One segment: the log file, its two indexes, and when to begin the next one. Kafka's rules, Kafka's bytes.
//!
//! `.index` holds 8-byte entries (offset relative to the segment's base, position), `.timeindex` 12-byte entries
//! (timestamp, relative offset), both big-endian, both sorted. An offset entry names the *last* offset of a batch and the
//! position where that batch begins.
//!
//! Invariants:
//! - An index entry is in the file or in `pending`, never in both; `pending` is written before the segment is left behind.
//! - `size_bytes` counts what was appended, also what still waits in the log's tail to be written.

use std::io;
use std::path::Path;

use super::LogKey;
use super::config::LogConfig;
use super::descriptors::{Descriptors, FileId, FileKind};
use super::header::BatchHeader;

const OFFSET_ENTRY_BYTES: usize = 8;
const TIME_ENTRY_BYTES: usize = 12;
/// Entries that wait in memory before they are written to the index file in one go.
const PENDING_ENTRIES_MAX: usize = 512;
const NO_TIMESTAMP: i64 = -1;

/// A batch of which the position is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of the batch, relative to the segment's base.
    pub relative_offset: u32,
    /// Where the batch begins.
    pub position: u32,
}

/// The largest timestamp so far and the last offset of the batch that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub timestamp: i64,
    /// Relative to the segment's base.
    pub relative_offset: u32,
}

/// A sorted file of fixed entries of which the newest wait in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SparseIndex<E> {
    /// Entries in the file.
    written: u32,
    pending: Vec<E>,
    last: Option<E>,
}

impl<E: Copy> SparseIndex<E> {
    fn count(&self) -> u32 {
        self.written + self.pending.len() as u32
    }

    fn push(&mut self, entry: E) {
        self.pending.push(entry);
        self.last = Some(entry);
    }
}

/// What an append changes in a segment, to be put back when the bytes could not be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentMark {
    size_bytes: u64,
    offset_entries: u32,
    last_offset_entry: Option<OffsetEntry>,
    time_entries: u32,
    last_time_entry: Option<TimeEntry>,
    max_timestamp: i64,
    max_timestamp_offset: i64,
    bytes_since_entry: u64,
    first_timestamp: Option<i64>,
}

/// One segment of a log.
#[derive(Debug)]
pub(crate) struct Segment {
    pub base_offset: i64,
    /// Bytes appended. Unknown (`None`) for an older segment until it is first read.
    size_bytes: Option<u64>,
    offsets: SparseIndex<OffsetEntry>,
    times: SparseIndex<TimeEntry>,
    pub max_timestamp: i64,
    pub max_timestamp_offset: i64,
    bytes_since_entry: u64,
    first_timestamp: Option<i64>,
    created_ms: i64,
}

impl Segment {
    /// A segment that holds nothing yet. Its files come with the first write.
    pub fn new(base_offset: i64, now_ms: i64) -> Self {
        Self {
            base_offset,
            size_bytes: Some(0),
            offsets: SparseIndex { written: 0, pending: Vec::new(), last: None },
            times: SparseIndex { written: 0, pending: Vec::new(), last: None },
            max_timestamp: NO_TIMESTAMP,
            max_timestamp_offset: base_offset,
            bytes_since_entry: 0,
            first_timestamp: None,
            created_ms: now_ms,
        }
    }

    /// An older segment, of which only the name was seen.
    pub fn unopened(base_offset: i64) -> Self {
        Self { size_bytes: None, ..Self::new(base_offset, 0) }
    }

    /// The name of one of this segment's files.
    pub fn file_id(&self, log: LogKey, kind: FileKind) -> FileId {
        FileId { log, base_offset: self.base_offset, kind }
    }

    /// Bytes appended.
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// Reads what an unopened segment's files say: log size, entry counts and last entries.
    pub fn load(&mut self, log: LogKey, dir: &Path, files: &mut Descriptors) -> io::Result<()> {
        if self.size_bytes.is_some() {
            return Ok(());
        }
        let size = files.file(dir, self.file_id(log, FileKind::Log), false)?.len()?;
        let (written, last) =
            Self::last_entry(log, dir, files, self.file_id(log, FileKind::OffsetIndex), decode_offset)?;
        self.offsets = SparseIndex { written, pending: Vec::new(), last };
        let (written, last) = Self::last_entry(log, dir, files, self.file_id(log, FileKind::TimeIndex), decode_time)?;
        self.times = SparseIndex { written, pending: Vec::new(), last };
        if let Some(last) = self.times.last {
            self.max_timestamp = last.timestamp;
            self.max_timestamp_offset = self.base_offset + i64::from(last.relative_offset);
        }
        self.size_bytes = Some(size);
        Ok(())
    }

    fn last_entry<E, const N: usize>(
        _log: LogKey,
        dir: &Path,
        files: &mut Descriptors,
        id: FileId,
        decode: fn([u8; N]) -> E,
    ) -> io::Result<(u32, Option<E>)> {
        let file = match files.file(dir, id, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((0, None)),
            Err(error) => return Err(error),
        };
        let count = file.len()? / N as u64;
        let mut bytes = [0; N];
        if count == 0 || file.read_at((count - 1) * N as u64, &mut bytes)? < N {
            return Ok((0, None));
        }
        Ok((u32::try_from(count).unwrap_or(u32::MAX), Some(decode(bytes))))
    }

    /// Forgets both indexes and the size, for a scan that makes them again by [`Segment::append`].
    pub fn reset(&mut self, now_ms: i64) {
        *self = Self::new(self.base_offset, now_ms);
    }

    /// Whether the next batch belongs into a new segment.
    pub fn must_roll(
        &self,
        config: &LogConfig,
        batch_bytes: u32,
        max_timestamp: i64,
        last_offset: i64,
        now_ms: i64,
    ) -> bool {
        let size = self.size_bytes.unwrap_or(0);
        let waited_ms = match self.first_timestamp {
            Some(first) if first >= 0 => max_timestamp.saturating_sub(first),
            _ => now_ms.saturating_sub(self.created_ms),
        };
        let offset_entries_max = config.segment_index_bytes / OFFSET_ENTRY_BYTES as u32;
        let time_entries_max = config.segment_index_bytes / TIME_ENTRY_BYTES as u32;
        size > u64::from(config.segment_bytes).saturating_sub(u64::from(batch_bytes))
            || (size > 0
                && (waited_ms > config.segment_ms
                    || self.offsets.count() >= offset_entries_max
                    || self.times.count() + 1 >= time_entries_max))
            || last_offset - self.base_offset > i64::from(i32::MAX)
    }

    /// Counts a batch in and returns the position where its bytes belong.
    pub fn append(&mut self, header: &BatchHeader, config: &LogConfig) -> u64 {
        let position = self.size_bytes.expect("only a loaded segment is appended to");
        let last_offset = header.last_offset();
        assert!(header.base_offset >= self.base_offset && last_offset - self.base_offset <= i64::from(i32::MAX));
        if self.first_timestamp.is_none() {
            self.first_timestamp = Some(header.max_timestamp);
        }
        if header.max_timestamp > self.max_timestamp {
            self.max_timestamp = header.max_timestamp;
            self.max_timestamp_offset = last_offset;
        }
        if self.bytes_since_entry > u64::from(config.index_interval_bytes) {
            let relative_offset = (last_offset - self.base_offset) as u32;
            self.offsets.push(OffsetEntry { relative_offset, position: position as u32 });
            self.push_time_entry();
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += u64::from(header.size_bytes);
        self.size_bytes = Some(position + u64::from(header.size_bytes));
        position
    }

    fn push_time_entry(&mut self) {
        let newest = self.times.last.map_or(NO_TIMESTAMP, |entry| entry.timestamp);
        if self.max_timestamp > newest {
            let relative_offset = (self.max_timestamp_offset - self.base_offset) as u32;
            self.times.push(TimeEntry { timestamp: self.max_timestamp, relative_offset });
        }
    }

    /// The timestamp from which `segment.ms` counts.
    pub fn set_first_timestamp(&mut self, timestamp: i64) {
        self.first_timestamp = Some(timestamp);
    }

    /// What [`Segment::append`] is about to change.
    pub fn mark(&self) -> SegmentMark {
        SegmentMark {
            size_bytes: self.size_bytes.unwrap_or(0),
            offset_entries: self.offsets.count(),
            last_offset_entry: self.offsets.last,
            time_entries: self.times.count(),
            last_time_entry: self.times.last,
            max_timestamp: self.max_timestamp,
            max_timestamp_offset: self.max_timestamp_offset,
            bytes_since_entry: self.bytes_since_entry,
            first_timestamp: self.first_timestamp,
        }
    }

    /// Takes appends back, to the state of `mark`. Entries of bytes that were not written are never in a file.
    pub fn restore(&mut self, mark: &SegmentMark) {
        let offset_entries =
            mark.offset_entries.checked_sub(self.offsets.written).expect("entries went ahead of bytes");
        let time_entries = mark.time_entries.checked_sub(self.times.written).expect("entries went ahead of bytes");
        self.offsets.pending.truncate(offset_entries as usize);
        self.offsets.last = mark.last_offset_entry;
        self.times.pending.truncate(time_entries as usize);
        self.times.last = mark.last_time_entry;
        self.size_bytes = Some(mark.size_bytes);
        self.max_timestamp = mark.max_timestamp;
        self.max_timestamp_offset = mark.max_timestamp_offset;
        self.bytes_since_entry = mark.bytes_since_entry;
        self.first_timestamp = mark.first_timestamp;
    }

    /// Whether enough entries wait to be worth a write.
    pub fn index_is_due(&self) -> bool {
        self.offsets.pending.len() >= PENDING_ENTRIES_MAX || self.times.pending.len() >= PENDING_ENTRIES_MAX
    }

    /// Writes the waiting entries; both files exist afterwards. To be called when the log's bytes are written.
    pub fn write_indexes(&mut self, log: LogKey, dir: &Path, files: &mut Descriptors) -> io::Result<()> {
        let bytes: Vec<u8> = self.offsets.pending.iter().flat_map(|entry| encode_offset(*entry)).collect();
        let position = u64::from(self.offsets.written) * OFFSET_ENTRY_BYTES as u64;
        files.file(dir, self.file_id(log, FileKind::OffsetIndex), true)?.write_all_at(position, &bytes)?;
        self.offsets.written += self.offsets.pending.len() as u32;
        self.offsets.pending = Vec::new();

        let bytes: Vec<u8> = self.times.pending.iter().flat_map(|entry| encode_time(*entry)).collect();
        let position = u64::from(self.times.written) * TIME_ENTRY_BYTES as u64;
        files.file(dir, self.file_id(log, FileKind::TimeIndex), true)?.write_all_at(position, &bytes)?;
        self.times.written += self.times.pending.len() as u32;
        self.times.pending = Vec::new();
        Ok(())
    }

    /// Ends the segment: the largest timestamp gets its entry, everything is written, both indexes are cut to what is used.
    pub fn seal(&mut self, log: LogKey, dir: &Path, files: &mut Descriptors) -> io::Result<()> {
        self.push_time_entry();
        self.write_indexes(log, dir, files)?;
        let offset_bytes = u64::from(self.offsets.written) * OFFSET_ENTRY_BYTES as u64;
        let time_bytes = u64::from(self.times.written) * TIME_ENTRY_BYTES as u64;
        for (kind, used) in [(FileKind::OffsetIndex, offset_bytes), (FileKind::TimeIndex, time_bytes)] {
            let file = files.file(dir, self.file_id(log, kind), true)?;
            if file.len()? != used {
                file.set_len(used)?;
            }
        }
        Ok(())
    }

    /// Entries in the file and those in memory, of which the last begins at or before `offset`: a position from which to
    /// walk batches to the one that holds `offset`. Called with entries of the file read by `read_entry`.
    pub fn floor_position(
        &self,
        offset: i64,
        mut read_entry: impl FnMut(u32) -> io::Result<OffsetEntry>,
    ) -> io::Result<u64> {
        let wanted = offset - self.base_offset;
        let in_memory = self.offsets.pending.partition_point(|entry| i64::from(entry.relative_offset) <= wanted);
        if in_memory > 0 {
            return Ok(u64::from(self.offsets.pending[in_memory - 1].position));
        }
        let (mut low, mut high) = (0, self.offsets.written);
        let mut position = 0;
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = read_entry(middle)?;
            if i64::from(entry.relative_offset) <= wanted {
                position = u64::from(entry.position);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(position)
    }

    /// The offset of the last time index entry below `timestamp`: no record before it is as late as `timestamp`.
    pub fn floor_offset_of_time(
        &self,
        timestamp: i64,
        mut read_entry: impl FnMut(u32) -> io::Result<TimeEntry>,
    ) -> io::Result<i64> {
        let in_memory = self.times.pending.partition_point(|entry| entry.timestamp < timestamp);
        if in_memory > 0 {
            return Ok(self.base_offset + i64::from(self.times.pending[in_memory - 1].relative_offset));
        }
        let (mut low, mut high) = (0, self.times.written);
        let mut offset = self.base_offset;
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = read_entry(middle)?;
            if entry.timestamp < timestamp {
                offset = self.base_offset + i64::from(entry.relative_offset);
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(offset)
    }

    /// Position of the last index entry: the scan for a segment's end begins there.
    pub fn last_indexed_position(&self) -> u64 {
        self.offsets.last.map_or(0, |entry| u64::from(entry.position))
    }
}

/// Reads one entry of an offset index.
pub(crate) fn read_offset_entry(file: &crate::reactor::File, index: u32) -> io::Result<OffsetEntry> {
    let mut bytes = [0; OFFSET_ENTRY_BYTES];
    if file.read_at(u64::from(index) * OFFSET_ENTRY_BYTES as u64, &mut bytes)? < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(decode_offset(bytes))
}

/// Reads one entry of a time index.
pub(crate) fn read_time_entry(file: &crate::reactor::File, index: u32) -> io::Result<TimeEntry> {
    let mut bytes = [0; TIME_ENTRY_BYTES];
    if file.read_at(u64::from(index) * TIME_ENTRY_BYTES as u64, &mut bytes)? < bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(decode_time(bytes))
}

fn encode_offset(entry: OffsetEntry) -> [u8; OFFSET_ENTRY_BYTES] {
    let mut bytes = [0; OFFSET_ENTRY_BYTES];
    bytes[..4].copy_from_slice(&entry.relative_offset.to_be_bytes());
    bytes[4..].copy_from_slice(&entry.position.to_be_bytes());
    bytes
}

fn decode_offset(bytes: [u8; OFFSET_ENTRY_BYTES]) -> OffsetEntry {
    let [a, b, c, d, e, f, g, h] = bytes;
    OffsetEntry { relative_offset: u32::from_be_bytes([a, b, c, d]), position: u32::from_be_bytes([e, f, g, h]) }
}

fn encode_time(entry: TimeEntry) -> [u8; TIME_ENTRY_BYTES] {
    let mut bytes = [0; TIME_ENTRY_BYTES];
    bytes[..8].copy_from_slice(&entry.timestamp.to_be_bytes());
    bytes[8..].copy_from_slice(&entry.relative_offset.to_be_bytes());
    bytes
}

fn decode_time(bytes: [u8; TIME_ENTRY_BYTES]) -> TimeEntry {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
    TimeEntry {
        timestamp: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
        relative_offset: u32::from_be_bytes([i, j, k, l]),
    }
}
