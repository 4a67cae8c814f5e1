//! Which segments of a log are old enough, or too much, and how they go: renamed to `.deleted`, removed later by whoever
//! asked. Kafka's rules and Kafka's names.
//!
//! Invariants:
//! - Whole segments only, from the front, never the active one, and only those that are acked and synced: what recovery
//!   may still need stays, and the log never starts above the high watermark.
//! - The log start is durable above a segment before its files are renamed: a power cut may bring any of their names back,
//!   and the next opening removes them.
//! - Nothing makes a file again that was retired: what is synced later is opened, not created.

use std::io;
use std::path::{Path, PathBuf};

use super::descriptors::{Descriptors, FileKind, segment_path};
use super::log::{Log, snapshot_path};
use super::{LogConfig, transaction_index};
use crate::reactor::{Disk, remove_file_if_there};

/// What a deleted file is called until it is removed.
pub(crate) const DELETED_SUFFIX: &str = ".deleted";

/// What a look at a log found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expired {
    /// This many segments at the front may go; perhaps none.
    Segments(usize),
    /// All that is there is too old, and the active segment must be ended first.
    Everything,
}

impl Log {
    /// Looks for segments that are below the log start, beyond `retention.bytes` or older than `retention.ms`.
    /// Nothing goes that is not acked; `is_synced` knows base offsets of segments that recovery does not need.
    pub fn expired(
        &mut self,
        now_ms: i64,
        acked_end_offset: i64,
        is_synced: impl Fn(i64) -> bool,
        files: &mut Descriptors,
    ) -> io::Result<Expired> {
        let last = self.segments.len() - 1;
        let (retention_ms, mut excess_bytes) = match self.config.is_deleted {
            true => (self.config.retention_ms, self.excess_bytes(files)?),
            false => (-1, 0),
        };
        let is_old =
            |timestamp: i64| retention_ms >= 0 && timestamp >= 0 && now_ms.saturating_sub(timestamp) > retention_ms;
        let mut count = 0;
        while count < last {
            let end_offset = self.segments[count + 1].base_offset;
            if end_offset > self.written_end_offset().min(acked_end_offset)
                || !is_synced(self.segments[count].base_offset)
            {
                return Ok(Expired::Segments(count));
            }
            self.load_times(count, files)?;
            let segment = &self.segments[count];
            let size_bytes = segment.size_bytes().expect("loaded") as i64;
            let is_too_much = excess_bytes >= size_bytes;
            if end_offset > self.log_start_offset && !is_too_much && !is_old(segment.max_timestamp) {
                return Ok(Expired::Segments(count));
            }
            excess_bytes -= size_bytes;
            count += 1;
        }
        let active = &self.segments[last];
        let is_empty = self.log_end_offset == active.base_offset;
        let is_all_acked = acked_end_offset == self.log_end_offset && self.tail.is_empty() && self.direct.is_empty();
        let is_all_old = !is_empty && is_old(active.max_timestamp) && is_all_acked;
        Ok(if is_all_old { Expired::Everything } else { Expired::Segments(count) })
    }

    /// Whether records that wait to be written are all too old: they must be in the segment to be deleted with it.
    pub fn is_tail_old(&self, now_ms: i64) -> bool {
        let LogConfig { is_deleted, retention_ms, .. } = *self.config;
        let newest = self.segments.last().map_or(-1, |active| active.max_timestamp);
        let is_old = newest >= 0 && now_ms.saturating_sub(newest) > retention_ms;
        is_deleted && retention_ms >= 0 && !self.tail.is_empty() && is_old
    }

    /// Bytes beyond `retention.bytes`.
    fn excess_bytes(&mut self, files: &mut Descriptors) -> io::Result<i64> {
        if self.config.retention_bytes < 0 {
            return Ok(0);
        }
        Ok((self.size_bytes(files)? as i64 - self.config.retention_bytes).max(0))
    }

