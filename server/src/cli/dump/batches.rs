//! Batches of a `.log` or `.checkpoint` file.

use std::io::{Read, Write};

use ringlog_core::protocol::metadata::MetadataRecord;
use ringlog_core::record::{BatchView, Codec, RecordView};
use serde_json::Value;

use super::Output;
use crate::cli::CommandError;
use crate::cli::records::{BatchFile, BatchFileError, with_records};

pub(super) fn dump(
    file: impl Read,
    is_metadata: bool,
    records: bool,
    out: &mut Output<impl Write>,
) -> Result<(), CommandError> {
    let mut batches = BatchFile::new(file);
    loop {
        let (position, batch) = match batches.next() {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(()),
            Err(BatchFileError::Io(error)) => return Err(error.into()),
            Err(damaged) => return Err(CommandError::Damaged(damaged.to_string())),
        };
        show(&batch, position, out)?;
        if !batch.is_crc_valid() {
            return Err(CommandError::Damaged(format!("byte {position}: wrong CRC")));
        }
        if records {
            show_records(&batch, is_metadata, out)?;
        }
    }
}

fn show(batch: &BatchView<'_>, position: u64, out: &mut Output<impl Write>) -> Result<(), CommandError> {
    let codec =
        batch.codec().map_or_else(|codec| format!("unknown {codec}"), |codec| format!("{codec:?}").to_lowercase());
    let mut fields = vec![
        ("offset", batch.base_offset().into()),
        ("last_offset", batch.last_offset().into()),
        ("records", batch.record_count().into()),
        ("position", position.into()),
        ("size", batch.size_bytes().into()),
        ("leader_epoch", batch.leader_epoch().into()),
        ("base_timestamp", batch.base_timestamp().into()),
        ("max_timestamp", batch.max_timestamp().into()),
        ("timestamp_type", format!("{:?}", batch.timestamp_type()).into()),
        ("codec", codec.into()),
        ("crc", format!("{:08x}", batch.stored_crc()).into()),
    ];
    if batch.producer_id() >= 0 {
        fields.extend([
            ("producer_id", batch.producer_id().into()),
            ("producer_epoch", batch.producer_epoch().into()),
            ("base_sequence", batch.base_sequence().into()),
        ]);
    }
    if batch.is_transactional() {
        fields.push(("transactional", true.into()));
    }
    if batch.is_control() {
        fields.push(("control", true.into()));
    }
    Ok(out.row("batch", 0, fields)?)
}

fn show_records(batch: &BatchView<'_>, is_metadata: bool, out: &mut Output<impl Write>) -> Result<(), CommandError> {
    // A compressed batch may open to far more than it takes; each record goes out at once.
    let mut written = Ok(());
    let is_decoded = is_metadata && !batch.is_control() && matches!(batch.codec(), Ok(Codec::None));
    with_records(batch, |record| {
        if written.is_ok() {
            written = out.row("record", 2, fields(batch, record, is_decoded));
        }
    })
    .map_err(CommandError::Damaged)?;
    Ok(written?)
}

fn fields(batch: &BatchView<'_>, record: &RecordView<'_>, is_decoded: bool) -> Vec<(&'static str, Value)> {
    let mut fields = vec![
        ("offset", (batch.base_offset() + i64::from(record.offset_delta)).into()),
        ("timestamp", (batch.base_timestamp() + record.timestamp_delta).into()),
    ];
    if is_decoded {
        let value = record.value.unwrap_or_default();
        let decoded = MetadataRecord::decode(value);
        fields.push(("metadata", decoded.map_or_else(|error| error.to_string(), |known| format!("{known:?}")).into()));
        return fields;
    }
    fields.extend([("key", text(record.key)), ("value", text(record.value))]);
    for (key, value) in record.headers {
        let key = String::from_utf8_lossy(key);
        fields.push(("header", format!("{key}={}", String::from_utf8_lossy(value.unwrap_or_default())).into()));
    }
    fields
}

/// Bytes that are no text are shown as hexadecimal digits.
fn text(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.into(),
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
    }
}
