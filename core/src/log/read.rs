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
use super::log::{Log, ReadHint};
use super::offset_index::OffsetEntry;
use crate::reactor::{File, Parts, Reactor};

/// Segments that one read crosses at most.
const TARGETS_MAX: usize = 8;
/// How much is read to walk from an index entry to the batch that is wanted.
const WALK_BYTES: usize = 16 << 10;

/// Where the bytes of a file come from.
trait Source {
    /// Reads up to `len` bytes at `position`; fewer at the file's end.
    async fn read(&self, file: &File, position: u64, len: usize) -> io::Result<Vec<u8>>;
}

/// The page cache only: `WouldBlock` where the device would be asked.
struct Cached;

impl Source for Cached {
    async fn read(&self, file: &File, position: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; len];
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
}

/// The device, without blocking the shard.
struct Cold(Reactor);

impl Source for Cold {
    async fn read(&self, file: &File, position: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::new();
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
    pub parts: Parts,
    pub next: Option<ReadHint>,
}

impl ReadPlan {
    /// Tries the page cache. `WouldBlock` hands the plan to [`ReadPlan::run_cold`].
    pub fn run_cached(&self) -> Result<ReadOutcome, ReadError> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(run(self, &Cached)).poll(&mut context) {
            Poll::Ready(result) => result,
            Poll::Pending => unreachable!("the page cache answers at once"),
        }
    }

    /// Reads through the reactor.
    pub async fn run_cold(self, reactor: Reactor) -> Result<Parts, ReadError> {
        Ok(run(&self, &Cold(reactor)).await?.parts)
    }
}

async fn run(plan: &ReadPlan, source: &impl Source) -> Result<ReadOutcome, ReadError> {
    let mut outcome = ReadOutcome::default();
    let mut left = plan.max_bytes;
    let mut must = plan.at_least_one_batch;
    for target in &plan.targets {
        let Some(start) = walk_to(plan.from, target, source).await? else { continue };
        let Some(bytes) = read_batches(plan, target, start, left, must, source).await? else { return Ok(outcome) };
        outcome.next = Some(bytes.next);
        left = left.saturating_sub(bytes.bytes.len());
        must = false;
        let more = bytes.segment_done;
        outcome.parts.push(bytes.bytes);
        if !more {
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
        outcome.parts.push(part.head.clone());
        if !part.body.is_empty() {
            outcome.parts.push(part.body.clone());
        }
    }
    Ok(outcome)
}

/// Position of the first batch that ends at or behind `from`; `None` when the segment ends before.
async fn walk_to(from: i64, target: &Target, source: &impl Source) -> Result<Option<u64>, ReadError> {
    if from <= target.base_offset {
        return Ok((target.size > 0).then_some(0));
    }
    let mut position = target.start.position();
    let mut window = Vec::new();
    let mut window_start = 0;
    while position < target.size {
        let inside = (position - window_start) as usize;
        if window.len() < inside + HEADER_BYTES {
            let len = WALK_BYTES.min((target.size - position) as usize);
            window = source.read(&target.file, position, len).await?;
            window_start = position;
        }
        let inside = (position - window_start) as usize;
        let header = window.get(inside..).and_then(BatchHeader::parse);
        if let Start::Entry(entry) = target.start
            && position == u64::from(entry.position)
            && header.is_none_or(|header| header.last_offset() != entry.offset)
        {
            tracing::warn!(segment = target.base_offset, position, "the offset index is wrong and not used");
            let target = Target { start: Start::Position(0), ..target.clone() };
            return Box::pin(walk_to(from, &target, source)).await;
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

struct SegmentBytes {
    bytes: Bytes,
    next: ReadHint,
    /// All of the segment that may be read was read.
    segment_done: bool,
}

/// Whole batches from `start` on; `None` when not one fits or lies below the bound.
async fn read_batches(
    plan: &ReadPlan,
    target: &Target,
    start: u64,
    max_bytes: usize,
    must: bool,
    source: &impl Source,
) -> Result<Option<SegmentBytes>, ReadError> {
    let available = (target.size - start) as usize;
    let mut buffer = Vec::new();
    if max_bytes >= HEADER_BYTES || must {
        buffer = source.read(&target.file, start, max_bytes.max(HEADER_BYTES).min(available)).await?;
    }
    if must {
        let first = BatchHeader::parse(&buffer).ok_or(corrupt(target, start))?;
        let whole = first.size_bytes as usize;
        if whole > available {
            return Err(corrupt(target, start));
        }
        if whole > buffer.len() {
            if first.last_offset() >= plan.bound {
                return Ok(None);
            }
            buffer = source.read(&target.file, start, whole).await?;
        }
    }
    let (mut used, mut last_offset) = (0, None);
    while let Some(header) = BatchHeader::parse(&buffer[used..]) {
        let end = used + header.size_bytes as usize;
        if end > buffer.len() || header.last_offset() >= plan.bound {
            break;
        }
        if end > max_bytes && !(must && used == 0) {
            break;
        }
        used = end;
        last_offset = Some(header.last_offset());
    }
    let rest = &buffer[used..];
    if rest.len() >= HEADER_BYTES && BatchHeader::parse(rest).is_none() {
        return Err(corrupt(target, start + used as u64));
    }
    let Some(last_offset) = last_offset else { return Ok(None) };
    buffer.truncate(used);
    let position = start + used as u64;
    Ok(Some(SegmentBytes {
        bytes: Bytes::from(buffer),
        next: ReadHint { offset: last_offset + 1, segment: target.base_offset, position },
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
                if plan.targets.len() == TARGETS_MAX
                    || planned >= max_bytes
                    || self.segments[index].base_offset >= bound
                {
                    reaches_tail = plan.targets.is_empty();
                    break;
                }
                if let Some(target) = self.plan_target(index, from, files)? {
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

    fn plan_target(&mut self, index: usize, from: i64, files: &mut Descriptors) -> Result<Option<Target>, ReadError> {
        let active = index + 1 == self.segments.len();
        self.segments[index].load(self.key, &self.dir, files)?;
        let segment = &self.segments[index];
        let mut size = segment.size_bytes().expect("loaded");
        if active && let Some(position) = self.tail.first_position() {
            size = position;
        }
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
        Ok(Some(Target { file, base_offset, size, start }))
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
        self.read_hints.iter().flatten().find(|hint| hint.segment == segment && hint.offset == offset).copied()
    }

    /// Remembers where a read ended.
    pub fn note_read(&mut self, from: i64, next: Option<ReadHint>) {
        let Some(next) = next else { return };
        let slot = self.read_hints.iter().position(|hint| hint.is_some_and(|hint| hint.offset == from));
        let slot = slot.unwrap_or_else(|| {
            self.next_hint = (self.next_hint + 1) % self.read_hints.len();
            self.next_hint
        });
        self.read_hints[slot] = Some(next);
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
            let parts = match self.plan_read(from, end, PIECE_BYTES, true, files)?.run_blocking() {
                Ok(outcome) => outcome.parts,
                Err(error) => return Err(error),
            };
            if parts.is_empty() {
                return Ok(None);
            }
            let joined = super::timestamps::join(&parts);
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
    async fn read(&self, file: &File, position: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; len];
        let read = file.read_at(position, &mut buffer)?;
        buffer.truncate(read);
        Ok(buffer)
    }
}

impl ReadPlan {
    /// Reads, waiting for the device.
    pub fn run_blocking(&self) -> Result<ReadOutcome, ReadError> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(run(self, &Blocking)).poll(&mut context) {
            Poll::Ready(result) => result,
            Poll::Pending => unreachable!("it waits inside the call"),
        }
    }
}
