//! Reading one log: whole batches from the one that holds an offset, on across segments, from files and from the tail.
//!
//! A read is planned against the log without waiting, then carried out by one `async` function over two sources: the page
//! cache, which answers at once or `WouldBlock`, and the reactor, which waits for the device.
//!
//! Invariants:
//! - Batches come in order and without a gap; the first one holds the offset asked for or is the first behind it.
//! - No batch that ends at or behind the bound is returned.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use smallvec::SmallVec;

use super::descriptors::{Descriptors, FileKind};
use super::error::ReadError;
use super::header::{BatchHeader, HEADER_BYTES};
use super::log::Log;
use super::offset_index::OffsetEntry;
use super::read_hints::ReadHint;
use crate::reactor::{File, FileRange, Piece, Pieces, Reactor};

/// Segments that one read crosses at most.
const TARGETS_MAX: usize = 8;
/// How much is read at least: enough to walk from an index entry to a small batch, and to have that batch too.
const WALK_BYTES: usize = 5 << 10;
/// Up to this size bytes are copied out of the window, which stays warm.
const COPY_MAX: usize = 4 << 10;
/// From this size on bytes are sent from the page cache instead of being read: below it `sendfile` costs more.
const RANGE_MIN: usize = 128 << 10;
/// Bytes behind a large range that are brought into the page cache with it.
const READ_AHEAD_BYTES: usize = 2 << 20;

/// Where the bytes of a file come from.
trait Source {
    /// Reads up to `len` bytes at `position`, fewer at the file's end, into memory that may be used again.
    async fn read(&self, file: &File, position: u64, len: usize, buffer: Vec<u8>) -> io::Result<Vec<u8>>;

    /// Whether a range of a file is to be sent from the page cache instead of being read.
    async fn sends(&self, _file: &File, _range: &FileRange) -> io::Result<bool> {
        Ok(false)
    }
}

/// The page cache only: `WouldBlock` where the device would be asked.
struct Cached;

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
struct Cold(Reactor);

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

/// One segment to read from.
#[derive(Debug, Clone)]
struct Target {
    file: File,
    base_offset: i64,
    /// Bytes of it that are written.
    size: u64,
    /// Where the walk to the first batch begins.
    start: Start,
    /// From there to where a batch ends below the bound and about `max_bytes` on: large enough not to be read here.
    range: Option<FileRange>,
}

/// Where a walk to a batch begins.
#[derive(Debug, Clone, Copy)]
enum Start {
    /// A batch begins here.
    Position(u64),
    /// The index says so: what is there is compared with the entry.
    Entry(OffsetEntry),
}

impl Start {
    fn position(self) -> u64 {
        match self {
            Self::Position(position) => position,
            Self::Entry(entry) => u64::from(entry.position),
        }
    }
}

/// What to read, independent of the log from here on.
#[derive(Debug, Clone)]
pub(crate) struct ReadPlan {
    from: i64,
    bound: i64,
    max_bytes: usize,
    at_least_one_batch: bool,
    targets: SmallVec<[Target; 2]>,
    /// Batches of the tail, from `from` or from the end of the files on.
    tail: SmallVec<[TailPart; 2]>,
}

#[derive(Debug, Clone)]
struct TailPart {
    last_offset: i64,
    head: Bytes,
    body: Bytes,
}

/// What was read and where the next read will probably begin.
#[derive(Debug, Default)]
pub(crate) struct ReadOutcome {
    pub pieces: Pieces,
    pub next: Option<ReadHint>,
}

impl ReadPlan {
    /// Tries the page cache. `WouldBlock` hands the plan to [`ReadPlan::run_cold`].
    pub fn run_cached(&self, window: &mut Window) -> Result<ReadOutcome, ReadError> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(run(self, window, &Cached)).poll(&mut context) {
            Poll::Ready(result) => result,
            Poll::Pending => unreachable!("the page cache answers at once"),
        }
    }

    /// Reads through the reactor.
    pub async fn run_cold(self, reactor: Reactor) -> Result<Pieces, ReadError> {
        Ok(run(&self, &mut Window::default(), &Cold(reactor)).await?.pieces)
    }
}

