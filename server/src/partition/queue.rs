//! Appends that found no room in their log: each is appended when there is some, or refused when its time is over.
//!
//! Invariants:
//! - No append overtakes one of its partition that waits, nor one that waits for the same: memory and files are the
//!   shard's, and who has waited longest gets them.
//! - The queue is looked through after each end of a turn. Whatever makes room ends one: a write, a sync, a change of class
//!   or the return of memory calls for it.
//! - A batch waits in the frame of its request, which counts in its connection's memory meanwhile.

#[cfg(test)]
mod tests;
mod waiting;

#[cfg(test)]
use std::cell::Cell;
use std::cell::RefCell;

use bytes::Bytes;
use ringlog_core::log::{AppendError, Durability, LogKey};
use ringlog_core::reactor::{Alarm, Instant, Reactor};

use self::waiting::Waiting;
use super::partitions::{Partitions, Reply};
use super::{PartitionError, PartitionReply, TopicPartition};

const NANOS_PER_MS: u64 = 1_000_000;

/// An append that waits.
pub(super) struct QueuedAppend {
    key: LogKey,
    batch: Bytes,
    until: Instant,
    pub(super) reply: Reply,
}

/// The queue of one shard.
pub(super) struct AppendQueue {
    waiting: RefCell<Waiting>,
    /// Rings when the first time ends, or before.
    alarm: Alarm,
    #[cfg(test)]
    tries: Cell<usize>,
}

impl AppendQueue {
    /// Nobody waits. `end_times` is to call [`Partitions::end_times`].
    pub fn new(reactor: &Reactor, end_times: impl Fn() + 'static) -> Self {
        Self {
            waiting: RefCell::default(),
            alarm: reactor.alarm(end_times),
            #[cfg(test)]
            tries: Cell::default(),
        }
    }

    /// Those who wait are gone.
    pub fn close(&self) {
        let waiting = self.waiting.take();
        drop(waiting);
    }
}

impl Partitions {
    /// Whether an append is to wait without a look at its log; `queued` appends of that do.
    pub(super) fn is_behind_queued(&self, key: LogKey, queued: usize) -> bool {
        !self.0.queue.waiting.borrow().is_empty()
            && (queued > 0 || self.0.store.borrow().durability(key) == Some(Durability::Sync))
    }

    /// Lets an append wait, for so long at most.
    pub(super) fn queue_append(&self, key: LogKey, batch: Bytes, timeout_ms: i32, reply: Reply) {
        let queue = &self.0.queue;
        let timeout_ns = u64::try_from(timeout_ms).unwrap_or(0) * NANOS_PER_MS;
        let until = Instant(self.0.reactor.now().0.saturating_add(timeout_ns));
        queue.waiting.borrow_mut().push(QueuedAppend { key, batch, until, reply });
        queue.alarm.set(until);
        self.0.table.borrow_mut().partition_mut(key).expect("looked up in this call").queued += 1;
        // The end of the turn makes room, also where nothing else is appended.
        self.schedule_flush();
    }

    /// Appends what waits and finds room now. A log that has none is passed by; where all of class sync are short of it,
    /// nobody else gets it. What comes meanwhile is for the next time.
    pub(super) fn append_queued(&self) {
        let mut tickets = self.0.queue.waiting.borrow().tickets();
        loop {
            let waiting = self.0.queue.waiting.borrow();
            let Some((ticket, append)) = waiting.first_in(tickets.clone()) else { return };
            let (key, batch) = (append.key, append.batch.clone());
            drop(waiting);
            tickets.start = ticket + 1;
            #[cfg(test)]
            self.0.queue.tries.update(|tries| tries + 1);
            match self.append_to_log(key, &batch) {
                Err(AppendError::Busy) if self.0.store.borrow().is_short() => return,
                Err(AppendError::Busy) => {}
                result => {
                    let appended = self.0.queue.waiting.borrow_mut().remove(ticket).expect("looked at above");
                    self.0.table.borrow_mut().partition_mut(key).expect("its appends wait").queued -= 1;
                    self.end_append(key, result, appended.reply);
                }
            }
        }
    }

    /// Takes those who wait for one log out of the queue, in order.
    pub(super) fn unqueue(&self, key: LogKey) -> Vec<QueuedAppend> {
        // There may be room for who waited behind them.
        self.schedule_flush();
        self.0.queue.waiting.borrow_mut().take_log(key)
    }

    /// Refuses all appends of a partition that wait: who asked for them has given up the first.
    pub fn refuse_queued(&self, name: TopicPartition) {
        let key = self.0.table.borrow().find(name).map(|(key, _)| key);
        if let Ok(key) = key {
            self.refuse_appends(self.unqueue(key));
        }
    }

    /// Refuses appends whose time is over.
    pub(super) fn end_times(&self) {
        // There may be room for who waited behind them; and a full disk may have some again without a word.
        self.schedule_flush();
        let ended = self.0.queue.waiting.borrow_mut().take_ended(self.0.reactor.now());
        self.refuse_appends(ended);
        let next_end = self.0.queue.waiting.borrow().next_end();
        next_end.into_iter().for_each(|next_end| self.0.queue.alarm.set(next_end));
    }

    fn refuse_appends(&self, appends: Vec<QueuedAppend>) {
        for QueuedAppend { key, batch, reply, .. } in appends {
            if let Some(partition) = self.0.table.borrow_mut().partition_mut(key) {
                partition.queued -= 1;
                partition.meters.append_failed();
                self.0.store.borrow_mut().refuse(key, &batch);
            }
            reply(PartitionReply::Append(Err(PartitionError::Append(AppendError::Busy))));
        }
    }
}
