//! The header of a record batch and a view of one whole batch.
//!
//! Bytes, all big-endian: base offset 0..8, length of what follows 8..12, leader epoch 12..16, magic 16, CRC 17..21,
//! attributes 21..23, last offset delta 23..27, base timestamp 27..35, max timestamp 35..43, producer id 43..51,
//! producer epoch 51..53, base sequence 53..57, record count 57..61, records. The CRC covers 21 to the end.

use std::ops::Deref;

use super::crc::crc32c;
use super::records::Records;

/// Bytes of a batch before its records.
pub const BATCH_OVERHEAD: usize = 61;
/// Bytes of base offset and length, which the length field does not count.
pub const LENGTH_PREFIX: usize = 12;
/// First byte under the CRC.
pub const CRC_FROM: usize = 21;

const MAGIC: i8 = 2;
pub(super) const CODEC_MASK: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
/// Flag: the base timestamp is a delete horizon.
pub(super) const DELETE_HORIZON: i16 = 0x40;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// Not at all.
    None = 0,
    /// gzip.
    Gzip = 1,
    /// Snappy, in xerial's framing or raw.
    Snappy = 2,
    /// LZ4 frame.
    Lz4 = 3,
    /// Zstandard.
    Zstd = 4,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// From the low three bits of the attributes; 5 to 7 are not assigned.
    pub fn from_bits(bits: u8) -> Option<Self> {
        Self::ALL.get(usize::from(bits)).copied()
    }
}

/// Whose clock the timestamps of a batch are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's, one per record.
    CreateTime,
    /// The broker's: every record has the batch's max timestamp.
    LogAppendTime,
}

/// Why bytes are not one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchParseError {
    /// The batch goes on behind the end of the bytes.
    #[error("incomplete batch: {available} of {needed} bytes")]
    Incomplete {
        /// Bytes that are there.
        available: usize,
        /// Bytes that are needed to go on: the header's, or the batch's once its length is known.
        needed: usize,
    },
    /// The length field is below what any batch has.
    #[error("batch length {0} is below the header's")]
    Length(i32),
    /// Not version 2.
    #[error("batch magic {0}, expected 2")]
    Magic(i8),
}

/// The first 61 bytes of a batch. Nothing in it has been checked but its length and magic.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader<'a>(&'a [u8; BATCH_OVERHEAD]);

impl<'a> BatchHeader<'a> {
    /// Reads the header at the start of `bytes`; the batch itself may go on behind the end of `bytes`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchParseError> {
        let Some(header) = bytes.first_chunk::<BATCH_OVERHEAD>() else {
            return Err(Self::parse_short(bytes));
        };
        let header = Self(header);
        if header.magic() != MAGIC {
            return Err(BatchParseError::Magic(header.magic()));
        }
        if header.length() < (BATCH_OVERHEAD - LENGTH_PREFIX) as i32 {
            return Err(BatchParseError::Length(header.length()));
        }
        Ok(header)
    }

    /// A wrong magic or length is said even when the rest of the header is missing.
    fn parse_short(bytes: &[u8]) -> BatchParseError {
        if let Some(magic) = bytes.get(16).map(|byte| *byte as i8)
            && magic != MAGIC
        {
            return BatchParseError::Magic(magic);
        }
        match bytes.get(8..12).and_then(|field| field.first_chunk()).map(|field| i32::from_be_bytes(*field)) {
            Some(length) if length < (BATCH_OVERHEAD - LENGTH_PREFIX) as i32 => BatchParseError::Length(length),
            _ => BatchParseError::Incomplete { available: bytes.len(), needed: BATCH_OVERHEAD },
        }
    }

    #[inline]
    fn field<const AT: usize, const N: usize>(&self) -> [u8; N] {
        const { assert!(AT + N <= BATCH_OVERHEAD) };
        *self.0[AT..].first_chunk().expect("the field lies inside the header")
    }

    /// Offset of the first record.
    #[inline]
    pub fn base_offset(&self) -> i64 {
        i64::from_be_bytes(self.field::<0, 8>())
    }

    /// The length field: bytes of the batch behind it.
    #[inline]
    fn length(&self) -> i32 {
        i32::from_be_bytes(self.field::<8, 4>())
    }

    /// Bytes of the whole batch, header included.
    #[inline]
    pub fn size_bytes(&self) -> usize {
        LENGTH_PREFIX + self.length() as usize
    }

    /// Epoch of the leader that appended the batch.
    #[inline]
    pub fn leader_epoch(&self) -> i32 {
        i32::from_be_bytes(self.field::<12, 4>())
    }

    /// Format version.
    #[inline]
    pub fn magic(&self) -> i8 {
        self.0[16] as i8
    }

    /// The CRC-32C that the batch says it has.
    #[inline]
    pub fn stored_crc(&self) -> u32 {
        u32::from_be_bytes(self.field::<17, 4>())
    }

    /// Codec, timestamp type and flags.
    #[inline]
    pub fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.field::<21, 2>())
    }

    /// The codec, or the number that is none.
    #[inline]
    pub fn codec(&self) -> Result<Codec, u8> {
        let bits = (self.attributes() & CODEC_MASK) as u8;
        Codec::from_bits(bits).ok_or(bits)
    }

    /// Whose clock the timestamps are of.
    #[inline]
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes() & LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// Whether the records belong to a transaction.
    #[inline]
    pub fn is_transactional(&self) -> bool {
        self.attributes() & TRANSACTIONAL != 0
    }

    /// Whether it is a control batch, which no consumer is shown.
    #[inline]
    pub fn is_control(&self) -> bool {
        self.attributes() & CONTROL != 0
    }

    /// Whether the base timestamp is the delete horizon that compaction has set.
    #[inline]
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes() & DELETE_HORIZON != 0
    }

    /// Last offset minus base offset; compaction keeps it when records go.
    #[inline]
    pub fn last_offset_delta(&self) -> i32 {
        i32::from_be_bytes(self.field::<23, 4>())
    }

    /// Offset of the last record.
    #[inline]
    pub fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(i64::from(self.last_offset_delta()))
    }

    /// Offset behind the last record.
    #[inline]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// What the records' timestamp deltas count from.
    #[inline]
    pub fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field::<27, 8>())
    }

    /// The largest timestamp of the records, -1 for none.
    #[inline]
    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.field::<35, 8>())
    }

    /// Id of the idempotent producer, -1 for none.
    #[inline]
    pub fn producer_id(&self) -> i64 {
        i64::from_be_bytes(self.field::<43, 8>())
    }

    /// Its epoch, -1 for none.
    #[inline]
    pub fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(self.field::<51, 2>())
    }

    /// Sequence of the first record, -1 for none.
    #[inline]
    pub fn base_sequence(&self) -> i32 {
        i32::from_be_bytes(self.field::<53, 4>())
    }

    /// Sequence of the last record; it wraps from `i32::MAX` to 0.
    #[inline]
    pub fn last_sequence(&self) -> i32 {
        match self.base_sequence() {
            -1 => -1,
            base => base.wrapping_add(self.last_offset_delta()) & i32::MAX,
        }
    }

    /// How many records it says it holds.
    #[inline]
    pub fn record_count(&self) -> i32 {
        i32::from_be_bytes(self.field::<57, 4>())
    }
}

