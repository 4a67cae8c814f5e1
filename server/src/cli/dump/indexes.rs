//! Entries of `.index`, `.timeindex` and `.txnindex` files, and the producers of a `.snapshot`.

use std::io::Write;

use ringlog_core::log::{
    AbortedTransaction, OFFSET_ENTRY_BYTES, OffsetEntry, ProducerState, TIME_ENTRY_BYTES, TRANSACTION_ENTRY_BYTES,
    TimeEntry,
};

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

/// Transactions that were aborted, in the order of their markers.
pub(super) fn transactions(bytes: &[u8], out: &mut Output<impl Write>) -> Result<(), CommandError> {
    let (entries, rest) = bytes.as_chunks::<TRANSACTION_ENTRY_BYTES>();
    let mut last = -1;
    for (number, entry) in entries.iter().enumerate() {
        let Some(aborted) = AbortedTransaction::decode(entry) else {
            return Err(CommandError::Damaged(format!("entry {number} makes no sense")));
        };
        if aborted.last_offset <= last {
            return Err(CommandError::Damaged(format!("offset {} behind offset {last}", aborted.last_offset)));
        }
        last = aborted.last_offset;
        let fields = vec![
            ("producer_id", aborted.producer_id.into()),
            ("first_offset", aborted.first_offset.into()),
            ("last_offset", aborted.last_offset.into()),
            ("last_stable_offset", aborted.last_stable_offset.into()),
        ];
        out.row("aborted", 0, fields)?;
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
