//! All partitions of one shard, over its [`LogStore`].
//!
//! Invariants:
//! - Each reply is called exactly once, never while anything here is borrowed.
//! - The high watermark is the acked end of the log and never moves back; a read never passes it.
//! - Waits are bounded per partition (`WAITS_MAX`); one more is answered `Busy`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use ringlog_core::log::{
    AppendError, ClosedLog, Committed, Durability, FailedAppend, LogConfig, LogKey, LogSpec, LogStore, ReadError,
    ReadResult, Retired, StoreError,
};
use ringlog_core::reactor::{Piece, Reactor};

use super::cleaner::{Cleaner, CleanerSource};
use super::retention::Retention;
use super::scrubber::{Scrubber, ScrubberSource};
use super::{
    AppendOutcome, EpochEnd, EpochEndRequest, Isolation, OffsetOutcome, OffsetQuery, OffsetRequest, PartitionError,
    PartitionReply, PartitionRequest, ReadOutcome, ReadRequest, TopicPartition, WatchRequest,
};
use crate::meters::{PartitionSnapshot, TopicMeters, TopicsMeters};

/// Appends that wait for their ack, and as many watches, per partition.
const WAITS_MAX: usize = 100_000;

/// Gets the answer of one request, once.
pub type Reply = Box<dyn FnOnce(PartitionReply)>;

/// The partitions of one shard; clones are the same ones.
#[derive(Clone)]
pub struct Partitions(pub(super) Rc<Inner>);

pub(super) struct Inner {
    pub(super) reactor: Reactor,
    pub(super) store: RefCell<LogStore>,
    table: RefCell<Table>,
    /// The end of this turn will flush.
    flush_due: Cell<bool>,
    acked: RefCell<Vec<(LogKey, i64)>>,
    meters: Rc<TopicsMeters>,
    pub(super) retention: Retention,
    pub(super) cleaner: Cleaner,
    pub(super) scrubber: Scrubber,
}

#[derive(Default)]
struct Table {
    keys: ahash::HashMap<TopicPartition, LogKey>,
    /// By `LogKey`.
    partitions: Vec<Option<Partition>>,
    /// Those whose log could not be opened.
    unopened: ahash::HashSet<TopicPartition>,
}

struct Partition {
    topic_name: Arc<str>,
    meters: Rc<TopicMeters>,
    leader_epoch: i32,
    high_watermark: i64,
    /// Appends in offset order, each until the high watermark reaches its end.
    appends: VecDeque<AppendWait>,
    watches: Vec<Watch>,
    /// Those who wait for a log start, at or above an offset, to become durable.
    deletions: Vec<(i64, Reply)>,
}

/// How a deletion of records goes on.
enum Deletion {
    /// Nothing is left to do: the log starts there, durably.
    Done(i64),
    /// Until the log starts at or above this offset, durably.
    Waits(i64),
}

struct AppendWait {
    end_offset: i64,
    outcome: AppendOutcome,
    reply: Reply,
}

struct Watch {
    high_watermark: i64,
    watch: u64,
    reply: Reply,
}

impl Partitions {
    /// No partitions yet; what goes in and out is counted in `meters`.
    pub fn new(
        reactor: Reactor,
        store: LogStore,
        retention_check_interval: Duration,
        cleaner_source: CleanerSource,
        scrubber_source: ScrubberSource,
        meters: Rc<TopicsMeters>,
    ) -> Self {
        let partitions = Self(Rc::new(Inner {
            reactor,
            store: RefCell::new(store),
            table: RefCell::default(),
            flush_due: Cell::new(false),
            acked: RefCell::default(),
            meters,
            retention: Retention::new(retention_check_interval),
            cleaner: Cleaner::new(cleaner_source),
            scrubber: Scrubber::new(scrubber_source),
        }));
        let acknowledging = Rc::downgrade(&partitions.0);
        partitions.0.store.borrow_mut().set_on_acked(Rc::new(move || {
            if let Some(inner) = acknowledging.upgrade() {
                Self(inner).schedule_flush();
            }
        }));
        partitions
    }

