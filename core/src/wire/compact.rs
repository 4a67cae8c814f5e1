//! The lengths in front of strings, bytes and arrays.
//!
//! Flexible versions write `n + 1` as an unsigned varint and 0 for null. Older ones write `n` as int16 (strings) or
//! int32 (bytes and arrays) and -1 for null.

use super::element::Scope;
use super::reader::{DecodeError, Reader};
use super::varint::{read_unsigned_varint, write_unsigned_varint};
use super::writer::{EncodeError, Writer};

/// The longest string Kafka reads or writes, in every version.
pub(super) const STRING_LEN_MAX: usize = i16::MAX as usize;

#[inline]
pub(super) fn read_string_len(reader: &mut Reader<'_>, scope: Scope) -> Result<Option<usize>, DecodeError> {
    let len = if scope.flexible { i64::from(read_unsigned_varint(reader)?) - 1 } else { i64::from(reader.read_i16()?) };
    checked(len, STRING_LEN_MAX)
}

/// For bytes, record data and arrays. The caller compares the result with what remains.
#[inline]
pub(super) fn read_len(reader: &mut Reader<'_>, scope: Scope) -> Result<Option<usize>, DecodeError> {
    let len = if scope.flexible { i64::from(read_unsigned_varint(reader)?) - 1 } else { i64::from(reader.read_i32()?) };
    checked(len, i32::MAX as usize)
}

#[inline]
fn checked(len: i64, max: usize) -> Result<Option<usize>, DecodeError> {
    match usize::try_from(len) {
        Ok(len) if len <= max => Ok(Some(len)),
        Err(_) if len == -1 => Ok(None),
        _ => Err(DecodeError::Length(len)),
    }
}

pub(super) fn write_string_len(writer: &mut Writer, scope: Scope, len: Option<usize>) {
    if len.is_some_and(|len| len > STRING_LEN_MAX) {
        writer.fail(EncodeError::Length(len.unwrap_or_default()));
    }
    match len {
        len if scope.flexible => write_unsigned_varint(writer.bytes_mut(), len.map_or(0, |len| len as u32 + 1)),
        len => writer.put_i16(len.map_or(-1, |len| len as i16)),
    }
}

pub(super) fn write_len(writer: &mut Writer, scope: Scope, len: Option<usize>) {
    if len.is_some_and(|len| len >= i32::MAX as usize) {
        writer.fail(EncodeError::Length(len.unwrap_or_default()));
    }
    match len {
        len if scope.flexible => {
            write_unsigned_varint(writer.bytes_mut(), len.map_or(0, |len| (len as u32).wrapping_add(1)))
        }
        len => writer.put_i32(len.map_or(-1, |len| len as i32)),
    }
}
