//! Reaches a partition wherever it is: a call on this shard, a message to its owner on another.
//!
//! Invariant: each reply is called exactly once; a reply from the mesh finds its call by slot and was asked for.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{Calls, PartitionMessage, PartitionRequest, Partitions, Reply, TopicPartition};

/// Sends a message to another shard. Never fails: what the ring does not take at once waits, bounded by the callers.
pub type SendToShard = Box<dyn Fn(u16, PartitionMessage)>;

/// Clones are the same router.
#[derive(Clone)]
pub struct Router(Rc<Inner>);

struct Inner {
    shard_id: u16,
    partitions: Partitions,
    send: SendToShard,
    calls: RefCell<Calls<Reply>>,
    watches: Cell<u64>,
}

impl Router {
    /// A router of one shard.
    pub fn new(shard_id: u16, partitions: Partitions, send: SendToShard) -> Self {
        Self(Rc::new(Inner { shard_id, partitions, send, calls: RefCell::default(), watches: Cell::new(0) }))
    }

    /// A name for a watch, unique among all shards.
    pub fn new_watch(&self) -> u64 {
        self.0.watches.set(self.0.watches.get() + 1);
        self.0.watches.get() << 16 | u64::from(self.0.shard_id)
    }

    /// Asks the partition on `owner`; `reply` may be called before this returns.
    pub fn request(&self, owner: u16, partition: TopicPartition, request: PartitionRequest, reply: Reply) {
        if owner == self.0.shard_id {
            return self.0.partitions.request(partition, request, reply);
        }
        let call = match request {
            PartitionRequest::Unwatch(_) => u32::MAX,
            _ => self.0.calls.borrow_mut().open(reply),
        };
        (self.0.send)(owner, PartitionMessage::Request { call, partition, request });
    }

    /// Takes a message that `from` sent to this shard.
    pub fn receive(&self, from: u16, message: PartitionMessage) {
        match message {
            PartitionMessage::Request { call, partition, request } => {
                let router = self.clone();
                let reply = Box::new(move |reply| (router.0.send)(from, PartitionMessage::Reply { call, reply }));
                self.0.partitions.request(partition, request, reply);
            }
            PartitionMessage::Reply { call, reply } => {
                let waiting = self.0.calls.borrow_mut().close(call);
                waiting(reply);
            }
        }
    }
}