    /// Opens or creates a partition that this shard leads. One that cannot be opened answers with a storage error until
    /// the broker is started again.
    pub fn create(&self, name: TopicPartition, leader_epoch: i32, spec: LogSpec) -> Result<(), StoreError> {
        let mut store = self.0.store.borrow_mut();
        let mut table = self.0.table.borrow_mut();
        let topic_name = spec.topic_name.clone();
        let key = store.create(spec).inspect_err(|_| _ = table.unopened.insert(name))?;
        let (topic_name, meters) = self.0.meters.topic(&topic_name);
        let high_watermark = store.acked_end_offset(key);
        let at = key.0 as usize;
        if table.partitions.len() <= at {
            table.partitions.resize_with(at + 1, || None);
        }
        table.partitions[at] = Some(Partition {
            topic_name,
            meters,
            leader_epoch,
            high_watermark,
            appends: VecDeque::new(),
            watches: Vec::new(),
            deletions: Vec::new(),
        });
        table.keys.insert(name, key);
        if store.log_start_offset(key) < high_watermark {
            drop((table, store));
            self.arm_retention();
            self.arm_cleaner();
            self.arm_scrubber();
        }
        Ok(())
    }

    /// Those that were there at the start are all created.
    pub fn all_created(&self) {
        self.0.store.borrow_mut().forget_others();
    }

    /// Another configuration from now on, if the partition is of this shard; another class a little later.
    pub fn reconfigure(&self, name: TopicPartition, config: &LogConfig, durability: Durability) {
        if let Some(key) = self.0.table.borrow().keys.get(&name) {
            let mut store = self.0.store.borrow_mut();
            store.reconfigure(*key, config);
            store.change_class(*key, durability);
            drop(store);
            self.schedule_flush();
            self.arm_retention();
            self.arm_cleaner();
            self.arm_scrubber();
        }
    }

    /// Removes a partition with its data. Those who wait are answered `Unknown`.
    pub fn remove(&self, name: TopicPartition) -> Result<(), StoreError> {
        let Some((key, partition)) = self.0.table.borrow_mut().take(name) else { return Ok(()) };
        let removed = self.0.store.borrow_mut().remove(key);
        drop(partition.meters);
        self.0.meters.release(&partition.topic_name);
        for wait in partition.appends {
            (wait.reply)(PartitionReply::Append(Err(PartitionError::Unknown)));
        }
        for watch in partition.watches {
            (watch.reply)(PartitionReply::Watch);
        }
        for (_, reply) in partition.deletions {
            reply(PartitionReply::DeleteRecords(Err(PartitionError::Unknown)));
        }
        removed
    }

    /// Does what is asked of one partition; `reply` may be called before this returns.
    pub fn request(&self, name: TopicPartition, request: PartitionRequest, reply: Reply) {
        match request {
            PartitionRequest::Append(batch) => self.append(name, batch, reply),
            PartitionRequest::Read(read) => self.read(name, read, reply),
            PartitionRequest::Watch(watch) => self.watch(name, watch, reply),
            PartitionRequest::Unwatch(watch) => self.unwatch(name, watch),
            PartitionRequest::Offset(offset) => reply(PartitionReply::Offset(self.offset(name, offset))),
            PartitionRequest::DeleteRecords(offset) => self.delete_records(name, offset, reply),
            PartitionRequest::EpochEnd(asked) => reply(PartitionReply::EpochEnd(self.epoch_end(name, asked))),
            PartitionRequest::Producers => {
                reply(PartitionReply::Producers(self.look_up(name, |store, key| store.producers(key))));
            }
            PartitionRequest::Size => {
                reply(PartitionReply::Size(self.look_up(name, |store, key| store.size_bytes(key))));
            }
        }
    }

    fn look_up<T>(
        &self,
        name: TopicPartition,
        look: impl FnOnce(&mut LogStore, LogKey) -> Result<T, StoreError>,
    ) -> Result<T, PartitionError> {
        let key = self.0.table.borrow().find(name)?.0;
        look(&mut self.0.store.borrow_mut(), key).map_err(|error| {
            tracing::error!(%error, "a log cannot be looked into");
            PartitionError::Storage
        })
    }

