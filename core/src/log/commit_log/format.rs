//! The bytes of the commit log: write header and entry, as the tables of `docs/log-format.md` say. No I/O.

use uuid::Uuid;

/// The unit of writing. A write starts on a block boundary and fills whole blocks.
pub(super) const BLOCK: usize = 4096;
/// Bytes of a write header.
pub(super) const WRITE_HEADER: usize = 96;
/// Bytes of an entry before its payload.
pub(super) const ENTRY_HEADER: usize = 56;

const MAGIC: &[u8; 4] = b"RLCL";
const VERSION: u16 = 1;

/// What an entry is, and what its payload holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A record batch as stored in the segment.
    Batch,
    /// A [`SegmentRange`]: the batches were synced in the segment before this entry was pushed.
    InSegment,
}

impl EntryKind {
    fn to_byte(self) -> u8 {
        match self {
            Self::Batch => 1,
            Self::InSegment => 2,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Batch, Self::InSegment].into_iter().find(|kind| kind.to_byte() == byte)
    }
}

/// What an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryHeader {
    /// What it is.
    pub kind: EntryKind,
    /// Of the topic; tells a re-created topic from the deleted one.
    pub topic_id: Uuid,
    /// Of the partition.
    pub partition_index: i32,
    /// Of the batch.
    pub leader_epoch: i32,
    /// First offset.
    pub base_offset: i64,
    /// End of its offsets (exclusive).
    pub end_offset: i64,
}

/// Where a large group of batches lies that went straight into its segment: the payload of [`EntryKind::InSegment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRange {
    /// The segment's name.
    pub segment_base_offset: i64,
    /// First byte in the segment.
    pub position: u64,
    /// How many bytes.
    pub size_bytes: u64,
    /// CRC32C of these bytes.
    pub crc: u32,
}

impl SegmentRange {
    /// The payload.
    pub fn encode(&self) -> [u8; 28] {
        let mut bytes = [0; 28];
        bytes[..8].copy_from_slice(&self.segment_base_offset.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.position.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.size_bytes.to_be_bytes());
        bytes[24..].copy_from_slice(&self.crc.to_be_bytes());
        bytes
    }

    /// Reads a payload; `None` when it has another length.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        if payload.len() != 28 {
            return None;
        }
        Some(Self {
            segment_base_offset: u64_at(payload, 0) as i64,
            position: u64_at(payload, 8),
            size_bytes: u64_at(payload, 16),
            crc: u32_at(payload, 24),
        })
    }
}

/// The head of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WriteHeader {
    pub(super) shard_id: u16,
    /// Header and entries, without padding.
    pub(super) length: u32,
    pub(super) log_id: u64,
    pub(super) generation: u64,
    pub(super) sequence: u64,
    /// Exclusive.
    pub(super) durable_sequence: u64,
    pub(super) first_lsn: u64,
    /// Exclusive.
    pub(super) released_lsn: u64,
    pub(super) entry_count: u32,
    pub(super) previous_crc: u32,
    pub(super) last_crc: u32,
    pub(super) slot: u32,
    pub(super) position: u64,
}

/// Why a header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// Not a header, or not whole.
    Invalid,
    /// A whole header of another format version.
    Version(u16),
}

