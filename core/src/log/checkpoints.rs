//! The files at the top of the log directory that say where each log begins and ends: read at the start, written at a
//! clean stop.

use std::io;
use std::path::Path;
use std::rc::Rc;

use ahash::AHashMap;

use super::error::StoreError;
use crate::reactor::{Disk, read_file, replace_file};

const RECOVERY_POINT_FILE: &str = "recovery-point-offset-checkpoint";
const REPLICATION_FILE: &str = "replication-offset-checkpoint";
const LOG_START_FILE: &str = "log-start-offset-checkpoint";

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

type Offsets = AHashMap<(String, i32), i64>;
/// Start and end of logs by topic and partition.
pub(crate) type KnownOffsets = AHashMap<(String, i32), (i64, i64)>;

/// Start and end of each log, as the last clean stop or recovery left them.
pub(crate) fn read_known(disk: &Rc<dyn Disk>, log_dir: &Path) -> Result<KnownOffsets, StoreError> {
    let ends = read_offsets(disk, &log_dir.join(RECOVERY_POINT_FILE))?;
    let starts = read_offsets(disk, &log_dir.join(LOG_START_FILE))?;
    Ok(ends
        .into_iter()
        .map(|(name, end)| {
            let start = starts.get(&name).copied().unwrap_or(0);
            (name, (start, end))
        })
        .collect())
}

/// Writes the checkpoints of all shards' logs. The last step before the clean mark.
pub fn write_checkpoints(disk: &Rc<dyn Disk>, log_dir: &Path, logs: &[ClosedLog]) -> Result<(), StoreError> {
    let ends = encode(logs.iter().map(|log| (log, log.log_end_offset)));
    let starts = encode(logs.iter().filter(|log| log.log_start_offset > 0).map(|log| (log, log.log_start_offset)));
    for (name, text) in [(RECOVERY_POINT_FILE, &ends), (REPLICATION_FILE, &ends), (LOG_START_FILE, &starts)] {
        let path = log_dir.join(name);
        replace_file(disk, &path, text.as_bytes()).map_err(|source| StoreError::Io { path, source })?;
    }
    Ok(())
}

fn encode<'a>(offsets: impl Iterator<Item = (&'a ClosedLog, i64)>) -> String {
    let lines: Vec<String> =
        offsets.map(|(log, offset)| format!("{} {} {offset}\n", log.topic_name, log.partition_index)).collect();
    format!("0\n{}\n{}", lines.len(), lines.concat())
}

fn read_offsets(disk: &Rc<dyn Disk>, path: &Path) -> Result<Offsets, StoreError> {
    let bytes = match read_file(disk, path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Offsets::new()),
        Err(source) => return Err(StoreError::Io { path: path.to_owned(), source }),
    };
    let text = String::from_utf8_lossy(&bytes);
    decode(&text).ok_or_else(|| StoreError::Corrupt {
        path: path.to_owned(),
        offset: 0,
        reason: "not a checkpoint of offsets".to_owned(),
    })
}

/// `0`, the number of lines, then `topic partition offset`. An empty file is one that was never written.
fn decode(text: &str) -> Option<Offsets> {
    if text.is_empty() {
        return Some(Offsets::new());
    }
    let mut lines = text.lines();
    (lines.next()? == "0").then_some(())?;
    let count: usize = lines.next()?.parse().ok()?;
    let mut offsets = Offsets::new();
    for line in lines {
        let mut words = line.split(' ');
        let (topic, partition, offset) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        words.next().is_none().then_some(())?;
        offsets.insert((topic.to_owned(), partition), offset);
    }
    (offsets.len() == count).then_some(offsets)
}