    fn epoch_end(&self, name: TopicPartition, asked: EpochEndRequest) -> Result<EpochEnd, PartitionError> {
        const UNKNOWN: EpochEnd = EpochEnd { leader_epoch: -1, end_offset: -1 };
        {
            let table = self.0.table.borrow();
            let (_, partition) = table.find(name)?;
            partition.check_leader_epoch(asked.current_leader_epoch)?;
            if asked.leader_epoch > partition.leader_epoch || asked.leader_epoch < 0 {
                return Ok(UNKNOWN);
            }
            if asked.leader_epoch == partition.leader_epoch {
                let (leader_epoch, end_offset) = (partition.leader_epoch, partition.high_watermark);
                return Ok(EpochEnd { leader_epoch, end_offset });
            }
        }
        let found = self.look_up(name, |store, key| store.end_offset_for_epoch(key, asked.leader_epoch))?;
        Ok(found.map_or(UNKNOWN, |(leader_epoch, end_offset)| EpochEnd { leader_epoch, end_offset }))
    }

    /// Moves the log start; answered when it is durable.
    fn delete_records(&self, name: TopicPartition, offset: i64, reply: Reply) {
        let moved = {
            let table = self.0.table.borrow();
            table.find(name).and_then(|(key, partition)| {
                let mut store = self.0.store.borrow_mut();
                let offset = if offset < 0 { partition.high_watermark } else { offset };
                if offset > partition.high_watermark {
                    return Err(PartitionError::OffsetOutOfRange);
                }
                let durable_start_offset = store.durable_start_offset(key);
                if offset <= durable_start_offset {
                    return Ok(Deletion::Done(durable_start_offset));
                }
                if partition.deletions.len() >= WAITS_MAX {
                    return Err(PartitionError::Busy);
                }
                store.delete_records(key, offset).map_err(|error| {
                    tracing::error!(%error, "records cannot be deleted");
                    PartitionError::Storage
                })?;
                Ok(Deletion::Waits(offset))
            })
        };
        match moved {
            Err(error) => reply(PartitionReply::DeleteRecords(Err(error))),
            Ok(Deletion::Done(log_start_offset)) => reply(PartitionReply::DeleteRecords(Ok(log_start_offset))),
            Ok(Deletion::Waits(offset)) => {
                let mut table = self.0.table.borrow_mut();
                let partition = table.find_mut(name).expect("looked up in this call");
                partition.deletions.push((offset, reply));
                drop(table);
                self.schedule_flush();
                self.arm_retention();
            }
        }
    }

    /// Answers those who wait for a log start.
    fn finish_deletions(&self, key: LogKey, moved: &Result<i64, AppendError>) {
        let waiting = {
            let mut table = self.0.table.borrow_mut();
            let Some(Some(partition)) = table.partitions.get_mut(key.0 as usize) else { return };
            let is_done = |offset: i64| moved.as_ref().map_or(true, |start| offset <= *start);
            partition.deletions.extract_if(.., |(offset, _)| is_done(*offset)).collect::<Vec<_>>()
        };
        for (_, reply) in waiting {
            reply(PartitionReply::DeleteRecords(moved.clone().map_err(PartitionError::Append)));
        }
    }

    pub(super) fn retire(&self, key: LogKey) -> Result<Retired, StoreError> {
        self.0.store.borrow_mut().retire(key)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.table.borrow().keys.len()
    }

    /// Each of them, in no order. Opens no log.
    pub fn snapshot(&self) -> Vec<PartitionSnapshot> {
        let mut store = self.0.store.borrow_mut();
        let table = self.0.table.borrow();
        let one = |(name, key): (&TopicPartition, &LogKey)| {
            let partition = table.partitions[key.0 as usize].as_ref().expect("every key has its partition");
            PartitionSnapshot {
                topic: Arc::clone(&partition.topic_name),
                partition_index: name.partition_index,
                log_start_offset: store.log_start_offset(*key),
                high_watermark: partition.high_watermark,
                stored: store.opened_size(*key),
            }
        };
        table.keys.iter().map(one).collect()
    }

    /// Microseconds of each durable write of the commit log.
    pub fn commit_log_writes_us(&self) -> Histogram<u64> {
        self.0.store.borrow().commit_log_writes_us()
    }

    pub(super) fn logs_count(&self) -> usize {
        self.0.table.borrow().partitions.len()
    }

