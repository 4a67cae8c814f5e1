//! Opening one log: where it ends, and what its indexes and its producers' state lack, from as little of the files as
//! possible.
//!
//! | opened | ends | behind that |
//! |---|---|---|
//! | after a clean stop | where the active segment's file ends | any other byte is corruption |
//! | after a crash, bytes are in the commit log | at the synced point | cut off, the commit log has it |
//! | after a crash, not in the commit log | at the last batch with a right CRC behind the synced point | cut off |
//! | the same, on the page cache that it was written to | at its last whole batch | cut off |
//!
//! Indexes, leader epochs and producer snapshots are believed as far as they agree with the batches they name, and are
//! made again from the batches where they do not. So the walk begins at the last index entry, not at the segment's start.
//!
//! Invariant: nothing below the synced point is cut, whatever it looks like.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use super::cleaner::finish_swaps;
use super::descriptors::{Descriptors, FileKind, segment_path};
use super::error::StoreError;
use super::header::BatchHeader;
use super::log::{Log, offset_of_file, snapshot_path};
use super::partition_metadata::{PARTITION_METADATA_FILE, decode_partition_metadata};
use super::producer_state::{ProducerState, TransactionEnd};
use super::scan::{BatchScan, ScanEnd};
use super::segment::Segment;
use super::synced_points::SyncedPoint;
use super::time_index::TimeEntry;
use super::{LogKey, LogSpec};
use crate::reactor::{Disk, read_file, remove_file_if_there};
use crate::record::BatchView;

/// What to do with the bytes behind the synced point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    /// They are in the commit log, or were never acked.
    Cut,
    /// They count while their CRC is right. They are written again where the page cache is not to be believed.
    Keep { write_again: bool },
    /// All of it is there that was written: they count while they are whole batches.
    Written,
}

/// How far a walk through a segment has come.
struct Walked {
    /// Where its last batch begins.
    last: Option<u64>,
    /// Where it ended.
    position: u64,
    /// How the bytes end there.
    end: ScanEnd,
}

