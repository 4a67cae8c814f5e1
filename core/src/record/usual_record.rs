//! The quick way through a record as nearly all are: its lengths, deltas and its count of headers take one or two bytes
//! each, and it is right.
//!
//! Eight bytes are loaded at once, and the varints in them are told apart by their top bits, without a look at the bounds
//! and an error for each byte. Where fields come to end is compared with the record's length at the end only.
//!
//! Invariant: what it takes, [`RecordView::take_any`] takes and tells the same of. It may leave anything to that.

use super::records::{Headers, RecordView};
use crate::wire::{unzigzag, with_short_varint};

/// The record at the front of `bytes`, and how many of them it is.
#[inline(always)]
pub(super) fn take_usual(bytes: &[u8]) -> Option<(RecordView<'_>, usize)> {
    let front = u64::from_le_bytes(*bytes.first_chunk()?);
    // At most seven of the eight bytes.
    let (length, end, attributes, timestamp_delta, offset_delta, mut at) =
        with_short_varint(front, |length, front, length_len| {
            with_short_varint(front >> 8, |timestamp_delta, behind, timestamp_len| {
                with_short_varint(behind, |offset_delta, _, offset_len| {
                    let at = length_len + 1 + timestamp_len + offset_len;
                    Some((length, length_len, front as i8, timestamp_delta, offset_delta, at))
                })
            })
        })?;
    let end = end + to_length(length)?;
    let key = take_nullable(bytes, &mut at)?;
    let value = take_nullable(bytes, &mut at)?;
    let headers = take_headers(bytes, &mut at)?;
    let (timestamp_delta, offset_delta) = (unzigzag(timestamp_delta).into(), unzigzag(offset_delta));
    (at == end).then_some((RecordView { attributes, timestamp_delta, offset_delta, key, value, headers }, end))
}

/// What lies behind its length at `at`, which goes to its end.
#[inline(always)]
fn take_nullable<'a>(bytes: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    with_short_varint(load_short(bytes, *at)?, |length, _, length_len| {
        *at += length_len;
        let Some(length) = to_length(length) else { return Some(None) };
        let from = *at;
        *at += length;
        bytes.get(from..*at).map(Some)
    })
}

#[inline(always)]
fn take_headers<'a>(bytes: &'a [u8], at: &mut usize) -> Option<Headers<'a>> {
    if *bytes.get(*at)? == 0 {
        *at += 1;
        return Some(Headers::default());
    }
    let (count, count_len) =
        with_short_varint(load_short(bytes, *at)?, |count, _, count_len| Some((to_length(count)?, count_len)))?;
    *at += count_len;
    let from = *at;
    for _ in 0..count {
        take_nullable(bytes, at)??;
        take_nullable(bytes, at)?;
    }
    Some(Headers { count: count as u32, rest: bytes.get(from..*at)? })
}

/// Enough bytes for a varint of two; the record may end before, but not all bytes.
#[inline(always)]
fn load_short(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?).into())
}

/// `None` below zero.
#[inline(always)]
fn to_length(raw: u32) -> Option<usize> {
    (raw & 1 == 0).then_some(raw as usize >> 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::strategy::Union;

    use super::*;
    use crate::wire::{Reader, write_varint, write_varlong};

    /// Both ways through `bytes`: the quick one takes nothing, or the same as the other.
    fn both(bytes: &[u8]) -> Option<(RecordView<'_>, usize)> {
        let mut reader = Reader::new(bytes);
        let any = RecordView::take_any(&mut reader).ok().map(|record| (record, bytes.len() - reader.remaining()));
        let usual = take_usual(bytes);
        assert!(usual.is_none() || usual == any, "{usual:?} of {bytes:?}, which is {any:?}");
        usual
    }

    /// Numbers of one and two bytes, and now and then a longer one.
    fn number() -> impl Strategy<Value = i64> {
        prop_oneof![8 => -64i64..64, 8 => -8_192i64..8_192, 1 => any::<i64>()]
    }

    fn nullable() -> impl Strategy<Value = Option<Vec<u8>>> {
        proptest::option::weighted(
            0.8,
            prop_oneof![proptest::collection::vec(any::<u8>(), 0..70), Just(vec![7; 9_000])],
        )
    }

    prop_compose! {
        /// One record, its length field included; now and then that and a count are written longer than they need be, or a
        /// header has no key.
        fn record()(
            attributes: i8, timestamp_delta in number(), offset_delta in number(), key in nullable(), value in nullable(),
            headers in proptest::collection::vec((nullable(), nullable()), 0..4),
            is_padded in proptest::bool::weighted(0.2),
        ) -> Vec<u8> {
            let mut body = vec![attributes.cast_unsigned()];
            write_varlong(&mut body, timestamp_delta);
            write_varint(&mut body, offset_delta as i32);
            write_nullable(&mut body, key.as_deref());
            write_nullable(&mut body, value.as_deref());
            write_padded(&mut body, headers.len() as i32, is_padded);
            for (key, value) in &headers {
                write_nullable(&mut body, key.as_deref());
                write_nullable(&mut body, value.as_deref());
            }
            let mut bytes = Vec::new();
            write_padded(&mut bytes, body.len() as i32, is_padded);
            [bytes, body].concat()
        }
    }

    fn write_nullable(into: &mut Vec<u8>, bytes: Option<&[u8]>) {
        write_varint(into, bytes.map_or(-1, |bytes| bytes.len() as i32));
        into.extend(bytes.unwrap_or_default());
    }

    fn write_padded(into: &mut Vec<u8>, number: i32, is_padded: bool) {
        write_varint(into, number);
        if is_padded {
            *into.last_mut().expect("a number takes a byte") |= 0x80;
            into.push(0);
        }
    }

    #[test]
    fn usual_records_are_taken() {
        let usual: [&[u8]; 4] = [
            &[14, 0, 0, 0, 1, 2, b'v', 0],
            &[26, 0, 0, 0, 4, b'k', b'0', 4, b'v', b'0', 2, 2, b'h', 1],
            &[0x90, 0, 0, 3, 0x86, 1, 1, 1, 0x80, 0],
            &[0x94, 0, 0, 0, 0, 0x84, 0, b'k', b'0', 0x80, 0, 0],
        ];
        for bytes in usual {
            let bytes = [bytes, &[0]].concat();
            assert_eq!(both(&bytes).map(|(_, size_bytes)| size_bytes), Some(bytes.len() - 1), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn both_ways_agree(
            record in record(),
            behind in proptest::collection::vec(any::<u8>(), 0..12),
            damage in proptest::collection::vec((0usize..40, Union::new([any::<u8>().boxed(), (0u8..8).boxed()])), 1..4),
        ) {
            let good = [&record[..], &behind].concat();
            both(&good);
            for len in (0..good.len().min(300)).chain(good.len().saturating_sub(40)..good.len()) {
                both(&good[..len]);
            }
            let mut bad = good;
            for (at, byte) in damage {
                let at = at % bad.len();
                bad[at] = byte;
                both(&bad);
            }
        }
    }
}
