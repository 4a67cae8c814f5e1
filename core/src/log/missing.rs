//! Logs that are gone behind a clean stop: the checkpoints of the stop say that they hold records, and their folders are
//! not there.
//!
//! Looked for with one listing of the log directory. What is missing inside of a folder is seen when the log is opened.

use std::path::Path;
use std::rc::Rc;

use ahash::AHashSet;

use super::checkpoint::{LOG_START_OFFSET_FILE, RECOVERY_POINT_FILE, REPLICATION_OFFSET_FILE};
use super::checkpoints::read_offsets;
use super::error::StoreError;
use crate::reactor::Disk;

/// A log that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingLog {
    /// Name of the topic.
    pub topic_name: String,
    /// Number of the partition.
    pub partition_index: i32,
    /// Where it ended (exclusive).
    pub log_end_offset: i64,
}

/// The logs that are gone from a log directory that was stopped cleanly, by Ringlog or by Kafka, in their order. Those of
/// topics that were deleted may be among them. Blocking; reads only.
pub fn missing_logs(disk: &Rc<dyn Disk>, log_dir: &Path) -> Result<Vec<MissingLog>, StoreError> {
    let read = |name: &str| read_offsets(disk, &log_dir.join(name));
    let (mut ends, starts) = (read(RECOVERY_POINT_FILE)?.0, read(LOG_START_OFFSET_FILE)?.0);
    // A stop writes both with the same ends: one of them may be lost.
    for (name, offset) in read(REPLICATION_OFFSET_FILE)?.0 {
        let end = ends.entry(name).or_default();
        *end = offset.max(*end);
    }
    ends.retain(|name, end| *end > starts.get(name).copied().unwrap_or(0));
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let entries = disk.list_dir(log_dir).map_err(|source| StoreError::Io { path: log_dir.to_owned(), source })?;
    let folders: AHashSet<_> = entries.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name).collect();
    let is_gone = |(topic, partition): &(String, i32)| !folders.contains(&format!("{topic}-{partition}"));
    let missing = ends.into_iter().filter(|(name, _)| is_gone(name));
    Ok(missing
        .map(|((topic_name, partition_index), log_end_offset)| MissingLog {
            topic_name,
            partition_index,
            log_end_offset,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::OffsetCheckpoint;
    use super::*;
    use crate::reactor::FsDisk;

    fn write(log_dir: &Path, file: &str, offsets: &[(&str, i32, i64)]) {
        let entries = offsets.iter().map(|(topic, partition, offset)| (((*topic).to_owned(), *partition), *offset));
        std::fs::write(log_dir.join(file), OffsetCheckpoint(entries.collect()).encode()).unwrap();
    }

    #[test]
    fn a_log_that_held_records_and_has_no_folder_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let log_dir = folder.path();
        let disk: Rc<dyn Disk> = Rc::new(FsDisk);
        assert_eq!(missing_logs(&disk, log_dir).unwrap(), [], "nothing is known");
        std::fs::create_dir(log_dir.join("there-0")).unwrap();
        std::fs::write(log_dir.join("file-0"), "").unwrap();
        let ends =
            [("there", 0, 9), ("empty", 0, 0), ("all-deleted", 0, 7), ("gone", 10, 5), ("gone", 2, 4), ("file", 0, 1)];
        write(log_dir, RECOVERY_POINT_FILE, &ends);
        write(log_dir, LOG_START_OFFSET_FILE, &[("all-deleted", 0, 7), ("gone", 2, 3)]);
        let gone = |topic_name: &str, partition_index, log_end_offset| MissingLog {
            topic_name: topic_name.to_owned(),
            partition_index,
            log_end_offset,
        };
        let expected = [gone("file", 0, 1), gone("gone", 2, 4), gone("gone", 10, 5)];
        assert_eq!(missing_logs(&disk, log_dir).unwrap(), expected);
        std::fs::rename(log_dir.join(RECOVERY_POINT_FILE), log_dir.join(REPLICATION_OFFSET_FILE)).unwrap();
        assert_eq!(missing_logs(&disk, log_dir).unwrap(), expected, "by the other checkpoint");
        std::fs::write(log_dir.join(RECOVERY_POINT_FILE), "1\n").unwrap();
        assert!(matches!(missing_logs(&disk, log_dir), Err(StoreError::Corrupt { .. })));
    }
}
