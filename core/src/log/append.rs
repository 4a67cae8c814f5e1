//! Appending to one log: check, assign offsets, put into the tail; later the one write of what waits there.
//!
//! Invariants:
//! - A batch is in the tail with its offset, its index entries and its producer's state, or nothing of it is anywhere.
//! - The tail is written before a batch goes directly; while one is on its way every later one does. None begins to while
//!   a late write is under way.
//! - After a failed write the file ends with the last whole batch, and what could not be written is taken back (class
//!   page-cache) or stays in the tail to be tried again (class sync: the commit log has it).

use std::io;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use super::commit_log::Lsn;
use super::descriptors::{Descriptors, FileId, FileKind};
use super::error::AppendError;
use super::header::{BatchHeader, HEADER_BYTES, patch_log_append_time, patch_offset};
use super::leader_epoch_cache::LeaderEpochMark;
use super::log::Log;
use super::producer_state::{ProducerBatch, ProducerUndo, SequenceCheck};
use super::segment::SegmentMark;
use super::tail::TailBatch;
use crate::buffer::staging::StagingPool;
use crate::reactor::File;
use crate::record::TimestampType;

/// Where a batch went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The batch had been appended before: these are the offsets it got then.
    pub duplicate: bool,
    /// The broker's timestamp, or -1 where the producer's is kept.
    pub log_append_time_ms: i64,
    /// First readable offset of the log.
    pub log_start_offset: i64,
    /// In how many milliseconds [`LogStore::flush`](super::LogStore::flush) is to be called for the log, if anything.
    pub flush_in_ms: Option<i64>,
}

/// What one append changed besides the tail.
#[derive(Debug)]
pub(crate) struct Undo {
    pub segment: SegmentMark,
    pub producer: Option<ProducerUndo>,
    pub leader_epoch: LeaderEpochMark,
}

/// A batch that was checked and got its offset, to be put into the tail.
#[derive(Debug)]
pub(crate) struct Staged {
    pub header: BatchHeader,
    pub head: Bytes,
    pub body: Bytes,
    pub log_append_time_ms: i64,
}

/// What the checks say.
#[derive(Debug)]
pub(crate) enum Stage {
    Duplicate(Appended),
    Fresh(Staged),
}

/// What the producer state keeps of a batch, if anything.
pub(crate) fn producer_batch(batch: &[u8]) -> Option<ProducerBatch> {
    BatchHeader::parse(batch)?.producer_batch()
}