async fn run(plan: &ReadPlan, window: &mut Window, source: &impl Source) -> Result<ReadOutcome, ReadError> {
    let mut outcome = ReadOutcome::default();
    let mut left = plan.max_bytes;
    let mut must = plan.at_least_one_batch;
    for target in &plan.targets {
        window.clear();
        let Some(start) = walk_to(plan.from, target, window, source).await? else { continue };
        let read = match range_from(target, start) {
            Some(range) if source.sends(&target.file, &range).await? => Some(read_range(target, range)),
            _ => read_batches(plan, target, start, left, must, window, source).await?,
        };
        let Some(read) = read else { return Ok(outcome) };
        outcome.next = read.next;
        left = left.saturating_sub(read.piece.size_bytes());
        must = false;
        outcome.pieces.push(read.piece);
        if !read.segment_done {
            return Ok(outcome);
        }
    }
    for part in &plan.tail {
        let size = part.head.len() + part.body.len();
        if part.last_offset >= plan.bound || (size > left && !must) {
            break;
        }
        must = false;
        left = left.saturating_sub(size);
        outcome.pieces.push(part.head.clone().into());
        if !part.body.is_empty() {
            outcome.pieces.push(part.body.clone().into());
        }
    }
    Ok(outcome)
}

/// Bytes of a segment that were read last: the walk to a batch often reads the batch too. Kept from read to read, so that
/// small ones meet warm memory.
#[derive(Debug, Default)]
pub(crate) struct Window {
    bytes: Vec<u8>,
    start: u64,
}

impl Window {
    fn clear(&mut self) {
        // The bytes stay initialised; they are of no file now.
        self.start = u64::MAX;
    }

    /// Bytes from `position` on: `len` of them, or what the segment has; and more if they are here.
    async fn read(
        &mut self,
        target: &Target,
        position: u64,
        len: usize,
        source: &impl Source,
    ) -> Result<&[u8], ReadError> {
        let available = (target.size - position) as usize;
        let inside = position.checked_sub(self.start).map_or(usize::MAX, |inside| inside as usize);
        if self.bytes.get(inside..).is_none_or(|rest| rest.len() < len.min(available)) {
            let buffer = std::mem::take(&mut self.bytes);
            self.bytes = source.read(&target.file, position, len.max(WALK_BYTES).min(available), buffer).await?;
            self.start = position;
        }
        Ok(&self.bytes[(position - self.start) as usize..])
    }

    /// `len` bytes from `position` on, which it holds: a copy of a small part, else the memory itself.
    fn take(&mut self, position: u64, len: usize) -> Bytes {
        let inside = (position - self.start) as usize;
        if len <= COPY_MAX {
            return Bytes::copy_from_slice(&self.bytes[inside..inside + len]);
        }
        self.start = u64::MAX;
        Bytes::from(std::mem::take(&mut self.bytes)).slice(inside..inside + len)
    }
}

/// Position of the first batch that ends at or behind `from`; `None` when the segment ends before.
async fn walk_to(
    from: i64,
    target: &Target,
    window: &mut Window,
    source: &impl Source,
) -> Result<Option<u64>, ReadError> {
    if from <= target.base_offset {
        return Ok((target.size > 0).then_some(0));
    }
    let mut position = target.start.position();
    while position < target.size {
        let header = BatchHeader::parse(window.read(target, position, HEADER_BYTES, source).await?);
        if let Start::Entry(entry) = target.start
            && position == u64::from(entry.position)
            && header.is_none_or(|header| header.last_offset() != entry.offset)
        {
            tracing::warn!(segment = target.base_offset, position, "the offset index is wrong and not used");
            let target = Target { start: Start::Position(0), ..target.clone() };
            return Box::pin(walk_to(from, &target, window, source)).await;
        }
        let header = header.ok_or(corrupt(target, position))?;
        if header.last_offset() >= from {
            return Ok(Some(position));
        }
        position += u64::from(header.size_bytes);
    }
    Ok(None)
}

fn corrupt(target: &Target, position: u64) -> ReadError {
    ReadError::Corrupt { segment: target.base_offset, position }
}

/// What one segment gave.
struct SegmentRead {
    piece: Piece,
    next: Option<ReadHint>,
    /// All of the segment that may be read was read.
    segment_done: bool,
}

/// What is left of the target's range behind `start`, if it is still large.
fn range_from(target: &Target, start: u64) -> Option<FileRange> {
    let range = target.range.as_ref()?;
    let end = range.position + range.len as u64;
    let len = usize::try_from(end.checked_sub(start)?).ok().filter(|len| *len >= RANGE_MIN)?;
    Some(FileRange { lease: range.lease.clone(), position: start, len })
}

/// A range to be sent from the page cache.
fn read_range(target: &Target, range: FileRange) -> SegmentRead {
    let segment_done = range.position + range.len as u64 == target.size;
    SegmentRead { piece: Piece::File(range), next: None, segment_done }
}

