//! The log as a state machine without I/O: takes entries, says what to write, learns what was written.
//!
//! A *group* is the write that is being filled; *sealed* groups wait for their turn; a *flight* is one operation in the
//! driver with one or more neighbouring groups.
//!
//! Invariants:
//! - `released <= durable_lsn <= next_lsn`; `durable_lsn` moves over the completed front of `flights` only.
//! - A sealed group and its blocks never change. A refused push stores nothing.
//! - The first write of a file starts after the first write of the file before is durable, so that recovery never meets
//!   a gap of generations that a crash made.
//! - After a failure nothing becomes durable any more.

use std::collections::VecDeque;
use std::io;
use std::task::Waker;

use bytes::Bytes;

use super::format::{BLOCK, ENTRY_HEADER, EntryHeader, WRITE_HEADER, WriteHeader, encode_entry_head, entry_crc};
use super::recycle::Slots;
use super::{CommitLogConfig, CommitLogError, Counters, Lsn, Pressure};
use crate::buffer::staging::{Staging, StagingPool};
use crate::log::planted::{PlantedBug, is_planted};
use crate::reactor::Parts;

/// How often one write is repeated at once because it came back short or interrupted.
const REPEATS_MAX: u32 = 8;

/// One operation for the driver.
#[derive(Debug, Clone)]
pub(super) struct WriteOrder {
    pub(super) flight: u64,
    pub(super) slot: u32,
    pub(super) position: u64,
    pub(super) parts: Parts,
    pub(super) durable: bool,
}

/// What to do with an order that completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is over; something may have become durable.
    Done,
    /// Write the same bytes at the same place again.
    Repeat,
    /// The same, once the disk may have room again.
    RepeatLater,
    /// The log has failed.
    Failed,
}

#[derive(Debug)]
struct Group {
    /// In the staging chunk.
    start: usize,
    slot: u32,
    generation: u64,
    position: u64,
    first_lsn: u64,
    entry_count: u32,
    previous_crc: u32,
}

#[derive(Debug)]
struct Sealed {
    slot: u32,
    position: u64,
    bytes: Bytes,
    end_lsn: u64,
    end_sequence: u64,
    released: u64,
}

#[derive(Debug)]
struct Flight {
    id: u64,
    length: u64,
    end_lsn: u64,
    end_sequence: u64,
    released: u64,
    begins_file: bool,
    repeats: u32,
    waits_for_room: bool,
    done: bool,
}

#[derive(Debug)]
pub(super) struct Writer {
    config: CommitLogConfig,
    shard_id: u16,
    log_id: u64,
    pool: StagingPool,
    staging: Option<Staging>,
    /// The newest chunks that are half of the staging memory together: the number of each one's first entry, its bytes.
    newest_chunks: VecDeque<(u64, usize)>,
    group: Option<Group>,
    sealed: VecDeque<Sealed>,
    flights: VecDeque<Flight>,
    next_flight: u64,
    slots: Slots,
    chain_crc: u32,
    next_lsn: u64,
    next_sequence: u64,
    durable_lsn: u64,
    durable_sequence: u64,
    /// Everything below is synced in segments.
    released: u64,
    /// What the newest sealed header says of it.
    announced: u64,
    checkpoint_wanted: bool,
    failure: Option<io::ErrorKind>,
    pub(super) counters: Counters,
    /// For a planted bug only: the group sealed last, with its entries.
    last_group: Option<(Group, Vec<u8>)>,
}

impl Writer {
    pub(super) fn new(config: CommitLogConfig, shard_id: u16, log_id: u64) -> Self {
        config.check();
        Self {
            shard_id,
            log_id,
            pool: StagingPool::new(config.chunk_bytes, config.staging_bytes_max, config.warm_chunks_max),
            staging: None,
            newest_chunks: VecDeque::new(),
            group: None,
            sealed: VecDeque::new(),
            flights: VecDeque::new(),
            next_flight: 0,
            slots: Slots::new(config.file_count, config.file_bytes),
            chain_crc: 0,
            next_lsn: 0,
            next_sequence: 0,
            durable_lsn: 0,
            durable_sequence: 0,
            released: 0,
            announced: 0,
            checkpoint_wanted: false,
            failure: None,
            counters: Counters::default(),
            config,
            last_group: None,
        }
    }

