//! One partition on its way back, and what was found of it.

use std::io;
use std::ops::Range;

use super::super::carried::{CarriedPart, NewPart};
use super::super::commit_log::{Extent, Run, SegmentRange};
use super::super::log::Log;
use super::super::synced_points::SyncedPoint;
use super::super::{Durability, LogSpec};

/// One partition on its way back.
#[derive(Debug)]
pub(super) struct Recovering<'a> {
    pub spec: &'a LogSpec,
    pub point: SyncedPoint,
    /// Up to here indexes are synced too.
    pub checkpointed: i64,
    /// The point was noted by topic id, not only by the topic's name.
    pub is_noted: bool,
    /// The last group that went past the commit log.
    pub last_range: Option<SegmentRange>,
    /// The commit log holds what comes behind.
    pub in_commit_log: bool,
    /// What an earlier start has carried, and is not synced.
    pub was_carried: Option<CarriedPart>,
    /// What the commit logs hold behind that.
    pub found: Found,
    /// What is carried over this one.
    pub carried: Option<NewPart>,
    /// Its end is noted as written; its synced point stays.
    pub is_left_unsynced: bool,
    pub log: Option<Log>,
}

impl Recovering<'_> {
    /// Whether what ends here is neither synced in the segment nor carried from before.
    pub fn lacks(&self, end_offset: i64) -> bool {
        let carried = self.was_carried.as_ref().map_or(0, |part| part.end_offset);
        end_offset > self.point.end_offset.max(carried)
    }

    pub fn is_to_be_replayed(&self) -> bool {
        self.in_commit_log && self.carried.is_none()
    }

    /// Where its entries in the commit logs do not follow what is before them.
    pub fn gap(&self) -> Option<i64> {
        let first = self.found.offsets.as_ref()?.start;
        let before = self.was_carried.as_ref().map_or(0, |part| part.end_offset).max(self.point.end_offset);
        self.found.gap.or((first > before).then_some(first))
    }

    /// What it has behind its synced point.
    pub fn part(&mut self) -> io::Result<NewPart> {
        let mut found = std::mem::take(&mut self.found);
        let (mut extents, mut end_offset) = (Vec::new(), self.point.end_offset);
        if let Some(was) = &self.was_carried {
            (extents, end_offset) = (was.extents()?, was.end_offset);
            found.max_timestamp = found.max_timestamp.max(was.max_timestamp);
            found.size_bytes += was.size_bytes;
        }
        extents.append(&mut found.extents);
        Ok(NewPart {
            base_offset: self.point.end_offset,
            end_offset: found.offsets.map_or(end_offset, |offsets| offsets.end),
            max_timestamp: found.max_timestamp,
            size_bytes: found.size_bytes,
            extents,
        })
    }

    /// All that counts behind its synced point is in the commit logs, and will be.
    pub fn may_be_carried(&self) -> bool {
        let classes = [self.point.durability, self.spec.durability];
        let is_known = self.is_noted || self.point.end_offset == 0;
        self.in_commit_log && self.last_range.is_none() && is_known && classes == [Durability::Sync; 2]
    }
}

/// Entries of one partition in the commit logs.
#[derive(Debug)]
pub(super) struct Found {
    offsets: Option<Range<i64>>,
    /// The first offset that does not follow.
    gap: Option<i64>,
    max_timestamp: i64,
    size_bytes: u64,
    extents: Vec<Extent>,
}

impl Default for Found {
    fn default() -> Self {
        Self { offsets: None, gap: None, max_timestamp: -1, size_bytes: 0, extents: Vec::new() }
    }
}

impl Found {
    pub fn push(&mut self, run: &Run, file: u32) {
        let offsets = self.offsets.get_or_insert(run.base_offset..run.base_offset);
        if run.base_offset != offsets.end {
            self.gap.get_or_insert(run.base_offset);
        }
        offsets.end = run.end_offset;
        self.max_timestamp = self.max_timestamp.max(run.max_timestamp);
        self.size_bytes += u64::from(run.payload_bytes());
        self.extents.push(Extent { file, position: run.position, length: run.length });
    }
}
