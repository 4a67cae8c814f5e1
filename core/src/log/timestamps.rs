//! The first record of a batch that is late enough.

use super::header::BatchHeader;
use crate::record::compression::open;
use crate::record::{BatchView, Records, TimestampType};

/// A compressed batch that holds more than this is not looked into.
const OPENED_BYTES_MAX: usize = 128 << 20;

/// Offset and timestamp of the batch's first record that is at least as late as `timestamp` and at or behind `from`.
///
/// `None` when there is none, or when the records cannot be read.
pub(crate) fn first_record(batch: &[u8], header: &BatchHeader, timestamp: i64, from: i64) -> Option<(i64, i64)> {
    let view = BatchView::parse(batch).ok()?;
    if view.timestamp_type() == TimestampType::LogAppendTime {
        return (header.last_offset() >= from).then_some((header.base_offset.max(from), header.max_timestamp));
    }
    let payload = open(&view, OPENED_BYTES_MAX).ok()?;
    Records::new(&payload, view.record_count()).map_while(Result::ok).find_map(|record| {
        let offset = header.base_offset + i64::from(record.offset_delta);
        let at = view.base_timestamp() + record.timestamp_delta;
        (at >= timestamp && offset >= from).then_some((offset, at))
    })
}
