//! The transactions of a log that were aborted, from the segments' `.txnindex` files.
//!
//! An entry is 34 bytes: version i16 (0), producer id i64, first offset i64, last offset i64 (that of the marker), last
//! stable offset i64 at the time of the marker (Kafka's `AbortedTxn.java`). Big-endian. A segment in which no transaction
//! was aborted has no file.

use std::ops::Range;

/// Bytes of an entry.
pub const TRANSACTION_ENTRY_BYTES: usize = 34;
/// Extension of the files, with the dot.
pub(crate) const EXTENSION: &str = ".txnindex";

/// One aborted transaction: its records are not for readers of committed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: i64,
    /// Of its first record.
    pub first_offset: i64,
    /// Of its abort marker (inclusive).
    pub last_offset: i64,
    /// What it was when the marker was written.
    pub last_stable_offset: i64,
}

impl AbortedTransaction {
    /// Its bytes.
    pub(crate) fn encode(&self) -> [u8; TRANSACTION_ENTRY_BYTES] {
        let mut bytes = [0; TRANSACTION_ENTRY_BYTES];
        let fields = [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset];
        for (field, into) in fields.iter().zip(bytes[2..].as_chunks_mut::<8>().0) {
            *into = field.to_be_bytes();
        }
        bytes
    }

    /// Reads an entry; `None` when it is of a version that is not known, or makes no sense.
    pub fn decode(entry: &[u8; TRANSACTION_ENTRY_BYTES]) -> Option<Self> {
        let (version, fields) = entry.split_first_chunk().expect("an entry is 34 bytes");
        let field = |at: usize| i64::from_be_bytes(fields.as_chunks().0[at]);
        let aborted =
            Self { producer_id: field(0), first_offset: field(1), last_offset: field(2), last_stable_offset: field(3) };
        (*version == [0, 0] && aborted.first_offset <= aborted.last_offset).then_some(aborted)
    }
}

/// All aborted transactions of a log, in the order of their markers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TransactionIndex(Vec<AbortedTransaction>);

impl TransactionIndex {
    /// Takes in the bytes of a segment's file, whose markers are in `offsets`. False where they are damaged: nothing of them
    /// is taken then.
    #[must_use]
    pub fn extend(&mut self, bytes: &[u8], offsets: Range<i64>) -> bool {
        let before = self.0.len();
        let (entries, rest) = bytes.as_chunks();
        let is_sound = rest.is_empty()
            && entries.iter().all(|entry| {
                let Some(aborted) = AbortedTransaction::decode(entry) else { return false };
                let is_behind = self.0.last().is_none_or(|last| last.last_offset < aborted.last_offset);
                self.0.push(aborted);
                is_behind && offsets.contains(&aborted.last_offset)
            });
        if !is_sound {
            self.0.truncate(before);
        }
        is_sound
    }

    /// Takes in what was found of the next segment.
    pub fn push(&mut self, aborted: Vec<AbortedTransaction>) {
        self.0.extend(aborted);
    }

    /// Forgets transactions that ended below the log start.
    pub fn forget_below(&mut self, log_start_offset: i64) {
        self.0.retain(|transaction| transaction.last_offset >= log_start_offset);
    }

    /// Puts `entries` in the place of those of which the markers are in `offsets`.
    pub fn replace(&mut self, offsets: Range<i64>, entries: Vec<AbortedTransaction>) {
        let start = self.0.partition_point(|aborted| aborted.last_offset < offsets.start);
        let end = self.0.partition_point(|aborted| aborted.last_offset < offsets.end);
        self.0.splice(start..end, entries);
    }

    /// Those with records between `from` (inclusive) and `to` (exclusive), by their first offset.
    pub fn overlapping(&self, from: i64, to: i64) -> Vec<AbortedTransaction> {
        let ended_before = self.0.partition_point(|aborted| aborted.last_offset < from);
        let mut found: Vec<_> =
            self.0[ended_before..].iter().filter(|aborted| aborted.first_offset < to).copied().collect();
        found.sort_unstable_by_key(|aborted| aborted.first_offset);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(producer_id: i64, first_offset: i64, last_offset: i64) -> Vec<u8> {
        AbortedTransaction { producer_id, first_offset, last_offset, last_stable_offset: first_offset }
            .encode()
            .to_vec()
    }

    fn index(entries: &[(i64, i64, i64)]) -> TransactionIndex {
        let mut index = TransactionIndex::default();
        let bytes: Vec<u8> = entries.iter().flat_map(|(id, first, last)| entry(*id, *first, *last)).collect();
        assert!(index.extend(&bytes, 0..100));
        index
    }

    #[test]
    fn overlapping_ones_by_first_offset() {
        let index = index(&[(1, 10, 20), (2, 5, 30), (3, 40, 50)]);
        let ids =
            |from, to| -> Vec<i64> { index.overlapping(from, to).iter().map(|found| found.producer_id).collect() };
        assert_eq!(ids(0, 100), [2, 1, 3]);
        assert_eq!(ids(20, 21), [2, 1], "the marker itself is inside");
        assert_eq!(ids(21, 40), [2]);
        assert_eq!(ids(31, 40), [] as [i64; 0]);
        assert_eq!(ids(0, 5), [] as [i64; 0]);
        assert_eq!(ids(50, 51), [3]);
    }

    #[test]
    fn damaged_files_are_refused() {
        let good = entry(1, 10, 20);
        let refused = |bytes: &[u8]| {
            let mut index = TransactionIndex::default();
            let is_refused = !index.extend(bytes, 15..30);
            assert!(!is_refused || index == TransactionIndex::default(), "nothing of it is taken");
            is_refused
        };
        assert!(!refused(&good));
        assert!(refused(&good[..33]));
        assert!(refused(&[&[0, 1], &good[2..]].concat()), "another version");
        assert!(refused(&entry(1, 21, 20)));
        assert!(refused(&[good.clone(), good].concat()), "markers are in order");
        assert!(refused(&entry(1, 10, 14)) && refused(&entry(1, 10, 30)), "of another segment");
    }
}
