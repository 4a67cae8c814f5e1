//! The `.index` file of a segment: where in the `.log` file to start looking for an offset.
//!
//! Entries of 8 bytes, big-endian: offset minus the segment's base offset u31, byte position of its batch u31. Both
//! rise. An entry names the last offset of the batch at its position, so the batch of a wanted offset is at the position
//! of the largest entry at or below it, or behind. The file is sparse, and Kafka preallocates it with zeros.

use std::io;

use super::index_search::{IndexCache, search, search_file};
use crate::reactor::File;

/// Bytes of an entry.
pub const OFFSET_ENTRY_BYTES: usize = 8;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetEntry {
    /// Last offset of a batch.
    pub offset: i64,
    /// Byte of the `.log` file where that batch begins.
    pub position: u32,
}

/// Why an index is not that of its segment. It is then rebuilt from the `.log` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Not a multiple of the entry's length.
    #[error("index of {0} bytes ends inside an entry")]
    Length(usize),
    /// An entry that is not above the one before it, or not in the segment.
    #[error("index entry {0} is out of order")]
    Order(usize),
    /// An entry that points behind the end of the `.log` file.
    #[error("index entry {0} points behind the end of the segment")]
    Position(usize),
}

impl OffsetEntry {
    /// Its bytes; `None` when the offset is no `i32` above the base offset or the position no `i32`: roll the segment.
    pub fn encode(&self, base_offset: i64) -> Option<[u8; OFFSET_ENTRY_BYTES]> {
        let relative = relative_offset(self.offset, base_offset)?;
        let position = i32::try_from(self.position).ok()?;
        let mut bytes = [0; OFFSET_ENTRY_BYTES];
        bytes[..4].copy_from_slice(&relative.to_be_bytes());
        bytes[4..].copy_from_slice(&position.to_be_bytes());
        Some(bytes)
    }

    /// From its bytes.
    pub fn decode(bytes: &[u8; OFFSET_ENTRY_BYTES], base_offset: i64) -> Self {
        let [o0, o1, o2, o3, position @ ..] = *bytes;
        Self {
            offset: base_offset.saturating_add(i64::from(i32::from_be_bytes([o0, o1, o2, o3]))),
            position: u32::from_be_bytes(position),
        }
    }
}

/// The distance from the base offset that fits into an entry.
pub(super) fn relative_offset(offset: i64, base_offset: i64) -> Option<i32> {
    i32::try_from(offset.checked_sub(base_offset)?).ok().filter(|relative| *relative >= 0)
}

/// The largest entry with an offset at or below `offset`; before the first one, the start of the segment.
///
/// With base offset 100 and entries (105, 4000) and (110, 9000): 109 gives (105, 4000), 104 gives (100, 0).
pub fn look_up_offset(bytes: &[u8], base_offset: i64, offset: i64) -> OffsetEntry {
    let (entries, _) = bytes.as_chunks();
    found(search(entries, |entry| OffsetEntry::decode(entry, base_offset).offset <= offset), base_offset)
}

/// As [`look_up_offset`], in the first `len_bytes` of a file.
pub fn look_up_offset_in_file(
    file: &File,
    len_bytes: u64,
    base_offset: i64,
    offset: i64,
    cache: &mut IndexCache,
) -> io::Result<OffsetEntry> {
    let entry = search_file(file, len_bytes, cache, |entry| OffsetEntry::decode(entry, base_offset).offset <= offset)?;
    Ok(found(entry, base_offset))
}

fn found(entry: Option<[u8; OFFSET_ENTRY_BYTES]>, base_offset: i64) -> OffsetEntry {
    match entry {
        Some(entry) => OffsetEntry::decode(&entry, base_offset),
        None => OffsetEntry { offset: base_offset, position: 0 },
    }
}

/// All entries, in order.
pub fn offset_entries(bytes: &[u8], base_offset: i64) -> impl Iterator<Item = OffsetEntry> {
    bytes.as_chunks().0.iter().map(move |entry| OffsetEntry::decode(entry, base_offset))
}

/// Checks a whole index against its segment of `log_bytes`.
pub fn check_offset_index(bytes: &[u8], base_offset: i64, log_bytes: u64) -> Result<(), IndexError> {
    if !bytes.len().is_multiple_of(OFFSET_ENTRY_BYTES) {
        return Err(IndexError::Length(bytes.len()));
    }
    let mut last: Option<OffsetEntry> = None;
    for (at, entry) in offset_entries(bytes, base_offset).enumerate() {
        let rises = last.is_none_or(|last| last.offset < entry.offset && last.position < entry.position);
        if !rises || entry.offset < base_offset {
            return Err(IndexError::Order(at));
        }
        if u64::from(entry.position) >= log_bytes {
            return Err(IndexError::Position(at));
        }
        last = Some(entry);
    }
    Ok(())
}