impl WriteHeader {
    pub(super) fn encode(&self) -> [u8; WRITE_HEADER] {
        let mut bytes = [0; WRITE_HEADER];
        bytes[4..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_be_bytes());
        bytes[10..12].copy_from_slice(&self.shard_id.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.log_id.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.generation.to_be_bytes());
        bytes[32..40].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[40..48].copy_from_slice(&self.durable_sequence.to_be_bytes());
        bytes[48..56].copy_from_slice(&self.first_lsn.to_be_bytes());
        bytes[56..64].copy_from_slice(&self.released_lsn.to_be_bytes());
        bytes[64..68].copy_from_slice(&self.entry_count.to_be_bytes());
        bytes[68..72].copy_from_slice(&self.previous_crc.to_be_bytes());
        bytes[72..76].copy_from_slice(&self.last_crc.to_be_bytes());
        bytes[76..80].copy_from_slice(&self.slot.to_be_bytes());
        bytes[80..88].copy_from_slice(&self.position.to_be_bytes());
        let crc = crc32c(&bytes[4..]);
        bytes[..4].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads the head of `bytes`.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes = bytes.get(..WRITE_HEADER).ok_or(HeaderError::Invalid)?;
        if &bytes[4..8] != MAGIC || crc32c(&bytes[4..]) != u32_at(bytes, 0) {
            return Err(HeaderError::Invalid);
        }
        let version = u16::from_be_bytes([bytes[8], bytes[9]]);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let header = Self {
            shard_id: u16::from_be_bytes([bytes[10], bytes[11]]),
            length: u32_at(bytes, 12),
            log_id: u64_at(bytes, 16),
            generation: u64_at(bytes, 24),
            sequence: u64_at(bytes, 32),
            durable_sequence: u64_at(bytes, 40),
            first_lsn: u64_at(bytes, 48),
            released_lsn: u64_at(bytes, 56),
            entry_count: u32_at(bytes, 64),
            previous_crc: u32_at(bytes, 68),
            last_crc: u32_at(bytes, 72),
            slot: u32_at(bytes, 76),
            position: u64_at(bytes, 80),
        };
        if (header.length as usize) < WRITE_HEADER { Err(HeaderError::Invalid) } else { Ok(header) }
    }

    /// Bytes on disk, with padding.
    pub(super) fn padded_length(&self) -> u64 {
        u64::from(self.length).next_multiple_of(BLOCK as u64)
    }

    /// LSN behind its last entry.
    pub(super) fn end_lsn(&self) -> u64 {
        self.first_lsn.saturating_add(u64::from(self.entry_count))
    }

    /// Whether `write` (header and entries, `length` bytes) is whole: counts, lengths, CRCs and the chain within it.
    pub(super) fn verify(&self, write: &[u8]) -> bool {
        if write.len() != self.length as usize {
            return false;
        }
        let mut crc = self.previous_crc;
        let mut rest = &write[WRITE_HEADER..];
        for _ in 0..self.entry_count {
            let Some(entry) = Entry::decode(rest) else { return false };
            if entry.previous_crc != crc || !entry.is_whole(rest) {
                return false;
            }
            crc = entry.crc;
            rest = &rest[entry.length..];
        }
        rest.is_empty() && crc == self.last_crc
    }
}

/// An entry as it lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) crc: u32,
    pub(super) previous_crc: u32,
    pub(super) header: EntryHeader,
    pub(super) payload: &'a [u8],
    /// Header and payload.
    pub(super) length: usize,
}

impl<'a> Entry<'a> {
    /// The entry at the start of `bytes`, CRC not yet checked; `None` when it is cut short or of unknown kind.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let head = bytes.get(..ENTRY_HEADER)?;
        let payload = bytes[ENTRY_HEADER..].get(..u32_at(head, 8) as usize)?;
        let mut topic_id = [0; 16];
        topic_id.copy_from_slice(&head[16..32]);
        let header = EntryHeader {
            kind: EntryKind::from_byte(head[12])?,
            topic_id: Uuid::from_bytes(topic_id),
            partition_index: u32_at(head, 32) as i32,
            leader_epoch: u32_at(head, 36) as i32,
            base_offset: u64_at(head, 40) as i64,
            end_offset: u64_at(head, 48) as i64,
        };
        Some(Self {
            crc: u32_at(head, 0),
            previous_crc: u32_at(head, 4),
            header,
            payload,
            length: ENTRY_HEADER + payload.len(),
        })
    }

    /// Whether its CRC is right; `bytes` are those that it was decoded from.
    pub(super) fn is_whole(&self, bytes: &[u8]) -> bool {
        crc32c(&bytes[4..self.length]) == self.crc
    }
}

