//! The `.timeindex` file of a segment: from which offset on timestamps are above a given one.
//!
//! Entries of 12 bytes, big-endian: timestamp i64, offset minus the segment's base offset u31. An entry (t, o) says that
//! every record of the segment up to the batch that ends with `o` has a timestamp of at most t. Timestamps rise, offsets
//! rise. A segment that was rolled or closed ends its index with its largest timestamp.

use std::io;

use super::index_search::{IndexCache, search, search_file};
use super::offset_index::{IndexError, relative_offset};
use crate::reactor::File;

/// Bytes of an entry.
pub const TIME_ENTRY_BYTES: usize = 12;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEntry {
    /// The largest timestamp so far.
    pub timestamp: i64,
    /// Where it was reached.
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

    /// Whether it may stand behind `last`: an index only takes what raises its timestamp.
    pub fn follows(&self, last: Option<Self>) -> bool {
        last.is_none_or(|last| last.timestamp < self.timestamp && last.offset <= self.offset)
    }
}

/// The largest entry with a timestamp at or below `timestamp`; before the first one, timestamp -1 at the base offset.
/// To find the first record with at least a timestamp, look up the timestamp below it and search on from that offset.
pub fn look_up_timestamp(bytes: &[u8], base_offset: i64, timestamp: i64) -> TimeEntry {
    let (entries, _) = bytes.as_chunks();
    found(search(entries, |entry| TimeEntry::decode(entry, base_offset).timestamp <= timestamp), base_offset)
}

/// As [`look_up_timestamp`], in the first `len_bytes` of a file.
pub fn look_up_timestamp_in_file(
    file: &File,
    len_bytes: u64,
    base_offset: i64,
    timestamp: i64,
    cache: &mut IndexCache,
) -> io::Result<TimeEntry> {
    let below = |entry: &[u8; TIME_ENTRY_BYTES]| TimeEntry::decode(entry, base_offset).timestamp <= timestamp;
    Ok(found(search_file(file, len_bytes, cache, below)?, base_offset))
}

fn found(entry: Option<[u8; TIME_ENTRY_BYTES]>, base_offset: i64) -> TimeEntry {
    match entry {
        Some(entry) => TimeEntry::decode(&entry, base_offset),
        None => TimeEntry { timestamp: -1, offset: base_offset },
    }
}

/// All entries, in order.
pub fn time_entries(bytes: &[u8], base_offset: i64) -> impl Iterator<Item = TimeEntry> {
    bytes.as_chunks().0.iter().map(move |entry| TimeEntry::decode(entry, base_offset))
}

/// Checks a whole index against its segment, which ends at `log_end_offset` (exclusive).
pub fn check_time_index(bytes: &[u8], base_offset: i64, log_end_offset: i64) -> Result<(), IndexError> {
    if !bytes.len().is_multiple_of(TIME_ENTRY_BYTES) {
        return Err(IndexError::Length(bytes.len()));
    }
    let mut last: Option<TimeEntry> = None;
    for (at, entry) in time_entries(bytes, base_offset).enumerate() {
        // Kafka closes a segment with an entry for its largest timestamp, which may be the last one again.
        let rises = last.is_none_or(|last| last.timestamp <= entry.timestamp && last.offset <= entry.offset);
        if !rises || entry.offset < base_offset {
            return Err(IndexError::Order(at));
        }
        if entry.offset >= log_end_offset {
            return Err(IndexError::Position(at));
        }
        last = Some(entry);
    }
    Ok(())
}

/// Bytes of the index that stay when the log is cut at `log_end_offset` (exclusive).
pub fn truncated_time_index_len(bytes: &[u8], base_offset: i64, log_end_offset: i64) -> usize {
    let (entries, _) = bytes.as_chunks::<TIME_ENTRY_BYTES>();
    entries.partition_point(|entry| TimeEntry::decode(entry, base_offset).offset < log_end_offset) * TIME_ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BASE: i64 = 100;

    fn index(entries: &[(i64, i64)]) -> Vec<u8> {
        let encode = |(timestamp, offset): &(i64, i64)| {
            TimeEntry { timestamp: *timestamp, offset: *offset }.encode(BASE).unwrap()
        };
        entries.iter().flat_map(encode).collect()
    }

    #[test]
    fn entries_have_kafkas_bytes() {
        assert_eq!(index(&[(0x0102, 105)]), [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 5]);
        assert_eq!(TimeEntry { timestamp: 0, offset: BASE - 1 }.encode(BASE), None);
    }

    #[test]
    fn the_check_finds_damage() {
        let good = index(&[(1000, 105), (2000, 110)]);
        assert_eq!(check_time_index(&good, BASE, 111), Ok(()));
        assert_eq!(check_time_index(&good[..23], BASE, 111), Err(IndexError::Length(23)));
        assert_eq!(check_time_index(&good, BASE, 110), Err(IndexError::Position(1)));
        assert_eq!(check_time_index(&index(&[(1000, 105), (999, 106)]), BASE, 111), Err(IndexError::Order(1)));
        assert_eq!(check_time_index(&index(&[(1000, 105), (1001, 104)]), BASE, 111), Err(IndexError::Order(1)));
        assert!(check_time_index(&[good, vec![0; 12]].concat(), BASE, 111).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn look_up_agrees_with_a_scan(steps in proptest::collection::vec((1..9i64, 1..9i64), 0..40), wanted in 0..400i64) {
            let (mut timestamp, mut offset) = (0, BASE);
            let entries: Vec<_> = steps.iter().map(|(t, o)| { timestamp += t; offset += o; (timestamp, offset) }).collect();
            let bytes = index(&entries);
            prop_assert_eq!(check_time_index(&bytes, BASE, offset + 1), Ok(()));
            let scan = entries.iter().rfind(|(timestamp, _)| *timestamp <= wanted).copied().unwrap_or((-1, BASE));
            let found = look_up_timestamp(&bytes, BASE, wanted);
            prop_assert_eq!((found.timestamp, found.offset), scan);
            let kept = entries.iter().filter(|(_, offset)| *offset < wanted).count();
            prop_assert_eq!(truncated_time_index_len(&bytes, BASE, wanted), kept * 12);
        }

        #[test]
        fn any_bytes_are_looked_up_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), base: i64, wanted: i64) {
            let _ = look_up_timestamp(&bytes, base, wanted);
            let _ = check_time_index(&bytes, base, 1000);
            let _ = truncated_time_index_len(&bytes, base, wanted);
        }
    }
}