    /// Copies an entry in. Its bytes are durable once `durable_lsn` is above its LSN.
    pub(super) fn push(&mut self, header: &EntryHeader, parts: &[&[u8]]) -> Result<(Lsn, Bytes), CommitLogError> {
        self.check_open()?;
        let payload_length: usize = parts.iter().map(|part| part.len()).sum();
        if payload_length > self.config.entry_bytes_max {
            return Err(CommitLogError::TooLarge { len: payload_length, max: self.config.entry_bytes_max });
        }
        let length = ENTRY_HEADER + payload_length;
        if self.group.as_ref().is_some_and(|group| !self.fits_group(group, length)) {
            self.seal();
        }
        if self.group.is_none() {
            self.open_group(length)?;
        }
        let (Some(group), Some(staging)) = (self.group.as_mut(), self.staging.as_mut()) else {
            unreachable!("an open group lies in the staging chunk")
        };
        let head = encode_entry_head(header, payload_length as u32, self.chain_crc);
        let crc = entry_crc(&head, parts);
        let entry_start = staging.filled();
        staging.append(&crc.to_be_bytes());
        staging.append(&head);
        for part in parts {
            staging.append(part);
        }
        self.chain_crc = crc;
        group.entry_count += 1;
        let lsn = Lsn(self.next_lsn);
        self.next_lsn += 1;
        self.counters.entries += 1;
        self.counters.payload_bytes += payload_length as u64;
        Ok((lsn, staging.share(entry_start + ENTRY_HEADER..entry_start + length)))
    }

    /// Woken when staging memory comes back after some was refused.
    pub(super) fn set_on_memory(&self, waker: Waker) {
        self.pool.set_on_return(waker);
    }

    fn check_open(&self) -> Result<(), CommitLogError> {
        if let Some(kind) = self.failure {
            return Err(CommitLogError::Failed(kind));
        }
        if self.flights.iter().any(|flight| flight.waits_for_room) {
            return Err(CommitLogError::NoSpace);
        }
        Ok(())
    }

    fn fits_group(&self, group: &Group, length: usize) -> bool {
        let Some(staging) = &self.staging else { return false };
        let grown = staging.filled() - group.start + length;
        staging.remaining() >= length
            && grown <= self.config.write_bytes_max
            && grown.next_multiple_of(BLOCK) as u64 <= self.slots.room()
    }

    /// Opens a group that has room for an entry of `length` bytes.
    fn open_group(&mut self, length: usize) -> Result<(), CommitLogError> {
        let needed = (WRITE_HEADER + length).next_multiple_of(BLOCK);
        if self.staging.as_ref().is_none_or(|staging| staging.remaining() < needed) {
            let staging = self.pool.take(needed).ok_or(CommitLogError::Memory)?;
            self.note_chunk(staging.remaining());
            self.staging = Some(staging);
        }
        if self.slots.room() < needed as u64 {
            if !self.slots.roll(self.next_lsn) {
                return Err(CommitLogError::Full);
            }
        } else if self.slots.better_file_waits() {
            self.slots.roll(self.next_lsn);
        }
        self.begin_group();
        if is_planted(PlantedBug::BlockRewritten) {
            self.begin_group_in_the_last_block();
        }
        Ok(())
    }

    fn begin_group(&mut self) {
        let staging = self.staging.as_mut().expect("its callers have taken a chunk");
        debug_assert!(staging.filled().is_multiple_of(BLOCK));
        let (slot, generation, position) = self.slots.active();
        let start = staging.filled();
        self.group = Some(Group {
            start,
            slot,
            generation,
            position,
            first_lsn: self.next_lsn,
            entry_count: 0,
            previous_crc: self.chain_crc,
        });
        staging.leave_hole(WRITE_HEADER);
    }

    /// Ends the open group: nothing is added to it any more.
    fn seal(&mut self) {
        let (Some(group), Some(staging)) = (self.group.take(), self.staging.as_mut()) else { return };
        let length = staging.filled() - group.start;
        let header = WriteHeader {
            shard_id: self.shard_id,
            length: length as u32,
            log_id: self.log_id,
            generation: group.generation,
            sequence: self.next_sequence,
            durable_sequence: self.durable_sequence,
            first_lsn: group.first_lsn,
            released_lsn: self.released,
            entry_count: group.entry_count,
            previous_crc: group.previous_crc,
            last_crc: self.chain_crc,
            slot: group.slot,
            position: group.position,
        };
        staging.fill_hole(&header.encode());
        staging.pad();
        let bytes = staging.share(group.start..staging.filled());
        self.next_sequence += 1;
        self.slots.advance(bytes.len() as u64);
        self.announced = self.released;
        self.checkpoint_wanted = false;
        self.counters.padding_bytes += (bytes.len() - length) as u64;
        self.sealed.push_back(Sealed {
            slot: group.slot,
            position: group.position,
            bytes,
            end_lsn: self.next_lsn,
            end_sequence: self.next_sequence,
            released: self.released,
        });
        if is_planted(PlantedBug::BlockRewritten) {
            self.remember_last_group(group, length);
        }
    }

