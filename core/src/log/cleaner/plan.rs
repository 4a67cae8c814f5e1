//! What of a log can be cleaned, whether it is worth it, and which segments become one. Kafka's rules
//! (`LogCleanerManager.cleanableOffsets`, `Cleaner.groupSegmentsBySize`).
//!
//! A log is clean up to an offset, dirty from there to its active segment. Cleaning starts at its first segment and ends
//! before the first one that is active, holds or follows an open transaction, is not synced, or is too young.

use std::io;
use std::ops::Range;

use super::super::config::LogConfig;
use super::super::descriptors::{Descriptors, FileKind};
use super::super::log::Log;
use super::super::planted::{PlantedBug, is_planted};
use super::super::scan::BatchScan;

/// One segment to be cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    pub base_offset: i64,
    /// Where the next segment begins.
    pub end_offset: i64,
    pub size_bytes: u64,
    pub index_bytes: [u64; 2],
}

/// What a look at a log finds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dirt {
    /// Segments that can be cleaned, from the first of the log on.
    pub sources: Vec<Source>,
    /// Below it the log is clean.
    pub first_dirty_offset: i64,
    pub clean_bytes: u64,
    pub dirty_bytes: u64,
    /// A segment has waited for longer than `max.compaction.lag.ms`.
    pub is_overdue: bool,
    /// A segment cannot be cleaned because it is not synced.
    pub waits_for_sync: bool,
    /// More can be cleaned later, without another append.
    pub waits: bool,
}

impl Dirt {
    /// Which part of what can be cleaned is dirty, 0 to 1.
    pub fn ratio(&self) -> f64 {
        match self.clean_bytes + self.dirty_bytes {
            0 => 0.0,
            total => self.dirty_bytes as f64 / total as f64,
        }
    }

    /// Whether it is worth it.
    pub fn is_due(&self, config: &LogConfig) -> bool {
        self.dirty_bytes > 0 && (self.is_overdue || self.ratio() > config.min_cleanable_dirty_ratio)
    }
}

