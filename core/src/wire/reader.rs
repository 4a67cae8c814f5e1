//! A cursor over one frame. Big-endian, like all of Kafka.

use std::str;

/// Why bytes are not what they should be. The peer gets an error code or a closed connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame ends too early.
    #[error("{needed} bytes needed, {left} left")]
    Truncated {
        /// What the next field takes.
        needed: usize,
        /// What is there.
        left: usize,
    },
    /// A length below -1, or a string longer than 32767 bytes.
    #[error("length {0} is not valid")]
    Length(i64),
    /// More elements or tagged fields than the remaining bytes can hold.
    #[error("{count} elements in {left} bytes")]
    Count {
        /// What the peer announces.
        count: usize,
        /// What is there.
        left: usize,
    },
    /// A variable-length integer that does not end, or does not fit.
    #[error("variable-length integer does not fit")]
    Varint,
    /// More elements in all arrays together than the reader may decode.
    #[error("more than {0} elements")]
    Elements(u32),
    /// A string that is not UTF-8.
    #[error("string is not UTF-8")]
    Utf8,
    /// A null where this version allows none.
    #[error("{0} must not be null")]
    Null(&'static str),
    /// A version the message does not have.
    #[error("version {0} is not known")]
    Version(i16),
    /// An API key that does not exist.
    #[error("API key {0} is not known")]
    ApiKey(i16),
    /// A metadata record of a type that is not known.
    #[error("record type {0} is not known")]
    RecordType(u32),
    /// Bytes after the end of what was announced.
    #[error("{0} bytes left over")]
    LeftOver(usize),
}

/// Reads from the front of a borrowed slice. Nothing is copied.
///
/// What comes out borrows from the frame, so its place can be recovered: with the frame in a `bytes::Bytes`,
/// `frame.slice_ref(part)` is the part without a copy.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    elements_max: u32,
    elements_left: u32,
}

impl<'a> Reader<'a> {
    /// Starts at the front of `bytes`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::with_elements_max(bytes, u32::MAX)
    }

    /// Refuses more than so many elements in all arrays together, nested ones included.
    ///
    /// For what a stranger sent: an element may take one byte of the frame, and a hundred in the hands of whoever works
    /// on it.
    pub fn with_elements_max(bytes: &'a [u8], elements_max: u32) -> Self {
        Self { bytes, elements_max, elements_left: elements_max }
    }

    /// The same bounds for a part of what this one reads.
    pub(super) fn part(&self, bytes: &'a [u8]) -> Self {
        Self { bytes, ..*self }
    }

    #[inline]
    pub(super) fn take_elements(&mut self, count: usize) -> Result<(), DecodeError> {
        let left = u32::try_from(count).ok().and_then(|count| self.elements_left.checked_sub(count));
        self.elements_left = left.ok_or(DecodeError::Elements(self.elements_max))?;
        Ok(())
    }

    /// How many bytes are left.
    #[inline]
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes that are left.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// An error if something is left.
    pub fn expect_end(&self) -> Result<(), DecodeError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(DecodeError::LeftOver(self.bytes.len())) }
    }

    /// The next `len` bytes.
    #[inline]
    pub fn read_slice(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.bytes.split_at_checked(len) else {
            return Err(DecodeError::Truncated { needed: len, left: self.bytes.len() });
        };
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    fn read_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.bytes.split_first_chunk::<N>() else {
            return Err(DecodeError::Truncated { needed: N, left: self.bytes.len() });
        };
        self.bytes = rest;
        Ok(*taken)
    }

    /// One byte.
    #[inline]
    pub fn read_u8(&mut self) -> Result<u8, DecodeError> {
        self.read_array::<1>().map(|[byte]| byte)
    }

    /// One signed byte.
    #[inline]
    pub fn read_i8(&mut self) -> Result<i8, DecodeError> {
        self.read_array().map(i8::from_be_bytes)
    }

    /// Two bytes.
    #[inline]
    pub fn read_i16(&mut self) -> Result<i16, DecodeError> {
        self.read_array().map(i16::from_be_bytes)
    }

    /// Two bytes, unsigned.
    #[inline]
    pub fn read_u16(&mut self) -> Result<u16, DecodeError> {
        self.read_array().map(u16::from_be_bytes)
    }

    /// Four bytes.
    #[inline]
    pub fn read_i32(&mut self) -> Result<i32, DecodeError> {
        self.read_array().map(i32::from_be_bytes)
    }

    /// Four bytes, unsigned.
    #[inline]
    pub fn read_u32(&mut self) -> Result<u32, DecodeError> {
        self.read_array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    #[inline]
    pub fn read_i64(&mut self) -> Result<i64, DecodeError> {
        self.read_array().map(i64::from_be_bytes)
    }

    /// A float of eight bytes.
    #[inline]
    pub fn read_f64(&mut self) -> Result<f64, DecodeError> {
        self.read_array().map(f64::from_be_bytes)
    }

    /// Sixteen bytes.
    #[inline]
    pub fn read_uuid(&mut self) -> Result<uuid::Uuid, DecodeError> {
        self.read_array().map(uuid::Uuid::from_bytes)
    }

    /// `len` bytes that must be UTF-8.
    #[inline]
    pub fn read_str(&mut self, len: usize) -> Result<&'a str, DecodeError> {
        str::from_utf8(self.read_slice(len)?).map_err(|_| DecodeError::Utf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_big_endian_and_stops_at_the_end() {
        let mut reader = Reader::new(&[0, 1, 0xff, 0xff, 0xff, 0xfe, b'h', b'i']);
        assert_eq!(reader.read_i16(), Ok(1));
        assert_eq!(reader.read_i32(), Ok(-2));
        assert_eq!(reader.read_i64(), Err(DecodeError::Truncated { needed: 8, left: 2 }));
        assert_eq!(reader.read_str(2), Ok("hi"));
        assert_eq!(reader.read_u8(), Err(DecodeError::Truncated { needed: 1, left: 0 }));
        assert_eq!(Reader::new(&[0xff]).read_str(1), Err(DecodeError::Utf8));
    }
}
