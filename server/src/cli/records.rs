//! The records of a batch, opened.

use ringlog_core::record::{BatchView, Codec, RecordView, Records, compression};

/// A batch never takes more memory than this, whatever it claims.
const DECOMPRESSED_BYTES_MAX: usize = 1 << 30;

/// Calls `look` with each record.
pub(super) fn with_records(batch: &BatchView<'_>, mut look: impl FnMut(&RecordView<'_>)) -> Result<(), String> {
    let codec = batch.codec().map_err(|codec| format!("unknown codec {codec}"))?;
    let opened;
    let records = match codec {
        Codec::None => batch.records(),
        codec => {
            opened = compression::decompress(codec, batch.payload(), DECOMPRESSED_BYTES_MAX)
                .map_err(|error| format!("batch at offset {}: {error}", batch.base_offset()))?;
            Records::new(&opened, batch.record_count())
        }
    };
    for record in records {
        look(&record.map_err(|error| format!("batch at offset {}: {error}", batch.base_offset()))?);
    }
    Ok(())
}
