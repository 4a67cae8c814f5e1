//! The fixed 61 bytes at the start of a record batch v2, as far as storing it needs.

use super::producer_state::ProducerBatch;

/// Length of the header: the records follow.
pub(crate) const HEADER_BYTES: usize = 61;
/// Bytes before and with the length field; the field counts what comes after it.
const LENGTH_END: usize = 12;
/// Where the bytes that the CRC covers begin.
pub(crate) const CRC_START: usize = 21;

const ATTRIBUTE_LOG_APPEND_TIME: i16 = 1 << 3;
const ATTRIBUTE_TRANSACTIONAL: i16 = 1 << 4;
const ATTRIBUTE_CONTROL: i16 = 1 << 5;

/// The header's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub base_offset: i64,
    /// Bytes of the whole batch.
    pub size_bytes: u32,
    pub leader_epoch: i32,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

impl BatchHeader {
    /// Reads a header; `None` when it is short or cannot be one of a v2 batch.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES || bytes[16] != 2 {
            return None;
        }
        let length = usize::try_from(i32_at(bytes, 8)).ok().filter(|length| length + LENGTH_END >= HEADER_BYTES)?;
        let header = Self {
            base_offset: i64_at(bytes, 0),
            size_bytes: u32::try_from(length + LENGTH_END).ok()?,
            leader_epoch: i32_at(bytes, 12),
            attributes: i16_at(bytes, 21),
            last_offset_delta: i32_at(bytes, 23),
            max_timestamp: i64_at(bytes, 35),
            producer_id: i64_at(bytes, 43),
            producer_epoch: i16_at(bytes, 51),
            base_sequence: i32_at(bytes, 53),
        };
        (header.base_offset >= 0
            && header.last_offset_delta >= 0
            && header.base_offset.checked_add(i64::from(header.last_offset_delta)).is_some_and(|last| last < i64::MAX))
        .then_some(header)
    }

    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// Whether it holds markers instead of records.
    pub fn is_control(&self) -> bool {
        self.attributes & ATTRIBUTE_CONTROL != 0
    }

    /// What the producer state keeps of it; `None` when it has no producer that counts, or is a control batch.
    pub fn producer_batch(&self) -> Option<ProducerBatch> {
        (self.producer_id >= 0 && !self.is_control()).then_some(ProducerBatch {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            last_offset_delta: self.last_offset_delta,
            base_offset: self.base_offset,
            timestamp: self.max_timestamp,
            is_transactional: self.attributes & ATTRIBUTE_TRANSACTIONAL != 0,
        })
    }
}

/// The CRC that a batch's header says.
pub(crate) fn stored_crc(head: &[u8]) -> u32 {
    i32_at(head, 17) as u32
}

/// Whether the CRC of a whole batch is right.
pub(crate) fn crc_matches(batch: &[u8]) -> bool {
    batch.len() >= HEADER_BYTES && stored_crc(batch) == crate::record::crc32c(&batch[CRC_START..])
}

/// Sets base offset and leader epoch, which the CRC does not cover.
pub(crate) fn patch_offset(head: &mut [u8], base_offset: i64, leader_epoch: i32) {
    head[0..8].copy_from_slice(&base_offset.to_be_bytes());
    head[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
}

/// Makes the broker's clock the batch's: the timestamp type, the largest timestamp, and the CRC anew.
pub(crate) fn patch_log_append_time(head: &mut [u8], body: &[u8], now_ms: i64) {
    let attributes = i16_at(head, 21) | ATTRIBUTE_LOG_APPEND_TIME;
    head[21..23].copy_from_slice(&attributes.to_be_bytes());
    head[35..43].copy_from_slice(&now_ms.to_be_bytes());
    let mut covered = Vec::with_capacity(HEADER_BYTES - CRC_START + body.len());
    covered.extend_from_slice(&head[CRC_START..HEADER_BYTES]);
    covered.extend_from_slice(body);
    let crc = crate::record::crc32c(&covered);
    head[17..21].copy_from_slice(&crc.to_be_bytes());
}
