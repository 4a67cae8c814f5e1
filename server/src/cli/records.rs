//! The batches of a file, one after the other, never more than one in memory, and the records of a batch, opened.

use std::fmt::Display;
use std::io::{self, BufReader, Read};
use std::path::Path;

use ringlog_core::record::{BATCH_OVERHEAD, BatchHeader, BatchView, RecordView, Records, compression};

/// A batch never takes more memory than this, whatever it claims.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 30;
/// Larger than any batch that a broker takes.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// Why reading cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchFileError {
    /// These are no batches.
    #[error("byte {0}: {1}")]
    Damaged(u64, String),
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The batches of a `.log` or `.checkpoint` file. Their CRC is for the caller to look at.
pub(super) struct BatchFile<R> {
    input: BufReader<R>,
    bytes: Vec<u8>,
    /// Where the next batch begins.
    position: u64,
}

impl<R: Read> BatchFile<R> {
    pub(super) fn new(file: R) -> Self {
        Self { input: BufReader::with_capacity(1 << 20, file), bytes: Vec::new(), position: 0 }
    }

    /// The next batch and where it begins; `None` at the end, which is where a preallocated segment holds zeros.
    pub(super) fn next(&mut self) -> Result<Option<(u64, BatchView<'_>)>, BatchFileError> {
        let Self { input, bytes, position } = self;
        bytes.clear();
        let head = input.take(BATCH_OVERHEAD as u64).read_to_end(bytes)?;
        if head == 0 || bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let begin = *position;
        let damaged = |reason: String| BatchFileError::Damaged(begin, reason);
        let size_bytes = BatchHeader::parse(bytes).map_err(|error| damaged(error.to_string()))?.size_bytes();
        if size_bytes > BATCH_BYTES_MAX {
            return Err(damaged(format!("a batch of {size_bytes} bytes")));
        }
        input.take((size_bytes - BATCH_OVERHEAD) as u64).read_to_end(bytes)?;
        *position += size_bytes as u64;
        let batch = BatchView::parse(bytes).map_err(|error| damaged(error.to_string()))?;
        Ok(Some((begin, batch)))
    }
}

/// Calls `look` with each record.
pub(super) fn with_records(batch: &BatchView<'_>, mut look: impl FnMut(&RecordView<'_>)) -> Result<(), String> {
    let at = |error: &dyn Display| format!("batch at offset {}: {error}", batch.base_offset());
    let payload = compression::open(batch, DECOMPRESSED_BYTES_MAX).map_err(|error| at(&error))?;
    for record in Records::new(&payload, batch.record_count()) {
        look(&record.map_err(|error| at(&error))?);
    }
    Ok(())
}

/// The base offset that the name of a segment or of one of its files holds.
pub(super) fn named_base_offset(path: &Path) -> Option<i64> {
    path.file_stem()?.to_str()?.parse().ok()
}