    /// Clean stop: everything acked and synced. No request may follow. Returns where each log ended, for the checkpoints.
    pub fn close(&self) -> Result<Vec<ClosedLog>, StoreError> {
        let closed = self.0.store.borrow_mut().close();
        // Those who still wait are gone with their connections; what they hold may lead back here.
        let table = self.0.table.take();
        drop(table);
        closed
    }

    fn append(&self, name: TopicPartition, batch: Bytes, reply: Reply) {
        match self.append_to_log(name, batch) {
            Err(error) => {
                // One that found no room has asked the store to make some, also where nothing else is appended.
                self.schedule_flush();
                reply(PartitionReply::Append(Err(error)));
            }
            Ok((key, end_offset, outcome)) => {
                let mut table = self.0.table.borrow_mut();
                let partition = table.partitions[key.0 as usize].as_mut().expect("looked up in this call");
                if end_offset <= partition.high_watermark {
                    drop(table);
                    return reply(PartitionReply::Append(Ok(outcome)));
                }
                if partition.appends.capacity() == 0 {
                    // Most of very many partitions never have more than one append to wait.
                    partition.appends.reserve_exact(1);
                }
                let at = partition.appends.partition_point(|wait| wait.end_offset <= end_offset);
                partition.appends.insert(at, AppendWait { end_offset, outcome, reply });
                drop(table);
                self.schedule_flush();
            }
        }
    }

    fn append_to_log(
        &self,
        name: TopicPartition,
        batch: Bytes,
    ) -> Result<(LogKey, i64, AppendOutcome), PartitionError> {
        let table = self.0.table.borrow();
        let (key, partition) = table.find(name)?;
        if partition.appends.len() >= WAITS_MAX {
            partition.meters.append_failed();
            return Err(PartitionError::Busy);
        }
        let bytes = batch.len();
        let appended = self.0.store.borrow_mut().append(key, batch, partition.leader_epoch).map_err(|error| {
            partition.meters.append_failed();
            PartitionError::Append(error)
        })?;
        if !appended.duplicate {
            let records = appended.last_offset + 1 - appended.base_offset;
            partition.meters.appended(records.unsigned_abs(), bytes);
        }
        drop(table);
        self.arm_retention();
        self.arm_scrubber();
        if let Some(flush_in_ms) = appended.flush_in_ms {
            self.flush_later(key, flush_in_ms);
        }
        let outcome = AppendOutcome {
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time_ms,
            log_start_offset: appended.log_start_offset,
        };
        Ok((key, appended.last_offset + 1, outcome))
    }

    /// What is appended is synced in this time, where `flush.ms` says so.
    fn flush_later(&self, key: LogKey, flush_in_ms: i64) {
        let (reactor, inner) = (self.0.reactor.clone(), Rc::downgrade(&self.0));
        self.0.reactor.spawn(async move {
            reactor.sleep(Duration::from_millis(flush_in_ms.unsigned_abs())).await;
            if let Some(inner) = inner.upgrade() {
                let partitions = Self(inner);
                partitions.0.store.borrow_mut().flush(key);
                partitions.schedule_flush();
            }
        });
    }

    fn read(&self, name: TopicPartition, request: ReadRequest, reply: Reply) {
        let found = {
            let table = self.0.table.borrow();
            let found = table.find(name);
            found.map(|(key, partition)| (self.start_read(key, partition, request), Rc::clone(&partition.meters)))
        };
        let (started, meters) = match found {
            Ok(found) => found,
            Err(error) => return reply(PartitionReply::Read(Err(error))),
        };
        let outcome = match started {
            Err(error) => Err(error),
            Ok((ReadResult::Ready(records), outcome)) => Ok(ReadOutcome { records, ..outcome }),
            Ok((ReadResult::Cold(reading), outcome)) => {
                self.0.reactor.spawn(async move {
                    let outcome = match reading.await {
                        Ok(records) => Ok(ReadOutcome { records, ..outcome }),
                        Err(error) => Err(read_failed(&error)),
                    };
                    count_read(&meters, &outcome);
                    reply(PartitionReply::Read(outcome));
                });
                return;
            }
        };
        count_read(&meters, &outcome);
        reply(PartitionReply::Read(outcome));
    }

