//! The records of a batch, opened.

use std::fmt::Display;

use ringlog_core::record::{BatchView, RecordView, Records, compression};

/// A batch never takes more memory than this, whatever it claims.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 30;

/// Calls `look` with each record.
pub(super) fn with_records(batch: &BatchView<'_>, mut look: impl FnMut(&RecordView<'_>)) -> Result<(), String> {
    let at = |error: &dyn Display| format!("batch at offset {}: {error}", batch.base_offset());
    let payload = compression::open(batch, DECOMPRESSED_BYTES_MAX).map_err(|error| at(&error))?;
    for record in Records::new(&payload, batch.record_count()) {
        look(&record.map_err(|error| at(&error))?);
    }
    Ok(())
}