impl Log {
    /// Opens what lies in the partition's folder after a clean stop, or starts empty.
    pub fn open(
        key: LogKey,
        spec: &LogSpec,
        log_dir: &Path,
        log_start_offset: i64,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<Self, StoreError> {
        let mut log = Self::empty(key, spec, log_dir, log_start_offset);
        log.open_segments(now_ms, files)?;
        if log.is_new {
            (log.log_end_offset, log.producers_loaded) = (log.log_start_offset, true);
            return Ok(log);
        }
        let active = log.segments.len() - 1;
        let Walked { position, end, .. } = log.walk(active, i64::MAX, now_ms, files)?;
        if end != ScanEnd::Clean {
            return Err(log.corrupt(format!("no whole batch at byte {position} of its last segment")));
        }
        log.load_leader_epochs(files)?;
        log.load_producers(files)?;
        Ok(log)
    }

    /// Opens a log that ends at `point`: after a clean stop it must, after a crash what is behind it was never acked.
    pub fn open_at(
        key: LogKey,
        spec: &LogSpec,
        point: &SyncedPoint,
        from_clean_stop: bool,
        log_dir: &Path,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<Self, StoreError> {
        if !from_clean_stop {
            let mut log = Self::empty(key, spec, log_dir, point.log_start_offset);
            log.cleaned_offset = point.cleaned_offset;
            log.recover(point, point.end_offset, Behind::Cut, now_ms, files)?;
            if log.is_new {
                log.producers_loaded = true;
            } else {
                log.remove_snapshots_ahead(files)?;
                log.load_producers(files)?;
            }
            if let Some(from) = point.unsynced_from {
                let first = log.segment_index(from);
                log.unsynced = log.segments[first..].iter().map(|segment| segment.base_offset).collect();
                log.new_names = true;
                log.flush.flushed_end_offset = from;
            } else {
                log.all_flushed();
            }
            return Ok(log);
        }
        let mut log = Self::open(key, spec, log_dir, point.log_start_offset, now_ms, files)?;
        log.check_first_segment(point)?;
        log.cleaned_offset = point.cleaned_offset;
        log.all_flushed();
        let (end, known) = (log.log_end_offset, point.end_offset);
        if end == known { Ok(log) } else { Err(log.corrupt(format!("ends at {end}, its checkpoint says {known}"))) }
    }

    /// Refuses a log that a clean stop left with segments in front of its first one: the log start that was noted, and
    /// the leader epochs, begin where it begins, or in it.
    fn check_first_segment(&self, point: &SyncedPoint) -> Result<(), StoreError> {
        let first_offset = self.segments[0].base_offset;
        let noted_start = Some(point.log_start_offset).filter(|offset| *offset > 0);
        let first_epoch = self.leader_epochs.entries().first().map(|entry| entry.start_offset);
        match noted_start.or(first_epoch) {
            Some(begins) if begins < first_offset => {
                Err(self.corrupt(format!("begins with the segment of offset {first_offset}, and began at {begins}")))
            }
            _ => Ok(()),
        }
    }

    /// Opens the folder after a crash; everything below `point` was synced, with indexes below `checkpointed` only. Returns
    /// the bytes that were cut off.
    pub fn recover(
        &mut self,
        point: &SyncedPoint,
        checkpointed: i64,
        behind: Behind,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<u64, StoreError> {
        self.open_segments(now_ms, files)?;
        if self.is_new && point.end_offset <= self.log_start_offset {
            self.log_end_offset = self.log_start_offset;
            return Ok(0);
        }
        if behind == Behind::Cut && self.segments[0].base_offset > point.end_offset {
            // A power cut took the names before it. What was retired is below the synced point: nothing here counts.
            self.log_start_offset = point.log_start_offset;
            self.segments.insert(0, Segment::new(point.log_start_offset, now_ms));
        }
        // A torn `partition.metadata` is written anew.
        self.folder_ready = read_file(files.disk(), &self.dir.join(PARTITION_METADATA_FILE))
            .is_ok_and(|bytes| decode_partition_metadata(&bytes).is_ok_and(|topic_id| topic_id == self.topic_id));
        let written = if behind == Behind::Written { self.walk_written(point, now_ms, files)? } else { None };
        let (index, position, end) = match written {
            Some(reached) => reached,
            None => self.walk_synced(point, checkpointed, behind, now_ms, files)?,
        };
        let cut_bytes = if behind == Behind::Cut || end != ScanEnd::Clean {
            self.cut_behind(index, position, files).map_err(|error| self.io_error(error))?
        } else {
            0
        };
        self.load_leader_epochs(files)?;
        // A power cut may have left the file of before the last segments were retired.
        self.leader_epochs.truncate_from_start(self.log_start_offset);
        Ok(cut_bytes)
    }

    /// To the synced point, and behind it as far as the bytes there count. Returns the segment and position reached, and
    /// how the bytes end there.
    fn walk_synced(
        &mut self,
        point: &SyncedPoint,
        checkpointed: i64,
        behind: Behind,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<(usize, u64, ScanEnd), StoreError> {
        let first_offset = self.segments[0].base_offset;
        let synced = point.end_offset.max(first_offset);
        // A segment that begins at the synced point is not the one: its predecessor's indexes may lack their end.
        let index = self.segment_index((synced - 1).max(first_offset));
        self.settle_segments(self.segment_index((checkpointed - 1).max(first_offset))..index, now_ms, files)?;
        let Walked { position, end, .. } = self.walk(index, synced, now_ms, files)?;
        if self.log_end_offset < synced && synced == self.log_start_offset {
            // All was retired. Names of it came back, and not that of the segment that was to follow.
            self.segments.iter().for_each(|segment| files.forget(self.key, segment.base_offset));
            self.remove_first(self.segments.len(), &**files.disk()).map_err(|error| self.io_error(error))?;
            self.segments.push(Segment::new(synced, now_ms));
            self.log_end_offset = synced;
            return Ok((0, 0, ScanEnd::Clean));
        }
        if self.log_end_offset != synced {
            return Err(self.corrupt(format!("ends here at byte {position}, and was synced up to {synced}")));
        }
        self.segments[index].raise_max_timestamp(point.max_timestamp, point.max_timestamp_offset);
        match behind {
            Behind::Cut => Ok((index, position, end)),
            Behind::Keep { write_again } => self.keep_checked(index, position, write_again, now_ms, files),
            Behind::Written => self.keep_checked(index, position, false, now_ms, files),
        }
    }

    /// Where all that was written is there, as after a clean stop: to the last whole batch of the last segment. `None` if
    /// it does not look so.
    fn walk_written(
        &mut self,
        point: &SyncedPoint,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<Option<(usize, u64, ScanEnd)>, StoreError> {
        let active = self.segments.len() - 1;
        let Walked { last, position, end } = match self.walk(active, i64::MAX, now_ms, files) {
            Err(StoreError::Corrupt { .. }) => return Ok(None),
            walked => walked?,
        };
        // A killed process may have been at the last batch.
        let is_whole = match last {
            Some(last) => {
                let file = files.file(&self.dir, self.segments[active].file_id(self.key, FileKind::Log), false);
                let checked = file.and_then(|file| BatchScan::new(file, last, position).next_checked());
                checked.map_err(|error| self.io_error(error))?.is_some()
            }
            None => true,
        };
        if !is_whole || self.log_end_offset < point.end_offset {
            return Ok(None);
        }
        self.segments[active].raise_max_timestamp(point.max_timestamp, point.max_timestamp_offset);
        let synced = self.segment_index(point.end_offset - 1);
        self.unsynced.extend(self.segments[synced..].iter().map(|segment| segment.base_offset));
        Ok(Some((active, position, end)))
    }

    /// Removes the producer snapshots of offsets that will be given again, when all is there that comes back.
    pub fn remove_snapshots_ahead(&mut self, files: &Descriptors) -> Result<(), StoreError> {
        let disk = files.disk();
        let ahead: Vec<i64> = self.snapshots_found.extract_if(.., |offset| *offset > self.log_end_offset).collect();
        if ahead.is_empty() {
            return Ok(());
        }
        let removed = ahead.into_iter().try_for_each(|offset| disk.remove_file(&snapshot_path(&self.dir, offset)));
        // A power cut must not bring them back.
        removed.and_then(|()| disk.sync_dir(&self.dir)).map_err(|error| self.io_error(error))
    }

    /// Brings the indexes of ended segments up to their batches.
    fn settle_segments(
        &mut self,
        segments: Range<usize>,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<(), StoreError> {
        for index in segments {
            let (base_offset, end_offset) = (self.segments[index].base_offset, self.segments[index + 1].base_offset);
            let Walked { position, .. } = self.walk(index, end_offset, now_ms, files)?;
            if self.log_end_offset != end_offset {
                return Err(self.corrupt(format!("ends here at byte {position}, and the next segment at {end_offset}")));
            }
            self.unsynced.push(base_offset);
            let (key, dir) = (self.key, self.dir.clone());
            let sealed =
                self.segments[index].seal(key, &dir, files).and_then(|()| self.cut_padding(base_offset, files));
            sealed.map_err(|error| self.io_error(error))?;
        }
        Ok(())
    }

    pub fn corrupt(&self, reason: String) -> StoreError {
        StoreError::Corrupt { path: self.dir.clone(), offset: self.log_end_offset, reason }
    }

    /// Takes in the names in the partition's folder, the segments among them; an empty log begins with one.
    fn open_segments(&mut self, now_ms: i64, files: &mut Descriptors) -> Result<(), StoreError> {
        let names = self.list_files(files)?;
        self.is_new = names.is_none();
        let mut names = names.unwrap_or_default();
        self.remove_deleted(&names, &**files.disk()).map_err(|error| self.io_error(error))?;
        if finish_swaps(files.disk(), &self.dir, &names).map_err(|error| self.io_error(error))? {
            names = self.list_files(files)?.unwrap_or_default();
        }
        self.folder_ready = names.iter().any(|name| name == PARTITION_METADATA_FILE);
        let mut bases: Vec<i64> = names.iter().filter_map(|name| offset_of_file(name, ".log")).collect();
        bases.sort_unstable();
        self.segments = bases.into_iter().map(Segment::unopened).collect();
        self.snapshots_found = names.iter().filter_map(|name| offset_of_file(name, ".snapshot")).collect();
        self.remove_retired(&**files.disk()).map_err(|error| self.io_error(error))?;
        if self.segments.is_empty() {
            self.segments = vec![Segment::new(self.log_start_offset, now_ms)];
        }
        self.log_start_offset = self.log_start_offset.max(self.segments[0].base_offset);
        self.load_aborted(&names, files).map_err(|error| self.io_error(error))
    }

    /// The names in the folder; `None` where there is none.
    fn list_files(&self, files: &Descriptors) -> Result<Option<Vec<String>>, StoreError> {
        match files.disk().list_dir(&self.dir) {
            Ok(entries) => Ok(Some(entries.into_iter().map(|entry| entry.name).collect())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io_error(error)),
        }
    }

    /// Walks a segment from its last index entry that is right to `end_offset` or to where whole batches end, and takes
    /// it in.
    fn walk(
        &mut self,
        index: usize,
        end_offset: i64,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<Walked, StoreError> {
        let (key, dir) = (self.key, self.dir.clone());
        let base_offset = self.segments[index].base_offset;
        self.log_end_offset = base_offset;
        let io_error = |source| StoreError::Io { path: segment_path(&dir, base_offset, FileKind::Log), source };
        let file = match files.file(&dir, self.segments[index].file_id(key, FileKind::Log), false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Walked { last: None, position: 0, end: ScanEnd::Clean });
            }
            file => file.map_err(io_error)?,
        };
        let size = file.len().map_err(io_error)?;
        self.segments[index].load_indexes(end_offset, now_ms, key, &dir, files).map_err(io_error)?;
        let newest_time = self.segments[index].last_time_entry();
        let times_right = match newest_time {
            Some(entry) => self.is_right(index, entry, files).map_err(io_error)?,
            // Both indexes get their entries together; one may be lost without the other.
            None => self.segments[index].last_entry().is_none(),
        };
        let segment = &mut self.segments[index];
        let mut scan = BatchScan::new(file.clone(), 0, size);
        let first = scan.next_header().map_err(io_error)?;
        let entry = segment.last_entry();
        let mut last = None;
        scan = BatchScan::new(file.clone(), entry.map_or(0, |entry| u64::from(entry.position)), size);
        if let Some(entry) = entry {
            match scan.next_header().map_err(io_error)? {
                Some((header, _)) if times_right && header.last_offset() == entry.offset => {
                    segment.go_on_behind(&header, entry);
                    last = Some(u64::from(entry.position));
                    self.log_end_offset = entry.offset + 1;
                }
                _ => scan = BatchScan::new(file, 0, size),
            }
        }
        if scan.position() == 0 && (entry.is_some() || newest_time.is_some()) {
            // A short segment has a time entry from its clean stop, and no offset entry: nothing is wrong with it.
            if entry.is_some() || !times_right {
                tracing::warn!(folder = %dir.display(), base_offset, "an index is made again");
            }
            segment.reset(now_ms);
            files.forget_indexes(key, base_offset);
        }
        if let Some((first, _)) = first {
            segment.set_first_timestamp(first.max_timestamp);
        }
        let config = self.config.clone();
        while self.log_end_offset < end_offset
            && let Some((header, position)) = scan.next_header().map_err(io_error)?
        {
            // Compaction leaves holes, never a step back.
            if header.base_offset < self.log_end_offset || header.last_offset() >= end_offset {
                return Err(self.corrupt(format!("a batch of offset {} at byte {position}", header.base_offset)));
            }
            self.segments[index].append(&header, &config);
            self.log_end_offset = header.last_offset() + 1;
            last = Some(position);
        }
        Ok(Walked { last, position: scan.position(), end: scan.end() })
    }

    /// Takes in what follows behind a position, on across segments, while the CRC is right.
    fn keep_checked(
        &mut self,
        mut index: usize,
        mut position: u64,
        write_again: bool,
        now_ms: i64,
        files: &mut Descriptors,
    ) -> Result<(usize, u64, ScanEnd), StoreError> {
        let (key, dir, config) = (self.key, self.dir.clone(), self.config.clone());
        loop {
            let base_offset = self.segments[index].base_offset;
            let io_error = |source| StoreError::Io { path: segment_path(&dir, base_offset, FileKind::Log), source };
            let file = match files.file(&dir, self.segments[index].file_id(key, FileKind::Log), false) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((index, 0, ScanEnd::Clean)),
                file => file.map_err(io_error)?,
            };
            let size = file.len().map_err(io_error)?;
            self.unsynced.push(base_offset);
            let mut scan = BatchScan::new(file.clone(), position, size);
            while let Some((header, at)) = scan.next_checked().map_err(io_error)? {
                // Compaction leaves holes below the synced point only.
                if header.base_offset != self.log_end_offset {
                    return Ok((index, at, ScanEnd::Invalid));
                }
                if write_again {
                    let batch = scan.bytes(at, header.size_bytes as usize, 0);
                    batch.and_then(|batch| file.write_all_at(at, batch)).map_err(io_error)?;
                }
                self.segments[index].append(&header, &config);
                self.log_end_offset = header.last_offset() + 1;
            }
            let follows = self.segments.get(index + 1).is_some_and(|next| next.base_offset == self.log_end_offset);
            if scan.end() != ScanEnd::Clean || !follows {
                let end = if index + 1 < self.segments.len() { ScanEnd::Invalid } else { scan.end() };
                return Ok((index, scan.position(), end));
            }
            self.segments[index].seal(key, &dir, files).map_err(io_error)?;
            index += 1;
            position = 0;
            self.segments[index].reset(now_ms);
            files.forget_indexes(key, self.segments[index].base_offset);
        }
    }

    /// Makes segment `index` the last one and cuts it at `position`; its indexes hold nothing of what was behind.
    fn cut_behind(&mut self, index: usize, position: u64, files: &mut Descriptors) -> io::Result<u64> {
        let mut cut_bytes = 0;
        for segment in self.segments.drain(index + 1..) {
            files.forget(self.key, segment.base_offset);
            for kind in FileKind::ALL {
                remove_file_if_there(&**files.disk(), &segment_path(&self.dir, segment.base_offset, kind))?;
            }
        }
        let segment = &self.segments[index];
        match files.file(&self.dir, segment.file_id(self.key, FileKind::Log), false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            file => {
                let file = file?;
                cut_bytes = file.len()? - position;
                if cut_bytes > 0 {
                    file.set_len(position)?;
                }
            }
        }
        files.forget_indexes(self.key, segment.base_offset);
        segment.cut_indexes(self.key, &self.dir, files)?;
        Ok(cut_bytes)
    }

    /// The batch in segment `index` that holds `offset`, or the first behind it. The index is not needed to be right.
    pub fn find_batch(&self, index: usize, offset: i64, files: &mut Descriptors) -> io::Result<Option<BatchHeader>> {
        let segment = &self.segments[index];
        let file = match files.file(&self.dir, segment.file_id(self.key, FileKind::Log), false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let size = file.len()?;
        let entry = segment.floor(offset, self.key, &self.dir, files)?;
        let mut scan = BatchScan::new(file.clone(), entry.map_or(0, |entry| u64::from(entry.position)), size);
        let mut next = scan.next_header()?;
        if entry.is_some_and(|entry| next.is_none_or(|(header, _)| header.last_offset() != entry.offset)) {
            scan = BatchScan::new(file, 0, size);
            next = scan.next_header()?;
        }
        while let Some((header, _)) = next {
            if header.last_offset() >= offset {
                return Ok(Some(header));
            }
            next = scan.next_header()?;
        }
        Ok(None)
    }

    /// Whether the batch that an entry of the time index names has its timestamp.
    pub fn is_right(&self, index: usize, entry: TimeEntry, files: &mut Descriptors) -> io::Result<bool> {
        let header = self.find_batch(index, entry.offset, files)?;
        Ok(header.is_some_and(|header| header.base_offset <= entry.offset && header.max_timestamp == entry.timestamp))
    }

    /// Loads a segment for look-ups by time: its largest timestamp is compared with the log, once.
    pub fn load_times(&mut self, index: usize, files: &mut Descriptors) -> io::Result<()> {
        let (key, dir) = (self.key, self.dir.clone());
        self.segments[index].load(key, &dir, files)?;
        // The active one was compared when the log was opened.
        if index + 1 == self.segments.len() || self.segments[index].times_checked {
            return Ok(());
        }
        let size = self.segments[index].size_bytes().expect("loaded");
        let right = match self.segments[index].last_time_entry() {
            Some(entry) => self.is_right(index, entry, files)?,
            None => size == 0,
        };
        let segment = &mut self.segments[index];
        if !right {
            tracing::warn!(folder = %dir.display(), base_offset = segment.base_offset, "an index is made again");
            segment.reset(0);
            files.forget_indexes(key, segment.base_offset);
            let mut scan = BatchScan::new(files.file(&dir, segment.file_id(key, FileKind::Log), false)?, 0, size);
            while let Some((header, _)) = scan.next_header()? {
                segment.append(&header, &self.config);
            }
            segment.seal(key, &dir, files)?;
        }
        segment.times_checked = true;
        Ok(())
    }

    /// Producer state: the newest snapshot that is readable, and the batches behind it.
    pub fn load_producers(&mut self, files: &mut Descriptors) -> Result<(), StoreError> {
        let mut snapshots = std::mem::take(&mut self.snapshots_found);
        snapshots.retain(|offset| *offset <= self.log_end_offset);
        self.producers_loaded = true;
        let newest = self.newest_snapshot(snapshots, files.disk());
        let (producers, from) = newest.map_err(|error| self.io_error(error))?;
        self.producers = producers;
        self.replay_producers(from, files).map_err(|error| self.io_error(error))
    }

    /// The newest of these snapshots that is readable, and its offset; without one, what is known at the first segment.
    pub fn newest_snapshot(&self, mut offsets: Vec<i64>, disk: &Rc<dyn Disk>) -> io::Result<(ProducerState, i64)> {
        offsets.sort_unstable();
        for offset in offsets.into_iter().rev() {
            match ProducerState::decode(&read_file(disk, &snapshot_path(&self.dir, offset))?) {
                Ok(state) => return Ok((state, offset)),
                Err(error) => tracing::warn!(folder = %self.dir.display(), offset, %error, "snapshot is not used"),
            }
        }
        Ok((ProducerState::default(), self.segments[0].base_offset))
    }

    /// Walks the batches from `from` on.
    fn replay_producers(&mut self, from: i64, files: &mut Descriptors) -> io::Result<()> {
        if from >= self.log_end_offset {
            return Ok(());
        }
        let first = self.segment_index(from);
        self.segments[first].load(self.key, &self.dir, files)?;
        let floor = self.segments[first].floor(from, self.key, &self.dir, files)?;
        let mut start = floor.map_or(0, |entry| u64::from(entry.position));
        for segment in &mut self.segments[first..] {
            segment.load(self.key, &self.dir, files)?;
            let (id, size) = (segment.file_id(self.key, FileKind::Log), segment.size_bytes().expect("loaded"));
            if size == 0 {
                continue;
            }
            let scan = BatchScan::new(files.file(&self.dir, id, false)?, std::mem::take(&mut start), size);
            replay_batches(&mut self.producers, scan, from, |_, _, _, _| {})?;
        }
        Ok(())
    }
}

/// Takes in the batches from offset `from` on. `ended` is told of each marker that ended a transaction: the producers behind
/// it, the marker's batch, what it says, and the transaction's first offset.
pub(super) fn replay_batches(
    producers: &mut ProducerState,
    mut scan: BatchScan,
    from: i64,
    mut ended: impl FnMut(&ProducerState, &BatchHeader, TransactionEnd, i64),
) -> io::Result<()> {
    while let Some((header, position)) = scan.next_header()? {
        if header.base_offset < from {
            continue;
        }
        if let Some(batch) = header.producer_batch() {
            let _ = producers.update(&batch);
        } else if header.is_control()
            && let Ok(batch) = BatchView::parse(scan.bytes(position, header.size_bytes as usize, 0)?)
            && let Some(end) = TransactionEnd::of(&batch)
            && let Some(first_offset) = producers.end_transaction(end)
        {
            ended(producers, &header, end, first_offset);
        }
    }
    Ok(())
}
