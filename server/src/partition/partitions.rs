//! All partitions of one shard, over its [`LogStore`].
//!
//! Invariants:
//! - Each reply is called exactly once, never while anything here is borrowed.
//! - The high watermark is the acked end of the log and never moves back; a read never passes it.
//! - Waits are bounded per partition (`WAITS_MAX`); one more is answered `Busy`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use ringlog_core::log::{ClosedLog, Durability, LogConfig, LogKey, LogSpec, LogStore, Retired, StoreError};
use ringlog_core::reactor::Reactor;

use super::cleaner::{Cleaner, CleanerSource};
use super::queue::AppendQueue;
use super::removals::Removals;
use super::retention::Retention;
use super::scrubber::{Scrubber, ScrubberSource};
use super::{AppendOutcome, PartitionError, PartitionReply, PartitionRequest, TopicPartition};
use crate::meters::{PartitionSnapshot, TopicMeters, TopicsMeters};

/// Appends that wait for their ack, and as many watches, per partition.
pub(super) const WAITS_MAX: usize = 100_000;

/// Gets the answer of one request, once.
pub type Reply = Box<dyn FnOnce(PartitionReply)>;

/// The partitions of one shard; clones are the same ones.
#[derive(Clone)]
pub struct Partitions(pub(super) Rc<Inner>);

pub(super) struct Inner {
    pub(super) reactor: Reactor,
    pub(super) store: RefCell<LogStore>,
    pub(super) table: RefCell<Table>,
    /// The end of this turn will flush.
    flush_due: Cell<bool>,
    acked: RefCell<Vec<(LogKey, i64)>>,
    meters: Rc<TopicsMeters>,
    pub(super) retention: Retention,
    pub(super) removals: Removals,
    pub(super) cleaner: Cleaner,
    pub(super) scrubber: Scrubber,
    /// Appends that found no room.
    pub(super) queue: AppendQueue,
}

#[derive(Default)]
pub(super) struct Table {
    keys: ahash::HashMap<TopicPartition, LogKey>,
    /// By `LogKey`.
    pub(super) partitions: Vec<Option<Partition>>,
    /// Those whose log could not be opened.
    unopened: ahash::HashSet<TopicPartition>,
}

pub(super) struct Partition {
    topic_name: Arc<str>,
    pub(super) meters: Rc<TopicMeters>,
    pub(super) leader_epoch: i32,
    pub(super) high_watermark: i64,
    /// Appends in offset order, each until the high watermark reaches its end.
    pub(super) appends: VecDeque<AppendWait>,
    /// How many more are in the shard's queue.
    pub(super) queued: usize,
    pub(super) watches: Vec<Watch>,
    /// Those who wait for a log start, at or above an offset, to become durable.
    pub(super) deletions: Vec<(i64, Reply)>,
}

pub(super) struct AppendWait {
    pub(super) end_offset: i64,
    pub(super) outcome: AppendOutcome,
    pub(super) reply: Reply,
}

pub(super) struct Watch {
    pub(super) high_watermark: i64,
    pub(super) watch: u64,
    pub(super) reply: Reply,
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
        let partitions = Self(Rc::new_cyclic(|inner: &Weak<Inner>| {
            let inner = Weak::clone(inner);
            let end_times = move || inner.upgrade().into_iter().for_each(|inner| Self(inner).end_times());
            Inner {
                queue: AppendQueue::new(&reactor, end_times),
                removals: Removals::new(reactor.clone()),
                reactor,
                store: RefCell::new(store),
                table: RefCell::default(),
                flush_due: Cell::new(false),
                acked: RefCell::default(),
                meters,
                retention: Retention::new(retention_check_interval),
                cleaner: Cleaner::new(cleaner_source),
                scrubber: Scrubber::new(scrubber_source),
            }
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
            queued: 0,
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
    pub fn reconfigure(&self, name: TopicPartition, config: &Rc<LogConfig>, durability: Durability) {
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
        let waiting = partition.appends.into_iter().map(|wait| wait.reply);
        for reply in waiting.chain(self.unqueue(key).into_iter().map(|append| append.reply)) {
            reply(PartitionReply::Append(Err(PartitionError::Unknown)));
        }
        for watch in partition.watches {
            (watch.reply)(PartitionReply::Watch);
        }
        for (_, reply) in partition.deletions {
            reply(PartitionReply::DeleteRecords(Err(PartitionError::Unknown)));
        }
        if let Some(folder) = removed? {
            self.0.removals.remove_folder(folder);
        }
        Ok(())
    }

    /// Does what is asked of one partition; `reply` may be called before this returns.
    pub fn request(&self, name: TopicPartition, request: PartitionRequest, reply: Reply) {
        match request {
            PartitionRequest::Append { batch, timeout_ms } => self.append(name, batch, timeout_ms, reply),
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
        self.0.queue.close();
        closed
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
        let (moved_starts, was_short);
        {
            let mut store = self.0.store.borrow_mut();
            was_short = store.is_short();
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
        self.append_queued();
        if !was_short && self.0.store.borrow().is_short() {
            // The end of the next turn makes room.
            self.schedule_flush();
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

impl Table {
    pub(super) fn find(&self, name: TopicPartition) -> Result<(LogKey, &Partition), PartitionError> {
        let key = *self.keys.get(&name).ok_or_else(|| self.missing(name))?;
        let partition = self.partitions[key.0 as usize].as_ref().expect("every key has its partition");
        Ok((key, partition))
    }

    pub(super) fn find_mut(&mut self, name: TopicPartition) -> Result<&mut Partition, PartitionError> {
        let key = *self.keys.get(&name).ok_or_else(|| self.missing(name))?;
        Ok(self.partitions[key.0 as usize].as_mut().expect("every key has its partition"))
    }

    pub(super) fn partition(&self, key: LogKey) -> Option<&Partition> {
        self.partitions.get(key.0 as usize)?.as_ref()
    }

    pub(super) fn partition_mut(&mut self, key: LogKey) -> Option<&mut Partition> {
        self.partitions.get_mut(key.0 as usize)?.as_mut()
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
    pub(super) fn check_leader_epoch(&self, current_leader_epoch: i32) -> Result<(), PartitionError> {
        match current_leader_epoch {
            -1 => Ok(()),
            epoch if epoch < self.leader_epoch => Err(PartitionError::FencedLeaderEpoch),
            epoch if epoch > self.leader_epoch => Err(PartitionError::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }
}
