//! Snapshots of the metadata log: when one is due, how it takes its place, and what goes away behind it.
//!
//! Invariants:
//! - A snapshot has its name once all of it is durable, and all records that it holds are durable in the log.
//! - The newest snapshot stays, and so does every segment with a record behind the oldest snapshot that stays. Segments go
//!   oldest first.

use std::io;

use ringlog_core::reactor::remove_file_if_there;

use super::files::{SEGMENT_COMPANIONS, is_left_over, segment_name};
use super::{MetadataLog, MetadataLogError, Snapshot, SnapshotId};
use crate::config::MetadataLogConfig;

/// The log behind the snapshot, in sizes of the snapshot, that makes one due at a start.
const SNAPSHOT_AT_START_TIMES: u64 = 2;
/// A shorter log is replayed sooner than it is worth a file.
const SNAPSHOT_AT_START_BYTES_MIN: u64 = 1 << 20;

/// A snapshot that is written.
#[derive(Debug)]
pub(in super::super) struct SnapshotPlan {
    pub id: SnapshotId,
    pub last_contained_log_timestamp: i64,
    /// Its first batch, and the records in it.
    pub header: (Vec<u8>, i64),
}

impl MetadataLog {
    /// Bytes of records that no snapshot holds.
    pub fn bytes_since_snapshot(&self) -> u64 {
        self.bytes_since_snapshot
    }

    /// Whether a start replays far more than the state is large, so that the next one would be better off with a snapshot.
    pub fn is_snapshot_due_at_start(&self) -> bool {
        let newest = self.snapshots.last().map_or(0, |snapshot| snapshot.size_bytes);
        self.bytes_since_snapshot > SNAPSHOT_AT_START_BYTES_MIN.max(SNAPSHOT_AT_START_TIMES * newest)
    }

    /// Begins a snapshot of all records that there are. What is appended from here on counts for the next one.
    pub(in super::super) fn begin_snapshot(&mut self, now_ms: i64) -> SnapshotPlan {
        self.bytes_since_snapshot = 0;
        let id = SnapshotId { leader_epoch: self.leader_epoch, end_offset: self.end_offset };
        let last_contained_log_timestamp = self.last_timestamp;
        let header = self.quorum.snapshot_header(id.leader_epoch, now_ms, last_contained_log_timestamp);
        SnapshotPlan { id, last_contained_log_timestamp, header }
    }

    /// Gives a snapshot its name. It is durable, and so is the log up to its end.
    pub(in super::super) fn finish_snapshot(&mut self, plan: &SnapshotPlan, size_bytes: u64) -> io::Result<()> {
        let SnapshotPlan { id, last_contained_log_timestamp, .. } = *plan;
        self.disk.rename(&self.folder.join(id.part_name()), &self.folder.join(id.file_name()))?;
        self.disk.sync_dir(&self.folder)?;
        self.snapshots.push(Snapshot { id, size_bytes, last_contained_log_timestamp });
        Ok(())
    }

    /// Removes what is left over of snapshots that were not finished. What cannot be removed is in nobody's way.
    pub fn remove_left_over(&self) {
        let left_over = |name: &String| is_left_over(name);
        let entries = self.disk.list_dir(&self.folder).unwrap_or_default();
        for name in entries.into_iter().map(|entry| entry.name).filter(left_over) {
            if let Err(error) = self.remove(&name) {
                tracing::warn!(%error, "a snapshot that was not finished stays");
            }
        }
    }

    /// The offset of the first record that is there.
    pub(super) fn start_offset(&self) -> i64 {
        self.rolled.first().map_or(self.base_offset, |segment| segment.base_offset)
    }

    /// Removes old snapshots, and the segments that the next snapshot holds, while they are too old or too large
    /// together.
    pub fn clean(&mut self, config: &MetadataLogConfig, now_ms: i64) -> Result<(), MetadataLogError> {
        while let [oldest, next, ..] = self.snapshots[..] {
            let age_ms = now_ms.saturating_sub(oldest.last_contained_log_timestamp);
            let is_old = config.retention_ms.is_some_and(|retention_ms| age_ms > retention_ms);
            let is_large = config.retention_bytes.is_some_and(|retention_bytes| self.size_bytes() > retention_bytes);
            if !is_old && !is_large {
                break;
            }
            self.remove_segments_below(next.id.end_offset)?;
            self.remove(&oldest.id.file_name())?;
            self.snapshots.remove(0);
            tracing::info!(
                snapshot = oldest.id.file_name(),
                is_old,
                is_large,
                "a snapshot of the metadata was removed"
            );
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        let segments = self.rolled.iter().map(|segment| segment.size_bytes).sum::<u64>() + self.position;
        segments + self.snapshots.iter().map(|snapshot| snapshot.size_bytes).sum::<u64>()
    }

    fn remove_segments_below(&mut self, end_offset: i64) -> Result<(), MetadataLogError> {
        while let Some(segment) = self.rolled.first() {
            let next_base_offset = self.rolled.get(1).map_or(self.base_offset, |next| next.base_offset);
            if next_base_offset > end_offset {
                break;
            }
            let name = segment_name(segment.base_offset);
            self.remove(&name)?;
            for ending in SEGMENT_COMPANIONS {
                self.remove(&format!("{}.{ending}", name.trim_end_matches(".log")))?;
            }
            self.rolled.remove(0);
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), MetadataLogError> {
        let path = self.folder.join(name);
        remove_file_if_there(&*self.disk, &path).map_err(|source| MetadataLogError::Io { path, source })
    }
}