    /// The read on its way, and its outcome without the records.
    fn start_read(
        &self,
        key: LogKey,
        partition: &Partition,
        request: ReadRequest,
    ) -> Result<(ReadResult, ReadOutcome), PartitionError> {
        partition.check_leader_epoch(request.current_leader_epoch)?;
        let mut store = self.0.store.borrow_mut();
        let log_start_offset = store.log_start_offset(key);
        if request.offset < log_start_offset || request.offset > store.log_end_offset(key) {
            return Err(PartitionError::OffsetOutOfRange);
        }
        let high_watermark = partition.high_watermark;
        let Committed { last_stable_offset, aborted } = match request.isolation {
            Isolation::Uncommitted => Committed { last_stable_offset: high_watermark, aborted: Vec::new() },
            Isolation::Committed => store.committed(key, request.offset).map_err(|error| read_failed(&error))?,
        };
        let bound = last_stable_offset.min(high_watermark);
        let outcome = ReadOutcome {
            records: Default::default(),
            high_watermark,
            last_stable_offset: bound,
            log_start_offset,
            aborted,
        };
        if request.offset >= bound || request.max_bytes == 0 && !request.at_least_one_batch {
            return Ok((ReadResult::Ready(Default::default()), outcome));
        }
        let read = store.read(key, request.offset, bound, request.max_bytes, request.at_least_one_batch);
        Ok((read.map_err(|error| read_failed(&error))?, outcome))
    }

    fn watch(&self, name: TopicPartition, request: WatchRequest, reply: Reply) {
        let mut table = self.0.table.borrow_mut();
        if let Ok(partition) = table.find_mut(name)
            && partition.high_watermark <= request.high_watermark
            && partition.watches.len() < WAITS_MAX
        {
            let WatchRequest { high_watermark, watch } = request;
            partition.watches.push(Watch { high_watermark, watch, reply });
            return;
        }
        drop(table);
        reply(PartitionReply::Watch);
    }

    fn unwatch(&self, name: TopicPartition, watch: u64) {
        let ended = self.0.table.borrow_mut().find_mut(name).ok().and_then(|partition| {
            let at = partition.watches.iter().position(|other| other.watch == watch)?;
            Some(partition.watches.swap_remove(at))
        });
        if let Some(watch) = ended {
            (watch.reply)(PartitionReply::Watch);
        }
    }

    fn offset(&self, name: TopicPartition, request: OffsetRequest) -> Result<OffsetOutcome, PartitionError> {
        let table = self.0.table.borrow();
        let (key, partition) = table.find(name)?;
        partition.check_leader_epoch(request.current_leader_epoch)?;
        let mut store = self.0.store.borrow_mut();
        let leader_epoch = partition.leader_epoch;
        let bound = match request.isolation {
            Isolation::Uncommitted => partition.high_watermark,
            Isolation::Committed => {
                let committed = store.committed(key, i64::MAX).map_err(|error| read_failed(&error))?;
                committed.last_stable_offset.min(partition.high_watermark)
            }
        };
        let found = match request.query {
            OffsetQuery::Latest => Ok(Some((bound, -1))),
            OffsetQuery::Earliest => Ok(Some((store.log_start_offset(key), -1))),
            OffsetQuery::MaxTimestamp => store.max_timestamp(key),
            OffsetQuery::AtOrAfter(timestamp_ms) => store.offset_for_timestamp(key, timestamp_ms, bound),
        };
        match found {
            Ok(Some((offset, timestamp_ms))) => Ok(OffsetOutcome { offset, timestamp_ms, leader_epoch }),
            Ok(None) => Ok(OffsetOutcome { offset: -1, timestamp_ms: -1, leader_epoch: -1 }),
            Err(error) => Err(read_failed(&error)),
        }
    }

    pub(super) fn schedule_flush(&self) {
        if !self.0.flush_due.replace(true) {
            let partitions = self.clone();
            self.0.reactor.at_turn_end(move || partitions.flush());
        }
    }

