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

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use ringlog_core::log::{AppendError, Durability, LogKey};
use ringlog_core::reactor::{Instant, Sleep};

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
#[derive(Default)]
pub(super) struct AppendQueue {
    /// As they came.
    appends: RefCell<VecDeque<QueuedAppend>>,
    /// When the timekeeper looks next, not after the end of any append's time; `None` without a timekeeper.
    next_end: Cell<Option<Instant>>,
    /// It sleeps.
    timekeeper: Cell<Option<Waker>>,
}

impl AppendQueue {
    /// Those who wait are gone.
    pub fn close(&self) {
        let appends = self.appends.take();
        drop(appends);
    }
}

impl Partitions {
    /// Whether an append is to wait without a look at its log; `queued` appends of that do.
    pub(super) fn is_behind_queued(&self, key: LogKey, queued: usize) -> bool {
        !self.0.queue.appends.borrow().is_empty()
            && (queued > 0 || self.0.store.borrow().durability(key) == Some(Durability::Sync))
    }

    /// Lets an append wait, for so long at most.
    pub(super) fn queue_append(&self, key: LogKey, batch: Bytes, timeout_ms: i32, reply: Reply) {
        let queue = &self.0.queue;
        let timeout_ns = u64::try_from(timeout_ms).unwrap_or(0) * NANOS_PER_MS;
        let until = Instant(self.0.reactor.now().0.saturating_add(timeout_ns));
        queue.appends.borrow_mut().push_back(QueuedAppend { key, batch, until, reply });
        self.0.table.borrow_mut().partition_mut(key).expect("looked up in this call").queued += 1;
        // The end of the turn makes room, also where nothing else is appended.
        self.schedule_flush();
        match queue.next_end.get() {
            Some(next_end) if next_end <= until => {}
            Some(_) => {
                queue.next_end.set(Some(until));
                queue.timekeeper.take().into_iter().for_each(Waker::wake);
            }
            None => {
                queue.next_end.set(Some(until));
                self.keep_time();
            }
        }
    }

    /// Appends what waits and finds room now. A log that has none is passed by; where all of class sync are short of it,
    /// nobody else gets it.
    pub(super) fn append_queued(&self) {
        let mut passed = BTreeSet::new();
        let mut at = 0;
        loop {
            let next = self.0.queue.appends.borrow().get(at).map(|append| (append.key, append.batch.clone()));
            let Some((key, batch)) = next else { return };
            if passed.contains(&key) {
                at += 1;
                continue;
            }
            match self.append_to_log(key, &batch) {
                Err(AppendError::Busy) if self.0.store.borrow().is_short() => return,
                Err(AppendError::Busy) => {
                    passed.insert(key);
                }
                result => {
                    let appended = self.0.queue.appends.borrow_mut().remove(at).expect("looked at above");
                    self.0.table.borrow_mut().partition_mut(key).expect("its appends wait").queued -= 1;
                    self.end_append(key, result, appended.reply);
                    // The reply may have changed the queue.
                    at = 0;
                }
            }
        }
    }

    /// Takes those who wait for one log out of the queue, in order.
    pub(super) fn unqueue(&self, key: LogKey) -> VecDeque<QueuedAppend> {
        self.unqueue_if(|append| append.key == key)
    }

    fn unqueue_if(&self, is_wanted: impl Fn(&QueuedAppend) -> bool) -> VecDeque<QueuedAppend> {
        let all = self.0.queue.appends.take();
        let (wanted, left): (VecDeque<_>, VecDeque<_>) = all.into_iter().partition(is_wanted);
        self.0.queue.appends.replace(left);
        // There may be room for who waited behind them; and a full disk may have some again without a word.
        self.schedule_flush();
        wanted
    }

    /// Refuses all appends of a partition that wait: who asked for them has given up the first.
    pub fn refuse_queued(&self, name: TopicPartition) {
        let key = self.0.table.borrow().find(name).map(|(key, _)| key);
        if let Ok(key) = key {
            self.refuse_appends(self.unqueue(key));
        }
    }

    fn refuse_appends(&self, appends: VecDeque<QueuedAppend>) {
        for QueuedAppend { key, batch, reply, .. } in appends {
            if let Some(partition) = self.0.table.borrow_mut().partition_mut(key) {
                partition.queued -= 1;
                partition.meters.append_failed();
                self.0.store.borrow_mut().refuse(key, &batch);
            }
            reply(PartitionReply::Append(Err(PartitionError::Append(AppendError::Busy))));
        }
    }

    /// Refuses appends as their times end, as long as any wait.
    fn keep_time(&self) {
        let (reactor, inner) = (self.0.reactor.clone(), Rc::downgrade(&self.0));
        let mut sleep: Option<(Instant, Sleep)> = None;
        self.0.reactor.spawn(poll_fn(move |context| {
            let Some(inner) = inner.upgrade() else { return Poll::Ready(()) };
            let partitions = Self(inner);
            let queue = &partitions.0.queue;
            while let Some(next_end) = queue.next_end.get() {
                let (at, sleeping) = sleep.get_or_insert_with(|| (next_end, reactor.sleep_until(next_end)));
                if *at != next_end {
                    (*at, *sleeping) = (next_end, reactor.sleep_until(next_end));
                }
                if Pin::new(sleeping).poll(context).is_pending() {
                    queue.timekeeper.set(Some(context.waker().clone()));
                    return Poll::Pending;
                }
                sleep = None;
                partitions.end_times(reactor.now());
            }
            Poll::Ready(())
        }));
    }

    fn end_times(&self, now: Instant) {
        self.refuse_appends(self.unqueue_if(|append| append.until <= now));
        let next_end = self.0.queue.appends.borrow().iter().map(|append| append.until).min();
        self.0.queue.next_end.set(next_end);
    }
}
