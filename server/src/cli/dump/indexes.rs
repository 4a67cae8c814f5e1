//! Entries of `.index` and `.timeindex` files, and the producers of a `.snapshot`.

use std::io::Write;

use ringlog_core::log::{OFFSET_ENTRY_BYTES, OffsetEntry, ProducerState, TIME_ENTRY_BYTES, TimeEntry};

use super::Output;
use crate::cli::CommandError;

/// Kafka preallocates the files with zeros: they end at the first entry that does not rise.
pub(super) fn offsets(bytes: &[u8], base_offset: i64, out: &mut Output<impl Write>) -> Result<(), CommandError> {
    let (entries, rest) = bytes.as_chunks::<OFFSET_ENTRY_BYTES>();
    let mut last = base_offset;
    for entry in entries {
        let OffsetEntry { offset, position } = OffsetEntry::decode(entry, base_offset);
        if offset <= last && entry.iter().all(|byte| *byte == 0) {
            break;
        }
        if offset < last {
            return Err(CommandError::Damaged(format!("offset {offset} behind offset {last}")));
        }
        last = offset;
        out.row("entry", 0, vec![("offset", offset.into()), ("position", position.into())])?;
    }
    whole(rest)
}

pub(super) fn times(bytes: &[u8], base_offset: i64, out: &mut Output<impl Write>) -> Result<(), CommandError> {
    let (entries, rest) = bytes.as_chunks::<TIME_ENTRY_BYTES>();
    let mut last = i64::MIN;
    for entry in entries {
        let TimeEntry { timestamp, offset } = TimeEntry::decode(entry, base_offset);
        if entry.iter().all(|byte| *byte == 0) {
            break;
        }
        if timestamp < last {
            return Err(CommandError::Damaged(format!("time {timestamp} behind time {last}")));
        }
        last = timestamp;
        out.row("entry", 0, vec![("timestamp", timestamp.into()), ("offset", offset.into())])?;
    }
    whole(rest)
}

fn whole(rest: &[u8]) -> Result<(), CommandError> {
    if rest.is_empty() {
        return Ok(());
    }
    Err(CommandError::Damaged(format!("{} bytes behind the last whole entry", rest.len())))
}

pub(super) fn producers(bytes: &[u8], out: &mut Output<impl Write>) -> Result<(), CommandError> {
    let state = ProducerState::decode(bytes).map_err(|error| CommandError::Damaged(error.to_string()))?;
    for producer in state.producers() {
        let fields = vec![
            ("producer_id", producer.producer_id.into()),
            ("producer_epoch", producer.producer_epoch.into()),
            ("last_sequence", producer.last_sequence.into()),
            ("last_timestamp", producer.last_timestamp.into()),
            ("coordinator_epoch", producer.coordinator_epoch.into()),
            ("transaction_first_offset", producer.transaction_first_offset.into()),
        ];
        out.row("producer", 0, fields)?;
    }
    Ok(())
}