/// Bytes of the index that stay when the log is cut at `log_end_offset` (exclusive).
pub fn truncated_offset_index_len(bytes: &[u8], base_offset: i64, log_end_offset: i64) -> usize {
    let (entries, _) = bytes.as_chunks::<OFFSET_ENTRY_BYTES>();
    entries.partition_point(|entry| OffsetEntry::decode(entry, base_offset).offset < log_end_offset)
        * OFFSET_ENTRY_BYTES
}

/// Bytes in use of a file that Kafka has preallocated: up to the last entry that is not zero.
pub fn used_index_len<const N: usize>(bytes: &[u8]) -> usize {
    bytes.as_chunks::<N>().0.iter().rposition(|entry| *entry != [0; N]).map_or(0, |at| (at + 1) * N)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: i64 = 100;

    fn index(entries: &[(i64, u32)]) -> Vec<u8> {
        let encode = |(offset, position): &(i64, u32)| {
            OffsetEntry { offset: *offset, position: *position }.encode(BASE).unwrap()
        };
        entries.iter().flat_map(encode).collect()
    }

    #[test]
    fn entries_have_kafkas_bytes() {
        assert_eq!(index(&[(105, 0x01_02_03_04)]), [0, 0, 0, 5, 1, 2, 3, 4]);
        let entry = |offset, position| OffsetEntry { offset, position };
        assert_eq!(entry(BASE + i64::from(i32::MAX), 0).encode(BASE).unwrap(), [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(entry(BASE + (1 << 31), 0).encode(BASE), None);
        assert_eq!(entry(BASE - 1, 0).encode(BASE), None);
        assert_eq!(entry(i64::MIN, 0).encode(BASE), None);
        assert_eq!(entry(BASE, 1 << 31).encode(BASE), None);
    }

    #[test]
    fn the_check_finds_damage() {
        let good = index(&[(105, 4000), (110, 9000)]);
        assert_eq!(check_offset_index(&good, BASE, 9001), Ok(()));
        assert_eq!(check_offset_index(&[], BASE, 0), Ok(()));
        assert_eq!(check_offset_index(&good[..15], BASE, 9001), Err(IndexError::Length(15)));
        assert_eq!(check_offset_index(&good, BASE, 9000), Err(IndexError::Position(1)));
        assert_eq!(check_offset_index(&index(&[(105, 4000), (105, 9000)]), BASE, 9001), Err(IndexError::Order(1)));
        assert_eq!(check_offset_index(&index(&[(105, 4000), (106, 4000)]), BASE, 9001), Err(IndexError::Order(1)));
        assert_eq!(check_offset_index(&[0xff; 8], BASE, 9001), Err(IndexError::Order(0)));
        let preallocated = [good.clone(), vec![0; 800]].concat();
        assert!(check_offset_index(&preallocated, BASE, 9001).is_err());
        assert_eq!(used_index_len::<OFFSET_ENTRY_BYTES>(&preallocated), good.len());
        assert_eq!(used_index_len::<OFFSET_ENTRY_BYTES>(&[0; 80]), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn look_up_agrees_with_a_scan(steps in proptest::collection::vec((1..9i64, 1..9u32), 0..40), wanted in 95..500i64) {
            let (mut offset, mut position) = (BASE, 0);
            let entries: Vec<_> = steps.iter().map(|(o, p)| { offset += o; position += p; (offset, position) }).collect();
            let bytes = index(&entries);
            prop_assert_eq!(check_offset_index(&bytes, BASE, u64::from(position) + 1), Ok(()));
            let scan = entries.iter().rfind(|(offset, _)| *offset <= wanted).copied().unwrap_or((BASE, 0));
            let found = look_up_offset(&bytes, BASE, wanted);
            prop_assert_eq!((found.offset, found.position), scan);
            let kept = entries.iter().filter(|(offset, _)| *offset < wanted).count();
            prop_assert_eq!(truncated_offset_index_len(&bytes, BASE, wanted), kept * 8);
            prop_assert_eq!(offset_entries(&bytes, BASE).map(|e| (e.offset, e.position)).collect::<Vec<_>>(), entries);
        }

        #[test]
        fn any_bytes_are_looked_up_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), base: i64, wanted: i64) {
            let _ = look_up_offset(&bytes, base, wanted);
            let _ = check_offset_index(&bytes, base, 1000);
            let _ = truncated_offset_index_len(&bytes, base, wanted);
        }
    }
}
