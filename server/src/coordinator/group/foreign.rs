//! A group of a protocol that this broker does not speak, as Kafka left it: a streams group (KIP-1071) or a share group
//! (KIP-932). It has no members here, for none can reach it; its records stay in the log for the way back to Kafka.
//!
//! Invariant: the tombstones of a streams group are those of all its records, so that nothing of it comes back, here or
//! under Kafka, which refuses to load a log in which a group is of two types.

use std::collections::BTreeSet;

use ringlog_core::protocol::ErrorCode;
use ringlog_core::protocol::consumer_offsets::{CoordinatorRecord, ForeignGroupType, ForeignKey};

use super::{CommitOffsets, GroupListing, Turn};

/// A group without members, of a type of its own.
#[derive(Debug)]
pub enum ForeignGroup {
    /// Gives way to a classic group, and can be deleted.
    Streams {
        /// Of its records in the log, each from its record type on.
        keys: BTreeSet<Box<[u8]>>,
    },
    /// Stays: its state is in `__share_group_state`, which has no coordinator here.
    Share,
}

impl ForeignGroup {
    /// Without records.
    pub fn new(group_type: ForeignGroupType) -> Self {
        match group_type {
            ForeignGroupType::Streams => Self::Streams { keys: BTreeSet::new() },
            ForeignGroupType::Share => Self::Share,
        }
    }

    /// Of what type it is.
    pub fn group_type(&self) -> ForeignGroupType {
        match self {
            Self::Streams { .. } => ForeignGroupType::Streams,
            Self::Share => ForeignGroupType::Share,
        }
    }

    /// Replays one of its records.
    pub fn replay(&mut self, key: &ForeignKey<'_>, has_value: bool) {
        match self {
            Self::Streams { keys } if has_value => _ = keys.insert(key.bytes.into()),
            Self::Streams { keys } => _ = keys.remove(key.bytes),
            Self::Share => {}
        }
    }

    /// Removes it from the log: what belongs to a member before the member, and the group last, as Kafka's replay demands;
    /// that is the order of the record types backwards.
    pub fn record_tombstones(&self, group_id: &str, turn: &mut Turn<'_>) {
        let Self::Streams { keys } = self else { unreachable!("a share group is neither deleted nor replaced") };
        for bytes in keys.iter().rev() {
            let key = ForeignKey { group_id, group_type: ForeignGroupType::Streams, bytes };
            turn.record(&CoordinatorRecord::Foreign(key, None));
        }
    }

    /// One row of ListGroups.
    pub fn listing(&self, group_id: &str) -> GroupListing {
        let group_type = match self.group_type() {
            ForeignGroupType::Streams => "streams",
            ForeignGroupType::Share => "share",
        };
        GroupListing { group_id: group_id.to_owned(), protocol_type: group_type.to_owned(), state: "Empty", group_type }
    }

    /// Whether an offset commit fits the group.
    pub fn check_commit(&self, request: &CommitOffsets) -> Result<(), ErrorCode> {
        match self {
            Self::Streams { .. } if request.generation_id < 0 => Ok(()),
            Self::Streams { .. } => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Self::Share => Err(ErrorCode::GROUP_ID_NOT_FOUND),
        }
    }

    /// Whether offsets may be fetched: not by a member, for there is none.
    pub fn check_fetch(&self, member_id: Option<&str>, member_epoch: i32) -> Result<(), ErrorCode> {
        match self {
            Self::Streams { .. } if member_id.is_some() || member_epoch >= 0 => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Self::Streams { .. } | Self::Share => Ok(()),
        }
    }

    /// Whether offsets may be deleted.
    pub fn check_delete_offsets(&self) -> Result<(), ErrorCode> {
        match self {
            Self::Streams { .. } => Ok(()),
            Self::Share => Err(ErrorCode::GROUP_ID_NOT_FOUND),
        }
    }
}
