//! What can go wrong, one enum per operation.

use std::io;
use std::path::PathBuf;

/// Why a log could not be opened, created or closed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk said no.
    #[error("{path}: {source}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// The answer.
        source: io::Error,
    },
    /// Bytes that were synced are not what was written. Nothing is cut.
    #[error("{path}: corrupt at offset {offset}: {reason}")]
    Corrupt {
        /// The partition's folder or file.
        path: PathBuf,
        /// First offset that cannot be trusted.
        offset: i64,
        /// What is wrong.
        reason: String,
    },
    /// The commit log could not be opened or read.
    #[error("commit log: {0}")]
    CommitLog(String),
}

/// Why a batch was not appended. Nothing of it is kept, but for `MaybeAppended`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// There is no such log in this store.
    #[error("no such log")]
    UnknownLog,
    /// The bytes are not one whole batch of version 2.
    #[error("not a batch of version 2")]
    InvalidBatch,
    /// Larger than a segment may be.
    #[error("batch of {size_bytes} bytes in segments of {segment_bytes}")]
    TooLarge {
        /// The batch.
        size_bytes: u32,
        /// The bound.
        segment_bytes: u32,
    },
    /// The sequence does not follow the producer's last one.
    #[error("sequence out of order")]
    OutOfOrderSequence,
    /// An older epoch than the producer's newest.
    #[error("stale producer epoch")]
    InvalidProducerEpoch,
    /// The same sequence as a batch that is too old to know its offset.
    #[error("duplicate of a batch that is no longer remembered")]
    DuplicateSequence,
    /// A batch outside of the transaction that its producer has open.
    #[error("the producer's transaction is open")]
    InvalidTransactionState,
    /// There is no room for it at the moment. What comes after it in this log is to wait for it, until it is appended,
    /// after some end of a turn, or given up ([`LogStore::refuse`](super::LogStore::refuse)).
    #[error("the log has no room for now")]
    Busy,
    /// A batch of the producer that comes before this one was refused: it is to be sent again first.
    #[error("an earlier batch of the producer was refused")]
    BehindRefused,
    /// No space is left. Later appends may succeed.
    #[error("no space left")]
    DiskFull,
    /// A write or sync failed: the log takes nothing until it was opened anew. Nothing of this batch is kept.
    #[error("the log has stopped: {0}")]
    Stopped(String),
    /// As `Stopped`, after the batch was taken: whether it is kept is only known when the log was opened anew.
    #[error("the log has stopped, and may hold the batch: {0}")]
    MaybeAppended(String),
}

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such log in this store.
    #[error("no such log")]
    UnknownLog,
    /// The offset is below the log start or above the bound.
    #[error("offset {offset} is outside of {log_start_offset}..={bound}")]
    OutOfRange {
        /// What was asked for.
        offset: i64,
        /// First readable offset.
        log_start_offset: i64,
        /// End, exclusive.
        bound: i64,
    },
    /// The disk said no.
    #[error("read failed: {0}")]
    Io(#[from] io::Error),
    /// A look through the log has found the batch damaged.
    #[error("damaged batch in segment {segment} at {position}")]
    Damaged {
        /// Base offset of the segment.
        segment: i64,
        /// Byte in its file.
        position: u64,
    },
    /// What was read is not a batch.
    #[error("corrupt batch in segment {segment} at {position}")]
    Corrupt {
        /// Base offset of the segment.
        segment: i64,
        /// Byte in its file.
        position: u64,
    },
}

/// The log could not be opened.
impl From<StoreError> for ReadError {
    fn from(error: StoreError) -> Self {
        Self::Io(io::Error::other(error))
    }
}