/// Whole batches from `start` on; `None` when not one fits or lies below the bound.
async fn read_batches(
    plan: &ReadPlan,
    target: &Target,
    start: u64,
    max_bytes: usize,
    must: bool,
    window: &mut Window,
    source: &impl Source,
) -> Result<Option<SegmentRead>, ReadError> {
    if max_bytes < HEADER_BYTES && !must {
        return Ok(None);
    }
    let mut bytes = window.read(target, start, max_bytes.max(HEADER_BYTES), source).await?;
    if must {
        let first = BatchHeader::parse(bytes).ok_or(corrupt(target, start))?;
        let whole = first.size_bytes as usize;
        if whole as u64 > target.size - start {
            return Err(corrupt(target, start));
        }
        if first.last_offset() >= plan.bound {
            // Bounds lie between batches: none holds offsets on both sides.
            return if first.base_offset < plan.bound { Err(corrupt(target, start)) } else { Ok(None) };
        }
        bytes = window.read(target, start, whole, source).await?;
    }
    let (mut used, mut last_offset) = (0, None);
    while let Some(header) = BatchHeader::parse(&bytes[used..]) {
        let end = used + header.size_bytes as usize;
        if end > bytes.len() || header.last_offset() >= plan.bound {
            break;
        }
        if end > max_bytes && !(must && used == 0) {
            break;
        }
        used = end;
        last_offset = Some(header.last_offset());
    }
    let rest = &bytes[used..];
    if rest.len() >= HEADER_BYTES && BatchHeader::parse(rest).is_none() {
        return Err(corrupt(target, start + used as u64));
    }
    let Some(last_offset) = last_offset else { return Ok(None) };
    let position = start + used as u64;
    Ok(Some(SegmentRead {
        piece: window.take(start, used).into(),
        next: Some(ReadHint { offset: last_offset + 1, segment: target.base_offset, position }),
        segment_done: position == target.size,
    }))
}

impl Log {
    /// Plans a read of what lies between `from` and `bound`.
    pub fn plan_read(
        &mut self,
        from: i64,
        bound: i64,
        max_bytes: usize,
        at_least_one_batch: bool,
        files: &mut Descriptors,
    ) -> Result<ReadPlan, ReadError> {
        assert!(bound <= self.log_end_offset, "nothing is readable behind the log end");
        if from < self.log_start_offset || from > self.log_end_offset {
            let log_start_offset = self.log_start_offset;
            return Err(ReadError::OutOfRange { offset: from, log_start_offset, bound });
        }
        let mut plan =
            ReadPlan { from, bound, max_bytes, at_least_one_batch, targets: SmallVec::new(), tail: SmallVec::new() };
        if from >= bound || (max_bytes == 0 && !at_least_one_batch) {
            return Ok(plan);
        }
        let mut planned = 0;
        let mut reaches_tail = true;
        if from < self.written_end_offset() {
            for index in self.segment_index(from)..self.segments.len() {
                // Kafka's compaction may leave nothing behind `from` in the first of them.
                let targets_min = if self.config.is_compacted { 2 } else { 1 };
                let is_enough = planned >= max_bytes && plan.targets.len() >= targets_min;
                if is_enough || plan.targets.len() == TARGETS_MAX || self.segments[index].base_offset >= bound {
                    reaches_tail = plan.targets.is_empty();
                    break;
                }
                if let Some(target) = self.plan_target(index, &plan, max_bytes.saturating_sub(planned), files)? {
                    planned += (target.size - target.start.position()) as usize;
                    plan.targets.push(target);
                }
            }
        }
        if reaches_tail {
            self.plan_tail(&mut plan);
        }
        Ok(plan)
    }

    fn plan_target(
        &mut self,
        index: usize,
        plan: &ReadPlan,
        max_bytes: usize,
        files: &mut Descriptors,
    ) -> Result<Option<Target>, ReadError> {
        let (from, bound) = (plan.from, plan.bound);
        self.segments[index].load(self.key, &self.dir, files)?;
        let segment = &self.segments[index];
        let size = self.written_size_bytes(index);
        if size == 0 {
            return Ok(None);
        }
        let base_offset = segment.base_offset;
        let start = if from <= base_offset {
            Start::Position(0)
        } else if let Some(hint) = self.hint(base_offset, from) {
            Start::Position(hint.position)
        } else {
            let entry = segment.floor(from, self.key, &self.dir, files)?;
            entry.filter(|entry| u64::from(entry.position) < size).map_or(Start::Position(0), Start::Entry)
        };
        let file = files.file(&self.dir, segment.file_id(self.key, FileKind::Log), false)?;
        let range = self.plan_range(index, start.position(), size, bound, max_bytes, &file, files)?;
        Ok(Some(Target { file, base_offset, size, start, range }))
    }

