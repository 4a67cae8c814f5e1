//! Batches of one log that are not in its segment yet, in order, and the writes that bring them there.
//!
//! Class page-cache fills it during a loop turn and empties it at the end. Class sync leaves batches here behind their ack
//! until a write is worth it; readers are served from here meanwhile, and the bytes are those of the commit log's buffer.
//!
//! Invariants:
//! - The batches are dense: each begins at the offset where the one before it ends, and in the same segment at that position.
//! - A batch leaves when the last byte of it is in the file. Of the first one some may be there already.
//! - What a late write is under way with stays, and nothing else writes this log until the write has ended.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::Bytes;

use super::commit_log::Lsn;
use crate::buffer::ALIGNMENT;
use crate::buffer::staging::Staging;
use crate::reactor::File;

/// Most parts of one vectored write (the kernel's IOV_MAX is 1,024).
const WRITE_PARTS_MAX: usize = 1024;
/// Memory that a waiting batch costs besides its bytes.
const BATCH_OVERHEAD_BYTES: usize = 128;

/// One batch as it will be in the segment: the bytes of `head`, then those of `body`.
#[derive(Debug, Clone)]
pub(crate) struct TailBatch {
    pub base_offset: i64,
    pub last_offset: i64,
    /// Base offset of the segment that it belongs in.
    pub segment: i64,
    /// Where in that segment's file.
    pub position: u64,
    /// Its entry in the commit log (class sync).
    pub lsn: Option<Lsn>,
    /// The largest timestamp of the segment before it, and the offset that has it.
    pub max_timestamp_before: (i64, i64),
    pub head: Bytes,
    pub body: Bytes,
}

impl TailBatch {
    pub fn size_bytes(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// How a write of the tail went.
#[derive(Debug)]
pub(crate) struct TailWrite {
    /// Batches that are whole in the file; they were taken out of the tail.
    pub batches: usize,
    /// Why it ended before all was written.
    pub error: Option<io::Error>,
}

/// The waiting batches.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    batches: VecDeque<TailBatch>,
    /// Of all batches.
    size_bytes: usize,
    /// Bytes of the first batch that are in the file.
    in_file: usize,
    /// Bytes behind these that a late write is under way with.
    under_way: usize,
}

impl Tail {
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Bytes that wait to be written and are not under way.
    pub fn waiting_bytes(&self) -> usize {
        self.size_bytes - self.in_file - self.under_way
    }

    /// The first entry of the commit log that is not in the segment, and the memory that waits: the bytes and what each
    /// batch costs besides. Nothing in class page-cache.
    pub fn mark(&self) -> Option<(Lsn, usize)> {
        let memory_bytes = self.size_bytes - self.under_way + self.batches.len() * BATCH_OVERHEAD_BYTES;
        self.first().and_then(|batch| batch.lsn).map(|lsn| (lsn, memory_bytes))
    }

    pub fn first(&self) -> Option<&TailBatch> {
        self.batches.front()
    }

    pub fn first_offset(&self) -> Option<i64> {
        self.first().map(|batch| batch.base_offset)
    }

    /// Where in `segment` the first batch lies that waits for it.
    pub fn first_position(&self, segment: i64) -> Option<u64> {
        self.batches.iter().find(|batch| batch.segment >= segment).filter(|b| b.segment == segment).map(|b| b.position)
    }

    pub fn push(&mut self, batch: TailBatch) {
        if let Some(last) = self.batches.back() {
            assert_eq!(batch.base_offset, last.last_offset + 1, "tail offsets are dense");
            let end = if batch.segment == last.segment { last.position + last.size_bytes() as u64 } else { 0 };
            assert_eq!(batch.position, end, "tail positions are dense");
        }
        if self.batches.len() == self.batches.capacity() {
            // Most of very many logs never have more than one or two batches to wait.
            self.batches.reserve_exact(self.batches.len().div_ceil(2).max(1));
        }
        self.size_bytes += batch.size_bytes();
        self.batches.push_back(batch);
    }

    /// Gives the memory of an empty tail back: of a log that is seldom written to.
    pub fn give_back(&mut self) {
        if self.batches.is_empty() {
            self.batches = VecDeque::new();
        }
    }

    /// Drops what was never written and never acked.
    pub fn clear(&mut self) {
        assert!(self.under_way == 0);
        self.batches.clear();
        (self.size_bytes, self.in_file) = (0, 0);
    }