/// Whether an error goes away by itself when space is freed.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Log {
    /// Checks a batch and gives it the next offset. Changes nothing of the log but, where the segment is full, the segment.
    ///
    /// `batch` is one whole batch whose CRC and records were checked. `heads` provides the memory of the patched header.
    pub fn stage(
        &mut self,
        batch: &Bytes,
        leader_epoch: i32,
        now_ms: i64,
        heads: &mut BytesMut,
        files: &mut Descriptors,
    ) -> Result<Stage, AppendError> {
        let mut header = BatchHeader::parse(batch).ok_or(AppendError::InvalidBatch)?;
        if let Some(reason) = self.stopped.clone() {
            // Not that it is out of order, either: a producer that bumps its epoch for it sends what it had under way anew.
            let is_known = matches!(self.stage_check_sequence(&header), Ok(Some(_)));
            return Err(if is_known { AppendError::MaybeAppended(reason) } else { AppendError::Stopped(reason) });
        }
        if header.size_bytes as usize != batch.len() {
            return Err(AppendError::InvalidBatch);
        }
        if header.size_bytes > self.config.segment_bytes {
            let (size_bytes, segment_bytes) = (header.size_bytes, self.config.segment_bytes);
            return Err(AppendError::TooLarge { size_bytes, segment_bytes });
        }
        if let Some(duplicate) = self.stage_check_sequence(&header)? {
            return Ok(Stage::Duplicate(duplicate));
        }
        let log_append_time_ms = match self.config.timestamp_type {
            TimestampType::CreateTime => -1,
            TimestampType::LogAppendTime => now_ms,
        };
        if log_append_time_ms >= 0 {
            header.max_timestamp = log_append_time_ms;
        }
        header.base_offset = self.log_end_offset;
        header.leader_epoch = leader_epoch;
        self.stage_roll(&header, now_ms, files)?;

        let mut head = heads_take(heads, &batch[..HEADER_BYTES]);
        patch_offset(&mut head, header.base_offset, leader_epoch);
        if log_append_time_ms >= 0 {
            patch_log_append_time(&mut head, &batch[HEADER_BYTES..], log_append_time_ms);
        }
        Ok(Stage::Fresh(Staged { header, head: head.freeze(), body: batch.slice(HEADER_BYTES..), log_append_time_ms }))
    }

    fn stage_check_sequence(&self, header: &BatchHeader) -> Result<Option<Appended>, AppendError> {
        let Some(batch) = header.producer_batch() else { return Ok(None) };
        match self.producers.check(&batch) {
            SequenceCheck::Fresh => Ok(None),
            SequenceCheck::Duplicate { base_offset, last_offset, timestamp } => Ok(Some(Appended {
                base_offset,
                last_offset,
                duplicate: true,
                log_append_time_ms: match self.config.timestamp_type {
                    TimestampType::CreateTime => -1,
                    TimestampType::LogAppendTime => timestamp,
                },
                log_start_offset: self.log_start_offset,
                flush_in_ms: None,
            })),
            SequenceCheck::InvalidTransactionState => Err(AppendError::InvalidTransactionState),
            SequenceCheck::OutOfOrder => Err(AppendError::OutOfOrderSequence),
            SequenceCheck::BehindRefused => Err(AppendError::BehindRefused),
            SequenceCheck::StaleEpoch => Err(AppendError::InvalidProducerEpoch),
        }
    }

    /// A batch found no room and will be sent again: see [`ProducerState::refuse`](super::producer_state::ProducerState::refuse).
    pub fn note_refused(&mut self, batch: &[u8]) {
        if let Some(batch) = producer_batch(batch) {
            self.producers.refuse(&batch);
        }
    }

    /// Begins a new segment if this batch needs one. What waits for the old one is written first, or stays in the tail
    /// behind a late write that is under way.
    fn stage_roll(&mut self, header: &BatchHeader, now_ms: i64, files: &mut Descriptors) -> Result<(), AppendError> {
        if !self.must_roll(header, now_ms) {
            return Ok(());
        }
        if !self.tail.is_under_way()
            && let Some(error) = self.write_tail(files).error
        {
            return Err(self.append_error(&error));
        }
        self.roll(now_ms, files).map_err(|error| self.append_error(&error))
    }

    pub fn append_error(&mut self, error: &io::Error) -> AppendError {
        if is_disk_full(error) {
            return AppendError::DiskFull;
        }
        AppendError::Stopped(self.stop(error))
    }

    /// Puts a staged batch into the tail. `head` and `body` are what the segment will get.
    pub fn append(&mut self, header: &BatchHeader, head: Bytes, body: Bytes, lsn: Option<Lsn>, keep_undo: bool) {
        assert_eq!(head.len() + body.len(), header.size_bytes as usize);
        let active = self.active();
        let segment = active.base_offset;
        let max_timestamp_before = (active.max_timestamp, active.max_timestamp_offset);
        let position = self.note_append(header, keep_undo);
        let (base_offset, last_offset) = (header.base_offset, header.last_offset());
        let batch = TailBatch { base_offset, last_offset, segment, position, lsn, max_timestamp_before, head, body };
        self.tail.push(batch);
    }

    /// Puts a staged batch among those that go directly. `Ok(false)`: there is no memory for it now, nothing was changed.
    pub fn append_direct(&mut self, staged: &Staged, pool: &StagingPool, files: &mut Descriptors) -> io::Result<bool> {
        self.ready_folder(files)?;
        let header = &staged.header;
        let key = self.key;
        let id = self.active().file_id(key, FileKind::Log);
        let position = self.active().size_bytes().expect("only a loaded segment is appended to");
        let (dir, size_bytes) = (&self.dir, header.size_bytes as usize);
        let read_block = |position, block: &mut [u8]| files.file(dir, id, false)?.read_at(position, block);
        if !self.direct.reserve(pool, id.base_offset, position, header.base_offset, size_bytes, read_block)? {
            return Ok(false);
        }
        if position == 0 {
            self.new_names = true;
            self.preallocate(id.base_offset, files)?;
        }
        self.note_append(header, false);
        self.direct.push(header.last_offset() + 1, header.leader_epoch, &staged.head, &staged.body);
        Ok(true)
    }

    /// Gives a segment its room, where `preallocate` says so and the file system can. No byte is visible of it,
    /// unlike in Kafka, whose file has its full length until it is ended.
    fn preallocate(&mut self, base_offset: i64, files: &mut Descriptors) -> io::Result<()> {
        if self.config.preallocate {
            let id = FileId { log: self.key, base_offset, kind: FileKind::Log };
            let file = files.file(&self.dir, id, true)?;
            if let Err(error) = file.allocate(u64::from(self.config.segment_bytes)) {
                tracing::warn!(folder = %self.dir.display(), %error, "a segment is not preallocated");
            }
        }
        Ok(())
    }

    /// Takes a batch into what is known of the log. Returns where its bytes belong.
    fn note_append(&mut self, header: &BatchHeader, keep_undo: bool) -> u64 {
        assert_eq!(header.base_offset, self.log_end_offset, "offsets are given in order");
        let config = Rc::clone(&self.config);
        let segment = self.active().mark();
        let position = self.active().append(header, &config);
        let leader_epoch = self.leader_epochs.assign(header.leader_epoch, header.base_offset);
        let producer = header.producer_batch().map(|batch| self.producers.update(&batch));
        if keep_undo {
            if self.undo.capacity() == 0 {
                self.undo.reserve_exact(1);
            }
            self.undo.push(Undo { segment, producer, leader_epoch });
        }
        self.log_end_offset = header.last_offset() + 1;
        position
    }

    /// Writes the tail to the segments' files. No late write is under way.
    pub fn write_tail(&mut self, files: &mut Descriptors) -> TailOutcome {
        if self.tail.is_empty() {
            return TailOutcome { error: None };
        }
        while !self.tail.is_empty() {
            if let Err(error) = self.write_tail_part(usize::MAX, files) {
                return TailOutcome { error: Some(error) };
            }
        }
        if self.active().index_is_due() {
            self.write_active_indexes(files);
        }
        TailOutcome { error: None }
    }

    /// Writes the index entries that wait. Where that fails they go on waiting.
    pub fn write_active_indexes(&mut self, files: &mut Descriptors) {
        if !self.active().has_pending_entries() {
            return;
        }
        let (key, dir) = (self.key, self.dir.clone());
        if let Err(error) = self.active().write_indexes(key, &dir, files) {
            tracing::warn!(folder = %dir.display(), %error, "index entries are written later");
        }
    }

    /// Writes up to `bytes_max` bytes of the tail, of the segment in which it begins.
    pub fn write_tail_part(&mut self, bytes_max: usize, files: &mut Descriptors) -> io::Result<()> {
        let (segment, file) = self.tail_file(files)?;
        self.note_written(segment);
        let write = self.tail.write_to(&file, bytes_max);
        self.undo.drain(..write.batches.min(self.undo.len()));
        let Some(error) = write.error else { return Ok(()) };
        let end = self.tail.first_position(segment).expect("a failed write leaves a batch");
        if let Err(error) = file.set_len(end) {
            self.stop(&error);
        }
        Err(error)
    }

    /// The segment in which the tail begins, and its file, made when it is missing.
    pub fn tail_file(&mut self, files: &mut Descriptors) -> io::Result<(i64, File)> {
        self.ready_folder(files)?;
        let segment = self.tail.first().expect("called with something to write").segment;
        if self.tail.first_position(segment) == Some(0) {
            self.new_names = true;
            // One that has ended needs no more room.
            if segment == self.active().base_offset {
                self.preallocate(segment, files)?;
            }
        }
        let id = FileId { log: self.key, base_offset: segment, kind: FileKind::Log };
        Ok((segment, files.file(&self.dir, id, true)?))
    }

    /// A segment's file got bytes that are not synced.
    pub fn note_written(&mut self, segment: i64) {
        for segments in [&mut self.unsynced, &mut self.sync_first] {
            if !segments.contains(&segment) {
                segments.push(segment);
            }
        }
    }

    /// Takes back what waits in the tail after a failed write: nobody was told of it. Returns the log end.
    pub fn take_back_tail(&mut self, error: &io::Error) -> AppendError {
        let end = self.written_end_offset();
        assert!(self.tail.is_empty() || !self.undo.is_empty(), "only with undo records");
        while let Some(undo) = self.undo.pop() {
            if let Some(producer) = undo.producer {
                self.producers.undo(producer);
            }
            self.leader_epochs.restore(undo.leader_epoch);
            self.active().restore(&undo.segment);
        }
        let refused: Vec<Bytes> = self.tail.range_from(end).map(|batch| batch.head.clone()).collect();
        self.tail.clear();
        self.log_end_offset = end;
        let error = self.append_error(error);
        if error == AppendError::DiskFull {
            refused.iter().for_each(|head| self.note_refused(head));
        }
        error
    }
}

/// How [`Log::write_tail`] went; what was written is no longer in the tail.
#[derive(Debug)]
pub(crate) struct TailOutcome {
    pub error: Option<io::Error>,
}

/// A copy of a header out of a larger piece of memory, so that a batch does not cost an allocation of its own.
fn heads_take(heads: &mut BytesMut, header: &[u8]) -> BytesMut {
    // Smaller than what makes the allocator join all its free chunks when it is freed.
    const PIECE_BYTES: usize = 32 << 10;
    if heads.capacity() - heads.len() < header.len() {
        heads.reserve(PIECE_BYTES);
    }
    heads.extend_from_slice(header);
    heads.split()
}
