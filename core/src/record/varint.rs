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
