//! Variable-length integers: seven bits per byte, lowest first, the top bit set on all but the last byte.
//!
//! Signed numbers are zigzag-mapped first (0, -1, 1, -2 become 0, 1, 2, 3). Records use the signed ones, compact lengths
//! and tags the unsigned one.

use super::reader::{DecodeError, Reader};

/// The most bytes a 32-bit number takes.
pub const VARINT_LEN_MAX: usize = 5;
/// The most bytes a 64-bit number takes.
pub const VARLONG_LEN_MAX: usize = 10;

/// Reads an unsigned 32-bit number.
#[inline]
pub fn read_unsigned_varint(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let first = reader.read_u8()?;
    if first < 0x80 {
        return Ok(u32::from(first));
    }
    let mut value = u32::from(first & 0x7f);
    for shift in [7, 14, 21, 28] {
        let byte = reader.read_u8()?;
        if shift == 28 && byte > 0x0f {
            return Err(DecodeError::Varint);
        }
        value |= u32::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(DecodeError::Varint)
}

/// Reads a zigzag-mapped 32-bit number.
#[inline]
pub fn read_varint(reader: &mut Reader<'_>) -> Result<i32, DecodeError> {
    read_unsigned_varint(reader).map(unzigzag)
}

/// Takes a varint of one or two bytes off the low end of `word`; `None` where it is longer. `then` gets the number as
/// [`unzigzag`] takes it, the bytes behind it, and how many it took.
///
/// `then` is compiled for each length by itself, so that nothing in it depends on that.
#[inline(always)]
pub fn with_short_varint<T>(word: u64, mut then: impl FnMut(u32, u64, usize) -> Option<T>) -> Option<T> {
    let low = word as u32;
    if low & 0x80 == 0 {
        then(low & 0x7f, word >> 8, 1)
    } else if low & 0x8000 == 0 {
        then(low & 0x7f | low >> 1 & 0x3f80, word >> 16, 2)
    } else {
        None
    }
}

/// Reads a zigzag-mapped 64-bit number.
#[inline]
pub fn read_varlong(reader: &mut Reader<'_>) -> Result<i64, DecodeError> {
    let first = reader.read_u8()?;
    let mut raw = u64::from(first & 0x7f);
    if first < 0x80 {
        return Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed());
    }
    for shift in (7..70).step_by(7) {
        let byte = reader.read_u8()?;
        if shift == 63 && byte > 0x01 {
            return Err(DecodeError::Varint);
        }
        raw |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed());
        }
    }
    Err(DecodeError::Varint)
}

/// Appends an unsigned 32-bit number.
pub fn write_unsigned_varint(out: &mut Vec<u8>, value: u32) {
    write_unsigned_varlong(out, u64::from(value));
}

/// Appends a zigzag-mapped 32-bit number.
pub fn write_varint(out: &mut Vec<u8>, value: i32) {
    write_unsigned_varint(out, zigzag(value));
}

/// Appends a zigzag-mapped 64-bit number.
pub fn write_varlong(out: &mut Vec<u8>, value: i64) {
    write_unsigned_varlong(out, zigzag_long(value));
}

/// Bytes that [`write_unsigned_varint`] appends.
pub fn unsigned_varint_len(value: u32) -> usize {
    significant_bits_len(u64::from(value))
}

/// Bytes that [`write_varint`] appends.
pub fn varint_len(value: i32) -> usize {
    unsigned_varint_len(zigzag(value))
}

/// Bytes that [`write_varlong`] appends.
pub fn varlong_len(value: i64) -> usize {
    significant_bits_len(zigzag_long(value))
}

fn write_unsigned_varlong(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn significant_bits_len(value: u64) -> usize {
    let bits = (u64::BITS - value.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

/// The number that was zigzag-mapped.
#[inline]
pub fn unzigzag(raw: u32) -> i32 {
    (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed()
}

fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)).cast_unsigned()
}

fn zigzag_long(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_bytes() {
        for (value, bytes) in [(0, vec![0]), (-1, vec![1]), (1, vec![2]), (64, vec![0x80, 1]), (-65, vec![0x81, 1])] {
            let mut out = Vec::new();
            write_varint(&mut out, value);
            assert_eq!(out, bytes);
        }
        let mut out = Vec::new();
        write_unsigned_varint(&mut out, 300);
        assert_eq!(out, [0xac, 0x02]);
    }

    #[test]
    fn too_long_is_refused() {
        assert_eq!(read_unsigned_varint(&mut Reader::new(&[0x80; 8])), Err(DecodeError::Varint));
        assert_eq!(read_unsigned_varint(&mut Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x10])), Err(DecodeError::Varint));
        assert_eq!(read_varlong(&mut Reader::new(&[0xff; 12])), Err(DecodeError::Varint));
        assert_eq!(read_varint(&mut Reader::new(&[0x80])), Err(DecodeError::Truncated { needed: 1, left: 0 }));
    }

    proptest! {
        #[test]
        fn round_trip(unsigned: u32, signed: i32, long: i64, shift in 0u32..64) {
            let long = long >> shift;
            let mut out = Vec::new();
            write_unsigned_varint(&mut out, unsigned);
            prop_assert_eq!(out.len(), unsigned_varint_len(unsigned));
            write_varint(&mut out, signed);
            prop_assert_eq!(out.len(), unsigned_varint_len(unsigned) + varint_len(signed));
            let before = out.len();
            write_varlong(&mut out, long);
            prop_assert_eq!(out.len() - before, varlong_len(long));
            let mut reader = Reader::new(&out);
            prop_assert_eq!(read_unsigned_varint(&mut reader), Ok(unsigned));
            prop_assert_eq!(read_varint(&mut reader), Ok(signed));
            prop_assert_eq!(read_varlong(&mut reader), Ok(long));
            prop_assert_eq!(reader.remaining(), 0);
        }
    }
}
