//! One segment: the log file, its two indexes, and when to begin the next one. Kafka's rules, Kafka's bytes.
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
use super::offset_index::{OFFSET_ENTRY_BYTES, OffsetEntry, look_up_offset, look_up_position, sound_offset_entries};
use super::scan::BatchScan;
use super::time_index::{TIME_ENTRY_BYTES, TimeEntry, look_up_timestamp_below, sound_time_entries};
use crate::buffer::ALIGNMENT;
use crate::reactor::File;

/// Entries that wait in memory before they are written to the index file in one go. After a crash the batches behind the
/// last one that was written are walked.
const PENDING_ENTRIES_MAX: usize = 64;
const NO_TIMESTAMP: i64 = -1;

/// A sorted file of fixed entries of which the newest wait in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SparseIndex<E> {
    /// Entries in the file.
    written: u32,
    pending: Vec<E>,
    last: Option<E>,
}

impl<E: Copy> SparseIndex<E> {
    /// What the file says; an empty index when it is missing.
    fn open<const N: usize>(
        dir: &Path,
        files: &mut Descriptors,
        id: FileId,
        decode: impl Fn(&[u8; N]) -> E,
    ) -> io::Result<Self> {
        let empty = Self { written: 0, pending: Vec::new(), last: None };
        let file = match files.file(dir, id, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(empty),
            file => file?,
        };
        let count = file.len()? / N as u64;
        let mut bytes = [0; N];
        if count == 0 || file.read_at((count - 1) * N as u64, &mut bytes)? < N {
            return Ok(empty);
        }
        Ok(Self { written: u32::try_from(count).unwrap_or(u32::MAX), pending: Vec::new(), last: Some(decode(&bytes)) })
    }

