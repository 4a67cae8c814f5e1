//! The files at the top of the log directory that say where each log begins and ends: read at the start, written at a
//! clean stop.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ahash::AHashMap;
use uuid::Uuid;

use super::checkpoint::{LOG_START_OFFSET_FILE, OffsetCheckpoint, RECOVERY_POINT_FILE, REPLICATION_OFFSET_FILE};
use super::error::StoreError;
use crate::reactor::{Disk, read_file, replace_file};

/// A log as its store left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedLog {
    /// Name of the topic.
    pub topic_name: String,
    /// Number of the partition.
    pub partition_index: i32,
    /// First readable offset.
    pub log_start_offset: i64,
    /// Offset of the next batch; everything below is synced.
    pub log_end_offset: i64,
}

/// Start and end of logs by topic and partition.
pub(crate) type KnownOffsets = AHashMap<(String, i32), (i64, i64)>;

/// Start and end of each log, as the last clean stop or recovery left them.
pub(crate) fn read_known(disk: &Rc<dyn Disk>, log_dir: &Path) -> Result<KnownOffsets, StoreError> {
    let ends = read_offsets(disk, &log_dir.join(RECOVERY_POINT_FILE))?;
    let starts = read_offsets(disk, &log_dir.join(LOG_START_OFFSET_FILE))?;
    Ok(ends
        .0
        .into_iter()
        .map(|(name, end)| {
            let start = starts.0.get(&name).copied().unwrap_or(0);
            (name, (start, end))
        })
        .collect())
}

/// Writes the checkpoints of all shards' logs. The last step before the clean mark.
pub fn write_checkpoints(disk: &Rc<dyn Disk>, log_dir: &Path, logs: &[ClosedLog]) -> Result<(), StoreError> {
    let name = |log: &ClosedLog| (log.topic_name.clone(), log.partition_index);
    let ends = OffsetCheckpoint(logs.iter().map(|log| (name(log), log.log_end_offset)).collect());
    let moved = logs.iter().filter(|log| log.log_start_offset > 0);
    let starts = OffsetCheckpoint(moved.map(|log| (name(log), log.log_start_offset)).collect());
    for (name, offsets) in
        [(RECOVERY_POINT_FILE, &ends), (REPLICATION_OFFSET_FILE, &ends), (LOG_START_OFFSET_FILE, &starts)]
    {
        let path = log_dir.join(name);
        replace_file(disk, &path, offsets.encode().as_bytes()).map_err(|source| StoreError::Io { path, source })?;
    }
    Ok(())
}

fn read_offsets(disk: &Rc<dyn Disk>, path: &Path) -> Result<OffsetCheckpoint, StoreError> {
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

const SYNCED_FILE_PREFIX: &str = "synced-";

/// Up to where logs are synced while a store runs: one file per shard in the commit log's folder, by topic id.
///
/// Each line is `<topic id in 32 hex digits> <partition> <log start offset> <synced end offset>`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SyncedPoints(BTreeMap<(Uuid, i32), (i64, i64)>);

impl SyncedPoints {
    /// What was known at the start, of all shards.
    pub const START_FILE: &str = "synced-start";

    /// Start and synced end of a log.
    pub fn of(&self, topic_id: Uuid, partition_index: i32) -> Option<(i64, i64)> {
        self.0.get(&(topic_id, partition_index)).copied()
    }

    /// Notes how far a log is synced.
    pub fn set(&mut self, topic_id: Uuid, partition_index: i32, log_start_offset: i64, synced: i64) {
        self.0.insert((topic_id, partition_index), (log_start_offset, synced));
    }

    /// Start and end of a log, which is no longer in the list then.
    pub fn take(&mut self, topic_id: Uuid, partition_index: i32) -> Option<(i64, i64)> {
        self.0.remove(&(topic_id, partition_index))
    }

    /// What was known at the start; nothing when the directory was not made ready.
    pub fn read_start(disk: &Rc<dyn Disk>, dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(Self::START_FILE);
        match read_file(disk, &path) {
            Ok(bytes) => std::str::from_utf8(&bytes).ok().and_then(Self::decode).ok_or_else(|| StoreError::Corrupt {
                path,
                offset: 0,
                reason: "not a list of synced points".to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// Forgets a log that was removed.
    pub fn remove(&mut self, topic_id: Uuid, partition_index: i32) {
        self.0.remove(&(topic_id, partition_index));
    }

    /// Name of a shard's file.
    pub fn file_name(shard_id: u16) -> String {
        format!("{SYNCED_FILE_PREFIX}{shard_id}")
    }

    pub fn encode(&self) -> String {
        let lines = self.0.iter().map(|((topic_id, partition_index), (start, synced))| {
            format!("{} {partition_index} {start} {synced}\n", topic_id.simple())
        });
        lines.collect()
    }

    fn decode(text: &str) -> Option<Self> {
        let mut points = Self::default();
        for line in text.lines() {
            let mut words = line.split(' ');
            let topic_id = Uuid::parse_str(words.next()?).ok()?;
            let partition_index = words.next()?.parse().ok()?;
            let (start, synced) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            words.next().is_none().then_some(())?;
            points.set(topic_id, partition_index, start, synced);
        }
        Some(points)
    }

    fn files(disk: &Rc<dyn Disk>, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match disk.list_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.into_iter().map(|entry| entry.name).filter(|name| name.starts_with(SYNCED_FILE_PREFIX));
        Ok(names.map(|name| dir.join(name)).collect())
    }

    /// All shards' points together; a `.tmp` of a write that was cut short does not count.
    pub fn read_all(disk: &Rc<dyn Disk>, dir: &Path) -> Result<Self, StoreError> {
        let io_error = |path: &Path, source| StoreError::Io { path: path.to_owned(), source };
        let mut all = Self::default();
        for path in Self::files(disk, dir).map_err(|error| io_error(dir, error))? {
            if path.extension().is_some_and(|extension| extension == "tmp") {
                continue;
            }
            let bytes = read_file(disk, &path).map_err(|error| io_error(&path, error))?;
            let points = std::str::from_utf8(&bytes).ok().and_then(Self::decode);
            let Some(points) = points else {
                return Err(StoreError::Corrupt { path, offset: 0, reason: "not a list of synced points".to_owned() });
            };
            for (log, (start, synced)) in points.0 {
                let known = all.0.entry(log).or_insert((start, synced));
                *known = (known.0.max(start), known.1.max(synced));
            }
        }
        Ok(all)
    }
}
