//! Up to where logs are synced: what recovery trusts. Files in the commit log's folder, by topic id.
//!
//! `synced-start` is written before anything is served and knows all logs; `synced-<shard>` is what the shard's background
//! sync has reached since. The first line is `from a clean stop: <true or false>`, the others are `<topic id in 32 hex digits> <partition> <log start offset> <synced end offset>
//! <class> <largest timestamp> <its offset> <cleaned offset>`, the timestamp that of the segment that the end lies in, -1 when
//! it is not known. `written-start` has the same lines for logs of class page-cache that recovery has looked at: their ends
//! count for the stores of that start, and say nothing to the next one. (Files of before compaction have no cleaned offset.) The last line is `crc32c <8 hex digits>`, over all lines before it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use uuid::Uuid;

use super::Durability;
use super::error::StoreError;
use crate::reactor::{Disk, read_file};

const FILE_PREFIX: &str = "synced-";
const NO_TIMESTAMP: i64 = -1;

/// What is known of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyncedPoint {
    /// First readable offset.
    pub log_start_offset: i64,
    /// Everything below is synced, exclusive.
    pub end_offset: i64,
    /// The class that it was written in.
    pub durability: Durability,
    /// Largest timestamp of the segment that the end lies in, or -1.
    pub max_timestamp: i64,
    /// Last offset of the batch that holds it.
    pub max_timestamp_offset: i64,
    /// Below it the log was compacted.
    pub cleaned_offset: i64,
    /// The end is only written: synced is what is below this. For the stores of one start, not in a file.
    pub unsynced_from: Option<i64>,
}

impl SyncedPoint {
    /// A log of which only the ends are known.
    pub fn new(log_start_offset: i64, end_offset: i64, durability: Durability) -> Self {
        let (max_timestamp, max_timestamp_offset, cleaned_offset) = (NO_TIMESTAMP, 0, 0);
        let unsynced_from = None;
        Self {
            log_start_offset,
            end_offset,
            durability,
            max_timestamp,
            max_timestamp_offset,
            cleaned_offset,
            unsynced_from,
        }
    }

    /// The one that reaches further; the log start and the cleaned offset only move up.
    fn merge(self, other: Self) -> Self {
        let further = if other.end_offset >= self.end_offset { other } else { self };
        let log_start_offset = self.log_start_offset.max(other.log_start_offset);
        Self { log_start_offset, cleaned_offset: self.cleaned_offset.max(other.cleaned_offset), ..further }
    }
}

/// The points of all logs, or of one shard's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SyncedPoints {
    points: BTreeMap<(Uuid, i32), SyncedPoint>,
    /// They are from Kafka's checkpoints of a clean stop: logs end there, and any other end is corruption.
    pub from_clean_stop: bool,
}

impl SyncedPoints {
    /// What was known at the start, of all shards.
    pub const START_FILE: &str = "synced-start";
    /// Where logs end that are not synced up to there.
    pub const WRITTEN_FILE: &str = "written-start";

    /// The point of a log.
    pub fn of(&self, topic_id: Uuid, partition_index: i32) -> Option<SyncedPoint> {
        self.points.get(&(topic_id, partition_index)).copied()
    }

    /// Notes how far a log is synced.
    pub fn set(&mut self, topic_id: Uuid, partition_index: i32, point: SyncedPoint) {
        self.points.insert((topic_id, partition_index), point);
    }

    /// The point of a log, which is no longer in the list then: its store uses it, or it was deleted.
    pub fn take(&mut self, topic_id: Uuid, partition_index: i32) -> Option<SyncedPoint> {
        self.points.remove(&(topic_id, partition_index))
    }

    /// Forgets all points.
    pub fn clear(&mut self) {
        self.points.clear();
    }

    /// Name of a shard's file.
    pub fn file_name(shard_id: u16) -> String {
        format!("{FILE_PREFIX}{shard_id}")
    }

    /// What was known at the start, with the logs that are only written; nothing when the directory was not made ready.
    pub fn read_start(disk: &Rc<dyn Disk>, dir: &Path) -> Result<Self, StoreError> {
        let read = |path: PathBuf| if disk.exists(&path) { Self::read(disk, &path) } else { Ok(Self::default()) };
        let mut known = read(dir.join(Self::START_FILE))?;
        for ((topic_id, partition_index), written) in read(dir.join(Self::WRITTEN_FILE))?.points {
            let synced = known.of(topic_id, partition_index).map_or(0, |point| point.end_offset);
            known.set(topic_id, partition_index, SyncedPoint { unsynced_from: Some(synced), ..written });
        }
        Ok(known)
    }

    /// All shards' points together; a `.tmp` of a write that was cut short does not count.
    pub fn read_all(disk: &Rc<dyn Disk>, dir: &Path) -> Result<Self, StoreError> {
        let mut all = Self::default();
        let mut files = Self::files(disk, dir)?;
        // Of points that reach as far, those of the shards are newer.
        files.sort_by_key(|path| !path.ends_with(Self::START_FILE));
        for path in files {
            for (log, point) in Self::read(disk, &path)?.points {
                let known = all.points.entry(log).or_insert(point);
                *known = known.merge(point);
            }
        }
        Ok(all)
    }