    /// Batches from the one that holds `from` on.
    pub fn range_from(&self, from: i64) -> impl Iterator<Item = &TailBatch> {
        self.batches.range(self.batches.partition_point(|batch| batch.last_offset < from)..)
    }

    /// Bytes of the first batch's segment that are not in its file.
    fn bytes_of_segment(&self) -> usize {
        let (Some(first), Some(last)) = (self.batches.front(), self.batches.back()) else { return 0 };
        let size_bytes = match first.segment == last.segment {
            true => self.size_bytes,
            false => self.of_segment(first.segment).map(TailBatch::size_bytes).sum(),
        };
        size_bytes - self.in_file
    }

    fn of_segment(&self, segment: i64) -> impl Iterator<Item = &TailBatch> {
        self.batches.iter().take_while(move |batch| batch.segment == segment)
    }

    /// Where the first batch's segment ends in its file.
    fn file_end(&self) -> u64 {
        self.first().map_or(0, |batch| batch.position) + self.in_file as u64
    }

    /// Writes up to `bytes_max` bytes of the first batch's segment to its file, as few writes as the kernel's limits allow.
    /// A short write goes on where it ended. After a failure the first batch counts as not written at all.
    pub fn write_to(&mut self, file: &File, bytes_max: usize) -> TailWrite {
        assert!(self.under_way == 0, "a late write would meet this one");
        let mut left = bytes_max.min(self.bytes_of_segment());
        let mut batches = 0;
        while left > 0 {
            let result = self.write_once(file, left).and_then(|count| match count {
                0 => Err(io::ErrorKind::WriteZero.into()),
                count => Ok(count),
            });
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.in_file = 0;
                    return TailWrite { batches, error: Some(error) };
                }
                Ok(count) => {
                    left -= count;
                    batches += self.note_written(count);
                }
            }
        }
        TailWrite { batches, error: None }
    }

    /// One write of up to `bytes_max` bytes behind what is in the file.
    fn write_once(&self, file: &File, bytes_max: usize) -> io::Result<usize> {
        let parts: smallvec::SmallVec<[IoSlice<'_>; 32]> =
            self.parts(bytes_max).map(IoSlice::new).take(WRITE_PARTS_MAX).collect();
        file.write_at(self.file_end(), &parts)
    }

    /// The next `bytes_max` bytes behind what is in the file.
    fn parts(&self, bytes_max: usize) -> impl Iterator<Item = &[u8]> {
        let (mut skip, mut left) = (self.in_file, bytes_max);
        let parts = self.batches.iter().flat_map(|batch| [&batch.head, &batch.body]);
        let wanted = parts.map_while(move |part| {
            let from = skip.min(part.len());
            let to = part.len().min(from + left);
            skip -= from;
            left -= to - from;
            (left > 0 || to > from).then_some(&part[from..to])
        });
        wanted.filter(|part| !part.is_empty())
    }

    /// Counts bytes in that are in the file now. Returns how many batches left.
    fn note_written(&mut self, count: usize) -> usize {
        let mut batches = 0;
        self.in_file += count;
        while let Some(batch) = self.batches.front()
            && self.in_file >= batch.size_bytes()
        {
            self.in_file -= batch.size_bytes();
            self.size_bytes -= batch.size_bytes();
            self.batches.pop_front();
            batches += 1;
        }
        assert!(self.in_file == 0 || !self.batches.is_empty());
        batches
    }

    /// Bytes that are to be written before a whole block of the file can begin.
    pub fn bytes_to_block(&self) -> usize {
        (self.file_end().next_multiple_of(ALIGNMENT as u64) - self.file_end()) as usize
    }

    pub fn is_under_way(&self) -> bool {
        self.under_way > 0
    }

    /// Copies what fills whole blocks of the file into `staging`, as far as it fits, for a late write. Told where these
    /// blocks begin; `None` when there are none.
    pub fn start_late_write(&mut self, staging: &mut Staging) -> Option<u64> {
        assert!(self.under_way == 0 && self.bytes_to_block() == 0);
        let count = self.bytes_of_segment().min(staging.remaining()) / ALIGNMENT * ALIGNMENT;
        self.parts(count).for_each(|part| staging.append(part));
        self.under_way = count;
        (count > 0).then(|| self.file_end())
    }

    /// The late write has ended; `count` bytes of it are in the file.
    pub fn end_late_write(&mut self, count: usize) {
        assert!(count <= self.under_way);
        self.under_way = 0;
        self.note_written(count);
    }
}
