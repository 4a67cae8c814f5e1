//! Zigzag varints as records hold them: at most 5 bytes for 32 bits, 10 for 64.

/// Takes the first `count` bytes off `rest`.
#[inline]
pub(super) fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

/// Takes a 32-bit zigzag varint off `rest`.
#[inline]
pub(super) fn take_varint(rest: &mut &[u8]) -> Option<i32> {
    let raw = take_unsigned(rest, 5)? as u32;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Takes a 64-bit zigzag varint off `rest`.
#[inline]
pub(super) fn take_varlong(rest: &mut &[u8]) -> Option<i64> {
    let raw = take_unsigned(rest, 10)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

#[inline]
fn take_unsigned(rest: &mut &[u8], bytes_max: usize) -> Option<u64> {
    match rest {
        [first, left @ ..] if *first < 0x80 => {
            *rest = left;
            Some(u64::from(*first))
        }
        _ => take_unsigned_long(rest, bytes_max),
    }
}

fn take_unsigned_long(rest: &mut &[u8], bytes_max: usize) -> Option<u64> {
    let mut value = 0;
    for (i, byte) in rest.iter().take(bytes_max).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if *byte < 0x80 {
            *rest = &rest[i + 1..];
            return Some(value);
        }
    }
    None
}

/// Bytes of a zigzag varint of either width.
#[inline]
pub(super) fn varlong_len(value: i64) -> usize {
    let raw = zigzag(value);
    (64 - (raw | 1).leading_zeros() as usize).div_ceil(7)
}

/// Appends a zigzag varint of either width.
#[inline]
pub(super) fn put_varlong(into: &mut Vec<u8>, value: i64) {
    let mut raw = zigzag(value);
    while raw >= 0x80 {
        into.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    into.push(raw as u8);
}

/// The encoding of a 32-bit value is that of the same value in 64 bits.
#[inline]
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_goes_round() {
        for shift in 0..64 {
            for value in [1i64 << shift, (1i64 << shift).wrapping_sub(1), (-1i64) << shift, i64::MIN, i64::MAX] {
                let mut bytes = Vec::new();
                put_varlong(&mut bytes, value);
                assert_eq!(bytes.len(), varlong_len(value));
                assert_eq!(take_varlong(&mut &bytes[..]), Some(value));
                if let Ok(small) = i32::try_from(value) {
                    assert_eq!(take_varint(&mut &bytes[..]), Some(small));
                }
                assert_eq!(take_varlong(&mut &bytes[..bytes.len() - 1]), None);
            }
        }
        assert_eq!(take_varint(&mut &[0xff; 5][..]), None);
        assert_eq!(take_varlong(&mut &[0xff; 10][..]), None);
    }
}
