//! Carries a read out: walks to the first batch, and takes whole batches from there.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::super::error::ReadError;
use super::super::header::{BatchHeader, HEADER_BYTES};
use super::super::read_hints::ReadHint;
use super::source::{Blocking, Cached, Cold, Source};
use super::{RANGE_MIN, ReadPlan, Start, Target};
use crate::reactor::{FileRange, Piece, Pieces, Reactor};

/// How much is read at least: enough to walk from an index entry to a small batch, and to have that batch too.
const WALK_BYTES: usize = 5 << 10;
/// Up to this size bytes are copied out of the window, which stays warm.
const COPY_MAX: usize = 4 << 10;

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

    /// Reads, waiting for the device.
    pub fn run_blocking(&self) -> Result<ReadOutcome, ReadError> {
        let mut context = Context::from_waker(Waker::noop());
        match pin!(run(self, &mut Window::default(), &Blocking)).poll(&mut context) {
            Poll::Ready(result) => result,
            Poll::Pending => unreachable!("it waits inside the call"),
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