    /// Bytes of all segments, with what still waits to be written.
    pub fn size_bytes(&mut self, files: &mut Descriptors) -> io::Result<u64> {
        let mut total = 0;
        for segment in &mut self.segments {
            segment.load(self.key, &self.dir, files)?;
            total += segment.size_bytes().expect("loaded");
        }
        Ok(total)
    }

    /// Moves the log start above the first `count` segments, which may go when that is durable.
    pub fn expire_segments(&mut self, count: usize) {
        self.log_start_offset = self.log_start_offset.max(self.segments[count].base_offset);
        self.log_start_moved |= self.durable_start_offset < self.log_start_offset;
    }

    /// Of the first `count` segments, how many are below the durable log start.
    pub fn retirable(&self, count: usize) -> usize {
        let ends = self.segments[1..=count].iter().map(|next| next.base_offset);
        ends.take_while(|end| *end <= self.durable_start_offset).count()
    }

    /// Takes the first `count` segments out and renames their files. Told the new names.
    pub fn retire_segments(&mut self, count: usize, files: &mut Descriptors) -> io::Result<Vec<PathBuf>> {
        assert!(count < self.segments.len(), "the active segment stays");
        let first_left = self.segments[count].base_offset;
        assert!(first_left <= self.durable_start_offset, "a power cut may bring their names back");
        let before = self.leader_epochs.entries().len();
        self.leader_epochs.truncate_from_start(self.log_start_offset);
        if count > 0 && self.leader_epochs.entries().len() != before {
            self.write_leader_epochs(files)?;
        }
        self.aborted.forget_below(self.log_start_offset);
        self.read_hints = None;
        let mut renamed = Vec::new();
        self.sync_first.retain(|base| *base >= first_left);
        for segment in self.segments.drain(..count) {
            files.forget(self.key, segment.base_offset);
            for path in segment_files(&self.dir, segment.base_offset) {
                mark_deleted(&**files.disk(), &path, &mut renamed)?;
            }
        }
        Ok(renamed)
    }

    /// Moves the log start up; what is below cannot be read any more.
    pub fn advance_log_start(&mut self, log_start_offset: i64) {
        assert!(log_start_offset <= self.log_end_offset, "the log start never passes the log end");
        self.log_start_offset = self.log_start_offset.max(log_start_offset);
    }

    /// Removes what is below the log start: a power cut may have brought its names back.
    pub fn remove_retired(&mut self, disk: &dyn Disk) -> io::Result<()> {
        let ends = self.segments.iter().skip(1).map(|next| next.base_offset);
        let count = ends.take_while(|end| *end <= self.log_start_offset).count();
        self.remove_first(count, disk)
    }

    /// Removes the first `count` segments with their files.
    pub fn remove_first(&mut self, count: usize, disk: &dyn Disk) -> io::Result<()> {
        let mut gone = self.segments.drain(..count).flat_map(|segment| segment_files(&self.dir, segment.base_offset));
        gone.try_for_each(|path| remove_file_if_there(disk, &path))
    }

    /// Removes what a stop left of deleted segments.
    pub fn remove_deleted(&self, names: &[String], disk: &dyn Disk) -> io::Result<()> {
        names
            .iter()
            .filter(|name| name.ends_with(DELETED_SUFFIX))
            .try_for_each(|name| disk.remove_file(&self.dir.join(name)))
    }
}

/// Paths of all that a segment may have: its files, the producers at its start, its aborted transactions.
pub(crate) fn segment_files(dir: &Path, base_offset: i64) -> impl Iterator<Item = PathBuf> {
    let aborted = dir.join(format!("{base_offset:020}{}", transaction_index::EXTENSION));
    let files = FileKind::ALL.map(|kind| segment_path(dir, base_offset, kind));
    files.into_iter().chain([snapshot_path(dir, base_offset), aborted])
}

/// Renames a file to what it is called until it is removed, and adds that to `deleted`. One that is not there is as good.
pub(crate) fn mark_deleted(disk: &dyn Disk, path: &Path, deleted: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(DELETED_SUFFIX);
    match disk.rename(path, name.as_ref()) {
        Ok(()) => deleted.push(name.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
