//! The keys of streams groups (KIP-1071, types 17 and 19..=23) and of share groups (KIP-932, types 10..=15). What they say
//! is not read: only whose they are.
//!
//! Types 9 and 18, of Kafkas before 4.3, are not among them: Kafka 4.3 passes them over, and leaves them when it deletes
//! the group.

use super::GroupMetadataKey;
use crate::wire::{DecodeError, Message, Reader};

/// Of what type a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignGroupType {
    /// KIP-1071.
    Streams,
    /// KIP-932.
    Share,
}

/// A key of a streams group or of a share group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignKey<'a> {
    /// Whose it is.
    pub group_id: &'a str,
    /// Of what type that group is.
    pub group_type: ForeignGroupType,
    /// The whole key, from its record type on.
    pub bytes: &'a [u8],
}

impl<'a> ForeignKey<'a> {
    /// Reads a key; `None` if it is not of such a group.
    pub fn decode(bytes: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let mut key = Reader::new(bytes);
        let record_type = key.read_i16()?;
        let group_type = match record_type {
            10..=15 => ForeignGroupType::Share,
            17 | 19..=23 => ForeignGroupType::Streams,
            _ => return Ok(None),
        };
        // The group id is the first field of all of them, as it is of this one.
        let GroupMetadataKey { group: group_id } = GroupMetadataKey::decode(&mut key, 0)?;
        Ok(Some(Self { group_id, group_type, bytes }))
    }

    /// Whether it is of the record of the group itself (types 11 and 17), whose tombstone ends it.
    pub fn is_group_metadata(&self) -> bool {
        matches!(self.bytes, [0, 11 | 17, ..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(record_type: u8) -> [u8; 8] {
        [0, record_type, 0, 1, b'g', 0, 1, b'm']
    }

    #[test]
    fn every_key_of_such_a_group_and_no_other_is_known() {
        let known = |record_type| ForeignKey::decode(&key(record_type)).expect("whole").map(|found| found.group_type);
        for record_type in 0..=u8::MAX {
            let expected = match record_type {
                10..=15 => Some(ForeignGroupType::Share),
                17 | 19 | 20..=23 => Some(ForeignGroupType::Streams),
                _ => None,
            };
            assert_eq!(known(record_type), expected, "{record_type}");
        }
        for len in 0..5 {
            assert!(ForeignKey::decode(&key(17)[..len]).is_err(), "cut at {len}");
        }
    }
}
