//! The `.index` file of a segment: where in the `.log` file to start looking for an offset.
//!
//! Entries of 8 bytes, big-endian: offset minus the segment's base offset u31, byte position of its batch u31. Both
//! rise. An entry names the last offset of the batch at its position, so the batch of a wanted offset is at the position
//! of the largest entry at or below it, or behind. The file is sparse, and Kafka preallocates it with zeros.
//!
//! It has no checksum: whoever goes where an entry points compares the batch there with the entry.

use std::io;

use super::index_search::{IndexCache, IndexFile, search_file};

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

/// The largest entry with an offset at or below `offset`.
///
/// With base offset 100 and entries (105, 4000) and (110, 9000): 109 gives (105, 4000), 104 gives none.
pub(crate) fn look_up_offset(
    index: IndexFile<'_>,
    base_offset: i64,
    offset: i64,
    cache: &mut IndexCache,
) -> io::Result<Option<OffsetEntry>> {
    let entry = search_file(index, cache, |entry| OffsetEntry::decode(entry, base_offset).offset <= offset)?;
    Ok(entry.map(|entry| OffsetEntry::decode(&entry, base_offset)))
}

/// The last entry of which the batch begins at or before `position`.
pub(crate) fn look_up_position(
    index: IndexFile<'_>,
    base_offset: i64,
    position: u64,
    cache: &mut IndexCache,
) -> io::Result<Option<OffsetEntry>> {
    let before =
        |entry: &[u8; OFFSET_ENTRY_BYTES]| u64::from(OffsetEntry::decode(entry, base_offset).position) <= position;
    Ok(search_file(index, cache, before)?.map(|entry| OffsetEntry::decode(&entry, base_offset)))
}

/// The entries up to the first one that is out of order, as in the unused part of a file that Kafka has preallocated, or
/// that is not of a segment of `log_bytes` with offsets below `end_offset`.
pub fn sound_offset_entries(bytes: &[u8], base_offset: i64, log_bytes: u64, end_offset: i64) -> Vec<OffsetEntry> {
    let mut last: Option<OffsetEntry> = None;
    let entries = bytes.as_chunks().0.iter().map(|entry| OffsetEntry::decode(entry, base_offset));
    entries
        .take_while(|entry| {
            let rises = last.is_none_or(|last| last.offset < entry.offset && last.position < entry.position);
            last = Some(*entry);
            rises && (base_offset..end_offset).contains(&entry.offset) && u64::from(entry.position) < log_bytes
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::index_search::tests::{file_with, index_of};
    use super::*;
    use proptest::prelude::*;

    const BASE: i64 = 100;

    fn index(entries: &[(i64, u32)]) -> Vec<u8> {
        let encode = |(offset, position): &(i64, u32)| {
            OffsetEntry { offset: *offset, position: *position }.encode(BASE).unwrap()
        };
        entries.iter().flat_map(encode).collect()
    }

    fn sound(bytes: &[u8], log_bytes: u64, end_offset: i64) -> usize {
        sound_offset_entries(bytes, BASE, log_bytes, end_offset).len()
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
    fn only_what_rises_and_is_of_the_segment_is_sound() {
        let good = index(&[(105, 4000), (110, 9000)]);
        assert_eq!(sound(&good, 9001, 111), 2);
        assert_eq!(sound(&[], 0, 100), 0);
        assert_eq!(sound(&good[..15], 9001, 111), 1);
        assert_eq!(sound(&good, 9000, 111), 1);
        assert_eq!(sound(&good, 9001, 110), 1);
        assert_eq!(sound(&index(&[(105, 4000), (105, 9000)]), 9001, 111), 1);
        assert_eq!(sound(&index(&[(105, 4000), (106, 4000)]), 9001, 111), 1);
        assert_eq!(sound(&[0xff; 8], 9001, 111), 0);
        assert_eq!(sound(&[good, vec![0; 800]].concat(), 9001, 111), 2, "preallocated");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn look_ups_agree_with_a_scan(steps in proptest::collection::vec((1..9i64, 1..9u32), 0..40), wanted in 95..500i64) {
            let (mut offset, mut position) = (BASE, 0);
            let entries: Vec<_> = steps.iter().map(|(o, p)| { offset += o; position += p; (offset, position) }).collect();
            let bytes = index(&entries);
            let (file, len) = (file_with(&bytes), bytes.len() as u64);
            let cache = &mut IndexCache::default();
            let found = look_up_offset(index_of(&file, len), BASE, wanted, cache).unwrap().map(|e| (e.offset, e.position));
            prop_assert_eq!(found, entries.iter().rfind(|(offset, _)| *offset <= wanted).copied());
            let found = look_up_position(index_of(&file, len), BASE, wanted as u64 - 95, cache).unwrap().map(|e| (e.offset, e.position));
            prop_assert_eq!(found, entries.iter().rfind(|(_, position)| i64::from(*position) <= wanted - 95).copied());
            let kept = entries.iter().filter(|(offset, _)| *offset < wanted).count();
            prop_assert_eq!(sound(&bytes, 1000, wanted), kept);
        }

        #[test]
        fn any_bytes_are_taken_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), base: i64, end: i64) {
            let _ = sound_offset_entries(&bytes, base, 1000, end);
        }
    }
}
