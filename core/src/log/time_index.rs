//! The `.timeindex` file of a segment: from which offset on timestamps are above a given one.
//!
//! Entries of 12 bytes, big-endian: timestamp i64, offset minus the segment's base offset u31. An entry (t, o) says that
//! every record of the segment up to the batch that ends with `o` has a timestamp of at most t, and that this batch has
//! one of t. Timestamps rise, offsets rise. A segment that was rolled or closed ends its index with its largest timestamp.
//!
//! It has no checksum: whoever goes where an entry points compares the batch there with the entry.

use std::io;

use super::index_search::{IndexCache, IndexFile, search_file};
use super::offset_index::relative_offset;

/// Bytes of an entry.
pub const TIME_ENTRY_BYTES: usize = 12;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEntry {
    /// The largest timestamp so far.
    pub timestamp: i64,
    /// Last offset of the batch that holds it.
    pub offset: i64,
}

impl TimeEntry {
    /// Its bytes; `None` when the offset is no `i32` above the base offset.
    pub fn encode(&self, base_offset: i64) -> Option<[u8; TIME_ENTRY_BYTES]> {
        let mut bytes = [0; TIME_ENTRY_BYTES];
        bytes[..8].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[8..].copy_from_slice(&relative_offset(self.offset, base_offset)?.to_be_bytes());
        Some(bytes)
    }

    /// From its bytes.
    pub fn decode(bytes: &[u8; TIME_ENTRY_BYTES], base_offset: i64) -> Self {
        let [t0, t1, t2, t3, t4, t5, t6, t7, relative @ ..] = *bytes;
        Self {
            timestamp: i64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            offset: base_offset.saturating_add(i64::from(i32::from_be_bytes(relative))),
        }
    }
}

/// The largest entry with a timestamp below `timestamp`, in the first `len_bytes` of a file: no record up to its offset
/// is as late as `timestamp`.
pub(crate) fn look_up_timestamp_below(
    index: IndexFile<'_>,
    base_offset: i64,
    timestamp: i64,
    cache: &mut IndexCache,
) -> io::Result<Option<TimeEntry>> {
    let below = |entry: &[u8; TIME_ENTRY_BYTES]| TimeEntry::decode(entry, base_offset).timestamp < timestamp;
    Ok(search_file(index, cache, below)?.map(|entry| TimeEntry::decode(&entry, base_offset)))
}

/// The entries up to the first one that is out of order or not of a segment with offsets below `end_offset`.
pub fn sound_time_entries(bytes: &[u8], base_offset: i64, end_offset: i64) -> Vec<TimeEntry> {
    let mut last: Option<TimeEntry> = None;
    let entries = bytes.as_chunks().0.iter().map(|entry| TimeEntry::decode(entry, base_offset));
    entries
        .take_while(|entry| {
            // Kafka closes a segment with an entry for its largest timestamp, which may be the last one again.
            let rises = last.is_none_or(|last| last.timestamp <= entry.timestamp && last.offset <= entry.offset);
            last = Some(*entry);
            rises && (base_offset..end_offset).contains(&entry.offset)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::index_search::tests::{file_with, index_of};
    use super::*;
    use proptest::prelude::*;

    const BASE: i64 = 100;

    fn index(entries: &[(i64, i64)]) -> Vec<u8> {
        let encode = |(timestamp, offset): &(i64, i64)| {
            TimeEntry { timestamp: *timestamp, offset: *offset }.encode(BASE).unwrap()
        };
        entries.iter().flat_map(encode).collect()
    }

    fn sound(bytes: &[u8], end_offset: i64) -> usize {
        sound_time_entries(bytes, BASE, end_offset).len()
    }

    #[test]
    fn entries_have_kafkas_bytes() {
        assert_eq!(index(&[(0x0102, 105)]), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 5]);
        assert_eq!(TimeEntry { timestamp: 0, offset: BASE - 1 }.encode(BASE), None);
    }

    #[test]
    fn only_what_rises_and_is_of_the_segment_is_sound() {
        let good = index(&[(1000, 105), (2000, 110)]);
        assert_eq!(sound(&good, 111), 2);
        assert_eq!(sound(&good[..23], 111), 1);
        assert_eq!(sound(&good, 110), 1);
        assert_eq!(sound(&index(&[(1000, 105), (999, 106)]), 111), 1);
        assert_eq!(sound(&index(&[(1000, 105), (1001, 104)]), 111), 1);
        assert_eq!(sound(&[good, vec![0; 12]].concat(), 111), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn look_up_agrees_with_a_scan(steps in proptest::collection::vec((1..9i64, 1..9i64), 0..40), wanted in 0..400i64) {
            let (mut timestamp, mut offset) = (0, BASE);
            let entries: Vec<_> = steps.iter().map(|(t, o)| { timestamp += t; offset += o; (timestamp, offset) }).collect();
            let bytes = index(&entries);
            let scan = entries.iter().rfind(|(timestamp, _)| *timestamp < wanted).copied();
            let found = look_up_timestamp_below(index_of(&file_with(&bytes), bytes.len() as u64), BASE, wanted, &mut IndexCache::default());
            prop_assert_eq!(found.unwrap().map(|entry| (entry.timestamp, entry.offset)), scan);
            let kept = entries.iter().filter(|(_, offset)| *offset < wanted).count();
            prop_assert_eq!(sound(&bytes, wanted), kept);
        }

        #[test]
        fn any_bytes_are_taken_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), base: i64, end: i64) {
            let _ = sound_time_entries(&bytes, base, end);
        }
    }
}
