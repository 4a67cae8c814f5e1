//! Names of the files of the metadata log, which are Kafka's, and what of them is there.

/// Files beside a segment's `.log`, by their endings. Kafka makes them again where they are missing.
pub(super) const SEGMENT_COMPANIONS: [&str; 4] = ["index", "timeindex", "txnindex", "snapshot"];

/// What a snapshot holds: all records below an offset, the last of which is of an epoch. Ascending by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// Epoch of its last record.
    pub leader_epoch: i32,
    /// Exclusive.
    pub end_offset: i64,
}

impl SnapshotId {
    /// The file's name.
    pub fn file_name(self) -> String {
        let Self { leader_epoch, end_offset } = self;
        format!("{end_offset:020}-{leader_epoch:010}.checkpoint")
    }

    /// The file's name while it is written.
    pub fn part_name(self) -> String {
        format!("{}.part", self.file_name())
    }

    /// Reads a file's name.
    pub fn parse(name: &str) -> Option<Self> {
        let (offset, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
        if (offset.len(), epoch.len()) != (20, 10) {
            return None;
        }
        Some(Self { leader_epoch: epoch.parse().ok()?, end_offset: offset.parse().ok()? })
    }
}

/// Whether a file is of a snapshot that was not finished, or that is on its way out.
pub(super) fn is_left_over(name: &str) -> bool {
    name.ends_with(".checkpoint.part") || name.ends_with(".checkpoint.deleted")
}

/// A segment with its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub base_offset: i64,
    pub size_bytes: u64,
}

/// A snapshot with what retention goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub id: SnapshotId,
    pub size_bytes: u64,
    /// Milliseconds since 1970, of the last record in it.
    pub last_contained_log_timestamp: i64,
}

/// `<20 digits>.log`.
pub(super) fn segment_name(base_offset: i64) -> String {
    format!("{base_offset:020}.log")
}

/// Base offset of `<20 digits>.log`.
pub(super) fn segment_base(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() == 20 { digits.parse().ok() } else { None }
}
