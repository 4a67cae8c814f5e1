//! The records inside a batch, uncompressed.
//!
//! One record: length varint, attributes i8, timestamp delta varlong, offset delta varint, key (varint length, below 0
//! for null), value (the same), header count varint, headers (key length and key, value length and value).

use super::usual_record::take_usual;
use crate::wire::{DecodeError, Reader, read_varint, read_varlong};

/// How a record's framing is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A field goes on behind the end of the record, or the record behind the end of the batch.
    #[error("record cut short")]
    Truncated,
    /// The fields end before the record's length says.
    #[error("record longer than its fields")]
    Length,
    /// A negative header count, or more headers than bytes.
    #[error("record with an impossible header count")]
    HeaderCount,
    /// A header without a key.
    #[error("record header without a key")]
    HeaderKey,
    /// Fewer records than the batch's header says.
    #[error("fewer records than declared")]
    Count,
    /// Bytes behind the last record.
    #[error("bytes behind the last record")]
    Trailing,
}

/// One record; everything points into the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// Not used by Kafka so far.
    pub attributes: i8,
    /// Added to the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Added to the batch's base offset.
    pub offset_delta: i32,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null, a tombstone on compacted topics.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: Headers<'a>,
}

impl<'a> RecordView<'a> {
    /// Takes one record off `reader`, with all its framing checked.
    // Into each walk, which then does not pass the record through memory.
    #[inline(always)]
    pub fn take(reader: &mut Reader<'a>) -> Result<Self, RecordError> {
        if let Some((record, size_bytes)) = take_usual(reader.rest()) {
            reader.read_slice(size_bytes)?;
            return Ok(record);
        }
        Self::take_any(reader)
    }

    /// Field by field and byte by byte, for whatever it is.
    #[inline(never)]
    pub(super) fn take_any(reader: &mut Reader<'a>) -> Result<Self, RecordError> {
        let length = usize::try_from(read_varint(reader)?).map_err(|_| RecordError::Truncated)?;
        let mut body = Reader::new(reader.read_slice(length)?);
        let record = Self::take_fields(&mut body)?;
        if body.remaining() == 0 { Ok(record) } else { Err(RecordError::Length) }
    }

    #[inline]
    fn take_fields(body: &mut Reader<'a>) -> Result<Self, RecordError> {
        let attributes = body.read_i8()?;
        let timestamp_delta = read_varlong(body)?;
        let offset_delta = read_varint(body)?;
        let key = take_nullable(body)?;
        let value = take_nullable(body)?;
        let count = read_varint(body)?;
        let headers = Headers::take(body, count)?;
        Ok(Self { attributes, timestamp_delta, offset_delta, key, value, headers })
    }
}

/// Inside a record there is one way for a field to fail: the record is too short for it. (A varint that does not end
/// is one, too.)
impl From<DecodeError> for RecordError {
    fn from(_: DecodeError) -> Self {
        Self::Truncated
    }
}

#[inline]
fn take_nullable<'a>(body: &mut Reader<'a>) -> Result<Option<&'a [u8]>, RecordError> {
    match usize::try_from(read_varint(body)?) {
        Ok(length) => Ok(Some(body.read_slice(length)?)),
        Err(_) => Ok(None),
    }
}

/// The headers of a record: pairs of key and value, already checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    pub(super) count: u32,
    pub(super) rest: &'a [u8],
}

impl<'a> Headers<'a> {
    #[inline]
    fn take(body: &mut Reader<'a>, count: i32) -> Result<Self, RecordError> {
        if count == 0 {
            return Ok(Self::default());
        }
        let count = u32::try_from(count).map_err(|_| RecordError::HeaderCount)?;
        // A header takes two bytes at least.
        if count as usize > body.remaining() / 2 {
            return Err(RecordError::HeaderCount);
        }
        let all = body.rest();
        for _ in 0..count {
            take_nullable(body)?.ok_or(RecordError::HeaderKey)?;
            take_nullable(body)?;
        }
        Ok(Self { count, rest: &all[..all.len() - body.remaining()] })
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        let mut reader = Reader::new(self.rest);
        let key = take_nullable(&mut reader).ok()??;
        let value = take_nullable(&mut reader).ok()?;
        self.rest = reader.rest();
        Some((key, value))
    }
}

/// The records of a batch in order. After an error it ends; bytes behind the last record are an error too.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: Reader<'a>,
    left: i32,
    ended: bool,
}

impl<'a> Records<'a> {
    /// `count` records in `bytes`, which are not compressed.
    pub fn new(bytes: &'a [u8], count: i32) -> Self {
        Self { rest: Reader::new(bytes), left: count, ended: false }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, RecordError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.left <= 0 {
            self.ended = true;
            return if self.rest.remaining() == 0 { None } else { Some(Err(RecordError::Trailing)) };
        }
        self.left -= 1;
        if self.rest.remaining() == 0 {
            self.ended = true;
            return Some(Err(RecordError::Count));
        }
        let record = RecordView::take(&mut self.rest);
        self.ended = record.is_err();
        Some(record)
    }
}
