//! Batches of the metadata log and of its snapshots, read back.

use ringlog_core::protocol::metadata::MetadataRecord;
use ringlog_core::record::{BatchParseError, BatchView};
use ringlog_core::wire::DecodeError;

use super::super::control::{QuorumRecords, is_snapshot_footer, last_contained_log_timestamp};
use super::super::image::MetadataImage;
use super::MetadataLogError;

/// The batch at the beginning, if it is whole.
pub(in crate::metadata) fn whole_batch(bytes: &[u8]) -> Option<BatchView<'_>> {
    let batch: Result<_, BatchParseError> = BatchView::parse(bytes);
    batch.ok().filter(|batch| batch.magic() == 2 && batch.is_crc_valid())
}

/// Replays those of a batch's records, the first of which has the offset `base_offset`, that are not in the image yet.
pub(super) fn replay_records(
    image: &mut MetadataImage,
    base_offset: i64,
    batch: &BatchView<'_>,
) -> Result<(), MetadataLogError> {
    if batch.attributes() & 7 != 0 {
        return Err(MetadataLogError::Compressed(batch.base_offset()));
    }
    let end_offset = image.end_offset();
    let new = (base_offset..).zip(batch.records()).filter(|(offset, _)| *offset >= end_offset);
    for (offset, record) in new {
        let value = record.ok().and_then(|record| record.value).ok_or(DecodeError::Null("value"));
        let record = value.and_then(MetadataRecord::decode);
        image.replay(offset, &record.map_err(|source| MetadataLogError::Record { offset, source })?)?;
    }
    Ok(())
}

/// What a snapshot says.
#[derive(Default)]
pub(super) struct ReadSnapshot {
    /// Its end offset counts the snapshot's records; the right one is in the snapshot's name.
    pub image: MetadataImage,
    pub quorum: QuorumRecords,
}

/// Reads a snapshot; `None` if it is damaged or not whole. It begins with its header and ends with its footer.
pub(super) fn read_snapshot(bytes: &[u8]) -> Result<Option<ReadSnapshot>, MetadataLogError> {
    let (mut rest, mut read) = (bytes, ReadSnapshot::default());
    let (mut has_header, mut has_footer) = (false, false);
    while !rest.is_empty() {
        let Some(batch) = whole_batch(rest).filter(|_| !has_footer) else { return Ok(None) };
        if batch.is_control() {
            has_header |= rest.len() == bytes.len() && last_contained_log_timestamp(&batch).is_some();
            has_footer = is_snapshot_footer(&batch);
            read.quorum.replay(&batch);
        } else {
            let end_offset = read.image.end_offset();
            replay_records(&mut read.image, end_offset, &batch)?;
        }
        rest = &rest[batch.bytes().len()..];
    }
    Ok((has_header && has_footer).then_some(read))
}

/// The time of the last record in a snapshot, as its first batch says; 0 (long ago) where that cannot be read.
pub(super) fn snapshot_timestamp(bytes: &[u8]) -> i64 {
    whole_batch(bytes).and_then(|batch| last_contained_log_timestamp(&batch)).unwrap_or_default()
}
