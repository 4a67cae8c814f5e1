//! The records inside a batch, uncompressed.
//!
//! One record: length varint, attributes i8, timestamp delta varlong, offset delta varint, key (varint length, below 0
//! for null), value (the same), header count varint, headers (key length and key, value length and value).

use super::varint::{take, take_varint, take_varlong};

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
    /// Takes one record off `rest`, with all its framing checked.
    #[inline]
    pub fn take(rest: &mut &'a [u8]) -> Result<Self, RecordError> {
        let length = take_varint(rest).ok_or(RecordError::Truncated)?;
        let length = usize::try_from(length).map_err(|_| RecordError::Truncated)?;
        let mut body = take(rest, length).ok_or(RecordError::Truncated)?;
        let record = Self::take_fields(&mut body)?;
        if body.is_empty() { Ok(record) } else { Err(RecordError::Length) }
    }

    #[inline]
    fn take_fields(body: &mut &'a [u8]) -> Result<Self, RecordError> {
        let attributes = take(body, 1).ok_or(RecordError::Truncated)?[0] as i8;
        let timestamp_delta = take_varlong(body).ok_or(RecordError::Truncated)?;
        let offset_delta = take_varint(body).ok_or(RecordError::Truncated)?;
        let key = take_nullable(body)?;
        let value = take_nullable(body)?;
        let count = take_varint(body).ok_or(RecordError::Truncated)?;
        let headers = Headers::take(body, count)?;
        Ok(Self { attributes, timestamp_delta, offset_delta, key, value, headers })
    }
}

#[inline]
fn take_nullable<'a>(body: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordError> {
    let length = take_varint(body).ok_or(RecordError::Truncated)?;
    match usize::try_from(length) {
        Ok(length) => take(body, length).map(Some).ok_or(RecordError::Truncated),
        Err(_) => Ok(None),
    }
}

/// The headers of a record: pairs of key and value, already checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'a> {
    count: u32,
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    #[inline]
    fn take(body: &mut &'a [u8], count: i32) -> Result<Self, RecordError> {
        if count == 0 {
            return Ok(Self::default());
        }
        let count = u32::try_from(count).map_err(|_| RecordError::HeaderCount)?;
        // A header takes two bytes at least.
        if count as usize > body.len() / 2 {
            return Err(RecordError::HeaderCount);
        }
        let all = *body;
        for _ in 0..count {
            take_nullable(body)?.ok_or(RecordError::HeaderKey)?;
            take_nullable(body)?;
        }
        Ok(Self { count, rest: &all[..all.len() - body.len()] })
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
        let key = take_nullable(&mut self.rest).ok()??;
        let value = take_nullable(&mut self.rest).ok()?;
        Some((key, value))
    }
}

/// The records of a batch in order. After an error it ends; bytes behind the last record are an error too.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    rest: &'a [u8],
    left: i32,
    ended: bool,
}

impl<'a> Records<'a> {
    /// `count` records in `bytes`, which are not compressed.
    pub fn new(bytes: &'a [u8], count: i32) -> Self {
        Self { rest: bytes, left: count, ended: false }
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
            return if self.rest.is_empty() { None } else { Some(Err(RecordError::Trailing)) };
        }
        self.left -= 1;
        if self.rest.is_empty() {
            self.ended = true;
            return Some(Err(RecordError::Count));
        }
        let record = RecordView::take(&mut self.rest);
        self.ended = record.is_err();
        Some(record)
    }
}