impl std::fmt::Debug for BatchHeader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchHeader")
            .field("base_offset", &self.base_offset())
            .field("last_offset_delta", &self.last_offset_delta())
            .field("size_bytes", &self.size_bytes())
            .field("leader_epoch", &self.leader_epoch())
            .field("attributes", &self.attributes())
            .field("base_timestamp", &self.base_timestamp())
            .field("max_timestamp", &self.max_timestamp())
            .field("producer_id", &self.producer_id())
            .field("producer_epoch", &self.producer_epoch())
            .field("base_sequence", &self.base_sequence())
            .field("record_count", &self.record_count())
            .finish_non_exhaustive()
    }
}

/// One whole batch. Its header's fields are read through `Deref`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchView<'a> {
    header: BatchHeader<'a>,
    bytes: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// The batch at the start of `bytes`; what lies behind it is not looked at.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BatchParseError> {
        let header = BatchHeader::parse(bytes)?;
        let needed = header.size_bytes();
        match bytes.get(..needed) {
            Some(bytes) => Ok(Self { header, bytes }),
            None => Err(BatchParseError::Incomplete { available: bytes.len(), needed }),
        }
    }

    /// The whole batch.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What follows the header: records, or their compressed form.
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[BATCH_OVERHEAD..]
    }

    /// The CRC-32C of what is there, to be compared with [`BatchHeader::stored_crc`].
    pub fn compute_crc(&self) -> u32 {
        crc32c(&self.bytes[CRC_FROM..])
    }

    /// Whether the stored CRC is that of the bytes.
    pub fn is_crc_valid(&self) -> bool {
        self.compute_crc() == self.stored_crc()
    }

    /// The records of an uncompressed batch. Of any, [`open`](super::compression::open) it and use [`Records::new`].
    pub fn records(&self) -> Records<'a> {
        Records::new(self.payload(), self.record_count())
    }
}

impl<'a> Deref for BatchView<'a> {
    type Target = BatchHeader<'a>;

    fn deref(&self) -> &Self::Target {
        &self.header
    }
}

/// Whole batches one after the other; ends at the first that is not whole or not a batch.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    rest: &'a [u8],
}

impl<'a> Batches<'a> {
    /// From the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been walked yet: empty after a clean end, else the bytes that are no whole batch.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = BatchView<'a>;

    fn next(&mut self) -> Option<BatchView<'a>> {
        let batch = BatchView::parse(self.rest).ok()?;
        self.rest = &self.rest[batch.bytes().len()..];
        Some(batch)
    }
}

/// Assigns base offset and leader epoch in the first 16 bytes of a batch, both outside the CRC.
#[inline]
pub fn patch_base_offset_and_epoch(batch: &mut [u8], base_offset: i64, leader_epoch: i32) {
    batch[0..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Sets timestamp type and max timestamp of a whole batch, and the CRC anew.
pub fn set_max_timestamp(batch: &mut [u8], timestamp_type: TimestampType, max_timestamp: i64) {
    let attributes = i16::from_be_bytes([batch[21], batch[22]]);
    let attributes = match timestamp_type {
        TimestampType::CreateTime => attributes & !LOG_APPEND_TIME,
        TimestampType::LogAppendTime => attributes | LOG_APPEND_TIME,
    };
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[35..43].copy_from_slice(&max_timestamp.to_be_bytes());
    let crc = crc32c(&batch[CRC_FROM..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}
