//! Reading one log: whole batches from the one that holds an offset, on across segments, from files and from the tail.
//!
//! A read is planned against the log without waiting, then carried out by one `async` function over one of three sources:
//! the page cache, which answers at once or `WouldBlock`, the reactor, which waits for the device, or a call that blocks.
//!
//! Invariants:
//! - Batches come in order and without a gap; the first one holds the offset asked for or is the first behind it.
//! - No batch that ends at or behind the bound is returned.

mod batches;
mod by_timestamp;
mod source;

use bytes::Bytes;
use smallvec::SmallVec;

use super::descriptors::{Descriptors, FileKind};
use super::error::ReadError;
use super::log::Log;
use super::offset_index::OffsetEntry;
use super::read_hints::ReadHint;
use crate::reactor::{File, FileRange};
pub(crate) use batches::Window;

/// Segments that one read crosses at most.
const TARGETS_MAX: usize = 8;
/// From this size on bytes are sent from the page cache instead of being read: below it `sendfile` costs more.
const RANGE_MIN: usize = 128 << 10;

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
}