    /// Writes what the turn appended and answers what has become acked.
    fn flush(&self) {
        self.0.flush_due.set(false);
        let mut acked = self.0.acked.take();
        let mut failed = Vec::new();
        let moved_starts;
        {
            let mut store = self.0.store.borrow_mut();
            store.end_turn();
            store.take_acked(&mut acked);
            store.take_failed(&mut failed);
            moved_starts = store.take_moved_starts();
        }
        for (key, acked_end_offset) in acked.drain(..) {
            self.advance_high_watermark(key, acked_end_offset);
        }
        self.0.acked.replace(acked);
        for failure in failed {
            self.fail_appends(failure);
        }
        for (key, moved) in moved_starts {
            self.finish_deletions(key, &moved);
            if moved.is_ok() {
                self.retire_soon(key);
            }
        }
        self.arm_cleaner();
    }

    /// Answers the appends that were taken and could not be written.
    fn fail_appends(&self, failure: FailedAppend) {
        let refused = {
            let mut table = self.0.table.borrow_mut();
            let Some(Some(partition)) = table.partitions.get_mut(failure.key.0 as usize) else { return };
            let first = partition.appends.partition_point(|wait| wait.end_offset <= failure.from_offset);
            partition.appends.split_off(first)
        };
        for wait in refused {
            (wait.reply)(PartitionReply::Append(Err(PartitionError::Append(failure.error.clone()))));
        }
    }

    fn advance_high_watermark(&self, key: LogKey, acked_end_offset: i64) {
        let mut due = Vec::new();
        let mut fired = Vec::new();
        {
            let mut table = self.0.table.borrow_mut();
            let Some(Some(partition)) = table.partitions.get_mut(key.0 as usize) else { return };
            assert!(partition.high_watermark <= acked_end_offset, "the high watermark never moves back");
            partition.high_watermark = acked_end_offset;
            while partition.appends.front().is_some_and(|wait| wait.end_offset <= acked_end_offset) {
                due.extend(partition.appends.pop_front());
            }
            fired.extend(partition.watches.extract_if(.., |watch| watch.high_watermark < acked_end_offset));
        }
        for wait in due {
            (wait.reply)(PartitionReply::Append(Ok(wait.outcome)));
        }
        for watch in fired {
            (watch.reply)(PartitionReply::Watch);
        }
    }
}

/// What the client asked for wrongly is no failure of the broker.
fn count_read(meters: &TopicMeters, outcome: &Result<ReadOutcome, PartitionError>) {
    match outcome {
        Ok(outcome) => meters.read(outcome.records.iter().map(Piece::size_bytes).sum()),
        Err(PartitionError::Storage) => meters.read_failed(),
        Err(_) => meters.read(0),
    }
}

fn read_failed(error: &ReadError) -> PartitionError {
    if let ReadError::Damaged { .. } = error {
        // It was told when it was found.
        return PartitionError::Damaged;
    }
    tracing::error!(%error, "read failed");
    PartitionError::Storage
}

impl Table {
    fn find(&self, name: TopicPartition) -> Result<(LogKey, &Partition), PartitionError> {
        let key = *self.keys.get(&name).ok_or_else(|| self.missing(name))?;
        let partition = self.partitions[key.0 as usize].as_ref().expect("every key has its partition");
        Ok((key, partition))
    }

    fn find_mut(&mut self, name: TopicPartition) -> Result<&mut Partition, PartitionError> {
        let key = *self.keys.get(&name).ok_or_else(|| self.missing(name))?;
        Ok(self.partitions[key.0 as usize].as_mut().expect("every key has its partition"))
    }

    fn missing(&self, name: TopicPartition) -> PartitionError {
        if self.unopened.contains(&name) { PartitionError::Storage } else { PartitionError::Unknown }
    }

    fn take(&mut self, name: TopicPartition) -> Option<(LogKey, Partition)> {
        self.unopened.remove(&name);
        let key = self.keys.remove(&name)?;
        Some((key, self.partitions[key.0 as usize].take().expect("every key has its partition")))
    }
}

impl Partition {
    fn check_leader_epoch(&self, current_leader_epoch: i32) -> Result<(), PartitionError> {
        match current_leader_epoch {
            -1 => Ok(()),
            epoch if epoch < self.leader_epoch => Err(PartitionError::FencedLeaderEpoch),
            epoch if epoch > self.leader_epoch => Err(PartitionError::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }
}