impl Log {
    /// Looks for what can be cleaned below `stable_offset`. `is_synced` knows base offsets of segments that recovery does
    /// not need.
    pub fn dirt(
        &mut self,
        stable_offset: i64,
        is_synced: impl Fn(i64) -> bool,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> io::Result<Dirt> {
        let valid = self.log_start_offset..=self.log_end_offset;
        let first_dirty_offset =
            if valid.contains(&self.cleaned_offset) { self.cleaned_offset } else { self.log_start_offset };
        let mut dirt = Dirt {
            sources: Vec::new(),
            first_dirty_offset,
            clean_bytes: 0,
            dirty_bytes: 0,
            is_overdue: false,
            waits_for_sync: false,
            waits: false,
        };
        let (config, end) = (self.config.clone(), self.written_end_offset());
        for index in 0..self.segments.len() - 1 {
            let (base_offset, end_offset) = (self.segments[index].base_offset, self.segments[index + 1].base_offset);
            let is_dirty = end_offset > first_dirty_offset;
            if end_offset > end || (!is_synced(base_offset) && !is_planted(PlantedBug::UnsyncedCleaned)) {
                (dirt.waits, dirt.waits_for_sync) = (true, true);
                break;
            }
            if end_offset > stable_offset {
                dirt.waits = true;
                break;
            }
            self.load_times(index, files)?;
            let segment = &self.segments[index];
            if is_dirty
                && config.min_compaction_lag_ms > 0
                && segment.max_timestamp > now_ms.saturating_sub(config.min_compaction_lag_ms)
            {
                dirt.waits = true;
                break;
            }
            let size_bytes = segment.size_bytes().expect("loaded");
            dirt.clean_bytes += if base_offset < first_dirty_offset { size_bytes } else { 0 };
            dirt.dirty_bytes += if is_dirty { size_bytes } else { 0 };
            dirt.sources.push(Source { base_offset, end_offset, size_bytes, index_bytes: segment.index_bytes() });
            if is_dirty && config.max_compaction_lag_ms < i64::MAX {
                let first = self.first_timestamp(index, files)?;
                dirt.waits = true;
                dirt.is_overdue |= first > 0 && first < now_ms.saturating_sub(config.max_compaction_lag_ms.max(0));
            }
        }
        Ok(dirt)
    }

    /// The largest timestamp of a segment's first batch; below 0 when there is none.
    fn first_timestamp(&mut self, index: usize, files: &mut Descriptors) -> io::Result<i64> {
        let segment = &self.segments[index];
        let size = segment.size_bytes().expect("loaded");
        let file = files.file(&self.dir, segment.file_id(self.key, FileKind::Log), false)?;
        Ok(BatchScan::new(file, 0, size).next_header()?.map_or(-1, |(header, _)| header.max_timestamp))
    }
}

/// Which neighbouring segments become one: as many as fit into `segment.bytes`, `segment.index.bytes` and the 31 bits of an
/// index entry's offset, by the sizes that they have now.
pub(crate) fn groups(sources: &[Source], config: &LogConfig) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let (mut size_bytes, mut index_bytes) = (0, [0, 0]);
    for (at, source) in sources.iter().enumerate() {
        let joined = [index_bytes[0] + source.index_bytes[0], index_bytes[1] + source.index_bytes[1]];
        let fits = |group: &Range<usize>| {
            size_bytes + source.size_bytes <= u64::from(config.segment_bytes)
                && joined.iter().all(|bytes| *bytes <= u64::from(config.segment_index_bytes))
                && source.end_offset - 1 - sources[group.start].base_offset <= i64::from(i32::MAX)
        };
        match groups.last_mut().filter(|group| fits(group)) {
            Some(group) => {
                group.end = at + 1;
                (size_bytes, index_bytes) = (size_bytes + source.size_bytes, joined);
            }
            None => {
                groups.push(at..at + 1);
                (size_bytes, index_bytes) = (source.size_bytes, source.index_bytes);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(base_offset: i64, end_offset: i64, size_bytes: u64) -> Source {
        Source { base_offset, end_offset, size_bytes, index_bytes: [8, 12] }
    }

    #[test]
    fn small_segments_become_one_until_a_bound_is_reached() {
        let config = LogConfig { segment_bytes: 100, segment_index_bytes: 60, ..LogConfig::default() };
        let of = |sources: &[Source]| groups(sources, &config);
        assert_eq!(of(&[]), []);
        let sizes = [60, 40, 1, 99, 101, 100].map(|size| source(0, 9, size));
        assert_eq!(of(&sizes), [0..2, 2..4, 4..5, 5..6], "segment.bytes");
        assert_eq!(of(&[source(0, 9, 1); 12]), [0..5, 5..10, 10..12], "segment.index.bytes");
        let far = i64::from(i32::MAX);
        assert_eq!(of(&[source(5, 6, 1), source(6, far + 6, 1), source(0, 1, 100)]), [0..2, 2..3]);
        assert_eq!(of(&[source(5, 6, 1), source(6, far + 7, 1)]), [0..1, 1..2], "an entry has 31 bits");
    }

    #[test]
    fn what_is_dirty_enough_or_waits_for_too_long_is_due() {
        let config = LogConfig { min_cleanable_dirty_ratio: 0.5, ..LogConfig::default() };
        let dirt = |clean_bytes, dirty_bytes, is_overdue| Dirt {
            sources: Vec::new(),
            first_dirty_offset: 0,
            clean_bytes,
            dirty_bytes,
            is_overdue,
            waits_for_sync: false,
            waits: false,
        };
        assert!(dirt(49, 51, false).is_due(&config));
        assert!(!dirt(50, 50, false).is_due(&config));
        assert!(dirt(99, 1, true).is_due(&config));
        assert!(!dirt(99, 0, true).is_due(&config));
        assert!(!dirt(0, 0, false).is_due(&LogConfig { min_cleanable_dirty_ratio: 0.0, ..config }));
    }
}
