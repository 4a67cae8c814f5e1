//! The files at the top of the log directory that say where each log begins and ends: read at the start, written at a
//! clean stop.

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use ahash::AHashMap;
use uuid::Uuid;

use super::Durability;
use super::checkpoint::{
    CLEANER_OFFSET_FILE, LOG_START_OFFSET_FILE, OffsetCheckpoint, RECOVERY_POINT_FILE, REPLICATION_OFFSET_FILE,
};
use super::error::StoreError;
use crate::reactor::{Disk, read_file, replace_file};

/// A log as its store left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedLog {
    /// Id of the topic.
    pub topic_id: Uuid,
    /// Name of the topic.
    pub topic_name: Arc<str>,
    /// Number of the partition.
    pub partition_index: i32,
    /// First readable offset.
    pub log_start_offset: i64,
    /// Offset of the next batch; everything below is synced.
    pub log_end_offset: i64,
    /// The class that it was written in.
    pub durability: Durability,
    /// Below it the log was compacted; 0 when it never was.
    pub cleaned_offset: i64,
}

/// What the files say of one log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownLog {
    pub log_start_offset: i64,
    pub log_end_offset: i64,
    pub cleaned_offset: i64,
}

/// By topic and partition.
pub(crate) type KnownOffsets = AHashMap<(String, i32), KnownLog>;

/// Each log as the last clean stop or recovery left it.
pub(crate) fn read_known(disk: &Rc<dyn Disk>, log_dir: &Path) -> Result<KnownOffsets, StoreError> {
    let ends = read_offsets(disk, &log_dir.join(RECOVERY_POINT_FILE))?;
    let starts = read_offsets(disk, &log_dir.join(LOG_START_OFFSET_FILE))?;
    let cleaned = read_offsets(disk, &log_dir.join(CLEANER_OFFSET_FILE))?;
    let known = |(name, log_end_offset)| {
        let offset = |checkpoint: &OffsetCheckpoint| checkpoint.0.get(&name).copied().unwrap_or(0);
        let (log_start_offset, cleaned_offset) = (offset(&starts), offset(&cleaned));
        (name, KnownLog { log_start_offset, log_end_offset, cleaned_offset })
    };
    Ok(ends.0.into_iter().map(known).collect())
}

/// Writes the checkpoints of all shards' logs. The last step before the clean mark.
pub fn write_checkpoints(disk: &Rc<dyn Disk>, log_dir: &Path, logs: &[ClosedLog]) -> Result<(), StoreError> {
    let name = |log: &ClosedLog| (log.topic_name.to_string(), log.partition_index);
    let ends = OffsetCheckpoint(logs.iter().map(|log| (name(log), log.log_end_offset)).collect());
    let moved = logs.iter().filter(|log| log.log_start_offset > 0);
    let starts = OffsetCheckpoint(moved.map(|log| (name(log), log.log_start_offset)).collect());
    let compacted = logs.iter().filter(|log| log.cleaned_offset > 0);
    let cleaned = OffsetCheckpoint(compacted.map(|log| (name(log), log.cleaned_offset)).collect());
    for (name, offsets) in [
        (RECOVERY_POINT_FILE, &ends),
        (REPLICATION_OFFSET_FILE, &ends),
        (LOG_START_OFFSET_FILE, &starts),
        (CLEANER_OFFSET_FILE, &cleaned),
    ] {
        let path = log_dir.join(name);
        replace_file(disk, &path, offsets.encode().as_bytes()).map_err(|source| StoreError::Io { path, source })?;
    }
    Ok(())
}

pub(super) fn read_offsets(disk: &Rc<dyn Disk>, path: &Path) -> Result<OffsetCheckpoint, StoreError> {
    let bytes = match read_file(disk, path) {
        Ok(bytes) if bytes.is_empty() => return Ok(OffsetCheckpoint::default()),
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(OffsetCheckpoint::default()),
        Err(source) => return Err(StoreError::Io { path: path.to_owned(), source }),
    };
    OffsetCheckpoint::decode(&bytes).map_err(|error| StoreError::Corrupt {
        path: path.to_owned(),
        offset: 0,
        reason: error.to_string(),
    })
}