    /// What of a segment can be sent from the page cache, if it is much.
    #[expect(clippy::too_many_arguments, reason = "a part of `plan_target`")]
    fn plan_range(
        &self,
        index: usize,
        start: u64,
        size: u64,
        bound: i64,
        max_bytes: usize,
        file: &File,
        files: &mut Descriptors,
    ) -> Result<Option<FileRange>, ReadError> {
        if max_bytes.min((size - start) as usize) < RANGE_MIN {
            return Ok(None);
        }
        let segment = &self.segments[index];
        let segment_end = self.segments.get(index + 1).map_or(self.log_end_offset, |next| next.base_offset);
        let written_end = self.written_end_offset().min(segment_end);
        let limit = start + max_bytes as u64;
        let end = if size <= limit && written_end <= bound {
            size
        } else {
            segment.end_position(limit, bound, self.key, &self.dir, files)?
        };
        let len = end.saturating_sub(start) as usize;
        Ok((len >= RANGE_MIN).then(|| files.leased.range(file, start, len)))
    }

    fn plan_tail(&self, plan: &mut ReadPlan) {
        let mut planned = 0;
        for batch in self.tail.range_from(plan.from) {
            if batch.last_offset >= plan.bound || (planned >= plan.max_bytes && !plan.tail.is_empty()) {
                break;
            }
            planned += batch.size_bytes();
            let (head, body) = (batch.head.clone(), batch.body.clone());
            plan.tail.push(TailPart { last_offset: batch.last_offset, head, body });
        }
    }

    fn hint(&self, segment: i64, offset: i64) -> Option<ReadHint> {
        self.read_hints.as_ref().and_then(|hints| hints.find(segment, offset))
    }

    /// Remembers where a read ended.
    pub fn note_read(&mut self, from: i64, next: Option<ReadHint>) {
        if let Some(next) = next {
            self.read_hints.get_or_insert_default().note(from, next);
        }
    }

    /// Offset and timestamp of the first record below `bound` that is at least as late as `timestamp`. Start of a look-up
    /// that may wait for the device: rare, so it is not spread over turns.
    pub fn offset_for_timestamp(
        &mut self,
        timestamp: i64,
        bound: i64,
        files: &mut Descriptors,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        for index in 0..self.segments.len() {
            self.load_times(index, files)?;
            let segment = &self.segments[index];
            if segment.max_timestamp < timestamp {
                continue;
            }
            let mut floor = segment.base_offset;
            if let Some(entry) = segment.floor_of_time(timestamp, self.key, &self.dir, files)?
                && self.is_right(index, entry, files)?
            {
                floor = entry.offset;
            }
            let end = self.segments.get(index + 1).map_or(self.log_end_offset, |next| next.base_offset).min(bound);
            if let Some(found) = self.first_record_at(timestamp, floor.max(self.log_start_offset), end, files)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn first_record_at(
        &mut self,
        timestamp: i64,
        mut from: i64,
        end: i64,
        files: &mut Descriptors,
    ) -> Result<Option<(i64, i64)>, ReadError> {
        const PIECE_BYTES: usize = 256 << 10;
        while from < end {
            let pieces = match self.plan_read(from, end, PIECE_BYTES, true, files)?.run_blocking() {
                Ok(outcome) => outcome.pieces,
                Err(error) => return Err(error),
            };
            if pieces.is_empty() {
                return Ok(None);
            }
            let joined: Vec<u8> = pieces.iter().filter_map(Piece::bytes).flatten().copied().collect();
            let mut rest = &joined[..];
            while let Some(header) = BatchHeader::parse(rest) {
                let batch = &rest[..header.size_bytes as usize];
                if header.max_timestamp >= timestamp
                    && let Some(found) =
                        super::timestamps::first_record(batch, &header, timestamp, self.log_start_offset)
                {
                    return Ok(Some(found));
                }
                from = header.last_offset() + 1;
                rest = &rest[batch.len()..];
            }
        }
        Ok(None)
    }
}

/// The page cache or the device, waiting for it.
struct Blocking;

impl Source for Blocking {
    async fn read(&self, file: &File, position: u64, len: usize, mut buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        buffer.resize(len, 0);
        let read = file.read_at(position, &mut buffer)?;
        buffer.truncate(read);
        Ok(buffer)
    }
}

impl ReadPlan {
    /// Reads, waiting for the device.
    pub fn run_blocking(&self) -> Result<ReadOutcome, ReadError> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(run(self, &mut Window::default(), &Blocking)).poll(&mut context) {
            Poll::Ready(result) => result,
            Poll::Pending => unreachable!("it waits inside the call"),
        }
    }
}