    /// Of entries that are in the file.
    fn of(entries: &[E]) -> Self {
        Self { written: entries.len() as u32, pending: Vec::new(), last: entries.last().copied() }
    }

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
    /// Its largest timestamp was compared with the log.
    pub times_checked: bool,
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
            times_checked: false,
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
        let file = files.file(dir, self.file_id(log, FileKind::Log), false)?;
        let base_offset = self.base_offset;
        let decode = |bytes: &_| OffsetEntry::decode(bytes, base_offset);
        self.offsets = SparseIndex::open(dir, files, self.file_id(log, FileKind::OffsetIndex), decode)?;
        let decode = |bytes: &_| TimeEntry::decode(bytes, base_offset);
        self.times = SparseIndex::open(dir, files, self.file_id(log, FileKind::TimeIndex), decode)?;
        self.set_max_timestamp();
        self.size_bytes = Some(self.len_without_padding(file)?);
        Ok(())
    }

    /// Bytes of the file up to its last batch. A direct write fills the last block with zeros, and a power cut may undo
    /// that they were cut.
    fn len_without_padding(&self, file: File) -> io::Result<u64> {
        let len = file.len()?;
        if !len.is_multiple_of(ALIGNMENT as u64) {
            return Ok(len);
        }
        // The index may name what a power cut took.
        let start = self.last_entry().map_or(0, |entry| u64::from(entry.position)).min(len);
        let mut scan = BatchScan::new(file, start, len);
        while scan.next_header()?.is_some() {}
        Ok(if len - scan.position() < ALIGNMENT as u64 { scan.position() } else { len })
    }

    fn set_max_timestamp(&mut self) {
        if let Some(last) = self.times.last {
            (self.max_timestamp, self.max_timestamp_offset) = (last.timestamp, last.offset);
        }
    }

    /// Takes in what both indexes say of offsets below `end_offset`, as far as it is in order. They may be behind the log,
    /// ahead of it, or not of these bytes. `size_bytes` is 0 until [`Segment::go_on_behind`] or [`Segment::append`].
    pub fn load_indexes(
        &mut self,
        end_offset: i64,
        now_ms: i64,
        log: LogKey,
        dir: &Path,
        files: &mut Descriptors,
    ) -> io::Result<()> {
        let log_bytes = files.file(dir, self.file_id(log, FileKind::Log), false)?.len()?;
        let offsets = read_whole(files, dir, self.file_id(log, FileKind::OffsetIndex))?;
        let times = read_whole(files, dir, self.file_id(log, FileKind::TimeIndex))?;
        self.reset(now_ms);
        self.offsets = SparseIndex::of(&sound_offset_entries(&offsets, self.base_offset, log_bytes, end_offset));
        self.times = SparseIndex::of(&sound_time_entries(&times, self.base_offset, end_offset));
        self.set_max_timestamp();
        Ok(())
    }

    /// The last index entry was compared with its batch: what is appended next comes behind it.
    pub fn go_on_behind(&mut self, header: &BatchHeader, entry: OffsetEntry) {
        self.bytes_since_entry = u64::from(header.size_bytes);
        self.size_bytes = Some(u64::from(entry.position) + u64::from(header.size_bytes));
    }

    /// A timestamp that is known to be in the segment; the time index may have lost it.
    pub fn raise_max_timestamp(&mut self, timestamp: i64, offset: i64) {
        if timestamp > self.max_timestamp && offset >= self.base_offset {
            (self.max_timestamp, self.max_timestamp_offset) = (timestamp, offset);
            self.push_time_entry();
        }
    }

    /// Cuts what the index files hold behind the entries taken in.
    pub fn cut_indexes(&self, log: LogKey, dir: &Path, files: &mut Descriptors) -> io::Result<()> {
        let time_bytes = u64::from(self.times.written) * TIME_ENTRY_BYTES as u64;
        for (kind, used) in [(FileKind::OffsetIndex, self.offset_index_bytes()), (FileKind::TimeIndex, time_bytes)] {
            match files.file(dir, self.file_id(log, kind), false) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                file => {
                    let file = file?;
                    if file.len()? > used {
                        file.set_len(used)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Forgets both indexes and the size, for a scan that makes them again by [`Segment::append`].
    pub fn reset(&mut self, now_ms: i64) {
        *self = Self::new(self.base_offset, now_ms);
    }

    /// Whether the next batch belongs into a new segment. `segment_ms`: the configured one, less this segment's jitter.
    pub fn must_roll(
        &self,
        config: &LogConfig,
        segment_ms: i64,
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
                && (waited_ms > segment_ms
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
            self.offsets.push(OffsetEntry { offset: last_offset, position: position as u32 });
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
            self.times.push(TimeEntry { timestamp: self.max_timestamp, offset: self.max_timestamp_offset });
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

    /// Whether any entry waits.
    pub fn has_pending_entries(&self) -> bool {
        !self.offsets.pending.is_empty() || !self.times.pending.is_empty()
    }

    /// Writes the waiting entries; both files exist afterwards. To be called when the log's bytes are written.
    pub fn write_indexes(&mut self, log: LogKey, dir: &Path, files: &mut Descriptors) -> io::Result<()> {
        let base_offset = self.base_offset;
        let encode = |entry: &OffsetEntry| entry.encode(base_offset).expect("a segment rolls before");
        let bytes: Vec<u8> = self.offsets.pending.iter().flat_map(encode).collect();
        let position = u64::from(self.offsets.written) * OFFSET_ENTRY_BYTES as u64;
        files.file(dir, self.file_id(log, FileKind::OffsetIndex), true)?.write_all_at(position, &bytes)?;
        self.offsets.written += self.offsets.pending.len() as u32;
        self.offsets.pending = Vec::new();

        let encode = |entry: &TimeEntry| entry.encode(base_offset).expect("a segment rolls before");
        let bytes: Vec<u8> = self.times.pending.iter().flat_map(encode).collect();
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
        let offset_bytes = self.offset_index_bytes();
        let time_bytes = u64::from(self.times.written) * TIME_ENTRY_BYTES as u64;
        for (kind, used) in [(FileKind::OffsetIndex, offset_bytes), (FileKind::TimeIndex, time_bytes)] {
            let file = files.file(dir, self.file_id(log, kind), true)?;
            if file.len()? != used {
                file.set_len(used)?;
            }
        }
        Ok(())
    }

    /// Bytes of both indexes.
    pub fn index_bytes(&self) -> [u64; 2] {
        let (offsets, times) = (u64::from(self.offsets.count()), u64::from(self.times.count()));
        [offsets * OFFSET_ENTRY_BYTES as u64, times * TIME_ENTRY_BYTES as u64]
    }

    /// Ends a segment of which nothing was written yet by this: its offset index and its time index, to be written by
    /// the caller.
    pub fn seal_in_memory(&mut self) -> [Vec<u8>; 2] {
        self.push_time_entry();
        assert!(self.offsets.written == 0 && self.times.written == 0, "nothing was written");
        self.offsets.written = self.offsets.count();
        self.times.written = self.times.count();
        self.times_checked = true;
        let base_offset = self.base_offset;
        let offset_bytes = |entry: OffsetEntry| entry.encode(base_offset).expect("counted in by `append`");
        let time_bytes = |entry: TimeEntry| entry.encode(base_offset).expect("counted in by `append`");
        [
            std::mem::take(&mut self.offsets.pending).into_iter().flat_map(offset_bytes).collect(),
            std::mem::take(&mut self.times.pending).into_iter().flat_map(time_bytes).collect(),
        ]
    }

    /// The last entry at or below `offset`: its batch, or one behind it, holds `offset`. `None`: begin at position 0.
    pub fn floor(
        &self,
        offset: i64,
        log: LogKey,
        dir: &Path,
        files: &mut Descriptors,
    ) -> io::Result<Option<OffsetEntry>> {
        let in_memory = self.offsets.pending.partition_point(|entry| entry.offset <= offset);
        if in_memory > 0 || self.offsets.written == 0 {
            return Ok(in_memory.checked_sub(1).map(|at| self.offsets.pending[at]));
        }
        let id = self.file_id(log, FileKind::OffsetIndex);
        files.in_index(dir, id, self.offset_index_bytes(), |index, cache| {
            look_up_offset(index, self.base_offset, offset, cache)
        })
    }

    /// The last entry of which the batch begins at or before `position`.
    pub fn floor_of_position(
        &self,
        position: u64,
        log: LogKey,
        dir: &Path,
        files: &mut Descriptors,
    ) -> io::Result<Option<OffsetEntry>> {
        let in_memory = self.offsets.pending.partition_point(|entry| u64::from(entry.position) <= position);
        if in_memory > 0 || self.offsets.written == 0 {
            return Ok(in_memory.checked_sub(1).map(|at| self.offsets.pending[at]));
        }
        let id = self.file_id(log, FileKind::OffsetIndex);
        files.in_index(dir, id, self.offset_index_bytes(), |index, cache| {
            look_up_position(index, self.base_offset, position, cache)
        })
    }

    /// A position not behind `position` where a batch begins before which all offsets are below `bound`: as far as the
    /// index knows.
    pub fn end_position(
        &self,
        position: u64,
        bound: i64,
        log: LogKey,
        dir: &Path,
        files: &mut Descriptors,
    ) -> io::Result<u64> {
        let below_bound = self.floor(bound - 1, log, dir, files)?;
        let before = self.floor_of_position(position, log, dir, files)?;
        let (Some(below_bound), Some(before)) = (below_bound, before) else { return Ok(0) };
        Ok(u64::from(below_bound.position.min(before.position)))
    }

    /// The last time index entry below `timestamp`: no record up to its offset is as late.
    pub fn floor_of_time(
        &self,
        timestamp: i64,
        log: LogKey,
        dir: &Path,
        files: &mut Descriptors,
    ) -> io::Result<Option<TimeEntry>> {
        let in_memory = self.times.pending.partition_point(|entry| entry.timestamp < timestamp);
        if in_memory > 0 || self.times.written == 0 {
            return Ok(in_memory.checked_sub(1).map(|at| self.times.pending[at]));
        }
        let id = self.file_id(log, FileKind::TimeIndex);
        let len_bytes = u64::from(self.times.written) * TIME_ENTRY_BYTES as u64;
        files.in_index(dir, id, len_bytes, |index, cache| {
            look_up_timestamp_below(index, self.base_offset, timestamp, cache)
        })
    }

    fn offset_index_bytes(&self) -> u64 {
        u64::from(self.offsets.written) * OFFSET_ENTRY_BYTES as u64
    }

    /// The last index entry: the walk to a segment's end begins there.
    pub fn last_entry(&self) -> Option<OffsetEntry> {
        self.offsets.last
    }

    /// The last entry of the time index.
    pub fn last_time_entry(&self) -> Option<TimeEntry> {
        self.times.last
    }
}

fn read_whole(files: &mut Descriptors, dir: &Path, id: FileId) -> io::Result<Vec<u8>> {
    let file = match files.file(dir, id, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let mut bytes = vec![0; usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?];
    let read = file.read_at(0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}