    /// The next operation, if the driver may have one more: everything that waits, as far as it is one stretch of one
    /// file. Call until it answers `None`.
    pub(super) fn next_order(&mut self) -> Option<WriteOrder> {
        if self.failure.is_some() || self.flights.len() >= self.config.writes_in_flight_max {
            return None;
        }
        if self.sealed.is_empty() {
            if self.group.is_none() && self.checkpoint_wanted {
                self.begin_checkpoint();
            }
            self.seal();
        }
        let begins_file = self.sealed.front()?.position == 0;
        if begins_file && self.flights.iter().any(|flight| flight.begins_file) {
            return None;
        }
        let first = self.sealed.pop_front()?;
        let id = self.next_flight;
        self.next_flight += 1;
        let mut length = first.bytes.len();
        let mut flight = Flight {
            id,
            length: 0,
            end_lsn: first.end_lsn,
            end_sequence: first.end_sequence,
            released: first.released,
            begins_file,
            repeats: 0,
            waits_for_room: false,
            done: false,
        };
        let mut order =
            WriteOrder { flight: id, slot: first.slot, position: first.position, parts: Parts::new(), durable: true };
        order.parts.push(first.bytes);
        while let Some(next) = self.sealed.front() {
            let adjoins = next.slot == order.slot && next.position == order.position + length as u64;
            if !adjoins || length + next.bytes.len() > self.config.write_bytes_max {
                break;
            }
            let Some(next) = self.sealed.pop_front() else { break };
            length += next.bytes.len();
            (flight.end_lsn, flight.end_sequence, flight.released) = (next.end_lsn, next.end_sequence, next.released);
            order.parts.push(next.bytes);
        }
        flight.length = length as u64;
        self.flights.push_back(flight);
        self.counters.writes += 1;
        self.counters.written_bytes += length as u64;
        if is_planted(PlantedBug::NoDsync) {
            order.durable = false;
        }
        Some(order)
    }

    /// A group without entries, so that `released` becomes durable without traffic.
    fn begin_checkpoint(&mut self) {
        if self.staging.as_ref().is_none_or(|staging| staging.remaining() < BLOCK) {
            self.staging = Some(self.pool.take(BLOCK).unwrap_or_else(|| Staging::alone(BLOCK)));
        }
        self.counters.checkpoints += 1;
        self.begin_group();
    }

