//! What recovery keeps of the entries of verified writes: where they lie, so that nothing needs to be read again to know
//! whose they are.
//!
//! Entries of one partition that follow each other in a write are one run: a log that is alone has one of each write.

use ahash::AHashMap;
use uuid::Uuid;

use super::format::{ENTRY_HEADER, Entry, EntryHeader, EntryKind, WRITE_HEADER, WriteHeader};

/// Entries of one partition that lie behind each other in one write, and are dense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// First offset.
    pub base_offset: i64,
    /// End of its offsets, exclusive.
    pub end_offset: i64,
    /// The largest that the receiver saw in the payloads.
    pub max_timestamp: i64,
    /// Its number among the partitions that were met.
    pub partition: u32,
    /// Of the first entry's header, in the file.
    pub position: u32,
    /// From there, headers and payloads.
    pub length: u32,
    /// How many entries.
    pub entries: u16,
    /// Of each.
    pub kind: EntryKind,
}

impl Run {
    /// Bytes of the payloads.
    pub fn payload_bytes(&self) -> u32 {
        self.length - u32::from(self.entries) * ENTRY_HEADER as u32
    }
}

/// What the receiver wants to know of an entry: the largest timestamp in its payload.
pub type MaxTimestamp<'a> = dyn Fn(&EntryHeader, &[u8]) -> i64 + 'a;

/// Numbers partitions as they are met.
pub(super) struct Indexer<'a> {
    pub(super) partitions: Vec<(Uuid, i32)>,
    by_id: AHashMap<(Uuid, i32), u32>,
    max_timestamp: &'a MaxTimestamp<'a>,
}

impl<'a> Indexer<'a> {
    pub(super) fn new(max_timestamp: &'a MaxTimestamp<'a>) -> Self {
        Self { partitions: Vec::new(), by_id: AHashMap::new(), max_timestamp }
    }

    fn number(&mut self, partition: (Uuid, i32)) -> u32 {
        *self.by_id.entry(partition).or_insert_with(|| {
            self.partitions.push(partition);
            u32::try_from(self.partitions.len() - 1).expect("fewer than 2^32 partitions")
        })
    }

    /// Adds the entries from `from_lsn` on of a write that was verified.
    pub(super) fn add(&mut self, header: &WriteHeader, bytes: &[u8], from_lsn: u64, runs: &mut Vec<Run>) {
        let first_of_write = runs.len();
        let mut at = WRITE_HEADER;
        for lsn in header.first_lsn..header.end_lsn() {
            let entry = Entry::decode(&bytes[at..]).expect("the write was verified");
            let position = header.position as u32 + at as u32;
            at += entry.length;
            if lsn < from_lsn {
                continue;
            }
            let EntryHeader { kind, topic_id, partition_index, base_offset, end_offset, .. } = entry.header;
            let max_timestamp = (self.max_timestamp)(&entry.header, entry.payload);
            let (length, partition) = (entry.length as u32, (topic_id, partition_index));
            if let Some(last) = runs[first_of_write..].last_mut()
                && self.partitions[last.partition as usize] == partition
                && (last.end_offset, last.kind, kind) == (base_offset, EntryKind::Batch, EntryKind::Batch)
                && last.entries < u16::MAX
            {
                last.end_offset = end_offset;
                last.max_timestamp = last.max_timestamp.max(max_timestamp);
                last.length += length;
                last.entries += 1;
            } else {
                let partition = self.number(partition);
                let (entries, length) = (1, length);
                runs.push(Run { base_offset, end_offset, max_timestamp, partition, position, length, entries, kind });
            }
        }
    }
}