    /// Removes the shards' files: `synced-start` knows all of it.
    pub fn remove_of_shards(disk: &Rc<dyn Disk>, dir: &Path) -> Result<(), StoreError> {
        for path in Self::files(disk, dir)? {
            if !path.ends_with(Self::START_FILE) {
                disk.remove_file(&path).map_err(|source| StoreError::Io { path, source })?;
            }
        }
        Ok(())
    }

    fn files(disk: &Rc<dyn Disk>, dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
        let entries = match disk.list_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| StoreError::Io { path: dir.to_owned(), source })?,
        };
        let names = entries.into_iter().map(|entry| entry.name);
        let names = names.filter(|name| name.starts_with(FILE_PREFIX) && !name.ends_with(".tmp"));
        Ok(names.map(|name| dir.join(name)).collect())
    }

    fn read(disk: &Rc<dyn Disk>, path: &Path) -> Result<Self, StoreError> {
        let bytes = read_file(disk, path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
        std::str::from_utf8(&bytes).ok().and_then(Self::decode).ok_or_else(|| StoreError::Corrupt {
            path: path.to_owned(),
            offset: 0,
            reason: "not a list of synced points".to_owned(),
        })
    }

    /// The text of a file.
    pub fn encode(&self) -> String {
        let mut text = format!("from a clean stop: {}\n", self.from_clean_stop);
        text.extend(self.points.iter().map(|((topic_id, partition_index), point)| {
            let SyncedPoint { log_start_offset, end_offset, durability, .. } = point;
            let SyncedPoint { max_timestamp, max_timestamp_offset, cleaned_offset, .. } = point;
            let class = class_name(*durability);
            let topic_id = topic_id.simple();
            format!("{topic_id} {partition_index} {log_start_offset} {end_offset} {class} {max_timestamp} {max_timestamp_offset} {cleaned_offset}\n")
        }));
        text.push_str(&crc_line(&text));
        text
    }

    fn decode(text: &str) -> Option<Self> {
        let end = text.trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
        let (lines, crc) = text.split_at(end);
        (crc == crc_line(lines)).then_some(())?;
        let (first, lines) = lines.split_once('\n')?;
        let from_clean_stop = first.strip_prefix("from a clean stop: ")?.parse().ok()?;
        let points = lines.lines().map(decode_line).collect::<Option<_>>()?;
        Some(Self { points, from_clean_stop })
    }
}

fn decode_line(line: &str) -> Option<((Uuid, i32), SyncedPoint)> {
    let mut words = line.split(' ');
    let topic_id = Uuid::parse_str(words.next()?).ok()?;
    let partition_index = words.next()?.parse().ok()?;
    let (log_start_offset, end_offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let durability = class_of(words.next()?)?;
    let (max_timestamp, max_timestamp_offset) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let cleaned_offset = words.next().map_or(Some(0), |word| word.parse().ok())?;
    words.next().is_none().then_some(())?;
    let ends = SyncedPoint::new(log_start_offset, end_offset, durability);
    Some(((topic_id, partition_index), SyncedPoint { max_timestamp, max_timestamp_offset, cleaned_offset, ..ends }))
}

fn crc_line(lines: &str) -> String {
    format!("crc32c {:08x}\n", crate::record::crc32c(lines.as_bytes()))
}

fn class_name(durability: Durability) -> &'static str {
    match durability {
        Durability::Sync => "sync",
        Durability::PageCache => "page-cache",
    }
}

fn class_of(name: &str) -> Option<Durability> {
    [Durability::Sync, Durability::PageCache].into_iter().find(|class| class_name(*class) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_go_round_and_damage_is_refused() {
        let mut points = SyncedPoints { from_clean_stop: true, ..SyncedPoints::default() };
        points.set(Uuid::from_u128(7), 3, SyncedPoint::new(5, 1000, Durability::PageCache));
        let known = SyncedPoint {
            max_timestamp: 77,
            max_timestamp_offset: 41,
            cleaned_offset: 40,
            ..SyncedPoint::new(0, 42, Durability::Sync)
        };
        points.set(Uuid::from_u128(8), 0, known);
        let text = points.encode();
        assert_eq!(SyncedPoints::decode(&text), Some(points));
        let before = "from a clean stop: false\n00000000000000000000000000000007 3 5 9 sync -1 0\n";
        let before = SyncedPoints::decode(&format!("{before}{}", crc_line(before))).expect("of before compaction");
        assert_eq!(before.of(Uuid::from_u128(7), 3), Some(SyncedPoint::new(5, 9, Durability::Sync)));
        assert_eq!(SyncedPoints::decode(&SyncedPoints::default().encode()), Some(SyncedPoints::default()));
        assert_eq!(SyncedPoints::decode(""), None);
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let damaged = String::from_utf8(bytes).expect("seven bits");
                assert_eq!(SyncedPoints::decode(&damaged), None, "byte {at} bit {bit}");
            }
            assert_eq!(SyncedPoints::decode(&text[..at]), None);
        }
    }

    #[test]
    fn the_point_that_reaches_further_counts() {
        let old = SyncedPoint { cleaned_offset: 9, ..SyncedPoint::new(8, 10, Durability::PageCache) };
        let new = SyncedPoint { max_timestamp: 5, ..SyncedPoint::new(3, 20, Durability::Sync) };
        let both = SyncedPoint { log_start_offset: 8, cleaned_offset: 9, ..new };
        assert_eq!((old.merge(new), new.merge(old)), (both, both));
    }
}