    /// What the driver answered to the order of `flight`.
    pub(super) fn on_written(&mut self, flight: u64, result: io::Result<u32>) -> Outcome {
        let failed = self.failure.is_some();
        let Some(entry) = self.flights.iter_mut().find(|entry| entry.id == flight && !entry.done) else {
            panic!("an order completes once, and its flight waits for it")
        };
        entry.waits_for_room = false;
        if failed {
            return Outcome::Failed;
        }
        let kind = match result {
            Ok(written) if u64::from(written) == entry.length => {
                entry.done = true;
                self.advance();
                return Outcome::Done;
            }
            // A full disk takes the same part again and again, and never says that it is full.
            Ok(_) if entry.repeats >= REPEATS_MAX => io::ErrorKind::StorageFull,
            Ok(_) => io::ErrorKind::Interrupted,
            Err(error) => error.kind(),
        };
        match kind {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                entry.waits_for_room = true;
                self.counters.no_space += 1;
                Outcome::RepeatLater
            }
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock if entry.repeats < REPEATS_MAX => {
                entry.repeats += 1;
                Outcome::Repeat
            }
            kind => {
                self.fail(kind);
                Outcome::Failed
            }
        }
    }

    /// Ends the log: nothing becomes durable any more.
    pub(super) fn fail(&mut self, kind: io::ErrorKind) {
        if self.failure.is_none() {
            let (shard, durable_lsn) = (self.shard_id, self.durable_lsn);
            tracing::error!(shard, durable_lsn, error = %kind, "the commit log has failed and takes nothing until a restart");
            self.failure = Some(kind);
        }
    }

    fn advance(&mut self) {
        if is_planted(PlantedBug::AckBeforePrefix) {
            let done = self.flights.iter().filter(|flight| flight.done).map(|flight| flight.end_lsn);
            self.durable_lsn = done.max().unwrap_or(0).max(self.durable_lsn);
        }
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.done) {
            debug_assert!(self.durable_sequence <= flight.end_sequence);
            self.durable_lsn = self.durable_lsn.max(flight.end_lsn);
            self.durable_sequence = flight.end_sequence;
            self.slots.release(flight.released);
        }
        assert!(self.released <= self.durable_lsn && self.durable_lsn <= self.next_lsn);
    }

    /// Every entry below `lsn` is synced in its segment (or will never be needed). Its files become free when a durable
    /// write has said so.
    pub(super) fn release_before(&mut self, lsn: Lsn) {
        assert!(lsn.0 <= self.durable_lsn, "what is not durable here cannot be synced behind it");
        if lsn.0 <= self.released {
            return;
        }
        self.released = lsn.0;
        self.checkpoint_wanted |= self.slots.release_frees(self.announced, lsn.0);
        if is_planted(PlantedBug::ReusedBeforeReleaseIsDurable) {
            self.slots.release(lsn.0);
        }
    }

    /// A file to fill with zeros in the background; [`Self::prepared`] must follow. Nothing before the first entry, so
    /// that an idle broker writes nothing.
    pub(super) fn start_preparing(&mut self) -> Option<u32> {
        if self.next_lsn == 0 || self.failure.is_some() { None } else { self.slots.start_preparing() }
    }

    /// The end of a preparation; `whole` when the zeros are on the device.
    pub(super) fn prepared(&mut self, slot: u32, whole: bool) {
        self.slots.prepared(slot, whole);
        self.counters.files_prewritten += u64::from(whole);
    }

    pub(super) fn durable_lsn(&self) -> Lsn {
        Lsn(self.durable_lsn)
    }

    pub(super) fn next_lsn(&self) -> Lsn {
        Lsn(self.next_lsn)
    }

    pub(super) fn oldest_unreleased(&self) -> Lsn {
        Lsn(self.released)
    }

    pub(super) fn failure(&self) -> Option<io::ErrorKind> {
        self.failure
    }

    /// Whether everything pushed is durable and nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.group.is_none() && self.sealed.is_empty() && self.flights.is_empty() && !self.checkpoint_wanted
    }

    fn note_chunk(&mut self, chunk_bytes: usize) {
        self.newest_chunks.push_back((self.next_lsn, chunk_bytes));
        let mut newest_bytes: usize = self.newest_chunks.iter().map(|(_, bytes)| bytes).sum();
        while newest_bytes > self.pool.bytes_max() / 2 && self.newest_chunks.len() > 1 {
            newest_bytes -= self.newest_chunks.pop_front().map_or(0, |(_, bytes)| bytes);
        }
    }

    /// Where staging memory runs short: the bytes of entries below keep old chunks of it alive.
    pub(super) fn scarce_memory_end(&self) -> Option<Lsn> {
        let is_scarce = self.pool.lent_bytes() >= self.pool.bytes_max() / 4 * 3;
        self.newest_chunks.front().filter(|_| is_scarce).map(|(first_lsn, _)| Lsn(*first_lsn))
    }

    pub(super) fn pressure(&self) -> Pressure {
        Pressure {
            files_free: self.slots.free_count(),
            files_count: self.slots.count(),
            active_bytes: self.slots.active().2,
            file_bytes: self.config.file_bytes,
            oldest_file_end: self.slots.oldest_full_end().map(Lsn),
        }
    }

    /// Planted bug: saves padding by writing the last block again, with more entries.
    fn begin_group_in_the_last_block(&mut self) {
        let Some((last, entries)) = self.last_group.take() else { return };
        let (slot, generation, position) = self.slots.active();
        let in_reach = (last.slot, last.generation, last.position + BLOCK as u64) == (slot, generation, position);
        let (Some(group), Some(staging)) = (self.group.as_mut(), self.staging.as_mut()) else { return };
        if !in_reach || staging.remaining() < BLOCK {
            return;
        }
        staging.append(&entries);
        *group = Group { start: group.start, ..last };
        self.next_sequence -= 1;
        self.slots.rewind(group.position);
    }

    fn remember_last_group(&mut self, group: Group, length: usize) {
        let Some(staging) = &self.staging else { return };
        let fits = length < BLOCK / 2;
        let entries = group.start + WRITE_HEADER..group.start + length;
        self.last_group = fits.then(|| (group, staging.bytes(entries).to_vec()));
    }
}
