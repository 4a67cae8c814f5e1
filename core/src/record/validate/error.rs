//! Why a batch is refused, and the protocol's error for it.

use super::super::batch::BatchParseError;
use super::super::compression::DecompressError;
use super::super::records::RecordError;

/// Why a batch is refused. [`BatchError::rejection`] names the protocol's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// No byte, or a batch that goes on behind the end.
    #[error("no whole record batch")]
    NoWholeBatch,
    /// A length field below the header's own.
    #[error("batch length {0} is below the minimum")]
    Length(i32),
    /// Magic 0 or 1, which Produce 3 and later do not carry.
    #[error("record batch of the old version {0}")]
    OldMagic(i8),
    /// Any other magic.
    #[error("record batch of unknown version {0}")]
    UnknownMagic(i8),
    /// Bytes behind the first batch.
    #[error("more than one record batch")]
    MoreThanOneBatch,
    /// Zstandard in a Produce request older than version 7.
    #[error("zstd needs Produce version 7")]
    ZstdBeforeVersion7,
    /// Codec 5, 6 or 7.
    #[error("unknown compression codec {0}")]
    UnknownCodec(u8),
    /// The base offset is not 0.
    #[error("base offset {0}, expected 0")]
    BaseOffset(i64),
    /// Above `max.message.bytes`.
    #[error("batch of {size_bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// The batch.
        size_bytes: usize,
        /// The bound.
        max: usize,
    },
    /// Above `segment.bytes`.
    #[error("batch of {size_bytes} bytes in segments of {max}")]
    LargerThanSegment {
        /// The batch.
        size_bytes: usize,
        /// The bound.
        max: usize,
    },
    /// The CRC is not that of the bytes.
    #[error("CRC {computed:#010x}, the batch says {stored:#010x}")]
    Crc {
        /// In the header.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// A count below 1, or one that the offsets do not agree with.
    #[error("record count {count} with a last offset delta of {last_offset_delta}")]
    Count {
        /// In the header.
        count: i32,
        /// In the header.
        last_offset_delta: i32,
    },
    /// The control flag, which is the broker's own.
    #[error("clients may not write control batches")]
    Control,
    /// A producer id with a negative sequence or epoch.
    #[error("producer {producer_id} with epoch {producer_epoch} and sequence {base_sequence}")]
    Sequence {
        /// In the header.
        producer_id: i64,
        /// In the header.
        producer_epoch: i16,
        /// In the header.
        base_sequence: i32,
    },
    /// The transactional flag without a producer id.
    #[error("transactional batch without a producer id")]
    TransactionalWithoutProducer,
    /// A record is not framed as it should be.
    #[error("record {index}: {error}")]
    Record {
        /// Which.
        index: u32,
        /// How.
        error: RecordError,
    },
    /// The records cannot be decompressed within the bound. (Kafka answers UNKNOWN_SERVER_ERROR.)
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// Offset deltas that do not run from 0.
    #[error("record {index} has offset delta {offset_delta}")]
    OffsetDelta {
        /// Which.
        index: u32,
        /// Its delta.
        offset_delta: i32,
    },
    /// A record without a key on a compacted topic: see [`record_errors`](super::record_errors).
    #[error("record {index} has no key, on a compacted topic")]
    Keyless {
        /// The first.
        index: u32,
    },
    /// A timestamp outside of the bounds: see [`record_errors`](super::record_errors).
    #[error("record {index} has the timestamp {timestamp}, out of bounds")]
    Timestamp {
        /// The first; 0 when only the header was looked at.
        index: u32,
        /// Its timestamp.
        timestamp: i64,
    },
}

/// The protocol's error for a refused batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// CORRUPT_MESSAGE (2); producers try again.
    CorruptMessage,
    /// MESSAGE_TOO_LARGE (10); producers split the batch.
    MessageTooLarge,
    /// RECORD_LIST_TOO_LARGE (18).
    RecordListTooLarge,
    /// INVALID_TIMESTAMP (32).
    InvalidTimestamp,
    /// UNSUPPORTED_COMPRESSION_TYPE (76).
    UnsupportedCompressionType,
    /// INVALID_RECORD (87).
    InvalidRecord,
}

impl BatchError {
    /// What Kafka answers.
    pub fn rejection(&self) -> Rejection {
        match self {
            Self::Length(_) | Self::UnknownMagic(_) | Self::Crc { .. } => Rejection::CorruptMessage,
            Self::TooLarge { .. } => Rejection::MessageTooLarge,
            Self::LargerThanSegment { .. } => Rejection::RecordListTooLarge,
            Self::Timestamp { .. } => Rejection::InvalidTimestamp,
            Self::ZstdBeforeVersion7 | Self::UnknownCodec(_) => Rejection::UnsupportedCompressionType,
            Self::NoWholeBatch
            | Self::OldMagic(_)
            | Self::MoreThanOneBatch
            | Self::BaseOffset(_)
            | Self::Count { .. }
            | Self::Control
            | Self::Sequence { .. }
            | Self::TransactionalWithoutProducer
            | Self::Record { .. }
            | Self::Decompress(_)
            | Self::OffsetDelta { .. }
            | Self::Keyless { .. } => Rejection::InvalidRecord,
        }
    }

    /// Whether [`record_errors`](super::record_errors) can say which records are at fault, for the answer's `record_errors`.
    pub fn is_per_record(&self) -> bool {
        matches!(self, Self::Keyless { .. } | Self::Timestamp { .. })
    }
}

impl From<BatchParseError> for BatchError {
    fn from(error: BatchParseError) -> Self {
        match error {
            BatchParseError::Incomplete { .. } => Self::NoWholeBatch,
            BatchParseError::Length(length) => Self::Length(length),
            BatchParseError::Magic(magic @ 0..=1) => Self::OldMagic(magic),
            BatchParseError::Magic(magic) => Self::UnknownMagic(magic),
        }
    }
}