/// The head of an entry without its crc (bytes 4..56), which covers these bytes and the payload.
pub(super) fn encode_entry_head(
    header: &EntryHeader,
    payload_length: u32,
    previous_crc: u32,
) -> [u8; ENTRY_HEADER - 4] {
    let mut bytes = [0; ENTRY_HEADER - 4];
    bytes[..4].copy_from_slice(&previous_crc.to_be_bytes());
    bytes[4..8].copy_from_slice(&payload_length.to_be_bytes());
    bytes[8] = header.kind.to_byte();
    bytes[12..28].copy_from_slice(header.topic_id.as_bytes());
    bytes[28..32].copy_from_slice(&header.partition_index.to_be_bytes());
    bytes[32..36].copy_from_slice(&header.leader_epoch.to_be_bytes());
    bytes[36..44].copy_from_slice(&header.base_offset.to_be_bytes());
    bytes[44..].copy_from_slice(&header.end_offset.to_be_bytes());
    bytes
}

/// The crc of an entry whose head ([`encode_entry_head`]) and payload are these.
pub(super) fn entry_crc(head: &[u8], payload: &[&[u8]]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(head);
    for part in payload {
        digest.update(part);
    }
    digest.finalize() as u32
}

/// CRC32C.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(payload: &[u8], previous_crc: u32) -> Vec<u8> {
        let header = EntryHeader {
            kind: EntryKind::Batch,
            topic_id: Uuid::from_bytes([7; 16]),
            partition_index: 3,
            leader_epoch: -1,
            base_offset: 41,
            end_offset: 44,
        };
        let head = encode_entry_head(&header, payload.len() as u32, previous_crc);
        let body = [&head[..], payload].concat();
        [&crc32c(&body).to_be_bytes()[..], &body].concat()
    }

    fn write(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut crc = 99;
        let mut entries = Vec::new();
        for payload in payloads {
            let bytes = entry(payload, crc);
            crc = u32_at(&bytes, 0);
            entries.extend(bytes);
        }
        let header = WriteHeader {
            shard_id: 2,
            length: (WRITE_HEADER + entries.len()) as u32,
            log_id: 0xdead_beef_0000_0001,
            generation: 5,
            sequence: 77,
            durable_sequence: 75,
            first_lsn: 1000,
            released_lsn: 900,
            entry_count: payloads.len() as u32,
            previous_crc: 99,
            last_crc: crc,
            slot: 1,
            position: 8192,
        };
        [&header.encode()[..], &entries].concat()
    }

    #[test]
    fn crc_is_crc32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn segment_range_round_trip() {
        let range = SegmentRange { segment_base_offset: 12, position: 1 << 33, size_bytes: 5, crc: 0xffff_0001 };
        assert_eq!(SegmentRange::decode(&range.encode()), Some(range));
        assert_eq!(SegmentRange::decode(&[0; 27]), None);
    }

    #[test]
    fn another_version_is_told_from_garbage() {
        let mut bytes = write(&[]);
        bytes[9] = 2;
        assert_eq!(WriteHeader::decode(&bytes), Err(HeaderError::Invalid));
        let crc = crc32c(&bytes[4..WRITE_HEADER]);
        bytes[..4].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(WriteHeader::decode(&bytes), Err(HeaderError::Version(2)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn writes_round_trip_and_damage_is_seen(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..6),
            bit in any::<prop::sample::Index>(),
        ) {
            let mut bytes = write(&payloads);
            let header = WriteHeader::decode(&bytes).expect("whole");
            prop_assert_eq!(&header.encode()[..], &bytes[..WRITE_HEADER]);
            prop_assert!(header.verify(&bytes));
            let mut rest = &bytes[WRITE_HEADER..];
            for payload in &payloads {
                let entry = Entry::decode(rest).expect("whole");
                prop_assert_eq!(entry.payload, &payload[..]);
                prop_assert_eq!(entry.header.base_offset, 41);
                prop_assert_eq!(entry.header.leader_epoch, -1);
                rest = &rest[entry.length..];
            }
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let seen = WriteHeader::decode(&bytes).is_ok_and(|header| header.verify(&bytes));
            prop_assert!(!seen);
        }

        #[test]
        fn any_bytes_are_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(WriteHeader::decode(&bytes).is_err());
            let _ = Entry::decode(&bytes);
        }
    }
}
