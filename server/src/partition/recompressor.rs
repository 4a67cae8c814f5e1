//! Appends to topics that store batches in a codec of their own: what has another one is compressed anew, off the shard,
//! before it goes to its partition.
//!
//! Invariants:
//! - Batches of a partition leave in the order in which they came, whatever the workers finish first: a producer's
//!   sequence numbers stay in order.
//! - At most `BATCHES_MAX` wait on a shard; one more is answered `Busy`. Their requests count in their connections' memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use ahash::AHashMap;
use bytes::Bytes;
use ringlog_core::reactor::Reactor;
use ringlog_core::record::{ProduceRules, Recompression, recompress};

use super::{PartitionError, PartitionReply, PartitionRequest, Reply, Router, TopicPartition};

const BATCHES_MAX: usize = 4096;

/// Clones are the same.
#[derive(Clone)]
pub struct Recompressor(Rc<Inner>);

struct Inner {
    reactor: Reactor,
    router: Router,
    waiting: RefCell<Waiting>,
}

#[derive(Default)]
struct Waiting {
    queues: AHashMap<TopicPartition, VecDeque<Slot>>,
    count: usize,
    next: u64,
}

struct Slot {
    number: u64,
    owner: u16,
    timeout_ms: i32,
    reply: Reply,
    /// What is to be appended, once that is known.
    batch: Option<Result<Bytes, PartitionError>>,
}

impl Recompressor {
    /// Nothing waits.
    pub fn new(reactor: Reactor, router: Router) -> Self {
        Self(Rc::new(Inner { reactor, router, waiting: RefCell::default() }))
    }

    /// Whether batches of this partition wait here: the next one, whatever it is, comes behind them.
    pub fn is_before(&self, partition: TopicPartition) -> bool {
        let queues = &self.0.waiting.borrow().queues;
        !queues.is_empty() && queues.contains_key(&partition)
    }

    /// Appends one batch. What is to be compressed anew is checked by `rules` on the way; anything else was checked.
    pub fn append(
        &self,
        owner: u16,
        partition: TopicPartition,
        batch: Bytes,
        timeout_ms: i32,
        rules: &ProduceRules,
        reply: Reply,
    ) {
        let mut waiting = self.0.waiting.borrow_mut();
        if waiting.count >= BATCHES_MAX {
            drop(waiting);
            return reply(PartitionReply::Append(Err(PartitionError::Busy)));
        }
        waiting.next += 1;
        waiting.count += 1;
        let number = waiting.next;
        let due = rules.recompression.filter(|to| to.is_due(&batch));
        let ready = due.is_none().then(|| Ok(batch.clone()));
        waiting.queues.entry(partition).or_default().push_back(Slot { number, owner, timeout_ms, reply, batch: ready });
        drop(waiting);
        if let Some(to) = due {
            self.compress(partition, number, batch, *rules, to);
        }
    }

    fn compress(&self, partition: TopicPartition, number: u64, batch: Bytes, rules: ProduceRules, to: Recompression) {
        let now_ms = self.0.reactor.wall_clock_ms();
        let computed = self.0.reactor.compute(move || recompress(&batch, &rules, to, now_ms).map(Bytes::from));
        let recompressor = self.clone();
        self.0.reactor.spawn(async move {
            let batch = match computed {
                Ok(computed) => computed.await.map_err(PartitionError::Refused),
                Err(_) => Err(PartitionError::Busy),
            };
            recompressor.finish(partition, number, batch);
        });
    }

    /// A batch is ready: it goes, with those behind it that wait for nothing but their turn, if it is the first.
    fn finish(&self, partition: TopicPartition, number: u64, batch: Result<Bytes, PartitionError>) {
        let mut going = Vec::new();
        {
            let mut waiting = self.0.waiting.borrow_mut();
            let queue = waiting.queues.get_mut(&partition).expect("a batch that waits has its queue");
            let at = queue.partition_point(|slot| slot.number < number);
            queue[at].batch = Some(batch);
            while queue.front().is_some_and(|slot| slot.batch.is_some()) {
                going.extend(queue.pop_front());
            }
            if queue.is_empty() {
                waiting.queues.remove(&partition);
            }
            waiting.count -= going.len();
        }
        for Slot { owner, timeout_ms, reply, batch, .. } in going {
            match batch.expect("looked at above") {
                Ok(batch) => {
                    self.0.router.request(owner, partition, PartitionRequest::Append { batch, timeout_ms }, reply);
                }
                Err(error) => reply(PartitionReply::Append(Err(error))),
            }
        }
    }
}
