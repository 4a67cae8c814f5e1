//! Batches of one log that are not in its segment yet, in order, and the one write that brings them there.
//!
//! Class page-cache fills it during a loop turn and empties it at the end. Class sync leaves batches here behind their ack
//! until a write is worth it; readers are served from here meanwhile, and the bytes are those of the commit log's buffer.
//!
//! Invariant: the batches are dense: each begins at the file position and the offset where the one before it ends.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::Bytes;

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
    /// Where it belongs in the active segment's file.
    pub position: u64,
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
    /// Why it ended before the tail was empty.
    pub error: Option<io::Error>,
}

/// The waiting batches.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    batches: VecDeque<TailBatch>,
    size_bytes: usize,
}

impl Tail {
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Bytes that wait to be written.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Memory held: the bytes and what each batch costs besides.
    pub fn memory_bytes(&self) -> usize {
        self.size_bytes + self.batches.len() * BATCH_OVERHEAD_BYTES
    }

    pub fn first_offset(&self) -> Option<i64> {
        self.batches.front().map(|batch| batch.base_offset)
    }

    /// Where the first waiting batch begins in the file.
    pub fn first_position(&self) -> Option<u64> {
        self.batches.front().map(|batch| batch.position)
    }

    pub fn push(&mut self, batch: TailBatch) {
        if let Some(last) = self.batches.back() {
            assert_eq!(batch.base_offset, last.last_offset + 1, "tail offsets are dense");
            assert_eq!(batch.position, last.position + last.size_bytes() as u64, "tail positions are dense");
        }
        self.size_bytes += batch.size_bytes();
        self.batches.push_back(batch);
    }

    /// Drops what was never written and never acked.
    pub fn clear(&mut self) {
        self.batches.clear();
        self.size_bytes = 0;
    }

    /// Batches from the one that holds `from` on.
    pub fn range_from(&self, from: i64) -> impl Iterator<Item = &TailBatch> {
        self.batches.range(self.batches.partition_point(|batch| batch.last_offset < from)..)
    }

    /// Writes everything to `file`, as few writes as the kernel's limits allow. A short write goes on where it ended.
    pub fn write_to(&mut self, file: &File) -> TailWrite {
        let mut written = 0;
        let mut inside = 0;
        while !self.batches.is_empty() {
            let result = self.write_once(file, inside).and_then(|count| match count {
                0 => Err(io::ErrorKind::WriteZero.into()),
                count => Ok(count),
            });
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return TailWrite { batches: written, error: Some(error) },
                Ok(count) => {
                    inside += count;
                    while let Some(batch) = self.batches.front()
                        && inside >= batch.size_bytes()
                    {
                        inside -= batch.size_bytes();
                        self.size_bytes -= batch.size_bytes();
                        self.batches.pop_front();
                        written += 1;
                    }
                }
            }
        }
        assert!(inside == 0 && self.size_bytes == 0);
        TailWrite { batches: written, error: None }
    }

    /// One write from byte `inside` of the first batch.
    fn write_once(&self, file: &File, inside: usize) -> io::Result<usize> {
        let first = self.batches.front().expect("called with something to write");
        let mut skip = inside;
        let mut parts: smallvec::SmallVec<[IoSlice<'_>; 32]> = smallvec::SmallVec::new();
        for part in self.batches.iter().flat_map(|batch| [&batch.head, &batch.body]) {
            let taken = skip.min(part.len());
            skip -= taken;
            if taken < part.len() {
                parts.push(IoSlice::new(&part[taken..]));
            }
            if parts.len() == WRITE_PARTS_MAX {
                break;
            }
        }
        file.write_at(first.position + inside as u64, &parts)
    }
}
